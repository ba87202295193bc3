"""A training corpus: utterances with their labels, and the way from a file to what enters the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dfcnn_ms.audio.augment_commands import FixLength
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.training.cache import FeatureCache
from dfcnn_ms.training.pack import Records

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Heard = TypeVar("Heard")

#: how often an utterance is augmented anew that became too long
_ATTEMPTS = 30


@dataclass(frozen=True)
class Corpus:
    """Utterances with their labels, and the way from a file to what enters the network.

    Attributes:
        utterances: what was said and where it lies.
        labels: ids of each utterance's units.
        frontend: samples -> features.
        augment_wave, augment_features, augment_spectrum: applied in training, with a generator of the utterance and
            epoch; the last one between the other two.
        seed: makes the augmentation of every (utterance, epoch) reproducible.
        cache: features that were computed before, or None.
        sound: packed samples, or None: then they are read from the sound files.
        room: how many times as long as it was recorded an utterance may become; what would be longer is augmented anew.
    """

    utterances: Sequence[Utterance]
    labels: Sequence[Sequence[int]]
    frontend: Frontend
    augment_wave: tuple[Augmentation, ...] = ()
    augment_features: tuple[Augmentation, ...] = ()
    augment_spectrum: tuple[Augmentation, ...] = ()
    seed: int = 0
    cache: FeatureCache | Records | None = None
    sound: Records | None = None
    room: float = math.inf

    def __len__(self) -> int:
        return len(self.utterances)

    def wave(self, index: int) -> np.ndarray:
        """The samples (N,) of one utterance as they were recorded."""
        return read_utterance(self.utterances[index]) if self.sound is None else self.sound[index]

    def features(self, index: int, epoch: int = 0, take: int = 0) -> np.ndarray:
        """The features (T, F) of one utterance as the network receives them in ``epoch``.

        Args:
            index: which utterance.
            epoch: from 0.
            take: how often it came before in this epoch; each time it is augmented in another way.
        """
        if self.cache is None:
            return self.augmented(index, epoch, take)[1]
        stored = self.cache[index]
        return self._fitting(index, (epoch, take), lambda rng: applied(stored, self.augment_features, rng), len)

    def augmented(self, index: int, epoch: int = 0, take: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The augmented samples (N,) of one utterance, and what becomes of them: the features (T, F)."""
        recorded = self.wave(index)

        def heard(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
            wave = applied(recorded, self.augment_wave, rng)
            return wave, applied(self._heard(wave, rng), self.augment_features, rng)

        return self._fitting(index, (epoch, take), heard, lambda both: len(both[1]))

    def _fitting(
        self,
        index: int,
        when: tuple[int, int],
        make: Callable[[np.random.Generator], Heard],
        frames: Callable[[Heard], int],
    ) -> Heard:
        """What ``make`` makes, by one generator after the other until it has room."""
        for attempt in range(_ATTEMPTS if self._is_tight else 1):
            made = make(self._rng(index, *when, attempt))
            if frames(made) <= self.longest_frames[index]:
                break
        return made

    def _heard(self, wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The features (T, F) of samples, by way of a changed spectrum where one is to be changed."""
        if not self.augment_spectrum:
            return self.frontend(wave)
        features: Any = self.frontend.features
        spectrum = applied(features.spectrum(wave), self.augment_spectrum, rng)
        return self.frontend.normalised(features.from_spectrum(spectrum))

    def _rng(self, index: int, epoch: int, take: int, attempt: int) -> np.random.Generator:
        later = (take, attempt) if attempt else (take,) if take else ()
        return np.random.default_rng((self.seed, epoch, index, *later))

    @cached_property
    def longest_frames(self) -> list[int]:
        """The most frames that :meth:`features` may return, for each utterance."""
        return [self.frames(index) for index in range(len(self))]

    def frames(self, index: int) -> int:
        """The most frames that :meth:`features` may return for one utterance."""
        wave, features = self._stretch
        samples = math.ceil(self.utterances[index].seconds * SAMPLE_RATE) + 1
        count = self.frontend.features.num_frames
        most = math.ceil(count(math.ceil(samples * wave)) * features)
        return min(most, math.ceil(count(samples) * self.room)) if self._is_tight else most

    @property
    def _is_tight(self) -> bool:
        """Whether augmentation may make an utterance longer than there is room for."""
        return math.prod(self._stretch) > self.room

    @cached_property
    def _stretch(self) -> tuple[float, float]:
        """How many times longer augmentation may make the samples, and then the features."""
        return math.prod(map(longest, self.augment_wave)), math.prod(map(longest, self.augment_features))


def applied(x: np.ndarray, augmentations: Sequence[Augmentation], rng: np.random.Generator) -> np.ndarray:
    """Samples or features after one augmentation after the other."""
    for augment in augmentations:
        x = augment(x, rng)
    return x


def longest(augmentation: Augmentation) -> float:
    """How many times longer an augmentation may make an utterance; 1 unless it says otherwise."""
    return float(getattr(augmentation, "longest", 1.0))


def open_corpus(
    utterances: Sequence[Utterance],
    labels: Sequence[Sequence[int]],
    frontend: Frontend,
    *,
    cache: Path | None = None,
    packed: Records | None = None,
    augment_wave: tuple[Augmentation, ...] = (),
    augment_features: tuple[Augmentation, ...] = (),
    augment_spectrum: tuple[Augmentation, ...] = (),
    seed: int = 0,
    room: float = math.inf,
) -> Corpus:
    """A corpus that is read from its files, from its pack, or from features cached in the folder ``cache``."""
    if cache is not None and packed is not None:
        raise ConfigError("data.cache and data.packed exclude each other; pack the features instead")
    if cache is not None and (augment_wave or augment_spectrum):
        which = "wave" if augment_wave else "spectrum"
        raise ConfigError(f"data.cache and augment.{which} exclude each other: cached features know no wave; drop one")
    if packed is not None and packed.bins and (augment_wave or augment_spectrum):
        which = "wave" if augment_wave else "spectrum"
        raise ConfigError(
            f"packed features and augment.{which} exclude each other: pack the audio, or drop augment.{which}"
        )
    if not hasattr(frontend.features, "from_spectrum"):
        _check_no_clip(frontend, augment_wave, augment_spectrum)
    for augment in (*augment_wave, *augment_spectrum):
        getattr(augment, "check", lambda: None)()
    stored = None if cache is None else FeatureCache.open(cache, utterances, frontend)
    pictures, sound = (packed, None) if packed is not None and packed.bins else (stored, packed)
    steps = augment_wave, augment_features, augment_spectrum
    return Corpus(utterances, labels, frontend, *steps, seed, pictures, sound, room)


def _check_no_clip(
    frontend: Frontend, augment_wave: Sequence[Augmentation], augment_spectrum: Sequence[Augmentation]
) -> None:
    """Refuses what only features of one length can bear."""
    kind, cure = type(frontend.features).__name__, "set features.kind=clip_mel, or drop it"
    if augment_spectrum:
        raise ConfigError(f"augment.spectrum: {kind} has no spectrum to change; {cure}")
    if any(isinstance(augment, FixLength) for augment in augment_wave):
        raise ConfigError(f"augment.wave: {kind} are as long as the sound, which fix_length changes; {cure}")
