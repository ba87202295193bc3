"""Where a long text is broken into lines that people read while they listen.

A pause ends a line. What is said between two pauses and does not fit into a line is broken into as few as possible,
rather where the speaker waits a little, not inside a word, and so that no line is much shorter than the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dfcnn_ms.errors import ConfigError

#: characters of a line where nobody says: of Chinese text, and of letters
CHINESE, LETTERS = 16, 42
#: what a line costs is 1; what it costs to break inside a word, what a wait as long as a pause saves, and what a line
#: costs that is nearly empty
INSIDE_A_WORD, AT_A_WAIT, NEARLY_EMPTY = 1.0, 0.5, 0.4


@dataclass(frozen=True)
class Layout:
    """What a line may be.

    Attributes:
        characters: most of them; where nobody says, 16 of Chinese text and 42 of letters.
        seconds: longest time that a line lasts.
        pause: syllables further apart, in seconds, are never in one line.
        shown: seconds that a line is shown, at least, where the next one leaves it the time.
    """

    characters: int | None = None
    seconds: float = 6.0
    pause: float = 0.5
    shown: float = 1.0

    def __post_init__(self) -> None:
        if self.characters is not None and self.characters < 1:
            raise ConfigError(f"a line of {self.characters} characters: wanted 1 or more")
        for name in ("seconds", "pause"):
            value = getattr(self, name)
            if not (0 < value < math.inf):
                raise ConfigError(f"a line with {name} of {value}: wanted more than 0")


LAYOUT = Layout()


class Piece(NamedTuple):
    """What is never broken: a syllable.

    Attributes:
        text: as it is said.
        characters: as it is written; "" where that is not known.
        start, end: in seconds.
        continues: whether it is in one word with the piece before it.
    """

    text: str
    characters: str
    start: float
    end: float
    continues: bool


def lines(pieces: Sequence[Piece], layout: Layout) -> Iterator[range]:
    """The places of the pieces of each line; one that does not fit into any line has its own."""
    first = 0
    for place in range(1, len(pieces) + 1):
        if place == len(pieces) or pieces[place].start - pieces[place - 1].end >= layout.pause:
            yield from _broken(pieces, range(first, place), layout)
            first = place


def _broken(pieces: Sequence[Piece], places: range, layout: Layout) -> list[range]:
    """The lines of what is said between two pauses, those that cost the least together (dynamic programming)."""
    cost, before = {places.start: 0.0}, {}
    for stop in range(places.start + 1, places.stop + 1):
        costs = {
            first: cost[first] + _cost(pieces, first, full, layout)
            for first, full in _beginnings(pieces, places.start, stop, layout)
        }
        before[stop] = min(costs, key=lambda first: costs[first])
        cost[stop] = costs[before[stop]]
    edges = [places.stop] if len(places) else []
    while edges and edges[-1] > places.start:
        edges.append(before[edges[-1]])
    return [range(first, stop) for first, stop in itertools.pairwise(reversed(edges))]


def _beginnings(pieces: Sequence[Piece], least: int, stop: int, layout: Layout) -> Iterator[tuple[int, float]]:
    """Where a line may begin that ends before `stop`, and how full it is then."""
    letters, written, is_written = -1, 0, True
    for first in range(stop - 1, least - 1, -1):
        piece = pieces[first]
        letters, written = letters + 1 + len(piece.text), written + len(piece.characters)
        is_written &= bool(piece.characters)
        width, most = (written, CHINESE) if is_written else (letters, LETTERS)
        full = max(width / (layout.characters or most), (pieces[stop - 1].end - piece.start) / layout.seconds)
        if full > 1 and first < stop - 1:
            return
        yield first, full


def _cost(pieces: Sequence[Piece], first: int, full: float, layout: Layout) -> float:
    """Of a line that begins with a piece and is so full."""
    cost = 1 + NEARLY_EMPTY * (1 - min(full, 1)) ** 2
    if first:
        wait = pieces[first].start - pieces[first - 1].end
        cost += INSIDE_A_WORD * pieces[first].continues - AT_A_WAIT * min(1.0, wait / layout.pause)
    return cost
