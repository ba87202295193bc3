"""Labels of any length by connectionist temporal classification: a unit or a blank at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.tasks.sentences import Sentences
from dfcnn_ms.tasks.task import Array

if TYPE_CHECKING:
    from mindspore import nn

    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.text.vocabulary import Vocabulary


#: of a second loss beside the first
MOST_WEIGHT = 1000


@dataclass(frozen=True)
class Ctc(Sentences):
    """Sentences, unit by unit; the loss sums over all ways to spell a label in the steps that there are.

    Attributes:
        ace_weight: of aggregation cross-entropy (:class:`~dfcnn_ms.tasks.ace.Ace`), added to the loss; 0: none.
        tone_weight: of the CTC loss of the tones alone, which a second output layer writes in training; 0: none.

    Example:
        >>> Ctc().needed_steps(["ba1", "ba1", "qi1"])  # a blank has to part what is the same
        4
    """

    outputs: ClassVar[str] = "ctc"
    loss: ClassVar[str] = "CTCLoss"

    ace_weight: float = 0.0
    tone_weight: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in (("ace_weight", self.ace_weight), ("tone_weight", self.tone_weight)):
            if not 0 <= weight <= MOST_WEIGHT:
                raise ConfigError(f"{name}: got {weight}, wanted 0 to {MOST_WEIGHT}")

    def needed_steps(self, label: Sequence[Any]) -> int:
        from dfcnn_ms.decoding.align import steps_needed

        return steps_needed(label)

    def training_cell(self, backbone: nn.Cell, workers: int = 1, vocabulary: Vocabulary | None = None) -> nn.Cell:
        from dfcnn_ms.tasks.cells.with_loss import WithLossCell

        if not self.tone_weight:
            return WithLossCell(backbone, self._loss(workers))
        from dfcnn_ms.tasks.cells.tones import WithToneLoss
        from dfcnn_ms.text.parts import tones_of

        if vocabulary is None:
            raise ConfigError("task.tone_weight: tones are those of units, so the cell needs their vocabulary; give it")
        return WithToneLoss(backbone, self._loss(workers), tones_of(vocabulary), self.tone_weight, workers)

    def _loss(self, workers: int) -> nn.Cell:
        """What the logits of the units cost."""
        from dfcnn_ms.tasks.cells.ace import CtcAndAce
        from dfcnn_ms.tasks.cells.losses import CTCLoss

        return CtcAndAce(self.ace_weight, workers) if self.ace_weight else CTCLoss(workers=workers)

    def spell(self, log_probs: Array) -> tuple[int, ...]:
        from dfcnn_ms.decoding.greedy import decode_greedy

        return decode_greedy(log_probs).ids

    def align(self, log_probs: Array, ids: Sequence[int]) -> Alignment:
        from dfcnn_ms.decoding.align import align_ctc

        return align_ctc(log_probs, ids)
