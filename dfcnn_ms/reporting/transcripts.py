"""Transcripts on the screen or in files, in the format that was asked for."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from dfcnn_ms.audio.sound_files import SoundFile
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import write_text
from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.line_breaks import CHINESE, LAYOUT, LETTERS, Layout

if TYPE_CHECKING:
    from dfcnn_ms.decoding.hanzi import Sentence
    from dfcnn_ms.recognizer import Transcript

FORMATS = ("txt", *timings.FORMATS)
SUFFIXES = {"txt": ".txt", **timings.SUFFIXES}
#: formats in which several recordings can follow each other on the screen
IN_A_ROW = ("txt", "json", "ctm")
#: formats that have room for more than one hypothesis
WITH_ALTERNATIVES = ("txt", "json")
SUBTITLES = ("srt", "vtt")


@dataclass(frozen=True)
class Writer:
    """Where transcripts go, and how they look there.

    Attributes:
        format: one of `FORMATS`.
        out: a folder with one file for each recording, or None for the screen.
        nbest: hypotheses of each recording.
        layout: what a line of subtitles may be.
        named: whether a hypothesis is a class, which has a probability; those of a text have scores.
    """

    format: str
    out: Path | None
    nbest: int
    layout: Layout = LAYOUT
    named: bool = False

    def check(self, sounds: Sequence[SoundFile]) -> None:
        """Finds out before the work that its result has nowhere to go.

        Raises:
            ConfigError: what is wrong, and what to do about it.
        """
        if self.nbest > 1 and self.format not in WITH_ALTERNATIVES:
            raise ConfigError(f"--nbest {self.nbest}: {self.format} holds one hypothesis; use --format json or txt")
        if self.out is None:
            if len(sounds) > 1 and self.format not in IN_A_ROW:
                raise ConfigError(f"--format {self.format}: several recordings need --out FOLDER, a file for each")
            return
        if self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"--out {self.out}: is a file, wanted a folder")
        if not self.out.absolute().parent.is_dir():
            raise ConfigError(f"--out {self.out}: the folder {self.out.parent} does not exist; make it first")
        taken: dict[Path, str] = {}
        for one in sounds:
            if (other := taken.setdefault(self.target(one), one.file)) != one.file:
                raise ConfigError(f"--out {self.out}: {other} and {one.file} would be written to the same file")

    def target(self, sound: SoundFile) -> Path:
        """The file that a recording is written to."""
        assert self.out is not None
        return self.out / sound.inside.with_suffix(SUFFIXES[self.format])

    def write(self, sound: SoundFile, transcript: Transcript) -> None:
        """Writes one recording to its file or to the screen."""
        text = self.text(sound, transcript)
        if self.out:
            write_text(self.target(sound), text)
        else:
            tqdm.write(text, end="")  # above the progress bar, where there is one
            sys.stdout.flush()

    def text(self, sound: SoundFile, transcript: Transcript) -> str:
        """One recording in this format, with the last line break."""
        if self.format == "txt":
            return "".join(f"{line}\n" for line in lines(sound, transcript, ranked=self.nbest > 1, named=self.named))
        if self.format == "json":
            known = page(sound, transcript, self.layout)
            return json.dumps(known, ensure_ascii=False, indent=2 if self.out else None) + "\n"
        timed = timed_recording(sound, transcript)
        if self.format in SUBTITLES:
            timed = timings.in_phrases(timed, self.layout)
        return timings.FORMATS[self.format](timed)


def lines(sound: SoundFile, transcript: Transcript, *, ranked: bool, named: bool = False) -> Iterator[str]:
    """The file and what was heard, between tabs; `ranked` adds rank and score, and a line for each alternative.

    In the place of its score a hypothesis that is `named`, a class, has its probability.
    """
    rest = [] if transcript.characters is None else [transcript.characters]
    if not ranked:
        yield "\t".join([sound.file, transcript.text, *rest])
        return
    for rank, one in enumerate([transcript, *transcript.alternatives], start=1):
        value = f"{one.confidence:.4f}" if named else f"{one.score:.2f}"
        yield "\t".join([sound.file, str(rank), value, one.text, *(rest if rank == 1 else [])])


def page(sound: SoundFile, transcript: Transcript, layout: Layout = LAYOUT) -> dict[str, Any]:
    """Everything that is known, for programs; the lines are those of subtitles, while they are said."""
    timed = timed_recording(sound, transcript)
    known: dict[str, Any] = {"file": sound.file} | timings.to_dict(timed)
    known["lines"] = [timings.entry(one) for one in timings.phrases(timed.syllables, layout)]
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


def timed_recording(sound: SoundFile, transcript: Transcript) -> timings.Recording:
    """The syllables with their times; the last step may reach beyond the end of the sound, a time does not."""
    entries = zip(transcript.syllables, transcript.starts, transcript.ends, transcript.confidences, strict=True)
    end = sound.seconds
    timed = tuple(timings.Timed(text, min(start, end), min(stop, end), score) for text, start, stop, score in entries)
    if transcript.sentence and len(transcript.sentence.units) == len(timed):  # else another hypothesis was more likely
        continues = _inside_words(transcript.sentence)
        triples = zip(timed, transcript.sentence.units, continues, strict=True)
        timed = tuple(replace(one, characters=written, continues=inside) for one, written, inside in triples)
    return timings.Recording(sound.inside.stem, end, timed, transcript.confidence)


def _inside_words(sentence: Sentence) -> list[bool]:
    """Of each unit of a sentence, whether it is in one word with the one before it."""
    begins, place = set(), 0
    for word in sentence.words:
        begins.add(place)
        place += len(word)
    places = itertools.accumulate((len(unit) for unit in sentence.units), initial=0)
    return [place not in begins for place, _ in zip(places, sentence.units, strict=False)]


def add_line_flags(arguments: argparse.ArgumentParser) -> None:
    """Adds the flags that :func:`layout_of` reads."""
    group = arguments.add_argument_group("lines of srt, vtt and json")
    group.add_argument(
        "--line-characters",
        type=int,
        metavar="N",
        help=f"most of a line (default: {CHINESE} of Chinese text, {LETTERS} letters)",
    )
    group.add_argument(
        "--line-seconds", type=float, default=LAYOUT.seconds, metavar="S", help=f"default: {LAYOUT.seconds:g}"
    )


def layout_of(options: argparse.Namespace) -> Layout:
    """What the flags say of lines.

    Raises:
        ConfigError: it cannot be.
    """
    return Layout(options.line_characters, options.line_seconds)
