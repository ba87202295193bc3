"""Questions about what utterances have in common: sentences, speakers and recordings, above all across splits.

A rate on sentences, voices or recordings that were trained on does not say what it seems to say.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterator
from itertools import zip_longest

from dfcnn_ms.corpora.findings import (
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
    shown,
)
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.wording import many

#: shorter sentences (words, names, a few digits) recur by themselves
SENTENCE = 5
#: this share of the sentences is chance, not a leak
CHANCE = 0.01
#: fewer speakers than this say little about speakers
FEW_SPEAKERS = 5


def shared_sentences(material: Material) -> Iterator[Finding]:
    """Sentences of dev and test that occur in the training set, and of test in dev."""
    for one, other in material.pairs:
        texts = {utterance.text for utterance in one.utterances if utterance.text}
        again = [
            (utterance, label)
            for utterance, label in other.labelled
            if label and (label in one.sentences or utterance.text in texts)
        ]
        if again:
            yield _shared_sentences(one, other, again)


def _shared_sentences(one: Split, other: Split, again: list[tuple[Utterance, Label]]) -> Finding:
    long = sum(len(label) >= SENTENCE for _, label in again)
    total = sum(len(label) >= SENTENCE for _, label in other.labelled)
    leak = long > CHANCE * total
    distinct = many(len({label for _, label in again}), "distinct sentence")
    return Finding(
        "sentences",
        WARNING if leak and one.role == "train" else NOTE,
        f"{other.name}: {part(len(again), len(other.utterances), 'utterance')} ({distinct}) "
        f"{does(len(again), 'say')} what {one.name} says too",
        f"a rate on {other.name} does not tell how well new sentences are recognised, least of all with a language "
        f"model of {one.name}: divide by sentences, or say so beside the rate"
        if leak
        else "short ones recur by themselves; make sure that the voices differ",
        len(again),
        first(_meeting(utterance, one, label) for utterance, label in again),
    )


def _meeting(utterance: Utterance, one: Split, label: Label) -> str:
    place = one.sentences.get(label)
    return named(utterance) + (f" says the same as {named(one.utterances[place])}" if place is not None else "")


def shared_speakers(material: Material) -> Iterator[Finding]:
    """Speakers of dev and test whose voice is trained on."""
    if len(material.training_speakers) < 2:  # one voice is meant to be recognised, see `one_speaker`
        return
    for split in material.of("dev", "test"):
        if again := [speaker for speaker in split.speakers if speaker in material.training_speakers]:
            count = sum(split.speakers[speaker] for speaker in again)
            yield Finding(
                "speakers",
                WARNING,
                f"{split.name}: {part(len(again), len(split.speakers), 'speaker')} ({many(count, 'utterance')}) "
                f"{does(len(again), 'speak')} in train too",
                "a rate on voices heard in training says little about others: keep a speaker in one split only",
                len(again),
                first(again),
            )


def one_speaker(material: Material) -> Iterator[Finding]:
    """A training set of a single voice."""
    if len(material.training_speakers) == 1:
        (speaker,) = material.training_speakers
        yield Finding(
            "speakers",
            NOTE,
            f"train: {speaker} is the only speaker",
            "the network will know this voice and no other; every rate is one for this voice",
            1,
        )


def unnamed_speakers(material: Material) -> Iterator[Finding]:
    """Splits whose speakers are not known."""
    for split in material.splits:
        if unnamed := [one for one in split.utterances if not one.speaker]:
            yield Finding(
                "speakers",
                NOTE,
                f"{split.name}: {part(len(unnamed), len(split.utterances), 'utterance')} without a speaker",
                "nobody can tell whether a voice is in two splits; write 'speaker' into the manifest if you know it",
                len(unnamed),
                shown(unnamed),
            )


def few_speakers(material: Material) -> Iterator[Finding]:
    """Test sets whose rate hangs on a few voices."""
    for split in material.of("dev", "test"):
        if 0 < len(split.speakers) < FEW_SPEAKERS and len(material.training_speakers) != 1:
            yield Finding(
                "speakers",
                NOTE,
                f"{split.name}: only {many(len(split.speakers), 'speaker')}",
                "the rate may be quite another one with other voices",
                len(split.speakers),
                first(split.speakers),
            )


def one_speaker_prevails(material: Material) -> Iterator[Finding]:
    """Training sets of several voices of which one says more than all others."""
    for split in material.of("train"):
        speaker, count = max(split.speakers.items(), key=lambda item: item[1], default=("", 0))
        if len(split.speakers) > 1 and count > sum(split.speakers.values()) / 2:
            yield Finding(
                "balance",
                NOTE,
                f"{split.name}: {speaker} says {part(count, len(split.utterances), 'utterance')}",
                "the network will know this voice best; take fewer of them, or find more of the others",
                count,
            )


def shared_sounds(material: Material) -> Iterator[Finding]:
    """The same recording in two splits."""
    for one, other in material.pairs:
        known = dict(zip(_sounds(one), one.utterances, strict=True))
        pairs = zip(_sounds(other), other.utterances, strict=True)
        if again := [(utterance, known[key]) for key, utterance in pairs if key in known]:
            found = part(len(again), len(other.utterances), "utterance")
            yield Finding(
                "recordings",
                WARNING,
                f"{other.name}: {found} whose recording is in {one.name} too",
                f"delete them from one of the two; otherwise {other.name} measures memory",
                len(again),
                first(f"{named(left)} is {named(right)}" for left, right in again),
            )


def repeated_sounds(material: Material) -> Iterator[Finding]:
    """The same recording twice in one split, with the same label or with another one."""
    for split in material.splits:
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for place, key in enumerate(_sounds(split)):
            groups[key].append(place)
        again = [group for group in groups.values() if len(group) > 1]
        same = [group for group in again if len({split.labels[place] for place in group}) == 1]
        differing = [group for group in again if len({split.labels[place] for place in group}) > 1]
        for kind, found in (("the same label", same), ("different labels", differing)):
            if found:
                yield Finding(
                    "recordings",
                    WARNING,
                    f"{split.name}: {many(len(found), 'recording')} that occur more than once, with {kind}",
                    "delete what is there twice"
                    if found is same
                    else "at most one of the labels can be right; listen, and delete the others",
                    len(found),
                    first(" is ".join(named(split.utterances[place]) for place in group[:2]) for group in found),
                )


def repeated_sentences(material: Material) -> Iterator[Finding]:
    """Training sets that say the same again and again."""
    for split in material.of("train"):
        said = sum(len(label) >= SENTENCE for _, label in split.labelled)
        distinct = sum(len(label) >= SENTENCE for label in split.sentences)
        if distinct < said / 2:
            yield Finding(
                "sentences",
                NOTE,
                f"{split.name}: {said:,} utterances say only {many(distinct, 'distinct sentence')}",
                "such sentences are learnt by heart: judge the network by others",
                said - distinct,
            )


def _sounds(split: Split) -> Iterator[Hashable]:
    """What names the recording of each utterance: its samples where somebody listened, else its place in its file."""
    for utterance, sound in zip_longest(split.utterances, split.sounds):
        if sound and sound.content and sound.peak:  # one digital silence is not a copy of another
            yield sound.content
        else:
            yield os.path.join(utterance.folder or "", utterance.audio), utterance.start
