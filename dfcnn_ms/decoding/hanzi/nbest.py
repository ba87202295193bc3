"""The n best texts over a lattice, all different: written from the end backwards, a character at a time.

A text may be written in many ways: 上海 is one word or two, and a character has several classes. There are more ways
than anybody can look at in a long sentence, so those that have written the same go on together, as one ending. The most
that an ending can come to is known exactly, from the best way to each edge; so the most promising one goes on, nothing
is looked at that is not the end of one of the n best texts, and a text of L characters takes at most n L steps.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dfcnn_ms.decoding.hanzi.arrays import Edges, Language, Ways

#: what stands for the beginning of a text: no character
BEGINNING = 0x110000


class Ending(NamedTuple):
    """One end of a text, in all S ways to write it.

    Attributes:
        edge: (S,) which edge each is writing; -1 where nothing is left to be written.
        rest: (S,) how many characters of it are still to be written.
        after: (S,) score of what follows the edge.
        origin: (S,) which way of `shorter` each goes on from.
        shorter: the same without its first character; None for nothing.
    """

    edge: np.ndarray
    rest: np.ndarray
    after: np.ndarray
    origin: np.ndarray
    shorter: Ending | None

    def only(self, some: np.ndarray) -> Ending:
        """Some of the ways."""
        return Ending(self.edge[some], self.rest[some], self.after[some], self.origin[some], self.shorter)


@dataclass(frozen=True, eq=False)
class Writing:
    """What the edges of one lattice write.

    Attributes:
        edges, language, ways: of the search for the best way.
        characters: (Z + 1,) of all edges, one after the other, and what stands for the beginning.
        first: (X + 1,) where those of an edge begin; the last entry is that of the beginning.
        length: (X + 1,) how many there are.
        score: (X + 1,) of the best way to an edge, and to the beginning.
    """

    edges: Edges
    language: Language
    ways: Ways
    characters: np.ndarray
    first: np.ndarray
    length: np.ndarray
    score: np.ndarray

    @classmethod
    def of(cls, edges: Edges, language: Language, ways: Ways, texts: Sequence[str]) -> Writing:
        """The texts of all edges, none empty."""
        code_points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
        length = np.array([*map(len, texts), 1], np.int64)
        first = np.cumsum(length) - length
        score = np.append(ways.score, 0.0)
        return cls(edges, language, ways, np.append(code_points, BEGINNING), first, length, score)

    def longer(self, ending: Ending, most: int) -> list[tuple[float, Ending]]:
        """The ending with one more character, and the best score that it may come to; the `most` best."""
        from dfcnn_ms.decoding.hanzi.search import steps

        inside = np.flatnonzero(ending.rest)
        found = [(ending.edge[inside], ending.rest[inside] - 1, ending.after[inside], inside)]
        for place in np.flatnonzero(ending.rest == 0):
            before, scores = steps(self.edges, self.language, self.ways, ending.edge[place])
            origin = np.full(len(before), place)
            found.append((before, self.length[before] - 1, scores + ending.after[place], origin))
        edge, rest, after, origin = (np.concatenate(column) for column in zip(*found, strict=True))
        return self.endings(Ending(edge, rest, after, origin, ending), most)

    def endings(self, ways: Ending, most: int) -> list[tuple[float, Ending]]:
        """Ways taken apart by the character they write; the `most` best, each with the best score it may come to."""
        written = self.characters[self.first[ways.edge] + ways.rest]
        total = self.score[ways.edge] + ways.after
        order = np.lexsort((-total, ways.rest, ways.edge, written))
        same = [np.diff(column[order], prepend=-2) == 0 for column in (written, ways.edge, ways.rest)]
        order = order[~np.logical_and.reduce(same)]  # two ways to the same place: the better one says it all
        bounds = np.flatnonzero(np.diff(written[order], prepend=-2))
        best = np.maximum.reduceat(total[order], bounds)
        parts = np.split(order, bounds[1:])
        chosen = np.argsort(-best, kind="stable")[:most].tolist()
        return [(float(best[part]), ways.only(parts[part])) for part in chosen if best[part] > -np.inf]


def best_texts(writing: Writing, ends: Sequence[tuple[float, int]], most: int) -> Iterator[tuple[float, list[int]]]:
    """The score and the edges of the best way of each text, the best text first.

    Args:
        writing: what the edges write.
        ends: score of a whole way, and its last edge, -1 where nothing was said.
        most: how many texts at most.
    """
    ends = [(score, last) for score, last in ends if score > -np.inf]
    edge = np.array([last for _, last in ends], np.int64)
    after = np.array([score for score, _ in ends], np.float64) - writing.score[edge]
    heap: list[tuple[float, int, Ending]] = []
    found = writing.endings(Ending(edge, writing.length[edge] - 1, after, np.zeros_like(edge), None), most)
    count = 0
    while True:
        for score, longer in found:
            count += 1
            heapq.heappush(heap, (-score, count, longer))
        if len(heap) > 2 * most:  # each leads to another text, so the best are enough
            heap = heapq.nsmallest(most, heap)
        if not heap or not most:
            return
        negative, _, ending = heapq.heappop(heap)
        if ending.edge[0] >= 0:
            found = writing.longer(ending, most)
        else:
            found, most = [], most - 1
            yield -negative, way_of(ending)


def way_of(ending: Ending) -> list[int]:
    """The edges of a text that is written to its beginning."""
    chosen: list[int] = []
    place, here = int(ending.origin[0]), ending.shorter
    while here is not None:
        if here.rest[place] == 0:
            chosen.append(int(here.edge[place]))
        place, here = int(here.origin[place]), here.shorter
    return chosen
