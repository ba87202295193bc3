"""Forced alignment: where each unit of a known text lies in the outputs of a CTC network.

>>> log_probs = np.log([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]] + np.full((3, 3), 1e-9))
>>> align_ctc(log_probs, [1, 2]).first
(0, 2)

The states of the trellis are those of :mod:`dfcnn_ms.decoding.trellis`: S = 2L+1, the odd ones units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.errors import CheckpointError, DataError
from dfcnn_ms.text.vocabulary import BLANK_ID

Array = NDArray[Any]


@dataclass(frozen=True)
class Alignment:
    """The likeliest path through the outputs that spells a text.

    Attributes:
        ids: the text, one entry per unit as in what follows.
        first, last: the steps from which to which the path stays on the unit, both included.
        peaks: the step among these at which the unit is likeliest.
        scores: its probability there, 0 to 1.
        log_prob: of the path, the natural logarithm.
    """

    ids: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]
    peaks: tuple[int, ...]
    scores: tuple[float, ...]
    log_prob: float


def align_ctc(log_probs: Array, ids: Sequence[int]) -> Alignment:
    """Aligns a text with one utterance: the exact best path of the CTC trellis (Viterbi).

    Args:
        log_probs: of one utterance, without padding (U, V).
        ids: the text (L,); an empty one is all blank.

    Raises:
        DataError: the text needs more steps than there are.
    """
    from dfcnn_ms.compiled import announced

    log_probs, ids = checked(log_probs, ids)
    if not len(log_probs):
        return Alignment((), (), (), (), (), 0.0)
    with announced("the alignment"):
        from dfcnn_ms.decoding.trellis import best_path

        path = best_path(log_probs.astype(np.float32), np.array(ids, np.int64))  # (U,)
    units = np.arange(len(ids)) * 2 + 1
    first = np.searchsorted(path, units, side="left")
    last = np.searchsorted(path, units, side="right") - 1
    peaks = [int(a + log_probs[a : b + 1, id].argmax()) for id, a, b in zip(ids, first, last, strict=True)]
    return Alignment(
        ids=tuple(ids),
        first=tuple(first.tolist()),
        last=tuple(last.tolist()),
        peaks=tuple(peaks),
        scores=tuple(np.exp(log_probs[peaks, ids]).tolist()),
        log_prob=float(log_probs[np.arange(len(path)), states_of(ids)[path]].sum()),
    )


def steps_needed(label: Sequence[Any]) -> int:
    """The fewest steps that can spell a label: one for each unit, and a blank between equal neighbours."""
    return len(label) + sum(a == b for a, b in pairwise(label))


def checked(log_probs: Array, ids: Sequence[int]) -> tuple[Array, list[int]]:
    """Log-probabilities (U, V) in float64 and the ids of a text that they can spell.

    Raises:
        CheckpointError: they hold NaN, which no sound network says.
        DataError: the text needs more steps than there are.
        ValueError: what is no such thing at all.
    """
    log_probs, ids = np.asarray(log_probs, np.float64), [int(id) for id in ids]
    if log_probs.ndim != 2:
        raise ValueError(f"log_probs must be (U, V); got shape {log_probs.shape}")
    if np.isnan(log_probs).any():
        raise CheckpointError("scores hold NaN: the network has diverged or was fed NaN; use an earlier checkpoint")
    if not all(0 <= id < log_probs.shape[1] and id != BLANK_ID for id in ids):
        raise ValueError(f"ids must lie between 1 and {log_probs.shape[1] - 1}; got {ids}")
    if steps_needed(ids) > len(log_probs):
        raise DataError(
            f"a text of {len(ids)} units needs at least {steps_needed(ids)} output steps, the sound has "
            f"{len(log_probs)}; is it the text of this recording?"
        )
    return log_probs, ids


def states_of(ids: Sequence[int]) -> Array:
    """The id of each state (S,): a blank, and after each unit another."""
    states = np.full(2 * len(ids) + 1, BLANK_ID)
    states[1::2] = ids
    return states
