"""Several labels a clip, in no order: which digits occur in it, which sounds, which speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.tasks.task import Array, Task

if TYPE_CHECKING:
    from mindspore import nn

    from dfcnn_ms.corpora.manifest import Utterance
    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.decoding.boundaries import Sound
    from dfcnn_ms.models import Network
    from dfcnn_ms.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class MultiLabel(Task):
    """Yes or no for each label, taught by binary cross-entropy to a network with a single output step.

    The logit of the blank is that of "no": a label is there with the sigmoid of how far its logit lies above. So the
    probabilities of the labels are independent, and can be told from a softmax over all of them.

    Example:
        >>> MultiLabel().label(Utterance("a", "a.wav", 1.0, ("er4", "ba1", "er4")))
        ('ba1', 'er4')
    """

    outputs: ClassVar[str] = "labels"
    loss: ClassVar[str] = "BinaryCrossEntropy"
    counts: ClassVar[int] = 5
    ordered: ClassVar[bool] = False

    def unit_of(self, labels: str) -> str:
        return "label"

    def check(self, network: Network) -> None:
        if network.frames_per_step is not None:
            raise ConfigError(
                "task: multi_label needs a network with a single output for the whole clip, and this one has one for "
                "each step; set model.over_time=mean, or model.kind=crnn"
            )

    def label(self, utterance: Utterance) -> tuple[str, ...]:
        """What is said, each once, in the order of the alphabet."""
        return tuple(sorted(set(utterance.pinyin)))

    def needed_steps(self, label: Sequence[Any]) -> int:
        return 1

    def training_cell(self, backbone: nn.Cell, workers: int = 1, vocabulary: Vocabulary | None = None) -> nn.Cell:
        from dfcnn_ms.tasks.cells.multi_label import BinaryCrossEntropy
        from dfcnn_ms.tasks.cells.with_loss import WithLossCell

        return WithLossCell(backbone, BinaryCrossEntropy(workers=workers))

    def spell(self, log_probs: Array) -> tuple[int, ...]:
        from dfcnn_ms.decoding.presence import present

        return present(log_probs)

    def align(self, log_probs: Array, ids: Sequence[int]) -> Alignment:
        from dfcnn_ms.decoding.align import Alignment
        from dfcnn_ms.decoding.presence import presence

        if ids and not len(log_probs):
            raise DataError(f"a clip that is too short has no labels, got {len(ids)}")
        ids, here = tuple(ids), (0,) * len(ids)
        shares = presence(log_probs)[0, list(ids)] if ids else np.zeros(0)
        return Alignment(ids, here, here, here, tuple(shares.tolist()), float(np.log(shares).sum()))

    def confidences(self, log_probs: Array, alignment: Alignment, temperature: float = 1.0) -> tuple[float, ...]:
        from dfcnn_ms.decoding.presence import presence

        return tuple(presence(log_probs / temperature)[0, list(alignment.ids)].tolist()) if alignment.ids else ()

    def chances(self, log_probs: Array, vocabulary: Vocabulary) -> dict[str, float]:
        from dfcnn_ms.decoding.presence import presence
        from dfcnn_ms.text.vocabulary import UNKNOWN_ID

        shares = presence(log_probs)[0] if len(log_probs) else np.zeros(len(vocabulary))
        return dict(zip(vocabulary.units, shares[UNKNOWN_ID + 1 :].tolist(), strict=True))

    def times(self, alignment: Alignment, sound: Sound) -> tuple[Array, Array]:
        count = len(alignment.ids)
        return np.zeros(count), np.full(count, sound.seconds)

    def count(self, log_probs: Array, said: Sequence[str], vocabulary: Vocabulary) -> list[float]:
        counted = edits(said, vocabulary.decode(self.spell(log_probs)), ordered=self.ordered)
        return list(counted.numbers)

    def also(self, counted: Edits) -> dict[str, float]:
        """F1 over all labels of all clips together."""
        wrong = counted.substitutions + counted.deletions
        found = counted.reference_length - wrong
        extra = counted.substitutions + counted.insertions
        return {"micro_f1": 2 * found / max(1, 2 * found + wrong + extra)}

    def figures(self, sums: Sequence[float], unit: str) -> dict[str, float]:
        counted = Edits.of_numbers(sums[:5])
        return self.error_figures(counted, unit) | {f"dev_{name}": share for name, share in self.also(counted).items()}
