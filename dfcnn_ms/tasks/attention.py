"""Labels of any length by an attention decoder, with CTC beside it."""

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
    from dfcnn_ms.models import Network
    from dfcnn_ms.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Attention(Sentences):
    """Sentences, each unit from those before it and all that was heard; the end of a text is unit 0.

    The steps of the encoder are taught by CTC at the same time. That pulls the encoder into order from the first epoch,
    and says in use when each unit was said; so it cannot be left out.

    Attributes:
        ctc_weight: of the CTC loss; that of the decoder's cross-entropy has the rest of 1.
        smoothing: share of the target that is spread over all units alike.
    """

    outputs: ClassVar[str] = "attention"
    loss: ClassVar[str] = "CTCAndCrossEntropy"

    ctc_weight: float = 0.3
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.ctc_weight < 1:
            raise ConfigError(
                f"ctc_weight: got {self.ctc_weight}, wanted more than 0, for CTC says when each unit was said, and "
                "less than 1; for CTC alone set task.kind=ctc"
            )
        if not 0 <= self.smoothing < 1:
            raise ConfigError(f"smoothing: got {self.smoothing}, wanted at least 0 and less than 1")

    def check(self, network: Network) -> None:
        if not network.has_decoder:
            raise ConfigError(
                "task: attention needs a network with a decoder, and this one has none; give a transformer or "
                "conformer model.decoder_depth=2, or set task.kind=ctc"
            )

    def needed_steps(self, label: Sequence[Any]) -> int:
        from dfcnn_ms.decoding.align import steps_needed

        return steps_needed(label)

    def training_cell(self, backbone: nn.Cell, workers: int = 1, vocabulary: Vocabulary | None = None) -> nn.Cell:
        from dfcnn_ms.tasks.cells.attention import WithWritingLoss

        return WithWritingLoss(backbone, self.ctc_weight, self.smoothing, workers)

    def spell(self, log_probs: Array) -> tuple[int, ...]:
        """What the decoder writes when it keeps but one beginning."""
        from dfcnn_ms.decoding.attention import spelled

        return spelled(log_probs)

    def align(self, log_probs: Array, ids: Sequence[int]) -> Alignment:
        from dfcnn_ms.decoding.align import align_ctc

        return align_ctc(log_probs, ids)
