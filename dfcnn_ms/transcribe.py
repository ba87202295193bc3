"""``python -m dfcnn_ms.transcribe``: writes down what is said in sound files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dfcnn_ms import cli
from dfcnn_ms.audio.wave import SOUND_SUFFIXES, duration, read_wave
from dfcnn_ms.decoding.options import add_flags, choice_of, decoders
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import write_text
from dfcnn_ms.recognizer import Recognizer, Transcript, by_length
from dfcnn_ms.reporting import timings

EXAMPLE = "python -m dfcnn_ms.transcribe --ckpt dfcnn.ckpt a.wav b.flac"

FORMATS = ("txt", *timings.FORMATS)
SUFFIXES = {"txt": ".txt", **timings.SUFFIXES}
#: formats in which several recordings can follow each other on the screen
IN_A_ROW = ("txt", "json", "ctm")
#: formats that have room for more than one hypothesis
WITH_ALTERNATIVES = ("txt", "json")
SUBTITLES = ("srt", "vtt")


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, listens, and writes one line or one file for each recording, in the order given."""
    options = _parser().parse_args(argv)
    choice = choice_of(options)
    choice.check_heard()
    recordings = find(options.files)
    writer = Writer(options.format, options.out, options.nbest)
    writer.check(recordings)

    recognizer = Recognizer.load(options.ckpt, options.device_target)
    stored = recognizer.meta.decoding if recognizer.meta else {}
    recognizer.decoder = decoders(choice, recognizer.vocabulary, stored)[choice.name]
    recognizer.hanzi = choice.load_hanzi()
    for recording, transcript in listen(recognizer, recordings):
        writer.write(recording, transcript)
    if options.out:
        print(f"transcripts: {len(recordings)} in {options.out}")


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


@dataclass(frozen=True)
class Recording:
    """A sound file.

    Attributes:
        file: as it was named.
        inside: its path inside the folder that was named, or its own name.
        seconds: how long it is.
    """

    file: str
    inside: Path
    seconds: float


def find(names: Sequence[str]) -> list[Recording]:
    """The sound files that were named, and those in the folders that were named; a wrong file is found here already.

    Raises:
        DataError: a file is not there, damaged or no sound, or a folder holds none.
    """
    found = []
    for name in names:
        if Path(name).is_dir():
            found += [Recording(str(file), file.relative_to(name), duration(file)) for file in sounds(Path(name))]
        else:
            found.append(Recording(name, Path(Path(name).name), duration(name)))
    return found


