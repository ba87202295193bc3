"""The doctor of data: reads manifests, listens to their audio, and says what would spoil a training.

    material = gather([Path("train.jsonl"), Path("dev.jsonl")], load_config("digits"))
    for finding in examine(material):
        print(finding.severity, finding.sentence, finding.cure)

A check is a plain function from the material to findings; ``CHECKS`` is the list of all of them. What training itself
would refuse is an error here too, but here all of it at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dfcnn_ms.config import Config
from dfcnn_ms.corpora.audio_stats import measure_all
from dfcnn_ms.corpora.checks import labels, leaks, lengths, lines, sound
from dfcnn_ms.corpora.findings import ERROR, ROLES, SEVERITIES, Finding, Label, Material, Split
from dfcnn_ms.corpora.manifest import Utterance, numbered_lines, parse_line
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.wording import many

Check = Callable[[Material], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    lines.unreadable_lines,
    lines.no_utterances,
    lines.repeated_ids,
    lines.shared_ids,
    lines.no_training_set,
    labels.not_pinyin,
    labels.other_habits,
    labels.empty_labels,
    labels.refused_by_the_task,
    labels.characters_differ,
    labels.no_readings,
    labels.unknown_units,
    labels.rare_units,
    labels.one_unit_prevails,
    lengths.infeasible,
    lengths.infeasible_when_shortened,
    lengths.too_long,
    lengths.implausible_rates,
    leaks.shared_sentences,
    leaks.shared_speakers,
    leaks.one_speaker,
    leaks.shared_sounds,
    leaks.repeated_sounds,
    leaks.repeated_sentences,
    leaks.unnamed_speakers,
    leaks.few_speakers,
    leaks.one_speaker_prevails,
    sound.audio,
)

#: words in a file's name, or in `split`, that say what it is for
_WORDS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev"}
_WORDS |= {"test": "test", "eval": "test", "testing": "test"}


def gather(manifests: Sequence[Path], config: Config | None = None, *, jobs: int = 0) -> Material:
    """Reads manifests, and listens to their audio if there are ``jobs`` to do it.

    Args:
        manifests: of all splits; what each is for is told by the page, by its name, or by `split` in its lines.
        config: the page that will be trained, for its kind of labels, its network and its augmentation.
        jobs: files to listen to at a time; 0: none at all.

    Raises:
        ConfigError: a manifest is given twice.
        DataError: a manifest is missing, or none of its lines is an utterance. Whatever else is wrong is a finding.
    """
    twice = [str(path) for path, count in Counter(path.absolute() for path in manifests).items() if count > 1]
    if twice:
        raise ConfigError(f"{twice[0]}: given twice; give each manifest once")
    splits = [split for manifest in manifests for split in _splits(manifest, config)]
    splits.sort(key=lambda split: ROLES.index(split.role) if split.role else len(ROLES))
    roles = Counter(split.role for split in splits)
    splits = [replace(one, name=str(one.manifest)) if roles[one.role] > 1 else one for one in splits]
    return Material(tuple(_listened(splits, jobs) if jobs else splits), config)


def examine(material: Material) -> list[Finding]:
    """Everything that all checks find, the worst first."""
    found = [finding for check in CHECKS for finding in check(material)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def can_start(findings: Iterable[Finding]) -> bool:
    """Whether training would start with this material."""
    return all(finding.severity != ERROR for finding in findings)


def verdict(findings: Sequence[Finding]) -> str:
    """In one line, whether training can start, and how much was found."""
    counts = [(sum(one.severity == severity for one in findings), severity) for severity in SEVERITIES]
    told = ", ".join(many(count, severity) for count, severity in counts if count)
    return f"training {'can' if can_start(findings) else 'cannot'} start: {told or 'nothing found'}"


def _splits(manifest: Path, config: Config | None) -> Iterator[Split]:
    """A manifest as one split, or as several where only its lines say what they are for."""
    utterances, complaints = _read(manifest)
    role = _role(manifest, config)
    parts: dict[str, list[Utterance]] = {} if utterances else {role: []}
    for utterance in utterances:
        parts.setdefault(role or _WORDS.get(utterance.split.lower(), ""), []).append(utterance)
    for part, members in parts.items():
        read = [_label(one, config) for one in members]
        yield Split(part or str(manifest), part, manifest, tuple(members), tuple(read), tuple(complaints))
        complaints = []  # they are told once


def _label(utterance: Utterance, config: Config | None) -> Label | None:
    written = config is not None and config.data.labels == "as_written"
    label = utterance.pinyin if written else labels.read_label(utterance.pinyin)
    return label if label is None or config is None else config.task.label(replace(utterance, pinyin=label))


def _role(manifest: Path, config: Config | None) -> str:
    """What a manifest is for: what the page says, else what its name says, else nothing."""
    for role in ROLES if config else ():
        named = getattr(config.data, role)  # type: ignore[union-attr]
        if named and named.absolute() == manifest.absolute():
            return role
    words = re.split("[^a-z]+", manifest.stem.lower())
    return next((_WORDS[word] for word in words if word in _WORDS), "")


def _read(manifest: Path) -> tuple[list[Utterance], list[str]]:
    """The utterances of a manifest, and what is wrong with its other lines."""
    folder = manifest.absolute().parent
    utterances, complaints = [], []
    for number, line in numbered_lines(manifest):
        try:
            utterances.append(parse_line(line, folder, f"{manifest}:{number}"))
        except DataError as error:
            complaints.append(str(error))
    if complaints and not utterances:
        raise DataError(f"{manifest}: no manifest, for none of its lines is an utterance; the first: {complaints[0]}")
    return utterances, complaints


def _listened(splits: Sequence[Split], jobs: int) -> list[Split]:
    """The splits with what was measured in their audio."""
    sounds = iter(measure_all([one for split in splits for one in split.utterances], jobs))
    return [replace(split, sounds=tuple(islice(sounds, len(split.utterances)))) for split in splits]
