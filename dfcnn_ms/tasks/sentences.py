"""What the tasks share that write sentences: a unit or a blank at every step, and a text out of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.tasks.task import Array, Task, entropy
from dfcnn_ms.text.vocabulary import BLANK_ID

if TYPE_CHECKING:
    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.decoding.boundaries import Sound
    from dfcnn_ms.models import Network
    from dfcnn_ms.text.vocabulary import Vocabulary

#: what stands between two blanks of a label, by `data.labels`
UNITS = {"pinyin": "syllable", "as_written": "word"}


@dataclass(frozen=True)
class Sentences(Task):
    """Labels of any length; which loss, and how steps become a text, its kinds say."""

    has_blank: ClassVar[bool] = True
    counts: ClassVar[int] = 9

    def unit_of(self, labels: str) -> str:
        return UNITS[labels]

    def check(self, network: Network) -> None:
        name = type(self).__name__.lower()
        if network.frames_per_step is None:
            raise ConfigError(
                f"task: {name} needs a network with an output for each step, and this one has a single output for the "
                "whole clip; set model.over_time=steps, or task.kind=classify"
            )
        if network.has_decoder:
            raise ConfigError(
                f"task: {name} would leave the decoder of this network untaught; set model.decoder_depth=0, or "
                "task.kind=attention"
            )

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
