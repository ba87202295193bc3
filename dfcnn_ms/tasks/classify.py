"""One label a clip: which word is it, which command, which sound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.metrics import Edits
from dfcnn_ms.tasks.task import Array, Task

if TYPE_CHECKING:
    from mindspore import nn

    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.decoding.boundaries import Sound
    from dfcnn_ms.models import Network
    from dfcnn_ms.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Classify(Task):
    """A class for each clip, taught by cross-entropy to a network with a single output step.

    Attributes:
        mixup: how much pairs of clips are laid over each other: alpha of Beta(alpha, alpha); 0: not at all.
    """

    outputs: ClassVar[str] = "classes"
    loss: ClassVar[str] = "CrossEntropy"
    counts: ClassVar[int] = 8

    mixup: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.mixup <= 100:
            raise ConfigError(f"task.mixup: got {self.mixup}, wanted 0 to 100")

    def unit_of(self, labels: str) -> str:
        return "class"

    def check(self, network: Network) -> None:
        if network.frames_per_step is not None:
            raise ConfigError(
                "task: classify needs a network with a single output for the whole clip, and this one has one for "
                "each step; set model.over_time=mean"
            )

    def complaint(self, label: Sequence[str]) -> str:
        got = " ".join(label) or "nothing"
        return "" if len(label) == 1 else f"task classify wants one label a clip; got {len(label)} ({got})"

    def needed_steps(self, label: Sequence[Any]) -> int:
        return 1

    def training_cell(self, backbone: nn.Cell, workers: int = 1, vocabulary: Vocabulary | None = None) -> nn.Cell:
        from dfcnn_ms.tasks.cells.losses import CrossEntropy
        from dfcnn_ms.tasks.cells.mixup import MixupCell
        from dfcnn_ms.tasks.cells.with_loss import WithLossCell

        loss = CrossEntropy(workers=workers)
        return MixupCell(backbone, loss, self.mixup) if self.mixup else WithLossCell(backbone, loss)

    def spell(self, log_probs: Array) -> tuple[int, ...]:
        from dfcnn_ms.decoding.ranking import ranked

        return ranked(log_probs, 1) if len(log_probs) else ()

    def align(self, log_probs: Array, ids: Sequence[int]) -> Alignment:
        from dfcnn_ms.decoding.align import Alignment

        if len(ids) > len(log_probs):
            raise DataError(f"a clip has one class, got {len(ids)}; is it the text of this recording?")
        here, ids = (0,) * len(ids), tuple(ids)
        chosen = [log_probs[0, id] for id in ids]
        return Alignment(ids, here, here, here, tuple(np.exp(chosen).tolist()), float(np.sum(chosen)))

    def times(self, alignment: Alignment, sound: Sound) -> tuple[Array, Array]:
        count = len(alignment.ids)
        return np.zeros(count), np.full(count, sound.seconds)

    def also(self, counted: Edits) -> dict[str, float]:
        right = counted.reference_length - counted.substitutions - counted.deletions
        return {"accuracy": right / max(1, counted.reference_length)}

    def count(self, log_probs: Array, said: Sequence[str], vocabulary: Vocabulary) -> list[float]:
        """As of every task, and the cross-entropy; a clip that is too short is guessed."""
        (right,) = vocabulary.encode(said, allow_unknown=True)
        surprise = -float(log_probs[0, right]) if len(log_probs) else math.log(len(vocabulary))
        return [*super().count(log_probs, said, vocabulary), surprise]

    def figures(self, sums: Sequence[float], unit: str) -> dict[str, float]:
        counted, (*same, surprise) = Edits.of_numbers(sums[:5]), sums
        more = {f"dev_{name}": share for name, share in self.also(counted).items()}
        return super().figures(same, unit) | more | {"dev_loss": surprise / max(1, counted.reference_length)}
