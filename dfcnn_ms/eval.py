"""``python -m dfcnn_ms.eval``: how many syllables of a test set a checkpoint gets wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dfcnn_ms import cli
from dfcnn_ms.corpora.manifest import Utterance, read_labelled, read_utterance
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import write_text
from dfcnn_ms.metrics import Edits, align, bootstrap_interval, edits
from dfcnn_ms.recognizer import Recognizer, by_length

EXAMPLE = "python -m dfcnn_ms.eval --ckpt dfcnn.ckpt --json result.json"

#: utterances read at once
BATCH_SIZE = 16


@dataclass(frozen=True)
class Heard:
    """One utterance of the test set, what was recognised in it, and the edits between the two."""

    utterance: Utterance
    syllables: tuple[str, ...]

    @property
    def edits(self) -> Edits:
        """Edits of this utterance."""
        return edits(self.utterance.pinyin, self.syllables)


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, recognises the test set, prints the table, writes what was asked for."""
    arguments = cli.parser("eval", "Measure the syllable error rate of a checkpoint.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, default=Path("dfcnn.ckpt"), help="default: dfcnn.ckpt")
    arguments.add_argument("--manifest", type=Path, help="default: the test set that the checkpoint remembers")
    cli.add_device_target(arguments)
    arguments.add_argument("--json", type=Path, help="write the figures here")
    arguments.add_argument("--report", type=Path, help="write a page for the browser here, such as report.html")
    arguments.add_argument("--all", action="store_true", help="print every utterance, not only those with errors")
    arguments.add_argument(
        "--allow-unknown", action="store_true", help="count syllables that the network cannot write as errors"
    )
    options = arguments.parse_args(argv)
    cli.check_output("--json", options.json)
    cli.check_output("--report", options.report)

    recognizer = Recognizer.load(options.ckpt, options.device_target)
    manifest = options.manifest or remembered_manifest(recognizer, options.ckpt)
    utterances = read_labelled(manifest, recognizer.meta.config.data.labels if recognizer.meta else "pinyin")
    if not options.allow_unknown:
        check_known(recognizer, utterances)

    heard = recognise(recognizer, utterances)
    for line in utterance_lines(heard, everything=options.all):
        print(line)
    print(table(heard, manifest))
    if options.json:
        write_text(options.json, json.dumps(figures(heard), indent=2) + "\n")
        print(f"figures: {options.json}")
    if options.report:
        from dfcnn_ms.reporting.html import report

        write_text(options.report, report(recognizer, heard, manifest))
        print(f"report: {options.report}")


def check_known(recognizer: Recognizer, utterances: Sequence[Utterance]) -> None:
    """Refuses a test set with syllables that the network cannot write: mostly it is the wrong test set."""
    for utterance in utterances:
        try:
            recognizer.vocabulary.encode(utterance.pinyin, where=utterance.where)
        except DataError as error:
            raise DataError(f"{error}; --allow-unknown counts such syllables as errors") from None


def remembered_manifest(recognizer: Recognizer, ckpt: Path) -> Path:
    """The test set of the training that made the checkpoint."""
    manifests = recognizer.meta.manifests if recognizer.meta else {}
    manifest = manifests.get("test") or manifests.get("dev")
    if manifest is None:
        raise ConfigError(f"{ckpt}: remembers no test set; give one with --manifest test.jsonl")
    if not Path(manifest).is_file():
        raise DataError(f"{ckpt}: the test set it remembers, {manifest}, is not there; give one with --manifest")
    return Path(manifest)


def recognise(recognizer: Recognizer, utterances: Sequence[Utterance]) -> list[Heard]:
    """Recognises every utterance; the result is in the order of the manifest."""
    heard: dict[int, Heard] = {}
    with tqdm(total=len(utterances), unit="utt", disable=None, leave=False) as bar:
        for batch in by_length([utterance.seconds for utterance in utterances], BATCH_SIZE):
            transcripts = recognizer.hear([read_utterance(utterances[index]) for index in batch])
            for index, transcript in zip(batch, transcripts, strict=True):
                heard[index] = Heard(utterances[index], transcript.syllables)
            bar.update(len(batch))
    return [heard[index] for index in range(len(utterances))]


def figures(heard: Sequence[Heard]) -> dict[str, float]:
    """Corpus-level figures: counted first, divided last."""
    total = sum((one.edits for one in heard), Edits())
    return {
        "syllable_error_rate": total.rate,
        "edits": total.total,
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
        "reference_length": total.reference_length,
        "utterances": len(heard),
    }


def table(heard: Sequence[Heard], manifest: Path) -> str:
    """The figures for people, with a 95 % interval over utterances."""
    total = sum((one.edits for one in heard), Edits())
    low, high = bootstrap_interval([one.edits for one in heard], rng=np.random.default_rng(0))
    wrong = sum(one.edits.total > 0 for one in heard)
    return "\n".join(
        [
            f"test set             {cli.short(manifest)}",
            f"syllable error rate  {100 * total.rate:.2f} %  (95 % interval {100 * low:.2f} to {100 * high:.2f})",
            f"edits                {total.total} of {total.reference_length} syllables: {total.substitutions} "
            f"substituted, {total.deletions} deleted, {total.insertions} inserted",
            f"sentences            {len(heard) - wrong} of {len(heard)} without an error",
        ]
    )


def utterance_lines(heard: Sequence[Heard], *, everything: bool) -> Iterator[str]:
    """Reference and hypothesis of each utterance under each other; ``*`` marks what is missing on one side."""
    for one in heard:
        if not (everything or one.edits.total):
            continue
        pairs = align(one.utterance.pinyin, one.syllables)
        widths = [max(len(said or "*"), len(written or "*")) for said, written in pairs]
        said = " ".join((said or "*").ljust(width) for (said, _), width in zip(pairs, widths, strict=True))
        written = " ".join((written or "*").ljust(width) for (_, written), width in zip(pairs, widths, strict=True))
        yield f"{one.utterance.id}\n  said   {said}\n  heard  {written}".rstrip()


if __name__ == "__main__":
    cli.run(main)
