"""The cepstrum of each frame: what repeats in the logarithm of its spectrum, and with which period.

>>> Cepstrogram()(np.zeros(16_000, dtype=np.float32)).shape
(96, 225)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dfcnn_ms.audio.features import WINDOWS, Spectral
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text.quoting import quoted

MOST_BINS = 1024


@dataclass(frozen=True)
class Cepstrogram(Spectral):
    """The inverse Fourier transform of the logarithm of the power, from one period to another.

    A voice has a ridge at its period, 2 ms for 500 Hz and 16 ms for 62 Hz; what a vowel is lies below 2 ms.

    Args:
        low_ms: The shortest period.
        high_ms: The longest.
        window: hann, hamming or rectangular.
        floor: Added to the power before the logarithm.
    """

    window_ms: float = 50.0
    n_fft: int = 1024
    low_ms: float = 2.0
    high_ms: float = 16.0
    window: str = "hann"
    floor: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window not in WINDOWS:
            raise ConfigError(f"features: window is {quoted(self.window)}; choose one of {', '.join(WINDOWS)}")
        if not 0 < self.floor <= 1:
            raise ConfigError(f"features: floor is {quoted(self.floor)}; give more than 0 and at most 1")
        most = self.n_fft / 2 * 1000 / self.sample_rate
        if not 0 <= self.low_ms <= self.high_ms <= most:
            got = f"low_ms is {quoted(self.low_ms)} and high_ms {quoted(self.high_ms)}"
            raise ConfigError(f"features: {got}; give low_ms up to high_ms, both from 0 to {most:g}, half of n_fft")

        if self.num_bins > MOST_BINS:
            raise ConfigError(
                f"features: {self.low_ms:g} to {self.high_ms:g} ms has {self.num_bins} samples, each of them"
                f" a bin; give at most {MOST_BINS}"
            )

    @property
    def num_bins(self) -> int:
        """F, the width of a frame: a bin for each sample of a period."""
        return len(self._periods)

    @property
    def _periods(self) -> range:
        """In samples."""
        first, last = (round(ms * self.sample_rate / 1000) for ms in (self.low_ms, self.high_ms))
        return range(first, min(last, self.n_fft // 2) + 1)

    @cached_property
    def cosines(self) -> Array:
        """Weights (n_fft // 2 + 1, F) of the logarithms."""
        points = np.arange(self.n_fft // 2 + 1)
        twice = np.where((points == 0) | (2 * points == self.n_fft), 1.0, 2.0)  # the others have a mirror
        angles = 2 * np.pi / self.n_fft * np.outer(points, np.array(self._periods))
        return (np.cos(angles) * twice[:, None] / self.n_fft).astype(np.float32)

    @cached_property
    def _window(self) -> Array:
        return WINDOWS[self.window](self.window_samples).astype(np.float32)

    def _from_power(self, power: Array, out: Array) -> None:
        np.matmul(np.log(power + np.float32(self.floor)), self.cosines, out=out)
