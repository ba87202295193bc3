"""Edits against a slow truth and against jiwer; rates and intervals of corpora."""

from __future__ import annotations

import math

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.errors import DataError
from dfcnn_ms.metrics import Edits, align, bootstrap_interval, edits

steady = settings(deadline=None)  # a busy machine is not a fault

label = st.lists(st.sampled_from(["a1", "a2", "ba1", "ma5"]), max_size=12)


def slow_distance(reference: list[str], hypothesis: list[str]) -> int:
    """The table of the textbook."""
    table = np.add.outer(np.arange(len(reference) + 1), np.arange(len(hypothesis) + 1))
    for i, said in enumerate(reference, start=1):
        for j, written in enumerate(hypothesis, start=1):
            steps = (table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (said != written))
            table[i, j] = min(steps)
    return int(table[-1, -1])


@steady
@given(label, label)
def test_total_is_the_edit_distance(reference: list[str], hypothesis: list[str]) -> None:
    assert edits(reference, hypothesis).total == slow_distance(reference, hypothesis)


@steady
@given(st.lists(st.tuples(label.filter(bool), label), min_size=1, max_size=5))
def test_counts_are_those_of_jiwer(pairs: list[tuple[list[str], list[str]]]) -> None:
    counts = sum((edits(reference, hypothesis) for reference, hypothesis in pairs), Edits())
    truth = jiwer.process_words([" ".join(r) for r, _ in pairs], [" ".join(h) for _, h in pairs])
    assert counts.rate == pytest.approx(truth.wer)
    assert (counts.substitutions, counts.deletions, counts.insertions, counts.utterances) == (
        truth.substitutions,
        truth.deletions,
        truth.insertions,
        len(pairs),
    )


@steady
@given(label, label)
def test_alignment_holds_both_sides_and_the_counts(reference: list[str], hypothesis: list[str]) -> None:
    pairs = align(reference, hypothesis)
    counts = edits(reference, hypothesis)
    assert [said for said, _ in pairs if said is not None] == reference
    assert [written for _, written in pairs if written is not None] == hypothesis
    assert counts.deletions == sum(written is None for _, written in pairs)
    assert counts.insertions == sum(said is None for said, _ in pairs)
    assert counts.total == sum(said != written for said, written in pairs)
    assert (None, None) not in pairs


def test_golden_alignment() -> None:
    reference, hypothesis = ["jin1", "tian1", "qi4", "hao3"], ["tian1", "qi4", "hen3", "hao4", "a5"]
    assert align(reference, hypothesis) == [
        ("jin1", None),
        ("tian1", "tian1"),
        ("qi4", "qi4"),
        (None, "hen3"),
        (None, "hao4"),
        ("hao3", "a5"),
    ]
    assert edits(reference, hypothesis) == Edits(1, 1, 2, 4, 1)


def test_two_substitutions_or_a_deletion_and_an_insertion() -> None:
    counts = edits(["a1", "ba1"], ["ba1", "ma5"])
    assert counts.total == 2
    assert (counts.substitutions, counts.deletions, counts.insertions) in {(2, 0, 0), (0, 1, 1)}


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [("a1", "a1 o1 e1", 2.0), ("a1", "", 1.0), ("", "", 0.0), ("", "a1", math.inf), ("a1 o1", "a1 e1", 0.5)],
)
def test_rates_of_the_edges(reference: str, hypothesis: str, rate: float) -> None:
    assert edits(reference.split(), hypothesis.split()).rate == rate


def test_a_corpus_is_counted_before_it_is_divided() -> None:
    counts = [edits(["a1"], ["o1"]), edits(["a1"] * 9, ["a1"] * 9)]
    assert sum(counts, Edits()) == Edits(substitutions=1, reference_length=10, utterances=2)
    assert sum(counts, Edits()).rate == 0.1


def test_tuples_and_lists_are_the_same_label() -> None:
    assert edits(("ni3", "hao3"), ["ni3"]) == edits(["ni3", "hao3"], ("ni3",))


def test_a_joined_text_is_refused() -> None:
    with pytest.raises(TypeError, match="lists of units"):
        edits("ni3 hao3", ["ni3"])


def test_only_edits_are_added() -> None:
    with pytest.raises(TypeError):
        Edits() + 1  # type: ignore[operator]


def test_interval_holds_the_rate_and_narrows() -> None:
    rng = np.random.default_rng(0)
    counts = [Edits(substitutions=int(rng.random() < 0.1) * 5, reference_length=10, utterances=1) for _ in range(400)]
    rate = sum(counts, Edits()).rate
    low, high = bootstrap_interval(counts, rng=rng)
    assert low < rate < high
    # Binomial theory: the deviation of the rate is 0.5 * sqrt(p (1 - p) / n).
    assert (high - low) / 2 == pytest.approx(1.96 * 0.5 * math.sqrt(0.1 * 0.9 / 400), rel=0.25)
    narrow = bootstrap_interval(counts, rng=rng, level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_interval_depends_only_on_its_generator() -> None:
    counts = [edits(["a1"], ["a1"]), edits(["a1"], ["o1"])]
    first, second = (bootstrap_interval(counts, rng=np.random.default_rng(7), samples=50) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("one", "interval"),
    [
        (Edits(0, 0, 0, 10, 1), (0.0, 0.0)),
        (Edits(5, 0, 0, 10, 1), (0.5, 0.5)),
        (Edits(0, 0, 3, 0, 1), (math.inf, math.inf)),
    ],
)
def test_interval_of_equal_utterances_is_a_point(one: Edits, interval: tuple[float, float]) -> None:
    assert bootstrap_interval([one] * 3, rng=np.random.default_rng(0), samples=20) == interval


def test_interval_needs_utterances_and_a_level() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="at least one utterance"):
        bootstrap_interval([], rng=rng)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        bootstrap_interval([Edits()], rng=rng, level=95)
