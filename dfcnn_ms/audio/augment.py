"""Ways to say the same thing differently: frozen, callable augmentations, ``(x, rng) -> x``.

Those of ``WAVE_AUGMENTATIONS`` change samples (N,), those of ``FEATURE_AUGMENTATIONS`` features (T, F). None
changes its input, and all randomness comes from the generator handed in.

>>> rng = np.random.default_rng(1)
>>> Speed(factors=(0.5,))(np.zeros(16_000, dtype=np.float32), rng).shape
(32000,)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.wave import SAMPLE_RATE, SOUND_SUFFIXES, Array, duration, read_wave, resample
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.quoting import quoted

Range = tuple[float, float]

# Power falls by 60 dB, that is amplitude to a thousandth, within the reverberation time.
_DECAY_PER_RT60 = math.log(1000)
# Without a limit nearly all power of brown noise would lie below what can be heard.
_LOWEST_COLOURED_HZ = 50.0
# How telephones compress amplitudes before they round them (G.711).
_MU = 255.0
# Half a minute of noise of each colour is kept, 2 MB: to generate it anew would take longer than all the rest.
_NOISE_SAMPLES = 2**19
# 10 ms.
_MOMENT = SAMPLE_RATE // 100
# Fourier transforms of so many rows at once take little more time than one of them alone.
_ROWS = 4

# How much louder, longer or wider anything can become: beyond, there is no speech left, and no memory.
_DECIBELS = (-100.0, 100.0)
_FACTORS = (0.1, 10.0)
_MOST_MASKED = 10_000

COLOURS: dict[str, Callable[[Array], Array]] = {
    "white": np.ones_like,
    "pink": lambda hz: 1 / np.sqrt(hz),
    "brown": lambda hz: 1 / hz,
}


@dataclass(frozen=True, kw_only=True)
class Augmentation(ABC):
    """Something that happens to an utterance with a given probability.

    Args:
        probability: Share of the utterances that are changed; the others pass as they are.
    """

    probability: float = 1.0

    def __post_init__(self) -> None:
        _require(0 <= self.probability <= 1, f"probability is {self.probability}; give 0 to 1")

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Samples (N,) or features (T, F), changed or as they are; float32, contiguous, never in place."""
        x = np.ascontiguousarray(x, dtype=np.float32)
        return self._apply(x, rng) if rng.random() < self.probability else x

    @property
    def longest(self) -> float:
        """How many times longer it may make an utterance; batches plan their room by it."""
        return 1.0

    @property
    def shortest(self) -> float:
        """How many times its length it leaves of an utterance at least: 0.5 is half of it."""
        return 1.0

    def check(self) -> None:  # noqa: B027 (most need no files)
        """Makes sure that the files it needs are there, before training begins."""

    @abstractmethod
    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        """The change itself."""


@dataclass(frozen=True)
class RandomFiles:
    """Sound files to choose from: those named, and those in the folders named, at any depth.

    Only their names and lengths are kept in memory: a folder may hold many hours.
    """

    paths: tuple[str, ...]

    @cached_property
    def files(self) -> list[list[Path]]:
        """The files of each entry, in an order that does not depend on the machine."""
        found = [_sound_files(Path(path)) for path in self.paths]
        for path, files in zip(self.paths, found, strict=True):
            if not files:
                raise DataError(f"{path}: no sound file is there; augment.wave.recordings wants files or folders")
        return found

    @cached_property
    def _samples(self) -> dict[Path, int]:
        return {}

    def choose(self, rng: np.random.Generator, entry: int) -> Path:
        """One file of an entry."""
        files = self.files[entry]
        return files[int(rng.integers(len(files)))]

    def part(self, rng: np.random.Generator, path: Path, n_samples: int) -> Array:
        """Samples (N,) from a random place of a file; after its end comes its beginning."""
        if path not in self._samples:
            self._samples[path] = max(1, int(duration(path) * SAMPLE_RATE))
        start = int(rng.integers(self._samples[path]))
        piece = read_wave(path, start=start / SAMPLE_RATE, seconds=n_samples / SAMPLE_RATE)
        if len(piece) < n_samples:
            whole = read_wave(path, seconds=n_samples / SAMPLE_RATE)
            piece = np.concatenate([piece, np.resize(whole, n_samples - len(piece))])
        return piece[:n_samples]


def _sound_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.is_file() else []
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in SOUND_SUFFIXES and file.is_file())


