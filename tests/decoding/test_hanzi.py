"""Syllables to characters, against the enumeration of every way to say them."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms import hanzi as command
from dfcnn_ms.decoding.hanzi import HanziModel
from dfcnn_ms.decoding.hanzi.lattice import Lattice, slots_of
from dfcnn_ms.decoding.hanzi.lexicon import BASE_IDS, UserWord, build_lexicon
from dfcnn_ms.decoding.hanzi.model import CHANGED_TONE, WRONG_TONE
from dfcnn_ms.decoding.hanzi.nbest import Writing
from dfcnn_ms.decoding.hanzi.word_model import WORD_WEIGHT, Statistics, learn
from dfcnn_ms.errors import ConfigError, DataError, DfcnnError

#: word, count, tag, readings
DICTIONARY = (
    ("上", 900, "f", [("shang4",)]),
    ("伤", 100, "v", [("shang1",)]),
    ("海", 300, "n", [("hai3",)]),
    ("还", 500, "d", [("hai2",), ("huan2",)]),
    ("上海", 400, "ns", [("shang4", "hai3")]),
    ("伤害", 200, "v", [("shang1", "hai4")]),
    ("植物", 150, "n", [("zhi2", "wu4")]),
    ("职务", 140, "n", [("zhi2", "wu4")]),
    ("植物园", 20, "n", [("zhi2", "wu4", "yuan2")]),
    ("园", 60, "n", [("yuan2",)]),
    ("元", 300, "q", [("yuan2",)]),
    ("直", 80, "v", [("zhi2",)]),
    ("物", 90, "n", [("wu4",)]),
    ("五", 90, "m", [("wu3",)]),
    ("一", 900, "m", [("yi1",)]),
    ("张伟", 30, "nr", [("zhang1", "wei3")]),
    ("张", 100, "q", [("zhang1",)]),
    ("伟", 10, "a", [("wei3",)]),
    ("斯大", 10, "nrt", [("si1", "da4")]),
    ("斯", 10, "r", [("si1",)]),
    ("大", 100, "a", [("da4",)]),
)
TEXTS = ("上海植物园", "上海还直", "五元", "上海植物园大")
SYLLABLES = (
    "shang4",
    "shang1",
    "hai3",
    "hai2",
    "zhi2",
    "wu4",
    "wu3",
    "yuan2",
    "yi4",
    "zhang1",
    "wei3",
    "da4",
    "xyz",
    "nve4",
)


def readings(word: str) -> list[tuple[float, tuple[str, ...]]]:
    options = next((spelt for other, _, _, spelt in DICTIONARY if other == word), [])
    return [(math.log(1 / len(options)), spelt) for spelt in options]


@pytest.fixture(scope="module")
def model() -> HanziModel:
    """A model of some twenty words and four sentences."""
    lexicon = build_lexicon([(word, count, tag) for word, count, tag, _ in DICTIONARY], readings)
    return HanziModel.train(TEXTS, lexicon)


def enumerated(model: HanziModel, lattice: Lattice) -> dict[str, float]:
    """The best score of every text over a lattice: all arcs, all words, all tones, without any search."""
    best: dict[str, float] = {}
    for text, score in _ways(model, lattice, 0, len(model.lexicon.words) + 1):
        best[text] = max(best.get(text, -math.inf), score)
    return best


def _ways(model: HanziModel, lattice: Lattice, node: int, before: int) -> Iterator[tuple[str, float]]:
    if np.isfinite(lattice.final[node]):
        yield "", float(lattice.final[node]) + _end(model, before)
    for end, word, text, score in _edges(model, lattice, node):
        step = score + _follow(model, before, word)
        if step > -1e4:
            for rest, after in _ways(model, lattice, end, word):
                yield text + rest, step + after


def _end(model: HanziModel, before: int) -> float:
    table = model.language
    return float(table.kept[before] + table.transition[table.word_class[before], -1])


def _follow(model: HanziModel, before: int, word: int) -> float:
    """Pair probabilities looked up in a dictionary, not in sorted arrays."""
    table = model.language
    by_class = table.transition[table.word_class[before], table.word_class[word]] + table.emission[word]
    return float(_pairs(model).get((before, word), table.kept[before] + by_class))


@lru_cache
def _pairs(model: HanziModel) -> dict[tuple[int, int], float]:
    table = model.language
    firsts = np.repeat(np.arange(len(table.first_pair) - 1), np.diff(table.first_pair))
    keys = zip(firsts.tolist(), table.pair_word.tolist(), strict=True)
    return dict(zip(keys, table.pair_log_prob.tolist(), strict=True))


def _edges(model: HanziModel, lattice: Lattice, node: int) -> Iterator[tuple[int, int, str, float]]:
    for arcs in _runs(lattice, node):
        matched = list(_words(model, lattice, arcs, 1 if len(arcs) > 1 else 0))
        if len(arcs) == 1:
            matched = matched or list(_words(model, lattice, arcs, 1))
            if not matched:
                unknown = len(model.lexicon.words)
                matched = [(unknown, lattice.syllables[arcs[0]], 0.0)]
        for word, text, score in matched:
            yield int(lattice.ends[arcs[-1]]), word, text, score + float(lattice.log_probs[list(arcs)].sum())


def _runs(lattice: Lattice, node: int) -> Iterator[tuple[int, ...]]:
    for arc in np.flatnonzero(lattice.begins == node).tolist():
        yield (arc,)
        for rest in _runs(lattice, int(lattice.ends[arc])):
            if len(rest) < 3:
                yield (arc, *rest)


def _words(
    model: HanziModel, lattice: Lattice, arcs: tuple[int, ...], allowed: int
) -> Iterator[tuple[int, str, float]]:
    lexicon = model.lexicon
    for entry, bases in enumerate(lexicon.entry_bases):
        spelt = bases[bases > 0].tolist()
        if spelt != [int(lattice.bases[arc]) for arc in arcs]:
            continue
        wrong, cost = 0, 0.0
        for place, arc in enumerate(arcs):
            said, known = int(lattice.tones[arc]), (int(lexicon.entry_tones[entry]) >> (3 * place)) & 7
            if said not in (0, known):
                wrong += 1
                habit = 5 in (said, known) or spelt[place] - 1 in (BASE_IDS["yi"], BASE_IDS["bu"])
                cost += CHANGED_TONE if habit else WRONG_TONE
        if wrong <= allowed:
            word = int(lexicon.entry_words[entry])
            yield word, str(lexicon.words[word]), float(lexicon.entry_log_shares[entry]) + cost


def lattices() -> st.SearchStrategy[Lattice]:
    """Up to four places with up to two alternatives each, some of which may be empty."""
    slot = st.dictionaries(
        st.one_of(st.sampled_from(SYLLABLES), st.none()), st.floats(-5, 0), min_size=1, max_size=2
    ).filter(lambda found: set(found) != {None})
    return st.builds(Lattice.of_slots, st.lists(slot, max_size=4), st.booleans())


@settings(deadline=None, max_examples=60)
@given(lattice=lattices())
def test_the_best_equals_enumeration(model: HanziModel, lattice: Lattice) -> None:
    best = enumerated(model, lattice)
    found = model.convert(lattice)[0]
    assert found.score == pytest.approx(max(best.values()), abs=1e-6)
    assert best[found.text] == pytest.approx(found.score, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(lattice=lattices(), n=st.integers(2, 8))
def test_the_n_best_equal_enumeration(model: HanziModel, lattice: Lattice, n: int) -> None:
    best = enumerated(model, lattice)
    found = model.convert(lattice, n)
    assert [sentence.score for sentence in found] == pytest.approx(sorted(best.values(), reverse=True)[:n], abs=1e-6)
    assert all(best[sentence.text] == pytest.approx(sentence.score, abs=1e-6) for sentence in found)
    assert found[0].text == model.convert(lattice)[0].text or found[0].score == pytest.approx(found[1].score)


def test_in_a_long_sentence_no_more_is_looked_at_than_the_best_texts_have_endings(
    model: HanziModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    longer = Writing.longer
    monkeypatch.setattr(Writing, "longer", lambda *arguments: looked_at.append(1) or longer(*arguments))
    syllables = ["shang4", "hai3", "zhi2", "wu4", "yuan2", "zhang1", "wei3", "da4", "xyz"] * 10
    lattice, n = Lattice.of_nbest([(syllables, 0.0)]), 20
    found = model.convert(lattice, n)
    assert len({sentence.text for sentence in found}) == n
    assert len(looked_at) <= n * (max(len(sentence.text) for sentence in found) + 1)
    scores = [sentence.score for sentence in found]
    assert scores == pytest.approx(sorted(scores, reverse=True)) and scores[0] == pytest.approx(
        model.convert(lattice)[0].score
    )
    assert all("".join(sentence.words) == sentence.text for sentence in found)


def test_other_syllables_may_write_the_same_text(model: HanziModel) -> None:
    """Where blanks lie between syllables of no word is no part of the text."""
    lattice = Lattice.of_slots([{"xy": -1.0, "x": -2.0}, {"z": -1.0, "yz": -2.0}, {"上": -1.0, "shang4": -3.0}])
    found = model.convert(lattice, 8)
    assert len({sentence.text for sentence in found}) == len(found)
    assert [sentence.score for sentence in found] == pytest.approx(
        sorted(enumerated(model, lattice).values(), reverse=True)[:8], abs=1e-6
    )


@pytest.mark.parametrize(
    ("n", "syllables", "most"), [(0, 1, 20_000), (-1, 1, 20_000), (10**6, 1, 20_000), (201, 100, 200)]
)
def test_more_sentences_than_anybody_waits_for_are_refused(
    model: HanziModel, n: int, syllables: int, most: int
) -> None:
    with pytest.raises(ConfigError, match=f"the {n:,} best sentences for {syllables} syllables?: wanted 1 to {most:,}"):
        model.decode([(["shang4"] * syllables, 0.0)], n)


def test_however_long_there_is_a_best_sentence(model: HanziModel) -> None:
    assert len(model.decode([(["shang4"] * 30_000, 0.0)])[0].units) == 30_000


def test_enumeration_has_something_to_compare(model: HanziModel) -> None:
    lattice = Lattice.of_nbest([(["shang4", "hai3", "zhi2", "wu4", "yuan2"], 0.0)])
    assert {"上海植物园", "上海职务元", "上海植物元"} < set(enumerated(model, lattice))
    assert model.convert(lattice)[0].words == ("上海", "植物园")


@settings(deadline=None)
@given(syllables=st.lists(st.one_of(st.sampled_from(SYLLABLES), st.text("abcxyz123", min_size=1, max_size=4))))
def test_no_syllable_is_lost(model: HanziModel, syllables: list[str]) -> None:
    sentence = model.decode([(syllables, 0.0)])[0]
    assert len(sentence.units) == len(syllables)
    assert "".join(sentence.units) == "".join(sentence.words) == sentence.text
    assert all(len(unit) == 1 or unit == said for unit, said in zip(sentence.units, syllables, strict=True))


def test_an_unknown_syllable_stands_as_it_is(model: HanziModel) -> None:
    sentence = model.decode([(["shang4", "hai3", "fiao4", "wu4"], 0.0)])[0]
    assert sentence.units == ("上", "海", "fiao4", "物")


def test_a_tone_that_no_word_has_still_gives_a_character(model: HanziModel) -> None:
    assert model.decode([(["yuan4"], 0.0)])[0].text == "元"


def test_nothing_said(model: HanziModel) -> None:
    sentence = model.decode([([], 0.0)])[0]
    assert (sentence.text, sentence.units, sentence.average, sentence.perplexity) == ("", (), 0.0, 1.0)


def test_toneless(model: HanziModel) -> None:
    said = ["shang", "hai", "zhi", "wu", "yuan"]
    assert model.decode([(said, 0.0)])[0].text == "上海植物园"
    deaf = replace(model, toneless=True)
    assert deaf.decode([(["shang1", "hai1", "zhi1", "wu1", "yuan1"], 0.0)]) == deaf.decode([(said, 0.0)])


@settings(deadline=None)
@given(syllables=st.lists(st.sampled_from(SYLLABLES), min_size=1, max_size=6), log_prob=st.floats(-50, 50))
def test_a_lattice_of_one_hypothesis_is_that_hypothesis(
    model: HanziModel, syllables: list[str], log_prob: float
) -> None:
    plain = model.convert(Lattice.of_slots([{syllable: 0.0} for syllable in syllables]), 3)
    assert model.decode([(syllables, log_prob)], 3) == plain


def test_the_second_hypothesis_helps(model: HanziModel) -> None:
    heard = [(["shang1", "hai3", "zhi2", "wu3", "yuan2"], -1.0), (["shang4", "hai3", "zhi2", "wu4", "yuan2"], -1.5)]
    assert model.decode(heard)[0].text == "上海植物园"


def test_improbable_places_still_have_characters(model: HanziModel) -> None:
    slots = [{"shang4": -40.0, "wu3": -90.0}, {None: -50.0}, {"hai3": -30.0}]
    assert model.convert(Lattice.of_slots(slots))[0].text == "上海"


def test_slots_combine_what_hypotheses_say() -> None:
    slots = slots_of([(["a1", "b"], math.log(0.5)), (["a1", "c", "d"], math.log(0.3)), (["a1"], math.log(0.2))])
    probabilities = [{said: round(math.exp(value), 6) for said, value in slot.items()} for slot in slots]
    assert probabilities[0] == {"a1": 1.0}
    assert all(sum(slot.values()) == pytest.approx(1.0) for slot in probabilities)
    ways = {tuple(filter(None, way)) for way in itertools.product(*probabilities)}
    assert {("a1", "b"), ("a1", "c", "d"), ("a1",)} <= ways


def test_a_word_of_ones_own_wins(model: HanziModel) -> None:
    said = [(["shang4", "hai3", "zhi2", "wu4"], 0.0)]
    assert model.decode(said)[0].text == "上海植物"
    mine = model.with_words([UserWord("直勿", ("zhi2", "wu4"))])
    assert mine.decode(said)[0].text == "上海直勿"
    rare = model.with_words([UserWord("直勿", ("zhi2", "wu4"), count=1e-9)])
    assert rare.decode(said)[0].text == "上海植物"


def test_probabilities_sum_to_one(model: HanziModel) -> None:
    table = model.language
    words = len(model.lexicon.words)
    special = {model.lexicon.class_id(name) for name in ("surname", "given", "last", "foreign", "user")}
    counted = [word for word in range(words) if table.word_class[word] not in special]
    for before in (model.lexicon.ids["上海"], model.lexicon.ids["植物"], words + 1):
        end = table.kept[before] + table.transition[table.word_class[before], -1]
        whole = math.exp(end) + sum(math.exp(_follow_fast(model, before, word)) for word in counted)
        # What the end of a sentence has of the pairs is not among the words.
        assert 1 - WORD_WEIGHT < whole <= 1 + 1e-9


def _follow_fast(model: HanziModel, before: int, word: int) -> float:
    from dfcnn_ms.decoding.hanzi.search import follow

    return float(follow(model.language, before, word))


def test_a_text_moves_the_choice() -> None:
    lexicon = build_lexicon([(word, count, tag) for word, count, tag, _ in DICTIONARY], readings)
    said = [(["wu3", "yuan2"], 0.0)]
    garden = HanziModel(lexicon, learn(lexicon, [["五", "园"]] * 40))
    money = HanziModel(lexicon, learn(lexicon, [["五", "元"]] * 40))
    assert (garden.decode(said)[0].text, money.decode(said)[0].text) == ("五园", "五元")


def test_saved_and_loaded(model: HanziModel, tmp_path: Path) -> None:
    model.save(tmp_path / "hanzi.bin")
    loaded = HanziModel.load(tmp_path / "hanzi.bin")
    said = [(["shang4", "hai3", "zhi2", "wu4", "yuan2", "xyz"], 0.0)]
    assert loaded.decode(said, 5) == model.decode(said, 5)


def arrays_of(model: HanziModel) -> dict[str, np.ndarray]:
    statistics = {name: getattr(model.statistics, name) for name in Statistics.__dataclass_fields__}
    return {**model.lexicon.arrays(), **statistics}


WHOLE = ("classes", "entry_words", "entry_bases", "entry_tones", "firsts", "seconds")
NUMBERS = ("counts", "entry_log_shares", "class_counts", "seen", "given")


def stored(array: np.ndarray, value: float) -> np.ndarray:
    """The array with another last number."""
    changed = array.copy()
    changed.flat[-1] = value
    return changed


def crafted(model: HanziModel) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays that compiled code could not follow, one at a time."""
    arrays = arrays_of(model)
    for name in WHOLE:
        yield name, stored(arrays[name], np.iinfo(arrays[name].dtype).max)
        yield name, arrays[name].astype(np.float64)
    for name in ("classes", "entry_words", "firsts", "seconds", "entry_tones"):
        yield name, stored(arrays[name], -1)
    for name in NUMBERS:
        for value in (np.nan, np.inf, -1e300, 1e300 if name != "entry_log_shares" else 1e30):
            with np.errstate(over="ignore"):
                yield name, stored(arrays[name], value)
        yield name, arrays[name].astype(complex)
        yield name, arrays[name].astype(int)
    for name in (*WHOLE, *NUMBERS):
        yield name, arrays[name][:-1]
        yield name, arrays[name][None]
        yield name, arrays[name].ravel()[0]
    yield "entry_bases", np.zeros_like(arrays["entry_bases"])
    yield "entry_bases", arrays["entry_bases"][:, ::-1].copy()
    yield "entry_bases", np.concatenate([arrays["entry_bases"]] * 5, axis=1)
    yield "seconds", arrays["seconds"][::-1].copy()
    yield "class_names", np.arange(len(arrays["class_names"]))
    yield "class_names", arrays["class_names"].astype("U1")
    yield "words", arrays["words"][len("上\n".encode()) :]
    yield "words", np.frombuffer(b"\xff\xfe\n" * len(model.lexicon.words), np.uint8)
    yield "words", np.frombuffer(b"\n" * (len(model.lexicon.words) - 1), np.uint8)
    yield "words", np.frombuffer(b"\n" * 20_000 + b"x" * 20_000, np.uint8)


