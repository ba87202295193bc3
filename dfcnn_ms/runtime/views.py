"""A picture looked at four times: as it is and in three crops, which are averaged. Slower, and a little surer."""

from __future__ import annotations

import numpy as np

from dfcnn_ms.runtime.loaded import Acoustics

#: frames that a crop leaves out
CROPPED = 2


class FourViews:
    """Acoustics that average the probabilities of four views of each clip.

    A crop of T - 2 frames begins at frame 0, 1 or 2; its first and its last frame are repeated, so that it is T long.

    Args:
        acoustics: what looks at each view.
    """

    def __init__(self, acoustics: Acoustics) -> None:
        self.acoustics = acoustics

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities (B, U, V) of features (B, 1, T, F), and the steps (B,) of each."""
        log_probs, steps = self.acoustics(features, lengths)
        crops = [self.acoustics(cropped(features, lengths, first), lengths)[0] for first in range(CROPPED + 1)]
        return np.logaddexp.reduce([log_probs, *crops], axis=0) - np.log(len(crops) + 1).astype(np.float32), steps


def cropped(features: np.ndarray, lengths: np.ndarray, first: int) -> np.ndarray:
    """The crop that begins at frame ``first`` of each clip: (B, 1, T, F) -> (B, 1, T, F); short clips stay whole."""
    crop = features.copy()
    for row, length in enumerate(lengths):
        if length > CROPPED:
            places = np.clip(np.arange(length) - 1, 0, length - CROPPED - 1) + first
            crop[row, :, :length] = features[row][:, places]
    return crop