class WithRecordings(Augmentation):
    """What those augmentations share that may use sound files."""

    recordings: tuple[str, ...]

    @cached_property
    def _recorded(self) -> RandomFiles:
        return RandomFiles(self.recordings)

    def check(self) -> None:
        """Makes sure that the recordings are there."""
        _ = self._recorded.files


@dataclass(frozen=True)
class Speed(Augmentation):
    """Play faster or slower, as a tape does: duration divided and pitch multiplied by the factor.

    Args:
        factors: One is chosen for each utterance.
    """

    factors: tuple[float, ...] = (0.9, 1.0, 1.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(len(self.factors) > 0, "factors is empty; give at least one speed, such as 1.0")
        low, high = _FACTORS
        _require(
            all(low <= factor <= high for factor in self.factors),
            f"factors is {quoted(self.factors)}; each must be from {low:g} to {high:g}",
        )

    @property
    def longest(self) -> float:
        return max(1.0, 1 / min(self.factors))

    @property
    def shortest(self) -> float:
        return min(1.0, 1 / max(self.factors))

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        factor = self.factors[rng.integers(len(self.factors))]
        return resample(x, SAMPLE_RATE * factor, SAMPLE_RATE)


@dataclass(frozen=True)
class Gain(Augmentation):
    """Make the whole utterance louder or softer, by decibels drawn evenly between two limits."""

    low_db: float = -10.0
    high_db: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_range("low_db, high_db", (self.low_db, self.high_db), *_DECIBELS)

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        return x * np.float32(_amplitude(rng.uniform(self.low_db, self.high_db)))


@dataclass(frozen=True)
class Trim(Augmentation):
    """Cut off the quiet before and after, up to some moments, as recordings of single words often are.

    Args:
        seconds: Least and most of the quiet that is left on each side, drawn for each side.
        quiet_db: How far below the loudest moment (of 10 ms) the quiet lies.
    """

    seconds: Range = (0.0, 0.3)
    quiet_db: float = 35.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_range("seconds", self.seconds, above=-1e-9, most=10)
        _require(0 < self.quiet_db <= _DECIBELS[1], f"quiet_db is {self.quiet_db}; give more than 0, at most 100")

    @property
    def shortest(self) -> float:
        return 0.0

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        left = rng.uniform(*self.seconds, size=2) * SAMPLE_RATE
        power = np.add.reduceat(x * x, np.arange(0, len(x), _MOMENT))
        loud = np.flatnonzero(power > power.max() * _amplitude(-2 * self.quiet_db))
        if len(loud) == 0:
            return x
        first = max(0, int(loud[0] * _MOMENT - left[0]))
        last = min(len(x), int((loud[-1] + 1) * _MOMENT + left[1]))
        return x[first:last].copy()


@dataclass(frozen=True)
class AddNoise(WithRecordings):
    """Add a random part of generated noise of a random colour, or of a recording, at a random level.

    Args:
        snr_db: Lowest and highest ratio of speech power to noise power.
        colours: Generated noises to choose from: white, pink, brown.
        recordings: Sound files of noise, or folders of them, to choose from besides; each file or folder named here
            counts as much as one colour.
    """

    snr_db: Range = (5.0, 25.0)
    colours: tuple[str, ...] = ("white", "pink", "brown")
    recordings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_range("snr_db", self.snr_db, *_DECIBELS)
        unknown = [colour for colour in self.colours if colour not in COLOURS]
        _require(not unknown, f"colours has {unknown}; choose from {', '.join(COLOURS)}")
        _require(len(self.colours) + len(self.recordings) > 0, "no noise to add; name a colour or a recording")

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        snr_db = rng.uniform(*self.snr_db)
        choice = int(rng.integers(len(self.colours) + len(self.recordings)))
        if choice < len(self.colours):
            return add_noise_at_snr(x, endless_noise(rng, len(x), self.colours[choice]), snr_db)
        path = self._recorded.choose(rng, choice - len(self.colours))
        return add_noise_at_snr(x, self._recorded.part(rng, path, len(x)), snr_db)


@dataclass(frozen=True)
class Room(WithRecordings):
    """Let the utterance sound in a room: a simple simulated one, or one whose response was recorded.

    Args:
        rt60: Shortest and longest time, in seconds, in which the simulated echo loses 60 dB.
        direct_db: Least and most power of the direct sound over that of the simulated echo.
        recordings: Recorded responses, files or folders of them; if there are any, no room is simulated.
    """

    rt60: Range = (0.1, 0.6)
    direct_db: Range = (0.0, 10.0)
    recordings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_range("rt60", self.rt60, above=0, most=10)
        _require_range("direct_db", self.direct_db, *_DECIBELS)

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        if self.recordings:
            path = self._recorded.choose(rng, int(rng.integers(len(self.recordings))))
            return convolve(x, recorded_response(path))
        rt60, direct_db = rng.uniform(*self.rt60), rng.uniform(*self.direct_db)
        return convolve(x, room_response(rng, rt60, direct_db=direct_db))


@dataclass(frozen=True)
class BandLimit(Augmentation):
    """Take away the lowest and highest frequencies, as telephones, codecs and small microphones do.

    Args:
        low_hz: Range of the frequency below which sound fades (36 dB an octave).
        high_hz: Range of the frequency above which it fades.
        bits: Round what is left to so many bits on a mu-law scale, at full scale as loud as the loudest sample; 8 is
            what telephones do (G.711). 0: do not round.
    """

    low_hz: Range = (20.0, 300.0)
    high_hz: Range = (3400.0, 8000.0)
    bits: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.bits == 0 or 2 <= self.bits <= 16, f"bits is {self.bits}; give 0 or 2 to 16")
        _require_range("low_hz", self.low_hz, above=0, most=SAMPLE_RATE)
        _require_range("high_hz", self.high_hz, above=self.low_hz[1], most=SAMPLE_RATE)

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        low_hz, high_hz = rng.uniform(*self.low_hz), rng.uniform(*self.high_hz)

        def fade(hz: Array) -> Array:
            power = (1 + (low_hz / np.maximum(hz, 1)) ** 12) * (1 + (hz / high_hz) ** 12)
            return np.asarray(1 / np.sqrt(power))

        limited = _filtered(x, fade)
        return mu_law(limited, self.bits) if self.bits else limited


