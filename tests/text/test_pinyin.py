"""One canonical syllable from every habit of writing, and the readings of characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.errors import DataError
from dfcnn_ms.text import pinyin
from dfcnn_ms.text.pinyin import DIGITS, SYLLABLES, SyllableError, canonical, from_hanzi, parse, split

steady = settings(deadline=None)  # a busy machine is not a fault

BASES = [initial + rhyme for initial, rhymes in SYLLABLES.items() for rhyme in rhymes.split()]
MARKS = {"1": "\u0304", "2": "\u0301", "3": "\u030c", "4": "\u0300", "5": ""}

syllables = st.builds(lambda base, tone: f"{base}{tone}", st.sampled_from(BASES), st.integers(1, 5))


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("de", "de5"),
        ("de0", "de5"),
        ("de5", "de5"),
        ("lv4", "lv4"),
        ("lü4", "lv4"),
        ("lu:4", "lv4"),
        ("lǜ", "lv4"),
        ("lǘ", "lv2"),
        ("LV4", "lv4"),
        ("ＬＶ４", "lv4"),
        ("NǙ", "nv3"),
        ("hǎo", "hao3"),
        ("hăo", "hao3"),
        ("hɑ\u030co", "hao3"),
        ("ɡe4", "ge4"),
        ("ju4", "ju4"),
        ("jv4", "ju4"),
        ("jü4", "ju4"),
        ("qu:4", "qu4"),
        ("xve2", "xue2"),
        ("yǜ", "yu4"),
        ("lve4", "lve4"),
        ("lue4", "lve4"),
        ("lüe4", "lve4"),
        ("lu:e4", "lve4"),
        ("nue4", "nve4"),
        ("nüè", "nve4"),
        ("r5", "er5"),
        ("er", "er5"),
        ("ê", "ei5"),
        ("ế", "ei2"),
        ("ḿ", "m2"),
        ("ǹg", "ng4"),
        (" ni3 ", "ni3"),
    ],
)
def test_a_habit_becomes_canonical(written: str, wanted: str) -> None:
    assert canonical(written) == wanted


@pytest.mark.parametrize(
    "rare",
    [
        "er5",
        "m2",
        "hm5",
        "ng2",
        "o1",
        "yo1",
        "lo5",
        "dia3",
        "ei1",
        "fiao4",
        "eng1",
        "zhei4",
        "bang2",
        "weng5",
    ],
)
def test_a_rare_syllable_is_kept(rare: str) -> None:
    assert canonical(rare) == rare


@pytest.mark.parametrize(
    "wrong",
    ["xyz1", "", " ", "4", "hao6", "hao33", "ni3hao3", "wanr2", "jo1", "lvan4", "b4", "你", "a b", "t5"],
)
def test_what_is_not_a_syllable_is_refused(wrong: str) -> None:
    with pytest.raises(DataError, match="is not a pinyin syllable"):
        canonical(wrong)


def test_two_tones_are_refused() -> None:
    with pytest.raises(ValueError, match="'hǎo3' has two tones"):
        canonical("hǎo3")


def test_a_refusal_says_the_cure() -> None:
    with pytest.raises(DataError, match=r"'zhnog1' .*did you mean 'zhong'\?"):
        canonical("zhnog1")
    with pytest.raises(DataError, match="put blanks between them"):
        canonical("nihao")


@steady
@given(syllables)
def test_canonical_is_its_own_canonical_form(syllable: str) -> None:
    assert canonical(syllable) == syllable == canonical(syllable.upper())


@steady
@given(syllables)
def test_every_spelling_of_a_syllable_agrees(syllable: str) -> None:
    base, tone = syllable[:-1], syllable[-1]
    vowel = next((v for v in "aoeiuv" if v in base), base[0])
    marked = base.replace(vowel, vowel + MARKS[tone], 1).replace("v", "ü")
    assert canonical(marked) == syllable
    assert canonical(base.replace("v", "u:") + tone) == syllable


def test_inventory_is_that_of_pypinyin() -> None:
    from pypinyin.constants import PINYIN_DICT

    table = {canonical(reading)[:-1] for readings in PINYIN_DICT.values() for reading in readings.split(",")}
    assert table == set(BASES)
    assert len(BASES) == len(table), "a syllable is listed twice"


def test_parse_splits_a_line() -> None:
    line = "lv4 shi4\tyang2  chun1 de"
    assert parse(line) == ["lv4", "shi4", "yang2", "chun1", "de5"]
    assert parse("  ") == []


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ni3hao3", "ni3 hao3"),
        ("Nǐ hǎo, shì jiè!", "ni3 hao3 shi4 jie4"),
        ("nǚ'ér", "nv3 er2"),
        ("Xi1-an1。", "xi1 an1"),
        ("lu:4se4", "lv4 se4"),
        ("hua1r", "hua1 er5"),
        ("huar1", "hua1 er5"),
        ("huār", "hua1 er5"),
        ("hua1 r5", "hua1 er5"),
        ("hua1 er5", "hua1 er5"),
        ("yi4dianr3", "yi4 dian3 er5"),
        ("wanr2 le5", "wan2 er5 le5"),
        ("nver3", "nv3 er5"),
        ("nv3 er2", "nv3 er2"),
        ("xuer1", "xue1 er5"),
    ],
)
def test_parse_knows_the_habits_of_corpora(line: str, wanted: str) -> None:
    assert parse(line) == wanted.split()


@pytest.mark.parametrize("line", ["ni3 xyz1", "ni3 3", "xyzr2", "nihao", "你 hao3"])
def test_parse_says_where(line: str) -> None:
    with pytest.raises(DataError, match=r"^train\.txt:12: '.+' is not a pinyin syllable"):
        parse(line, where="train.txt:12")


@steady
@given(st.lists(syllables))
def test_parse_undoes_join(label: list[str]) -> None:
    assert parse(" ".join(label)) == label == parse("".join(label))


@pytest.mark.parametrize(
    ("hanzi", "wanted"),
    [
        ("银行", "yin2 hang2"),
        ("行走", "xing2 zou3"),
        ("长大", "zhang3 da4"),
        ("长江", "chang2 jiang1"),
        ("音乐", "yin1 yue4"),
        ("快乐", "kuai4 le4"),
        ("重庆", "chong2 qing4"),
        ("重要", "zhong4 yao4"),
        ("觉得", "jue2 de5"),
        ("他跑得很快", "ta1 pao3 de5 hen3 kuai4"),
        ("绿", "lv4"),
        ("战略", "zhan4 lve4"),
        ("女儿", "nv3 er2"),
        ("新生儿", "xin1 sheng1 er2"),
        ("儿童", "er2 tong2"),
        ("花儿", "hua1 er5"),
        ("一会儿", "yi1 hui4 er5"),
        ("我们的", "wo3 men5 de5"),
        ("利润为七万", "li4 run4 wei2 qi1 wan4"),
        ("为人民服务", "wei4 ren2 min2 fu2 wu4"),
        ("他还没走", "ta1 hai2 mei2 zou3"),
        ("一个", "yi2 ge4"),
        ("第3个", "di4 san1 ge4"),
        ("2024年", "er4 ling2 er4 si4 nian2"),
        ("３.１４", "san1 dian3 yi1 si4"),
        ("〇", "ling2"),
        ("你好，世界！", "ni3 hao3 shi4 jie4"),
        ("银 行　长\n大", "yin2 hang2 zhang3 da4"),
        ("", ""),
        ("……", ""),
    ],
)
def test_characters_are_read(hanzi: str, wanted: str) -> None:
    assert from_hanzi(hanzi) == wanted.split()


def test_digits_are_read_by_their_syllables() -> None:
    assert tuple(from_hanzi("0123456789")) == DIGITS == tuple(from_hanzi("零一二三四五六七八九"))


@pytest.mark.parametrize(
    ("text", "named"),
    [("我爱ABBA", "'AB'"), ("ｋ歌", "'k'"), ("涨了5%", "'%'"), ("はい", "'はい'"), ("a+b", r"'a\+b'")],
)
def test_characters_without_a_reading_are_named(text: str, named: str) -> None:
    with pytest.raises(DataError, match=rf"^st\.txt:7: no Mandarin reading for {named} in"):
        from_hanzi(text, where="st.txt:7")


def test_segmentation_is_silent_and_needs_no_cache(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from_hanzi("暖")
    import jieba

    monkeypatch.setattr(jieba.dt, "initialized", False)
    monkeypatch.setattr(jieba.dt, "tmp_dir", "/no/such/folder")
    assert from_hanzi("重庆") == ["chong2", "qing4"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("base", BASES)
def test_split_agrees_with_pypinyin(base: str) -> None:
    from pypinyin.contrib.tone_convert import to_finals, to_initials

    initial, final, tone = split(base + "3")
    plain = base.replace("v", "ü")
    assert tone == 3
    if base not in ("m", "n", "ng", "hm", "hng", "yo", "wong"):  # the scheme has no finals for these
        assert (initial, final) == (to_initials(plain), to_finals(plain, v_to_u=False))


def test_split_of_syllables_without_a_vowel() -> None:
    assert [split(s) for s in ("m2", "ng4", "hm5", "yo1")] == [
        ("", "m", 2),
        ("", "ng", 4),
        ("h", "m", 5),
        ("", "io", 1),
    ]


def test_module_needs_neither_dictionary_until_it_reads() -> None:
    assert not {"jieba", "pypinyin"} & set(vars(pinyin))


@pytest.mark.parametrize(
    "line",
    ["a" * 10**6, "zhuang" * 10**5, "er" * 10**5, "u:" * 10**5, "a" + "\u0301\u0323" * 10**5, "1" * 10**5],
    ids=lambda line: line[:20],
)
def test_a_line_of_nonsense_is_one_short_sentence_however_long_it_is(line: str) -> None:
    with pytest.raises(SyllableError) as caught:
        parse(line, where="a.jsonl:1")
    assert str(caught.value).startswith("a.jsonl:1: ") and "is not a pinyin syllable" in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_long_line_is_read_as_its_parts() -> None:
    assert parse("nǐ hao3, lǜ " * 500) == ["ni3", "hao3", "lv4"] * 500
