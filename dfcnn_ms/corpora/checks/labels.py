"""Questions about labels: are they pinyin, does the training set know them, do they fit the characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from dfcnn_ms.corpora.findings import (
    ERROR,
    NOTE,
    WARNING,
    Finding,
    Label,
    Material,
    Split,
    does,
    first,
    named,
    part,
    refusal,
    shown,
)
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.text.characters import is_hanzi
from dfcnn_ms.text.pinyin import SyllableError, parse
from dfcnn_ms.wording import many

#: a unit that occurs less often is hardly learnt
ENOUGH = 5
#: the commonest syllable of Mandarin, de5, makes 4 % of it
PREVAILING = 0.2


def read_label(units: Sequence[str]) -> Label | None:
    """The label in canonical syllables, as training reads it; None where it is no pinyin."""
    readings = [reading(unit) for unit in units]
    known = [one for one in readings if one is not None]
    return tuple(syllable for one in known for syllable in one) if len(known) == len(readings) else None


@lru_cache(maxsize=100_000)
def reading(unit: str) -> Label | None:
    """One unit of a label in canonical syllables: `lü4` is lv4, `hua1r` is hua1 er5; None where it is no pinyin."""
    try:
        return tuple(parse(unit))
    except SyllableError:
        return None


def not_pinyin(material: Material) -> Iterator[Finding]:
    """Labels that training would refuse."""
    for split in material.splits:
        pairs = zip(split.utterances, split.labels, strict=True)
        bad = [utterance for utterance, label in pairs if label is None]
        if bad:
            yield Finding(
                "labels",
                refusal(split),
                f"{split.name}: {many(len(bad), 'utterance')} with labels that are no pinyin",
                "write toned syllables such as lv4; characters or words want data.labels=as_written",
                len(bad),
                first(f"{named(one)}: {next(unit for unit in one.pinyin if reading(unit) is None)!r}" for one in bad),
            )


def other_habits(material: Material) -> Iterator[Finding]:
    """Syllables that are no canonical ones but can be read."""
    if material.unit != "syllable":
        return
    for split in material.splits:
        written = dict.fromkeys(unit for one in split.utterances for unit in one.pinyin)
        readings = {unit: reading(unit) for unit in written}
        other = {unit: read for unit, read in readings.items() if read is not None and read != (unit,)}
        if other:
            yield Finding(
                "labels",
                NOTE,
                f"{split.name}: {many(len(other), 'syllable')} in another spelling, read as canonical ones",
                "nothing to do; the units of the network are the canonical ones",
                len(other),
                first(f"{unit} is read as {' '.join(read)}" for unit, read in other.items()),
            )


def empty_labels(material: Material) -> Iterator[Finding]:
    """Utterances in which nothing is said."""
    for split in material.splits:
        if empty := [utterance for utterance, label in split.labelled if not label]:
            yield Finding(
                "labels",
                ERROR if split.role == "train" and not split.units else WARNING,
                f"{split.name}: {many(len(empty), 'utterance')} without a label",
                "right for recordings without speech; otherwise write what is said, or leave them out",
                len(empty),
                shown(empty),
            )


def refused_by_the_task(material: Material) -> Iterator[Finding]:
    """Labels that the task of the page cannot teach, such as several for a clip that has one class."""
    if material.config is None:
        return
    for split in material.of("train", "dev"):
        complaints = [(one, material.config.task.complaint(label)) for one, label in split.labelled if label]
        refused = [(one, complaint) for one, complaint in complaints if complaint]
        if refused:
            yield Finding(
                "task",
                ERROR,
                f"{split.name}: {many(len(refused), 'label')} that the task of {material.config.name} cannot teach",
                "give other labels, or set another task.kind",
                len(refused),
                first(f"{named(one)}: {complaint}" for one, complaint in refused),
            )


def characters_differ(material: Material) -> Iterator[Finding]:
    """Utterances with more or fewer syllables than Chinese characters."""
    for split in material.splits:
        pairs = [(one, label, hanzi(one.text)) for one, label in split.labelled if one.text]
        wrong = [(one, label, count) for one, label, count in pairs if count and count != len(label)]
        if wrong:
            yield Finding(
                "text",
                WARNING,
                f"{split.name}: {part(len(wrong), len(pairs), 'utterance')} with another number of syllables than "
                "characters",
                "one of the two is wrong, or characters are not read one by one; listen to a few",
                len(wrong),
                first(f"{named(one)}: {many(len(label), 'syllable')} for {one.text}" for one, label, count in wrong),
            )


def no_readings(material: Material) -> Iterator[Finding]:
    """Syllables that their character is never read as, in any tone: a wrong character, or a wrong syllable."""
    for split in material.splits if material.unit == "syllable" else ():
        where: dict[tuple[str, str], list[Utterance]] = {}
        for utterance, label in split.labelled:
            for pair in _misread(utterance.text, label):
                where.setdefault(pair, []).append(utterance)
        if where:
            order = sorted(where.items(), key=lambda item: -len(item[1]))
            count = len({one.id for _, utterances in order for one in utterances})
            yield Finding(
                "text",
                WARNING,
                f"{split.name}: {many(len(order), 'character')} with a syllable that is no reading of it, "
                f"in {many(count, 'utterance')}",
                "one of the two is wrong; if it is the syllable, the network learns it wrong",
                len(order),
                first(
                    f"{character} as {syllable}, {_where(utterances)}" for (character, syllable), utterances in order
                ),
            )


def _misread(text: str, label: Label) -> Iterator[tuple[str, str]]:
    """Each character with its syllable where the two do not belong together; nothing where they cannot be paired."""
    if hanzi(text) == len(label):
        for character, syllable in zip(filter(is_hanzi, text), label, strict=True):
            known = readings(character)
            if known and syllable[:-1] not in known:
                yield character, syllable


def _where(utterances: Sequence[Utterance]) -> str:
    more = f" and {len(utterances) - 1:,} more" if len(utterances) > 1 else ""
    return f"in {named(utterances[0])}{more}"


@cache
def readings(character: str) -> frozenset[str]:
    """How a Chinese character can be read, without tones; empty where no dictionary knows it."""
    from pypinyin.constants import PINYIN_DICT

    written = PINYIN_DICT.get(ord(character), "").split(",")
    return frozenset(read[0][:-1] for one in written if (read := reading(one)))


def hanzi(text: str) -> int:
    """How many Chinese characters a text has; 0 where digits or letters are among them, which are read otherwise."""
    if any(character.isalnum() and not is_hanzi(character) for character in text):
        return 0
    return sum(map(is_hanzi, text))


def unknown_units(material: Material) -> Iterator[Finding]:
    """Units of dev and test that no network trained on train can write."""
    known = {unit for split in material.of("train") for unit in split.units}
    if not known:
        return
    for split in material.of("dev", "test"):
        unknown = [unit for unit in split.units if unit not in known]
        if unknown:
            yield _unknown(split, unknown, material.unit)


def _unknown(split: Split, unknown: list[str], unit: str) -> Finding:
    where: dict[str, Utterance] = {}
    utterances = [one for one, label in split.labelled if not set(unknown).isdisjoint(label)]
    for utterance, label in split.labelled:
        for one in label:
            where.setdefault(one, utterance)
    dev = split.role == "dev"
    return Finding(
        "units",
        ERROR if dev else WARNING,
        f"{split.name}: {many(len(unknown), unit)} that train lacks, in {many(len(utterances), 'utterance')}",
        f"move utterances with them into train, or leave them out of {split.name}"
        if dev
        else "eval refuses such a test set; its --allow-unknown counts them as errors of the network",
        len(unknown),
        first(f"{one} in {named(where[one])}" for one in unknown),
    )


def one_unit_prevails(material: Material) -> Iterator[Finding]:
    """Training sets in which one unit is said out of all proportion."""
    for split in material.of("train"):
        unit, count = next(iter(split.units.items()), ("", 0))
        total = sum(split.units.values())
        if len(split.units) > 1 and count > total * max(PREVAILING, 2 / len(split.units)):
            yield Finding(
                "balance",
                NOTE,
                f"{split.name}: {100 * count / total:.0f} % of all that is said is {unit}",
                f"a network can be that often right by writing nothing but {unit}; add utterances without it",
                count,
            )


def rare_units(material: Material) -> Iterator[Finding]:
    """Units that training hardly meets."""
    for split in material.of("train"):
        rare = [unit for unit, count in split.units.items() if count < ENOUGH]
        if rare:
            yield Finding(
                "units",
                NOTE,
                f"{split.name}: {part(len(rare), len(split.units), material.unit)} "
                f"{does(len(rare), 'occur')} less than {ENOUGH} times",
                "expect errors in them, or add utterances that say them",
                len(rare),
                first(f"{unit} ({many(split.units[unit], 'time')})" for unit in reversed(rare)),
            )