@dataclass(frozen=True)
class Colour(Augmentation):
    """Make some frequencies louder and others softer, as every microphone and every place does.

    Args:
        db: Most decibels by which a frequency becomes louder or softer. What is drawn evenly holds at 0, 1/n, 2/n, ...
            of the way to 8 kHz, on the mel scale; between, it goes from one to the next.
        parts: n.
    """

    db: float = 8.0
    parts: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 <= self.db <= _DECIBELS[1], f"db is {self.db}; give 0 to {_DECIBELS[1]:.0f}")
        _require(1 <= self.parts <= 100, f"parts is {self.parts}; give 1 to 100")

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        decibels = rng.uniform(-self.db, self.db, self.parts + 1)
        places = np.linspace(0, _mel(SAMPLE_RATE / 2), self.parts + 1)
        return _filtered(x, lambda hz: 10 ** (np.interp(_mel(hz), places, decibels) / 20))


@dataclass(frozen=True)
class Clip(Augmentation):
    """Cut off what is louder than a level, as where somebody speaks too near to a microphone.

    Args:
        level_db: Range of that level, below the loudest sample.
    """

    level_db: Range = (-15.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_range("level_db", self.level_db, *(_DECIBELS[0], 0.0))

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        level = np.abs(x).max(initial=0) * np.float32(_amplitude(rng.uniform(*self.level_db)))
        return np.clip(x, -level, level)


@dataclass(frozen=True)
class SpecAugment(Augmentation):
    """Hide some bands of time and of frequency, so that the network cannot lean on any one of them.

    Widths are drawn evenly from 0 to the limit. The masks of one direction together cover at most half of it,
    whatever the limits, so a short utterance is never hidden whole.

    Args:
        time_masks: Number of masks along T.
        time_width: Most frames that one of them hides.
        freq_masks: Number of masks along F.
        freq_width: Most bins that one of them hides.
        value: What is written there; the mean of the utterance if not given.
    """

    time_masks: int = 2
    time_width: int = 30
    freq_masks: int = 2
    freq_width: int = 12
    value: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("time_masks", "time_width", "freq_masks", "freq_width"):
            value = getattr(self, name)
            _require(
                isinstance(value, int) and 0 <= value <= _MOST_MASKED,
                f"{name} is {quoted(value)}; give a whole number from 0 to {_MOST_MASKED}",
            )
        _require(
            self.value is None or abs(self.value) <= _MOST_MASKED,
            f"value is {self.value}; give a number from {-_MOST_MASKED} to {_MOST_MASKED}, or none",
        )

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        masked = x.copy()
        value = x.mean() if self.value is None else self.value
        for piece in _mask_slices(rng, x.shape[0], self.time_masks, self.time_width):
            masked[piece] = value
        for piece in _mask_slices(rng, x.shape[1], self.freq_masks, self.freq_width):
            masked[:, piece] = value
        return masked


@dataclass(frozen=True)
class TimeStretch(Augmentation):
    """Make features (T, F) longer or shorter by a factor drawn evenly between two limits; pitch stays."""

    low: float = 0.9
    high: float = 1.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_range("low, high", (self.low, self.high), above=0, most=_FACTORS[1])

    @property
    def longest(self) -> float:
        return max(1.0, self.high)

    @property
    def shortest(self) -> float:
        return min(1.0, self.low)

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        factor = rng.uniform(self.low, self.high)
        frames = max(1, round(len(x) * factor))
        return _interpolate(x, np.arange(frames) / factor, axis=0)


@dataclass(frozen=True)
class FreqWarp(Augmentation):
    """Move what is in bin f of features (T, F) to bin f * factor, as a shorter or longer throat does.

    The factor is drawn evenly between two limits. Bins beyond the last read as the last.
    """

    low: float = 0.9
    high: float = 1.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_range("low, high", (self.low, self.high), above=0, most=_FACTORS[1])

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        factor = rng.uniform(self.low, self.high)
        return _interpolate(x, np.arange(x.shape[1]) / factor, axis=1)


WAVE_AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "speed": Speed,
    "gain": Gain,
    "trim": Trim,
    "noise": AddNoise,
    "room": Room,
    "band_limit": BandLimit,
    "colour": Colour,
    "clip": Clip,
}
FEATURE_AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "spec_augment": SpecAugment,
    "time_stretch": TimeStretch,
    "freq_warp": FreqWarp,
}


