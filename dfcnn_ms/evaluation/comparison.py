"""Two evaluations of one test set, sentence by sentence: what differs, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dfcnn_ms.errors import DataError
from dfcnn_ms.evaluation.results import Heard, counts, rate_name
from dfcnn_ms.evaluation.runs import Run
from dfcnn_ms.metrics import Difference, Edits, paired_bootstrap
from dfcnn_ms.wording import plural

#: drawn from fewer speakers, equal systems would too often seem to differ
LEAST_SPEAKERS = 20


@dataclass(frozen=True)
class Row:
    """One rate of both evaluations.

    Attributes:
        name: of the rate, and what was drawn where that is not sentences.
        first, second: all edits.
        difference: second minus first, with its interval and p-value.
    """

    name: str
    first: Edits
    second: Edits
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Two evaluations whose utterances stand in the same order, and a row for each rate that both have."""

    first: Run
    second: Run
    rows: tuple[Row, ...]


def compare(first: Run, second: Run) -> Comparison:
    """Brings the utterances of two evaluations together and counts how they differ.

    Raises:
        DataError: they are not of the same utterances, or these were not said to be the same.
    """
    if first.unit != second.unit:
        raise DataError(
            f"{first.name} counts in {plural(first.unit)}, {second.name} in {plural(second.unit)}; "
            "compare networks of one task"
        )
    mine, theirs = _by_id(first), _by_id(second)
    if odd := [id for id in [*mine, *theirs] if (id in mine) != (id in theirs)]:
        lacking = second if odd[0] in mine else first
        raise DataError(
            f"{lacking.name}: has no utterance {odd[0]!r} ({len(odd)} in only one of the two); "
            "compare evaluations of the same test set"
        )
    for id, heard in mine.items():
        if heard.utterance.pinyin != theirs[id].utterance.pinyin:
            raise DataError(f"{second.name}: utterance {id!r} has another reference than in {first.name}")
    second = replace(second, heard=tuple(theirs[id] for id in mine))
    return Comparison(first, second, tuple(_rows(first, second)))


def _by_id(run: Run) -> dict[str, Heard]:
    found: dict[str, Heard] = {}
    for one in run.heard:
        if one.utterance.id in found:
            raise DataError(f"{run.name}: utterance {one.utterance.id!r} occurs twice; ids must differ")
        found[one.utterance.id] = one
    return found


def _rows(first: Run, second: Run) -> Iterator[Row]:
    """Drawn by sentence, and by speaker where there are enough of them."""
    unit = first.unit
    mine, theirs = counts(first.heard, unit), counts(second.heard, unit)
    for name, edits in mine.items():
        if _lengths(theirs.get(name, ())) == _lengths(edits):
            yield _row(rate_name(name), edits, theirs[name])
    speakers = [one.utterance.speaker for one in first.heard]
    if "" not in speakers and len(set(speakers)) >= LEAST_SPEAKERS:
        name = f"{rate_name(unit)}, drawn by speaker"
        yield _row(name, _gathered(speakers, mine[unit]), _gathered(speakers, theirs[unit]))


def _lengths(edits: Sequence[Edits]) -> list[int]:
    return [one.reference_length for one in edits]


def _row(name: str, first: Sequence[Edits], second: Sequence[Edits]) -> Row:
    difference = paired_bootstrap(first, second, rng=np.random.default_rng(0))
    return Row(name, sum(first, Edits()), sum(second, Edits()), difference)


def _gathered(speakers: Sequence[str], edits: Sequence[Edits]) -> list[Edits]:
    found: dict[str, Edits] = {}
    for speaker, one in zip(speakers, edits, strict=True):
        found[speaker] = found.get(speaker, Edits()) + one
    return list(found.values())


def figures(comparison: Comparison) -> dict[str, Any]:
    """The comparison for programs."""
    sides = {"a": comparison.first, "b": comparison.second}
    named = {side: {"name": run.name, "decoder": run.decoder} for side, run in sides.items()}
    return named | {"utterances": len(comparison.first.heard), "rates": [_figures(row) for row in comparison.rows]}


def _figures(row: Row) -> dict[str, Any]:
    found = row.difference
    return {
        "rate": row.name,
        "a": row.first.rate,
        "b": row.second.rate,
        "difference": found.rate,
        "interval": (found.low, found.high),
        "p_value": found.p_value,
        "better": found.better,
        "worse": found.worse,
    }
