"""``python -m dfcnn_ms.spot``: hears keywords in long recordings, and measures how well."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.audio.sound_files import in_folder
from dfcnn_ms.audio.wave import read_blocks
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import check_outputs, replacing
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime.in_the_box import choose
from dfcnn_ms.spotting.curve import Heard, Point, at_most, counted, curve
from dfcnn_ms.spotting.spotter import Detection, Scorer, Spotter, Spotting, scores_of
from dfcnn_ms.spotting.streams import Stream, read_streams

EXAMPLE = "python -m dfcnn_ms.spot --ckpt keywords.ckpt long.wav"

FORMATS = (".png", ".svg", ".pdf")
#: false alarms an hour that somebody may be ready to bear
BEARABLE = (1.0, 10.0)
HEAD = "streams               words  hours   missed  alarms/h   delay   times real time on a core"
_HELP = {
    "window_seconds": "seconds that the network sees, as long as the clips it was trained on",
    "hop_seconds": "seconds from a window to the next",
    "smoothing_seconds": "seconds over which probabilities are averaged",
    "threshold": "mean probability from which on a word was heard",
    "refractory_seconds": "seconds after a word in which no other is heard",
}


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, and prints a line for each word that was heard, or the table of what is missed."""
    argv = cli.with_plugins(argv)
    options = _parser().parse_args(argv)
    spotting = spotting_of(options)
    if bool(options.files) == bool(options.streams):
        raise ConfigError("spot: give either sound files or --streams")
    if options.det and not options.streams:
        raise ConfigError("--det: draws what is missed in streams whose words are known; give them with --streams")
    cli.check_output("--det", options.det, FORMATS)
    chosen = choose(options.ckpt)
    words = [word for word in (options.words or "").split(",") if word]
    if options.files:
        chosen.say()
        for line in lines(Recognizer.load(chosen.network, options.device_target), spotting, words, options.files):
            print(line, flush=True)
        return
    sets = {manifest.stem: read_streams(manifest) for manifest in options.streams}
    inputs = [chosen.network, *options.streams, *(one.path for streams in sets.values() for one in streams)]
    check_outputs([("--det", options.det)] if options.det else [], inputs)
    chosen.say()
    measure(Recognizer.load(chosen.network, options.device_target), spotting, words, sets, options.det)


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser(
        "spot", "Hear keywords in long recordings, by a network that was trained to tell them.", EXAMPLE
    )
    arguments.add_argument("--ckpt", type=Path, help="default: dfcnn.ckpt")
    cli.add_device_target(arguments)
    arguments.add_argument("--words", metavar="A,B", help="the words that matter (default: all that it knows)")
    for field in fields(Spotting):
        flag = "--" + field.name.removesuffix("_seconds")
        text = f"{_HELP[field.name]} (default: {field.default:g})"
        arguments.add_argument(flag, dest=field.name, type=float, default=field.default, metavar="X", help=text)
    arguments.add_argument(
        "--streams", type=Path, nargs="+", default=[], metavar="MANIFEST",
        help="measure misses and false alarms; the words and their times stand in a .ctm file beside the manifest",
    )  # fmt: skip
    arguments.add_argument("--det", type=Path, metavar="FILE", help="with --streams: draw the one over the other")
    arguments.add_argument("files", nargs="*", metavar="FILE", help="wav, flac, ogg or mp3 of any length, or a folder")
    return arguments


def spotting_of(options: argparse.Namespace) -> Spotting:
    """How words are spotted, as the flags say."""
    return Spotting(
        window_seconds=options.window_seconds,
        hop_seconds=options.hop_seconds,
        smoothing_seconds=options.smoothing_seconds,
        threshold=options.threshold,
        refractory_seconds=options.refractory_seconds,
    )


def lines(recognizer: Recognizer, spotting: Spotting, words: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """File, seconds, word and confidence of each word, as soon as it is heard."""
    for name in names:
        for file in in_folder(Path(name)) if os.path.isdir(name) else [Path(name)]:
            for one in detections(Spotter(recognizer, spotting, words), file):
                yield f"{file}\t{one.seconds:.2f}\t{one.word}\t{one.confidence:.2f}"


def detections(spotter: Spotter, file: Path) -> Iterator[Detection]:
    """What is heard in a file of any length."""
    for block in read_blocks(file):
        yield from spotter.feed(block)
    yield from spotter.finish()


def measure(
    recognizer: Recognizer,
    spotting: Spotting,
    words: Sequence[str],
    sets: Mapping[str, Sequence[Stream]],
    picture: Path | None,
) -> None:
    """Prints a row for each set of streams, and draws their curves."""
    curves: dict[str, list[Point]] = {}
    used: dict[str, Point] = {}
    print(HEAD)
    for name, streams in sets.items():
        started = time.process_time()
        heard, known = listened(recognizer, spotting, words, streams)
        pace = sum(one.seconds for one in heard) / (time.process_time() - started)
        found = counted(heard, known, spotting.threshold, spotting.refractory_seconds)
        shares = f"{100 * found.miss_rate:>6.2f} % {found.alarms_an_hour:>9.1f} {1000 * found.mean_delay:>4.0f} ms"
        print(f"{name:<20} {found.words:>6} {found.seconds / 3600:>6.2f} {shares}   {pace:>25.0f}", flush=True)
        curves[name] = curve(heard, known, spotting.refractory_seconds)
        used[name] = Point(spotting.threshold, found)
    for name, points in curves.items():
        print(f"{name}: {'; '.join(bearable(points, alarms) for alarms in BEARABLE)}")
    if picture:
        from dfcnn_ms.reporting.detections import draw_det

        with replacing(picture) as temporary:
            draw_det(curves, used).savefig(temporary, dpi=110)
        print(f"picture: {picture}")


def listened(
    recognizer: Recognizer, spotting: Spotting, words: Sequence[str], streams: Sequence[Stream]
) -> tuple[list[Heard], tuple[str, ...]]:
    """The scores of some streams, and the words that they are of."""
    heard = []
    for stream in streams:
        scorer = Scorer(recognizer, spotting, words)
        said = [word for word in stream.words if word.text in scorer.words]
        heard.append(Heard(scores_of(scorer, read_blocks(stream.path)), said, stream.seconds))
    return heard, scorer.words


def bearable(points: Sequence[Point], alarms_an_hour: float) -> str:
    """The least that is missed with so many false alarms."""
    point = at_most(points, alarms_an_hour)
    if point is None:
        return f"more than {alarms_an_hour:g} false alarms an hour at any threshold"
    missed = f"{100 * point.counts.miss_rate:.2f} % missed"
    return f"with at most {alarms_an_hour:g} false alarms an hour {missed} (--threshold {point.threshold:.3f})"


if __name__ == "__main__":
    cli.run(main)
