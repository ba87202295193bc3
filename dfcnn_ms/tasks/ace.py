"""Labels of any length by aggregation cross-entropy: how often each unit is said, and not in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dfcnn_ms.tasks.sentences import Sentences
from dfcnn_ms.tasks.task import Array

if TYPE_CHECKING:
    from mindspore import nn

    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Ace(Sentences):
    """Sentences by the counts of their units (arXiv 1904.08364): a unit takes one step, and the blank all the others.

    The loss compares what the network says over all steps of an utterance with how often each unit is in its label. It
    knows nothing of the order, which the network has to find by itself from where in the sound a step looks.

    Example:
        >>> Ace().needed_steps(["ba1", "ba1", "qi1"])  # repeats are not merged, so nothing has to part them
        3
    """

    outputs: ClassVar[str] = "ace"
    loss: ClassVar[str] = "ACELoss"

    def needed_steps(self, label: Sequence[Any]) -> int:
        return len(label)

    def training_cell(self, backbone: nn.Cell, workers: int = 1, vocabulary: Vocabulary | None = None) -> nn.Cell:
        from dfcnn_ms.tasks.cells.ace import ACELoss
        from dfcnn_ms.tasks.cells.with_loss import WithLossCell

        return WithLossCell(backbone, ACELoss(workers=workers))

    def spell(self, log_probs: Array) -> tuple[int, ...]:
        from dfcnn_ms.decoding.ace import spelled

        return spelled(log_probs)

    def align(self, log_probs: Array, ids: Sequence[int]) -> Alignment:
        from dfcnn_ms.decoding.ace import align_ace

        return align_ace(log_probs, ids)
