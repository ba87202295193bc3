"""Phrases that a beam search should listen for: names, terms, places.

A hypothesis gains the boost of a phrase for each of its syllables wherever the phrase occurs whole. Phrases that
overlap, or lie within one another, all count. A phrase that is only begun gains nothing; so that the beam does not lose
it before its end, it may stand in places that the search keeps for begun phrases, and competes for those with the boost
of the syllables said so far. Therefore a boost takes nothing from sentences without the phrase.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.errors import DataError
from dfcnn_ms.files import read_text
from dfcnn_ms.text.pinyin import from_hanzi, parse

Array = NDArray[Any]
log = logging.getLogger(__name__)

DEFAULT_BOOST = 2.0
MOST_BOOST = 20.0
MOST_GAIN = 300.0  # e to this, and to as much again, is still a number
SHOWN = 5

_LATIN = re.compile("[A-Za-z]")


class HotwordTrie(NamedTuple):
    """The automaton of Aho and Corasick for the phrases, as arrays that compiled code can read.

    A state (S of them, 0 the first) is a beginning of a phrase, and always the longest one that what was said last is.

    Attributes:
        first: state after each unit (V,) from state 0.
        edges: `units[edges[s]:edges[s + 1]]` are the units that lead on from state s, `targets` where to.
        fail: the longest shorter beginning that is also an end of the state (S,).
        gained: what the phrases gain that end in a state (S,), a logarithm.
        growth: what that multiplies by (S,).
        lift: what the most promising phrase that is begun there would have gained so far multiplies by (S,).
    """

    first: Array
    edges: Array
    units: Array
    targets: Array
    fail: Array
    gained: Array
    growth: Array
    lift: Array


@dataclass(frozen=True)
class Phrase:
    """Syllables to listen for, and what each of them gains, as a natural logarithm."""

    syllables: tuple[str, ...]
    boost: float = DEFAULT_BOOST

    def __post_init__(self) -> None:
        if not self.syllables:
            raise DataError("a hotword needs at least one syllable; got none")
        if not 0 < self.boost <= MOST_BOOST:
            raise DataError(f"the boost of a hotword must be above 0 and at most {MOST_BOOST:g}; got {self.boost}")


@dataclass(frozen=True)
class Hotwords:
    r"""Phrases for the vocabulary of one network.

    Attributes:
        phrases: what to listen for; said twice, the higher boost holds.
        symbols: of the vocabulary (V,), blank and unknown unit included.

    Example:
        >>> symbols = ("<blank>", "<unk>", "ni3", "hao3")
        >>> Hotwords.parse(["你好", "ni3 hao3\t3.5"], symbols).phrases
        (Phrase(syllables=('ni3', 'hao3'), boost=2.0), Phrase(syllables=('ni3', 'hao3'), boost=3.5))
    """

    phrases: tuple[Phrase, ...]
    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        known = set(self.symbols[2:])
        unknown = sorted({syllable for phrase in self.phrases for syllable in phrase.syllables} - known)
        if unknown:
            raise DataError(f"hotwords have syllables that the vocabulary lacks: {', '.join(unknown)}")

    @classmethod
    def parse(
        cls, lines: Iterable[str], symbols: Sequence[str], *, boost: float = DEFAULT_BOOST, where: str = "hotword"
    ) -> Hotwords:
        """Phrases in characters or pinyin, one a line, each with its own boost after a tab or with `boost`.

        A phrase with syllables that the vocabulary lacks cannot be heard: it is left out, and one warning in the log
        names all of them. Empty lines are skipped.

        Args:
            lines: the phrases.
            symbols: `Vocabulary.symbols`.
            boost: what each syllable gains, unless the line says otherwise.
            where: what the lines are, for messages.

        Raises:
            DataError: a line cannot be read, or the vocabulary can write none of the phrases.
        """
        phrases = [
            _phrase(line, boost, f"{where}:{number}") for number, line in enumerate(lines, start=1) if line.strip()
        ]
        known = set(symbols[2:])
        heard = tuple(phrase for phrase in phrases if known.issuperset(phrase.syllables))
        _complain([phrase for phrase in phrases if not known.issuperset(phrase.syllables)], known, where, not heard)
        return cls(heard, tuple(symbols))

    @classmethod
    def load(cls, path: str | Path, symbols: Sequence[str], *, boost: float = DEFAULT_BOOST) -> Hotwords:
        """The phrases of a text file, in UTF-8; see :meth:`parse`."""
        text = read_text(path)
        if not text.strip():
            raise DataError(f"{path}: holds no hotword; write one phrase a line")
        return cls.parse(text.splitlines(), symbols, boost=boost, where=str(path))

    @cached_property
    def trie(self) -> HotwordTrie:
        """The phrases as the search reads them."""
        ids = {symbol: id for id, symbol in enumerate(self.symbols)}
        boosts: dict[tuple[int, ...], float] = {}
        for phrase in self.phrases:
            key = tuple(ids[syllable] for syllable in phrase.syllables)
            boosts[key] = max(phrase.boost, boosts.get(key, 0.0))
        return build_trie(boosts, len(self.symbols))


def build_trie(boosts: dict[tuple[int, ...], float], units: int) -> HotwordTrie:
    """The automaton of phrases of ids; of none, one that adds nothing.

    Args:
        boosts: of each phrase, what each of its units gains.
        units: V.
    """
    children = _children(boosts)
    fail = _fail(children)
    gained = _gained(boosts, children, fail)
    if gained.max() > MOST_GAIN:
        raise DataError(
            f"a hotword gains {gained.max():g}, more than {MOST_GAIN:g}; give it, or those in it, a lower boost"
        )
    edges = np.cumsum([0, *(len(child) for child in children)])
    first = np.zeros(units, np.int32)
    first[list(children[0])] = list(children[0].values())
    return HotwordTrie(
        first=first,
        edges=edges.astype(np.int32),
        units=np.array([unit for child in children for unit in child], np.int32),
        targets=np.array([target for child in children for target in child.values()], np.int32),
        fail=np.array(fail, np.int32),
        gained=gained,
        growth=np.exp(gained),
        lift=np.exp(_credit(boosts, children, fail)),
    )


def _phrase(line: str, boost: float, where: str) -> Phrase:
    written, tab, own = line.strip().partition("\t")
    try:
        syllables = (parse if _LATIN.search(written) else from_hanzi)(written)
        return Phrase(tuple(syllables), _number(own) if tab else boost)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"after the tab stands the boost, a number such as 3.5; got {text!r}") from None


def _complain(unheard: list[Phrase], known: set[str], where: str, fatal: bool) -> None:
    if not unheard:
        return
    missing = dict.fromkeys(syllable for phrase in unheard for syllable in phrase.syllables if syllable not in known)
    cause = f"the vocabulary lacks {_some(list(missing))}"
    if fatal:
        raise DataError(f"{where}: no phrase can be heard, because {cause}")
    phrases = _some([" ".join(phrase.syllables) for phrase in unheard])
    log.warning("%s: left out %d of the phrases (%s), because %s", where, len(unheard), phrases, cause)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _children(boosts: Iterable[tuple[int, ...]]) -> list[dict[int, int]]:
    """The trie: for each state, which unit leads to which state."""
    children: list[dict[int, int]] = [{}]
    for phrase in boosts:
        state = 0
        for unit in phrase:
            if unit not in children[state]:
                children[state][unit] = len(children)
                children.append({})
            state = children[state][unit]
    return children


def _breadth_first(children: list[dict[int, int]]) -> Iterable[tuple[int, int, int]]:
    """Each state but the first, after its parent and all that are shorter: (parent, unit, state)."""
    queue = deque([0])
    while queue:
        parent = queue.popleft()
        for unit, state in children[parent].items():
            yield parent, unit, state
            queue.append(state)


def _fail(children: list[dict[int, int]]) -> list[int]:
    fail = [0] * len(children)
    for parent, unit, state in _breadth_first(children):
        shorter = fail[parent]
        while shorter and unit not in children[shorter]:
            shorter = fail[shorter]
        fail[state] = children[shorter].get(unit, 0) if parent else 0
    return fail


def _states(phrase: Sequence[int], children: list[dict[int, int]]) -> list[int]:
    """The states that a phrase goes through, from the first."""
    states = [0]
    for unit in phrase:
        states.append(children[states[-1]][unit])
    return states


def _gained(boosts: dict[tuple[int, ...], float], children: list[dict[int, int]], fail: list[int]) -> Array:
    """What the phrases gain that end in each state."""
    gained = np.zeros(len(children))
    for phrase, boost in boosts.items():
        gained[_states(phrase, children)[-1]] = boost * len(phrase)
    for _, _, state in _breadth_first(children):
        gained[state] += gained[fail[state]]
    return gained


def _credit(boosts: dict[tuple[int, ...], float], children: list[dict[int, int]], fail: list[int]) -> Array:
    """The boost so far, in each state, of the phrase that has most and is begun, there or later, and not complete."""
    credit = np.zeros(len(children))
    for phrase, boost in boosts.items():
        for length, state in enumerate(_states(phrase, children)[:-1]):
            credit[state] = max(credit[state], boost * length)
    for _, _, state in _breadth_first(children):
        credit[state] = max(credit[state], credit[fail[state]])
    return credit
