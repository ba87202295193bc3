"""What was heard in each utterance, counted in every way that means something."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.metrics import Edits, align, characters, edits, f1, mean_average_precision
from dfcnn_ms.text.pinyin import SyllableError, split

Pair = tuple[str | None, str | None]


@dataclass(frozen=True)
class Heard:
    """One utterance of a test set and what was recognised in it.

    Attributes:
        utterance: what was said.
        syllables: what was heard.
        characters: the same as Chinese text; None where nobody asked for it.
        snr_db: power of the speech over that of the noise, estimated; NaN where it is not known.
        starts: when each syllable begins, in seconds; empty where it is not known.
        ordered: otherwise what was said and heard are sets.
        chances: of sets, the probability of each label that there is, heard or not.
    """

    utterance: Utterance
    syllables: tuple[str, ...]
    characters: str | None = None
    snr_db: float = math.nan
    starts: tuple[float, ...] = ()
    ordered: bool = True
    chances: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def edits(self) -> Edits:
        """Edits of this utterance."""
        return edits(self.utterance.pinyin, self.syllables, ordered=self.ordered)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The alignment that the counts belong to."""
        return tuple(align(self.utterance.pinyin, self.syllables, ordered=self.ordered))

    @cached_property
    def toneless_edits(self) -> Edits:
        """Edits that remain when no syllable has a tone."""
        said, written = [*map(toneless, self.utterance.pinyin)], [*map(toneless, self.syllables)]
        return edits(said, written, ordered=self.ordered)

    @cached_property
    def character_edits(self) -> Edits | None:
        """Edits of the Chinese text; None where it is not known on one of the two sides."""
        if self.characters is None or not self.utterance.text:
            return None
        return edits(characters(self.utterance.text), characters(self.characters))


def rate_name(counted: str) -> str:
    """What the rate of something that :func:`counts` counts is called."""
    return "tones left out" if counted == "toneless" else f"{counted} error rate"


def counts(heard: Sequence[Heard], unit: str = "syllable") -> dict[str, list[Edits]]:
    """Edits of each utterance, counted in each way that means something here; in the unit of the task first.

    Tones are left out only of syllables that have some, and characters are those of the utterances with a text.
    """
    found = {unit: [one.edits for one in heard]}
    if syllabic(heard):
        found["toneless"] = [one.toneless_edits for one in heard]
    written = [one.character_edits for one in heard if one.character_edits is not None]
    if any(edits.reference_length for edits in written):  # a text may be nothing but punctuation
        found["character"] = written
    return found


def by_label(heard: Sequence[Heard]) -> dict[str, float]:
    """What is measured label by label over clips whose labels are sets, as shares of 1; nothing of sequences."""
    names = sorted(heard[0].chances) if heard else []
    if not names or not any(one.utterance.pinyin for one in heard):
        return {}
    truth = np.array([[name in one.utterance.pinyin for name in names] for one in heard])
    chosen = np.array([[name in one.syllables for name in names] for one in heard])
    scores = np.array([[one.chances[name] for name in names] for one in heard])
    return {"macro_f1": f1(truth, chosen)[1], "average_precision": mean_average_precision(truth, scores)}


def syllabic(heard: Iterable[Heard]) -> bool:
    """Whether all that was said are toned syllables."""
    return all(parts(unit) for one in heard for unit in one.utterance.pinyin)


def total(heard: Iterable[Heard]) -> Edits:
    """The edits of all utterances together."""
    return sum((one.edits for one in heard), Edits())


@lru_cache(maxsize=4096)
def parts(syllable: str) -> tuple[str, str, int] | None:
    """Initial, final and tone of a toned syllable; None for any other unit."""
    try:
        return split(syllable) if re.fullmatch("[a-z]+[1-5]", syllable) else None
    except SyllableError:
        return None


def toneless(syllable: str) -> str:
    """A syllable without its tone; any other unit as it is."""
    return syllable[:-1] if parts(syllable) else syllable
