"""Edits against a slow truth and against jiwer; rates and intervals of corpora."""

from __future__ import annotations

import math

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2, permutation_test, t

from dfcnn_ms import metrics
from dfcnn_ms.errors import DataError
from dfcnn_ms.metrics import (
    Difference,
    Edits,
    Scatter,
    align,
    bootstrap_interval,
    characters,
    edits,
    paired_bootstrap,
    score_interval,
)

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


@steady
@given(st.integers(0, 300), st.integers(1, 5000), st.floats(1, 20), st.integers(1, 2000))
def test_from_the_ends_of_a_score_interval_the_rate_found_is_just_reached(
    errors: int, units: int, ratio: float, degrees: int
) -> None:
    low, high = score_interval(Edits(errors, 0, 0, units), Scatter(ratio, degrees))
    assert 0 <= low <= errors / units < high
    for end in (low, high):
        reached = t.ppf(0.975, degrees) ** 2 * ratio * end / units
        assert (errors / units - end) ** 2 == pytest.approx(reached, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("errors", [0, 1, 3, 10, 100])
def test_independent_errors_have_nearly_the_exact_upper_end(errors: int) -> None:
    """That of Garwood, exact for the Poisson distribution."""
    _, high = score_interval(Edits(errors, 0, 0, 1000), Scatter(1.0, 10_000))
    assert high == pytest.approx(chi2.ppf(0.975, 2 * errors + 2) / 2000, rel=0.05)


def test_scatter_is_that_of_the_rates() -> None:
    rng = np.random.default_rng(0)
    alone = [Edits(int(errors), 0, 0, 50, 1) for errors in rng.poisson(5, size=4000)]
    assert Scatter.of(alone).ratio == pytest.approx(1, abs=0.08)
    by_sevens = [Edits(7 * one.substitutions, 0, 0, 350, 1) for one in alone]  # errors come seven at a time
    assert Scatter.of(by_sevens).ratio == pytest.approx(7, rel=0.08)
    assert Scatter.of(alone[:12]).degrees == 11
    assert Scatter.of([Edits(0, 0, 0, 9, 1)] * 3) == Scatter(1.0, 2)
    assert Scatter.of([Edits()]) == Scatter(1.0, 1)


def draw_speakers(rng: np.random.Generator, count: int, rate: float) -> list[Edits]:
    """Speakers with 150 syllables each, whose rates differ by 60 %."""
    rates = rng.gamma(1 / 0.6**2, rate * 0.6**2, size=count)
    return [Edits(int(errors), 0, 0, 150, 30) for errors in rng.poisson(150 * rates)]


@pytest.mark.parametrize("rate", [0.005, 0.05, 0.3])
@pytest.mark.parametrize("speakers", [3, 5, 12])
def test_few_speakers_are_enough_for_a_score_interval_that_holds(speakers: int, rate: float) -> None:
    rng = np.random.default_rng(0)
    draws = [draw_speakers(rng, speakers, rate) for _ in range(600)]
    found = [score_interval(sum(drawn, Edits()), Scatter.of(drawn)) for drawn in draws]
    assert sum(low <= rate <= high for low, high in found) / len(found) > 0.92


def test_for_few_speakers_the_bootstrap_is_too_sure() -> None:
    """Why the page does not draw speakers."""
    rng = np.random.default_rng(0)
    draws = [draw_speakers(rng, 4, 0.05) for _ in range(200)]
    found = [bootstrap_interval(drawn, rng=rng, samples=100) for drawn in draws]
    assert sum(low <= 0.05 <= high for low, high in found) / len(found) < 0.85


def test_nothing_said_bounds_nothing() -> None:
    assert score_interval(Edits(), Scatter(1.0, 5)) == (0.0, math.inf)


def test_interval_needs_utterances_and_a_level() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="at least one utterance"):
        bootstrap_interval([], rng=rng)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        bootstrap_interval([Edits()], rng=rng, level=95)


def flat(errors: list[int], length: int = 10) -> list[Edits]:
    return [Edits(substitutions=count, reference_length=length, utterances=1) for count in errors]


def compared(first: list[int], second: list[int], **options: int) -> Difference:
    return paired_bootstrap(flat(first), flat(second), rng=np.random.default_rng(0), **options)


@pytest.mark.parametrize(("worse", "utterances"), [(1, 20), (3, 20), (4, 40), (6, 60)])
def test_p_value_where_it_can_be_calculated(worse: int, utterances: int) -> None:
    """The second system is never better: how many worse utterances a draw has is binomial."""
    found = compared([0] * utterances, [1] * worse + [0] * (utterances - worse), samples=100_000)
    drawn = binom(utterances, worse / utterances)
    assert found.p_value == pytest.approx(drawn.cdf(0) + drawn.sf(2 * worse - 1), rel=0.15)
    assert (found.better, found.worse) == (0, worse)
    assert found.rate == pytest.approx(worse / (10 * utterances))


def test_few_utterances_that_differ_prove_as_little_as_tosses_of_a_coin() -> None:
    """Where systems differ in a few utterances, and all in one direction, the sign test is exact."""
    for worse in (3, 5, 7):
        found = compared([0] * 400, [1] * worse + [0] * (400 - worse))
        assert 0.4 < found.p_value / (2 * 0.5**worse) < 1.2


