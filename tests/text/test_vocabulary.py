"""Ids of units: stable, reversible, and strict about what they do not know."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.errors import DataError
from dfcnn_ms.text.vocabulary import BLANK, BLANK_ID, UNKNOWN, UNKNOWN_ID, Vocabulary

steady = settings(deadline=None)  # a busy machine is not a fault

UNITS = ("hao3", "ni3", "nv3")

words = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=6)
units = words.filter(lambda word: word not in (BLANK, UNKNOWN))
labels = st.lists(units, min_size=1)


def test_blank_is_0_and_unknown_is_1() -> None:
    vocabulary = Vocabulary(UNITS)
    assert vocabulary.symbols == ("<blank>", "<unk>", "hao3", "ni3", "nv3")
    assert (BLANK_ID, UNKNOWN_ID, len(vocabulary)) == (0, 1, 5)
    assert "ni3" in vocabulary
    assert "ma5" not in vocabulary
    assert "<blank>" not in vocabulary


@steady
@given(st.lists(labels, min_size=1), st.randoms(use_true_random=False))
def test_build_does_not_depend_on_order(corpus: list[list[str]], random: Random) -> None:
    shuffled = random.sample(corpus, len(corpus))
    assert Vocabulary.build(corpus) == Vocabulary.build(iter(shuffled))
    assert list(Vocabulary.build(corpus).units) == sorted({unit for label in corpus for unit in label})


@steady
@given(labels)
def test_decode_undoes_encode(label: list[str]) -> None:
    vocabulary = Vocabulary.build([label])
    ids = vocabulary.encode(label)
    assert vocabulary.decode(ids) == label
    assert min(ids) > UNKNOWN_ID
    assert max(ids) < len(vocabulary)


@steady
@given(labels)
def test_json_round_trip(label: list[str]) -> None:
    vocabulary = Vocabulary.build([label])
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert "\n" not in vocabulary.to_json()


def test_json_keeps_the_order_of_ids() -> None:
    vocabulary = Vocabulary(("b1", "a1"))
    assert Vocabulary.from_json(vocabulary.to_json()).encode(["b1", "a1"]) == [2, 3]


def test_unknown_unit_is_refused_with_place_and_neighbour() -> None:
    wanted = r"^train\.jsonl:12: unit 'nü3' is not one of the 3 in the vocabulary; the nearest .+ 'n[iv]3'$"
    with pytest.raises(DataError, match=wanted):
        Vocabulary(UNITS).encode(["ni3", "nü3"], "train.jsonl:12")
    with pytest.raises(DataError, match=r"^unit 'zhuang4' is not one of the 3 in the vocabulary$"):
        Vocabulary(UNITS).encode(["zhuang4"])


def test_unknown_unit_may_be_allowed() -> None:
    assert Vocabulary(UNITS).encode(["ni3", "ma5"], allow_unknown=True) == [3, UNKNOWN_ID]


def test_a_joined_text_is_not_a_label() -> None:
    with pytest.raises(DataError, match="a label is a list of units"):
        Vocabulary(UNITS).encode("ni3 hao3")


@pytest.mark.parametrize("id", [-1, 5, 400])
def test_an_id_of_another_model_is_refused(id: int) -> None:
    with pytest.raises(DataError, match=rf"id {id} is outside a vocabulary of 5"):
        Vocabulary(UNITS).decode([id])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((), "needs at least one unit"),
        (("a1", "b1", "a1"), "'a1' appears more than once"),
        (("a1", ""), "without blanks; got ''"),
        (("a1", "b 1"), "without blanks; got 'b 1'"),
        (("a1", "b1\n"), "without blanks"),
        (("a1", "<blank>"), "'<blank>' belongs to every vocabulary already"),
        (("a1", "<unk>"), "'<unk>' belongs to every vocabulary already"),
        (("a1", 7), "must be text; got 7"),
        ("a1 b1", "is a list of units"),
    ],
)
def test_a_wrong_vocabulary_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary(wrong)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"units": "a1"}', '{"units": ["a1"], "blank": 3}', '{"units": [1]}']
)
def test_wrong_json_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"vocabulary must be"):
        Vocabulary.from_json(text)


def test_json_is_readable() -> None:
    assert json.loads(Vocabulary(("好", "你")).to_json()) == {"units": ["好", "你"]}
    assert "好" in Vocabulary(("好",)).to_json()


def test_a_vocabulary_cannot_change() -> None:
    with pytest.raises(AttributeError):
        Vocabulary(UNITS).units = ("a1",)  # type: ignore[misc]
