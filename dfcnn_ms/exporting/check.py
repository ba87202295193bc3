"""Is an exported network still the same? Both listen to the same sound, in one batch of different lengths."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.recognizer import stack
from dfcnn_ms.runtime.loaded import Acoustics

#: by how much a log-probability may differ
TOLERANCE = 1e-4
#: where the graph begins with sound: the logarithm of a quiet bin beside a loud one is as uncertain in float32
TOLERANCE_OF_WAVES = 1e-3
#: where only the steps have to be the same
ANY = sys.float_info.max
#: seconds of the sounds that are made up where there is no real one
_MADE_UP = (0.4, 1.1, 2.3, 3.0)


def made_up_sound() -> list[np.ndarray]:
    """Recordings (N,): noise whose loudness moves, over tones that glide."""
    rng = np.random.default_rng(0)
    return [_made_up(rng, round(seconds * SAMPLE_RATE)) for seconds in _MADE_UP]


def _made_up(rng: np.random.Generator, samples: int) -> np.ndarray:
    time = np.arange(samples) / SAMPLE_RATE
    loudness = 0.1 * np.square(np.sin(2 * np.pi * rng.uniform(1, 3) * time))
    tones = sum(np.sin(2 * np.pi * (hertz + 200 * time) * time) for hertz in rng.uniform(100, 3000, 5))
    return (loudness * (tones + rng.standard_normal(samples)) + 1e-3 * rng.standard_normal(samples)).astype(np.float32)


def padded(waves: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Recordings (N,) as one batch (B, N), zeros behind each, and their samples (B,)."""
    samples = np.array([len(wave) for wave in waves], np.int64)
    batch = np.zeros((len(waves), samples.max()), np.float32)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave
    return batch, samples


def difference(
    frontend: Frontend, original: Acoustics, exported: Any, waves: Sequence[np.ndarray], *, of_waves: bool = False
) -> float:
    """The largest difference between the log-probabilities of two networks, over all steps of all recordings.

    Args:
        frontend: what both listen through.
        original: the network as it was.
        exported: the other one: a batch and lengths -> log-probabilities and steps.
        waves: recordings (N,).
        of_waves: whether the other one is given samples and not features.
    """
    features, lengths = stack([frontend(wave) for wave in waves])
    wanted, steps = original(features, lengths)
    got, own = exported(*padded(waves)) if of_waves else exported(features, lengths)
    if np.asarray(own).tolist() != np.asarray(steps).tolist():
        return np.inf
    rows = [_apart(got[row, :count], wanted[row, :count]) for row, count in enumerate(steps) if count]
    return max(rows, default=np.inf)


def _apart(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, of what is far below -1 as a share of it."""
    return float((np.abs(got - wanted) / np.maximum(1, np.abs(wanted))).max())


def check(difference: float, where: str, tolerance: float = TOLERANCE) -> None:
    """Refuses a network that is another one.

    Raises:
        CheckpointError: see above.
    """
    if not difference <= tolerance:
        raise CheckpointError(
            f"{where}: not written: what was exported differs from MindSpore by {difference:.1e} in the "
            f"log-probabilities, at most {tolerance:.0e} is allowed; please report it together with the configuration"
        )
