"""What strings of recordings say, and how: drawn from the recordings of one speaker at a time. Nothing is heard here.

Every recording of a speaker is drawn before one is drawn again, and none twice in a string. String i of a split draws
its manner from a generator of its own, so that it does not depend on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from dfcnn_ms.corpora.gather import SPLITS
from dfcnn_ms.corpora.joining import Part, Span, placed
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.corpora.voices import people as voices
from dfcnn_ms.corpora.voices.people import Person, Source
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.reporting.timings import Recording, Timed, ctm
from dfcnn_ms.text.characters import has_hanzi

TRAIN, DEV, TEST = 3000, 300, 600
LEAST, MOST = 1, 5
GAPS = "-0.04,0.4"
UNCHANGED = 0.2
PACE = "1,1"
#: recordings in a string, and seconds of a pause
LONGEST, GAP_LIMITS = 100, (-0.2, 5.0)
#: of the length of a string, what is left of it at least and at most
PACES = (0.4, 1.0)
#: decibels by which recordings are louder or fainter than each other, and rms of a string, relative to full scale
GAIN_DB, LEVELS_DB = 3.0, (-32.0, -16.0)
#: milliseconds before the first word and after the last
SILENCE_MS = (100, 400)

# Streams of random numbers.
_WHO, _DECK, _MANNER, _SOUND, _PACE = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Plan:
    """What the recipe is told.

    Attributes:
        root: folder with manifests of single words, or one manifest; several with commas between them.
        out: folder for manifests and sound.
        train, dev, test: strings of each split; without recordings of a split there are none.
        least, most: recordings in a string.
        gaps: the shortest pause between two of them and the longest, in seconds, such as `0,0.4`; below 0 they overlap.
        people: how many are made of each speaker for training; dev and test have others, all of theirs.
        unchanged: share of the strings that stay as spoken, if there are people.
        pace: how long the others become, least and most, as a share of how long they were spoken: words said alone are
            slow.
        seed: another one makes other strings.
        workers: processes; as many as the machine has cores if not given, 1 uses no other process.
        progress: show a progress bar when stderr is a terminal.
    """

    root: str
    out: Path
    _: KW_ONLY
    train: int = TRAIN
    dev: int = DEV
    test: int = TEST
    least: int = LEAST
    most: int = MOST
    gaps: str = GAPS
    people: int = 0
    unchanged: float = UNCHANGED
    pace: str = PACE
    seed: int = 0
    workers: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        for split in SPLITS:
            _require(self.count(split) >= 1, f"{split}: cannot make {self.count(split)} strings; give 1 or more")
        _require(1 <= self.least <= LONGEST, f"least must be 1 to {LONGEST} recordings; got {self.least}")
        _require(
            self.least <= self.most <= LONGEST,
            f"most must be {self.least} (least) to {LONGEST} recordings; got {self.most}",
        )
        known = len(voices.people()["train"])
        _require(0 <= self.people <= known, f"people must be 0 to {known}; got {self.people}")
        _require(0 <= self.unchanged <= 1, f"unchanged must be a share from 0 to 1; got {self.unchanged}")
        _require(self.seed >= 0, f"seed must be 0 or more; got {self.seed}")
        _require(self.workers is None or self.workers >= 1, f"workers must be 1 or more; got {self.workers}")
        self.pauses_ms()
        hurry = self.paces() != (1, 1)
        _require(self.people > 0 or not hurry, f"pace: {self.pace} wants people, whom Praat lets hurry")

    def count(self, split: str) -> int:
        """How many strings of a split are wanted."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[split]

    def pauses_ms(self) -> tuple[int, int]:
        """The shortest and the longest pause."""
        shortest, longest = _range("gaps", self.gaps, "numbers of seconds", GAP_LIMITS, GAPS)
        return round(1000 * shortest), round(1000 * longest)

    def paces(self) -> tuple[float, float]:
        """What is left of the length of a string, at least and at most."""
        return _range("pace", self.pace, "shares of a length", PACES, "0.55,1")

    @property
    def needed(self) -> int:
        """How many recordings somebody must have: one alone gives no string."""
        return max(self.least, min(self.most, 2))

    def rng(self, split: str, stream: int, number: int = 0) -> np.random.Generator:
        """Random numbers of a split for one purpose."""
        return np.random.default_rng([self.seed, SPLITS.index(split), stream, number])


@dataclass(frozen=True)
class Word:
    """A recording, where somebody speaks in it, and how high (NaN: not known)."""

    recording: Utterance
    span: Span
    pitch_hz: float = math.nan


@dataclass(frozen=True)
class Speaker:
    """Somebody, what they said, what is known of their voice, and who can be made of them."""

    name: str
    words: tuple[Word, ...]
    source: Source = Source()  # noqa: RUF009 (a frozen value)
    people: tuple[Person, ...] = ()


