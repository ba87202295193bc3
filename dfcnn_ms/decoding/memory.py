"""Outputs of a network with a decoder: log-probabilities that bring along what the decoder looks at.

To everybody else they are the log-probabilities (B, U, V) of the encoder's steps, an array like any other. A row of
them, or a stretch of it, remembers its own part; so whoever hands outputs to a decoder need not know of which network
they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

if TYPE_CHECKING:
    Base = np.ndarray[Any, np.dtype[Any]]
else:
    Base = np.ndarray


class Page(Protocol):
    """The texts that are being written of one utterance, all of them as long; at first one, with nothing in it."""

    def write(self, tokens: Sequence[int] | Array, parents: Sequence[int] | Array) -> Array:
        """Adds a unit to texts, and says what may follow.

        Args:
            tokens: the units that are added (N,); the first of every text is 0.
            parents: which of the texts so far each is added to (N,).

        Returns:
            Log-probabilities (N, V); that of unit 0 is that the text ends.
        """


class Writes(Protocol):
    """A trained decoder, whatever computes it."""

    def listen(self, memory: Array) -> Page:
        """An empty page for the utterance of which the encoder has made ``memory`` (U, D)."""


class Remembering(Base):
    """Log-probabilities (..., U, V) that remember what a decoder looks at.

    Attributes:
        memory: what the encoder has made of each step (..., U, D); None where a part was taken that is no stretch of
            steps.
        writer: the decoder.
    """

    memory: Array | None
    writer: Writes | None

    @classmethod
    def of(cls, log_probs: Array, memory: Array, writer: Writes) -> Remembering:
        """Outputs (B, U, V) with the memory (B, U, D) of the same steps."""
        found = np.asarray(log_probs).view(cls)
        found.memory, found.writer = memory, writer
        return found

    def __array_finalize__(self, made_from: Any) -> None:
        self.memory, self.writer = None, getattr(made_from, "writer", None)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, Remembering) and self.memory is not None and _takes_steps(key, self.ndim):
            found.memory = self.memory[key]
        return found

    def page(self) -> Page | None:
        """An empty page for one utterance (U, V); None where nothing is remembered of it."""
        return None if self.memory is None or self.writer is None else self.writer.listen(self.memory)


def _takes_steps(key: Any, axes: int) -> bool:
    """Whether a key says nothing of the last axis, that of the units."""
    parts = key if isinstance(key, tuple) else (key,)
    return Ellipsis not in parts and sum(part is not None for part in parts) < axes


def page_of(log_probs: Array) -> Page | None:
    """An empty page for one utterance (U, V), if its outputs remember what a decoder looks at."""
    return log_probs.page() if isinstance(log_probs, Remembering) else None
