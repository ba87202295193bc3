"""``python -m dfcnn_ms.eval``: how much of a test set a checkpoint gets wrong; which of two gets less wrong."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding.choice import OVER, Choice
from dfcnn_ms.decoding.options import add_flags, choice_of
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.evaluate import evaluate, read_set, remembered
from dfcnn_ms.evaluation.results import Heard, by_label, counts, rate_name, total
from dfcnn_ms.evaluation.runs import Clock, Run, details, figures, interval, read_run
from dfcnn_ms.files import check_outputs, write_text
from dfcnn_ms.metrics import Edits, align
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import LOADERS
from dfcnn_ms.runtime.in_the_box import fill_in
from dfcnn_ms.wording import plural

EXAMPLE = "python -m dfcnn_ms.eval --ckpt dfcnn.ckpt --json result.json --report report.html"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, recognises the test set, prints the tables, writes what was asked for."""
    argv = cli.with_plugins(argv)
    options = _parser().parse_args(argv)
    chosen = None if options.compare else fill_in(options, characters=False)
    cli.check_output("--json", options.json)
    cli.check_output("--report", options.report)
    cli.check_inputs(options, ["--json", "--report"])
    choice = replace(choice_of(options), over=options.nbest)
    if choice.nbest > 1 and not choice.wants_characters:
        raise ConfigError(f"--nbest {options.nbest}: is for the characters; ask for them with --hanzi")
    outputs = {flag: path for flag, path in (("--json", options.json), ("--report", options.report)) if path}
    task = Task(
        options.manifest, options.device_target, choice, options.allow_unknown, outputs, four_views=options.four_views
    )
    if chosen is None:
        if options.all:
            raise ConfigError("--all prints the utterances of one checkpoint; --report shows where two differ")
        print_comparison(*task.sides(*options.compare), options.json, options.report)
        return

    chosen.say()
    recognizer, run = task.evaluate(chosen.network)
    for line in utterance_lines(run.heard, everything=options.all):
        print(line)
    print(table(run))
    if options.json:
        write_json(options.json, figures(run) | details(run))
    if options.report:
        from dfcnn_ms.reporting.evaluation_page import report

        write_text(options.report, report(recognizer, run))
        print(f"report: {options.report}")


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("eval", "Measure the error rate of a checkpoint, or compare two.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, help="default: dfcnn.ckpt; else, or for box, the network in the box")
    arguments.add_argument("--manifest", type=Path, help="default: the test set that the checkpoint remembers")
    cli.add_device_target(arguments)
    arguments.add_argument("--json", type=Path, help="write the figures and every utterance here")
    arguments.add_argument("--report", type=Path, help="write a page for the browser here, such as report.html")
    arguments.add_argument("--all", action="store_true", help="print every utterance, not only those with errors")
    arguments.add_argument(
        "--allow-unknown", action="store_true", help="count syllables that the network cannot write as errors"
    )
    arguments.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("A", "B"),
        help="does B make fewer errors than A, or may that be chance? Checkpoints, or files that --json wrote",
    )
    arguments.add_argument(
        "--nbest", type=int, metavar="N", help=f"choose the characters over N hypotheses of each (default: {OVER})"
    )
    arguments.add_argument(
        "--four-views", action="store_true", help="average four views of each clip: itself and three crops (classes)"
    )
    add_flags(arguments)
    return arguments


@dataclass(frozen=True)
class Task:
    """What is asked of every checkpoint.

    Attributes:
        manifest: the test set; None is the one that the checkpoint remembers.
        device_target: where the network runs.
        choice: the decoder.
        allow_unknown: whether syllables that the network cannot write count as errors.
        outputs: flag -> file that will be written.
        four_views: whether classes are averaged over crops of each clip.
    """

    manifest: Path | None
    device_target: str
    choice: Choice
    allow_unknown: bool
    outputs: Mapping[str, Path] = field(default_factory=dict)
    four_views: bool = False

    def evaluate(self, ckpt: Path) -> tuple[Recognizer, Run]:
        """Loads a checkpoint and lets it listen to its test set."""
        recognizer = Recognizer.load(ckpt, self.device_target)
        if self.four_views:
            look_four_times(recognizer)
        manifest = self.manifest or remembered(recognizer, ckpt, "test", "dev")
        utterances = self.utterances(recognizer, manifest)
        recognizer.hanzi = self.choice.load_hanzi()
        tried = recognizer.decoders(self.choice)
        found = evaluate(recognizer, utterances, tried.decoders, tried.name)
        return recognizer, Run(
            name=recognizer.meta.config.name if recognizer.meta else "network",
            manifest=manifest,
            heard=found.heard,
            decoder=found.decoder,
            decoders=found.decoders,
            clock=found.clock,
            unit=recognizer.unit,
            also=recognizer.task.also(total(found.heard)) | by_label(found.heard),
        )

    def utterances(self, recognizer: Recognizer, manifest: Path) -> list[Utterance]:
        """The test set, as this network writes."""
        utterances = read_set(recognizer, manifest)
        check_outputs(self.outputs.items(), [manifest, *(utterance.path for utterance in utterances)])
        if not self.allow_unknown:
            check_known(recognizer, utterances)
        if self.choice.wants_characters and not any(utterance.text for utterance in utterances):
            raise DataError(f"{manifest}: no utterance has a 'text' to compare characters with; leave --hanzi out")
        return utterances

    def sides(self, *paths: Path) -> tuple[Run, Run]:
        """Both sides of a comparison: checkpoints listen, files tell what was heard already."""
        kept = {path: read_run(path) for path in paths if path.suffix not in LOADERS}  # a wrong file is found first
        first, second = (replace(kept.get(path) or self.evaluate(path)[1], name=str(path)) for path in paths)
        return first, second


