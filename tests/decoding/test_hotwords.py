"""Hotwords: what a file may hold, the automaton against counting, and what a boost does to a search."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfcnn_ms.decoding import BeamSearch, Hotwords
from dfcnn_ms.decoding.hotwords import DEFAULT_BOOST, HotwordTrie, Phrase, build_trie
from dfcnn_ms.errors import DataError

Array = NDArray[Any]
SYMBOLS = ("<blank>", "<unk>", "bei3", "jing1", "chong2", "qing4", "yin2", "hang2", "lv4")
UNITS = 5
steady = settings(deadline=None)

texts = st.lists(st.integers(1, UNITS - 1), max_size=12).map(tuple)
phrases = st.dictionaries(
    st.lists(st.integers(2, UNITS - 1), min_size=1, max_size=4).map(tuple), st.floats(0.1, 5.0), max_size=5
)


def counted(text: tuple[int, ...], boosts: dict[tuple[int, ...], float]) -> float:
    """What the phrases in a text gain, looked for at each place."""
    return sum(
        boost * len(phrase)
        for phrase, boost in boosts.items()
        for place in range(len(text))
        if text[place : place + len(phrase)] == phrase
    )


def follow(trie: HotwordTrie, state: int, unit: int) -> int:
    while state:
        edges = slice(trie.edges[state], trie.edges[state + 1])
        if unit in trie.units[edges]:
            return int(trie.targets[edges][list(trie.units[edges]).index(unit)])
        state = int(trie.fail[state])
    return int(trie.first[unit])


@steady
@given(phrases, texts)
def test_the_automaton_gains_what_is_counted(boosts: dict[tuple[int, ...], float], text: tuple[int, ...]) -> None:
    trie, state, score = build_trie(boosts, UNITS), 0, 0.0
    for unit in text:
        state = follow(trie, state, unit)
        score += trie.gained[state]
    assert score == pytest.approx(counted(text, boosts), abs=1e-9)


@steady
@given(phrases, texts)
def test_what_is_begun_is_lifted_by_the_boost_so_far(
    boosts: dict[tuple[int, ...], float], text: tuple[int, ...]
) -> None:
    trie, state = build_trie(boosts, UNITS), 0
    for end, unit in enumerate(text, start=1):
        state = follow(trie, state, unit)
        begun = (
            boost * length
            for phrase, boost in boosts.items()
            for length in range(1, len(phrase))
            if text[:end][-length:] == phrase[:length]
        )
        assert np.log(trie.lift[state]) == pytest.approx(max(begun, default=0.0), abs=1e-9)


def said(symbols: list[str], least: float = 0.05) -> Array:
    """Log-probabilities (U, V) of clear syllables with a blank after each."""
    rows = [SYMBOLS.index(symbol) for symbol in symbols for symbol in (symbol, "<blank>")]
    probabilities = np.full((len(rows), len(SYMBOLS)), least / (len(SYMBOLS) - 1))
    probabilities[np.arange(len(rows)), rows] = 1 - least
    return np.asarray(np.log(probabilities), np.float32)


def heard(log_probs: Array, hotwords: Hotwords | None, **options: Any) -> list[str]:
    best = BeamSearch(hotwords=hotwords, **options)(log_probs[None], [len(log_probs)])[0][0]
    return [SYMBOLS[unit] for unit in best.ids]


def test_a_hotword_wins_where_the_sound_is_close() -> None:
    log_probs = said(["chong2", "jing1", "lv4"])
    log_probs[2, SYMBOLS.index("qing4")] = log_probs[2, SYMBOLS.index("jing1")] - 1.5
    assert heard(log_probs, None) == ["chong2", "jing1", "lv4"]
    assert heard(log_probs, Hotwords.parse(["重庆"], SYMBOLS)) == ["chong2", "qing4", "lv4"]
    assert heard(log_probs, Hotwords.parse(["重庆\t0.1"], SYMBOLS)) == ["chong2", "jing1", "lv4"]


@pytest.mark.parametrize("phrase", ["chong2 qing4 bei3 jing1", "qing4 qing4", "lv4 bei3"])
def test_a_phrase_that_is_not_said_leaves_the_score_alone(phrase: str) -> None:
    """Begun phrases that break off, in the middle or at the end of the sentence, give back all that was lent."""
    log_probs = said(["chong2", "qing4", "lv4"])
    plain, boosted = (
        BeamSearch(hotwords=hotwords)(log_probs[None], [len(log_probs)])[0][0]
        for hotwords in (None, Hotwords.parse([f"{phrase}\t2"], SYMBOLS))
    )
    assert (plain.ids, plain.log_prob) == (boosted.ids, boosted.log_prob)
    assert boosted.score == pytest.approx(plain.score, abs=1e-9)


@pytest.mark.parametrize("beam", [2, 5, 20])
def test_begun_phrases_push_nothing_out_of_a_narrow_beam(beam: int) -> None:
    """Uncertain sound, and dozens of phrases that begin everywhere: a result without any is no worse for them."""
    rng, without = np.random.default_rng(beam), 0
    symbols = ("<blank>", "<unk>", *(f"a{number}" for number in range(30)))
    for _ in range(60):
        logits = rng.normal(size=(40, len(symbols))) * 3
        log_probs = np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)), np.float32)
        phrases = (Phrase(tuple(symbols[unit] for unit in rng.integers(2, 32, size=4)), 1.5) for _ in range(40))
        plain, boosted = (
            BeamSearch(beam, min_log_prob=-4.0, hotwords=hotwords)(log_probs[None], [40])[0][0]
            for hotwords in (None, Hotwords(tuple(phrases), symbols))
        )
        if boosted.score == pytest.approx(boosted.log_prob):
            without += 1
            assert boosted.log_prob >= plain.log_prob - 1e-9
    assert without > 10


def test_a_begun_phrase_stays_in_a_narrow_beam_until_it_is_said() -> None:
    """Its second syllable is the least probable of four, by far, until the third makes up for it."""
    symbols = ("<blank>", "<unk>", "a1", "b1", "b2", "b3", "b4", "c1")
    probabilities = np.full((3, len(symbols)), 1e-6)
    probabilities[0, 2], probabilities[1, 3:7], probabilities[2, 7] = 1.0, (0.5, 0.3, 0.17, 0.03), 1.0
    log_probs = np.log(probabilities / probabilities.sum(axis=-1, keepdims=True))
    hotwords = Hotwords((Phrase(("a1", "b4", "c1")),), symbols)
    best = BeamSearch(beam=1, hotwords=hotwords)(log_probs[None], [3])[0][0]
    assert [symbols[unit] for unit in best.ids] == ["a1", "b4", "c1"]


def test_phrases_in_each_other_and_over_each_other_all_count() -> None:
    log_probs = said(["bei3", "jing1", "bei3"])
    hotwords = Hotwords.parse(["bei3 jing1\t1", "bei3 jing1 bei3\t2", "jing1\t3", "jing1 bei3\t1.5"], SYMBOLS)
    best = BeamSearch(hotwords=hotwords)(log_probs[None], [len(log_probs)])[0][0]
    assert best.score - best.log_prob == pytest.approx(1 * 2 + 2 * 3 + 3 * 1 + 1.5 * 2)


def test_lines_in_characters_and_pinyin() -> None:
    lines = ["北京", "", "  重庆银行\t4.5 ", "lü4 Běi jīng", "chong2qing4\t0.5"]
    assert Hotwords.parse(lines, SYMBOLS).phrases == (
        Phrase(("bei3", "jing1"), DEFAULT_BOOST),
        Phrase(("chong2", "qing4", "yin2", "hang2"), 4.5),
        Phrase(("lv4", "bei3", "jing1"), DEFAULT_BOOST),
        Phrase(("chong2", "qing4"), 0.5),
    )
    assert Hotwords.parse(["北京"], SYMBOLS, boost=3.0).phrases[0].boost == 3.0


def test_of_a_phrase_that_stands_twice_the_higher_boost_holds() -> None:
    twice = Hotwords.parse(["北京\t3", "bei3 jing1\t1"], SYMBOLS)
    assert twice.trie.gained.max() == pytest.approx(2 * 3.0)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff北京\r\n重庆\t3\r\n", encoding="utf-8")
    assert Hotwords.load(path, SYMBOLS) == Hotwords.parse(["北京", "重庆\t3"], SYMBOLS)


def test_phrases_that_cannot_be_heard_are_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        hotwords = Hotwords.parse(["北京", "上海", "广州", "重庆"], SYMBOLS, where="words.txt")
    assert [phrase.syllables[0] for phrase in hotwords.phrases] == ["bei3", "chong2"]
    assert caplog.messages == [
        "words.txt: left out 2 of the phrases (shang4 hai3, guang3 zhou1), "
        "because the vocabulary lacks shang4, hai3, guang3, zhou1"
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("上海", "words.txt: no phrase can be heard, because the vocabulary lacks shang4, hai3"),
        ("北京\tmuch", "words.txt:1: after the tab stands the boost, a number such as 3.5; got 'much'"),
        ("北京\t-1", "words.txt:1: the boost of a hotword must be above 0 and at most 20; got -1.0"),
        ("北京\tnan", "must be above 0 and at most 20; got nan"),
        ("beijing1", "words.txt:1: 'beijing1' is not a pinyin syllable"),
        ("K歌", "words.txt:1: 'k歌' is not a pinyin syllable"),
        ("…", "words.txt:1: a hotword needs at least one syllable; got none"),
    ],
)
def test_lines_that_cannot_be_read(line: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        Hotwords.parse([line], SYMBOLS, where="words.txt")
    assert message in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty.txt", tmp_path / "photo.jpg"
    empty.write_text("\n \n")
    binary.write_bytes(b"\xff\xd8\xff\xe0")
    complaints = {empty: "no hotword", binary: "UTF-8", tmp_path: "directory", tmp_path / "none.txt": "No such file"}
    for path, message in complaints.items():
        with pytest.raises(DataError, match=message):
            Hotwords.load(path, SYMBOLS)


def test_phrases_are_checked_against_the_vocabulary() -> None:
    with pytest.raises(DataError, match="vocabulary lacks: shang4"):
        Hotwords((Phrase(("shang4",)),), SYMBOLS)


def test_the_special_symbols_are_no_syllables() -> None:
    with pytest.raises(DataError, match="vocabulary lacks: <blank>"):
        Hotwords((Phrase(("<blank>",)),), SYMBOLS)
