"""Features of sound that comes in pieces: the same frames as of the whole, whatever the pieces are."""

from __future__ import annotations

import numpy as np

from dfcnn_ms.audio.features import Features
from dfcnn_ms.audio.wave import Array

#: frames that are made at once: 160 ms at the usual hop. Blocks lie at the same places however the sound was cut.
BLOCK_FRAMES = 16


class FeatureStream:
    """Samples in, frames out.

    Args:
        features: samples (N,) -> frames (T, F); frame t depends on no sample before the frame before it.
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self._samples = np.zeros(0, np.float32)
        self._before = 0  # frames at the beginning of `_samples` that were given out already: 0 or 1

    def feed(self, samples: Array) -> Array:
        """Takes samples (n,) and gives the frames (t, F) that are complete now, in whole blocks."""
        self._samples = np.concatenate([self._samples, samples])
        hop, window = self.features.hop_samples, self.features.window_samples
        complete = max(0, (len(self._samples) - window) // hop + 1) - self._before
        frames = max(0, complete) // BLOCK_FRAMES * BLOCK_FRAMES
        if not frames:
            return self._none
        last = self._before + frames - 1
        made = self.features(self._samples[: last * hop + window])[self._before : last + 1]
        # One frame stays: to know its first sample's predecessor, a frame needs what came before.
        self._samples, self._before = self._samples[last * hop :], 1
        return made

    def finish(self) -> Array:
        """The frames (t, F) that are left when the sound ends, as the whole sound would have them."""
        if not len(self._samples):
            return self._none
        made = self.features(self._samples)[self._before :]
        self._samples, self._before = self._samples[:0], 0
        return made

    @property
    def _none(self) -> Array:
        return np.zeros((0, self.features.num_bins), np.float32)
