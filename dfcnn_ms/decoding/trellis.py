"""The likeliest path through a CTC network's outputs that spells a known text, in machine code.

The trellis has 2L+1 states: a blank, and after each unit another; the odd states are units. A path begins in one of
the first two states and ends in one of the last two. From step to step it stays, goes one state on, or leaves out the
blank between two units that differ.

A place is how many units have been said: each has a state for its unit and one for the blank after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dfcnn_ms.compiled import compiled
from dfcnn_ms.text.vocabulary import BLANK_ID


@njit(nogil=True)
def _advance(silence: float, said: Any, skip: Any, blank: Any, spoken: Any, to_blank: Any, to_spoken: Any) -> None:
    """Takes the best paths one step on, and writes how many states back each came from; several places at a time.

    Args:
        silence: log-probability of the blank.
        said: of each unit (L,).
        skip: 0 where the blank before a unit may be left out (L,), minus infinity elsewhere.
        blank, spoken: the best path to the states of each place (L + 1,).
        to_blank, to_spoken: where it came from (L + 1,).
    """
    for place in range(len(said), 0, -1):  # downwards: what is read is still that of the step before
        still, here = blank[place], spoken[place]
        next_, over = blank[place - 1], spoken[place - 1] + skip[place - 1]
        best = next_ if next_ > here else here
        to_blank[place] = here > still
        to_spoken[place] = 2 if over > best else next_ > here
        blank[place] = (here if here > still else still) + silence
        spoken[place] = (over if over > best else best) + said[place - 1]
    blank[0] += silence


@compiled
def best_path(log_probs: Any, ids: Any) -> Any:
    """The state (U,) int64 at each step of the path with the highest probability; of equal ones the latest.

    Args:
        log_probs: (U, V) float32 with at least one step and as many as the text needs.
        ids: the text (L,) int64.
    """
    steps, length = len(log_probs), len(ids)
    moves = np.zeros((steps, 2, length + 1), np.int8)  # how many states back the path came from: of blanks, of units
    blank, spoken = np.full(length + 1, -np.inf), np.full(length + 1, -np.inf)
    said, skip = np.zeros(length), np.full(length, -np.inf)
    blank[0] = 0.0
    for place in range(1, length):
        skip[place] = 0.0 if ids[place] != ids[place - 1] else -np.inf
    for step in range(steps):
        for place in range(length):
            said[place] = log_probs[step, ids[place]]
        _advance(log_probs[step, BLANK_ID], said, skip, blank, spoken, moves[step, 0], moves[step, 1])
    path = np.zeros(steps, np.int64)
    path[-1] = 2 * length - (spoken[length] > blank[length])
    for step in range(steps - 1, 0, -1):
        state = path[step]
        path[step - 1] = state - moves[step, state % 2, (state + 1) // 2]
    return path
