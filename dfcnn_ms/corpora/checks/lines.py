"""Questions about the lines of a manifest and its ids."""

from __future__ import annotations

from collections.abc import Iterator

from dfcnn_ms.corpora.findings import NOTE, Finding, Material, first, refusal, shown
from dfcnn_ms.wording import many


def unreadable_lines(material: Material) -> Iterator[Finding]:
    """Lines that are no utterance."""
    for split in material.splits:
        if bad := split.complaints:
            yield Finding(
                "lines",
                refusal(split),
                f"{split.name}: {many(len(bad), 'line')} that cannot be read",
                "mend or delete them; training and eval stop at the first",
                len(bad),
                first(bad),
            )


def no_utterances(material: Material) -> Iterator[Finding]:
    """Manifests without a single utterance."""
    for split in material.splits:
        if not split.utterances:
            yield Finding(
                "lines", refusal(split), f"{split.name}: no utterance at all", "prepare the manifest again", 0
            )


def repeated_ids(material: Material) -> Iterator[Finding]:
    """Ids that are used twice in one manifest."""
    for split in material.splits:
        seen: set[str] = set()
        again = [one for one in split.utterances if one.id in seen or seen.add(one.id)]  # type: ignore[func-returns-value]
        if again:
            yield Finding(
                "ids",
                refusal(split),
                f"{split.name}: {many(len(again), 'utterance')} with an id that another one has already",
                "ids must differ within a manifest; delete what is there twice, or rename it",
                len(again),
                shown(again),
            )


def shared_ids(material: Material) -> Iterator[Finding]:
    """Ids that occur in two splits."""
    for one, other in material.pairs:
        ids = {utterance.id for utterance in one.utterances}
        if again := [utterance for utterance in other.utterances if utterance.id in ids]:
            yield Finding(
                "ids",
                NOTE,
                f"{other.name}: {many(len(again), 'utterance')} with an id that {one.name} uses too",
                f"make sure that they are not the same recordings: what is in {one.name} must not be in {other.name}",
                len(again),
                shown(again),
            )


def no_training_set(material: Material) -> Iterator[Finding]:
    """Manifests of which none is to be trained on."""
    if not material.of("train"):
        yield Finding(
            "splits",
            NOTE,
            "no manifest is known to be for training, so nothing was compared between splits",
            "call the files train.jsonl, dev.jsonl and test.jsonl, or give the page that names them with --config",
            len(material.splits),
        )
