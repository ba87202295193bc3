"""Decoding of labels without an order: each that is more likely there than not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dfcnn_ms.decoding.hypothesis import Array, BaseDecoder, Hypothesis, check_batch, check_peaks
from dfcnn_ms.text.vocabulary import BLANK_ID, UNKNOWN_ID


@dataclass(frozen=True)
class Presence(BaseDecoder):
    """The labels of each clip whose probability is above a half; there may be none.

    Example:
        >>> scores = np.log([[[0.2, 0.1, 0.4, 0.1, 0.2 + 1e-9]]])
        >>> Presence()(scores, [1])[0][0].ids
        (2, 4)
    """

    reads: ClassVar[str] = "labels"

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """One hypothesis for each clip of `log_probs` (B, U, V), with the labels in their order."""
        scores, lengths = check_batch(log_probs, lengths)
        return [[_found(one[:length])] for one, length in zip(scores, lengths, strict=True)]


def _found(log_probs: Array) -> Hypothesis:
    ids = present(log_probs)
    if not len(log_probs):
        return Hypothesis((), 0.0)
    check_peaks(log_probs.max(axis=1))
    share = presence(log_probs)[0, UNKNOWN_ID + 1 :]
    sure = np.where(share > 0.5, share, 1 - share)  # of each yes and each no
    return Hypothesis(ids, float(np.log(sure).sum()))


def presence(log_probs: Array) -> Array:
    """The probability of each label, by itself: (U, V) -> (U, V)."""
    margins = np.asarray(log_probs, np.float64) - np.asarray(log_probs, np.float64)[:, BLANK_ID : BLANK_ID + 1]
    return np.asarray((1 + np.tanh(margins / 2)) / 2)  # the sigmoid, which cannot overflow so


def present(log_probs: Array) -> tuple[int, ...]:
    """The ids of the labels of a clip (U, V) that are more likely there than not; none of one too short for a step."""
    if not len(log_probs):
        return ()
    found = np.flatnonzero(log_probs[0] > log_probs[0, BLANK_ID])
    return tuple(int(id) for id in found if id > UNKNOWN_ID)
