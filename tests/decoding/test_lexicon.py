"""Words, their readings, and where they are kept."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfcnn_ms.decoding.hanzi import HanziModel
from dfcnn_ms.decoding.hanzi import lexicon as module
from dfcnn_ms.decoding.hanzi.lexicon import (
    BASES,
    FOREIGN,
    GIVEN,
    LAST,
    NUMBER,
    SURNAME,
    USER_COUNT,
    Lexicon,
    UserWord,
    blended,
    build_lexicon,
    cached,
    log_counts,
    packed_tones,
    read_user_words,
    segment,
)
from dfcnn_ms.decoding.hanzi.readings import Readings
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.pinyin import from_hanzi

WORDS = (
    ("中国", 500, "ns"),
    ("银行", 200, "n"),
    ("中国银行", 40, "nt"),
    ("行", 300, "v"),
    ("人", 900, "n"),
    ("三", 40, "m"),
    ("张三丰", 30, "nr"),
    ("李白", 60, "nr"),
    ("托尔斯泰", 9, "nrt"),
    ("A股", 9, "n"),
)


@pytest.fixture(scope="module")
def readings() -> Readings:
    return Readings.of_pypinyin({"银行": 200})


@pytest.fixture(scope="module")
def small(readings: Readings) -> Lexicon:
    return build_lexicon(WORDS, readings)


def entries(lexicon: Lexicon, word: str) -> dict[str, float]:
    """Readings of a word in its ordinary class, with their shares."""
    found = np.flatnonzero(lexicon.entry_words == lexicon.ids[word])
    return {_spelt(lexicon, entry): math.exp(lexicon.entry_log_shares[entry]) for entry in found}


def _spelt(lexicon: Lexicon, entry: int) -> str:
    bases = [BASES[base - 1] for base in lexicon.entry_bases[entry] if base]
    tones = [(int(lexicon.entry_tones[entry]) >> (3 * place)) & 7 for place in range(len(bases))]
    return " ".join(f"{base}{tone}" for base, tone in zip(bases, tones, strict=True))


@pytest.mark.parametrize("word", ["银行", "重庆", "音乐", "快乐", "长江", "长大", "植物园", "会计", "覆水难收"])
def test_the_first_reading_is_that_of_pypinyin(word: str, readings: Readings) -> None:
    assert list(readings(word)[0][1]) == from_hanzi(word)


def test_readings_share_a_whole(readings: Readings) -> None:
    for word in ("行", "都", "长", "银行", "中国行长", "地"):
        shares = [math.exp(log_share) for log_share, _ in readings(word)]
        assert shares == sorted(shares, reverse=True)
        assert 0.9 < sum(shares) <= 1 + 1e-9


def test_a_phrase_inside_a_word_keeps_its_reading(readings: Readings) -> None:
    assert readings("中国银行")[0][1] == ("zhong1", "guo2", "yin2", "hang2")


def test_a_particle_may_be_neutral_inside_a_word(readings: Readings) -> None:
    assert [reading for _, reading in readings("各地")][:2] == [("ge4", "di4"), ("ge4", "de5")]


def test_particles_are_neutral(readings: Readings) -> None:
    assert {"di4", "de5"} <= {reading[0] for _, reading in readings("地")[:2]}
    assert readings("的")[0][1] == ("de5",)


def test_what_cannot_be_read_is_left_out(small: Lexicon, readings: Readings) -> None:
    assert readings("A股") == []
    assert "A股" not in small.ids
    assert entries(small, "行").keys() >= {"xing2", "hang2"}
    assert entries(small, "银行") == {"yin2 hang2": pytest.approx(1.0)}


def test_compounds_strengthen_their_parts(small: Lexicon) -> None:
    counts = {word: float(small.counts[small.ids[word]]) for word in ("中国", "银行", "人", "中国银行")}
    gain = module.PRODUCTIVITY * math.log1p(40)
    assert counts["中国"] == pytest.approx(500 + module.LEAST_COUNT + gain)
    assert counts["银行"] == pytest.approx(200 + module.LEAST_COUNT + gain)
    assert counts["人"] == 900 + module.LEAST_COUNT


@given(
    counts=st.dictionaries(st.text("甲乙丙", min_size=1, max_size=3), st.floats(1, 1e6), min_size=2),
    documents=st.dictionaries(st.text("甲乙丙", min_size=1, max_size=3), st.floats(1e-6, 1), min_size=1),
)
def test_counts_and_documents_both_say_how_common_a_word_is(
    counts: dict[str, float], documents: dict[str, float]
) -> None:
    found = blended(counts, documents)
    assert sum(found.values()) == pytest.approx(sum(counts.values()))
    (one, common), (other, rare) = list(counts.items())[:2]
    shares = [documents.get(word, min(documents.values())) for word in (one, other)]
    weight = module.DOCUMENTS_WEIGHT
    logarithm = (1 - weight) * math.log(common / rare) + weight * math.log(shares[0] / shares[1])
    assert math.log(found[one] / found[other]) == pytest.approx(logarithm, abs=1e-9)


@pytest.fixture(scope="module")
def dictionary() -> list[tuple[str, float, str]]:
    """All of jieba's words."""
    return list(module._jieba_words())


