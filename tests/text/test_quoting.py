"""How messages show what somebody wrote: short, on one line, and never a failure of their own."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.text.quoting import MOST_SHOWN, is_text, printable, quoted, shortened

steady = settings(deadline=None)  # a busy machine is not a fault

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@steady
@given(anything)
def test_what_is_short_is_shown_as_it_is_and_all_is_short(value: object) -> None:
    assert len(quoted(value)) <= MOST_SHOWN
    assert len(repr(value)) > MOST_SHOWN or quoted(value) == repr(value)
    assert "\n" not in quoted(value) and is_text(quoted(value))


def test_nothing_is_too_much() -> None:
    for value in ("a" * 10**7, 10**6000, -(10**6000), [10**6000], nested(100_000), b"x" * 10**6):
        assert 0 < len(quoted(value)) <= MOST_SHOWN


def test_both_ends_are_shown() -> None:
    assert quoted("a" * 1000 + "b").startswith("'aaa") and quoted("a" * 1000 + "b").endswith("aab'")
    assert shortened("x" * MOST_SHOWN) == "x" * MOST_SHOWN
    assert quoted(10**400) == "a whole number of 1329 bits"  # log2(10) * 400 = 1328.8


@steady
@given(st.text(st.characters()))
def test_what_is_text_can_be_written_and_the_rest_is_escaped(value: str) -> None:
    assert is_text(value) == (value == value.encode(errors="replace").decode())
    assert is_text(printable(value))
    assert (printable(value) == value) == is_text(value)


def test_half_of_a_pair_is_no_text() -> None:
    assert not is_text("\ud800") and not is_text("绿\udcff")
    assert printable("绿\udcff") == "绿\\udcff"
