"""A stored network that was loaded: what every loader gives."""

from __future__ import annotations

import os
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
    """Refuses a network that is no file, or one that may not be read.

    Raises:
        CheckpointError: see above.
    """
    if os.path.isdir(path):
        raise CheckpointError(f"{path}: is a directory, wanted a checkpoint file such as dfcnn.ckpt")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; train one with: python -m dfcnn_ms.train") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be read: {reason}; check its permissions and those above it") from None
