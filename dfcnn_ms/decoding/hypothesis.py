"""What a decoder believes, and what it may be given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Hypothesis:
    """What a decoder believes was said in one utterance.

    `ids`, `steps` and `confidences` have one entry per unit. A step counts outputs of the network, of
    which each covers several feature frames.

    Attributes:
        ids: the units.
        steps: where each unit begins on the most probable path that spells `ids`.
        log_prob: acoustic natural log-probability: of all paths that spell `ids` from a beam search, of the one best
            path from greedy decoding.
        confidences: the highest probability of each unit along its run of steps, 0 to 1.
        language_log_prob: natural log-probability by the language model, sentence end included; 0 without one.
        score: what an n-best list is ordered by: `log_prob`, and what language model, length bonus and hotwords add.
        language_score: what of `score` comes from the language model, with the length bonus beside it; 0 without one.
    """

    ids: tuple[int, ...]
    steps: tuple[int, ...]
    log_prob: float
    confidences: tuple[float, ...]
    language_log_prob: float = 0.0
    score: float = math.nan
    language_score: float = 0.0

    def __post_init__(self) -> None:
        if math.isnan(self.score):
            object.__setattr__(self, "score", self.log_prob)


class Decoder(Protocol):
    """From log-probabilities to n-best lists: `greedy`, `beam`, or another callable of the same kind."""

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """The n-best list of each utterance, the best first, never empty.

        Args:
            log_probs: natural logarithms of probabilities (B, U, V).
            lengths: steps of each utterance (B,); what follows them is never looked at.
        """


def check_batch(scores: Array, lengths: Sequence[int] | Array) -> tuple[Array, Array]:
    """What every decoder is given: scores (B, U, V) and lengths (B,), as arrays.

    Raises:
        ValueError: shapes that do not fit, lengths outside 0..U, or scores that say nothing: NaN, plus infinity, or a
            step of which no unit is possible. Minus infinity elsewhere is a probability of zero like any other.
    """
    scores, lengths = np.asarray(scores), np.asarray(lengths)
    if scores.ndim != 3 or not scores.shape[2]:
        raise ValueError(f"scores must be (B, U, V); got shape {scores.shape}")
    if lengths.shape != scores.shape[:1]:
        raise ValueError(f"lengths must be one per utterance of {len(scores)}; got shape {lengths.shape}")
    if ((lengths < 0) | (lengths > scores.shape[1])).any():
        raise ValueError(f"lengths must lie between 0 and {scores.shape[1]}; got {lengths.tolist()}")
    return scores, lengths


def check_peaks(peaks: Array) -> None:
    """Refuses scores by the highest of each step (U,), which is NaN if any of the step is.

    Raises:
        ValueError: see :func:`check_batch`.
    """
    if np.isfinite(peaks).all():
        return
    step = int(np.flatnonzero(~np.isfinite(peaks))[0])
    if np.isneginf(peaks[step]):
        raise ValueError(f"step {step} of an utterance gives every unit a probability of zero; no path goes through it")
    raise ValueError(f"scores hold NaN or infinity at step {step}; the network has diverged or was fed NaN")
