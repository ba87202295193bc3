"""How units, errors and numbers are written on a page."""

from __future__ import annotations

import math

from dfcnn_ms import wording
from dfcnn_ms.evaluation.results import Pair, parts
from dfcnn_ms.reporting.markup import SPACE, Html, tag

#: stands where nothing was said, or nothing heard
NOTHING = "\N{EN DASH}"


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
    return wording.many(count, noun, SPACE)


def written(syllable: str | None) -> Html:
    """A unit with its tone set smaller; None is a dash."""
    if syllable is None:
        return tag("span", NOTHING, class_="gap")
    if parts(syllable) is None:
        return tag("span", syllable, class_="unit")
    return tag("span", syllable[:-1], tag("span", syllable[-1], class_="tone"), class_="unit")
