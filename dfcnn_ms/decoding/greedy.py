"""Greedy CTC decoding: the best unit of each output step, repeats merged, blanks removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.decoding.hypothesis import BaseDecoder, Hypothesis, check_batch, check_peaks
from dfcnn_ms.text.vocabulary import BLANK_ID

Array = NDArray[Any]

__all__ = ["Greedy", "Hypothesis", "decode_greedy", "decode_greedy_batch"]


@dataclass(frozen=True)
class Greedy(BaseDecoder):
    """Decodes each utterance of a batch as :func:`decode_greedy` would alone: n-best lists of one.

    Example:
        >>> scores = np.log([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]])
        >>> Greedy()(scores, [4])[0][0].ids
        (1, 1)
    """

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """One hypothesis for each utterance of `log_probs` (B, U, V); what follows `lengths` (B,) is not looked at."""
        return [[hypothesis] for hypothesis in decode_greedy_batch(log_probs, lengths)]


def decode_greedy(scores: Array, length: int | None = None, blank: int = BLANK_ID) -> Hypothesis:
    """Decodes one utterance.

    Args:
        scores: log-probabilities (U, V). Logits give the same `ids`, but a `log_prob` that means nothing.
        length: how many steps are the utterance's own; the rest is padding. All of them by default.
        blank: id of the CTC blank.

    Returns:
        Its `log_prob` is that of the single best path, not the sum over all paths.

    Example:
        >>> scores = np.log([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])
        >>> decode_greedy(scores).ids
        (1, 1)
    """
    if np.ndim(scores) != 2:
        raise ValueError(f"scores must be (U, V); got shape {np.shape(scores)}")
    lengths = [len(scores) if length is None else length]
    return decode_greedy_batch(np.asarray(scores)[None], lengths, blank)[0]


def decode_greedy_batch(scores: Array, lengths: Sequence[int] | Array, blank: int = BLANK_ID) -> list[Hypothesis]:
    """Decodes each utterance of a batch as :func:`decode_greedy` would alone.

    Args:
        scores: log-probabilities (B, U, V).
        lengths: steps of each utterance (B,); what follows them is never looked at.
        blank: id of the CTC blank.
    """
    scores, lengths = check_batch(scores, lengths)
    ids, best = _best_path(scores)  # (B, U) each; where a step has NaN, so has the best
    for peaks, length in zip(best, lengths, strict=True):
        check_peaks(peaks[:length])
    return [_collapse(ids[b, :n], best[b, :n], blank) for b, n in enumerate(lengths)]


def _best_path(scores: Array) -> tuple[Array, Array]:
    ids = scores.argmax(axis=-1)
    best = np.take_along_axis(scores, ids[..., None], axis=-1)[..., 0]
    return ids, best.astype(np.float64)


def _collapse(ids: Array, best: Array, blank: int) -> Hypothesis:
    """Merges the runs of one best path (n,) and drops those of blanks."""
    if not len(ids):
        return Hypothesis((), 0.0)
    runs = ids[np.flatnonzero(np.diff(ids, prepend=-1))]  # no id is -1: the first step always starts a run
    return Hypothesis(tuple(runs[runs != blank].tolist()), float(best.sum()))
