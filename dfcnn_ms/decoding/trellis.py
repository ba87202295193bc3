"""The likeliest path through a CTC network's outputs that spells a known text, in machine code.

The trellis has 2L+1 states: a blank, and after each unit another; the odd states are units. A path begins in one of
the first two states and ends in one of the last two. From step to step it stays, goes one state on, or leaves out the
blank between two units that differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dfcnn_ms.decoding.compiled import compiled
from dfcnn_ms.text.vocabulary import BLANK_ID


@compiled
def best_path(log_probs: Any, ids: Any) -> Any:
    """The state (U,) int64 at each step of the path with the highest probability; of equal ones the latest.

    Args:
        log_probs: (U, V) float32 with at least one step and as many as the text needs.
        ids: the text (L,) int64.
    """
    steps, states = len(log_probs), 2 * len(ids) + 1
    moves = np.zeros((steps, states), np.int8)  # how many states back the path came from
    best = np.full(states, -np.inf)
    best[0] = log_probs[0, BLANK_ID]
    if states > 1:
        best[1] = log_probs[0, ids[0]]
    for step in range(1, steps):
        for state in range(states - 1, -1, -1):  # downwards: what is read is still that of the step before
            unit = ids[state // 2] if state % 2 else BLANK_ID
            if state > 0 and best[state - 1] > best[state]:
                moves[step, state] = 1
            may_skip = state > 2 and state % 2 and unit != ids[state // 2 - 1]
            if may_skip and best[state - 2] > best[state - moves[step, state]]:
                moves[step, state] = 2
            best[state] = best[state - moves[step, state]] + log_probs[step, unit]
    path = np.zeros(steps, np.int64)
    path[-1] = states - 2 if states > 1 and best[states - 2] > best[states - 1] else states - 1
    for step in range(steps - 1, 0, -1):
        path[step - 1] = path[step] - moves[step, path[step]]
    return path
