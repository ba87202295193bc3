"""Some hundreds of people made of one voice: each with a throat, a pitch and a colour of their own.

Who there is does not depend on any seed: `man-017` is the same person in every corpus. Nobody is in two splits, and
nobody of one split is nearly like somebody of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from dfcnn_ms.corpora.sentences import SPLITS
from dfcnn_ms.corpora.voices.praat import Change
from dfcnn_ms.corpora.voices.spoken import Array, Prosody
from dfcnn_ms.errors import DataError

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


@lru_cache(maxsize=1)
def by_name() -> dict[str, Person]:
    """Everybody by name."""
    return {one.name: one for group in people().values() for one in group}


def changed(
    wave: Array, rate: int, person: Person, prosody: Prosody, changer: Changer, rng: np.random.Generator
) -> Array:
    """What the synthesiser's woman says (N,), said by somebody else, (N,).

    A change from which Praat does not come back is replaced by the next that is drawn, the same one in every run.

    Raises:
        DataError: no change can be made of this sound.
    """
    for _ in range(TRIES):
        other = changer.change(wave, rate, person.change(prosody, rng))
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
