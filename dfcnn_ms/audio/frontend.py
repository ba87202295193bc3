"""What the network hears: features and their normalisation as one value, the same in training and in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.audio.features import Features, GlobalCmvn, RunningCmvn, utterance_cmvn

#: normalisations that want statistics of a training set
WITH_STATISTICS = ("global", "running")


@dataclass(frozen=True)
class Frontend:
    """Samples -> the very numbers that enter the network: (N,) -> (T, F) float32.

    Attributes:
        features: what a frame is.
        cmvn: ``none``, ``utterance`` (each utterance by itself), ``global`` (by a training set) or ``running`` (each
            frame by the frames of its utterance up to it).
        statistics: the estimate over the training set; only with ``global`` and ``running``.
    """

    features: Features
    cmvn: str = "utterance"
    statistics: GlobalCmvn | None = None

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        return self.normalised(self.features(wave))

    def normalised(self, features: np.ndarray) -> np.ndarray:
        """Features (T, F) of a whole utterance as they enter the network."""
        normalise = self.in_pieces()
        if normalise is None:
            return utterance_cmvn(features, weights=self.features.weights(features))
        return normalise(features)

    def in_pieces(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """What normalises one utterance whose features (t, F) come piece by piece; None: all of it has to be there."""
        if self.cmvn == "utterance":
            return None
        normalise: Callable[..., np.ndarray] = _as_they_are
        if self.statistics is not None:
            normalise = RunningCmvn(self.statistics).stream() if self.cmvn == "running" else self.statistics
        return lambda features: normalise(features, self.features.weights(features))

    @property
    def wants_statistics(self) -> bool:
        """Whether it has to be fitted to a training set."""
        return self.cmvn in WITH_STATISTICS

    def fitted(self, waves: Iterable[np.ndarray]) -> Frontend:
        """The same front end with global statistics estimated over ``waves``, where it needs any."""
        if not self.wants_statistics:
            return self
        heard = (self.features(wave) for wave in waves)
        return Frontend(self.features, self.cmvn, GlobalCmvn.estimate(heard, weights=self.features.weights))


def _as_they_are(features: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return features if weights is None else features * weights
