"""The words that syllables may mean: jieba's dictionary read aloud by pypinyin, and words of one's own.

Jieba says twice how common a word is: how often it occurs, and in which share of documents. Both count here.
Building it takes some seconds; it is then kept in the user's cache folder, under a name that changes with the
versions of what it was built from.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import sys
import tokenize
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from dfcnn_ms.decoding.hanzi.readings import Readings, Spelt
from dfcnn_ms.errors import DataError, DeviceError
from dfcnn_ms.files import read_text, replacing
from dfcnn_ms.text.characters import is_hanzi
from dfcnn_ms.text.pinyin import SYLLABLES, parse

T = TypeVar("T")

log = logging.getLogger(__name__)

#: changes whenever what is kept would be built differently
FORMAT = 2
#: syllables without tones, by number
BASES = tuple(sorted({initial + rhyme for initial, rhymes in SYLLABLES.items() for rhyme in rhymes.split()}))
BASE_IDS = {base: number for number, base in enumerate(BASES)}
#: a packed tone has this many bits; 0 is no tone
TONE_BITS = 3
LONGEST_WORD = 16

#: spoken numbers and how often each part occurs, out of 137: jieba's counts are of texts that write digits
NUMBERS = dict(
    zip("零一二三四五六七八九十百千万亿点两", (10, 16, 10, 8, 8, 8, 7, 7, 8, 7, 10, 5, 5, 6, 5, 5, 4), strict=True)
)
#: share of spoken numbers among words
NUMBER_SHARE = 0.02
#: classes of characters that form words of no dictionary: names, and names from abroad
SURNAME, GIVEN, LAST, FOREIGN = "surname", "given", "last", "foreign"
NUMBER, USER = "number", "user"
SPECIAL_CLASSES = (NUMBER, SURNAME, GIVEN, LAST, FOREIGN, USER)
NAME_TAGS, FOREIGN_TAGS = frozenset({"nr", "nrfg"}), frozenset({"nrt"})
SURNAMES, NAME_CHARACTERS = 250, 1500
#: how much the share of documents with a word counts beside its count: a novel repeats the name of its hero
DOCUMENTS_WEIGHT = 0.8
#: added to every count, so that no word of the dictionary is held for impossible
LEAST_COUNT = 1.0
#: of a character that is no word, in the search for the words of a text
UNKNOWN_LOG_SHARE = -30.0
#: what a word gains for each compound it is part of, times the logarithm of the compound's count
PRODUCTIVITY = 3.0
#: what no word is rarer or more common than, on the scale of jieba's counts
RAREST, MOST_COUNT = 1e-9, 1e15
#: characters that the words of a file may take together, each as long as the longest
MOST_CHARACTERS = 2**28
#: where a word of one's own has no count, it is as probable as the commonest verbs
USER_COUNT = 120_000.0
#: what NumPy raises when it opens what is no archive of arrays, or a damaged one
UNREADABLE = (
    *(OSError, ValueError, EOFError, LookupError, AttributeError, TypeError, ArithmeticError, MemoryError),
    *(RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words, their classes, counts and readings.

    Attributes:
        words: (W,) a character occurs again for each class that it may have.
        counts: (W,) how often each occurs.
        classes: (W,) the class of each, a number of `class_names`.
        class_names: tag of jieba and length, such as `v2`, or one of `SPECIAL_CLASSES`.
        entry_words: (E,) which word an entry reads.
        entry_log_shares: (E,) natural logarithm of the share of this reading in the word.
        entry_bases: (E, LONGEST_WORD) syllables without tones, counted from 1; 0 after the end.
        entry_tones: (E,) the tones packed, the first lowest.
    """

    words: np.ndarray
    counts: np.ndarray
    classes: np.ndarray
    class_names: np.ndarray
    entry_words: np.ndarray
    entry_log_shares: np.ndarray
    entry_bases: np.ndarray
    entry_tones: np.ndarray

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The number of each word; that of its ordinary class where it has several."""
        return {word: number for number, word in reversed(list(enumerate(self.words.tolist())))}

    def class_id(self, name: str) -> int:
        """The number of a class."""
        return int(np.flatnonzero(self.class_names == name)[0])

    def with_words(self, added: Iterable[UserWord]) -> Lexicon:
        """The same and words of one's own, which go before those that are read alike."""
        added = list(added)
        if not added:
            return self
        first = len(self.words)
        entries = [(first + index, 0.0, word.reading) for index, word in enumerate(added)]
        words, shares, bases, tones = _entry_arrays(entries)
        return Lexicon(
            words=np.concatenate([self.words, np.array([word.text for word in added])]),
            counts=np.concatenate([self.counts, [word.count for word in added]]),
            classes=np.concatenate([self.classes, np.full(len(added), self.class_id(USER), np.int16)]),
            class_names=self.class_names,
            entry_words=np.concatenate([self.entry_words, words]),
            entry_log_shares=np.concatenate([self.entry_log_shares, shares]),
            entry_bases=np.concatenate([self.entry_bases, bases]),
            entry_tones=np.concatenate([self.entry_tones, tones]),
        )

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Lexicon:
        """What :meth:`arrays` was taken from.

        Raises:
            KeyError, TypeError, ValueError: they are something else.
        """
        words = bytes(arrays["words"]).decode("utf-8").split("\n")
        if len(words) * max(map(len, words)) > MOST_CHARACTERS:
            raise ValueError("words that are too long")
        return cls(**{**arrays, "words": np.array(words)})

    def arrays(self) -> dict[str, np.ndarray]:
        """What is kept of it in a file."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**kept, "words": np.frombuffer("\n".join(self.words.tolist()).encode("utf-8"), np.uint8)}

    @cached_property
    def log_shares(self) -> dict[str, float]:
        """Natural logarithms of how common its words are, to take a text apart."""
        special = np.isin(self.classes, [self.class_id(name) for name in SPECIAL_CLASSES])
        number = self.classes == self.class_id(NUMBER)
        counts = np.where(special, 0.0, self.counts)
        counts += np.where(number, self.counts * NUMBER_SHARE * counts.sum() / sum(NUMBERS.values()), 0.0)
        return log_counts(dict(zip(self.words[counts > 0].tolist(), counts[counts > 0].tolist(), strict=True)))


@dataclass(frozen=True)
class UserWord:
    """A word of one's own.

    Attributes:
        text: its characters, or anything else that is to be written.
        reading: one toned syllable for each character.
        count: how often it occurs, on the scale of jieba's dictionary, where all words together have 60 million.
    """

    text: str
    reading: tuple[str, ...]
    count: float = USER_COUNT


def read_user_words(path: Path) -> list[UserWord]:
    """Words of a file of lines `word<TAB>pinyin[<TAB>count]`; empty lines and those that begin with # say nothing.

    Raises:
        DataError: a line that is something else, with its number.
    """
    lines = read_text(path).splitlines()
    places = ((f"{path}:{number}", line) for number, line in enumerate(lines, start=1))
    return [_user_word(line, where) for where, line in places if line.strip() and not line.startswith("#")]


def build_lexicon(dictionary: Iterable[tuple[str, float, str]], readings: Callable[[str], Spelt]) -> Lexicon:
    """A lexicon of words with counts and tags.

    Args:
        dictionary: word, count and tag; words that cannot be read are left out.
        readings: from a word to its readings with natural logarithms of their shares, see :class:`Readings`.
    """
    known = {word: (count, tag) for word, count, tag in dictionary if len(word) <= LONGEST_WORD}
    spelt = {word: found for word in known if (found := readings(word))}
    bonus = _productivity(_compounds({word: known[word] for word in spelt}))
    rows = [
        _Row(word, _class_of(word, known[word][1]), LEAST_COUNT + known[word][0] + bonus.get(word, 0.0), found)
        for word, found in spelt.items()
    ]
    rows = [row if row.kind != NUMBER else _Row(row.word, NUMBER, NUMBERS[row.word], row.spelt) for row in rows]
    return _lexicon(rows + _parts_of_names({word: known[word] for word in spelt}, spelt))


def build_default() -> Lexicon:
    """Jieba's dictionary with the readings of pypinyin; takes some seconds."""
    log.info("reading jieba's dictionary aloud, once; this takes some seconds")
    words = list(_jieba_words())
    return build_lexicon(words, Readings.of_pypinyin({word: count for word, count, _ in words}))