def add_noise_at_snr(wave: Array, noise: Array, snr_db: float) -> Array:
    """Add noise, repeated or cut to fit, so that power of wave over power of noise is ``snr_db``.

    Silence stays silence, and silent noise adds nothing: there is no such ratio then.
    """
    wave = np.ascontiguousarray(wave, dtype=np.float32)
    noise = np.resize(np.asarray(noise, np.float32), len(wave))
    wave_power, noise_power = float(np.dot(wave, wave)), float(np.dot(noise, noise))
    if not (wave_power and noise_power):
        return wave.copy()
    gain = math.sqrt(wave_power / noise_power) * _amplitude(-snr_db)
    return np.asarray(wave + np.float32(gain) * noise)


def coloured_noise(
    rng: np.random.Generator, n_samples: int, colour: str = "white", sample_rate: int = SAMPLE_RATE
) -> Array:
    """Gaussian noise (N,): white (even), pink (-3 dB an octave) or brown (-6 dB); even below 50 Hz."""
    white = rng.standard_normal(n_samples, dtype=np.float32)
    if colour == "white":
        return white
    return _filtered(white, lambda hz: COLOURS[colour](np.maximum(hz, _LOWEST_COLOURED_HZ)), sample_rate)


def endless_noise(rng: np.random.Generator, n_samples: int, colour: str = "white") -> Array:
    """The same noise (N,) at 16 kHz from a random place of half a minute of it, whose end goes on as its beginning."""
    stored = _stored_noise(colour)
    start = int(rng.integers(len(stored)))
    piece = stored[start : start + n_samples]
    return piece.copy() if len(piece) == n_samples else np.resize(np.roll(stored, -start), n_samples)


@lru_cache(len(COLOURS))
def _stored_noise(colour: str) -> Array:
    """Noise without a seam: it was coloured as one period of something that repeats."""
    return coloured_noise(np.random.default_rng(0), _NOISE_SAMPLES, colour)


def room_response(
    rng: np.random.Generator, rt60: float, sample_rate: int = SAMPLE_RATE, direct_db: float = 3.0
) -> Array:
    """The answer (M,) of a simple room to one click: the click at sample 0, then noise that dies away.

    Args:
        rng: Draws the echo.
        rt60: Seconds in which the echo loses 60 dB; also the length of the answer.
        sample_rate: Samples per second.
        direct_db: Power of the direct sound over that of the whole echo.

    Returns:
        A float32 response with power 1, so that it keeps the loudness of what is convolved with it.
    """
    length = max(2, round(rt60 * sample_rate))
    response = endless_noise(rng, length, "white")
    response *= np.exp(np.arange(length, dtype=np.float32) * np.float32(-_DECAY_PER_RT60 / length))
    response[0] = 0.0
    response[0] = _amplitude(direct_db) * np.linalg.norm(response)
    return np.asarray(response / np.linalg.norm(response))


