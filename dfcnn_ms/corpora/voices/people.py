"""Some hundreds of people made of one voice: each with a throat, a pitch and a colour of their own.

The voice is the synthesiser's woman, or anybody who was recorded (`Source`): of a man other factors make the same
throat, and no child.

Who there is does not depend on any seed: `man-017` is the same person in every corpus. Nobody is in two splits, and
nobody of one split is nearly like somebody of another.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.pitch import OCTAVES, REFERENCE_HZ, VOICING, Pitch
from dfcnn_ms.audio.wave import resample
from dfcnn_ms.corpora.sentences import SPLITS
from dfcnn_ms.corpora.voices.praat import PITCH_HZ, Change
from dfcnn_ms.corpora.voices.spoken import Array, Prosody
from dfcnn_ms.errors import DataError

logger = logging.getLogger(__name__)

COUNTS = {"train": 300, "dev": 24, "test": 36}
#: people nearer than this in both, formants as a share and pitch in semitones, are alike
ALIKE_FORMANTS, ALIKE_SEMITONES = 0.012, 0.5
#: dB, the greatest part of each cosine that makes the colour of a voice
COLOUR_DB = 2.5
#: transformations of an utterance that are tried before it is given up
TRIES = 5
_SEED = 2026


@dataclass(frozen=True)
class Kind:
    """One kind of people.

    Attributes:
        share: how many of all.
        formants: least and greatest factor for the formants of the synthesiser's woman.
        median_hz: least and greatest median of the pitch.
    """

    share: float
    formants: tuple[float, float]
    median_hz: tuple[float, float]


KINDS = {
    "man": Kind(0.45, (0.78, 0.92), (85.0, 165.0)),
    "woman": Kind(0.40, (0.92, 1.07), (165.0, 265.0)),
    "child": Kind(0.15, (1.07, 1.25), (230.0, 340.0)),
}
#: factors for the formants beyond which a voice is no longer one; those of the synthesiser's woman all lie within
FORMANTS = (0.78, 1.25)
#: medians of the pitch below which a source is taken for a man, and from which for a child
MAN_BELOW_HZ, CHILD_FROM_HZ = 165.0, 300.0


@dataclass(frozen=True)
class Source:
    """Whom others are made of.

    Attributes:
        formants: beside those of the synthesiser's woman, as a factor.
        search_hz: between which the pitch lies.
    """

    formants: float = 1.0
    search_hz: tuple[float, float] = PITCH_HZ

    @classmethod
    def of(cls, median_hz: float) -> Source:
        """Somebody of whom only the usual median of the pitch is known: the throat is the middle one of such people."""
        kind = "man" if median_hz < MAN_BELOW_HZ else "woman" if median_hz < CHILD_FROM_HZ else "child"
        lowest, highest = PITCH_HZ
        return cls(
            formants=math.fsum(KINDS[kind].formants) / 2,
            search_hz=(min(lowest, 0.55 * median_hz), min(highest, 2.5 * median_hz)),
        )

    def can_be(self, person: Person) -> bool:
        """Whether this person can be made of the source without a factor that spoils the voice."""
        return FORMANTS[0] <= person.formants / self.formants <= FORMANTS[1]

    def made(self, change: Change) -> Change:
        """What is to be done to this voice, where the change was meant for the synthesiser's woman."""
        return replace(change, formants=change.formants / self.formants, search_hz=self.search_hz)

    def bearing(self, person: Person) -> Source:
        """The same, taken for somebody nearer to a person whom it cannot be, as near as a voice bears."""
        factor = min(max(person.formants / self.formants, FORMANTS[0]), FORMANTS[1])
        return replace(self, formants=person.formants / factor)


@dataclass(frozen=True)
class Person:
    """Somebody who speaks.

    Attributes:
        formants: factor for the formants of the synthesiser's woman.
        median_hz: the usual median of the pitch.
        pitch_range: factor for the distance of the pitch from its median.
        colour: dB of three cosines over the axis of Bark, the spectrum of this voice beside that of others.
    """

    name: str
    formants: float
    median_hz: float
    pitch_range: float
    colour: tuple[float, float, float]

    def change(self, prosody: Prosody, rng: np.random.Generator) -> Change:
        """What is to be done to the synthesiser's voice; every draw another one, all of the same person."""
        semitones = (prosody.pitch - 57.5) / 17.5 * 2 + 0.5 * rng.standard_normal()
        return Change(
            formants=self.formants * rng.uniform(0.995, 1.005),
            median_hz=self.median_hz * 2 ** (semitones / 12),
            pitch_range=self.pitch_range * rng.uniform(0.9, 1.1),
        )

    def is_like(self, other: Person) -> bool:
        """Whether two people can hardly be told apart."""
        semitones = 12 * np.log2(self.median_hz / other.median_hz)
        return abs(self.formants - other.formants) < ALIKE_FORMANTS and abs(semitones) < ALIKE_SEMITONES


