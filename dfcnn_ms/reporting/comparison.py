"""Two evaluations beside each other, as text and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dfcnn_ms.evaluation.comparison import Comparison, Row
from dfcnn_ms.evaluation.results import Heard
from dfcnn_ms.evaluation.runs import Run
from dfcnn_ms.metrics import Difference
from dfcnn_ms.reporting.markup import SPACE, Html, facts, page, section, table, tag
from dfcnn_ms.reporting.sentences import alignment
from dfcnn_ms.reporting.words import many, percent

#: a difference that chance explains more often than this is not called one
CHANCE = 0.05
#: sentences on the page
SENTENCES = 30


def in_words(comparison: Comparison) -> str:
    """The comparison as text for the terminal."""
    first, second = comparison.first, comparison.second
    lines = [
        f"A              {first.name}, {first.decoder}",
        f"B              {second.name}, {second.decoder}",
        f"test set       {many(len(first.heard), 'sentence')}, each heard by both",
    ]
    for row in comparison.rows:
        difference = row.difference
        lines += [
            f"\n{row.name}",
            f"  A            {percent(row.first.rate)}  ({row.first.total} of {row.first.reference_length})",
            f"  B            {percent(row.second.rate)}  ({row.second.total} of {row.second.reference_length})",
            f"  B minus A    {_signed(difference.rate)} points  (95 % interval {_ends(difference)})",
            f"  p-value      {_p(difference)}: {verdict(difference)}",
        ]
    return "\n".join(lines).replace(SPACE, " ")


def _ends(difference: Difference) -> str:
    return f"{_signed(difference.low)} to {_signed(difference.high)}"


def _signed(rate: float) -> str:
    return f"{100 * rate:+.2f}"


def _p(difference: Difference) -> str:
    return f"{difference.p_value:.4f}" if difference.p_value >= 0.001 else "below 0.001"


def verdict(difference: Difference) -> str:
    """What the p-value means, in words."""
    if not difference.rate:
        return "as many errors in both"
    if difference.p_value >= CHANCE:
        return "the difference may be chance"
    return f"{'B' if difference.rate < 0 else 'A'} makes fewer errors"


def comparison_page(comparison: Comparison) -> str:
    """One page for the browser; like the page of one evaluation it fetches nothing."""
    first, second, row = comparison.first, comparison.second, comparison.rows[0]
    title = f"{second.name} against {first.name}: {_signed(row.difference.rate)} points"
    changed = _changed(first.heard, second.heard)
    return page(title, _opening(first, second), _headline(row), _rates(comparison.rows), *changed)


def _opening(first: Run, second: Run) -> Html:
    about = f"A is {first.name}, {first.decoder}; B is {second.name}, {second.decoder}. "
    about += f"Both heard the same {many(len(first.heard), 'sentence')}."
    kicker = tag("p", "Two evaluations compared", class_="kicker")
    return tag("header", kicker, tag("h1", "Does B make fewer errors than A?"), tag("p", about, class_="about"))


def _headline(row: Row) -> Html:
    difference = row.difference
    rate = tag("div", _signed(difference.rate), tag("small", f"{SPACE}points"), class_="rate")
    meta = f"95{SPACE}% interval {_ends(difference)}; p-value {_p(difference)}"
    told = facts({"wrong in A": percent(row.first.rate), "wrong in B": percent(row.second.rate)})
    words = f"B is better in {many(difference.better, 'sentence')} and worse in {difference.worse:,}: "
    right = tag("div", told, tag("p", words + verdict(difference) + "."))
    return tag("div", tag("div", rate, tag("p", meta, class_="meta")), right, class_="headline")


def _rates(rows: Sequence[Row]) -> Html:
    heads = ["rate", "A", "B", "B - A in points", "95 % interval", "p-value"]
    cells = [
        (
            row.name,
            percent(row.first.rate),
            percent(row.second.rate),
            _signed(row.difference.rate),
            _ends(row.difference),
            _p(row.difference),
        )
        for row in rows
    ]
    note = (
        "Sentences (or speakers) are drawn anew 10,000 times, each with what both made of it. The two-sided p-value is "
        "the share of draws that lie as far from the difference found as zero does."
    )
    return section("Every rate", table("wnnnnn", heads, cells), note=note)


def _changed(first: Sequence[Heard], second: Sequence[Heard]) -> Iterator[Html]:
    """The sentences in which one of the two makes more errors, those that differ most first."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a.edits.total != b.edits.total]
    if not pairs:
        return
    pairs.sort(key=lambda pair: -abs(pair[1].edits.total - pair[0].edits.total))
    note = f"One of the two makes more errors in {many(len(pairs), 'sentence')}"
    note += f"; these {SENTENCES} differ most." if len(pairs) > SENTENCES else "."
    yield section("Where they differ", *(_card(a, b) for a, b in pairs[:SENTENCES]), note=note)


def _card(first: Heard, second: Heard) -> Html:
    utterance = first.utterance
    words = ", ".join(filter(None, [utterance.speaker, f"errors: A {first.edits.total}, B {second.edits.total}"]))
    text = [tag("p", utterance.text, class_="meta", lang="zh")] if utterance.text else []
    pieces = [tag("h3", utterance.id), tag("p", words, class_="meta"), *text]
    sides = [piece for name, one in (("A", first), ("B", second)) for piece in (tag("h4", name), alignment(one.pairs))]
    return tag("article", tag("header", *pieces), *sides)