@pytest.mark.slow
def test_the_hero_of_a_novel_is_no_common_word(dictionary: list[tuple[str, float, str]]) -> None:
    counts = {word: count for word, count, _ in dictionary}
    assert counts["的"] > counts["他"] > counts["苹果"] > counts["袁承志"]
    assert sum(counts.values()) == pytest.approx(60e6, rel=0.05)


def test_parts_of_names_and_numbers_have_classes_of_their_own(small: Lexicon) -> None:
    kinds = [str(small.class_names[number]) for number in small.classes]
    found = {(str(word), kind) for word, kind in zip(small.words, kinds, strict=True)}
    assert (("三", NUMBER) in found) and (("三", "m1") not in found)
    assert ("人", "n1") in found
    # Only characters that are words of the dictionary can be parts of a name.
    assert ("三", GIVEN) in found
    assert not {kind for word, kind in found if word == "丰"} & {LAST, SURNAME, FOREIGN}


@given(
    counts=st.dictionaries(st.text("甲乙丙", min_size=1, max_size=3), st.integers(1, 99), min_size=1),
    text=st.text("甲乙丙", min_size=1, max_size=6),
    whole=st.booleans(),
)
def test_segmentation_equals_enumeration(counts: dict[str, float], text: str, whole: bool) -> None:
    log_shares = log_counts(counts)
    best = max(_score(cut, log_shares) for cut in _cuts(text) if whole or len(text) == 1 or len(cut) > 1)
    found = segment(text, log_shares, whole)
    assert "".join(found) == text
    assert whole or len(text) == 1 or len(found) > 1
    assert _score(found, log_shares) == pytest.approx(best)


def _cuts(text: str) -> list[list[str]]:
    places = range(1, len(text))
    chosen = itertools.chain.from_iterable(itertools.combinations(places, count) for count in range(len(text)))
    return [[text[a:b] for a, b in itertools.pairwise([0, *cut, len(text)])] for cut in chosen]


def _score(words: list[str], log_shares: dict[str, float]) -> float:
    unknown = [module.UNKNOWN_LOG_SHARE if len(word) == 1 else -math.inf for word in words]
    return sum(log_shares.get(word, other) for word, other in zip(words, unknown, strict=True))


