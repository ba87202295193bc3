"""Sentences of tokens as one array of ids, the form that is counted and scored."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.errors import DataError

UNK, BOS, EOS = "<unk>", "<s>", "</s>"
SPECIALS = (UNK, BOS, EOS)
#: ids of the specials in every model
UNK_ID, BOS_ID, EOS_ID = range(3)


@dataclass(frozen=True)
class Text:
    """Sentences one after the other, each between `<s>` and `</s>`.

    Attributes:
        words: what each id stands for; the specials come first.
        ids: all sentences with their boundaries (N,), int32.
    """

    words: tuple[str, ...]
    ids: np.ndarray

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> Text:
        """Numbers the words in the order in which they are met.

        >>> Text.of([["ni3", "hao3"], ["hao3"]]).ids.tolist()
        [1, 3, 4, 2, 1, 4, 2]

        Raises:
            DataError: a token is empty, holds a blank, or is one of the specials.
        """
        numbers = _Numbering()
        ids = _flatten(sentences, numbers)
        return cls((*SPECIALS, *numbers), ids)


class _Numbering(dict[str, int]):
    """A dictionary that numbers what it is asked for, after the specials."""

    def __missing__(self, word: str) -> int:
        if word in SPECIALS or not word or word.split() != [word]:
            kind = "belongs to every language model" if word in SPECIALS else "is not text without blanks"
            raise DataError(f"the token {word!r} {kind}; leave it out of the text")
        self[word] = len(SPECIALS) + len(self)
        return self[word]


class _Known(dict[str, int]):
    """A dictionary that takes what it does not hold for `<unk>`."""

    def __missing__(self, word: str) -> int:
        return UNK_ID


def known_ids(words: Sequence[str]) -> dict[str, int]:
    """Word -> id; every other word is `<unk>`, and so are the specials, which nobody says."""
    return _Known((word, id) for id, word in enumerate(words) if word not in SPECIALS)


def encode(sentences: Iterable[Sequence[str]], ids: Mapping[str, int]) -> np.ndarray:
    """Sentences as ids of a model (N,), each between its boundaries."""
    return _flatten(sentences, ids)


def _flatten(sentences: Iterable[Sequence[str]], ids: Mapping[str, int]) -> np.ndarray:
    flat = array("i")
    for sentence in sentences:
        if isinstance(sentence, str):
            raise TypeError(f"a sentence is a sequence of tokens; got the text {sentence!r}")
        flat.append(BOS_ID)
        flat.extend(map(ids.__getitem__, sentence))
        flat.append(EOS_ID)
    return np.frombuffer(flat, np.int32) if flat else np.zeros(0, np.int32)