def blended(counts: Mapping[str, float], documents: Mapping[str, float]) -> dict[str, float]:
    """How common words are by their counts and by documents: the weighted geometric mean, with the sum of the counts.

    Args:
        counts: how often each word occurs.
        documents: the share of documents with a word; those without a share are as rare as the rarest.
    """
    rarest, weight = min(documents.values()), DOCUMENTS_WEIGHT
    means = {word: count ** (1 - weight) * documents.get(word, rarest) ** weight for word, count in counts.items()}
    scale = sum(counts.values()) / sum(means.values())
    return {word: scale * mean for word, mean in means.items()}


def log_counts(counts: Mapping[str, float]) -> dict[str, float]:
    """Natural logarithms of the shares that words have in their sum."""
    whole = math.log(sum(counts.values()) or 1.0)
    return {word: math.log(count) - whole for word, count in counts.items() if count > 0}


def segment(text: str, log_shares: Mapping[str, float], whole: bool = True) -> list[str]:
    """The most probable words of a text by their counts alone; a character that no word covers stands alone.

    Args:
        text: characters.
        log_shares: of :func:`log_counts`.
        whole: the text itself may be the one word.
    """
    size = len(text)
    best, back = [0.0] + [-math.inf] * size, [0] * (size + 1)
    for end in range(1, size + 1):
        for begin in range(max(0, end - LONGEST_WORD), end):
            if end - begin == size > 1 and not whole:
                continue
            log_share = log_shares.get(text[begin:end], UNKNOWN_LOG_SHARE if end - begin == 1 else -math.inf)
            if best[begin] + log_share > best[end]:
                best[end], back[end] = best[begin] + log_share, begin
    words = []
    while size:
        words.append(text[back[size] : size])
        size = back[size]
    return words[::-1]


