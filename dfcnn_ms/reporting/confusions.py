"""Which syllables are taken for which: a table, and pictures of syllables, initials, finals and tones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from dfcnn_ms.evaluation.results import Heard, Pair, parts, syllabic
from dfcnn_ms.reporting.markup import Html, bar, section, table, tag
from dfcnn_ms.reporting.words import NOTHING, percent, written
from dfcnn_ms.text.pinyin import SYLLABLES
from dfcnn_ms.wording import plural

#: rows of the table
CONFUSIONS = 20
#: units that still make a readable matrix, and those that leave room for figures in it
MATRIX_UNITS, MATRIX_FIGURES = 60, 25
#: a matrix of more units has the whole width of the page
SMALL_MATRIX = 15
#: sides of a cell and of the margin that holds the names, in units of the drawing
CELL, MARGIN = 24, 46

PARTS = ("initial", "final", "tone")
#: of syllables that begin with their vowel
NO_INITIAL = "\N{EMPTY SET}"
INITIALS = [initial or NO_INITIAL for initial in SYLLABLES]


def confusions(heard: Sequence[Heard], unit: str) -> Html | None:
    """The chapter; None when nothing was confused."""
    pairs = Counter(pair for one in heard for pair in one.pairs)
    if all(said == written for said, written in pairs):
        return None
    left = [tag("h3", "Most frequent confusions"), _table(heard, pairs)]
    right = _unit_matrix(pairs, plural(unit))
    parted = _aligned_parts(pairs) if syllabic(heard) else None
    if parted:
        (left if right else right).extend([tag("h3", "Parts of the syllable"), _parts(parted)])
    note = f"A dash ({NOTHING}) stands for nothing: said but not heard, or heard but not said."
    columns = [tag("div", *column) for column in (left, right) if column]
    pictures = _part_matrices(parted) if parted else []
    return section(f"Which {plural(unit)}", tag("div", *columns, class_="columns"), *pictures, note=note)


def _table(heard: Sequence[Heard], pairs: Counter[Pair]) -> Html:
    said = Counter(syllable for one in heard for syllable in one.utterance.pinyin)
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


def _aligned_parts(pairs: Counter[Pair]) -> dict[str, Counter[Pair]]:
    """For each part of the syllable, what was said and heard, where a syllable stands opposite a syllable."""
    found: dict[str, Counter[Pair]] = {part: Counter() for part in PARTS}
    for (said, heard), count in pairs.items():
        one, other = (parts(unit) if unit else None for unit in (said, heard))
        if one and other:
            for part, a, b in zip(PARTS, map(_name, one), map(_name, other), strict=True):
                found[part][a, b] += count
    return found if any(found.values()) else {}


def _name(part: object) -> str:
    return str(part) or NO_INITIAL


def _wrong(pairs: Counter[Pair]) -> int:
    return sum(count for (said, heard), count in pairs.items() if said != heard)


def _parts(parted: Mapping[str, Counter[Pair]]) -> Html:
    """How often each part is wrong."""
    wrong = {part: _wrong(pairs) for part, pairs in parted.items()}
    aligned, most = sum(parted["tone"].values()), max(1, *wrong.values())
    rows = [(part, f"{wrong[part]:,}", percent(wrong[part] / aligned), bar(wrong[part] / most)) for part in PARTS]
    return table("wnnb", ["part", "wrong", f"of {aligned:,}", ""], rows)


def _unit_matrix(pairs: Counter[Pair], what: str) -> list[Html]:
    """Said against heard as a picture, where the units are few."""
    units = sorted({unit for pair in pairs for unit in pair if unit is not None})
    if not 2 <= len(units) <= MATRIX_UNITS:
        return []
    gap = [None] if any(None in pair for pair in pairs) else []
    return _picture("Said (rows) and heard (columns)", what, pairs, [*units, *gap])


def _part_matrices(parted: Mapping[str, Counter[Pair]]) -> list[Html]:
    """Tones, initials and finals as pictures: said in rows, heard in columns; nothing where all are right."""
    small: list[Html] = []
    large: list[Html] = []
    for part in reversed(PARTS):
        names = {name for pair in parted[part] for name in pair if name}
        units = [name for name in INITIALS if name in names] if part == "initial" else sorted(names)
        if _wrong(parted[part]):
            kind = small if len(units) <= SMALL_MATRIX else large
            kind.append(tag("div", *_picture(f"{part.capitalize()}s", f"{part}s", parted[part], units)))
    if not small + large:
        return []
    note = "Said in rows, heard in columns, where a syllable was heard for a syllable."
    heading = tag("h3", "Parts of the syllable as pictures", class_="pictures")
    beside = [tag("div", *small, class_="columns")] if small else []
    return [heading, tag("p", note, class_="note"), *beside, *(tag("div", one, class_="pictures") for one in large)]


def _picture(title: str, what: str, pairs: Counter[Pair], units: Sequence[str | None]) -> list[Html]:
    return [tag("h3", title), tag("div", _drawing(what, pairs, units), class_="scroll")]


def _drawing(what: str, pairs: Counter[Pair], units: Sequence[str | None]) -> Html:
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
        aria_label=f"confusion matrix of {what}",
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
