"""What the network hears: features and their normalisation as one value, the same in training and in use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.audio.features import Features, GlobalCmvn, utterance_cmvn


@dataclass(frozen=True)
class Frontend:
    """Samples -> the very numbers that enter the network: (N,) -> (T, F) float32.

    Attributes:
        features: what a frame is.
        cmvn: ``none``, ``utterance`` (each utterance by itself) or ``global``.
        statistics: the estimate over the training set; only with ``global``.
    """

    features: Features
    cmvn: str = "utterance"
    statistics: GlobalCmvn | None = None

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        features = self.features(wave)
        if self.cmvn == "utterance":
            return utterance_cmvn(features)
        if self.statistics is not None:
            return self.statistics(features)
        return features

    def fitted(self, waves: Iterable[np.ndarray]) -> Frontend:
        """The same front end with global statistics estimated over ``waves``, where it needs any."""
        if self.cmvn != "global":
            return self
        return Frontend(self.features, self.cmvn, GlobalCmvn.estimate(self.features(wave) for wave in waves))
