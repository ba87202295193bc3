"""What a voice is asked, and what it gives: the contract of the room."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.wave import SAMPLE_RATE

Array: TypeAlias = NDArray[np.float64]
#: a spectrogram (T, M)
Frames: TypeAlias = NDArray[np.float32]


class Prosody(Protocol):
    """How something is said, in the measures of espeak-ng; see `Espeak.say_words`."""

    @property
    def rate(self) -> int:
        """Words per minute; 180 is the usual rate of a voice."""

    @property
    def pitch(self) -> int:
        """0 to 99; 50 is the natural pitch of a voice."""

    @property
    def pitch_range(self) -> int:
        """0 (monotone) to 99."""


class Voice(Protocol):
    """One synthesiser with all its speakers."""

    def check(self) -> None:
        """Makes sure that it can speak here.

        Raises:
            DeviceError: a package is missing; says how to install it.
        """

    def speakers(self, split: str) -> Sequence[str]:
        """Who speaks in a split, and in no other; who is named twice speaks twice as often."""

    def say(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> Array:
        """Speech alone, (N,) float64 at 16 kHz."""

    def edges(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> list[float]:
        """Seconds at which the syllables of what `say` gives for the same begin, and where the last ends (L+1,)."""


@dataclass(frozen=True)
class Rhythm:
    """Syllables longer and shorter than a synthesiser makes them.

    Attributes:
        spread: standard deviation of the logarithm of a syllable's length.
        hesitations: share of the syllables that are drawn out.
        drawn_out: how much longer these are, at least and at most.
        limits: of the factor by which the length of a syllable is multiplied.
    """

    spread: float = 0.18
    hesitations: float = 0.03
    drawn_out: tuple[float, float] = (1.4, 2.2)
    limits: tuple[float, float] = (0.6, 2.0)

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """A factor for the length of each syllable, (count,)."""
        factors = np.exp(self.spread * rng.standard_normal(count))
        longer = np.where(rng.random(count) < self.hesitations, rng.uniform(*self.drawn_out, size=count), 1.0)
        return np.asarray(np.clip(factors * longer, *self.limits), np.float64)


def stretched(spectrogram: Frames, starts: NDArray[np.int64], factors: Array) -> tuple[Frames, NDArray[np.int64]]:
    """Each syllable of a spectrogram (T, 80) longer by its factor (L,); the silence around stays as it is.

    Returns:
        The spectrogram (T', 80), and the frames at which its syllables begin, and where the last ends (L+1,).
    """
    lengths = np.diff(starts)
    longer = np.maximum(1, np.rint(lengths * factors).astype(np.int64))
    inside = [
        start + (np.arange(new) + 0.5) * old / new - 0.5
        for start, old, new in zip(starts[:-1], lengths, longer, strict=True)
    ]
    places = np.concatenate([np.arange(starts[0]), *inside, np.arange(starts[-1], len(spectrogram))])
    below = np.clip(np.floor(places).astype(np.int64), 0, len(spectrogram) - 1)
    above = np.minimum(below + 1, len(spectrogram) - 1)
    share = np.clip(places - below, 0, 1)[:, None]
    mixed = (1 - share) * spectrogram[below] + share * spectrogram[above]
    return mixed.astype(np.float32), np.asarray(starts[0] + np.cumsum([0, *longer]), np.int64)


class Sounding(Protocol):
    """What makes sound of spectrograms."""

    def sound(self, spectrogram: Frames) -> Array:
        """A spectrogram (T, M) as samples."""


def sound_of(synthesiser: Callable[[], Sounding], spectrogram: Frames) -> Array:
    """A spectrogram (T, M) as samples; the last ones are kept, for who says the same next."""
    return _sound(synthesiser, spectrogram.tobytes(), spectrogram.shape)


@lru_cache(maxsize=1)
def _sound(synthesiser: Callable[[], Sounding], spectrogram: bytes, shape: tuple[int, ...]) -> Array:
    wave = synthesiser().sound(np.frombuffer(spectrogram, np.float32).reshape(shape))
    wave.flags.writeable = False
    return wave


def cut_or_padded(wave: Array, length: int) -> Array:
    """Samples (N,) as so many, (length,): cut off, or with silence after them."""
    return np.asarray(np.pad(wave[:length], (0, max(0, length - len(wave)))), np.float64)


def at_16_khz(wave: Array, rate: int) -> Array:
    """Samples (N,) at another rate to 16 kHz, in arithmetic that is the same on every machine."""
    from scipy.signal import resample_poly

    common = math.gcd(SAMPLE_RATE, rate)
    up, down = SAMPLE_RATE // common, rate // common
    resampled: Array = resample_poly(wave, up, down, window=_lowpass(up, down))
    return resampled


@lru_cache(maxsize=4)
def _lowpass(up: int, down: int) -> Array:
    """The filter that `resample_poly` would design anew for every call."""
    from scipy.signal import firwin

    highest = max(up, down)
    taps: Array = firwin(20 * highest + 1, 1 / highest, window=("kaiser", 5.0))
    return taps
