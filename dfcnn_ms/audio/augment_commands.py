"""The augmentation of spoken commands, step by step, as it was published beside nine image networks.

In this order: :class:`Amplitude`, :class:`SpeedAndPitch`, :class:`FixLength` on samples (N,); then, on the complex
spectrum (T, K) that :class:`~dfcnn_ms.audio.clip_mel.ClipMel` makes of them, :class:`StretchSpectrum`,
:class:`ShiftSpectrum`, :class:`FixSpectrum`, :class:`SpectrumNoise`. ``docs/speech_commands.md`` shows each.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dfcnn_ms.audio.augment import COLOURS, Augmentation, WithRecordings, endless_noise
from dfcnn_ms.audio.clip_mel import fitted, stft, stretched
from dfcnn_ms.audio.wave import SAMPLE_RATE, Array, resample
from dfcnn_ms.errors import ConfigError

#: loudness (root of the mean square) of generated noise, about that of a quiet recording's own
NOISE_LEVEL = 0.03


@dataclass(frozen=True, kw_only=True)
class Amplitude(Augmentation):
    """Multiplies samples by a factor drawn evenly between two limits."""

    low: float = 0.7
    high: float = 1.1
    probability: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(0 < self.low <= self.high <= 10, f"low and high are {self.low} and {self.high}; give 0 < low <= high")

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        return x * np.float32(rng.uniform(self.low, self.high))


@dataclass(frozen=True, kw_only=True)
class SpeedAndPitch(Augmentation):
    """Plays samples slower or faster, as a tape does; they become up to ``most`` longer or shorter."""

    most: float = 0.2
    probability: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("most", self.most)

    @property
    def longest(self) -> float:
        return 1 + self.most

    @property
    def shortest(self) -> float:
        return 1 - self.most

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        return resample(x, SAMPLE_RATE, SAMPLE_RATE * (1 + rng.uniform(-self.most, self.most)))


@dataclass(frozen=True, kw_only=True)
class FixLength(Augmentation):
    """Cuts samples at ``seconds``, or adds silence up to there."""

    seconds: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(0 < self.seconds <= 60, f"seconds is {self.seconds}; give a number above 0 and at most 60")

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        return fitted(x, round(self.seconds * SAMPLE_RATE))


class SpectrumAugmentation(Augmentation):
    """A change of a complex spectrum (T, K); never in place."""

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        return self._apply(x, rng) if rng.random() < self.probability else x


@dataclass(frozen=True, kw_only=True)
class StretchSpectrum(SpectrumAugmentation):
    """Makes it up to ``most`` longer or shorter; the pitch stays.

    Args:
        hop_ms: Of the spectrum.
    """

    most: float = 0.2
    hop_ms: float = 32.0
    probability: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("most", self.most)

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        return stretched(x, 1 / (1 + rng.uniform(-self.most, self.most)), _hop_samples(self.hop_ms))


@dataclass(frozen=True, kw_only=True)
class ShiftSpectrum(SpectrumAugmentation):
    """Moves it by up to ``most`` frames to either side; silence comes in, and what leaves is lost."""

    most: int = 8
    probability: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(0 <= self.most <= 1000, f"most is {self.most} frames; give 0 to 1000")

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        frames = int(rng.integers(-self.most, self.most, endpoint=True))
        moved = np.zeros_like(x)
        if frames >= 0:
            moved[frames:] = x[: max(0, len(x) - frames)]
        else:
            moved[:frames] = x[-frames:]
        return moved


@dataclass(frozen=True, kw_only=True)
class FixSpectrum(SpectrumAugmentation):
    """Cuts it after ``frames``, or adds silent ones up to there."""

    frames: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(0 < self.frames <= 10_000, f"frames is {self.frames}; give 1 to 10000")

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        return fitted(x, self.frames)


@dataclass(frozen=True, kw_only=True)
class SpectrumNoise(SpectrumAugmentation, WithRecordings):
    """Mixes in noise: a share of up to ``most`` of it, and the rest of the speech.

    Args:
        recordings: Sound files of noise, or folders of them; each counts as much as a colour.
        colours: Generated noises to choose from besides.
        hop_ms: Of the spectrum.
    """

    most: float = 0.45
    recordings: tuple[str, ...] = ()
    colours: tuple[str, ...] = field(default=tuple(COLOURS))
    hop_ms: float = 32.0
    probability: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("most", self.most)
        _check(len(self.colours) + len(self.recordings) > 0, "no noise to add; name a colour or a recording")
        unknown = [colour for colour in self.colours if colour not in COLOURS]
        _check(not unknown, f"colours has {unknown}; choose from {', '.join(COLOURS)}")

    def _apply(self, x: Array, rng: np.random.Generator) -> Array:
        share = np.float32(rng.uniform(0, self.most))
        n_fft, hop = 2 * (x.shape[1] - 1), _hop_samples(self.hop_ms)
        noise = stft(self.noise(rng, (len(x) - 1) * hop), n_fft, n_fft, hop)
        return x * (1 - share) + noise * share

    def noise(self, rng: np.random.Generator, samples: int) -> Array:
        """Noise (N,) from a random place of a recording, or of a random colour."""
        choice = int(rng.integers(len(self.colours) + len(self.recordings)))
        if choice >= len(self.colours):
            entry = choice - len(self.colours)
            return self._recorded.part(rng, self._recorded.choose(rng, entry), samples)
        noise = endless_noise(rng, samples, self.colours[choice])
        return noise * np.float32(NOISE_LEVEL / max(1e-9, np.sqrt(np.mean(np.square(noise)))))


#: on samples
COMMAND_WAVE_AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "amplitude": Amplitude,
    "speed_and_pitch": SpeedAndPitch,
    "fix_length": FixLength,
}
#: on the complex spectrum, between samples and features
SPECTRUM_AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "stretch": StretchSpectrum,
    "shift": ShiftSpectrum,
    "fix_frames": FixSpectrum,
    "noise": SpectrumNoise,
}


def _hop_samples(hop_ms: float) -> int:
    return max(1, round(hop_ms * SAMPLE_RATE / 1000))


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(f"augmentation: {message}")


def _check_share(name: str, share: float) -> None:
    _check(0 <= share < 1, f"{name} is {share}; give a share from 0 to below 1")
