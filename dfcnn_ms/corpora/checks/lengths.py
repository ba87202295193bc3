"""Questions about time: does each label fit into the output steps of the network, can it have been said so fast."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.config import Config
from dfcnn_ms.corpora.findings import ERROR, WARNING, Finding, Label, Material, Split, first, named
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.wording import many, plural

#: nobody speaks faster for a whole utterance; newsreaders reach 6
FASTEST = 10.0
#: a syllable in so many seconds is mostly silence
SLOWEST_SECONDS = 4.0

Labelled = tuple[Utterance, Label]


def most_steps(config: Config, seconds: Sequence[float]) -> np.ndarray:
    """The most output steps that utterances of so many seconds can have in training: (N,) int."""
    wave = math.prod(one.longest for one in config.augment.wave)
    features = math.prod(one.longest for one in config.augment.features)
    samples = [math.ceil((math.ceil(value * SAMPLE_RATE) + 1) * wave) for value in seconds]
    return _steps(config, [math.ceil(config.features.num_frames(count) * features) for count in samples])


def fewest_steps(config: Config, seconds: Sequence[float]) -> np.ndarray:
    """The fewest output steps that augmentation can leave them: (N,) int."""
    wave = math.prod(one.shortest for one in config.augment.wave)
    features = math.prod(one.shortest for one in config.augment.features)
    samples = [max(1, math.floor(value * SAMPLE_RATE * wave)) for value in seconds]
    return _steps(config, [max(1, math.floor(config.features.num_frames(count) * features)) for count in samples])


def _steps(config: Config, frames: Sequence[int]) -> np.ndarray:
    return np.asarray(config.model.output_lengths(np.asarray(frames, int)))


def infeasible(material: Material) -> Iterator[Finding]:
    """Labels that cannot be aligned: the network has fewer output steps than they need."""
    if material.config is None:
        return
    task, cure = material.config.task, material.config.model.cure_for_few_steps
    for split in material.splits:
        steps = most_steps(material.config, [one.seconds for one, _ in split.labelled])
        lost = [
            (one, label, count)
            for (one, label), count in zip(split.labelled, steps, strict=True)
            if count < task.needed_steps(label)
        ]
        if lost:
            yield Finding(
                "ctc",
                # Training leaves them out, unless they are the rule.
                ERROR if split.role == "train" and len(lost) > len(split.labelled) / 2 else WARNING,
                f"{split.name}: {many(len(lost), 'utterance')} with more {plural(material.unit)} than the network of "
                f"{material.config.name} has output steps",
                "they cannot be aligned: look for labels of other utterances and for wrong 'seconds'; if they are "
                f"right, {cure}",
                len(lost),
                first(_needs(*one, material.unit, task.needed_steps(one[1])) for one in lost),
            )


def _needs(utterance: Utterance, label: Label, steps: int, unit: str, needed: int) -> str:
    has = f"{utterance.seconds:g} s give {max(steps, 0)}"
    return f"{named(utterance)}: {many(len(label), unit)} need {needed} steps, {has}"


def infeasible_when_shortened(material: Material) -> Iterator[Finding]:
    """Labels of the training set that fit only as long as no augmentation makes the utterance shorter."""
    config = material.config
    if config is None:
        return
    for split in material.of("train"):
        seconds = [one.seconds for one, _ in split.labelled]
        needed = np.array([config.task.needed_steps(label) for _, label in split.labelled], int)
        tight = (fewest_steps(config, seconds) < needed) & (most_steps(config, seconds) >= needed)
        if tight.any():
            yield Finding(
                "ctc",
                WARNING,
                f"{split.name}: {many(int(tight.sum()), 'utterance')} with too few output steps for their labels "
                "whenever augmentation makes them shorter",
                "the loss leaves them out then, so a few do no harm; if they are many, stretch or speed up less",
                int(tight.sum()),
                first(named(split.labelled[place][0]) for place in np.flatnonzero(tight)),
            )


def too_long(material: Material) -> Iterator[Finding]:
    """Training utterances beyond the limit of the page."""
    if material.config is None:
        return
    limit = material.config.data.max_seconds
    for split in material.of("train"):
        if long := [one for one in split.utterances if one.seconds > limit]:
            yield Finding(
                "length",
                ERROR,
                f"{split.name}: {many(len(long), 'utterance')} longer than data.max_seconds={limit:g}",
                "divide them, leave them out, or raise the limit (memory grows with the longest)",
                len(long),
                first(f"{named(one)}: {one.seconds:g} s" for one in long),
            )


def implausible_rates(material: Material) -> Iterator[Finding]:
    """Labels that nobody can have said in that time, and long silences."""
    for split in material.splits:
        pairs = [pair for pair in split.labelled if pair[1]]
        fast = [pair for pair in pairs if len(pair[1]) > FASTEST * pair[0].seconds]
        slow = [pair for pair in pairs if len(pair[1]) * SLOWEST_SECONDS < pair[0].seconds]
        if fast:
            yield _implausible(
                split, fast, f"more than {FASTEST:g} {plural(material.unit)} a second", "label or 'seconds' is wrong"
            )
        if slow:
            yield _implausible(
                split,
                slow,
                f"less than one {material.unit} in {SLOWEST_SECONDS:g} seconds",
                "part of the label is missing, or most of the recording is silence: cut it",
            )


def _implausible(split: Split, pairs: Sequence[Labelled], what: str, cure: str) -> Finding:
    return Finding(
        "rate",
        WARNING,
        f"{split.name}: {many(len(pairs), 'utterance')} with {what}",
        cure,
        len(pairs),
        first(f"{named(one)}: {len(label)} in {one.seconds:g} s" for one, label in pairs),
    )