def cache_folder() -> Path:
    """Where this user's caches belong."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "dfcnn_ms"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dfcnn_ms"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dfcnn_ms"


def cached(path: Path, load: Callable[[Path], T], build: Callable[[], T], save: Callable[[T, Path], None]) -> T:
    """What `path` keeps, or what `build` returns; that is kept, if it can be. A damaged file is made anew."""
    if path.is_file():
        try:
            return load(path)
        except DataError:
            log.info("%s is damaged and is built again", path)
    built = build()
    try:
        save(built, path)
    except DataError as error:
        log.info("not kept for next time: %s", error)
    return built


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Named arrays of a file.

    Raises:
        DataError: it is missing, damaged or something else.
    """
    try:
        with path.open("rb") as file:
            return arrays_in(file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UNREADABLE:
        raise DataError(f"{path}: not a file of python -m dfcnn_ms.hanzi train, or damaged; make it again") from None


def arrays_in(file: BinaryIO) -> dict[str, np.ndarray]:
    """Named arrays; what else is there raises one of `UNREADABLE`."""
    with np.load(file, allow_pickle=False) as stored:
        if any(part.compress_type != zipfile.ZIP_STORED for part in stored.zip.infolist()):
            raise ValueError("save_arrays compresses nothing; a small file could hold more than the memory")
        arrays = {name: stored[name] for name in stored.files}
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError("parts that are no arrays are handed on as they are")
    return arrays


def packed_tones(tones: Iterable[int]) -> int:
    """Tones in one number, the first lowest."""
    return sum(tone << (TONE_BITS * place) for place, tone in enumerate(tones))


@dataclass(frozen=True)
class _Row:
    """A word in one of its classes."""

    word: str
    kind: str
    count: float
    spelt: Spelt


def _jieba_words() -> Iterator[tuple[str, float, str]]:
    """Word, count and tag, of all words in Chinese characters."""
    found = find_spec("jieba")
    if found is None or found.origin is None:
        raise DeviceError("jieba is not installed; run: pip install jieba")
    folder = Path(found.origin).parent
    words = [line.split() for line in read_text(folder / "dict.txt").splitlines()]
    words = [row for row in words if is_hanzi(row[0])]
    idfs = [line.split() for line in read_text(folder / "analyse" / "idf.txt").splitlines()]
    documents = {word: math.exp(-float(idf)) for word, idf in idfs}
    counts = blended({word: float(count) for word, count, *_ in words}, documents)
    return ((word, counts[word], tag[0] if tag else "x") for word, _, *tag in words)


def _class_of(word: str, tag: str) -> str:
    return NUMBER if word in NUMBERS else f"{tag}{min(len(word), 3)}"


def _compounds(words: Mapping[str, tuple[float, str]]) -> list[tuple[list[str], float]]:
    """Long words taken apart into other words, with the logarithms of their counts; names are no compounds."""
    log_shares = log_counts({word: LEAST_COUNT + count for word, (count, _) in words.items()})
    return [
        (segment(word, log_shares, whole=False), math.log1p(count))
        for word, (count, tag) in words.items()
        if len(word) > 2 and tag not in NAME_TAGS | FOREIGN_TAGS
    ]


def _productivity(compounds: Iterable[tuple[list[str], float]]) -> dict[str, float]:
    """What words gain by the compounds that they are part of: jieba counted 成交 and 成交价 apart."""
    gain: dict[str, float] = defaultdict(float)
    for parts, weight in compounds:
        for part in parts:
            if len(part) > 1:
                gain[part] += PRODUCTIVITY * weight
    return gain


def _parts_of_names(words: Mapping[str, tuple[float, str]], spelt: Mapping[str, Spelt]) -> list[_Row]:
    """Characters as parts of names, so that a name in no dictionary is not taken for a row of other words."""
    names = [
        (word, math.log1p(count)) for word, (count, tag) in words.items() if tag in NAME_TAGS and len(word) in (2, 3)
    ]
    parts: dict[str, Counter[str]] = {kind: Counter() for kind in (SURNAME, GIVEN, LAST, FOREIGN)}
    for word, weight in names:
        parts[SURNAME][word[0]] += weight  # type: ignore[assignment]
    parts[SURNAME] = Counter(dict(parts[SURNAME].most_common(SURNAMES)))
    for word, weight in names:
        for kind, character in zip((GIVEN, LAST), word[1:], strict=False):
            parts[kind][character] += weight * (word[0] in parts[SURNAME])  # type: ignore[assignment]
    for word, (count, tag) in words.items():
        for character in word if tag in FOREIGN_TAGS else "":
            parts[FOREIGN][character] += math.log1p(count)  # type: ignore[assignment]
    return [
        _Row(character, kind, weight, spelt[character])
        for kind, counter in parts.items()
        for character, weight in counter.most_common(NAME_CHARACTERS)
        if character in spelt and weight > 0
    ]


def _lexicon(rows: Sequence[_Row]) -> Lexicon:
    names = [*sorted({row.kind for row in rows} - set(SPECIAL_CLASSES)), *SPECIAL_CLASSES]
    numbers = {name: number for number, name in enumerate(names)}
    entries = [(word, share, reading) for word, row in enumerate(rows) for share, reading in row.spelt]
    words, shares, bases, tones = _entry_arrays(entries)
    return Lexicon(
        words=np.array([row.word for row in rows]),
        counts=np.array([row.count for row in rows], np.float64),
        classes=np.array([numbers[row.kind] for row in rows], np.int16),
        class_names=np.array(names),
        entry_words=words,
        entry_log_shares=shares,
        entry_bases=bases,
        entry_tones=tones,
    )


def _entry_arrays(entries: Sequence[tuple[int, float, tuple[str, ...]]]) -> tuple[np.ndarray, ...]:
    bases = np.zeros((len(entries), LONGEST_WORD), np.uint16)
    for row, (_, _, reading) in enumerate(entries):
        bases[row, : len(reading)] = [BASE_IDS[syllable[:-1]] + 1 for syllable in reading]
    tones = [packed_tones(int(syllable[-1]) for syllable in reading) for _, _, reading in entries]
    return (
        np.array([word for word, _, _ in entries], np.int32),
        np.array([share for _, share, _ in entries], np.float32),
        bases,
        np.array(tones, np.int64),
    )


def _user_word(line: str, where: str) -> UserWord:
    word, pinyin, *more = [field.strip() for field in line.split("\t")] + ([""] if "\t" not in line else [])
    if not word or not pinyin or len(more) > 1:
        raise DataError(f"{where}: wanted word, pinyin and perhaps a count, with tabs between them; got {line[:60]!r}")
    reading = tuple(parse(pinyin, where=where))
    if not 1 <= len(reading) <= LONGEST_WORD or len(reading) != len(word):
        raise DataError(f"{where}: {word!r} has {len(word)} characters, {pinyin!r} {len(reading)} syllables")
    return UserWord(word, reading, _count(more[0], where) if more and more[0] else USER_COUNT)


def _count(text: str, where: str) -> float:
    try:
        count = float(text)
    except ValueError:
        count = math.nan
    if not RAREST <= count <= MOST_COUNT:
        raise DataError(f"{where}: a count is a number from {RAREST:g} to {MOST_COUNT:g}; got {text[:40]!r}")
    return count