def sounds(folder: Path) -> list[Path]:
    """Every sound file below a folder, in the order of their names."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SOUND_SUFFIXES and file.is_file())
    if not files:
        raise DataError(f"{folder}: is a directory without a sound file ({', '.join(SOUND_SUFFIXES)}) in it")
    return files


def listen(recognizer: Recognizer, recordings: Sequence[Recording]) -> Iterator[tuple[Recording, Transcript]]:
    """Every recording with what was heard in it, in their order, each as soon as it and all before it are done."""
    done: dict[int, Transcript] = {}
    following = 0
    with tqdm(total=len(recordings), unit="file", disable=None, leave=False) as bar:
        for batch in by_length([recording.seconds for recording in recordings]):
            transcripts = recognizer.hear([read_wave(recordings[index].file) for index in batch])
            done.update(zip(batch, transcripts, strict=True))
            bar.update(len(batch))
            bar.clear()  # or what the caller prints would stand behind it
            while following in done:
                yield recordings[following], done.pop(following)
                following += 1


@dataclass(frozen=True)
class Writer:
    """Where transcripts go, and how they look there.

    Attributes:
        format: one of `FORMATS`.
        out: a folder with one file for each recording, or None for the screen.
        nbest: hypotheses of each recording.
    """

    format: str
    out: Path | None
    nbest: int

    def check(self, recordings: Sequence[Recording]) -> None:
        """Finds out before the work that its result has nowhere to go.

        Raises:
            ConfigError: what is wrong, and what to do about it.
        """
        if self.nbest > 1 and self.format not in WITH_ALTERNATIVES:
            raise ConfigError(f"--nbest {self.nbest}: {self.format} holds one hypothesis; use --format json or txt")
        if self.out is None:
            if len(recordings) > 1 and self.format not in IN_A_ROW:
                raise ConfigError(f"--format {self.format}: several recordings need --out FOLDER, a file for each")
            return
        if self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"--out {self.out}: is a file, wanted a folder")
        if not self.out.absolute().parent.is_dir():
            raise ConfigError(f"--out {self.out}: the folder {self.out.parent} does not exist; make it first")
        taken: dict[Path, str] = {}
        for recording in recordings:
            if (other := taken.setdefault(self.target(recording), recording.file)) != recording.file:
                raise ConfigError(f"--out {self.out}: {other} and {recording.file} would be written to the same file")

    def target(self, recording: Recording) -> Path:
        """The file that a recording is written to."""
        assert self.out is not None
        return self.out / recording.inside.with_suffix(SUFFIXES[self.format])

    def write(self, recording: Recording, transcript: Transcript) -> None:
        """Writes one recording to its file or to the screen."""
        text = self.text(recording, transcript)
        if self.out:
            write_text(self.target(recording), text)
        else:
            print(text, end="", flush=True)

    def text(self, recording: Recording, transcript: Transcript) -> str:
        """One recording in this format, with the last line break."""
        if self.format == "txt":
            return "".join(f"{line}\n" for line in lines(recording, transcript, ranked=self.nbest > 1))
        if self.format == "json":
            return json.dumps(page(recording, transcript), ensure_ascii=False, indent=2 if self.out else None) + "\n"
        timed = timed_recording(recording, transcript)
        if self.format in SUBTITLES:
            timed = timings.in_phrases(timed)
        return timings.FORMATS[self.format](timed)


def lines(recording: Recording, transcript: Transcript, *, ranked: bool) -> Iterator[str]:
    """The file and what was heard, between tabs; `ranked` adds rank and score, and a line for each alternative."""
    rest = [] if transcript.characters is None else [transcript.characters]
    if not ranked:
        yield "\t".join([recording.file, transcript.text, *rest])
        return
    for rank, one in enumerate([transcript, *transcript.alternatives], start=1):
        yield "\t".join([recording.file, str(rank), f"{one.score:.2f}", one.text, *(rest if rank == 1 else [])])


def page(recording: Recording, transcript: Transcript) -> dict[str, Any]:
    """Everything that is known, for programs."""
    known: dict[str, Any] = {"file": recording.file} | timings.to_dict(timed_recording(recording, transcript))
    known |= {"log_prob": round(transcript.log_prob, 3), "score": round(transcript.score, 3)}
    if transcript.sentence:
        scores = {"score": round(transcript.sentence.score, 3), "perplexity": round(transcript.sentence.perplexity, 2)}
        known["characters"] = {"text": transcript.sentence.text} | scores
    if transcript.alternatives:
        known["alternatives"] = [
            {"text": one.text, "confidence": round(one.confidence, 4), "score": round(one.score, 3)}
            for one in transcript.alternatives
        ]
    return known


def timed_recording(recording: Recording, transcript: Transcript) -> timings.Recording:
    """The syllables with their times; the last step may reach beyond the end of the sound, a time does not."""
    entries = zip(transcript.syllables, transcript.seconds, transcript.ends, transcript.confidences, strict=True)
    end = recording.seconds
    timed = tuple(timings.Timed(text, min(start, end), min(stop, end), score) for text, start, stop, score in entries)
    if transcript.sentence and len(transcript.sentence.units) == len(timed):  # else another hypothesis was more likely
        pairs = zip(timed, transcript.sentence.units, strict=True)
        timed = tuple(replace(one, characters=written) for one, written in pairs)
    return timings.Recording(recording.inside.stem, end, timed, transcript.confidence)


if __name__ == "__main__":
    cli.run(main)
