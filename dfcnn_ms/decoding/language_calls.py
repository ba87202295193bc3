"""How compiled code asks a language model, whichever it is: chosen by its type when the search is compiled.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import Any

from numba.extending import overload

from dfcnn_ms.decoding.language import Asked
from dfcnn_ms.decoding.ngram import kernels

SENTENCE_END = -1


def advance(language: Any, state: int, unit: int) -> Any:
    """Natural log-probability of a unit after what led to `state`, and the state after it; in compiled code only."""
    raise NotImplementedError


def finish(language: Any, state: int) -> float:
    """Natural log-probability that the sentence ends here; in compiled code only."""
    raise NotImplementedError


@overload(advance, strict=False)  # strict would compare annotations too
def _advance(language: Any, state: Any, unit: Any) -> Any:
    if language.instance_class is Asked:
        return lambda language, state, unit: (language.score(state, unit), language.next(state, unit))
    return lambda language, state, unit: kernels.advance(language, state, unit)


@overload(finish, strict=False)
def _finish(language: Any, state: Any) -> Any:
    if language.instance_class is Asked:
        return lambda language, state: language.score(state, SENTENCE_END)
    return lambda language, state: kernels.finish(language, state)
