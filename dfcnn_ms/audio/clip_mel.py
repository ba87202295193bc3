"""Features of clips that are made equally long: a picture of always the same size, by way of the complex spectrum.

>>> ClipMel()(np.zeros(16_000, np.float32)).shape
(32, 32)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dfcnn_ms.audio.features import WINDOWS, LogMel
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.errors import ConfigError, DataError

#: sound that is so many times longer than the clips that a network knows is no such clip
MOST_TIMES = 4.0
#: the least power that has a logarithm
_LEAST = 1e-10


@dataclass(frozen=True)
class ClipMel(LogMel):
    """Decibels below the loudest place, in mel bands, of a clip that is cut or filled with silence to ``seconds``.

    The numbers are those of ``librosa``: frames are centred, the first one on the first sample.

    Args:
        seconds: Length of every clip.
        range_db: How far below the loudest place there is a difference between silences.
    """

    window_ms: float = 128.0
    hop_ms: float = 32.0
    n_fft: int = 2048
    n_mels: int = 32
    low_hz: float = 0.0
    seconds: float = 1.0
    range_db: float = 80.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, most in (("seconds", self.seconds, 60.0), ("range_db", self.range_db, 1000.0)):
            if not 0 < value <= most:
                raise ConfigError(f"features: {name} is {value}; give a number above 0 and at most {most:g}")

    @property
    def clip_samples(self) -> int:
        """N of every clip."""
        return max(1, round(self.seconds * self.sample_rate))

    def num_frames(self, n_samples: int) -> int:
        """T, the same for every wave."""
        return 1 + self.clip_samples // self.hop_samples

    def __call__(self, wave: Array) -> Array:
        """Turn samples (N,), full scale 1.0, into features (T, F), float32 and contiguous."""
        return self.from_spectrum(self.spectrum(wave))

    def spectrum(self, wave: Array) -> Array:
        """The complex spectrum (T, n_fft // 2 + 1) of the clip.

        Raises:
            DataError: as of all features, and for sound that is far too long for a clip.
        """
        wave = self._heard(wave)
        seconds = len(wave) / self.sample_rate
        if seconds > MOST_TIMES * self.seconds:
            raise DataError(
                f"features: got {seconds:.1f} s of sound for a network that hears clips of {self.seconds:g} s; cut the "
                "clip out of it"
            )
        return stft(fitted(wave, self.clip_samples), self.n_fft, self.window_samples, self.hop_samples, self.window)

    def from_spectrum(self, spectrum: Array) -> Array:
        """Features (T, F) of a complex spectrum (T, n_fft // 2 + 1)."""
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        bands = np.maximum(power @ self.filters, np.float32(_LEAST))  # (T, n_fft // 2 + 1) -> (T, F)
        decibels = 10 * np.log10(bands / bands.max())
        return np.ascontiguousarray(np.maximum(decibels, -self.range_db), np.float32)


def fitted(x: Array, length: int) -> Array:
    """The first ``length`` rows of (N, ...), with zeros behind where there are fewer."""
    if len(x) >= length:
        return x[:length]
    return np.concatenate([x, np.zeros((length - len(x), *x.shape[1:]), x.dtype)])


def stft(wave: Array, n_fft: int, window_samples: int, hop_samples: int, window: str = "hann") -> Array:
    """The complex spectrum (T, n_fft // 2 + 1) of samples (N,): T = 1 + N // hop, frame t centred on sample t * hop."""
    from scipy.fft import rfft

    padded = np.pad(wave, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_samples]
    return np.asarray(rfft(frames * _centred(window, window_samples, n_fft), axis=1), np.complex64)


@lru_cache(8)
def _centred(window: str, window_samples: int, n_fft: int) -> Array:
    """A window (n_fft,) with zeros on both sides where it is shorter than the transform."""
    before = (n_fft - window_samples) // 2
    return np.pad(WINDOWS[window](window_samples), (before, n_fft - window_samples - before)).astype(np.float32)


def stretched(spectrum: Array, rate: float, hop_samples: int) -> Array:
    """A complex spectrum (T, K) played ``rate`` times faster without another pitch: the phase vocoder.

    Magnitudes are read between the frames; the phase of each bin goes on as fast as it did between the same frames.
    """
    times, bins = spectrum.shape
    places = np.arange(0, times, rate)
    index = places.astype(np.intp)
    share = (places - index)[:, None].astype(np.float32)
    padded = np.concatenate([spectrum, np.zeros((2, bins), spectrum.dtype)])
    before, after = padded[index], padded[index + 1]
    expected = np.linspace(0, math.pi * hop_samples, bins)
    turned = np.angle(after) - np.angle(before) - expected
    turned -= 2 * math.pi * np.round(turned / (2 * math.pi))
    phases = np.cumsum(np.vstack([np.angle(spectrum[:1]), (expected + turned)[:-1]]), axis=0)
    magnitudes = (1 - share) * np.abs(before) + share * np.abs(after)
    return np.asarray(magnitudes * np.exp(1j * phases), np.complex64)
