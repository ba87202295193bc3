"""What was said in a recording, in the pieces that answers are made of: one text, segments at pauses, words."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from dfcnn_ms.audio.sound_files import SoundFile
from dfcnn_ms.recognizer import Transcript
from dfcnn_ms.reporting.timings import Recording, Timed, phrases
from dfcnn_ms.reporting.transcripts import timed_recording
from dfcnn_ms.streaming import StreamResult, joined

#: what stands for a probability of zero where a logarithm is wanted
_LEAST = 1e-10


@dataclass(frozen=True)
class Said:
    """What was said in a recording.

    Attributes:
        name: of the recording.
        seconds: how long it is.
        transcript: what was heard in it.
    """

    name: str
    seconds: float
    transcript: Transcript

    @property
    def sound(self) -> SoundFile:
        """The recording as the command line would name it."""
        return SoundFile(self.name, Path(self.name), self.seconds)

    @property
    def text(self) -> str:
        """Characters where there are some, else syllables."""
        written = self.transcript.characters
        return self.transcript.text if written is None else written

    @cached_property
    def recording(self) -> Recording:
        """Every syllable with its times."""
        return timed_recording(self.sound, self.transcript)

    @property
    def words(self) -> tuple[Timed, ...]:
        """The same, one after the other."""
        return self.recording.syllables

    @cached_property
    def segments(self) -> list[tuple[Timed, ...]]:
        """The words between one pause and the next."""
        ends = [phrase.end_seconds for phrase in phrases(self.words)]
        groups: list[list[Timed]] = [[] for _ in ends]
        for word in self.words:
            groups[bisect_left(ends, word.end_seconds)].append(word)
        return [tuple(group) for group in groups if group]


def whole(parts: Sequence[Said]) -> Said:
    """A recording whose parts were heard one after the other, as one."""
    if len(parts) == 1:
        return parts[0]
    results = [part.transcript for part in parts if isinstance(part.transcript, StreamResult)]
    return replace(parts[0], transcript=joined(results))


def written(word: Timed) -> str:
    """A word as answers show it: its character, or its syllable."""
    return word.characters or word.text


def pieces(words: Sequence[Timed]) -> list[str]:
    """What, one after the other, makes the text of some words: characters, or syllables with a blank before each."""
    if all(word.characters for word in words):
        return [word.characters for word in words]
    return [word.text if number == 0 else f" {word.text}" for number, word in enumerate(words)]


def text_of(words: Sequence[Timed]) -> str:
    """Some words as one text."""
    return "".join(pieces(words))


def log_prob(word: Timed) -> float:
    """How sure a word is, as a natural logarithm."""
    return math.log(max(word.score, _LEAST))