def median_hz(wave: NDArray[np.floating]) -> float:
    """The median of the pitch in samples (N,) at 16 kHz; not a number where nothing has one."""
    frames = Pitch(high_hz=PITCH_HZ[1])(np.asarray(wave, np.float32))  # (T, 3)
    octaves = frames[frames[:, VOICING] > 0.5, OCTAVES]
    return REFERENCE_HZ * 2 ** float(np.median(octaves)) if len(octaves) else math.nan


class Changer(Protocol):
    """What turns a voice into another; see `praat.Praat`."""

    def change(self, wave: Array, rate: int, change: Change) -> Array | None:
        """Samples (N,) of another speaker, or nothing if this change cannot be made."""


@lru_cache(maxsize=1)
def people() -> dict[str, tuple[Person, ...]]:
    """Everybody, by split; those of test and dev first, so that those of train keep away from them."""
    rng, found = np.random.default_rng(_SEED), dict[str, tuple[Person, ...]]()
    for split in reversed(SPLITS):
        others = [one for group in found.values() for one in group]
        first = len(others)
        found[split] = tuple(_somebody(first + number, others, rng) for number in range(COUNTS[split]))
    return found


def taking_turns(split: str, another: str, share: int) -> tuple[str, ...]:
    """The people of a split by name, and somebody else in every so many places."""
    names, others = [one.name for one in people()[split]], share - 1
    turns = [[*names[first : first + others], another] for first in range(0, len(names), others)]
    return tuple(name for turn in turns for name in turn)


@lru_cache(maxsize=1)
def by_name() -> dict[str, Person]:
    """Everybody by name."""
    return {one.name: one for group in people().values() for one in group}


def changed(
    wave: Array,
    rate: int,
    person: Person,
    prosody: Prosody,
    changer: Changer,
    rng: np.random.Generator,
    source: Source = Source(),
    pace: float = 1.0,
) -> Array:
    """What a source, usually the synthesiser's woman, says (N,), said by somebody else, (pace N,).

    A change from which Praat does not come back is replaced by the next that is drawn, the same one in every run.
    What Praat refuses, a syllable in which it finds no pitch, keeps its throat and pitch and gets the colour alone;
    where it has to become shorter, by resampling.

    Raises:
        DataError: no change can be made of this sound.
    """
    for _ in range(TRIES):
        try:
            change = replace(source.made(person.change(prosody, rng)), pace=pace)
            other = changer.change(wave, rate, change)
        except DataError as error:
            logger.debug("%s: %s", person.name, error)
            shorter = wave if pace == 1 else resample(wave.astype(np.float32), rate, rate * pace).astype(np.float64)
            return coloured(shorter, rate, person.colour)
        if other is not None:
            return coloured(other, rate, person.colour)
    raise DataError(f"none of {TRIES} transformations into {person.name} came back; make the corpus with another seed")


def coloured(wave: Array, rate: int, colour: tuple[float, ...]) -> Array:
    """Samples (N,) through a filter without delay whose dB are a sum of cosines over the axis of Bark, (N,)."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(wave), real=True)
    hz = np.arange(size // 2 + 1) * rate / size
    place = np.minimum(np.arcsinh(hz / 600) / np.arcsinh(8000 / 600), 1.0)
    decibels = sum(part * np.cos(np.pi * (number + 1) * place) for number, part in enumerate(colour))
    return np.asarray(irfft(rfft(wave, size) * 10 ** (decibels / 20), size)[: len(wave)])


def _somebody(number: int, others: list[Person], rng: np.random.Generator) -> Person:
    """Somebody unlike all others of the splits that are there already."""
    kind = str(rng.choice(list(KINDS), p=[one.share for one in KINDS.values()]))
    while True:
        person = _drawn(f"{kind}-{number:03d}", KINDS[kind], rng)
        if not any(person.is_like(other) for other in others):
            return person


def _drawn(name: str, kind: Kind, rng: np.random.Generator) -> Person:
    return Person(
        name=name,
        formants=float(rng.uniform(*kind.formants)),
        median_hz=float(np.exp(rng.uniform(*np.log(kind.median_hz)))),
        pitch_range=float(rng.uniform(0.75, 1.3)),
        colour=tuple(float(part) for part in rng.uniform(-COLOUR_DB, COLOUR_DB, size=3)),  # type: ignore[arg-type]
    )
