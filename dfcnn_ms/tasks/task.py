"""What everything else knows about a task, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.errors import DataError
from dfcnn_ms.metrics import Edits, edits

if TYPE_CHECKING:
    from mindspore import nn

    from dfcnn_ms.corpora.manifest import Utterance
    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.decoding.boundaries import Sound
    from dfcnn_ms.models import Network
    from dfcnn_ms.text.vocabulary import Vocabulary

Array = NDArray[Any]

#: the figure that decided before tasks named it, and still does where syllables are written
TARGET = "dev_syllable_error_rate"


@dataclass(frozen=True)
class Task(ABC):
    """A task as a frozen value: its ``task:`` section, its constructor and its ``repr`` are one thing."""

    #: how the outputs of a network are to be read; the decoders that say the same in `reads` fit
    outputs: ClassVar[str]
    #: what the loss is called in lineage
    loss: ClassVar[str]
    #: whether its labels have a blank between them
    has_blank: ClassVar[bool] = False
    #: whether each id of a text is one unit of it, so that what is known of ids is known of units
    id_is_unit: ClassVar[bool] = True
    #: whether what is said has an order; otherwise it is a set
    ordered: ClassVar[bool] = True
    #: how many numbers :meth:`count` gives
    counts: ClassVar[int] = 7

    @abstractmethod
    def unit_of(self, labels: str) -> str:
        """What one unit of a label is called, in which errors are counted; ``labels`` is ``data.labels``."""

    def figure(self, unit: str) -> str:
        """The figure of the dev set that decides: the lowest is the best."""
        return f"dev_{unit}_error_rate"

    def check(self, network: Network) -> None:  # noqa: B027 (most tasks take any network)
        """Refuses a network that cannot do it.

        Raises:
            ConfigError: see above.
        """

    def label(self, utterance: Utterance) -> tuple[str, ...]:
        """What is to be written of an utterance, unit by unit; what its manifest says, unless a task knows better."""
        return utterance.pinyin

    def complaint(self, label: Sequence[str]) -> str:
        """Why a label cannot be taught, or nothing."""
        return ""

    def require(self, label: Sequence[str], where: str = "") -> None:
        """Refuses a label that cannot be taught.

        Raises:
            DataError: why; ``where`` names its line.
        """
        if complaint := self.complaint(label):
            raise DataError(f"{where}: {complaint}" if where else complaint)

    def vocabulary(self, labels: Iterable[Sequence[str]]) -> Vocabulary:
        """The units of a network that is to write such labels; those that occur, unless a task knows better."""
        from dfcnn_ms.text.vocabulary import Vocabulary

        return Vocabulary.build(labels)

    def target(self, label: Sequence[str], vocabulary: Vocabulary, where: str = "") -> list[int]:
        """What the network is taught of a label, as ids.

        Raises:
            DataError: the label cannot be taught; ``where`` names its line.
        """
        self.require(label, where)
        return vocabulary.encode(label, where=where)

    @abstractmethod
    def needed_steps(self, label: Sequence[Any]) -> int:
        """Output steps that a network needs for a label."""

    @abstractmethod
    def training_cell(self, backbone: nn.Cell, workers: int = 1, vocabulary: Vocabulary | None = None) -> nn.Cell:
        """The cell that is trained: (features, labels, feature lengths, label lengths) -> loss ().

        Args:
            backbone: features (B, 1, T, F) and lengths (B,) -> raw logits (B, U, V).
            workers: processes that train together.
            vocabulary: of the network, for a loss that asks what its units are; training always says.
        """

    @abstractmethod
    def spell(self, log_probs: Array) -> tuple[int, ...]:
        """The ids of what is said in one utterance (U, V), as far as that can be told without a search."""

    @abstractmethod
    def align(self, log_probs: Array, ids: Sequence[int]) -> Alignment:
        """Where each unit of a text lies in the outputs (U, V) of one utterance.

        Raises:
            DataError: the text needs more steps than there are.
        """

    def confidences(self, log_probs: Array, alignment: Alignment, temperature: float = 1.0) -> tuple[float, ...]:
        """Probability of each unit of an aligned text (L,), 0 to 1; :mod:`dfcnn_ms.decoding.confidence` says more."""
        from dfcnn_ms.decoding.confidence import confidences

        return confidences(log_probs, alignment, temperature)

    def chances(self, log_probs: Array, vocabulary: Vocabulary) -> dict[str, float]:
        """The probability of each unit to be in an utterance (U, V), said or not; of a task that writes sets alone."""
        return {}

    @abstractmethod
    def times(self, alignment: Alignment, sound: Sound) -> tuple[Array, Array]:
        """When each unit of an aligned text begins and ends, in seconds (L,) and (L,)."""

    def count(self, log_probs: Array, said: Sequence[str], vocabulary: Vocabulary) -> list[float]:
        """Numbers of one utterance (U, V) that can be added up over a set; :meth:`figures` reads their sums."""
        counted = edits(said, vocabulary.decode(self.spell(log_probs)))
        return [*counted.numbers, len(log_probs), entropy(log_probs)]

    def figures(self, sums: Sequence[float], unit: str) -> dict[str, float]:
        """What the records of a training hold of a dev set; the deciding figure comes first."""
        counted, (steps, nats) = Edits.of_numbers(sums[:5]), sums[5:]
        return self.error_figures(counted, unit) | {"entropy": nats / max(1, steps)}

    def also(self, counted: Edits) -> dict[str, float]:
        """What is measured besides the error rate, by name, as shares of 1; of all errors of a test set together."""
        return {}

    def error_figures(self, counted: Edits, unit: str) -> dict[str, float]:
        """The deciding figure, and the kinds of errors in it."""
        return {
            self.figure(unit): counted.rate,
            "dev_substitutions": counted.substitutions,
            "dev_deletions": counted.deletions,
            "dev_insertions": counted.insertions,
        }


def entropy(log_probs: Array) -> float:
    """Of the distributions (U, V) of all steps together, in nats."""
    return -float((np.exp(log_probs) * log_probs).sum())
