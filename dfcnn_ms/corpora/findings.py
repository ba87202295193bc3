"""What the doctor of data looks at, and what it says about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

from dfcnn_ms.config import Config
from dfcnn_ms.corpora.audio_stats import AudioStats
from dfcnn_ms.corpora.manifest import Utterance

ERROR, WARNING, NOTE = "error", "warning", "note"
#: worst first. An error keeps training from starting; a warning spoils its result, or what the result seems to say.
SEVERITIES = (ERROR, WARNING, NOTE)

ROLES = ("train", "dev", "test")
#: examples kept of each finding
EXAMPLES = 5

Label = tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        check: the name of the check that found it.
        severity: one of `SEVERITIES`.
        sentence: what was found, with its count.
        cure: what to do about it.
        count: utterances, units or files that it is about.
        examples: the first of them, each with its place: ``A11_0 (train.jsonl:1)``.
    """

    check: str
    severity: str
    sentence: str
    cure: str
    count: int
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """For a JSON file."""
        return {**vars(self), "examples": list(self.examples)}


@dataclass(frozen=True)
class Split:
    """A manifest, or the part of one that belongs to one split.

    Attributes:
        name: how to call it: its role, or its file where a role has several.
        role: train, dev, test, or nothing where that cannot be told.
        manifest: the file.
        utterances: those of its lines that can be read.
        labels: of each utterance, as the network would be given them; None where they are no pinyin.
        complaints: of the lines that cannot be read.
        sounds: what was measured in the audio of each utterance; empty where nobody listened.
    """

    name: str
    role: str
    manifest: Path
    utterances: tuple[Utterance, ...]
    labels: tuple[Label | None, ...]
    complaints: tuple[str, ...] = ()
    sounds: tuple[AudioStats, ...] = ()

    @cached_property
    def labelled(self) -> list[tuple[Utterance, Label]]:
        """The utterances whose labels can be used."""
        pairs = zip(self.utterances, self.labels, strict=True)
        return [(utterance, label) for utterance, label in pairs if label is not None]

    @cached_property
    def speakers(self) -> dict[str, int]:
        """How many utterances each speaker has."""
        counts: dict[str, int] = {}
        for utterance in self.utterances:
            if utterance.speaker:
                counts[utterance.speaker] = counts.get(utterance.speaker, 0) + 1
        return counts

    @cached_property
    def units(self) -> dict[str, int]:
        """How often each unit occurs, the commonest first."""
        counts: dict[str, int] = {}
        for _, label in self.labelled:
            for unit in label:
                counts[unit] = counts.get(unit, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def sentences(self) -> dict[Label, int]:
        """Each distinct sentence, and the place of the first utterance that says it."""
        places: dict[Label, int] = {}
        for place, label in enumerate(self.labels):
            if label:
                places.setdefault(label, place)
        return places

    @cached_property
    def shared_files(self) -> set[str]:
        """Files that hold several utterances."""
        counts = Counter(str(utterance.path) for utterance in self.utterances)
        return {path for path, count in counts.items() if count > 1}

    @property
    def seconds(self) -> float:
        """Of sound in all."""
        return sum(utterance.seconds for utterance in self.utterances)


def refusal(split: Split) -> str:
    """How severe it is that a split cannot be used: training reads train and dev, and only eval reads test."""
    return WARNING if split.role == "test" else ERROR


@dataclass(frozen=True)
class Material:
    """All that belongs to one training.

    Attributes:
        splits: train first.
        config: the page that will be trained, if it is known.
    """

    splits: tuple[Split, ...]
    config: Config | None = field(default=None)

    def of(self, *roles: str) -> list[Split]:
        """The splits of some roles."""
        return [split for split in self.splits if split.role in roles]

    @property
    def unit(self) -> str:
        """What a unit of a label is called."""
        return self.config.unit if self.config is not None else "syllable"

    @cached_property
    def training_speakers(self) -> set[str]:
        """Everybody whose voice is trained on."""
        return {speaker for split in self.of("train") for speaker in split.speakers}

    @cached_property
    def pairs(self) -> list[tuple[Split, Split]]:
        """Every two splits that must have nothing in common; the one that is trained on comes first."""
        ranked = [split for role in ROLES for split in self.of(role)]
        return [
            (one, other) for place, one in enumerate(ranked) for other in ranked[place + 1 :] if one.role != other.role
        ]


def shown(utterances: Iterable[Utterance]) -> tuple[str, ...]:
    """The first few utterances, each with its place."""
    return first(named(one) for one in utterances)


def named(utterance: Utterance) -> str:
    """``A11_0 (train.jsonl:1)``."""
    return f"{utterance.id} ({utterance.where})" if utterance.where else utterance.id


def first(texts: Iterable[str]) -> tuple[str, ...]:
    """The first few of some texts."""
    return tuple(islice(texts, EXAMPLES))


def does(count: int, verb: str) -> str:
    """``1 ... says``, ``2 ... say``."""
    return f"{verb}s" if count == 1 else verb


def part(count: int, whole: int, thing: str) -> str:
    """``12 of the 893 utterances``, ``all 893 utterances``, ``the only utterance``."""
    if count < whole:
        return f"{count:,} of the {whole:,} {thing}s"
    return f"all {whole:,} {thing}s" if whole > 1 else f"the only {thing}"
