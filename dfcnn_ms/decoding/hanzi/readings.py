"""How words are read, with probabilities: the phrases of pypinyin first, then character by character.

A polyphone is read differently from word to word (长大 zhang3 da4, 长江 chang2 jiang1), and the makers of corpora
follow other dictionaries than ours. So a word has several readings here, each with the share that it deserves.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from dfcnn_ms.text.pinyin import SyllableError, canonical

LONGEST_PHRASE = 8
#: readings of a word that are kept, and how much less probable than certain the last of them may be
MOST_READINGS, LEAST_LOG_SHARE = 4, -5.0
#: of the first reading of a phrase, where pypinyin gives several
FIRST_SHARE = 0.9
#: what pypinyin's order of readings counts in a word of one character, and the phrases that this stands in, in all
FIRST, LATER, PHRASES = 1.0, 0.01, 0.3
#: particles, whose reading pypinyin has second; the makers of corpora write it in words too (各地 as ge4 de5)
PARTICLES = {"地": "de5", "得": "de5"}
PARTICLE_IN_WORD_SHARE = 0.1

Reading = tuple[str, ...]
#: readings with natural logarithms of their shares, the most probable first
Spelt = list[tuple[float, Reading]]


@dataclass(frozen=True)
class Readings:
    """The readings of any word that consists of Chinese characters.

    Attributes:
        phrases: words whose readings are known as wholes; per character, the first reading first.
        characters: the readings of each character, the first in pypinyin's order first.
        shares: how often each reading of a character occurs in the phrases.
    """

    phrases: Mapping[str, list[list[str]]]
    characters: Mapping[str, list[str]]
    shares: Mapping[str, Mapping[str, float]]

    @classmethod
    def of_pypinyin(cls, counts: Mapping[str, float]) -> Readings:
        """The dictionaries of pypinyin.

        Args:
            counts: how often words occur; a reading in a frequent word counts for more.
        """
        from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

        phrases = {word: spelt for word, marks in PHRASES_DICT.items() if (spelt := _spelt(word, marks))}
        characters = {chr(code): _canonical(marks.split(",")) for code, marks in PINYIN_DICT.items()}
        return cls(phrases, characters, _shares(phrases, counts))

    def __call__(self, word: str) -> Spelt:
        """The readings of a word; none for what cannot be read."""
        if len(word) == 1:
            return self._alone(word)
        if word in self.phrases:
            return _with_particle(word, _of_phrase(self.phrases[word]))
        pieces = [self._piece(piece) for piece in self._pieces(word)]
        return _with_particle(word, _combined(pieces)) if all(pieces) else []

    def _alone(self, character: str) -> Spelt:
        weights = self._weights(character, PHRASES)
        if character in PARTICLES:
            weights[PARTICLES[character]] = FIRST
        return _log_shares({(syllable,): weight for syllable, weight in weights.items()}, -math.inf)

    def _weights(self, character: str, phrases: float) -> dict[str, float]:
        """How probable each reading of a character is; `phrases` is what its use in phrases counts in all."""
        used = self.shares.get(character, {})
        scale = phrases / sum(used.values()) if used else 0.0
        weights = {syllable: share * scale for syllable, share in used.items()}
        for rank, syllable in enumerate(self.characters.get(character, [])):
            weights[syllable] = weights.get(syllable, 0.0) + (LATER if rank else FIRST)
        return weights

    def _pieces(self, word: str) -> Iterable[str]:
        """The longest phrases in a word from left to right, and single characters between them."""
        begin = 0
        while begin < len(word):
            lengths = range(min(len(word) - begin, LONGEST_PHRASE), 1, -1)
            length = next((n for n in lengths if word[begin : begin + n] in self.phrases), 1)
            yield word[begin : begin + length]
            begin += length

    @cached_property
    def _seen(self) -> dict[str, Spelt]:
        """Pieces of words that were read already; few characters make up all words."""
        return {}

    def _piece(self, piece: str) -> Spelt:
        if piece not in self._seen:
            self._seen[piece] = self._read(piece)
        return self._seen[piece]

    def _read(self, piece: str) -> Spelt:
        if len(piece) > 1:
            return [(0.0, tuple(options[0] for options in self.phrases[piece]))]
        used = sum(self.shares.get(piece, {}).values())
        weights = self._weights(piece, max(used, FIRST) / FIRST)
        return _log_shares({(syllable,): weight for syllable, weight in weights.items()})


def _canonical(spelt: Iterable[str]) -> list[str]:
    found = []
    for syllable in spelt:
        try:
            found.append(canonical(syllable))
        except SyllableError:
            continue  # dialect and interjections that no network is trained on
    return list(dict.fromkeys(found))


def _spelt(word: str, marks: list[list[str]]) -> list[list[str]]:
    """The readings of a phrase per character; none if they are not one syllable for each."""
    syllables = [_canonical(options) for options in marks]
    return syllables if len(syllables) == len(word) and all(syllables) else []


def _shares(phrases: Mapping[str, list[list[str]]], counts: Mapping[str, float]) -> Mapping[str, Mapping[str, float]]:
    shares: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for word, syllables in phrases.items():
        weight = math.log(2 + counts.get(word, 1))
        for character, options in zip(word, syllables, strict=True):
            shares[character][options[0]] += weight
    return shares


def _of_phrase(options: list[list[str]]) -> Spelt:
    found = list(itertools.islice(itertools.product(*options), MOST_READINGS))
    rest = (1 - FIRST_SHARE) / max(len(found) - 1, 1)
    shares = [FIRST_SHARE if len(found) > 1 else 1.0] + [rest] * (len(found) - 1)
    return [(math.log(share), reading) for share, reading in zip(shares, found, strict=True)]


def _with_particle(word: str, found: Spelt) -> Spelt:
    """The readings of a word, and the first of them with the character of a particle read like the particle."""
    place = next((place for place, character in enumerate(word) if character in PARTICLES), None)
    if place is None or not found:
        return found
    first = found[0][1]
    other = (*first[:place], PARTICLES[word[place]], *first[place + 1 :])
    if other in (reading for _, reading in found):
        return found
    less = math.log(1 - PARTICLE_IN_WORD_SHARE)
    changed = [(log_share + less, reading) for log_share, reading in found]
    return sorted([*changed, (math.log(PARTICLE_IN_WORD_SHARE), other)], reverse=True)


def _log_shares(weights: Mapping[Reading, float], least: float = LEAST_LOG_SHARE) -> Spelt:
    whole = sum(weights.values())
    found = sorted(((math.log(weight / whole), reading) for reading, weight in weights.items()), reverse=True)
    return [option for option in found[:MOST_READINGS] if option[0] > least]


def _combined(pieces: list[Spelt]) -> Spelt:
    found = [
        (sum(log_share for log_share, _ in chosen), tuple(s for _, reading in chosen for s in reading))
        for chosen in itertools.islice(itertools.product(*pieces), MOST_READINGS**2)
    ]
    return [option for option in sorted(found, reverse=True)[:MOST_READINGS] if option[0] > LEAST_LOG_SHARE]
