"""Questions about audio: can it be read, is there something in it, was it too loud, is it as long as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.audio_stats import AudioStats
from dfcnn_ms.corpora.findings import NOTE, WARNING, Finding, Material, Split, first, named, part, refusal
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.wording import many

#: the loudest 25 ms of speech are far louder, in decibels below full scale
SILENCE_DB = -55.0
#: share of the samples on flat tops from which on it can be heard
CLIPPED = 0.001
#: what a telephone lets through, and how many utterances may sound like one by chance
TELEPHONE_HZ, CHANCE = 4_100, 0.02
#: seconds by which audio and manifest may differ
TOLERANCE = 0.1


@dataclass(frozen=True)
class Measured:
    """An utterance, what was measured in its audio, and the split that it belongs to."""

    utterance: Utterance
    sound: AudioStats
    split: Split


@dataclass(frozen=True)
class Rule:
    """One thing that may be wrong with the audio of an utterance.

    Attributes:
        test: whether it is.
        severity: of the finding; empty: as severe as that the split cannot be used.
        sentence: what was found, with places for `found` (12 utterances), `share` (12 of the 893 utterances), `rates`
            and `top` (the highest frequency at the lowest rate).
        cure: what to do about it, with the same places.
        example: what is said of one utterance.
        chance: share of a split for which it may hold by chance.
    """

    test: Callable[[Measured], bool]
    severity: str
    sentence: str
    cure: str
    example: Callable[[Measured], str]
    chance: float = 0.0

    def judge(self, split: Split, every: Sequence[Measured]) -> Finding | None:
        """What there is to say about a split, if anything."""
        found = [one for one in every if self.test(one)]
        if len(found) <= self.chance * len(every):
            return None
        rates = sorted({one.sound.rate for one in found})
        facts = {
            "found": many(len(found), "utterance"),
            "share": part(len(found), len(every), "utterance"),
            "rates": ", ".join(f"{rate:,}" for rate in rates),
            "top": f"{rates[0] // 2:,}",
        }
        return Finding(
            "audio",
            self.severity or refusal(split),
            f"{split.name}: {self.sentence.format(**facts)}",
            self.cure.format(**facts),
            len(found),
            first(f"{named(one.utterance)}: {self.example(one)}" for one in found),
        )


def audio(material: Material) -> Iterator[Finding]:
    """Everything that ``RULES`` find in the audio of every split."""
    measured = [(split, _measured(split)) for split in material.splits]
    for rule in RULES:
        for split, every in measured:
            if finding := rule.judge(split, every):
                yield finding


def _measured(split: Split) -> list[Measured]:
    # Without sounds nobody listened, and then there is nothing to be said.
    pairs = zip(split.utterances, split.sounds, strict=False)
    return [Measured(one, sound, split) for one, sound in pairs]


def _is_silent(one: Measured) -> bool:
    return _is_read(one) and one.sound.loudest_db < SILENCE_DB


def _is_read(one: Measured) -> bool:
    return not one.sound.problem


def _goes_on(one: Measured) -> bool:
    """Whether a file goes on after the end of its only utterance."""
    utterance, sound = one.utterance, one.sound
    longer = _is_read(one) and utterance.start == 0 and sound.file_seconds > utterance.seconds + TOLERANCE
    return longer and str(utterance.path) not in one.split.shared_files


def _level(sound: AudioStats) -> str:
    return f"{sound.loudest_db:.0f} dB" if sound.peak else "nothing but zeros"


RULES = (
    Rule(
        lambda one: bool(one.sound.problem) and one.sound.missing,
        "",
        "{found} without their audio file",
        "was the corpus moved? paths are relative to the manifest's folder; --no-audio checks the text alone",
        lambda one: f"{one.utterance.path}: {one.sound.problem}",
    ),
    Rule(
        lambda one: bool(one.sound.problem) and not one.sound.missing,
        "",
        "{found} whose audio cannot be read",
        "copy the files again, or leave these utterances out",
        lambda one: one.sound.problem,
    ),
    Rule(
        lambda one: _is_silent(one) and bool(one.utterance.pinyin),
        WARNING,
        f"{{found}} in which nothing is heard (nowhere louder than {SILENCE_DB:g} dB)",
        "leave them out: a label without sound teaches to guess",
        lambda one: _level(one.sound),
    ),
    Rule(
        lambda one: _is_read(one) and not _is_silent(one) and one.sound.flat_share > CLIPPED,
        WARNING,
        "{found} with clipped audio",
        "record them again with less gain; a few do no harm in train, in test they are errors of the recorder",
        lambda one: f"{100 * one.sound.flat_share:.1f} % of the samples",
    ),
    Rule(
        lambda one: _is_read(one) and one.sound.rate < SAMPLE_RATE,
        WARNING,
        f"{{found}} at {{rates}} Hz instead of {SAMPLE_RATE:,}",
        "nothing is in them above {top} Hz; mix them with others only on purpose",
        lambda one: f"{one.sound.rate:,} Hz",
    ),
    Rule(
        lambda one: _is_read(one) and one.sound.rate > SAMPLE_RATE,
        NOTE,
        f"{{found}} at {{rates}} Hz instead of {SAMPLE_RATE:,}",
        "they are resampled each time they are read; convert them once, or set data.cache",
        lambda one: f"{one.sound.rate:,} Hz",
    ),
    Rule(
        lambda one: _is_read(one) and one.sound.rate >= SAMPLE_RATE and 0 < one.sound.band_hz < TELEPHONE_HZ,
        WARNING,
        f"{{share}} with nothing above {TELEPHONE_HZ:,} Hz: from a telephone, or resampled from 8,000 Hz",
        "a network trained on one kind hears the other badly: train and test on the same, or mix on purpose",
        lambda one: f"{one.sound.band_hz:,.0f} Hz",
        CHANCE,
    ),
    Rule(
        lambda one: _is_read(one) and one.sound.channels > 1,
        NOTE,
        "{found} with more than one channel",
        "channels are averaged; if each holds another speaker, write each into a file of its own",
        lambda one: f"{one.sound.channels} channels",
    ),
    Rule(
        lambda one: _is_read(one) and one.sound.seconds < one.utterance.seconds - TOLERANCE,
        WARNING,
        "{found} with less audio than 'seconds' says",
        "the end may be missing: copy the files again, or prepare the manifest again",
        lambda one: f"{one.sound.seconds:.2f} s of {one.utterance.seconds:.2f}",
    ),
    Rule(
        _goes_on,
        NOTE,
        "{found} whose file goes on after 'seconds'",
        "what follows is not read; if it belongs to the label, prepare the manifest again",
        lambda one: f"{one.utterance.seconds:.2f} s of {one.sound.file_seconds:.2f}",
    ),
)
