"""The model as a value: train it, load it, ask it for the sentences that syllables may mean.

The search is exact: the best sentence by the model, and the n best. A syllable that no word is read as stands in the
sentence as it is written, so that nothing that was heard is lost.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np

from dfcnn_ms.decoding.hanzi.arrays import Arcs, Edges, Language, Trie, Ways
from dfcnn_ms.decoding.hanzi.checks import fault
from dfcnn_ms.decoding.hanzi.lattice import Lattice
from dfcnn_ms.decoding.hanzi.lexicon import (
    BASE_IDS,
    FORMAT,
    Lexicon,
    UserWord,
    build_default,
    cache_folder,
    cached,
    load_arrays,
    save_arrays,
    segment,
)
from dfcnn_ms.decoding.hanzi.nbest import Writing, best_texts
from dfcnn_ms.decoding.hanzi.word_model import Statistics, language, learn
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.characters import hanzi_runs
from dfcnn_ms.wording import many

#: natural log-probabilities of a syllable whose tone is wrong, and of one whose tone is often written otherwise:
#: neutral tones, and 一 and 不, which change theirs before other tones
WRONG_TONE, CHANGED_TONE = -8.0, -4.0
#: how much the probabilities of the decoder count beside those of the language
SYLLABLES_WEIGHT = 1.0
EDGES = 4096
#: sentences that may be asked for, times the syllables of each; more would take some ten seconds
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Sentence:
    """Characters for syllables.

    Attributes:
        text: the characters; a syllable that has none stands as it is.
        units: one for each syllable: its character, or itself.
        words: the same by words.
        score: natural log-probability of words and syllables together.
    """

    text: str
    units: tuple[str, ...]
    words: tuple[str, ...]
    score: float

    @property
    def average(self) -> float:
        """Score per character; 0 for nothing."""
        return self.score / len(self.units) if self.units else 0.0

    @property
    def perplexity(self) -> float:
        """Among how many characters the model felt to choose, each time."""
        return math.exp(-self.average)


@dataclass(frozen=True, eq=False)
class HanziModel:
    """Words, and what follows what.

    Attributes:
        lexicon: the words.
        statistics: what texts taught.
        toneless: whether syllables are read without their tones.

    Example:
        >>> model = HanziModel.default()  # doctest: +SKIP
        >>> model.decode([("shang4 hai3 zhi2 wu4 yuan2".split(), 0.0)])[0].text  # doctest: +SKIP
        '上海植物园'
    """

    lexicon: Lexicon
    statistics: Statistics
    toneless: bool = False

    @classmethod
    def default(cls) -> HanziModel:
        """Jieba's dictionary alone: built once, then read from the user's cache folder."""
        name = f"hanzi-{FORMAT}-jieba{version('jieba')}-pypinyin{version('pypinyin')}.bin"
        return cached(cache_folder() / name, cls.load, cls._build, cls.save)

    @classmethod
    def train(cls, texts: Iterable[str], lexicon: Lexicon | None = None) -> HanziModel:
        """A model that has read texts, a sentence each; what is not written in Chinese characters parts sentences."""
        words = lexicon or cls.default().lexicon
        sentences = [segmented for text in texts for segmented in _segmented(text, words)]
        if not sentences:
            raise DataError("the text holds no Chinese characters; wanted sentences in characters")
        return cls(words, learn(words, sentences))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HanziModel:
        """Opens what :meth:`save` wrote.

        Raises:
            DataError: it is missing, damaged or something else.
        """
        arrays = load_arrays(Path(path))
        try:
            kept = {name: arrays.pop(name) for name in Statistics.__dataclass_fields__}
            model = cls(Lexicon.of(arrays), Statistics(**kept))
            wrong = fault(model.lexicon, model.statistics)
        except (KeyError, TypeError, ValueError):
            raise DataError(f"{path}: not a model of python -m dfcnn_ms.hanzi train; make one with it") from None
        if wrong:
            raise DataError(
                f"{path}: damaged: its {wrong} cannot be so; make it again with python -m dfcnn_ms.hanzi train"
            )
        return model

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes everything that :meth:`load` needs, whole or not at all."""
        statistics = {name: getattr(self.statistics, name) for name in Statistics.__dataclass_fields__}
        save_arrays(Path(path), {**self.lexicon.arrays(), **statistics})

    def with_words(self, words: Iterable[UserWord]) -> HanziModel:
        """The same and words of one's own, which go before others that are read alike."""
        return HanziModel(self.lexicon.with_words(words), self.statistics, self.toneless)

    def decode(self, nbest: Sequence[tuple[Sequence[str], float]], n: int = 1) -> list[Sentence]:
        """The n best sentences for what the decoder believes, the best first.

        Args:
            nbest: syllables and natural log-probability of each hypothesis.
            n: how many sentences at most; all differ.
        """
        return self.convert(Lattice.of_nbest(nbest, self.toneless), n)

    def convert(self, lattice: Lattice, n: int = 1) -> list[Sentence]:
        """The n best sentences over a lattice, the best first.

        Raises:
            ConfigError: so many sentences would take too long.
        """
        places = max(1, len(lattice.final) - 1)
        most = max(1, MOST_STEPS // places)
        if not 1 <= n <= most:
            raise ConfigError(f"the {n:,} best sentences for {many(places, 'syllable')}: wanted 1 to {most:,} of them")
        ways = _Search(self, lattice)
        best = ways.best() if n == 1 else best_texts(ways.writing(), ways.ends(), n)
        return [_sentence(score, [ways.written(edge) for edge in edges]) for score, edges in best]

    @cached_property
    def language(self) -> Language:
        """What the search asks for."""
        return language(self.lexicon, self.statistics)

    @cached_property
    def trie(self) -> Trie:
        """The readings."""
        return _trie(self.lexicon)

    @cached_property
    def words(self) -> list[str]:
        """The words by number."""
        words: list[str] = self.lexicon.words.tolist()
        return words

    @classmethod
    def _build(cls) -> HanziModel:
        lexicon = build_default()
        return cls(lexicon, learn(lexicon))


class _Search:
    """All words over one lattice, and the ways through them."""

    def __init__(self, model: HanziModel, lattice: Lattice) -> None:
        from dfcnn_ms.compiled import announced
        from dfcnn_ms.decoding.hanzi.search import search

        self.language = model.language
        self._texts = model.words, lattice.syllables
        self.final = SYLLABLES_WEIGHT * lattice.final
        with announced("the conversion into characters"):
            self.edges = _match(model, lattice)
            size = len(self.edges.begin)
            back, link = np.zeros(size, np.int64), np.zeros(size, np.int64)
            self.ways = Ways(np.zeros(size), back, np.full(len(lattice.final), -1, np.int64), link)
            search(self.edges, len(lattice.final), self.language, self.ways)

    def best(self) -> Iterator[tuple[float, list[int]]]:
        """The best way alone."""
        score, edge = max(self.ends())
        chosen = []
        while edge >= 0:
            chosen.append(edge)
            edge = int(self.ways.back[edge])
        yield score, chosen[::-1]

    def written(self, edge: int) -> tuple[str, bool]:
        """What an edge writes, and whether it is a word: a syllable that no word is read as stands as it is."""
        words, syllables = self._texts
        word = int(self.edges.word[edge])
        return (words[word], True) if word < len(words) else (syllables[self.edges.arc[edge]], False)

    def writing(self) -> Writing:
        """What the search for the n best texts asks for."""
        texts = [self.written(edge)[0] or "\0" for edge in range(len(self.edges.begin))]
        return Writing.of(self.edges, self.language, self.ways, texts)

    def ends(self) -> list[tuple[float, int]]:
        """Complete ways: score, and last edge, which is -1 where nothing was said."""
        found = [(self._end(-1) + float(self.final[0]), -1)] if np.isfinite(self.final[0]) else []
        for node in np.flatnonzero(np.isfinite(self.final)):
            edge = int(self.ways.head[node])
            while edge >= 0:
                score = float(self.ways.score[edge] + self.final[node])
                found.append((score + self._end(int(self.edges.word[edge])), edge))
                edge = int(self.ways.link[edge])
        return found

    def _end(self, word: int) -> float:
        """Natural log-probability that the sentence ends after a word; -1 is its beginning."""
        table = self.language
        return float(table.kept[word] + table.transition[table.word_class[word], -1])


def _sentence(score: float, said: Sequence[tuple[str, bool]]) -> Sentence:
    units = tuple(unit for text, is_word in said for unit in (text if is_word else [text]))
    return Sentence("".join(units), units, tuple(text for text, _ in said), score)


def _match(model: HanziModel, lattice: Lattice) -> Edges:
    from dfcnn_ms.decoding.hanzi.search import match

    first = np.searchsorted(lattice.begins, np.arange(len(lattice.final) + 1))
    arcs = Arcs(first, lattice.ends, lattice.bases, lattice.tones, SYLLABLES_WEIGHT * lattice.log_probs)
    changing = np.array([BASE_IDS["yi"] + 1, BASE_IDS["bu"] + 1])
    costs = np.array([WRONG_TONE, CHANGED_TONE])
    room = EDGES
    while True:
        whole = [np.zeros(room, kind) for kind in (np.int64, np.int64, np.int64, np.float64, np.int64)]
        found = match(arcs, model.trie, len(model.lexicon.words), changing, costs, Edges(*whole))
        if found <= room:
            return Edges(*(column[:found] for column in whole))
        room = found


def _trie(lexicon: Lexicon) -> Trie:
    """Readings sorted into a tree, level by level."""
    bases = lexicon.entry_bases.astype(np.int64)
    order = np.lexsort(bases.T[::-1])
    bases = bases[order]
    lengths = (bases > 0).sum(axis=1)
    fresh = (
        np.cumsum(np.vstack([bases[:1] > -1, bases[1:] != bases[:-1]]), axis=1) > 0
    )  # the reading differs up to here
    node, parents, symbols = np.zeros(len(bases), np.int64), [], []
    count = 1
    for depth in range(int(lengths.max(initial=0))):
        inside = lengths > depth
        new = inside & fresh[:, depth]
        parents.append(node[new])
        symbols.append(bases[new, depth])
        node[inside] = count - 1 + np.cumsum(new)[inside]
        count += int(new.sum())
    children = np.bincount(np.concatenate([np.zeros(0, np.int64), *parents]), minlength=count)
    at_node = np.argsort(node, kind="stable")
    return Trie(
        first_child=np.concatenate([[1], 1 + np.cumsum(children)]),
        base=np.concatenate([[0], *symbols]).astype(np.int64),
        first_entry=np.concatenate([[0], np.cumsum(np.bincount(node, minlength=count))]),
        word=lexicon.entry_words[order][at_node].astype(np.int64),
        log_share=lexicon.entry_log_shares[order][at_node].astype(np.float64),
        tones=lexicon.entry_tones[order][at_node].astype(np.int64),
    )


def _segmented(text: str, lexicon: Lexicon) -> Iterator[list[str]]:
    """The runs of Chinese characters in a text, as words."""
    for run in hanzi_runs(text):
        yield segment(run, lexicon.log_shares)
