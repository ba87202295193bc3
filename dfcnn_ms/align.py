"""``python -m dfcnn_ms.align``: when each syllable of a known text is said in a recording, and how well."""

from __future__ import annotations

import argparse
import os.path
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.aligner import align_all, align_file, check_alignable
from dfcnn_ms.audio.wave import duration
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.evaluate import read_set
from dfcnn_ms.files import check_outputs, read_text, write_text
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.alignments import (
    FORMATS,
    SUBTITLES,
    SUFFIXES,
    TOGETHER,
    file_names,
    line,
    written,
)
from dfcnn_ms.reporting.timings import Recording
from dfcnn_ms.runtime.in_the_box import choose

EXAMPLE = 'python -m dfcnn_ms.align --ckpt dfcnn.ckpt --audio a.wav --text "san1 ling2 ba1" --out a.TextGrid'


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, aligns one recording or a whole manifest, and writes the times."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("align", "Find when each syllable of a known text is said, and how well.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, help="default: dfcnn.ckpt; else, or for box, the network in the box")
    arguments.add_argument("--audio", metavar="FILE", help="a sound file")
    arguments.add_argument("--text", help="what is said in it: toned pinyin or characters; @FILE reads it from a file")
    arguments.add_argument("--manifest", type=Path, help="align all of a manifest instead")
    arguments.add_argument(
        "--format", choices=FORMATS, help="default: as --out ends; else txt, for a manifest textgrid"
    )
    arguments.add_argument(
        "--out",
        type=Path,
        help="default: the screen; for a manifest a .ctm or .jsonl file, or a folder with a file for each utterance",
    )
    arguments.add_argument("--phrases", action="store_true", help="subtitles of phrases, not of single syllables")
    cli.add_device_target(arguments)
    options = arguments.parse_args(argv)
    if bool(options.audio) == bool(options.manifest) or bool(options.audio) != (options.text is not None):
        raise ConfigError("align: give either --audio and --text, or --manifest")
    form = options.format or form_of(options.out, many=bool(options.manifest))
    check_target(options.out, form, many=bool(options.manifest))
    chosen = choose(options.ckpt)
    options.ckpt = chosen.network
    cli.check_inputs(options, ["--out"], options.audio, (options.text or "").removeprefix("@"))
    if options.phrases and form not in SUBTITLES:
        raise ConfigError(f"--phrases: goes with {' or '.join(SUBTITLES)}; the format here is {form}")

    if options.manifest:
        chosen.say()
        align_manifest(load(options), options.manifest, options.out, form, phrases=options.phrases)
        return
    seconds, text = duration(options.audio), read_argument(options.text)  # what is wrong is named before the work
    chosen.say()
    recognizer = load(options)
    recording = align_file(recognizer, options.audio, seconds, text)
    page = written(recording, form, phrases=options.phrases)
    if options.out:
        write_text(options.out, page)
        print(f"times: {options.out}")
    else:
        print(page, end="")


def form_of(out: Path | None, *, many: bool) -> str:
    """The format that the name of the output means."""
    if out is None or not out.suffix or os.path.isdir(out):
        return "textgrid" if many else "txt"
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {out}: wanted a name that ends in {', '.join(SUFFIXES)}; or say --format")
    return SUFFIXES[out.suffix.lower()]


def check_target(out: Path | None, form: str, *, many: bool) -> None:
    """Finds out before the work that its result has nowhere to go."""
    if not many or (out and form in TOGETHER):
        cli.check_output("--out", out)
    elif out is None:
        raise ConfigError("--manifest needs --out: a .ctm or .jsonl file, or a folder")
    elif out.suffix.lower() in SUFFIXES or (os.path.exists(out) and not os.path.isdir(out)):
        raise ConfigError(
            f"--out {out}: is a file; {form} of a manifest needs a folder, with a file for each utterance"
        )
    elif not os.path.isdir(out.absolute().parent):
        raise ConfigError(f"--out {out}: the folder {out.parent} does not exist; make it first")


def load(options: argparse.Namespace) -> Recognizer:
    """The network, if it can align."""
    recognizer = Recognizer.load(options.ckpt, options.device_target)
    check_alignable(recognizer)
    return recognizer


def read_argument(text: str) -> str:
    """The text of ``--text``, or of the file that it names after an ``@``."""
    if text.startswith("@"):
        return read_text(text[1:], f"--text {text}")
    if os.path.isfile(text):
        raise ConfigError(f"--text {text}: is a file; write @{text} to read what is in it")
    return text


def align_manifest(recognizer: Recognizer, manifest: Path, out: Path, form: str, *, phrases: bool) -> None:
    """Aligns every utterance; those whose text is too long for their sound are left out, and counted at the end."""
    utterances = read_set(recognizer, manifest)
    names = file_names(utterances, form)
    targets = [out] if form in TOGETHER else [out / name for name in names]
    check_outputs([("--out", file) for file in targets], [manifest, *(one.path for one in utterances)])
    found: dict[int, Recording] = {}
    left_out: list[str] = []
    for index, one in align_all(recognizer, utterances):
        if isinstance(one, DataError):
            left_out.append(f"{utterances[index].where}: {one}")
        else:
            found[index] = one
    recordings = [found[index] for index in sorted(found)]
    if form in TOGETHER:
        write_text(out, "".join(line(one) if form == "json" else timings.ctm(one) for one in recordings))
    else:
        for index, one in found.items():
            write_text(out / names[index], written(one, form, phrases=phrases))
    rest = f"; {len(left_out)} left out, such as {min(left_out)}" if left_out else ""
    print(f"times of {len(recordings)} utterances: {out}{rest}")


if __name__ == "__main__":
    cli.run(main)