def test_a_model_that_compiled_code_could_not_follow_is_refused(model: HanziModel, tmp_path: Path) -> None:
    path = tmp_path / "hanzi.bin"
    for name, array in crafted(model):
        np.savez(path.open("wb"), **{**arrays_of(model), name: array})
        with pytest.raises(DataError, match=r"hanzi\.bin: (damaged: its \w+ cannot be so|not a model of)") as error:
            HanziModel.load(path)
            pytest.fail(f"{name} {array!r}")
        assert "\n" not in str(error.value)


def test_a_model_that_is_compressed_is_refused(model: HanziModel, tmp_path: Path) -> None:
    """A few bytes could otherwise ask for all memory."""
    path = tmp_path / "hanzi.bin"
    np.savez_compressed(path.open("wb"), **arrays_of(model))
    with pytest.raises(DataError, match="not a file of python -m dfcnn_ms"):
        HanziModel.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of it", b"no model at all"])
def test_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hanzi.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"hanzi\.bin: not a file of python -m dfcnn_ms\.hanzi train"):
        HanziModel.load(path)


@pytest.fixture
def default(model: HanziModel, monkeypatch: pytest.MonkeyPatch) -> HanziModel:
    """The commands take the small dictionary for jieba's."""
    monkeypatch.setattr(HanziModel, "default", classmethod(lambda cls: model))
    return model


