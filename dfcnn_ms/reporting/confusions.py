"""Which syllables are taken for which: a table, a matrix, and the part of the syllable that is wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.reporting.markup import Html, bar, facts, section, table, tag
from dfcnn_ms.reporting.results import NOTHING, Pair, Result, parts, percent, total, written

#: rows of the table
CONFUSIONS = 20
#: units that still make a readable matrix, and those that leave room for figures in it
MATRIX_UNITS, MATRIX_FIGURES = 60, 20
#: sides of a cell and of the margin that holds the names, in units of the drawing
CELL, MARGIN = 24, 46

PARTS = ("initial", "final", "tone")


def confusions(results: Sequence[Result]) -> Html | None:
    """The chapter; None when nothing was confused."""
    pairs = Counter(pair for result in results for pair in result.pairs)
    if all(said == heard for said, heard in pairs):
        return None
    matrix, syllables = _matrix(pairs), _parts(results, pairs)
    left = [tag("h3", "Most frequent confusions"), _table(results, pairs)]
    left, right = (left + syllables, matrix) if matrix else (left, syllables)
    note = f"A dash ({NOTHING}) stands for nothing: said but not heard, or heard but not said."
    columns = [tag("div", *column) for column in (left, right) if column]
    return section("Which syllables", tag("div", *columns, class_="columns"), note=note)


def _table(results: Sequence[Result], pairs: Counter[Pair]) -> Html:
    said = Counter(syllable for result in results for syllable in result.utterance.pinyin)
    wrong = [(pair, count) for pair, count in pairs.items() if pair[0] != pair[1]]
    # None sorts behind every unit.
    wrong.sort(key=lambda entry: (-entry[1], *((unit is None, unit or "") for unit in entry[0])))
    most = wrong[0][1]
    rows = [
        (
            written(pair[0]),
            written(pair[1]),
            f"{count:,}",
            f"{said[pair[0]]:,}" if pair[0] else "",
            _in_words(differing(pair)),
            bar(count / most),
        )
        for pair, count in wrong[:CONFUSIONS]
    ]
    return table("wwnnwb", ["said", "heard", "times", "of", "differ in", ""], rows)


def differing(pair: Pair) -> tuple[str, ...]:
    """Which parts of two syllables differ; nothing to say unless both are syllables."""
    one, other = (parts(unit) if unit else None for unit in pair)
    if one is None or other is None:
        return ()
    return tuple(name for name, a, b in zip(PARTS, one, other, strict=True) if a != b)


def _in_words(names: tuple[str, ...]) -> str:
    return "all parts" if names == PARTS else ", ".join(names)


def toneless(syllable: str) -> str:
    """A syllable without its tone; any other unit as it is."""
    return syllable[:-1] if parts(syllable) else syllable


def _parts(results: Sequence[Result], pairs: Counter[Pair]) -> list[Html]:
    """Rates with and without tones, and how often each part is wrong; nothing if units are no syllables."""
    if not all(parts(said) for said, _ in pairs if said):
        return []
    whole = Counter({pair: count for pair, count in pairs.items() if None not in pair})
    wrong = Counter[str]()
    for pair, count in whole.items():
        for part in differing(pair):
            wrong[part] += count
    aligned, most = max(1, sum(whole.values())), max(wrong.values(), default=1)
    rows = [(part, f"{wrong[part]:,}", percent(wrong[part] / aligned), bar(wrong[part] / most)) for part in PARTS]
    heads = ["part", "wrong", f"of {aligned:,}", ""]
    return [tag("h3", "Parts of the syllable"), _with_and_without_tones(results), table("wnnb", heads, rows)]


def _with_and_without_tones(results: Sequence[Result]) -> Html:
    sides = (([*map(toneless, r.utterance.pinyin)], [*map(toneless, r.syllables)]) for r in results)
    without = sum((edits(said, heard) for said, heard in sides), Edits())
    return facts({"wrong, tones counted": percent(total(results).rate), "wrong, tones left out": percent(without.rate)})


def _matrix(pairs: Counter[Pair]) -> list[Html]:
    """Said against heard as a picture, where the units are few."""
    units = sorted({unit for pair in pairs for unit in pair if unit is not None})
    if not 2 <= len(units) <= MATRIX_UNITS:
        return []
    drawing = tag("div", _drawing(pairs, [*units, None]), class_="scroll")
    return [tag("h3", "Said (rows) and heard (columns)"), drawing]


def _drawing(pairs: Counter[Pair], units: Sequence[str | None]) -> Html:
    side = MARGIN + CELL * len(units)
    strongest = max(count for pair, count in pairs.items() if pair[0] != pair[1])
    shapes = [name for index, unit in enumerate(units) for name in _names(unit or NOTHING, index)]
    places = {unit: index for index, unit in enumerate(units)}
    for pair in sorted(pairs, key=lambda pair: [places[unit] for unit in pair]):
        shade = 1.0 if pair[0] == pair[1] else math.sqrt(pairs[pair] / strongest)
        row, column = (places[unit] for unit in pair)
        shapes += _cell(pair, row, column, pairs[pair], shade, figure=len(units) <= MATRIX_FIGURES)
    return tag(
        "svg",
        *shapes,
        class_="matrix",
        viewBox=f"0 0 {side} {side}",
        style=f"min-width:{min(side, 15 * len(units))}px;max-width:{1.5 * side:.0f}px",
        role="img",
        aria_label="confusion matrix",
    )


def _cell(pair: Pair, row: int, column: int, count: int, shade: float, *, figure: bool) -> Iterator[Html]:
    """A square, the darker the more often, with the number in it where there is room."""
    x, y = MARGIN + CELL * column, MARGIN + CELL * row
    said, heard = (unit or NOTHING for unit in pair)
    kind = "hit" if said == heard else "wrong"
    yield tag(
        "rect",
        tag("title", f"{said} heard as {heard}: {count:,}"),
        class_=kind,
        x=f"{x + 1}",
        y=f"{y + 1}",
        width=f"{CELL - 2}",
        height=f"{CELL - 2}",
        rx="2",
        fill_opacity=f"{shade:.2f}",
    )
    if figure:
        ink = "strong" if kind == "wrong" and shade > 0.8 else "count"
        yield _text(f"{count}", x + CELL / 2, y + CELL / 2 + 3, class_=ink, text_anchor="middle", font_size="8.5")


def _names(name: str, index: int) -> Iterator[Html]:
    """The name of a unit before its row and over its column."""
    middle = MARGIN + CELL * (index + 0.5)
    yield _text(name, MARGIN - 6, middle + 3.5, text_anchor="end")
    yield _text(name, 0, 0, transform=f"translate({middle + 2:g} {MARGIN - 6}) rotate(-60)")


def _text(content: str, x: float, y: float, **attributes: str) -> Html:
    return tag("text", content, x=f"{x:g}", y=f"{y:g}", pointer_events="none", **attributes)
