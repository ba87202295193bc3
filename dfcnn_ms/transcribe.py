"""``python -m dfcnn_ms.transcribe``: writes down what is said in sound files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.audio.sound_files import SoundFile, find
from dfcnn_ms.audio.wave import read_wave
from dfcnn_ms.decoding.options import add_flags, check_heard, choice_of, decoders
from dfcnn_ms.recognizer import Recognizer, Transcript, batches
from dfcnn_ms.reporting.transcripts import FORMATS, Writer

EXAMPLE = "python -m dfcnn_ms.transcribe --ckpt dfcnn.ckpt a.wav b.flac"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, listens, and writes one line or one file for each recording, in the order given."""
    argv = cli.with_plugins(argv)
    options = _parser().parse_args(argv)
    choice = choice_of(options)
    check_heard(choice)
    sounds = find(options.files)
    writer = Writer(options.format, options.out, options.nbest)
    writer.check(sounds)

    recognizer = Recognizer.load(options.ckpt, options.device_target)
    stored = recognizer.meta.decoding if recognizer.meta else {}
    recognizer.decoder = decoders(choice, recognizer.vocabulary, stored, recognizer.task.outputs).decoder
    recognizer.hanzi = choice.load_hanzi()
    for sound, transcript in transcripts(recognizer, sounds):
        writer.write(sound, transcript)
    if options.out:
        print(f"transcripts: {len(sounds)} in {options.out}")


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("transcribe", "Write down what is said in sound files.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, default=Path("dfcnn.ckpt"), help="default: dfcnn.ckpt")
    cli.add_device_target(arguments)
    arguments.add_argument("--format", choices=FORMATS, default="txt", help="default: txt, a line for each file")
    arguments.add_argument("--out", type=Path, metavar="FOLDER", help="write a file for each recording into it")
    arguments.add_argument("--nbest", type=int, default=1, metavar="N", help="show N hypotheses of each, best first")
    add_flags(arguments)
    arguments.add_argument(
        "files", nargs="+", metavar="FILE", help="wav, flac, ogg or mp3, any rate, any channels; or a folder of them"
    )
    return arguments


def transcripts(recognizer: Recognizer, sounds: Sequence[SoundFile]) -> Iterator[tuple[SoundFile, Transcript]]:
    """Every file with what was heard in it, in their order, each as soon as it and all before it are done."""
    done: dict[int, Transcript] = {}
    following = 0
    for batch in batches([sound.seconds for sound in sounds], unit="file"):
        transcripts = recognizer.hear([read_wave(sounds[index].file) for index in batch])
        done.update(zip(batch, transcripts, strict=True))
        while following in done:
            yield sounds[following], done.pop(following)
            following += 1


if __name__ == "__main__":
    cli.run(main)
