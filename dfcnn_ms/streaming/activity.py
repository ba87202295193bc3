"""How much every frame stands out of the noise around it: causal, from the sound alone.

The noise of each band is the quietest that it was in the last seconds: a voice leaves gaps in every band, noise and hum
do not. A frame is as loud as its bands stand above their noise, in decibels, on the average.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.features import Features, LogMel
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.streaming.frames import BLOCK_FRAMES, FeatureStream

Levels = NDArray[np.float64]

#: where voices have most of their power, in hertz
LOW_HZ, HIGH_HZ = 100.0, 4000.0
BANDS = 16
#: frames whose mean power is looked at
SMOOTHED = 5
#: seconds in which a voice leaves a gap in every band
MEMORY_SECONDS = 3.0
#: sound may begin with a voice: for so long it is taken for granted that silence came before
QUIET_SECONDS = 1.0
#: decibels below full scale of noise that is never taken for a voice
QUIETEST_DB = -75.0
#: how far the mean of noise lies above its minimum
BIAS_DB = 5.0
#: a band counts for no more
MOST_DB = 30.0
DB = 10 / math.log(10)


class Activity:
    """Loudness of each frame above the noise, in decibels.

    Args:
        features: with whose frames these keep step.

    Attributes:
        bands: in which loudness is looked at.
        quietest: level of noise that is never taken for a voice, as the bands have it.
        memory_blocks, quiet_blocks: blocks of frames whose minima are kept, and those of them that begin as silence.
    """

    def __init__(self, features: Features) -> None:
        rate = features.sample_rate
        self.bands = LogMel(
            sample_rate=rate,
            window_ms=features.window_ms,
            hop_ms=features.hop_ms,
            n_fft=1 << (features.window_samples - 1).bit_length(),
            n_mels=BANDS,
            low_hz=LOW_HZ,
            high_hz=min(HIGH_HZ, rate / 2),
        )
        self._frames = FeatureStream(self.bands)
        self.quietest = _level_of(self.bands, QUIETEST_DB)
        self._last: NDArray[np.float64] | None = None  # powers of the frames before
        self.memory_blocks, self.quiet_blocks = (
            max(1, round(seconds * 1000 / features.hop_ms / BLOCK_FRAMES))
            for seconds in (MEMORY_SECONDS, QUIET_SECONDS)
        )
        self._minima = np.full((self.memory_blocks, BANDS), np.inf)  # of the last blocks, the oldest first
        self._minima[: self.quiet_blocks] = self.quietest

    def feed(self, samples: Array) -> Levels:
        """Takes samples (n,), gives decibels (t, 2) of the frames that are complete now: above the noise, and alone."""
        return self._levels(self._frames.feed(samples))

    def finish(self) -> Levels:
        """Decibels (t, 2) of the frames that are left."""
        return self._levels(self._frames.finish())

    def _levels(self, bands: Array) -> Levels:
        levels = [self._block(bands[first : first + BLOCK_FRAMES]) for first in range(0, len(bands), BLOCK_FRAMES)]
        return np.concatenate([*levels, np.zeros((0, 2))])

    def _block(self, bands: Array) -> Levels:
        powers = np.exp(bands.astype(np.float64))
        before = powers[:1].repeat(SMOOTHED - 1, axis=0) if self._last is None else self._last
        powers = np.concatenate([before, powers])  # (t + SMOOTHED - 1, bands)
        self._last = powers[len(powers) - SMOOTHED + 1 :]
        smooth = np.log(sum(powers[first : first + len(bands)] for first in range(SMOOTHED)) / SMOOTHED)
        smooth = np.maximum(smooth, self.quietest)
        noise = np.minimum(np.minimum.accumulate(smooth), self._minima.min(axis=0))
        self._minima = np.vstack([self._minima[1:], smooth.min(axis=0)])
        above = np.clip((smooth - noise) * DB - BIAS_DB, 0, MOST_DB)
        return np.stack([above.mean(axis=1), smooth.mean(axis=1) * DB], axis=1)


def _level_of(bands: LogMel, decibels: float) -> float:
    """The mean of the bands of white noise of this power, a natural logarithm."""
    noise = np.random.default_rng(0).standard_normal(4 * bands.window_samples) * 10 ** (decibels / 20)
    return float(np.log(np.exp(bands(noise.astype(np.float32))).mean()))
