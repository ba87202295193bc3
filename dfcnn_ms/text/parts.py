"""Toned pinyin in smaller pieces than syllables: initial and final with tone, and the tones alone.

The parts are those that are heard, not those that are written: `you2` and `liu2` share the final `iou2`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.pinyin import SYLLABLES, SyllableError, canonical, split
from dfcnn_ms.text.quoting import quoted
from dfcnn_ms.text.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary

#: in the JSON of a vocabulary
KIND = "syllable_parts"

_SPELT = {
    split(initial + rhyme)[:2]: initial + rhyme for initial, rhymes in SYLLABLES.items() for rhyme in rhymes.split()
}
INITIALS = tuple(sorted({initial for initial, _ in _SPELT if initial}))
FINALS = tuple(sorted(f"{final}{tone}" for final in {final for _, final in _SPELT} for tone in range(1, 6)))
#: id of the first final: the initials come before all finals, so that an id says which of both it is
FIRST_FINAL = UNKNOWN_ID + 1 + len(INITIALS)


@lru_cache(maxsize=10_000)
def parts_of(syllable: str) -> tuple[str, ...]:
    """The initial, where there is one, and the final with the tone.

    >>> [parts_of(syllable) for syllable in ("zhong1", "you2", "an4")]
    [('zh', 'ong1'), ('iou2',), ('an4',)]

    Raises:
        SyllableError: not a canonical syllable.
    """
    if canonical(syllable) != syllable:
        raise SyllableError(f"{quoted(syllable)} is not written as {canonical(syllable)!r}")
    initial, final, tone = split(syllable)
    return (initial, f"{final}{tone}") if initial else (f"{final}{tone}",)


def joined(parts: Sequence[str]) -> str | None:
    """The syllable that has these parts, or None: nobody says `g` and `iong1` in one syllable.

    >>> joined(["g", "uo2"]), joined(["g", "iong1"])
    ('guo2', None)
    """
    initial, final = ("", *parts)[-2:]
    base = _SPELT.get((initial, final[:-1]))
    return None if base is None else base + final[-1]


def spans(ids: Sequence[int]) -> list[tuple[int, int]]:
    """From where to where the parts of each syllable reach in a text of parts, the end excluded.

    An initial belongs to the final that follows it; one that none follows is left out, for it is no syllable.
    """
    found, start = [], 0
    for place, id in enumerate(ids):
        if UNKNOWN_ID < id < FIRST_FINAL:
            start = place
            continue
        follows_initial = place > 0 and start == place - 1 and UNKNOWN_ID < ids[start] < FIRST_FINAL
        found.append((start if follows_initial and id >= FIRST_FINAL else place, place + 1))
    return found


@dataclass(frozen=True)
class SyllableParts(Vocabulary):
    """All parts of syllables, whatever a corpus says: labels and texts are syllables, their ids those of parts.

    Example:
        >>> vocabulary = SyllableParts()
        >>> ids = vocabulary.encode(["zhong1", "guo2", "an4"])
        >>> len(ids), vocabulary.decode(ids)
        (5, ['zhong1', 'guo2', 'an4'])
    """

    units: tuple[str, ...] = (*INITIALS, *FINALS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units != (*INITIALS, *FINALS):
            raise DataError(
                "the parts of syllables are not those of this version of dfcnn_ms; use the one that wrote it"
            )

    def __contains__(self, unit: object) -> bool:
        try:
            return isinstance(unit, str) and bool(parts_of(unit))
        except SyllableError:
            return False

    def encode(self, label: Sequence[str], where: str = "", *, allow_unknown: bool = False) -> list[int]:
        """Ids of the parts of syllables; see :meth:`Vocabulary.encode`."""
        if isinstance(label, str):
            return super().encode(label, where)
        known = [unit for unit in label if unit in self]
        if len(known) < len(label) and not allow_unknown:
            wrong = next(unit for unit in label if unit not in self)
            place = f"{where}: " if where else ""
            raise DataError(f"{place}unit {quoted(wrong)} is no toned pinyin such as 'zhong1'; set task.kind=ctc")
        return [id for unit in label for id in self._parts(unit)]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Syllables of the ids of parts; parts that make none read `<unk>`, an initial alone is left out."""
        ids = [*ids]
        parts = super().decode(ids)
        return [joined(parts[start:end]) or UNKNOWN for start, end in spans(ids)]

    def to_json(self) -> str:
        return json.dumps({"units": self.units, "kind": KIND}, ensure_ascii=False)

    def _parts(self, unit: str) -> list[int]:
        return super().encode(parts_of(unit)) if unit in self else [UNKNOWN_ID]


def tones_of(vocabulary: Vocabulary) -> tuple[int, ...]:
    """The tone of each id (V,), 1 to 5; 0 for what has none.

    >>> tones_of(Vocabulary(("ba1", "de5")))
    (0, 0, 1, 5)

    Raises:
        ConfigError: a unit is no toned pinyin.
    """
    if isinstance(vocabulary, SyllableParts):
        return (0,) * FIRST_FINAL + tuple(int(final[-1]) for final in FINALS)
    return (0,) * (UNKNOWN_ID + 1) + tuple(map(_tone, vocabulary.units))


def _tone(unit: str) -> int:
    try:
        spelt = canonical(unit)
    except SyllableError:
        spelt = ""
    if spelt != unit:
        raise ConfigError(
            f"task.tone_weight: the unit {quoted(unit)} is no toned pinyin such as 'ba1', so it has no tone to learn; "
            "set task.tone_weight=0"
        )
    return int(unit[-1])
