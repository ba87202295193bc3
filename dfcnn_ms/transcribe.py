"""``python -m dfcnn_ms.transcribe``: writes down what is said in sound files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from dfcnn_ms import cli
from dfcnn_ms.audio.sound_files import SoundFile, find, in_folder, unreadable
from dfcnn_ms.audio.wave import read_wave
from dfcnn_ms.bulk.command import add_bulk_flags, hear_all, is_bulk
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.options import add_flags, check_heard, choice_of
from dfcnn_ms.errors import DataError
from dfcnn_ms.files import check_outputs
from dfcnn_ms.recognizer import Recognizer, Transcript, batches
from dfcnn_ms.reporting.transcripts import FORMATS, Writer, add_line_flags, layout_of
from dfcnn_ms.runtime.in_the_box import fill_in
from dfcnn_ms.streaming.command import add_stream_flags, endpointing_of, hear_stream, is_stream, source_of
from dfcnn_ms.streaming.endpoints import Endpointing
from dfcnn_ms.streaming.recordings import is_long, transcript
from dfcnn_ms.wording import many

if TYPE_CHECKING:
    import numpy as np

EXAMPLE = "python -m dfcnn_ms.transcribe --ckpt dfcnn.ckpt a.wav b.flac"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, listens, and writes one line or one file for each recording, in the order given.

    A recording that cannot be heard is named where the others are written down, and once all are done it is an error.
    """
    words = sys.argv[1:] if argv is None else argv
    argv = cli.with_plugins(words)
    options = _parser().parse_args(argv)
    chosen = fill_in(options)
    choice = choice_of(options)
    check_heard(choice)
    endpointing, layout = endpointing_of(options), layout_of(options)
    if is_stream(options):
        source = source_of(options)
        chosen.say()
        hear_stream(source, loaded(options, choice), options)
        return
    if is_bulk(options):
        chosen.say()
        summary = hear_all(options, choice, words)
        print(summary)
        summary.check()
        return
    if not options.files:
        _parser().error("the following arguments are required: FILE")
    sounds, wrong = find_each(options.files)
    if not sounds and len(wrong) == 1:
        raise wrong[0]
    writer = Writer(options.format, options.out, options.nbest, layout)
    writer.check(sounds)
    if writer.out:
        check_outputs([("--out", writer.target(sound)) for sound in dict.fromkeys(sounds)], read_by(options, sounds))

    for error in wrong:
        tell(error)
    left_out = len(wrong)
    if sounds:
        chosen.say()
        recognizer = loaded(options, choice)
        writer = replace(writer, named=recognizer.task.outputs == "classes")
        left_out += write_each(recognizer, sounds, writer, endpointing)
    count = len(sounds) + len(wrong)
    if options.out:
        print(f"transcripts: {count - left_out} in {options.out}")
    if left_out:
        raise DataError(f"{left_out} of {many(count, 'recording')} could not be heard; see above")


def read_by(options: argparse.Namespace, sounds: Sequence[SoundFile]) -> list[str | Path]:
    """All files that are read."""
    others = (options.ckpt, options.lm, options.hotwords, options.hanzi_model)
    return [*(sound.file for sound in sounds), *filter(None, others)]


def loaded(options: argparse.Namespace, choice: Choice) -> Recognizer:
    """The recognizer with all that it was told."""
    recognizer = Recognizer.load(options.ckpt, options.device_target)
    recognizer.use(choice)
    return recognizer


def write_each(recognizer: Recognizer, sounds: Sequence[SoundFile], writer: Writer, endpointing: Endpointing) -> int:
    """Writes every recording down or says why it cannot be heard; returns how many cannot."""
    left_out = 0
    for sound, heard in transcripts(recognizer, sounds, endpointing):
        if isinstance(heard, DataError):
            left_out += 1
            tell(heard)
        else:
            writer.write(sound, heard)
    return left_out


