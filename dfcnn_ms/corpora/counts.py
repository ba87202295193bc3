"""How much of a corpus is there, beside what its publisher says there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dfcnn_ms.corpora.manifest import Utterance

#: the row of a corpus that its publisher did not split
ALL = "all"
_MEASURES = ("utterances", "hours", "speakers")


@dataclass(frozen=True)
class Count:
    """Utterances, hours and speakers of a split; None is not known."""

    utterances: int | None = None
    hours: float | None = None
    speakers: int | None = None

    @classmethod
    def of(cls, utterances: Iterable[Utterance]) -> Count:
        """What is there; utterances without a speaker do not make one."""
        every = list(utterances)
        speakers = {utterance.speaker for utterance in every if utterance.speaker}
        return cls(len(every), sum(utterance.seconds for utterance in every) / 3600, len(speakers))


def compare(splits: Mapping[str, list[Utterance]], official: Mapping[str, Count]) -> dict[str, tuple[Count, Count]]:
    """Split -> what was found and what the publisher says.

    A split that the publisher does not have was taken out of its training set, and counts there; the row `all` is for
    a corpus without official splits.
    """
    if not official:
        return {split: (Count.of(found), Count()) for split, found in splits.items()}
    rows: dict[str, list[Utterance]] = {split: [] for split in official}
    home = ALL if ALL in official else "train"
    for split, found in splits.items():
        rows[split if split in official else home] += found
    return {split: (Count.of(found), official[split]) for split, found in rows.items()}


def table(rows: Mapping[str, tuple[Count, Count]]) -> str:
    """A few lines to read: found, official and missing, of each measure; only found where nothing is official."""
    columns = [_column(name, [counts for counts in rows.values()]) for name in _MEASURES]
    heads = ["", "split", *rows]
    lines = zip(heads, *columns, strict=True)
    return "\n".join(f"{head:<6}" + "  ".join(cells).rstrip() for head, *cells in lines)


def _column(name: str, rows: list[tuple[Count, Count]]) -> list[str]:
    """One measure: its name, what its columns are, and a cell for each row, all of one width."""
    pairs = [(getattr(found, name), getattr(official, name)) for found, official in rows]
    if all(official is None for _, official in pairs):
        return [f"{name:>12}", f"{'found':>12}", *(f"{_number(found):>12}" for found, _ in pairs)]
    head = f"{'found':>9}{'official':>9}{'missing':>9}"
    return [f"{name:^27}", head, *(_cells(found, official) for found, official in pairs)]


def _cells(found: float, official: float | None) -> str:
    if official is None:
        return f"{_number(found):>9}{'-':>9}{'-':>9}"
    missing = official - found
    # Hours are published rounded: a hundredth of them is no finding.
    small = isinstance(official, float) and abs(missing) <= 0.01 * official
    none = type(official)(0)
    return f"{_number(found):>9}{_number(official):>9}{_number(none if small else max(missing, none)):>9}"


def _number(value: float) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,d}"
