"""From samples to pictures: frozen, callable features, (N,) -> (T, F) float32.

All of them look through a window, of 25 ms unless they say otherwise, that moves by 10 ms. Nothing is padded at the
start: frame t begins at exactly ``t * hop_ms``.

>>> wave = np.zeros(16_000, dtype=np.float32)
>>> LogMel(n_mels=80)(wave).shape
(98, 80)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.preprocess import PREPROCESS
from dfcnn_ms.audio.wave import LONGEST_SECONDS, Array, unsound_sample
from dfcnn_ms.components import component
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.quoting import quoted

if TYPE_CHECKING:
    from dfcnn_ms.audio.fft import PowerSpectrum

WINDOWS: dict[str, Callable[[int], NDArray[np.float64]]] = {
    "hamming": lambda n: 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(n) / n),
    "hann": lambda n: 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n),
    "rectangular": np.ones,
}

# Far beyond what anybody wants; memory for filters and frames is asked for when a page is read.
_MOST = {"sample_rate": 768_000, "window_ms": 1000.0, "hop_ms": 1000.0, "n_fft": 1 << 14, "n_mels": 512, "floor": 1e6}
#: so many frames of an utterance count as much as all that was known before it, in a running estimate
PRIOR_FRAMES = 50
#: of a bin that never moves, where the training set's is 1
LEAST_VARIANCE = 1e-6
#: deviations below are rounding, not sound
STD_FLOOR = 1e-3
# Some seconds: small enough for a CPU cache, large enough to hide the cost of a call.
_BLOCK_FRAMES = 256
#: so little of a training set or an utterance is known where nothing is
_LEAST_KNOWN = 1e-9
# Neighbouring mel bands share their Fourier bins, so that a product over few bands can leave out the others.
_BANDS_AT_ONCE = 20


@dataclass(frozen=True)
class Features(ABC):
    """What the kinds of features share: how sound is cut into frames, and what is done to it before.

    Args:
        sample_rate: Samples per second of the waves that will come.
        window_ms: Length of the piece of sound that one frame sees.
        hop_ms: Distance between the starts of neighbouring frames.
        preprocess: Filters, and what else the sound goes through first.
    """

    sample_rate: int = 16_000
    window_ms: float = 25.0
    hop_ms: float = 10.0
    preprocess: tuple[component(PREPROCESS), ...] = field(default=(), kw_only=True)  # type: ignore[valid-type]

    def __init_subclass__(cls) -> None:
        # Caches and packs are named by it; those from before there was any preprocessing stay good.
        if "__repr__" not in vars(cls):
            cls.__repr__ = _said  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for name in ("sample_rate", "window_ms", "hop_ms"):
            _require_positive(self, name, _MOST[name])
        _require(self.hop_samples > 0, f"hop_ms {self.hop_ms} is less than a sample; give a longer hop")
        _require(self.window_samples > 0, f"window_ms {self.window_ms} is less than a sample; give a longer window")
        for step in self.preprocess:
            step.check(self.sample_rate)

    @property
    def window_samples(self) -> int:
        """Samples that one frame sees."""
        return _round_half_up(self.window_ms * self.sample_rate / 1000)

    @property
    def hop_samples(self) -> int:
        """Samples from the start of a frame to the start of the next."""
        return _round_half_up(self.hop_ms * self.sample_rate / 1000)

    @property
    @abstractmethod
    def num_bins(self) -> int:
        """F, the width of a frame."""

    @property
    def context_frames(self) -> int:
        """So many frames on either side of it a frame depends on, where they exist."""
        return 0

    def num_frames(self, n_samples: int) -> int:
        """T for a wave of ``n_samples``: whole windows only, yet at least one (its missing part is zeros)."""
        return 1 + max(0, n_samples - self.window_samples) // self.hop_samples

    def weights(self, features: Array) -> Array | None:
        """How far each number of features (T, F) is known, from 0 to 1; None: all of it is.

        What is not known counts for nothing in a normalisation, and enters the network as 0.
        """
        return None

    def __call__(self, wave: Array) -> Array:
        """Turn samples (N,), N >= 1, full scale 1.0, into features (T, F), float32 and contiguous."""
        return self._framed(self._extended(self._prepare(self._heard(wave))))

    def _heard(self, wave: Array) -> Array:
        """The samples (N,) after what the page does to them first; refuses those that are no sound."""
        wave = check_wave(wave, self.sample_rate)
        for step in self.preprocess:
            wave = step(wave, self.sample_rate)
        return wave

    def _prepare(self, wave: Array) -> Array:
        return wave

    def _extended(self, wave: Array) -> Array:
        """The wave, followed by zeros if the last frame needs them."""
        missing = (self.num_frames(len(wave)) - 1) * self.hop_samples + self.window_samples - len(wave)
        return np.pad(wave, (0, missing)) if missing > 0 else wave

    @abstractmethod
    def _framed(self, wave: Array) -> Array:
        """Features (T, F) of samples (N,) that fill all T windows."""


def _said(self: Features) -> str:
    """As of any frozen value, without a preprocessing that there is not."""
    said = [one for one in fields(self) if one.repr and (one.name != "preprocess" or self.preprocess)]
    return f"{type(self).__qualname__}({', '.join(f'{one.name}={getattr(self, one.name)!r}' for one in said)})"


@dataclass(frozen=True)
class Spectral(Features):
    """What the kinds of features share that begin with the power spectrum of each frame.

    Args:
        n_fft: Points of the Fourier transform; a shorter window is padded with zeros.
    """

    n_fft: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_positive(self, "n_fft", _MOST["n_fft"])
        _require(
            self.window_samples <= self.n_fft,
            f"window_ms {self.window_ms} is {self.window_samples} samples, n_fft is {self.n_fft};"
            " give a window of 1 to n_fft samples",
        )

    def _framed(self, wave: Array) -> Array:
        features = np.empty((self.num_frames(len(wave)), self.num_bins), np.float32)
        powers = np.empty((min(len(features), _BLOCK_FRAMES), self.n_fft // 2 + 1), np.float32)
        for start in range(0, len(features), _BLOCK_FRAMES):
            block = features[start : start + _BLOCK_FRAMES]
            power = powers[: len(block)]
            self._power(wave[start * self.hop_samples :], self.hop_samples, power)
            self._from_power(power, block)
        return features

    @property
    @abstractmethod
    def _window(self) -> Array:
        """Weights (W,) of the samples of a frame."""

    @abstractmethod
    def _from_power(self, power: Array, out: Array) -> None:
        """Write the features of power (t, n_fft // 2 + 1) into ``out`` (t, F)."""

    @cached_property
    def _power(self) -> PowerSpectrum:
        # Here, because numba takes half a second to load.
        from dfcnn_ms.audio.fft import PowerSpectrum

        return PowerSpectrum(self._window, self.n_fft)


@dataclass(frozen=True)
class LinearSpectrogram(Spectral):
    """Natural log of the power in the first ``n_bins`` Fourier bins, as the reference network sees it.

    Args:
        n_bins: Bins kept, from 0 Hz up; 200 of 201 with a 400-point transform (40 Hz each).
        window: hamming, hann or rectangular (periodic, as in ``librosa``).
        floor: Added to the power before the logarithm. The default is about what rounding to 16 bit leaves
            in a bin, so digital silence looks like a quiet room.
    """

    n_fft: int = 400
    n_bins: int = 200
    window: str = "hamming"
    floor: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        bins = self.n_fft // 2 + 1
        _require(0 < self.n_bins <= bins, f"n_bins is {self.n_bins}; n_fft {self.n_fft} allows 1 to {bins}")
        _require_window(self.window)
        _require_positive(self, "floor", _MOST["floor"])

    @property
    def num_bins(self) -> int:
        """F, the width of a frame."""
        return self.n_bins

    @cached_property
    def _window(self) -> Array:
        return WINDOWS[self.window](self.window_samples).astype(np.float32)

    def _from_power(self, power: Array, out: Array) -> None:
        np.add(power[:, : self.n_bins], np.float32(self.floor), out=out)
        np.log(out, out=out)


@dataclass(frozen=True)
class LogMel(Spectral):
    """Natural log of the power in ``n_mels`` overlapping bands, narrow at low and wide at high frequencies.

    The bands are those of ``librosa`` (Slaney's scale, each band of unit area).

    Args:
        n_mels: Number of bands.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band; half the sample rate if not given.
        window: hann, hamming or rectangular (periodic, as in ``librosa``).
        floor: Added to the power of a band before the logarithm.
    """

    n_mels: int = 80
    low_hz: float = 20.0
    high_hz: float | None = None
    window: str = "hann"
    floor: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_window(self.window)
        _require_positive(self, "n_mels", _MOST["n_mels"])
        _require_positive(self, "floor", _MOST["floor"])
        _require_band(self.low_hz, self.high_hz, self.sample_rate)
        _require_no_empty_band(self.filters)

    @property
    def num_bins(self) -> int:
        """F, the width of a frame."""
        return self.n_mels

    @cached_property
    def filters(self) -> Array:
        """Weights (n_fft // 2 + 1, F) of the Fourier bins in each band."""
        bins_hz = np.arange(self.n_fft // 2 + 1)[:, None] * (self.sample_rate / self.n_fft)
        lowest = _slaney_mel(self.low_hz)
        highest = _slaney_mel(_high_hz(self.high_hz, self.sample_rate))
        edges_hz = _slaney_hz(np.linspace(lowest, highest, self.n_mels + 2))
        left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
        rising = (bins_hz - left) / (centre - left)
        falling = (right - bins_hz) / (right - centre)
        triangles = np.maximum(0, np.minimum(rising, falling))
        return (triangles * 2 / (right - left)).astype(np.float32)

    @cached_property
    def _window(self) -> Array:
        return WINDOWS[self.window](self.window_samples).astype(np.float32)

    @cached_property
    def _filter_blocks(self) -> list[tuple[slice, slice, Array]]:
        return _blocks_of(self.filters)

    def _from_power(self, power: Array, out: Array) -> None:
        for bins, bands, weights in self._filter_blocks:
            np.matmul(power[:, bins], weights, out=out[:, bands])
        out += np.float32(self.floor)
        np.log(out, out=out)


@dataclass(frozen=True)
class Mfcc(Spectral):
    """Mel-frequency cepstral coefficients, the numbers of ``python_speech_features.mfcc``.

    As there, a last frame that is only partly filled counts (the rest is zeros): T is one more than for the
    other features unless the last window ends with the wave.

    Args:
        n_ceps: Coefficients kept.
        n_mels: Number of bands under them.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band; half the sample rate if not given.
        preemphasis: Share of the previous sample that is subtracted from each; 0 for none.
        lifter: Strength of the weighting that raises high coefficients; 0 for none.
        energy: Put the log energy of the frame in place of coefficient 0.
    """

    n_ceps: int = 13
    n_mels: int = 26
    low_hz: float = 0.0
    high_hz: float | None = None
    preemphasis: float = 0.97
    lifter: int = 22
    energy: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_positive(self, "n_mels", _MOST["n_mels"])
        _require(
            0 < self.n_ceps <= self.n_mels,
            f"n_ceps is {self.n_ceps}; n_mels {self.n_mels} allows 1 to {self.n_mels}",
        )
        _require(0 <= self.lifter <= 1000, f"lifter is {quoted(self.lifter)}; give 0 to 1000")
        _require(0 <= self.preemphasis <= 1, f"preemphasis is {self.preemphasis}; give 0 to 1")
        _require_band(self.low_hz, self.high_hz, self.sample_rate)
        _require_no_empty_band(self.filters)

    @property
    def num_bins(self) -> int:
        """F, the width of a frame."""
        return self.n_ceps

    def num_frames(self, n_samples: int) -> int:
        """T for a wave of ``n_samples``: a partly filled last window counts."""
        return 1 + max(0, -(-(n_samples - self.window_samples) // self.hop_samples))

    @cached_property
    def filters(self) -> Array:
        """Weights (n_fft // 2 + 1, n_mels): triangles whose corners lie on whole Fourier bins."""
        lowest, highest = self.low_hz, _high_hz(self.high_hz, self.sample_rate)
        mels = np.linspace(_htk_mel(lowest), _htk_mel(highest), self.n_mels + 2)
        corners = np.floor((self.n_fft + 1) * _htk_hz(mels) / self.sample_rate)
        left, centre, right = corners[:-2], corners[1:-1], corners[2:]
        bins = np.arange(self.n_fft // 2 + 1)[:, None]
        rising = (bins - left) / np.maximum(centre - left, 1) * ((left <= bins) & (bins < centre))
        falling = (right - bins) / np.maximum(right - centre, 1) * ((centre <= bins) & (bins < right))
        return np.asarray(rising + falling, np.float32)

    @cached_property
    def _window(self) -> Array:
        return np.ones(self.window_samples, np.float32)

    @cached_property
    def _cepstra(self) -> Array:
        """Weights (n_mels, n_ceps): the orthonormal cosine transform times the lifter."""
        band, ceps = np.arange(self.n_mels)[:, None], np.arange(self.n_ceps)
        cosines = np.cos(np.pi * ceps * (2 * band + 1) / (2 * self.n_mels)) * math.sqrt(2 / self.n_mels)
        cosines[:, 0] /= math.sqrt(2)
        if self.lifter:
            cosines *= 1 + self.lifter / 2 * np.sin(np.pi * ceps / self.lifter)
        return np.asarray(cosines, np.float32)

    def _prepare(self, wave: Array) -> Array:
        emphasised = wave.copy()
        emphasised[1:] -= np.float32(self.preemphasis) * wave[:-1]
        return emphasised

    @cached_property
    def _weights(self) -> Array:
        """Weights (n_fft // 2 + 1, n_mels + 1): the bands, then the energy of the whole frame."""
        everything = np.ones((len(self.filters), 1), np.float32)
        return np.hstack([self.filters, everything]) / np.float32(self.n_fft)

    def _from_power(self, power: Array, out: Array) -> None:
        bands = power @ self._weights
        bands[bands == 0] = np.finfo(np.float64).eps  # the substitute of python_speech_features
        np.log(bands, out=bands)
        np.matmul(bands[:, :-1], self._cepstra, out=out)
        if self.energy:
            out[:, 0] = bands[:, -1]


FEATURES: dict[str, type[Features]] = {"linear": LinearSpectrogram, "log_mel": LogMel, "mfcc": Mfcc}


def utterance_cmvn(features: Array, std_floor: float = STD_FLOOR, weights: Array | None = None) -> Array:
    """Shift and scale each bin of (T, F) to mean 0 and deviation 1 over this utterance.

    A deviation below ``std_floor`` counts as ``std_floor``: a bin that never moves becomes 0, not noise. How much
    ``weights`` (T, F) know of a number, so much it counts.
    """
    if weights is not None:
        count, mean, squares = _moments(features, weights)
        std = np.sqrt(squares / np.maximum(count, _LEAST_KNOWN))
        return np.asarray(weights * (features - mean) / np.maximum(std, std_floor), np.float32)
    centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)  # (T, F)
    std = np.sqrt(np.square(centred).mean(axis=0))
    normalised: Array = centred / np.maximum(std, np.float32(std_floor))
    return normalised


def _moments(features: Array, weights: Array | None) -> tuple[Any, NDArray[np.float64], NDArray[np.float64]]:
    """How many frames (T, F) count, their mean (F,) and the sum of their squares about it (F,)."""
    if weights is None:
        mean = features.mean(axis=0, dtype=np.float64)
        return len(features), mean, np.square(features - mean).sum(axis=0)
    count = weights.sum(axis=0, dtype=np.float64)
    mean = (weights * features).sum(axis=0, dtype=np.float64) / np.maximum(count, _LEAST_KNOWN)
    return count, mean, (weights * np.square(features - mean)).sum(axis=0)


@dataclass(frozen=True, eq=False)
class GlobalCmvn:
    """Shift and scale each bin by numbers estimated once, over a whole training set.

    Args:
        mean: Mean of each bin, (F,).
        std: Standard deviation of each bin, (F,).
    """

    mean: Array
    std: Array

    def __post_init__(self) -> None:
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        if mean.ndim != 1 or mean.shape != std.shape or not len(mean):
            raise DataError(f"cmvn: mean has shape {mean.shape} and std {std.shape}; both must be (F,)")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise DataError("cmvn: mean and std must be finite, and std above 0; estimate them again")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    def __call__(self, features: Array, weights: Array | None = None) -> Array:
        """Normalise features (T, F), of which so much is known as ``weights`` (T, F) say."""
        _check_bins(features, len(self.mean))
        normalised: Array = (features - self.mean) / self.std
        return normalised if weights is None else normalised * weights

    @classmethod
    def estimate(
        cls,
        utterances: Iterable[Array],
        std_floor: float = STD_FLOOR,
        flat: float = 1.0,
        weights: Callable[[Array], Array | None] = lambda features: None,
    ) -> GlobalCmvn:
        """Mean and deviation over all frames of an iterable of (T, F), by how much ``weights`` know of each.

        Bins that stay constant (deviation below ``std_floor``) are only shifted: their deviation counts as ``flat``.
        """
        count: Any = 0
        mean, squares = np.zeros(0), np.zeros(0)
        for features in utterances:
            if not len(mean):
                mean, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
            _check_bins(features, len(mean))
            if not len(features):
                continue
            # Chan's update of mean and squares: raw sums of squares would cancel for features far from 0.
            own_count, own_mean, own_squares = _moments(features, weights(features))
            total, shift = np.maximum(count + own_count, _LEAST_KNOWN), own_mean - mean
            squares += own_squares
            squares += np.square(shift) * (count * own_count / total)
            mean += shift * (own_count / total)
            count = count + own_count
        if not np.any(count):
            raise DataError("cmvn: no frames to estimate from; give at least one utterance")
        std = np.sqrt(squares / np.maximum(count, _LEAST_KNOWN))
        return cls(mean.astype(np.float32), np.where(std < std_floor, flat, std).astype(np.float32))

    def to_dict(self) -> dict[str, list[float]]:
        """Plain numbers for JSON; :meth:`from_dict` gives back exactly these values."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GlobalCmvn:
        """The inverse of :meth:`to_dict`."""
        if set(values) != {"mean", "std"}:
            raise DataError(f"cmvn: got the keys {sorted(values)}; give mean and std")
        return cls(np.array(values["mean"], np.float32), np.array(values["std"], np.float32))


@dataclass(frozen=True, eq=False)
class RunningCmvn:
    """Shift and scale each frame of an utterance by what has been heard of it so far: nothing looks ahead.

    Before the first frame, the estimate is that of a whole training set; it counts as much as `PRIOR_FRAMES` frames of
    the utterance do.

    Args:
        prior: estimated once, over a whole training set.
    """

    prior: GlobalCmvn

    def __call__(self, features: Array, weights: Array | None = None) -> Array:
        """Normalise a whole utterance (T, F), of which so much is known as ``weights`` (T, F) say."""
        return self.stream()(features, weights)

    def stream(self) -> Callable[..., Array]:
        """What normalises one utterance that comes in pieces (t, F), to the same numbers as the whole at once."""
        sums = np.zeros((3, len(self.prior.mean)))  # of the frames so far, their squares and their weights, (3, F)

        def normalise(features: Array, weights: Array | None = None) -> Array:
            nonlocal sums
            known = self.prior(features).astype(np.float64)  # (t, F)
            told = np.ones_like(known) if weights is None else weights.astype(np.float64)
            # Sums that go on from frame to frame, so that the pieces make no difference.
            parts = np.stack([told * known, told * known * known, told], axis=1)
            totals = np.cumsum(np.concatenate([sums[None], parts]), axis=0)  # (1 + t, 3, F)
            sums, count = totals[-1], PRIOR_FRAMES + totals[1:, 2]
            mean = totals[1:, 0] / count
            variance = (PRIOR_FRAMES + totals[1:, 1]) / count - mean * mean
            return np.asarray(told * (known - mean) / np.sqrt(np.maximum(variance, LEAST_VARIANCE)), np.float32)

        return normalise


def _blocks_of(filters: Array) -> list[tuple[slice, slice, Array]]:
    """Cut filters (bins, F) into (slice of bins, slice of bands, weights) without the zeros around them."""
    blocks = []
    for first in range(0, filters.shape[1], _BANDS_AT_ONCE):
        bands = slice(first, first + _BANDS_AT_ONCE)
        used = np.flatnonzero(filters[:, bands].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        blocks.append((bins, bands, np.ascontiguousarray(filters[bins, bands])))
    return blocks


# Slaney's scale: linear up to 1 kHz (15 mels), then 27 mels for each factor of 6.4.
_LOG_STEP = math.log(6.4) / 27


def _slaney_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) / _LOG_STEP


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(_LOG_STEP * (mel - 15)))


def _htk_mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def _htk_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def _high_hz(high_hz: float | None, sample_rate: int) -> float:
    return sample_rate / 2 if high_hz is None else high_hz


def _round_half_up(value: float) -> int:
    return math.floor(value + 0.5)


def check_wave(wave: Array, sample_rate: int) -> Array:
    """The samples (N,) as an array; refuses those that are no sound of this rate."""
    wave = np.asarray(wave)
    if wave.ndim != 1 or not len(wave):
        raise DataError(f"features: got samples of shape {wave.shape}; give one row (N,) with N at least 1")
    if not np.issubdtype(wave.dtype, np.floating):
        raise DataError(f"features: got {wave.dtype} samples; scale them to float32 in [-1, 1]")
    if len(wave) > LONGEST_SECONDS * sample_rate:
        minutes = len(wave) / sample_rate / 60
        raise DataError(f"features: got {minutes:.1f} minutes; give parts of at most {LONGEST_SECONDS / 60:.0f}")
    where = unsound_sample(wave)
    if where is not None:
        raise DataError(f"features: sample {where} is {wave[where]:g}; give samples in [-1, 1], where full scale is 1")
    return np.ascontiguousarray(wave, dtype=np.float32)


def _check_bins(features: Array, num_bins: int) -> None:
    if features.ndim != 2 or features.shape[1] != num_bins:
        raise DataError(f"cmvn: got features of shape {features.shape}; give (T, {num_bins})")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(f"features: {message}")


def _require_positive(features: Features, name: str, most: float) -> None:
    value = getattr(features, name)
    _require(value > 0, f"{name} is {quoted(value)}; it must be above 0")
    _require(value <= most, f"{name} is {quoted(value)}; give at most {most:g}")


def _require_window(window: str) -> None:
    _require(window in WINDOWS, f"window is {window!r}; choose one of {', '.join(WINDOWS)}")


def _require_band(low_hz: float, high_hz: float | None, sample_rate: int) -> None:
    nyquist, high = sample_rate / 2, _high_hz(high_hz, sample_rate)
    _require(high <= nyquist, f"high_hz {high} is above half the sample rate ({nyquist:g} Hz); lower it")
    _require(0 <= low_hz < high, f"low_hz is {low_hz}; it must be at least 0 and below high_hz ({high:g})")


def _require_no_empty_band(filters: Array) -> None:
    bands, empty = filters.shape[1], int((filters.max(axis=0) <= 0).sum())
    _require(
        not empty,
        f"n_mels is {bands}, so that {empty} bands lie between two Fourier bins and stay empty;"
        " lower n_mels or raise n_fft",
    )
