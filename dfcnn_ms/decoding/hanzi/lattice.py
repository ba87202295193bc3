"""What may have been said, as a graph: nodes between syllables, and arcs that each carry one syllable.

    n-best list ── Lattice.of_nbest ──> slots of alternatives ── Lattice.of_slots ──> arcs

Hypotheses that differ in several places give all combinations of their differences, so that a short list says much.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np

from dfcnn_ms.decoding.hanzi.lexicon import BASE_IDS
from dfcnn_ms.text.pinyin import SyllableError, canonical

#: alternatives of one place: syllable, or None for nothing, and natural logarithm of its probability
Slot = Mapping[str | None, float]
#: an alternative that is so much less probable than the best one of its place is left out
LEAST_LOG_PROB = -12.0


@dataclass(frozen=True, eq=False)
class Lattice:
    """A graph without circles; arcs lead from lower to higher nodes and are sorted by where they begin.

    Attributes:
        syllables: (A,) what each arc says, as it was given.
        begins: (A,) the node where an arc begins.
        ends: (A,) the node where it ends.
        bases: (A,) its syllable without tone, counted from 1; 0 for what is no Mandarin syllable.
        tones: (A,) 1 to 5, or 0 where the tone is not known.
        log_probs: (A,) natural.
        final: (N,) natural log-probability that nothing follows a node; minus infinity where something must.
    """

    syllables: tuple[str, ...]
    begins: np.ndarray
    ends: np.ndarray
    bases: np.ndarray
    tones: np.ndarray
    log_probs: np.ndarray
    final: np.ndarray

    @classmethod
    def of_slots(cls, slots: Sequence[Slot], toneless: bool = False) -> Lattice:
        """One place after the other, each with its alternatives; None among them is the chance of nothing there.

        Args:
            slots: per place, alternatives with natural log-probabilities.
            toneless: tones are not known, whatever the syllables say.
        """
        skips = [slot.get(None, -math.inf) for slot in slots]
        final = np.append(np.cumsum(skips[::-1])[::-1], 0.0)
        arcs = [arc for begin in range(len(slots)) for arc in _arcs_from(begin, slots, skips)]
        known = [_base_and_tone(syllable, toneless) for _, _, syllable, _ in arcs]
        return cls(
            syllables=tuple(syllable for _, _, syllable, _ in arcs),
            begins=np.array([begin for begin, _, _, _ in arcs], np.int32),
            ends=np.array([end for _, end, _, _ in arcs], np.int32),
            bases=np.array([base for base, _ in known], np.int32),
            tones=np.array([tone for _, tone in known], np.int64),
            log_probs=np.array([log_prob for _, _, _, log_prob in arcs], np.float64),
            final=final,
        )

    @classmethod
    def of_nbest(cls, nbest: Sequence[tuple[Sequence[str], float]], toneless: bool = False) -> Lattice:
        """The places where hypotheses agree and differ, aligned with the most probable one.

        Args:
            nbest: syllables and natural log-probability of each hypothesis; any constant may be added to all.
            toneless: tones are not known.
        """
        return cls.of_slots(slots_of(nbest), toneless)


def slots_of(nbest: Sequence[tuple[Sequence[str], float]]) -> list[Slot]:
    """Alternatives with natural logarithms of their probabilities in the list, place by place.

    >>> [dict(slot) for slot in slots_of([(["ni3", "hao3"], 0.0)])]
    [{'ni3': 0.0}, {'hao3': 0.0}]
    """
    ordered = sorted(nbest, key=lambda pair: -pair[1])
    weights = [math.exp(log_prob - ordered[0][1]) for _, log_prob in ordered]
    rows = [_aligned(ordered[0][0], syllables) for syllables, _ in ordered]
    widths = [max(len(said) for said in gap) for gap in zip(*rows, strict=True)]
    places: list[dict[str | None, float]] = [defaultdict(float) for _ in range(sum(widths))]
    for row, weight in zip(rows, weights, strict=True):
        padded = [[*said, *[None] * (width - len(said))] for said, width in zip(row, widths, strict=True)]
        for place, syllable in zip(places, chain.from_iterable(padded), strict=True):
            place[syllable] += weight
    whole = math.log(sum(weights))
    return [{said: min(math.log(weight) - whole, 0.0) for said, weight in place.items() if weight} for place in places]


def _aligned(pivot: Sequence[str], other: Sequence[str]) -> list[list[str | None]]:
    """What `other` says before each syllable of `pivot`, at it, and after the last: 2 P + 1 lists."""
    from rapidfuzz.distance import Levenshtein

    said: list[list[str | None]] = [[] if place % 2 == 0 else [None] for place in range(2 * len(pivot) + 1)]
    for step in Levenshtein.opcodes(pivot, other):
        if step.tag == "insert":
            said[2 * step.src_start] = list(other[step.dest_start : step.dest_end])
        elif step.tag != "delete":
            for place in range(step.src_end - step.src_start):
                said[2 * (step.src_start + place) + 1] = [other[step.dest_start + place]]
    return said


def _arcs_from(begin: int, slots: Sequence[Slot], skips: Sequence[float]) -> list[tuple[int, int, str, float]]:
    """Arcs that begin at a node, over places that may be empty."""
    found, skipped, lost = [], 0.0, 0.0  # lost: how much less probable than the best alternatives
    for place in range(begin, len(slots)):
        best = max(slots[place].values())
        for syllable, log_prob in slots[place].items():
            if syllable is not None and lost + log_prob - best > LEAST_LOG_PROB:
                found.append((begin, place + 1, syllable, skipped + log_prob))
        skipped += skips[place]
        lost += skips[place] - best
        if lost <= LEAST_LOG_PROB:
            break
    return found


def _base_and_tone(syllable: str, toneless: bool) -> tuple[int, int]:
    base, tone = _read(syllable)
    return base, 0 if toneless else tone


@lru_cache(maxsize=10_000)
def _read(syllable: str) -> tuple[int, int]:
    try:
        whole = canonical(syllable)
    except SyllableError:
        return 0, 0
    try:
        canonical(f"{syllable}1")
    except SyllableError:  # a second tone is too many, so it has one already
        return BASE_IDS[whole[:-1]] + 1, int(whole[-1])
    return BASE_IDS[whole[:-1]] + 1, 0
