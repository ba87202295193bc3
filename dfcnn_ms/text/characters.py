"""What a Chinese character is, for the whole package.

All of Unicode's unified ideographs, with their extensions up to J; the compatibility ideographs, which are the same
characters once more for the sake of old encodings; and the zero of 二〇二四. No punctuation, kana, strokes or radicals.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

# As in Unicode's stream-safe format: no language puts more marks on one letter, and their order costs their square.
_MOST_MARKS = 30
_GRAPHEME_JOINER = "\u034f"

_HANZI = re.compile(
    "["
    "\u3007"  # the zero, which Unicode counts among the symbols
    "\u3400-\u4dbf"  # extension A
    "\u4e00-\u9fff"  # unified ideographs
    "\uf900-\ufaff"  # compatibility ideographs
    "\U00020000-\U0003347f"  # extensions B to J and the other compatibility ideographs; nothing else stands there
    "]+"
)


def normalized(form: Literal["NFKC", "NFD"], text: str) -> str:
    """`unicodedata.normalize`, in a time that grows with the length of the text whatever marks are on its letters."""
    return unicodedata.normalize(form, text if len(text) <= 1000 else _stream_safe(text))


def _stream_safe(text: str) -> str:
    """The same text with a joiner, which nobody sees, after each thirty marks on one letter."""
    safe, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if marks > _MOST_MARKS:
            safe.append(_GRAPHEME_JOINER)
            marks = 1
        safe.append(character)
    return "".join(safe)


def is_hanzi(text: str) -> bool:
    """Whether a text is one Chinese character or more, and nothing else.

    >>> [is_hanzi(text) for text in ("一", "二〇二四", "𠮷", "你好!", "ni3", "々", "")]
    [True, True, True, False, False, False, False]
    """
    return _HANZI.fullmatch(text) is not None


def has_hanzi(text: str) -> bool:
    """Whether a text has Chinese characters in it, and so is not pinyin."""
    return _HANZI.search(text) is not None


def hanzi_runs(text: str) -> list[str]:
    """The Chinese characters of a text, parted where something else stands between them.

    >>> hanzi_runs("你好, 3 号!")
    ['你好', '号']
    """
    return _HANZI.findall(text)