def look_four_times(recognizer: Recognizer) -> None:
    """Lets a network that names classes look at four views of each clip.

    Raises:
        ConfigError: it writes something else.
    """
    from dfcnn_ms.runtime.views import FourViews

    if recognizer.task.outputs != "classes":
        raise ConfigError("--four-views: averages the classes of clips, and this network has none; leave it out")
    recognizer.acoustics = FourViews(recognizer.acoustics)


def check_known(recognizer: Recognizer, utterances: Sequence[Utterance]) -> None:
    """Refuses a test set with syllables that the network cannot write: mostly it is the wrong test set."""
    for utterance in utterances:
        try:
            recognizer.vocabulary.encode(utterance.pinyin, where=utterance.where)
        except DataError as error:
            raise DataError(f"{error}; --allow-unknown counts such syllables as errors") from None


def write_json(path: Path, page: object) -> None:
    """Writes figures for programs."""
    write_text(path, json.dumps(page, indent=2, ensure_ascii=False) + "\n")
    print(f"figures: {path}")


def print_comparison(first: Run, second: Run, json_path: Path | None, report_path: Path | None) -> None:
    """Prints what differs between two evaluations, and writes it where that was asked for."""
    from dfcnn_ms.evaluation.comparison import compare
    from dfcnn_ms.evaluation.comparison import figures as compared
    from dfcnn_ms.reporting import comparison

    found = compare(first, second)
    print(comparison.in_words(found))
    if json_path:
        write_json(json_path, compared(found))
    if report_path:
        write_text(report_path, comparison.comparison_page(found))
        print(f"report: {report_path}")


def table(run: Run) -> str:
    """The figures for people, with 95 % intervals over utterances."""
    edits = total(run.heard)
    low, high = interval([one.edits for one in run.heard])
    wrong = sum(one.edits.total > 0 for one in run.heard)
    lines = [
        f"test set             {cli.short(run.manifest)}",
        f"{rate_name(run.unit):<20} {100 * edits.rate:.2f} %  (95 % interval {100 * low:.2f} to {100 * high:.2f})",
        f"edits                {edits.total} of {edits.reference_length} {plural(run.unit)}: {edits.substitutions} "
        f"substituted, {edits.deletions} deleted, {edits.insertions} inserted",
        f"sentences            {len(run.heard) - wrong} of {len(run.heard)} without an error",
    ]
    lines += [f"{name:<20} {100 * share:.2f} %" for name, share in run.also.items()]
    return "\n".join([*lines, *rate_lines(run), *time_lines(run.clock), *decoder_lines(run)])


def rate_lines(run: Run) -> Iterator[str]:
    """The other rates: without tones, and of characters, where they mean something."""
    for name, edits in counts(run.heard, run.unit).items():
        if name == run.unit:
            continue
        whole, (low, high) = sum(edits, Edits()), interval(edits)
        some = f"; {len(edits)} sentences have a text" if len(edits) < len(run.heard) else ""
        around = f"95 % interval {100 * low:.2f} to {100 * high:.2f}{some}"
        yield f"{rate_name(name):<20} {100 * whole.rate:.2f} %  ({around})"


def time_lines(clock: Clock | None) -> Iterator[str]:
    """How fast the network and the decoder were."""
    if clock:
        took = f"{clock.work:.1f} s for {clock.sound:.0f} s of sound"
        busy = f"{clock.device}, {clock.cores} cores, {clock.busy:.1f} of them busy"
        yield f"real-time factor     {clock.real_time_factor:.3g}  ({took}; {busy})"


def decoder_lines(run: Run) -> Iterator[str]:
    """A row for each decoder that was tried; a star marks the one of the figures above."""
    if run.decoders:
        yield "\ndecoder              error rate   edits   per sentence"
    for one in run.decoders:
        name = one.decoder + (" *" if one.decoder == run.decoder else "")
        pace = 1000 * one.seconds / len(run.heard)
        yield f"{name:<20} {100 * one.edits.rate:>8.2f} % {one.edits.total:>7} {pace:>11.2f} ms"


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
