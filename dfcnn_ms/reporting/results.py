"""What a report knows about each utterance, and how it writes numbers and syllables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.metrics import Edits, align
from dfcnn_ms.reporting.markup import SPACE, Html, tag
from dfcnn_ms.text.pinyin import SyllableError, split

#: stands where nothing was said, or nothing heard
NOTHING = "\N{EN DASH}"

Pair = tuple[str | None, str | None]


class Heard(Protocol):
    """One utterance of a test set and what was recognised in it."""

    @property
    def utterance(self) -> Utterance:
        """What was said."""

    @property
    def syllables(self) -> tuple[str, ...]:
        """What was heard."""

    @property
    def edits(self) -> Edits:
        """The difference."""


@dataclass(frozen=True)
class Result:
    """One utterance, its counts worked out once."""

    utterance: Utterance
    syllables: tuple[str, ...]
    edits: Edits

    @classmethod
    def of(cls, heard: Heard) -> Result:
        """Takes over what an evaluation found."""
        return cls(heard.utterance, tuple(heard.syllables), heard.edits)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The alignment that the counts belong to."""
        return tuple(align(self.utterance.pinyin, self.syllables))


def total(results: Iterable[Result]) -> Edits:
    """The edits of all results together."""
    return sum((result.edits for result in results), Edits())


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


def parts(syllable: str) -> tuple[str, str, int] | None:
    """Initial, final and tone of a toned syllable; None for any other unit."""
    try:
        return split(syllable) if re.fullmatch("[a-z]+[1-5]", syllable) else None
    except SyllableError:
        return None


def written(syllable: str | None) -> Html:
    """A unit with its tone set smaller; None is a dash."""
    if syllable is None:
        return tag("span", NOTHING, class_="gap")
    if parts(syllable) is None:
        return tag("span", syllable, class_="unit")
    return tag("span", syllable[:-1], tag("span", syllable[-1], class_="tone"), class_="unit")
