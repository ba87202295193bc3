"""``python -m dfcnn_ms.calibrate``: makes the confidences of a checkpoint hold, and shows how well they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms import cli
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding.confidence import (
    Peaks,
    Reliability,
    fit_temperature,
    joined,
    negative_log_likelihood,
    reliability,
    sentence_confidence,
)
from dfcnn_ms.decoding.options import add_flags, check_heard, search_of
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.evaluate import each_output, read_set, remembered
from dfcnn_ms.files import replacing
from dfcnn_ms.metrics import align
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.reporting.reliability import Panel, draw
from dfcnn_ms.runtime.loaders import loader_of
from dfcnn_ms.wording import many, plural

EXAMPLE = "python -m dfcnn_ms.calibrate --ckpt dfcnn.ckpt --picture reliability.png"

PICTURES = (".png", ".svg", ".pdf")
#: with fewer wrong syllables than this, other recordings of the same kind would give another temperature
FEW_ERRORS = 30


@dataclass(frozen=True)
class Recognised:
    """What was recognised in a set of utterances.

    Attributes:
        name: of the set.
        utterances: the recognised syllables of each.
        whole: whether each is right from end to end.
    """

    name: str
    utterances: Sequence[Peaks]
    whole: Sequence[bool]

    @cached_property
    def peaks(self) -> Peaks:
        """All syllables."""
        return joined(self.utterances)

    @property
    def wrong(self) -> int:
        """How many syllables are wrong."""
        return int((~self.peaks.correct).sum())

    def syllables(self, temperature: float) -> Reliability:
        """Confidence against truth of the syllables."""
        return reliability(self.peaks.confidences(temperature), self.peaks.correct)

    def sentences(self, temperature: float) -> Reliability:
        """Confidence against truth of whole utterances."""
        return reliability([sentence_confidence(one.confidences(temperature)) for one in self.utterances], self.whole)

    def figures(self, temperature: float, unit: str = "syllable") -> dict[str, float]:
        """How good the confidences are at a temperature; the lower each figure, the better."""
        return {
            f"calibration error, {plural(unit)}": self.syllables(temperature).expected_calibration_error,
            "calibration error, sentences": self.sentences(temperature).expected_calibration_error,
            f"surprise, nats a {unit}": negative_log_likelihood(
                self.peaks.confidences(temperature), self.peaks.correct
            ),
        }


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, fits the temperature, prints before and after, and stores it in the checkpoint."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("calibrate", "Make confidences hold: fit a temperature and store it.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, default=Path("dfcnn.ckpt"), help="default: dfcnn.ckpt; it is changed")
    arguments.add_argument("--manifest", type=Path, help="default: the dev set that the checkpoint remembers")
    arguments.add_argument("--test", type=Path, help="default: the test set that it remembers; nothing is fitted on it")
    arguments.add_argument("--picture", type=Path, help="draw the reliability diagram here, such as reliability.png")
    cli.add_device_target(arguments)
    add_flags(arguments, characters=False)
    options = arguments.parse_args(argv)
    cli.check_output("--picture", options.picture, PICTURES)
    cli.check_inputs(options, ["--picture"])
    choice = search_of(options)
    check_heard(choice)

    recognizer = Recognizer.load(options.ckpt, options.device_target)
    if not recognizer.task.id_is_unit:
        raise ConfigError(
            "calibrate: this network writes parts of syllables, and the temperature is fitted on whole units; calibrate"
            " one of task.kind=ctc"
        )
    recognizer.decoder = recognizer.decoders(choice).decoder
    manifest = options.manifest or remembered(recognizer, options.ckpt, "dev")
    test = options.test or test_set(recognizer, options.ckpt)
    sets = [read_set(recognizer, path) for path in (manifest, test) if path]  # what is wrong is found before the work
    dev, *others = (
        recognise(recognizer, utterances, name) for name, utterances in zip(("dev", "test"), sets, strict=False)
    )
    if not len(dev.peaks.ids):
        raise DataError(
            f"{manifest}: the network hears no {recognizer.unit} in it; is it the wrong set, or the network too young?"
        )

    temperature = fit_temperature(dev.peaks)
    print(table([dev, *others], temperature, recognizer.unit))
    if options.picture:
        with replacing(options.picture) as temporary:
            picture([dev, *others], temperature, recognizer.unit).savefig(temporary, dpi=110)
        print(f"picture: {options.picture}")
    loader_of(options.ckpt).update_decoding(options.ckpt, {"temperature": temperature})
    print(f"temperature {temperature:.3f} stored in {options.ckpt}")


def recognise(recognizer: Recognizer, utterances: Sequence[Utterance], name: str) -> Recognised:
    """Recognises every utterance; the result is in the order of the manifest."""
    found = {
        index: peaks_of(recognizer, log_probs, utterances[index].pinyin)
        for index, log_probs in each_output(recognizer, utterances, name)
    }
    each = [found[index] for index in range(len(utterances))]
    whole = [
        bool(peaks.correct.all()) and len(peaks.ids) == len(utterance.pinyin)
        for peaks, utterance in zip(each, utterances, strict=True)
    ]
    return Recognised(name, each, whole)


def test_set(recognizer: Recognizer, ckpt: Path) -> Path | None:
    """The test set of the training that made the checkpoint; it may be gone, nothing is fitted on it."""
    try:
        return remembered(recognizer, ckpt, "test")
    except (ConfigError, DataError):
        return None


def peaks_of(recognizer: Recognizer, log_probs: np.ndarray, said: Sequence[str]) -> Peaks:
    """What is recognised in one utterance (U, V), and which of it was said."""
    ids = recognizer.decoder(log_probs[None], [len(log_probs)])[0][0].ids
    pairs = align(said, recognizer.vocabulary.decode(ids))
    correct = [reference == written for reference, written in pairs if written is not None]
    rows = log_probs[list(recognizer.task.align(log_probs, ids).peaks)]  # (L, V)
    return Peaks(rows, np.array(ids, np.int64), np.array(correct, bool))


def table(recognised: Sequence[Recognised], temperature: float, unit: str = "syllable") -> str:
    """Calibration before and after, for people."""
    lines = [f"{'':36}{'before':>8}{'after':>8}"]
    for one in recognised:
        lines.append(f"{one.name:<5} {many(len(one.peaks.ids), unit)}, {one.wrong} of them wrong")
        after = one.figures(temperature, unit)
        lines += [
            f"      {name:<30}{before:>8.4f}{after[name]:>8.4f}" for name, before in one.figures(1.0, unit).items()
        ]
    if recognised[0].wrong < FEW_ERRORS:
        lines.append(
            f"fewer than {FEW_ERRORS} wrong {plural(unit)} to fit on: another dev set may give another temperature"
        )
    return "\n".join(lines)


def picture(recognised: Sequence[Recognised], temperature: float, unit: str = "syllable") -> Any:
    """The reliability diagram of each set."""
    panels = [
        Panel(f"{one.name}: {many(len(one.peaks.ids), unit)}", one.syllables(1.0), one.syllables(temperature))
        for one in recognised
    ]
    return draw(panels)


if __name__ == "__main__":
    cli.run(main)
