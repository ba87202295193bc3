"""Sentences whose units are parts of syllables: initials, and finals with their tones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dfcnn_ms.tasks.ctc import Ctc
from dfcnn_ms.tasks.task import Array

if TYPE_CHECKING:
    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.decoding.boundaries import Sound
    from dfcnn_ms.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Parts(Ctc):
    """As :class:`~dfcnn_ms.tasks.ctc.Ctc`, but the network writes `zh ong1 g uo2` for `zhong1 guo2`.

    Two syllables that share a part teach it together, and the outputs are the same for every corpus. Ids are those of
    parts; whatever is read, written or counted is syllables, for the vocabulary splits and joins.

    Example:
        >>> Parts().needed_steps(["zhong1", "guo2"])
        4
    """

    outputs: ClassVar[str] = "parts"
    id_is_unit: ClassVar[bool] = False

    def vocabulary(self, labels: Iterable[Sequence[str]]) -> Vocabulary:
        from dfcnn_ms.text.parts import SyllableParts

        return SyllableParts()

    def needed_steps(self, label: Sequence[Any]) -> int:
        from dfcnn_ms.text.parts import parts_of

        ids = [part for unit in label for part in (parts_of(unit) if isinstance(unit, str) else (unit,))]
        return super().needed_steps(ids)

    def confidences(self, log_probs: Array, alignment: Alignment, temperature: float = 1.0) -> tuple[float, ...]:
        """Probability of each syllable: that all of its parts are right, as if each were so by itself."""
        from dfcnn_ms.text.parts import spans

        each = super().confidences(log_probs, alignment, temperature)
        return tuple(float(np.prod(each[start:end])) for start, end in spans(alignment.ids))

    def times(self, alignment: Alignment, sound: Sound) -> tuple[Array, Array]:
        return super().times(whole(alignment), sound)


def whole(alignment: Alignment) -> Alignment:
    """The alignment of syllables by that of their parts, from the first step of the one to the last of the other.

    The ids, peaks and scores are those of the finals.
    """
    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.text.parts import spans

    found = spans(alignment.ids)
    ends = [end - 1 for _, end in found]
    return Alignment(
        ids=tuple(alignment.ids[end] for end in ends),
        first=tuple(alignment.first[start] for start, _ in found),
        last=tuple(alignment.last[end] for end in ends),
        peaks=tuple(alignment.peaks[end] for end in ends),
        scores=tuple(alignment.scores[end] for end in ends),
        log_prob=alignment.log_prob,
    )