def test_p_value_is_close_to_that_of_swapping_the_systems() -> None:
    """Of utterances with as many units, scipy's permutation test asks the same question in another way."""
    rng = np.random.default_rng(3)
    first, second = rng.poisson(1.0, 300), rng.poisson(1.15, 300)

    def change(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean(b - a, axis=axis)

    swapped = permutation_test((first, second), change, permutation_type="samples", n_resamples=5_000, rng=rng)
    found = compared(first.tolist(), second.tolist())
    assert 0.01 < swapped.pvalue < 0.5
    assert found.p_value == pytest.approx(swapped.pvalue, rel=0.25)


def test_equal_systems_seldom_seem_to_differ() -> None:
    """Two systems of the same kind fall below 0.05 in about 5 of 100 test sets."""
    rng = np.random.default_rng(1)
    pairs = ((rng.poisson(0.8, 80).tolist(), rng.poisson(0.8, 80).tolist()) for _ in range(400))
    below = np.mean([compared(first, second, samples=500).p_value < 0.05 for first, second in pairs])
    assert 0.02 < below < 0.09


def test_interval_and_p_value_say_the_same() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        found = compared(rng.poisson(1.0, 50).tolist(), rng.poisson(1.3, 50).tolist(), samples=2_000)
        if abs(found.p_value - 0.05) > 0.005:
            assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_pairing_sees_what_two_intervals_do_not() -> None:
    """One utterance in ten is better by one edit, and all are hard or easy for both."""
    hard = np.random.default_rng(0).integers(0, 9, 400)
    better = np.where(np.arange(400) % 10 == 0, np.maximum(hard - 1, 0), hard)
    first, second = flat(hard.tolist()), flat(better.tolist())
    rng = np.random.default_rng(0)
    assert bootstrap_interval(first, rng=rng)[0] < bootstrap_interval(second, rng=rng)[1]
    assert compared(hard.tolist(), better.tolist()).p_value < 0.001


def test_swapping_the_systems_turns_the_difference_round() -> None:
    first, second = [2, 0, 1, 3, 0, 1], [1, 0, 1, 1, 1, 0]
    one, other = compared(first, second), compared(second, first)
    assert one.rate == -other.rate
    assert (one.low, one.high, one.p_value) == pytest.approx((-other.high, -other.low, other.p_value))
    assert (one.better, one.worse) == (other.worse, other.better) == (3, 1)


def test_the_same_twice_does_not_differ() -> None:
    found = compared([1, 0, 2], [1, 0, 2])
    assert found == Difference(rate=0.0, low=0.0, high=0.0, p_value=1.0, better=0, worse=0)


def test_draws_in_portions_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compared([1, 0, 2, 1], [0, 0, 1, 2], samples=64)
    monkeypatch.setattr(metrics, "DRAWS_AT_ONCE", 40)
    assert compared([1, 0, 2, 1], [0, 0, 1, 2], samples=64) == whole


def test_what_cannot_be_compared() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="reference lengths differ"):
        paired_bootstrap(flat([1]), flat([1], length=9), rng=rng)
    with pytest.raises(DataError, match="in which something is said"):
        paired_bootstrap(flat([1], length=0), flat([0], length=0), rng=rng)
    with pytest.raises(DataError, match="in which something is said"):
        paired_bootstrap([], [], rng=rng)


def test_silent_utterances_can_be_among_them() -> None:
    first, second = flat([0, 1], length=0) + flat([1]), flat([1, 1], length=0) + flat([0])
    found = paired_bootstrap(first, second, rng=np.random.default_rng(0), samples=200)
    assert found.rate == 0.0
    assert math.isfinite(found.low) and math.isfinite(found.high)


@steady
@given(st.text("你好吗ABc7Ｏ", max_size=20), st.text("，。！？、 \t—…《》", max_size=5))
def test_punctuation_is_no_character(text: str, marks: str) -> None:
    assert characters(text + marks) == characters(marks + text) == characters(text)
    assert len(characters(text)) == len(text)


def test_character_error_rate_is_that_of_jiwer() -> None:
    said, written = "今天天气很好，我们去公园。", "今天天汽好 我们去 公园吧"
    assert edits(characters(said), characters(written)).rate == jiwer.cer(
        "今天天气很好我们去公园", "今天天汽好我们去公园吧"
    )


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_interval_leaves_out_as_much_below_as_above(level: float) -> None:
    """Utterances of one syllable, half of them wrong: the rates drawn follow the binomial distribution."""
    count = 400
    counts = [Edits(n % 2, 0, 0, 1, 1) for n in range(count)]
    found = bootstrap_interval(counts, rng=np.random.default_rng(0), samples=10_000, level=level)
    exact = binom.ppf([(1 - level) / 2, (1 + level) / 2], count, 0.5) / count
    np.testing.assert_allclose(found, exact, atol=1.01 / count)


def test_characters_of_a_text_with_a_million_marks() -> None:
    """Sorting so many marks on one letter would take a quarter of an hour."""
    assert characters("a" + "\u0301\u0323" * 500_000 + "绿") == ["\u1ea1", "绿"]
