"""Language models inside the beam: what one has to be able to say, and how compiled code asks it.

An n-gram model is asked in machine code. Any other model, such as a neural one, is a plain Python object that does what
:class:`LanguageModel` says; the search calls it through pointers, once for each beginning of a sentence and each unit.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, Protocol

import numpy as np

#: of what a model forbids; a number, because a weight of 0 times minus infinity would be none
NEVER = -1e30

_Log = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, ctypes.c_int64)
_Next = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


class LanguageModel(Protocol):
    """What a model says about the units of one network; a state is whatever it remembers of what was said, unchanged.

    Attributes:
        units: V, how many units the network has, blank and unknown included.
        start: the state before anything was said.
    """

    @property
    def units(self) -> int: ...

    @property
    def start(self) -> Any: ...

    def next(self, state: Any, unit: int) -> Any:
        """The state after one more unit."""

    def score(self, state: Any) -> np.ndarray:
        """Natural log-probability of each unit after what led to a state (V,); that of the blank is never used."""

    def finish(self, state: Any) -> float:
        """Natural log-probability that the sentence ends here."""


class Asked(NamedTuple):
    """A model as compiled code asks it: functions of (state, unit), where a state is a number.

    Attributes:
        score: log-probability of a unit; of the end of the sentence, if the unit is below 0.
        next: the state after it.
        start: the first state.
    """

    score: Any
    next: Any
    start: int


class Conversation:
    """One search with one model: it numbers the states, asks once, and keeps what the model complained about.

    Args:
        model: any language model.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.error: BaseException | None = None
        self._model = model
        self._states = [model.start]
        self._scores: dict[int, np.ndarray] = {}
        self._following: dict[tuple[int, int], int] = {}
        self.asked = Asked(_Log(self._score), _Next(self._next), 0)

    def _score(self, state: int, unit: int) -> float:
        # An exception cannot pass through compiled code: it waits until the search is over.
        try:
            if unit < 0:
                return _believed(self._model.finish(self._states[state]))
            if state not in self._scores:
                self._scores[state] = self._model.score(self._states[state])
            return _believed(self._scores[state][unit])
        except BaseException as error:
            self.error = self.error or error
            return 0.0

    def _next(self, state: int, unit: int) -> int:
        try:
            if (state, unit) not in self._following:
                self._states.append(self._model.next(self._states[state], unit))
                self._following[state, unit] = len(self._states) - 1
            return self._following[state, unit]
        except BaseException as error:
            self.error = self.error or error
            return 0


def _believed(log_prob: float) -> float:
    """What a model says, between never and always.

    Raises:
        ValueError: it says NaN.
    """
    if log_prob != log_prob:
        raise ValueError("the language model gave NaN for a log-probability; it has diverged or was fed NaN")
    return min(0.0, max(NEVER, float(log_prob)))
