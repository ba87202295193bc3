"""Decoding of networks taught by aggregation cross-entropy: a unit takes one step, and repeats are said twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dfcnn_ms.decoding.align import Alignment
from dfcnn_ms.decoding.hypothesis import Array, BaseDecoder, Hypothesis, check_batch, check_peaks
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.vocabulary import BLANK_ID


@dataclass(frozen=True)
class AceGreedy(BaseDecoder):
    """The best unit of each step, blanks left out and **repeats kept**: merging them would lose what is said twice.

    Example:
        >>> scores = np.log([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]])
        >>> AceGreedy()(scores, [3])[0][0].ids
        (1, 1)
    """

    reads: ClassVar[str] = "ace"

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """One hypothesis for each utterance of `log_probs` (B, U, V); what follows `lengths` (B,) is not looked at."""
        scores, lengths = check_batch(log_probs, lengths)
        return [[best_of(one[:length])] for one, length in zip(scores, lengths, strict=True)]


def best_of(log_probs: Array) -> Hypothesis:
    """What the most probable unit of every step (U, V) spells; its `log_prob` is that of all these together."""
    if not len(log_probs):
        return Hypothesis((), 0.0)
    peaks = log_probs.max(axis=1).astype(np.float64)
    check_peaks(peaks)
    return Hypothesis(spelled(log_probs), float(peaks.sum()))


def spelled(log_probs: Array) -> tuple[int, ...]:
    """The most probable unit of every step (U, V), without the blanks."""
    ids = np.asarray(log_probs).argmax(axis=1)
    return tuple(ids[ids != BLANK_ID].tolist())


def align_ace(log_probs: Array, ids: Sequence[int]) -> Alignment:
    """The best place of each unit of a text in one utterance: a step each, in order, and the blank at all the others.

    Args:
        log_probs: of one utterance, without padding (U, V).
        ids: the text (L,).

    Raises:
        DataError: the text has more units than there are steps.
    """
    log_probs, ids = np.asarray(log_probs, np.float64), [int(id) for id in ids]
    if len(ids) > len(log_probs):
        raise DataError(
            f"a text of {len(ids)} units needs at least as many output steps, the sound has {len(log_probs)}; is it "
            "the text of this recording?"
        )
    steps = _best_steps(log_probs[:, ids] - log_probs[:, [BLANK_ID]])
    here = tuple(steps)
    chosen = log_probs[steps, ids] if ids else np.zeros(0)
    rest = np.delete(log_probs[:, BLANK_ID], steps).sum()
    return Alignment(tuple(ids), here, here, here, tuple(np.exp(chosen).tolist()), float(chosen.sum() + rest))


def _best_steps(gains: Array) -> list[int]:
    """The strictly rising steps, one for each unit, whose gains (U, L) add up to the most."""
    count, length = gains.shape
    best = np.zeros(count + 1)  # of all beginnings: what the units so far gain within the first u steps
    choices = np.zeros((count, length), bool)  # whether a unit takes this step, when it may take this or one before
    for unit in range(length):
        taken = best[:-1] + gains[:, unit]
        best = np.concatenate([[-np.inf], np.maximum.accumulate(taken)])
        choices[:, unit] = taken >= best[1:]
    steps: list[int] = []
    last = count - 1
    for unit in reversed(range(length)):
        last = int(np.flatnonzero(choices[: last + 1, unit])[-1])
        steps.insert(0, last)
        last -= 1
    return steps
