"""What the synthetic corpora say: digits, sentences of real words, everyday sentences. Nothing is spoken here.

    for sentence in sentences("mandarin", "train", count=12_000):
        print(sentence.text, *sentence.pinyin)

Sentence i of a split draws from a generator of its own, so that it does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dfcnn_ms.corpora.everyday import NEUTRAL, Chains, phrase
from dfcnn_ms.errors import DataError, DeviceError
from dfcnn_ms.text import sandhi
from dfcnn_ms.text.characters import hanzi_runs, is_hanzi
from dfcnn_ms.text.pinyin import DIGITS, from_hanzi

SPLITS = ("train", "dev", "test")

CHARACTERS = dict(zip(DIGITS, "零一二三四五六七八九", strict=True))
DIGITS_PER_UTTERANCE = (3, 7)
#: share of the numbers that are one digit
ALONE = 0.4
#: the task whose sentences come from a file
OWN_TEXT = "text"

SYLLABLES_PER_SENTENCE = (4, 16)
#: what everyday sentences are: phrases, words in a plausible order, one to three words by themselves
EVERYDAY = {"phrase": 0.45, "chain": 0.35, "words": 0.2}
LONGEST_WORD = 4
# Words that jieba's dictionary counts less often are names and rarities, and reading them all takes minutes.
LEAST_FREQUENCY = 20
# espeak-ng spells these out in English letters, or hums them without a tone.
UNSPOKEN = frozenset({"m", "n", "hm", "hng", "wong"})

# Streams of random numbers: what is said and how it is said stay apart, so that a change to one leaves
# the other as it was; the third belongs to a whole split, the fourth to who speaks.
TEXT, SOUND, SPLIT, VOICE = 0, 1, 2, 3


@dataclass(frozen=True)
class Sentence:
    """What is said: toned syllables as they are labelled, the same in characters, and the tones that are spoken."""

    pinyin: tuple[str, ...]
    text: str
    spoken: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """The syllables as they are spoken: with sandhi, if that is known."""
        return self.spoken or self.pinyin


def sentences(task: str, split: str, count: int, seed: int = 0) -> Iterator[Sentence]:
    """What is said in the first `count` utterances of a split; nothing is spoken for it."""
    draw = TASKS[task](generator(seed, task, split, 0, SPLIT))
    for index in range(count):
        yield draw(generator(seed, task, split, index, TEXT), index)


def generator(seed: int, task: str, split: str, index: int, stream: int) -> np.random.Generator:
    """The random numbers of one utterance."""
    return np.random.default_rng([seed, (*TASKS, OWN_TEXT).index(task), SPLITS.index(split), index, stream])


Draw = Callable[[np.random.Generator, int], Sentence]


def _digits(_: np.random.Generator) -> Draw:
    """Digits uniformly at random, so that one pair in ten is a repeat."""
    return lambda rng, index: _some_digits(int(rng.integers(*DIGITS_PER_UTTERANCE, endpoint=True)), rng)


def _numbers(_: np.random.Generator) -> Draw:
    """Digits uniformly at random, some of them alone."""

    def draw(rng: np.random.Generator, index: int) -> Sentence:
        alone = rng.random() < ALONE
        return _some_digits(1 if alone else int(rng.integers(2, DIGITS_PER_UTTERANCE[1], endpoint=True)), rng)

    return draw


def _some_digits(count: int, rng: np.random.Generator) -> Sentence:
    pinyin = tuple(DIGITS[digit] for digit in rng.integers(len(DIGITS), size=count))
    text = "".join(CHARACTERS[syllable] for syllable in pinyin)
    return Sentence(pinyin, text, _spoken([(CHARACTERS[syllable], [syllable]) for syllable in pinyin]))


def _mandarin(rng: np.random.Generator) -> Draw:
    """Words by their frequency in jieba's dictionary, around one that has the syllable whose turn it is.

    Each sentence serves one syllable of all that there are, in a random order, so that the rarest comes
    as often as there are sentences for each syllable.
    """
    words = _lexicon()
    by_length = {
        most: _Words([word for word in words if len(word.pinyin) <= most]) for most in range(1, LONGEST_WORD + 1)
    }
    by_syllable = _by_syllable(words)
    turns = rng.permutation(list(by_syllable))

    def draw(rng: np.random.Generator, index: int) -> Sentence:
        low, high = SYLLABLES_PER_SENTENCE
        room = int(rng.integers(low, high, endpoint=True))
        chosen = [by_syllable[turns[index % len(turns)]].draw(rng)]
        while (left := room - sum(len(word.pinyin) for word in chosen)) > 0:
            chosen.append(by_length[min(left, LONGEST_WORD)].draw(rng))
        return _joined([chosen[place] for place in rng.permutation(len(chosen))])

    return draw


def _everyday(rng: np.random.Generator) -> Draw:
    """Phrases, chains of words and words alone; the last two around a word with the syllable whose turn it is."""
    words = _lexicon()
    by_syllable, every = _by_syllable(words), _Words(words)
    turns = rng.permutation(list(by_syllable))
    by_tag: dict[str, list[_Word]] = {}
    for word in words:
        by_tag.setdefault(word.tag, []).append(word)
    chains = Chains({tag: _Words(group).draw for tag, group in by_tag.items()})

    def draw(rng: np.random.Generator, index: int) -> Sentence:
        kind = str(rng.choice(list(EVERYDAY), p=list(EVERYDAY.values())))
        if kind == "phrase":
            return read_aloud(phrase(rng))
        word = by_syllable[turns[index % len(turns)]].draw(rng)
        if kind == "chain":
            low, high = SYLLABLES_PER_SENTENCE
            return _joined(chains.around(word, int(rng.integers(low, high, endpoint=True)), rng))
        return _joined([word, *(every.draw(rng) for _ in range(int(rng.integers(3))))])

    return draw


def read_aloud(text: str, where: str = "") -> Sentence:
    """Characters as they are said: tones change where words meet, and some are lost.

    Args:
        text: characters, and marks between them.
        where: they stand, for the message.

    Raises:
        DataError: something in it cannot be read.
    """
    pinyin, plain, full = (from_hanzi(text, where=where, sandhi=kind) for kind in sandhi.KINDS)
    return Sentence(tuple(pinyin), text, _with_neutral_tones("".join(hanzi_runs(text)), plain, full))


def _joined(words: Sequence[_Word]) -> Sentence:
    """Words said one after the other."""
    pinyin = tuple(syllable for word in words for syllable in word.pinyin)
    spoken = _spoken([(word.text, list(word.pinyin)) for word in words])
    return Sentence(pinyin, "".join(word.text for word in words), spoken)


def _spoken(words: Sequence[tuple[str, list[str]]]) -> tuple[str, ...]:
    """The syllables of words and their readings, in the tones in which they are spoken."""
    plain, full = (sandhi.apply(words, kind, _is_word) for kind in ("yi_bu", "full"))
    return _with_neutral_tones("".join(word for word, _ in words), plain, full)


def _with_neutral_tones(text: str, plain: Sequence[str], full: Sequence[str]) -> tuple[str, ...]:
    """The last syllables of 妈妈 and 豆腐 without their tone; a third tone before one that is lost stays a third.

    Args:
        text: characters, one for each syllable.
        plain, full: their syllables without and with the sandhi of third tones.
    """
    said = list(full)
    for place in range(1, len(said)):
        if text[place - 1 : place + 1] in NEUTRAL:
            said[place - 1 : place + 1] = [plain[place - 1], f"{said[place][:-1]}5"]
    return tuple(said)


def _is_word(characters: str) -> bool:
    return characters in _known()


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(word.text for word in _lexicon())


def _by_syllable(words: Sequence[_Word]) -> dict[str, _Words]:
    """The words that have each syllable."""
    holders: dict[str, list[_Word]] = {}
    for word in words:
        for syllable in dict.fromkeys(word.pinyin):
            holders.setdefault(syllable, []).append(word)
    return {syllable: _Words(holders[syllable]) for syllable in sorted(holders)}


@dataclass(frozen=True)
class _Word:
    text: str
    pinyin: tuple[str, ...]
    frequency: int
    tag: str


class _Words:
    """Words to draw from by their frequency."""

    def __init__(self, words: list[_Word]) -> None:
        self._words = words
        self._bounds = np.cumsum([word.frequency for word in words])

    def draw(self, rng: np.random.Generator) -> _Word:
        return self._words[int(np.searchsorted(self._bounds, rng.integers(self._bounds[-1]), side="right"))]


@lru_cache(maxsize=1)
def _lexicon() -> list[_Word]:
    """The words of jieba's dictionary that are neither rare nor long, in its order."""
    entries = [line.split() for line in _dictionary().read_text(encoding="utf-8").splitlines()]
    words = [
        _Word(text, tuple(_reading(text)), int(frequency), tag)
        for text, frequency, tag in entries
        if int(frequency) >= LEAST_FREQUENCY and is_hanzi(text) and len(text) <= LONGEST_WORD
    ]
    return [word for word in words if word.pinyin and UNSPOKEN.isdisjoint(s[:-1] for s in word.pinyin)]


def _reading(text: str) -> list[str]:
    """The syllables of a word, or none when it has characters that nobody can read."""
    try:
        return from_hanzi(text)
    except DataError:
        return []


def _dictionary() -> Path:
    package = find_spec("jieba")  # jieba itself would take a second to load
    if package is None or package.origin is None:
        raise DeviceError("the mandarin task needs jieba, which is not installed; run: pip install jieba")
    return Path(package.origin).with_name("dict.txt")


TASKS: dict[str, Callable[[np.random.Generator], Draw]] = {
    "digits": _digits,
    "mandarin": _mandarin,
    "everyday": _everyday,
    "numbers": _numbers,
}
