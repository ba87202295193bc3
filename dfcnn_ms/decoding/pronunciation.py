"""Goodness of pronunciation: how well each unit of a known text was said, and what was heard instead.

No alignment decides it. The text is compared with every text that has another unit, or none, in one place, each by its
CTC probability, the sum over all its paths. These sums share what comes before the place and what comes after it: the
forward and the backward table of the trellis (U, S), whose S = 2L+1 states are those of
:mod:`dfcnn_ms.decoding.trellis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.decoding.align import Alignment, checked, states_of
from dfcnn_ms.text.vocabulary import BLANK_ID

Array = NDArray[Any]

#: Longer texts are judged in pieces of so many units.
PIECE = 50
#: Goodness takes lower log-probabilities for this one, so that no probability is zero.
_LEAST = -690.0
#: The logarithm of no probability at all, finite so that differences are numbers.
_NEVER = -1e30


@dataclass(frozen=True)
class Pronunciation:
    """How well one unit of a text was said.

    Attributes:
        goodness: natural logarithm of the probability of this unit at its place in the text, the rest of the text
            being right; 0 is perfect.
        heard: the id that is likeliest at this place, or None where leaving the unit out is likelier than any.
    """

    goodness: float
    heard: int | None


def pronunciation(log_probs: Array, ids: Sequence[int]) -> list[Pronunciation]:
    """Goodness of pronunciation of each unit, whatever the alignment.

    The text is compared with every text that has another unit, or none, in this one place: their CTC probabilities,
    summed over all paths, are made to sum to one.

    Args:
        log_probs: of one utterance, without padding (U, V).
        ids: the text (L,).

    Raises:
        DataError: the text needs more steps than there are.
    """
    log_probs, ids = checked(log_probs, ids)
    if not ids:
        return []
    log_probs = np.maximum(log_probs, _LEAST)
    states = states_of(ids)
    emissions, skips = log_probs[:, states], _skips(states)
    before = _forward(emissions, skips)  # (U, S)
    after = _backward(emissions, skips)  # (U, S)
    replaced = _replaced(log_probs, ids, before, after)  # (L, V)
    left_out = [_left_out(ids, place, before, after) for place in range(len(ids))]
    return [_judged(row, without, id) for row, without, id in zip(replaced, left_out, ids, strict=True)]


def pronunciation_of(log_probs: Array, alignment: Alignment, piece: int = PIECE) -> list[Pronunciation]:
    """Goodness of pronunciation of an aligned text of any length.

    The cost of :func:`pronunciation` grows with the square of the length. A text of more than `piece` units is cut into
    pieces, halfway between the steps of two units, and each piece is judged by itself.
    """
    starts = range(piece, len(alignment.ids), piece)
    cuts = [(alignment.last[start - 1] + 1 + alignment.first[start]) // 2 for start in starts]
    judged: list[Pronunciation] = []
    for number, sound in enumerate(np.split(np.asarray(log_probs), cuts)):
        judged += pronunciation(sound, alignment.ids[number * piece : (number + 1) * piece])
    return judged


def _judged(replaced: Array, left_out: float, id: int) -> Pronunciation:
    """The goodness of one unit by what each unit in its place (V,), and none, would give the text."""
    total = np.logaddexp(np.logaddexp.reduce(replaced), left_out)
    best = int(replaced.argmax())
    return Pronunciation(min(0.0, float(replaced[id] - total)), best if replaced[best] >= left_out else None)


def _replaced(log_probs: Array, ids: list[int], before: Array, after: Array) -> Array:
    """Log-probability (L, V) of the text with any unit in any one place.

    A path comes to the unit, stays on it for some steps, and leaves. The sum over all of them runs on probabilities,
    each place on a scale of its own: far faster than logarithms, and just as exact.
    """
    probabilities = np.exp(log_probs)
    probabilities[:, BLANK_ID] = 0.0
    comes = _ways(before)
    leaves = [way[::-1, ::-1] for way in _ways(after[::-1, ::-1])]
    previous, following = np.array([BLANK_ID, *ids[:-1]]), np.array([*ids[1:], BLANK_ID])
    whole = np.ones((len(ids), log_probs.shape[1]))
    inside = total = _Scaled(0 * whole, np.full(len(ids), _NEVER))
    for step, emission in enumerate(probabilities):
        inside = inside.plus(whole, comes[0][step], previous, comes[1][step]).times(emission)
        out = inside.level
        total = total.plus(inside.values, out + leaves[0][step], following, out + leaves[1][step])
    return np.log(np.maximum(total.values, np.exp(_LEAST))) + total.level[:, None]


def _ways(before: Array) -> tuple[Array, Array]:
    """Log-probability (U, L) to be about to enter each unit at each step: by any way, and from a blank only."""
    steps, states = before.shape
    from_blank = np.full((steps, states // 2), _NEVER)
    from_unit = from_blank.copy()
    from_blank[1:] = before[:-1, 0:-1:2]
    from_blank[0, 0] = 0.0  # the text may begin with its first unit
    from_unit[1:, 1:] = before[:-1, 1:-2:2]
    return np.maximum(np.logaddexp(from_blank, from_unit), _NEVER), np.maximum(from_blank, _NEVER)


@dataclass(frozen=True)
class _Scaled:
    """Numbers `values * exp(level)`, with one level for each row: (L, V) and (L,)."""

    values: Array
    level: Array

    def plus(self, values: Array, level: Array, like: Array, like_level: Array) -> _Scaled:
        """Adds `values * exp(level)`; in one column of each row, `like` (L,), on the level `like_level` instead."""
        common = np.maximum(self.level, level)
        mine, theirs = np.exp(self.level - common), np.exp(level - common)
        total = self.values * mine[:, None] + values * theirs[:, None]
        rows = np.arange(len(like))
        total[rows, like] = self.values[rows, like] * mine + values[rows, like] * np.exp(like_level - common)
        return _Scaled(total, common)

    def times(self, values: Array) -> _Scaled:
        """Multiplies every row with `values` (V,), and makes its largest number 1 where it is not zero."""
        product = self.values * values
        peak = product.max(axis=1)
        peak[peak == 0] = 1.0
        return _Scaled(product / peak[:, None], self.level + np.log(peak))


def _left_out(ids: list[int], place: int, before: Array, after: Array) -> float:
    """Log-probability of the text without the unit at `place`."""
    blank, previous, following = 2 * place, 2 * place - 1, 2 * place + 3
    if place == len(ids) - 1:
        ends = [before[-1, blank], before[-1, previous] if place else -np.inf]
        return float(np.logaddexp(*ends))
    crossings = before[:-1, blank] + after[1:, following]
    if place and ids[place - 1] != ids[place + 1]:
        crossings = np.logaddexp(crossings, before[:-1, previous] + after[1:, following])
    start = -np.inf if place else after[0, following]
    return float(np.logaddexp(np.logaddexp.reduce(crossings, initial=-np.inf), start))


def _skips(states: Array) -> Array:
    """What it costs to come to each state (S,) from the one before the last: nothing, or everything."""
    skips = np.full(len(states), -np.inf)
    skips[2:][(states[2:] != BLANK_ID) & (states[2:] != states[:-2])] = 0.0
    return skips


def _forward(emissions: Array, skips: Array) -> Array:
    """Log-probability (U, S) of all ways to have come to each state at each step, that step included."""
    table = np.full((len(emissions), emissions.shape[1] + 2), -np.inf)
    table[0, 2:4] = emissions[0, :2]
    for step in range(1, len(emissions)):
        before = table[step - 1]
        moves = np.logaddexp(np.logaddexp(before[2:], before[1:-1]), before[:-2] + skips)
        table[step, 2:] = moves + emissions[step]
    return table[:, 2:]


def _backward(emissions: Array, skips: Array) -> Array:
    """Log-probability (U, S) of all ways to go on from each state at each step to the end, that step included.

    It is the forward table of everything reversed.
    """
    mirrored = np.roll(skips, -2)[::-1]  # to leave out the blank between two units costs the same from either side
    return _forward(emissions[::-1, ::-1], mirrored)[::-1, ::-1]
