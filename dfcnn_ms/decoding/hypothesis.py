"""What a decoder believes, what it may be given, and what it is as a value."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.errors import CheckpointError

if TYPE_CHECKING:
    from dfcnn_ms.decoding.choice import Choice
    from dfcnn_ms.text.vocabulary import Vocabulary

Array = NDArray[Any]


@dataclass(frozen=True)
class Hypothesis:
    """What a decoder believes was said in one utterance.

    Where its units lie in the outputs says :func:`dfcnn_ms.decoding.align.align_ctc`.

    Attributes:
        ids: the units.
        log_prob: acoustic natural log-probability: of all paths that spell `ids` from a beam search, of the one best
            path from greedy decoding.
        language_log_prob: natural log-probability by the language model, sentence end included; 0 without one.
        score: what an n-best list is ordered by: `log_prob`, and what language model, length bonus and hotwords add.
        language_score: what of `score` comes from the language model, with the length bonus beside it; 0 without one.
    """

    ids: tuple[int, ...]
    log_prob: float
    language_log_prob: float = 0.0
    score: float = math.nan
    language_score: float = 0.0

    def __post_init__(self) -> None:
        if math.isnan(self.score):
            object.__setattr__(self, "score", self.log_prob)


class Decoder(Protocol):
    """From log-probabilities to n-best lists: `greedy`, `beam`, or another callable of the same kind."""

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """The n-best list of each utterance, the best first, never empty.

        Args:
            log_probs: natural logarithms of probabilities (B, U, V).
            lengths: steps of each utterance (B,); what follows them is never looked at.
        """


class DecoderStream(Protocol):
    """A decoder of one utterance whose outputs come piece by piece."""

    def add(self, log_probs: Array) -> list[Hypothesis]:
        """Takes log-probabilities (u, V) of the next steps; gives the n-best list of all that came."""


class Again:
    """Any decoder as a stream: all that came is decoded again, whenever something comes.

    Args:
        decoder: of whole utterances.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._log_probs: Array | None = None

    def add(self, log_probs: Array) -> list[Hypothesis]:
        """See :class:`DecoderStream`."""
        before = [] if self._log_probs is None else [self._log_probs]
        self._log_probs = np.concatenate([*before, log_probs])
        return self._decoder(self._log_probs[None], [len(self._log_probs)])[0]


class BaseDecoder(ABC):
    """A row of :data:`dfcnn_ms.decoding.DECODERS`: a decoder that knows what the command line means to it.

    Attributes:
        reads: what the outputs of a network must mean for it, the `outputs` of a task.
        hears: the flags of :class:`~dfcnn_ms.decoding.options.Choice` that change what it does.
    """

    reads: ClassVar[str] = "ctc"
    hears: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """See :class:`Decoder`."""

    def stream(self) -> DecoderStream:
        """What decodes one utterance whose outputs come piece by piece."""
        return Again(self)

    @classmethod
    def chosen(cls, choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float]) -> Mapping[str, Decoder]:
        """Those that the flags allow, the plainest first; what is meant by its name is the last.

        Args:
            choice: the flags.
            vocabulary: of the network.
            stored: what the checkpoint says about decoding.

        Returns:
            What distinguishes it from the plainest, which is called "" -> decoder.
        """
        return {"": cls()}


def check_batch(scores: Array, lengths: Sequence[int] | Array) -> tuple[Array, Array]:
    """What every decoder is given: scores (B, U, V) and lengths (B,), as arrays.

    Raises:
        ValueError: shapes that do not fit, or lengths outside 0..U.
    """
    scores, lengths = np.asarray(scores), np.asarray(lengths)
    if scores.ndim != 3 or not scores.shape[2]:
        raise ValueError(f"scores must be (B, U, V); got shape {scores.shape}")
    if lengths.shape != scores.shape[:1]:
        raise ValueError(f"lengths must be one per utterance of {len(scores)}; got shape {lengths.shape}")
    if ((lengths < 0) | (lengths > scores.shape[1])).any():
        raise ValueError(f"lengths must lie between 0 and {scores.shape[1]}; got {lengths.tolist()}")
    return scores, lengths


def check_peaks(peaks: Array) -> None:
    """Refuses scores by the highest of each step (U,), which is NaN if any of the step is.

    Raises:
        CheckpointError: NaN or infinity, which no sound network says.
        ValueError: a step of which no unit is possible; minus infinity elsewhere is a probability like any other.
    """
    if np.isfinite(peaks).all():
        return
    step = int(np.flatnonzero(~np.isfinite(peaks))[0])
    if np.isneginf(peaks[step]):
        raise ValueError(f"step {step} of an utterance gives every unit a probability of zero; no path goes through it")
    raise CheckpointError(
        f"scores are NaN or infinity at step {step}: the network has diverged or was fed NaN; use an earlier checkpoint"
    )
