"""Features of sound that comes in pieces: the same frames as of the whole, whatever the pieces are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dfcnn_ms.audio.features import Features
from dfcnn_ms.audio.wave import Array

#: frames that are made at once: 160 ms at the usual hop. Blocks lie at the same places however the sound was cut.
BLOCK_FRAMES = 16


class FeatureStream:
    """Samples in, frames out.

    Args:
        features: samples (N,) -> frames (T, F); frame t depends on no sample before the frame before it, but for those
            of the frames around it that it says it needs.
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self._framing = replace(features, preprocess=())
        self._begin()

    def _begin(self) -> None:
        self._steps = [step.stream(self.features.sample_rate) for step in self.features.preprocess]
        self._samples = np.zeros(0, np.float32)
        self._before = 0  # frames at the beginning of `_samples` that were given out already

    def feed(self, samples: Array) -> Array:
        """Takes samples (n,) and gives the frames (t, F) that are complete now, in whole blocks."""
        for step in self._steps:
            samples = step.feed(samples)
        self._samples = np.concatenate([self._samples, samples])
        hop, window, context = self.features.hop_samples, self.features.window_samples, self.features.context_frames
        complete = max(0, (len(self._samples) - window) // hop + 1) - context - self._before
        frames = max(0, complete) // BLOCK_FRAMES * BLOCK_FRAMES
        if not frames:
            return self._none
        stop = self._before + frames
        made = self._framing(self._samples[: (stop + context - 1) * hop + window])[self._before : stop]
        # One frame stays: to know its first sample's predecessor, a frame needs what came before.
        self._before = min(stop, 1 + context)
        self._samples = self._samples[(stop - self._before) * hop :]
        return made

    def finish(self) -> Array:
        """The frames (t, F) that are left when the sound ends, as the whole sound would have them."""
        late = np.zeros(0, np.float32)
        for step in self._steps:
            late = np.concatenate([step.feed(late), step.finish()])
        samples, before = np.concatenate([self._samples, late]), self._before
        self._begin()
        return self._framing(samples)[before:] if len(samples) else self._none

    @property
    def _none(self) -> Array:
        return np.zeros((0, self.features.num_bins), np.float32)