@dataclass(frozen=True)
class String:
    """One utterance to be made: everything that a process needs to know.

    Attributes:
        id, split, speaker: as in its line of the manifest.
        path: of the sound.
        parts: what is said, and where.
        length_ms: of all.
        level_db: rms, relative to full scale.
        seed: of the random numbers of its sound.
        person, source: who says it in place of its speaker, and what is known of that speaker's voice.
        pace: how long all of it is then, as a share.
    """

    id: str
    split: str
    speaker: str
    path: Path
    parts: tuple[Part, ...]
    length_ms: int
    level_db: float
    seed: tuple[int, ...]
    person: Person | None = None
    source: Source = Source()  # noqa: RUF009 (a frozen value)
    pace: float = 1.0

    @property
    def seconds(self) -> float:
        """How long it is, in whole milliseconds."""
        return round(self.length_ms * self.pace) / 1000

    def utterance(self) -> Utterance:
        """Its line in the manifest."""
        said = [part.recording for part in self.parts]
        return Utterance(
            id=self.id,
            audio=f"audio/{self.split}/{self.path.name}",
            seconds=self.seconds,
            pinyin=tuple(unit for one in said for unit in one.pinyin),
            text=_together([one.text for one in said]),
            speaker=self.speaker,
            split=self.split,
        )

    def times(self) -> str:
        """Its lines in the form of NIST, one for each recording; the middle of an overlap parts two of them."""
        middles = [(before.end_ms + after.at_ms) / 2 for before, after in pairwise(self.parts)]
        starts = [max(part.at_ms, middle) for part, middle in zip(self.parts, (0, *middles), strict=True)]
        ends = [min(part.end_ms, middle) for part, middle in zip(self.parts, (*middles, math.inf), strict=True)]
        words = tuple(
            Timed(" ".join(part.recording.pinyin), self.pace * start / 1000, self.pace * end / 1000, 1.0)
            for part, start, end in zip(self.parts, starts, ends, strict=True)
        )
        return ctm(Recording(self.id, self.seconds, words))


class Deck:
    """The numbers below a count in random order, again and again; a hand of them holds none twice."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self._count, self._rng = count, rng
        self._left: list[int] = []

    def draw(self, number: int) -> list[int]:
        """So many of them, no more than there are."""
        hand, self._left = self._left[:number], self._left[number:]
        if len(hand) < number:
            fresh = self._rng.permutation(self._count).tolist()
            more = [card for card in fresh if card not in hand][: number - len(hand)]
            self._left = [card for card in fresh if card not in more]
            hand += more
        return hand


@dataclass(frozen=True)
class Drawing:
    """Strings of one split.

    Attributes:
        split: of all that is said.
        speakers: each with enough words for the shortest string.
        plan: how strings are made.
        name: how their ids begin.
    """

    split: str
    speakers: tuple[Speaker, ...]
    plan: Plan
    name: str

    def strings(self) -> Iterator[String]:
        """Those that are wanted; who has said more, says more of them."""
        plan, rng = self.plan, self.plan.rng(self.split, _WHO)
        decks = [Deck(len(one.words), plan.rng(self.split, _DECK, number)) for number, one in enumerate(self.speakers)]
        sizes = np.array([len(one.words) for one in self.speakers])
        for index in range(plan.count(self.split)):
            place = int(rng.choice(len(sizes), p=sizes / sizes.sum()))
            length = min(int(rng.integers(plan.least, plan.most, endpoint=True)), int(sizes[place]))
            yield self._string(index, self.speakers[place], decks[place].draw(length))

    def _string(self, index: int, speaker: Speaker, chosen: Sequence[int]) -> String:
        """What somebody says, in a manner at random."""
        rng, (low, high) = self.plan.rng(self.split, _MANNER, index), self.plan.pauses_ms()
        words = [(speaker.words[number].recording, speaker.words[number].span) for number in chosen]
        longest = rng.uniform(low, high)  # some people speak without a pause
        pauses = [round(ms) for ms in rng.uniform(low, longest, len(words) - 1)]
        before, after = (int(ms) for ms in rng.integers(*SILENCE_MS, endpoint=True, size=2))
        parts = placed(words, pauses, rng.uniform(-GAIN_DB, GAIN_DB, len(words)).tolist(), before)
        person = _somebody(speaker.people, self.plan.unchanged, rng)
        return String(
            id=f"{self.name}-{self.split}-{index:05d}",
            split=self.split,
            speaker=f"{speaker.name}-{person.name}" if person else speaker.name,
            path=Path(self.plan.out, "audio", self.split, f"{index:05d}.flac"),
            parts=parts,
            length_ms=parts[-1].end_ms + after,
            level_db=float(rng.uniform(*LEVELS_DB)),
            seed=(self.plan.seed, SPLITS.index(self.split), _SOUND, index),
            person=person,
            source=speaker.source,
            pace=self.plan.rng(self.split, _PACE, index).uniform(*self.plan.paces()) if person else 1.0,
        )


def _somebody(people: Sequence[Person], unchanged: float, rng: np.random.Generator) -> Person | None:
    """One of some people, or nobody in a share of the cases, or if there are none."""
    changed, number = rng.random() >= unchanged, rng.integers(max(1, len(people)))
    return people[number] if people and changed else None


def _together(texts: Sequence[str]) -> str:
    """Texts as one; nothing if one of them is not known."""
    if not all(texts):
        return ""
    return ("" if all(map(has_hanzi, texts)) else " ").join(texts)


def _range(name: str, given: str, of: str, limits: tuple[float, float], example: str) -> tuple[float, float]:
    """Two numbers with a comma between them."""
    low, high = limits
    try:
        least, most = (float(part) for part in given.split(","))
    except ValueError:
        least, most = high, low
    _require(
        low <= least <= most <= high,
        f"{name} must be two {of} from {low} to {high}, the smaller first, such as {example}; got {given!r}",
    )
    return least, most


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
