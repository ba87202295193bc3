"""Tone sandhi, against what grammars say and what speakers of Mandarin do."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text import sandhi
from dfcnn_ms.text.pinyin import from_hanzi

steady = settings(deadline=None)  # a busy machine is not a fault


@pytest.mark.parametrize(
    ("hanzi", "wanted"),
    [
        ("一天", "yi4 tian1"),
        ("一年", "yi4 nian2"),
        ("一起", "yi4 qi3"),
        ("一样", "yi2 yang4"),
        ("一个人", "yi2 ge4 ren2"),
        ("等一下", "deng3 yi2 xia4"),
        ("第一课", "di4 yi1 ke4"),
        ("十一月", "shi2 yi1 yue4"),
        ("统一战线", "tong3 yi1 zhan4 xian4"),
        ("万一", "wan4 yi1"),
        ("看一看", "kan4 yi5 kan4"),
        ("一百", "yi4 bai3"),
        ("一万", "yi2 wan4"),
        ("二零一一年", "er4 ling2 yi1 yi1 nian2"),
        ("不去", "bu2 qu4"),
        ("不来", "bu4 lai2"),
        ("不好", "bu4 hao3"),
        ("不", "bu4"),
        ("我不", "wo3 bu4"),
        ("疑问", "yi2 wen4"),
        ("部门", "bu4 men2"),
        ("容易", "rong2 yi4"),
        ("你好", "ni3 hao3"),
    ],
)
def test_yi_and_bu(hanzi: str, wanted: str) -> None:
    assert from_hanzi(hanzi, sandhi="yi_bu") == wanted.split()


@pytest.mark.parametrize(
    ("hanzi", "wanted"),
    [
        ("你好", "ni2 hao3"),
        ("很好", "hen2 hao3"),
        ("我很好", "wo3 hen2 hao3"),
        ("水果", "shui2 guo3"),
        ("展览馆", "zhan2 lan2 guan3"),
        ("小老虎", "xiao3 lao2 hu3"),
        ("买雨伞", "mai3 yu2 san3"),
        ("你好，我走", "ni2 hao3 wo2 zou3"),
        ("不好", "bu4 hao3"),
        ("一起走", "yi4 qi2 zou3"),
        ("老师", "lao3 shi1"),
        ("好", "hao3"),
        ("", ""),
    ],
)
def test_third_tones(hanzi: str, wanted: str) -> None:
    assert from_hanzi(hanzi, sandhi="full") == wanted.split()


def test_without_being_asked_nothing_changes() -> None:
    assert from_hanzi("你好") == ["ni3", "hao3"] == from_hanzi("你好", sandhi="none")
    assert from_hanzi("不去") == ["bu4", "qu4"]


def test_figures_keep_their_tone() -> None:
    assert from_hanzi("119不", sandhi="full") == ["yi1", "yi1", "jiu3", "bu4"]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="sandhi cannot be 'yibu'; did you mean 'yi_bu'"):
        from_hanzi("你好", sandhi="yibu")


words = st.lists(st.sampled_from(["一", "不", "好", "很", "去", "来", "天", "水果", "展览馆", "统一"]), max_size=8)


@steady
@given(words)
def test_only_tones_change_and_third_tones_never_meet_inside_a_word(chosen: list[str]) -> None:
    text = "".join(chosen)
    plain, said = from_hanzi(text), from_hanzi(text, sandhi="full")
    assert [syllable[:-1] for syllable in plain] == [syllable[:-1] for syllable in said]
    for character, before, after in zip(text, plain, said, strict=True):
        if character not in "一不":
            assert before == after or (before[-1], after[-1]) == ("3", "2")
    pairs = list(itertools.pairwise(said))
    assert not [pair for pair in pairs if pair[0][-1] == pair[1][-1] == "3"]


def test_words_decide_how_three_third_tones_group() -> None:
    readings = [("展览馆", ["zhan3", "lan3", "guan3"])]
    assert sandhi.apply(readings, "full", {"展览"}.__contains__) == ["zhan2", "lan2", "guan3"]
    assert sandhi.apply(readings, "full", {"览馆"}.__contains__) == ["zhan3", "lan2", "guan3"]
    assert sandhi.apply(readings, "yi_bu", {"览馆"}.__contains__) == ["zhan3", "lan3", "guan3"]


@pytest.mark.parametrize(("length", "tones"), [(2, "23"), (4, "2323"), (5, "23223"), (6, "232323"), (7, "2323223")])
def test_long_words_are_said_two_and_two(length: int, tones: str) -> None:
    """Inside each pair the first becomes a second tone; then, of what is left, each third tone before another."""
    word = ("好" * length, ["hao3"] * length)
    assert [one[-1] for one in sandhi.apply([word], "full", lambda characters: False)] == list(tones)
