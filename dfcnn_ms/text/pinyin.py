"""Toned pinyin in one canonical form, whatever habit a corpus has.

A canonical syllable is lower-case letters, `v` for ü, and a tone digit 1-5, where 5 is the neutral tone:
`lv4 nv3 er2 de5 xiang1`. After j, q, x and y the letter is `u`, as in print (`ju4`, `yue4`); after l and n
the rhyme üe is `ve` (`lve4`, `nve4`).

Every legal syllable may carry every tone: a dictionary has no `bang2`, but tone sandhi does.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache

from dfcnn_ms.errors import ConfigError, DataError, suggestion
from dfcnn_ms.text import sandhi as tones
from dfcnn_ms.text.characters import normalized
from dfcnn_ms.text.quoting import quoted

DIGITS = ("ling2", "yi1", "er4", "san1", "si4", "wu3", "liu4", "qi1", "ba1", "jiu3")

# Initial: the rhymes that follow it, as they are spelt. Rare ones (fiao, eng, ng) occur in running speech.
SYLLABLES = {
    "": "a ai an ang ao e ei en eng er m n ng o ou",
    "b": "a ai an ang ao ei en eng i ian iang iao ie in ing o ong u",
    "p": "a ai an ang ao ei en eng i ian iao ie in ing o ou u",
    "m": "a ai an ang ao e ei en eng i ian iao ie in ing iu o ou u",
    "f": "a an ang ei en eng iao o ou u",
    "d": "a ai an ang ao e ei en eng i ia ian iao ie in ing iu ong ou u uan ui un uo",
    "t": "a ai an ang ao e ei eng i ian iao ie ing ong ou u uan ui un uo",
    "n": "a ai an ang ao e ei en eng i ia ian iang iao ie in ing iu ong ou u uan un uo v ve",
    "l": "a ai an ang ao e ei en eng i ia ian iang iao ie in ing iu o ong ou u uan un uo v ve",
    "g": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "k": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "h": "a ai an ang ao e ei en eng m ng ong ou u ua uai uan uang ui un uo",
    "j": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "q": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "x": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "zh": "a ai an ang ao e ei en eng i ong ou u ua uai uan uang ui un uo",
    "ch": "a ai an ang ao e en eng i ong ou u ua uai uan uang ui un uo",
    "sh": "a ai an ang ao e ei en eng i ou u ua uai uan uang ui un uo",
    "r": "an ang ao e en eng i ong ou u ua uan ui un uo",
    "z": "a ai an ang ao e ei en eng i ong ou u uan ui un uo",
    "c": "a ai an ang ao e ei en eng i ong ou u uan ui un uo",
    "s": "a ai an ang ao e en eng i ong ou u uan ui un uo",
    "y": "a an ang ao e i in ing o ong ou u uan ue un",
    "w": "a ai an ang ei en eng o ong u",
}
_PARTS = {initial + rhyme: (initial, rhyme) for initial, rhymes in SYLLABLES.items() for rhyme in rhymes.split()}
_LONGEST = max(map(len, _PARTS))

# Combining marks over a vowel; some keyboards write a breve where the caron of tone 3 belongs.
_MARKS = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0306": "3", "\u0300": "4"}
_MARK = re.compile(f"[{''.join(_MARKS)}]")
_LETTERS = {"u:": "v", "u\u0308": "v", "\u00ea": "ei", "e\u0302": "ei", "\u0251": "a", "\u0261": "g"}
_PUNCTUATION = re.compile(r"[^\w\s\u0300-\u036f]|_")
_PIECE = re.compile(r"[^\s\d]+\d?|\d")
_ERHUA = re.compile(r"(\D+)r(\d?)")

# Punctuation that is read aloud and therefore must not vanish from a label.
_SPOKEN = "%‰&@#"
# What stands before 儿 where it means a child and keeps its full tone: 女儿 婴儿 新生儿 混血儿.
_CHILD = frozenset("女婴幼少小胎孤弃宠健男患生产妻孙侄妇聋哑育乳乞潮运形血能浪")
# Readings of words of one character; the dictionary of phrases cannot know that they stand alone.
_ALONE = {"的": "de5", "地": "de5", "得": "de5", "都": "dou1", "长": "chang2", "为": "wei2", "了": "le5", "着": "zhe5"}
_ALONE |= {"还": "hai2", "没": "mei2", "似": "si4", "尽": "jin4", "颇": "po1", "佛": "fo2", "嚼": "jiao2"}


class SyllableError(DataError, ValueError):
    """A text that is not a pinyin syllable."""


@lru_cache(maxsize=10_000)
def canonical(syllable: str) -> str:
    """One syllable in any habit of writing, made canonical; without a tone it is neutral.

    >>> [canonical(written) for written in ("LV4", "lu:4", "lǜ", "jv4", "lüe4", "hǎo", "de", "de0", "r5")]
    ['lv4', 'lv4', 'lv4', 'ju4', 'lve4', 'hao3', 'de5', 'de5', 'er5']

    Raises:
        SyllableError: not one legal syllable; an erhua form (`wanr2`) is two, see :func:`parse`.
    """
    spelt = normalized("NFD", normalized("NFKC", syllable).strip().lower())
    tones = [_MARKS[mark] for mark in _MARK.findall(spelt)]
    letters, digit = _letters_and_digit(_MARK.sub("", spelt))
    tones += [digit] if digit else []
    base = _respell(letters)
    if base not in _PARTS or len(tones) > 1:
        raise SyllableError(_complaint(syllable, base))
    return base + (tones[0] if tones and tones[0] != "0" else "5")


def parse(text: str, *, where: str = "") -> list[str]:
    """A line of pinyin as canonical syllables.

    Syllables stand between blanks or punctuation, or end with their tone digit (`ni3hao3`). Erhua is a
    syllable of its own, `er5`, however it was written: `hua1r`, `huar1`, `hua1 r5`, `hua1 er5`.

    >>> parse("Nǐ hǎo, nv3'er2 wanr2!")
    ['ni3', 'hao3', 'nv3', 'er2', 'wan2', 'er5']

    Args:
        text: the line; an empty one has no syllables.
        where: where the line was read, such as `train.txt:12`; begins the message of an error.

    Raises:
        SyllableError: something on the line is not pinyin.
    """
    spelt = normalized("NFKC", text).lower().replace("u:", "ü")
    pieces = _PIECE.findall(_PUNCTUATION.sub(" ", spelt))
    try:
        return [syllable for piece in pieces for syllable in _with_erhua(piece)]
    except SyllableError as error:
        raise SyllableError(f"{where}: {error}" if where else str(error)) from None


def from_hanzi(text: str, *, where: str = "", sandhi: str = "none") -> list[str]:
    """The reading of Chinese characters, in the tones of the dictionary.

    Polyphones are read by the phrase they stand in. Digits are read one by one and a point between
    digits as 点; other punctuation and blanks are dropped. 儿 that ends a word is the suffix `er5`
    unless it means a child (女儿 `nv3 er2`).

    >>> from_hanzi("重庆银行，花儿长大了")
    ['chong2', 'qing4', 'yin2', 'hang2', 'hua1', 'er5', 'zhang3', 'da4', 'le5']
    >>> from_hanzi("一起买雨伞，不要", sandhi="full")
    ['yi4', 'qi2', 'mai3', 'yu2', 'san3', 'bu2', 'yao4']

    Args:
        text: the characters.
        where: where they were read, such as `train.txt:12`; begins the message of an error.
        sandhi: `none` has that of 一 and 不 only where the dictionary of phrases has it (一个 `yi2 ge4`);
            `yi_bu` has it everywhere; `full` has that of third tones too.

    Raises:
        DataError: some characters have no reading, Latin letters among them; the message names them.
        ConfigError: there is no such sandhi.
    """
    if sandhi not in tones.KINDS:
        raise ConfigError(f"sandhi cannot be {sandhi!r}; {suggestion(sandhi, tones.KINDS)}")
    plain = re.sub(r"\s", "", normalized("NFKC", text))
    plain = re.sub(r"(?<=[0-9])\.(?=[0-9])", "点", plain)
    unreadable = "".join(dict.fromkeys(character for character in plain if not _readable(character)))
    if unreadable:
        place = f"{where}: " if where else ""
        raise DataError(
            f"{place}no Mandarin reading for {quoted(unreadable)} in {quoted(text)}; write it in characters"
        )
    runs = re.findall(r"[0-9]|[^0-9\s]+", "".join(" " if _silent(c) else c for c in plain))
    return [syllable for run in runs for syllable in _read(run, sandhi)]


def split(syllable: str) -> tuple[str, str, int]:
    """Initial, final and tone of a syllable as they sound, to tell what kind of error was made.

    The final is written in full: `liu2` and `you2` share `iou`, `ju1` and `yu1` share `v`. A syllable
    that begins with a vowel has the initial "".

    >>> [split(written) for written in ("zhuang4", "gui3", "you2", "jue2", "an1")]
    [('zh', 'uang', 4), ('g', 'uei', 3), ('', 'iou', 2), ('j', 've', 2), ('', 'an', 1)]
    """
    whole = canonical(syllable)
    initial, rhyme = _PARTS[whole[:-1]]
    return initial.strip("yw"), _sounded(initial, rhyme), int(whole[-1])


def _letters_and_digit(spelt: str) -> tuple[str, str]:
    for habit, letter in _LETTERS.items():
        spelt = spelt.replace(habit, letter)
    return (spelt[:-1], spelt[-1]) if spelt[-1:] in set("012345") else (spelt, "")


def _respell(letters: str) -> str:
    """Spells ü as print does: `jv` is ju, `lue` is lve."""
    if letters == "r":
        return "er"
    letters = re.sub(r"^([jqxy])v", r"\1u", letters)
    return re.sub(r"^([ln])ue$", r"\1ve", letters)


def _complaint(syllable: str, base: str) -> str:
    if base in _PARTS:
        return f"{quoted(syllable)} has two tones; write either a tone mark or a digit"
    return f"{quoted(syllable)} is not a pinyin syllable; {_hint(base)}"


def _hint(base: str) -> str:
    if len(base) > 2 * _LONGEST:
        return "put blanks between syllables"
    if any(base[:cut] in _PARTS and base[cut:] in _PARTS for cut in range(1, len(base))):
        return "if it is several, put blanks between them"
    nearest = difflib.get_close_matches(base, _PARTS, n=1)
    if nearest and base.isalpha():
        return f"did you mean {nearest[0]!r}?"
    return "write letters and a tone 1-5, such as 'lv4'"


def _with_erhua(piece: str) -> list[str]:
    try:
        return [canonical(piece)]
    except SyllableError:
        match = _ERHUA.fullmatch(piece)
        with contextlib.suppress(SyllableError):
            if match:
                # `nver3` is nv with a whole er: no word has erhua after the rhyme ve.
                return [re.sub(r"^([nl]v)e", r"\1", canonical("".join(match.groups()))), "er5"]
        raise


def _sounded(initial: str, rhyme: str) -> str:
    if initial in ("j", "q", "x", "y") and rhyme.startswith("u"):
        return "v" + rhyme[1:]
    if initial == "y":
        rhyme = rhyme if rhyme.startswith("i") else "i" + rhyme
    if initial == "w":
        rhyme = rhyme if rhyme.startswith("u") else "u" + rhyme
    return {"iu": "iou", "ui": "uei", "un": "uen"}.get(rhyme, rhyme)


def _silent(character: str) -> bool:
    return unicodedata.category(character).startswith("P") and character not in _SPOKEN


def _readable(character: str) -> bool:
    from pypinyin.constants import PINYIN_DICT

    return character in "0123456789" or ord(character) in PINYIN_DICT or _silent(character)


def _read(run: str, sandhi: str) -> list[str]:
    """The reading of one digit, or of characters with nothing between them."""
    if run.isascii():
        return [DIGITS[int(run)]]
    return tones.apply(_words(run), sandhi, _is_word)


def _words(run: str) -> list[tuple[str, list[str]]]:
    """The words of some characters, each with its reading."""
    from pypinyin.constants import PHRASES_DICT

    reading, start = _look_up(run), 0
    words = []
    for word in _segmenter()(run):
        known = len(word) > 1 and word in PHRASES_DICT
        here = list(_phrase(word)) if known else reading[start : start + len(word)]
        words.append((word, _corrected(word, here, first=not start)))
        start += len(word)
    return words


def _is_word(characters: str) -> bool:
    import jieba

    return bool(jieba.dt.FREQ.get(characters))


@lru_cache(maxsize=100_000)
def _phrase(word: str) -> tuple[str, ...]:
    return tuple(_look_up(word))


def _look_up(text: str) -> list[str]:
    from pypinyin import Style, lazy_pinyin

    return [canonical(syllable) for syllable in lazy_pinyin(text, style=Style.TONE)]


def _corrected(word: str, reading: list[str], *, first: bool = False) -> list[str]:
    """What the segmentation knows and the dictionary of phrases does not."""
    if word == "为" and first:  # for somebody; inside a sentence it is mostly `to be`, wei2
        return ["wei4"]
    if word in _ALONE:
        return [_ALONE[word]]
    if len(word) > 1 and word[-1] == "儿" and word[-2] not in _CHILD:
        return [*reading[:-1], "er5"]
    return reading


@lru_cache(maxsize=1)
def _segmenter() -> Callable[[str], Iterable[str]]:
    """Splits characters into words; silent, and content without a cache when none can be written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in its source and its use of pkg_resources
        import jieba
    logging.getLogger("jieba").setLevel(logging.CRITICAL)
    # Only words of its dictionary: those it guesses made the readings of two corpora slightly worse.
    return lambda text: jieba.cut(text, HMM=False)
