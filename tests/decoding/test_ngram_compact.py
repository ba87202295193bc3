"""The compact form of a language model: what is rounded and how far, what is not, and what of it is refused."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dfcnn_ms.decoding.ngram import NgramModel, train
from dfcnn_ms.decoding.ngram.compact import STEPS, in_steps
from dfcnn_ms.errors import DataError

steady = settings(deadline=None, max_examples=100)

#: words of the model below; the most frequent is drawn a hundred times as often as the last
WORDS = [f"w{number}" for number in range(60)]


def drawn(sentences: int, seed: int) -> list[list[str]]:
    """Sentences in which a word goes before some words more often than before others."""
    rng = np.random.default_rng(seed)
    weights = 1 / (1 + np.arange(len(WORDS)))
    text = []
    for length in rng.integers(1, 12, sentences):
        word, sentence = 0, []
        for draw in rng.choice(len(WORDS), length, p=weights / weights.sum()):
            word = (word + int(draw)) % len(WORDS)
            sentence.append(WORDS[word])
        text.append(sentence)
    return text


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return train(drawn(4000, seed=0), order=3)


@pytest.fixture
def path(model: NgramModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "model.lmz")
    return tmp_path / "model.lmz"


def test_the_n_grams_and_what_single_words_have_are_kept(model: NgramModel, path: Path) -> None:
    loaded = NgramModel.load(path)
    assert loaded.words == model.words and loaded.counts == model.counts
    for name in ("first_child", "word", "link"):
        assert np.array_equal(getattr(loaded.trie, name), getattr(model.trie, name)), name
    words = slice(0, 1 + len(model.words))
    assert np.array_equal(loaded.trie.log10_prob[words], model.trie.log10_prob[words])
    assert np.array_equal(loaded.trie.log10_backoff[words], model.trie.log10_backoff[words])


def test_a_text_is_as_likely_as_before_to_two_thousandths(model: NgramModel, path: Path) -> None:
    assert len(np.unique(model.trie.log10_prob)) > 5 * STEPS  # so that much is rounded
    loaded, text = NgramModel.load(path), drawn(500, seed=1)
    assert loaded.perplexity(text) == pytest.approx(model.perplexity(text), rel=0.002)


def test_what_can_follow_a_context_adds_up_to_one(path: Path) -> None:
    loaded = NgramModel.load(path)
    scorer = loaded.scorer([*loaded.words[:1], *loaded.words[3:]])  # every word and <unk>
    states = [scorer.start]
    for unit in (1, 5, 2, 30, 59):
        states.append(scorer.next(states[-1], unit))
    for state in states:
        assert np.exp(scorer.score(state)).sum() + math.exp(scorer.finish(state)) == pytest.approx(1, abs=0.03)


def test_it_is_a_sixth_as_long(model: NgramModel, path: Path) -> None:
    model.save(path.with_name("model.bin"))
    assert path.stat().st_size < path.with_name("model.bin").stat().st_size / 6


def test_the_same_model_gives_the_same_bytes_and_once_rounded_stays(path: Path) -> None:
    loaded = NgramModel.load(path)
    loaded.save(path.with_name("again.lmz"))
    assert path.with_name("again.lmz").read_bytes() == path.read_bytes()


@steady
@given(arrays(np.float32, st.integers(1, 2000), elements=st.floats(-20, 0, width=32)))
def test_steps_hold_the_mean_of_their_values(values: np.ndarray) -> None:
    steps, codes = in_steps(values)
    assert steps.shape == (1 + STEPS,) and codes.shape == values.shape
    assert np.array_equal(codes == 0, values == 0) and steps[0] == 0
    held = defaultdict(list)
    for value, code in zip(values, codes, strict=True):
        held[int(code)].append(value)
    for code, those in held.items():
        assert steps[code] == pytest.approx(np.mean(those, dtype=np.float64), rel=1e-6)
    if len(np.unique(values)) <= STEPS:
        assert np.array_equal(steps[codes], values)
    order = np.argsort(values, kind="stable")
    assert (np.diff(steps[codes[order]]) >= 0).all()  # the larger one is never rounded to the smaller number


@pytest.mark.parametrize("far", [1.0, 99.0, 9e29])
def test_no_value_is_moved_by_more_than_a_step_even_where_one_lies_far_away(far: float) -> None:
    """Tools write -99 for what is impossible; that must not make the steps of the others wider."""
    values = np.append(-np.random.default_rng(0).uniform(0.1, 0.9, 50_000), -far).astype(np.float32)
    steps, codes = in_steps(values)
    assert np.abs(steps[codes] - values)[:-1].max() < (1.2 * 0.8 / STEPS if far < 1000 else 0.8)
    assert steps[codes[-1]] == pytest.approx(-far, rel=0.01 if far > 1 else 0.2)


@pytest.mark.parametrize("cut", [9, 31])
def test_one_that_ends_within_its_head_is_named(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"model\.lmz: truncated: it ends within its head"):
        NgramModel.load(path)


@pytest.mark.parametrize("cut", [40, 1000, -1])
def test_a_truncated_one_is_named(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"model\.lmz: truncated or corrupt: its checksum is wrong"):
        NgramModel.load(path)


@pytest.mark.parametrize("place", [16, 40, 120, -1])
def test_one_wrong_bit_is_found(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"model\.lmz: truncated or corrupt"):
        NgramModel.load(path)


def test_another_version_is_named(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8] = 7
    path.write_bytes(data)
    with pytest.raises(DataError, match="version 7 of the format, wanted 1"):
        NgramModel.load(path)


def change(path: Path, table: bytes | None = None, content: Callable[[bytes], bytes] | None = None) -> None:
    """Writes another table or other content, with a right checksum."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data, 16)
    table = data[32 : 32 + length] if table is None else table
    packed = data[32 + length :]
    if content:
        packed = zlib.compress(content(zlib.decompress(packed)))
    checked = struct.pack("<Q8x", len(table)) + table + packed
    path.write_bytes(data[:12] + struct.pack("<I", zlib.crc32(checked)) + checked)