def test_user_words(tmp_path: Path, small: Lexicon) -> None:
    path = tmp_path / "own.txt"
    path.write_text("\ufeff# names\n张继科\tzhāng jì kē\n\n行\thang2\t12.5\n", encoding="utf-8")
    words = read_user_words(path)
    assert words == [UserWord("张继科", ("zhang1", "ji4", "ke1"), USER_COUNT), UserWord("行", ("hang2",), 12.5)]
    added = small.with_words(words)
    assert entries(added, "张继科") == {"zhang1 ji4 ke1": 1.0}
    assert len(added.words) == len(small.words) + 2
    assert small.with_words([]) is small


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("张继科", "wanted word, pinyin and perhaps a count, with tabs between them; got '张继科'"),
        ("张继科\t", "wanted word, pinyin and perhaps a count"),
        ("张继科\tzhang1 ji4", "'张继科' has 3 characters, 'zhang1 ji4' 2 syllables"),
        ("张\tzhhang1", "'zhhang1' is not a pinyin syllable"),
        ("张\tzhang1\tmany", "a count is a number from 1e-09 to 1e+15; got 'many'"),
        ("张\tzhang1\t-3", "a count is a number from 1e-09 to 1e+15; got '-3'"),
        ("张\tzhang1\t1e-300", "a count is a number from 1e-09 to 1e+15; got '1e-300'"),
        ("张\tzhang1\t3\tx", "wanted word, pinyin and perhaps a count"),
    ],
)
def test_user_words_that_are_wrong(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text(f"# mine\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_user_words(path)
    assert str(error.value).startswith(f"{path}:2: ")
    assert message in str(error.value)


def test_user_words_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes("张\tzhang1\n".encode("gb18030"))
    with pytest.raises(DataError, match="not a text file in UTF-8"):
        read_user_words(tmp_path / "own.txt")


def test_packed_tones() -> None:
    assert packed_tones([4, 3, 5]) == 4 + 3 * 8 + 5 * 64


def test_a_lexicon_survives_its_file(small: Lexicon, tmp_path: Path) -> None:
    module.save_arrays(tmp_path / "lexicon", small.arrays())
    loaded = Lexicon.of(module.load_arrays(tmp_path / "lexicon"))
    for name, array in small.arrays().items():
        assert np.array_equal(array, loaded.arrays()[name]), name


def test_the_cache_is_used_and_mended(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "thing.txt"
    built: list[int] = []

    def build() -> str:
        built.append(1)
        return "thing"

    def load(file: Path) -> str:
        if file.read_text(encoding="utf-8") != "thing":
            raise DataError("damaged")
        return "thing"

    def save(thing: str, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(thing, encoding="utf-8")

    assert [cached(path, load, build, save) for _ in range(3)] == ["thing"] * 3
    assert len(built) == 1
    path.write_text("thi", encoding="utf-8")
    assert cached(path, load, build, save) == "thing"
    assert len(built) == 2
    assert path.read_text(encoding="utf-8") == "thing"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    model = cached(tmp_path / "file" / "x.bin", HanziModel.load, lambda: "built", lambda *_: _refuse())
    assert model == "built"


def _refuse() -> None:
    raise DataError("x.bin: cannot be written: disk full")


def test_a_damaged_default_is_built_again(small: Lexicon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfcnn_ms.decoding.hanzi.model.cache_folder", lambda: tmp_path)
    monkeypatch.setattr("dfcnn_ms.decoding.hanzi.model.build_default", lambda: small)
    said = [(["zhong1", "guo2", "yin2", "hang2"], 0.0)]
    assert HanziModel.default().decode(said)[0].text == "中国银行"
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    assert HanziModel.default().decode(said)[0].text == "中国银行"
    assert kept.read_bytes() == whole


def test_the_cache_belongs_to_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert module.cache_folder() == tmp_path / "dfcnn_ms"


@pytest.mark.long
@pytest.mark.slow
def test_the_dictionary_of_jieba(
    dictionary: list[tuple[str, float, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dfcnn_ms.decoding.hanzi.model.cache_folder", lambda: tmp_path)
    monkeypatch.setattr(module, "_jieba_words", lambda: dictionary)
    model = HanziModel.default()
    assert len(model.lexicon.ids) > 340_000
    said = [(["shang4", "hai3", "zhi2", "wu4", "yuan2"], 0.0)]
    assert model.decode(said)[0].text == "上海植物园"
    assert HanziModel.default().decode(said, 5) == model.decode(said, 5)
    assert "张" in _of_class(model.lexicon, SURNAME)
    assert "明" in _of_class(model.lexicon, LAST)


def _of_class(lexicon: Lexicon, name: str) -> set[str]:
    return set(lexicon.words[lexicon.classes == lexicon.class_id(name)].tolist())
