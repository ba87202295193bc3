"""Labels of any length by connectionist temporal classification: a unit or a blank at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.tasks.task import Array, Task, entropy
from dfcnn_ms.text.vocabulary import BLANK_ID

if TYPE_CHECKING:
    from mindspore import nn

    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.decoding.boundaries import Sound
    from dfcnn_ms.models import Network
    from dfcnn_ms.text.vocabulary import Vocabulary

#: what stands between two blanks of a label, by `data.labels`
UNITS = {"pinyin": "syllable", "as_written": "word"}


@dataclass(frozen=True)
class Ctc(Task):
    """Sentences, unit by unit; the loss sums over all ways to spell a label in the steps that there are.

    Example:
        >>> Ctc().needed_steps(["ba1", "ba1", "qi1"])  # a blank has to part what is the same
        4
    """

    outputs: ClassVar[str] = "ctc"
    loss: ClassVar[str] = "CTCLoss"
    has_blank: ClassVar[bool] = True
    counts: ClassVar[int] = 9

    def unit_of(self, labels: str) -> str:
        return UNITS[labels]

    def check(self, network: Network) -> None:
        if network.frames_per_step is None:
            raise ConfigError(
                "task: ctc needs a network with an output for each step, and this one has a single output for the "
                "whole clip; set model.over_time=steps, or task.kind=classify"
            )

    def needed_steps(self, label: Sequence[Any]) -> int:
        from dfcnn_ms.decoding.align import steps_needed

        return steps_needed(label)

    def training_cell(self, backbone: nn.Cell, workers: int = 1) -> nn.Cell:
        from dfcnn_ms.tasks.cells.losses import CTCLoss
        from dfcnn_ms.tasks.cells.with_loss import WithLossCell

        return WithLossCell(backbone, CTCLoss(workers=workers))

    def spell(self, log_probs: Array) -> tuple[int, ...]:
        from dfcnn_ms.decoding.greedy import decode_greedy

        return decode_greedy(log_probs).ids

    def align(self, log_probs: Array, ids: Sequence[int]) -> Alignment:
        from dfcnn_ms.decoding.align import align_ctc

        return align_ctc(log_probs, ids)

    def times(self, alignment: Alignment, sound: Sound) -> tuple[Array, Array]:
        from dfcnn_ms.decoding.boundaries import boundaries

        return boundaries(alignment, sound)

    def count(self, log_probs: Array, said: Sequence[str], vocabulary: Vocabulary) -> list[float]:
        written = vocabulary.decode(self.spell(log_probs))
        blanks = int((log_probs.argmax(axis=1) == BLANK_ID).sum())
        return [*edits(said, written).numbers, len(log_probs), blanks, len(written), entropy(log_probs)]

    def figures(self, sums: Sequence[float], unit: str) -> dict[str, float]:
        counted, (steps, blanks, emitted, nats) = Edits.of_numbers(sums[:5]), sums[5:]
        return self.error_figures(counted, unit) | {
            "blank_fraction": blanks / max(1, steps),
            "emitted_ratio": emitted / max(1, counted.reference_length),
            "entropy": nats / max(1, steps),
        }