TABLES = {
    **{text: text.encode() for text in ("", "{", "[]", "7", "null", "{}", "[" * 100_000)},
    "no text": b"\xff\xfe{}",
    "no counts": json.dumps({"words": 10}).encode(),
    **{
        f"words of {value!r}": json.dumps({"words": value, "counts": [63, 1000, 2000]}).encode()
        for value in (0, -1, 1, 10**12, True, None, "5")
    },
    **{
        f"counts of {value!r}": json.dumps({"words": 200, "counts": value}).encode()
        for value in ([], [0], [63], [63, -1], [63, 2.5], [63, 10**12], [True], "63", None, 63)
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_says_something_else_is_found(path: Path, name: str) -> None:
    change(path, table=TABLES[name])
    with pytest.raises(DataError, match=r"model\.lmz: damaged: its table does not say what is in it") as caught:
        NgramModel.load(path)
    assert "\n" not in str(caught.value)


#: what becomes of the content, and what is said
CONTENTS = {
    "more": (lambda content: content + b"\0", "its table does not say"),
    "less": (lambda content: content[:-1], "its table does not say"),
    "other words": (lambda content: b"<s>" + content[3:], "its words do not begin with <unk>, <s>, </s>"),
    "words that are no text": (lambda content: b"\xff" + content[1:], "its table does not say"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_content_that_was_changed_is_found(path: Path, name: str) -> None:
    content, message = CONTENTS[name]
    change(path, content=content)
    with pytest.raises(DataError, match=rf"model\.lmz: damaged: {message}"):
        NgramModel.load(path)


def test_words_and_numbers_that_compiled_code_could_not_follow_are_refused(model: NgramModel, path: Path) -> None:
    """The arrays lie in this order: of the words, how many go on from each, which, and their steps."""
    words, pairs = model.counts[:2]
    text = len("\n".join(model.words).encode())
    children = text + 8 * words
    last_words = children + 2 * words
    steps = last_words + 2 * pairs

    def with_number(place: int, kind: str, value: float) -> Callable[[bytes], bytes]:
        def put(content: bytes) -> bytes:
            changed = bytearray(content)
            struct.pack_into(kind, changed, place, value)
            return bytes(changed)

        return put

    whole = path.read_bytes()
    for place, kind, value, message in (
        (children + 2 * 5, "<H", 60_000, "its table does not say"),  # more go on from one than there are
        (last_words, "<H", words, "its table does not say"),  # no word
        (last_words + 2, "<H", 0, "no tree of its words"),  # out of order
        (text, "<f", 0.5, "log10-probabilities lie"),
        (text, "<f", math.nan, "log10-probabilities lie"),
        (steps + 4 * 9, "<f", math.inf, "log10-probabilities lie"),
        (text + 4 * words + 4, "<f", math.nan, "back-off weights lie"),
    ):
        path.write_bytes(whole)
        change(path, content=with_number(place, kind, value))
        with pytest.raises(DataError, match=rf"damaged: .*{message}"):
            NgramModel.load(path)


def test_a_vocabulary_of_more_than_two_bytes_is_kept(tmp_path: Path) -> None:
    """Of characters and words of other languages, say."""
    big = train([[f"v{number}" for number in range(70_000)], ["v1", "v69999"]], order=2)
    big.save(tmp_path / "big.lmz")
    loaded = NgramModel.load(tmp_path / "big.lmz")
    assert loaded.words == big.words and loaded.counts == big.counts
    assert np.array_equal(loaded.trie.word, big.trie.word)
    assert loaded.log_prob(["v1", "v69999"]) == pytest.approx(big.log_prob(["v1", "v69999"]), abs=1e-3)
