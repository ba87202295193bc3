"""Tone sandhi: how the tones of a dictionary change where words meet.

一 is said with tone 4 before tones 1, 2 and 3, and with tone 2 before tone 4; 不 with tone 2 before tone 4. Of two
third tones in a row the first becomes a second. The first two are regular and the labels of corpora often have them;
the last depends on how fast and in what groups somebody speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: what can be written: nothing beyond the dictionary, that of 一 and 不, or third tones too
KINDS = ("none", "yi_bu", "full")

# As a figure, 一 keeps its tone: 第一 十一 二〇一一; before 百 千 万 亿 it is a number of them and changes.
_COUNTED = frozenset("第初零〇一二三四五六七八九十百千万亿点")
_FIGURES = frozenset("零〇一二三四五六七八九点")
# Words that end in 一 as a meaning of its own; longer words have them inside: 统一战线.
_ONE = frozenset(["统一", "唯一", "单一", "专一", "万一", "之一", "划一", "合一", "归一", "逐一"])

Word = tuple[str, list[str]]


def apply(words: Sequence[Word], kind: str, is_word: Callable[[str], bool]) -> list[str]:
    """The syllables of words that are spoken together, with sandhi.

    Args:
        words: characters and their readings, a syllable for each character.
        kind: one of `KINDS`.
        is_word: whether a dictionary has some characters as a word; tells 小|老虎 from 展览|馆.
    """
    characters = "".join(word for word, _ in words)
    syllables = [syllable for _, reading in words for syllable in reading]
    if kind == "none":
        return syllables
    ends = _ends(words)
    said = [_said(characters, syllables, here, ends) for here in range(len(characters))]
    return _third_tones(words, said, is_word) if kind == "full" else said


def _ends(words: Sequence[Word]) -> frozenset[int]:
    """Where words of several characters end: the 一 of 统一 or 万一 keeps its tone."""
    ends, position = [], 0
    for word, _ in words:
        position += len(word)
        ends += [position - 1] if len(word) > 1 else []
    return frozenset(ends)


def _said(characters: str, syllables: Sequence[str], here: int, ends: frozenset[int]) -> str:
    syllable, character = syllables[here], characters[here]
    if character not in "一不" or syllable[-1] == "5":
        return syllable
    before, after = characters[here - 1 : here], characters[here + 1 : here + 2]
    falling = after == "个" or (after and syllables[here + 1][-1] == "4")
    if character == "不":
        return "bu2" if falling else "bu4"
    if not after or before in _COUNTED or after in _FIGURES or here in ends or before + character in _ONE:
        return "yi1"
    if before == after:  # 看一看
        return "yi5"
    return "yi2" if falling else "yi4"


def _third_tones(words: Sequence[Word], said: list[str], is_word: Callable[[str], bool]) -> list[str]:
    """Inside the words first, then between them, from the end: 我|很好 is wo3 hen2 hao3."""
    said, stop = list(said), len(said)
    for word, _ in reversed(words):
        start = stop - len(word)
        for group in _groups(word, is_word):
            _join(said, start + group.start, start + group.stop)
        _join(said, start, stop)
        if stop < len(said):
            _join(said, stop - 1, stop + 1)
        stop = start
    return said


def _groups(word: str, is_word: Callable[[str], bool]) -> list[range]:
    """The halves of a longer word, each spoken together: 展览|馆, 小|老虎, two and two."""
    if len(word) < 3:
        return []
    if len(word) == 3:
        first = is_word(word[:2]) or not is_word(word[1:])
        return [range(0, 2)] if first else [range(1, 3)]
    return [range(at, min(at + 2, len(word))) for at in range(0, len(word), 2)]


def _join(said: list[str], start: int, stop: int) -> None:
    """Of two third tones the first becomes a second, pair by pair from the end."""
    for here in range(stop - 2, start - 1, -1):
        if said[here][-1] == "3" and said[here + 1][-1] == "3":
            said[here] = f"{said[here][:-1]}2"