@lru_cache(64)
def recorded_response(path: str | Path) -> Array:
    """A recorded response (M,) of a room from its direct sound on, with mean 0 and power 1."""
    recorded = read_wave(path)
    recorded = recorded - recorded.mean()  # some have an offset, which would become a louder one of the speech
    response = recorded[int(np.argmax(np.abs(recorded))) :]
    norm = np.linalg.norm(response)
    if not norm:
        raise DataError(f"{path}: is silent, and no response of a room; remove it")
    return np.asarray(response / norm, np.float32)


def mu_law(wave: Array, bits: int) -> Array:
    """Samples (N,) rounded to 2**bits levels that lie close together near 0 and far apart at the loudest sample."""
    peak = float(np.abs(wave).max(initial=0.0))
    if not peak:
        return wave
    steps = 2 ** (bits - 1) - 1
    heights = np.expm1(np.linspace(0, math.log1p(_MU), steps + 1)) * (peak / _MU)  # of the levels from 0 up
    compressed = np.log(np.abs(wave) * np.float32(_MU / peak) + np.float32(1)) * np.float32(steps / math.log1p(_MU))
    return np.copysign(heights.astype(np.float32)[np.rint(compressed).astype(np.intp)], wave)


def convolve(wave: Array, response: Array) -> Array:
    """Let a wave (N,) sound through a response (M,); the tail beyond N is cut: (N,) -> (N,)."""
    from scipy.fft import irfft, next_fast_len, rfft

    step = max(1, math.ceil(len(wave) / _ROWS))
    size = next_fast_len(step + len(response) - 1, real=True)
    padded = np.zeros(_ROWS * step, np.float32)
    padded[: len(wave)] = wave
    spectra = rfft(padded.reshape(_ROWS, step), size, axis=1)
    spectra *= rfft(np.asarray(response, np.float32), size)
    sounded = np.zeros((_ROWS - 1) * step + size, np.float32)
    for row, piece in enumerate(irfft(spectra, size, axis=1)):
        sounded[row * step : row * step + size] += piece
    return sounded[: len(wave)].copy()


def _filtered(wave: Array, gain: Callable[[Array], Array], sample_rate: int = SAMPLE_RATE) -> Array:
    """Multiply each frequency of (N,) by ``gain(hz)``; phases stay."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(wave), real=True)
    spectrum = rfft(wave, size)
    hz = np.arange(len(spectrum), dtype=np.float32) * np.float32(sample_rate / size)
    spectrum *= gain(hz).astype(np.float32)
    return np.ascontiguousarray(irfft(spectrum, size)[: len(wave)])


def _mel(hz: NDArray[np.floating] | float) -> Any:
    return np.log1p(np.asarray(hz) / 700.0)


def _mask_slices(rng: np.random.Generator, length: int, count: int, width: int) -> list[slice]:
    widest = min(width, length // (2 * max(count, 1)))
    widths = rng.integers(0, widest, size=count, endpoint=True)
    starts = rng.integers(0, length - widths, endpoint=True)
    return [slice(start, start + width) for start, width in zip(starts, widths, strict=True)]


def _interpolate(x: Array, positions: NDArray[np.float64], axis: int) -> Array:
    """Read between the rows (axis 0) or columns (axis 1) of (T, F), linearly; past the end, the last."""
    last = x.shape[axis] - 1
    positions = np.minimum(positions, last)
    before = positions.astype(np.intp)
    share = (positions - before).astype(np.float32)
    share = share[:, None] if axis == 0 else share
    low, high = x.take(before, axis), x.take(np.minimum(before + 1, last), axis)
    high -= low
    high *= share
    low += high
    return low


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(f"augmentation: {message}")


def _require_range(name: str, limits: Range, above: float, most: float) -> None:
    _require(len(limits) == 2, f"{name} is {quoted(limits)}; give two numbers, the lower first")
    low, high = limits
    _require(
        above < low <= high <= most,
        f"{name} is {low}, {high}; give two numbers, the lower first and above {above:g}, at most {most:g}",
    )
