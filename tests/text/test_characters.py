"""What a Chinese character is, against the names that Unicode gives to all code points."""

from __future__ import annotations

import sys
import unicodedata

from dfcnn_ms.text.characters import hanzi_runs, has_hanzi, is_hanzi, normalized

NAMES = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")
ZERO = "\u3007"


def test_every_code_point_with_a_name_is_judged_by_it() -> None:
    """A code point that Python's Unicode does not know yet may be either."""
    wrong = [
        f"U+{code:04X}"
        for code in range(sys.maxunicode + 1)
        if (name := unicodedata.name(chr(code), ""))
        if is_hanzi(chr(code)) != (name.startswith(NAMES) or chr(code) == ZERO)
    ]
    assert wrong == []


def test_nothing_without_a_name_is_one_but_in_the_blocks_of_ideographs() -> None:
    """Such as control characters, surrogates and private use; the blocks of ideographs still grow."""
    unnamed = [code for code in range(sys.maxunicode + 1) if not unicodedata.name(chr(code), "")]
    found = [code for code in unnamed if is_hanzi(chr(code))]
    assert all(unicodedata.category(chr(code)) == "Cn" for code in found)
    assert all(code >> 8 in (0x4D, 0x9F, 0xFA) or code >> 16 in (2, 3) for code in found)


def test_texts() -> None:
    assert is_hanzi("二〇二四") and not is_hanzi("二〇二四年!") and not is_hanzi("")
    assert has_hanzi("ni3 好") and not has_hanzi("ni3 hao3, ok?") and not has_hanzi("")
    assert hanzi_runs("A股，𠮷野 3 家\n") == ["股", "𠮷野", "家"]
    assert hanzi_runs("ni3") == []


def test_long_texts_are_normalized_as_short_ones_are() -> None:
    text = "e\u0301\u0323 \u1e69 ﬁ Ａ 绿 가 " + "a" + "\u0301" * 30
    for form in ("NFKC", "NFD"):
        assert normalized(form, text * 50) == unicodedata.normalize(form, text) * 50


def test_marks_without_end_keep_their_kinds_and_numbers() -> None:
    for marks in ("\u0301\u0323", "\u0344", "\u0f73\u0f71"):
        text = "a" + marks * 1000
        found = normalized("NFD", text).replace("\u034f", "")
        assert sorted(found) == sorted(unicodedata.normalize("NFD", text))
