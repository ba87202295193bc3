"""A sentence is one printable line of bounded length, whatever it quotes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dfcnn_ms.errors import LONGEST_SENTENCE, DataError


@given(st.text())
def test_any_name_gives_one_line(name: str) -> None:
    said = str(DataError(f"{name}: no such file"))
    assert said.isprintable() and said.endswith(": no such file")


@given(st.text("abc \u4f60", max_size=LONGEST_SENTENCE))
def test_what_fits_is_said_as_it_is(text: str) -> None:
    assert str(DataError(text)) == text


def test_a_long_one_keeps_its_place_and_its_cure() -> None:
    said = str(DataError(f"a.tsv:3: {'x' * 10**6} is no number; give one"))
    assert said.startswith("a.tsv:3: xx") and said.endswith("is no number; give one") and len(said) <= LONGEST_SENTENCE
