"""Decoding of classes: the most probable ones of a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dfcnn_ms.decoding.hypothesis import Array, BaseDecoder, Hypothesis, check_batch, check_peaks
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text.vocabulary import UNKNOWN_ID

if TYPE_CHECKING:
    from dfcnn_ms.decoding.choice import Choice
    from dfcnn_ms.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Ranking(BaseDecoder):
    """The `nbest` most probable classes of each clip, the best first; blank and unknown are none.

    Example:
        >>> scores = np.log([[[0.1, 0.1, 0.5, 0.3]]])
        >>> [one.ids for one in Ranking(nbest=2)(scores, [1])[0]]
        [(2,), (3,)]
    """

    reads: ClassVar[str] = "classes"
    hears: ClassVar[frozenset[str]] = frozenset({"nbest"})

    nbest: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.nbest, int) or self.nbest < 1:
            raise ConfigError(f"nbest must be a whole number of at least 1; got {self.nbest!r}")

    @classmethod
    def chosen(cls, choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float]) -> dict[str, Ranking]:
        """As many as are asked for."""
        return {"": cls(choice.nbest)}

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """The n-best list of each clip of `log_probs` (B, U, V), by its first step; a clip without one has no class."""
        scores, lengths = check_batch(log_probs, lengths)
        return [self._ranked(one[:length]) for one, length in zip(scores, lengths, strict=True)]

    def _ranked(self, scores: Array) -> list[Hypothesis]:
        if not len(scores):
            return [Hypothesis((), 0.0)]
        check_peaks(scores.max(axis=1))
        possible = [id for id in ranked(scores, self.nbest) if np.isfinite(scores[0, id])]
        return [Hypothesis((id,), float(scores[0, id])) for id in possible] or [Hypothesis((), 0.0)]


def ranked(log_probs: Array, count: int) -> tuple[int, ...]:
    """The ids of the most probable classes of a clip (U, V), by its first step, the best first."""
    scores = log_probs[0, UNKNOWN_ID + 1 :]
    return tuple((np.argsort(-scores, kind="stable")[:count] + UNKNOWN_ID + 1).tolist())