def test_command_convert(default: HanziModel, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["convert", "--nbest", "2", *["shang4", "hai3", "zhi2", "wu4", "yuan2"]])
    first, second = capsys.readouterr().out.splitlines()
    sentence = default.decode([(["shang4", "hai3", "zhi2", "wu4", "yuan2"], 0.0)])[0]
    assert first == (
        f"上海植物园\ttotal {sentence.score:.2f}\taverage {sentence.score / 5:.2f}"
        f"\tperplexity {math.exp(-sentence.score / 5):.1f}"
    )
    assert second.split("\t")[0] != "上海植物园"


def test_command_reads_lines(
    default: HanziModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("shang hai\n\nwu3 yuan2\n"))
    command.main(["convert", "-"])
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["上海", "", "五元"]


def test_command_trains_and_counts(default: HanziModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text("上海植物园。\n上海，还直\n上海植物园。\n", encoding="utf-8")
    table = "pinyin\thanzi\nshang4 hai3\t上海\nzhi2 wu4 yuan2\t职务园\n"
    (tmp_path / "dev.tsv").write_text(table, encoding="utf-8")
    (tmp_path / "own.tsv").write_text("# mine\n\n职务\tzhi2 wu4\n园\tyuan2\t3\n", encoding="utf-8")
    model = str(tmp_path / "hanzi.bin")
    command.main(["train", "--text", str(tmp_path / "text.txt"), "--out", model])
    command.main(["eval", "--model", model, "--tsv", str(tmp_path / "dev.tsv")])
    command.main(["eval", "--model", model, "--tsv", str(tmp_path / "dev.tsv"), "--lexicon", str(tmp_path / "own.tsv")])
    trained, plain, own = capsys.readouterr().out.splitlines()
    assert trained.startswith("read 2 different sentences; the model is ")
    assert "60.00 % of 5 characters right, 50.00 % of 2 sentences" in plain
    assert "80.00 % of 5 characters right" in own or "100.00 % of 5 characters right" in own


def test_command_counts_without_tones(default: HanziModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dev.tsv").write_text("hanzi\tpinyin\n上海\tshang hai\n", encoding="utf-8")
    command.main(["eval", "--tsv", str(tmp_path / "dev.tsv")])
    assert "100.00 % of 2 characters right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "--nbest", "0", "a1"], "--nbest 0: wanted 1 or more"),
        (["convert", "--model", "none.bin", "a1"], "none.bin: no such file"),
        (["convert", "--lexicon", "none.txt", "a1"], "none.txt: cannot be read: No such file or directory"),
        (["convert", "--lexicon", "wrong.txt", "a1"], "wrong.txt:1: wanted word, pinyin and perhaps a count"),
        (["eval", "--tsv", "wrong.txt"], "wrong.txt:1: wanted a header with a column pinyin"),
        (["eval", "--tsv", "empty.tsv"], "empty.tsv:1: wanted a header with a column pinyin; got 'nothing'"),
        (["eval", "--tsv", "ragged.tsv"], "ragged.tsv:2: 1 columns, the header has 2"),
        (["train", "--text", "english.txt", "--out", "x.bin"], "the text holds no Chinese characters"),
        (["train", "--text", ".", "--out", "x.bin"], ".: is a directory, wanted a text file"),
        (["train", "--text", "english.txt", "--out", "none/x.bin"], "--out none/x.bin: the folder none does not exist"),
    ],
)
def test_command_refuses_in_one_sentence(
    arguments: list[str], message: str, default: HanziModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.txt").write_text("只有词\n", encoding="utf-8")
    Path("empty.tsv").write_text("", encoding="utf-8")
    Path("ragged.tsv").write_text("pinyin\thanzi\na1\n", encoding="utf-8")
    Path("english.txt").write_text("hello\n", encoding="utf-8")
    with pytest.raises(DfcnnError) as error:
        command.main(arguments)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
