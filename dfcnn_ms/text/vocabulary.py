"""The units that a network can write, and their ids.

The blank of CTC is id 0 and the unknown unit id 1 in every vocabulary of this package; the units of a
corpus follow. A vocabulary travels inside the checkpoint, so that training and use cannot disagree.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dfcnn_ms.errors import DataError
from dfcnn_ms.text.quoting import quoted

BLANK = "<blank>"
UNKNOWN = "<unk>"
BLANK_ID = 0
UNKNOWN_ID = 1


@dataclass(frozen=True)
class Vocabulary:
    """Units in the order of their ids, without the two special ones that come before them.

    Example:
        >>> vocabulary = Vocabulary.build([["ni3", "hao3"], ["hao3"]])
        >>> vocabulary.symbols
        ('<blank>', '<unk>', 'hao3', 'ni3')
        >>> vocabulary.encode(["ni3", "hao3"])
        [3, 2]
    """

    units: tuple[str, ...]

    def __post_init__(self) -> None:
        units: object = self.units
        if not isinstance(units, (list, tuple)):
            raise DataError(f"a vocabulary is a list of units; got {quoted(units)}")
        object.__setattr__(self, "units", tuple(units))
        if not self.units:
            raise DataError("a vocabulary needs at least one unit; got none: are the labels empty?")
        for unit in self.units:
            _check_unit(unit)
        repeated = [unit for unit, count in Counter(self.units).items() if count > 1]
        if repeated:
            raise DataError(f"a vocabulary holds each unit once; {quoted(repeated[0])} appears more than once")

    @classmethod
    def build(cls, labels: Iterable[Sequence[str]]) -> Vocabulary:
        """Every unit that occurs in `labels`, sorted, so that the order of the corpus does not matter."""
        return cls(tuple(sorted({unit for label in labels for unit in label})))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """What each id stands for, `<blank>` and `<unk>` included; `len(symbols)` is V."""
        return (BLANK, UNKNOWN, *self.units)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {unit: id for id, unit in enumerate(self.units, start=UNKNOWN_ID + 1)}

    def __len__(self) -> int:
        """V: the units and the two special ones."""
        return len(self.units) + 2

    def __contains__(self, unit: object) -> bool:
        """Whether a label may hold `unit`; the two special symbols are never labels."""
        return unit in self._ids

    def encode(self, label: Sequence[str], where: str = "", *, allow_unknown: bool = False) -> list[int]:
        """Ids of the units of a label.

        Args:
            label: units, not a joined text.
            where: where the label was read, such as `train.jsonl:12`; begins the message of an error.
            allow_unknown: give an unknown unit the id of `<unk>` instead of refusing it. An evaluation
                wants this (a syllable that was never trained is an error to count); training does not.

        Raises:
            DataError: a unit is not in the vocabulary.
        """
        if isinstance(label, str):
            raise DataError(f"{_prefix(where)}a label is a list of units; got the text {quoted(label)}")
        if allow_unknown:
            return [self._ids.get(unit, UNKNOWN_ID) for unit in label]
        try:
            return [self._ids[unit] for unit in label]
        except KeyError as error:
            raise DataError(self._unknown_message(error.args[0], where)) from None

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Units of ids; the ids 0 and 1 read `<blank>` and `<unk>`.

        Raises:
            DataError: an id lies outside the vocabulary.
        """
        return [self._symbol(int(id)) for id in ids]

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back."""
        return json.dumps({"units": self.units}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary that `to_json` wrote.

        Raises:
            DataError: the text is not JSON, or not that of a vocabulary.
        """
        try:
            page = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"a vocabulary must be JSON; {error}") from None
        of_parts = isinstance(page, dict) and page.get("kind") == "syllable_parts"
        wanted = {"units", "kind"} if of_parts else {"units"}
        if not isinstance(page, dict) or set(page) != wanted or not isinstance(page["units"], list):
            raise DataError('a vocabulary must be JSON such as {"units": ["a1", "a2"]}; got something else')
        if of_parts:
            from dfcnn_ms.text.parts import SyllableParts  # which is made of this class

            return SyllableParts(tuple(page["units"]))
        return cls(tuple(page["units"]))

    def _symbol(self, id: int) -> str:
        if not 0 <= id < len(self):
            raise DataError(f"id {id} is outside a vocabulary of {len(self)}; was it made by another model?")
        return self.symbols[id]

    def _unknown_message(self, unit: object, where: str) -> str:
        if not isinstance(unit, str):
            return f"{_prefix(where)}a unit must be text; got {quoted(unit)}"
        nearest = difflib.get_close_matches(unit, self.units, n=1, cutoff=0.5)
        hint = f"; the nearest known one is {nearest[0]!r}" if nearest else ""
        return f"{_prefix(where)}unit {quoted(unit)} is not one of the {len(self.units)} in the vocabulary{hint}"


def _prefix(where: str) -> str:
    return f"{where}: " if where else ""


def _check_unit(unit: object) -> None:
    if not isinstance(unit, str):
        raise DataError(f"a unit of a vocabulary must be text; got {quoted(unit)}")
    if not unit or any(character.isspace() for character in unit):
        raise DataError(f"a unit of a vocabulary must be text without blanks; got {quoted(unit)}")
    if unit in (BLANK, UNKNOWN):
        raise DataError(f"{quoted(unit)} belongs to every vocabulary already; leave it out of the units")
