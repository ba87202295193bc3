"""A stored network that was loaded: what every loader gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.runtime.meta import Meta


class Acoustics(Protocol):
    """A network in use, whatever runs it: NumPy in, NumPy out."""

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities (B, U, V) of features (B, 1, T, F), and the steps (B,) that belong to each utterance.

        Args:
            features: zeros after the end of each utterance.
            lengths: frames of each utterance (B,).
        """


@dataclass(frozen=True)
class Loaded:
    """A network that was loaded.

    Attributes:
        acoustics: features -> log-probabilities.
        meta: what its file says about it.
        device: where it runs.
    """

    acoustics: Acoustics
    meta: Meta
    device: str = "CPU"


def check_there(path: Path) -> None:
    """Refuses a network that is no file.

    Raises:
        CheckpointError: see above.
    """
    if path.is_dir():
        raise CheckpointError(f"{path}: is a directory, wanted a checkpoint file such as dfcnn.ckpt")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; train one with: python -m dfcnn_ms.train")
