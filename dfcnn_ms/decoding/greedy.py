"""Greedy CTC decoding: the best unit of each output step, repeats merged, blanks removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.text.vocabulary import BLANK_ID

Array = NDArray[Any]


@dataclass(frozen=True)
class Hypothesis:
    """What a decoder believes was said in one utterance.

    `ids`, `steps` and `confidences` have one entry per unit. A step counts outputs of the network, of
    which each covers several feature frames.
    """

    ids: tuple[int, ...]
    steps: tuple[int, ...]
    log_prob: float
    confidences: tuple[float, ...]


def decode_greedy(scores: Array, length: int | None = None, blank: int = BLANK_ID) -> Hypothesis:
    """Decodes one utterance.

    Args:
        scores: log-probabilities (U, V). Logits give the same `ids` and `steps`, but `log_prob` and
            `confidences` mean something only for log-probabilities.
        length: how many steps are the utterance's own; the rest is padding. All of them by default.
        blank: id of the CTC blank.

    Returns:
        `steps` are the first step of each unit, `confidences` the highest probability along its run of
        steps, and `log_prob` is that of the single best path, not the sum over all paths.

    Example:
        >>> scores = np.log([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])
        >>> decode_greedy(scores).ids, decode_greedy(scores).steps
        ((1, 1), (0, 3))
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
    scores, lengths = np.asarray(scores), np.asarray(lengths)
    _check(scores, lengths)
    ids, best = _best_path(scores)  # (B, U) each
    inside = np.arange(ids.shape[1]) < lengths[:, None]
    if np.isnan(best[inside]).any():
        raise ValueError("scores hold NaN; the network has diverged or was fed NaN")
    return [_collapse(ids[b, :n], best[b, :n], blank) for b, n in enumerate(lengths)]


def _best_path(scores: Array) -> tuple[Array, Array]:
    ids = scores.argmax(axis=-1)
    best = np.take_along_axis(scores, ids[..., None], axis=-1)[..., 0]
    return ids, best.astype(np.float64)


def _collapse(ids: Array, best: Array, blank: int) -> Hypothesis:
    """Merges the runs of one best path (n,) and drops those of blanks."""
    if not len(ids):
        return Hypothesis((), (), 0.0, ())
    starts = np.flatnonzero(np.diff(ids, prepend=-1))  # no id is -1: the first step always starts a run
    peaks = np.maximum.reduceat(best, starts)
    spoken = ids[starts] != blank
    return Hypothesis(
        ids=tuple(ids[starts][spoken].tolist()),
        steps=tuple(starts[spoken].tolist()),
        log_prob=float(best.sum()),
        confidences=tuple(np.exp(peaks[spoken]).tolist()),
    )


def _check(scores: Array, lengths: Array) -> None:
    if scores.ndim != 3:
        raise ValueError(f"scores must be (B, U, V); got shape {scores.shape}")
    if lengths.shape != scores.shape[:1]:
        raise ValueError(f"lengths must be one per utterance of {len(scores)}; got shape {lengths.shape}")
    if ((lengths < 0) | (lengths > scores.shape[1])).any():
        raise ValueError(f"lengths must lie between 0 and {scores.shape[1]}; got {lengths.tolist()}")