def tell(error: DataError) -> None:
    """Names a recording that cannot be heard, above the progress bar where there is one."""
    sys.stdout.flush()
    tqdm.write(f"left out: {error}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("transcribe", "Write down what is said in sound files.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, help="default: dfcnn.ckpt; else, or for box, the network in the box")
    cli.add_device_target(arguments)
    arguments.add_argument("--format", choices=FORMATS, default="txt", help="default: txt, a line for each file")
    arguments.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write a file for each recording into it; or a FILE.jsonl, see below"
    )
    arguments.add_argument("--nbest", type=int, default=1, metavar="N", help="show N hypotheses of each, best first")
    add_flags(arguments)
    add_line_flags(arguments)
    add_stream_flags(arguments)
    add_bulk_flags(arguments)
    arguments.add_argument(
        "files", nargs="*", metavar="FILE", help="wav, flac, ogg or mp3, any rate, any channels; or a folder of them"
    )
    return arguments


def find_each(names: Sequence[str]) -> tuple[list[SoundFile], list[DataError]]:
    """The sound files that were named, and those in the folders that were named; and what is wrong with the others."""
    sounds: list[SoundFile] = []
    wrong: list[DataError] = []
    for name, inside in _each(names, wrong):
        try:
            sounds += [sound if inside is None else replace(sound, inside=inside) for sound in find([name])]
        except DataError as error:
            wrong.append(error)
        except OSError as error:
            wrong.append(unreadable(name, error))
    return sounds, wrong


def _each(names: Sequence[str], wrong: list[DataError]) -> Iterator[tuple[str, Path | None]]:
    """Every file, and where in a folder that was named it lies."""
    for name in names:
        if not os.path.isdir(name):
            yield name, None
            continue
        # Python passes over a folder that it may not look into.
        closed = [unreadable(error.filename, error) for error in errors_below(name)]
        wrong += closed
        try:
            yield from ((str(file), file.relative_to(name)) for file in in_folder(Path(name)))
        except DataError as error:
            wrong += [] if closed else [error]


def errors_below(folder: str) -> list[OSError]:
    """Why some of the folders below one, or it itself, cannot be listed."""
    found: list[OSError] = []
    for _ in os.walk(folder, onerror=found.append):
        pass
    return found


def transcripts(
    recognizer: Recognizer, sounds: Sequence[SoundFile], endpointing: Endpointing
) -> Iterator[tuple[SoundFile, Transcript | DataError]]:
    """Every file with what was heard in it, or why nothing was, each as soon as it and all before it are done."""
    done: dict[int, Transcript | DataError] = {}
    following = 0
    for batch in batches([sound.seconds for sound in sounds], unit="file"):
        done.update(zip(batch, hear_each(recognizer, [sounds[index] for index in batch], endpointing), strict=True))
        while following in done:
            yield sounds[following], done.pop(following)
            following += 1


def hear_each(
    recognizer: Recognizer, sounds: Sequence[SoundFile], endpointing: Endpointing
) -> list[Transcript | DataError]:
    """What is heard in each file, or why nothing is; long ones are cut at pauses, the others are heard in one batch."""
    waves: dict[int, np.ndarray] = {}
    found: dict[int, Transcript | DataError] = {}
    for index, sound in enumerate(sounds):
        try:
            if is_long(recognizer, sound.seconds):
                found[index] = transcript(recognizer, sound.file, endpointing)
            else:
                waves[index] = read_wave(sound.file)
        except DataError as error:  # damaged where its header did not tell, or gone since
            found[index] = error
        except OSError as error:
            found[index] = unreadable(sound.file, error)
    for index, heard in zip(waves, recognizer.hear_each(list(waves.values())), strict=True):
        wrong = isinstance(heard, DataError)
        found[index] = DataError(f"{sounds[index].file}: {heard}") if wrong else heard
    return [found[index] for index in range(len(sounds))]


if __name__ == "__main__":
    cli.run(main)
