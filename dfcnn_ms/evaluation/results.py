"""What was heard in each utterance, counted in every way that means something, and how numbers are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.metrics import Edits, align, characters, edits
from dfcnn_ms.reporting.markup import SPACE, Html, tag
from dfcnn_ms.text.pinyin import SyllableError, split

#: stands where nothing was said, or nothing heard
NOTHING = "\N{EN DASH}"

#: what can be counted, and how its rate is called
RATES = {"syllable": "syllable error rate", "toneless": "tones left out", "character": "character error rate"}

Pair = tuple[str | None, str | None]


@dataclass(frozen=True)
class Heard:
    """One utterance of a test set and what was recognised in it.

    Attributes:
        utterance: what was said.
        syllables: what was heard.
        characters: the same as Chinese text; None where nobody asked for it.
        snr_db: power of the speech over that of the noise, estimated; NaN where it is not known.
    """

    utterance: Utterance
    syllables: tuple[str, ...]
    characters: str | None = None
    snr_db: float = math.nan

    @cached_property
    def edits(self) -> Edits:
        """Edits of this utterance."""
        return edits(self.utterance.pinyin, self.syllables)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The alignment that the counts belong to."""
        return tuple(align(self.utterance.pinyin, self.syllables))

    @cached_property
    def toneless_edits(self) -> Edits:
        """Edits that remain when no syllable has a tone."""
        return edits([*map(toneless, self.utterance.pinyin)], [*map(toneless, self.syllables)])

    @cached_property
    def character_edits(self) -> Edits | None:
        """Edits of the Chinese text; None where it is not known on one of the two sides."""
        if self.characters is None or not self.utterance.text:
            return None
        return edits(characters(self.utterance.text), characters(self.characters))


def counts(heard: Sequence[Heard]) -> dict[str, list[Edits]]:
    """Edits of each utterance under each name of `RATES` that means something here.

    Tones are left out only of syllables that have some, and characters are those of the utterances with a text.
    """
    found = {"syllable": [one.edits for one in heard]}
    if syllabic(heard):
        found["toneless"] = [one.toneless_edits for one in heard]
    if written := [one.character_edits for one in heard if one.character_edits is not None]:
        found["character"] = written
    return found


def syllabic(heard: Iterable[Heard]) -> bool:
    """Whether all that was said are toned syllables."""
    return all(parts(unit) for one in heard for unit in one.utterance.pinyin)


def total(heard: Iterable[Heard]) -> Edits:
    """The edits of all utterances together."""
    return sum((one.edits for one in heard), Edits())


def kind_of(pair: Pair) -> str:
    """``S``, ``D``, ``I``, or nothing where both sides agree."""
    said, heard = pair
    if said == heard:
        return ""
    return "I" if said is None else "D" if heard is None else "S"


def percent(rate: float) -> str:
    """A rate for people, such as ``1.06 %``."""
    return f"{100 * rate:.2f}{SPACE}%" if math.isfinite(rate) else f"\N{INFINITY}{SPACE}%"


def many(count: int, noun: str) -> str:
    """``1 sentence``, ``2,000 sentences``."""
    return f"{count:,}{SPACE}{noun}{'' if count == 1 else 's'}"


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


def written(syllable: str | None) -> Html:
    """A unit with its tone set smaller; None is a dash."""
    if syllable is None:
        return tag("span", NOTHING, class_="gap")
    if parts(syllable) is None:
        return tag("span", syllable, class_="unit")
    return tag("span", syllable[:-1], tag("span", syllable[-1], class_="tone"), class_="unit")
