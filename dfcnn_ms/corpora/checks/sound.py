"""Questions about audio: can it be read, is there something in it, was it too loud, is it as long as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.findings import NOTE, WARNING, Finding, Material, Split, first, many, named, part, refusal
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.corpora.sounds import Sound

#: the loudest 25 ms of speech are far louder, in decibels below full scale
SILENCE_DB = -55.0
#: share of the samples on flat tops from which on it can be heard
CLIPPED = 0.001
#: what a telephone lets through, and how many utterances may sound like one by chance
TELEPHONE_HZ, CHANCE = 4_100, 0.02
#: seconds by which audio and manifest may differ
TOLERANCE = 0.1

Heard = tuple[Utterance, Sound]


def _having(split: Split, test: Callable[[Utterance, Sound], bool]) -> list[Heard]:
    """The utterances for which a test holds, of those that can be read."""
    pairs = zip(split.utterances, split.sounds, strict=False)
    return [(utterance, sound) for utterance, sound in pairs if not sound.problem and test(utterance, sound)]


def _problems(split: Split, *, missing: bool) -> list[Heard]:
    pairs = zip(split.utterances, split.sounds, strict=False)
    return [(one, sound) for one, sound in pairs if sound.problem and sound.missing == missing]


def missing_files(material: Material) -> Iterator[Finding]:
    """Audio files that are not there."""
    for split in material.splits:
        if lost := _problems(split, missing=True):
            yield Finding(
                "audio",
                refusal(split),
                f"{split.name}: {many(len(lost), 'utterance')} without their audio file",
                "was the corpus moved? paths are relative to the manifest's folder; --no-audio checks the text alone",
                len(lost),
                first(f"{named(one)}: {one.path}: {sound.problem}" for one, sound in lost),
            )


def unreadable_files(material: Material) -> Iterator[Finding]:
    """Audio files that are damaged, or too short for their utterance to begin."""
    for split in material.splits:
        if bad := _problems(split, missing=False):
            yield Finding(
                "audio",
                refusal(split),
                f"{split.name}: {many(len(bad), 'utterance')} whose audio cannot be read",
                "copy the files again, or leave these utterances out",
                len(bad),
                first(f"{named(one)}: {sound.problem}" for one, sound in bad),
            )


def silence(material: Material) -> Iterator[Finding]:
    """Recordings without anything in them."""
    for split in material.splits:
        if silent := _having(split, lambda one, sound: sound.loudest_db < SILENCE_DB and bool(one.pinyin)):
            yield Finding(
                "audio",
                WARNING,
                f"{split.name}: {many(len(silent), 'utterance')} in which nothing is heard "
                f"(nowhere louder than {SILENCE_DB:g} dB)",
                "leave them out: a label without sound teaches to guess",
                len(silent),
                first(f"{named(one)}: {_level(sound)}" for one, sound in silent),
            )


def clipping(material: Material) -> Iterator[Finding]:
    """Recordings that were too loud for their recorder."""
    for split in material.splits:
        if clipped := _having(split, lambda _, sound: sound.flat_share > CLIPPED and sound.loudest_db >= SILENCE_DB):
            yield Finding(
                "audio",
                WARNING,
                f"{split.name}: {many(len(clipped), 'utterance')} with clipped audio",
                "record them again with less gain; a few do no harm in train, in test they are errors of the recorder",
                len(clipped),
                first(f"{named(one)}: {100 * sound.flat_share:.1f} % of the samples" for one, sound in clipped),
            )


def sample_rates(material: Material) -> Iterator[Finding]:
    """Recordings that are resampled each time they are read, and those that lack the upper half of speech."""
    for split in material.splits:
        if found := _having(split, lambda _, sound: sound.rate < SAMPLE_RATE):
            yield _rates(split, found, low=True)
        if found := _having(split, lambda _, sound: sound.rate > SAMPLE_RATE):
            yield _rates(split, found, low=False)


def _rates(split: Split, found: list[Heard], *, low: bool) -> Finding:
    rates = sorted({sound.rate for _, sound in found})
    return Finding(
        "audio",
        WARNING if low else NOTE,
        f"{split.name}: {many(len(found), 'utterance')} at {', '.join(f'{rate:,}' for rate in rates)} Hz "
        f"instead of {SAMPLE_RATE:,}",
        f"nothing is in them above {rates[0] // 2:,} Hz; mix them with others only on purpose"
        if low
        else "they are resampled each time they are read; convert them once, or set data.cache",
        len(found),
        first(f"{named(one)}: {sound.rate:,} Hz" for one, sound in found),
    )


def narrow_bands(material: Material) -> Iterator[Finding]:
    """Recordings whose sample rate promises more than is in them."""
    for split in material.splits:
        found = _having(split, lambda _, sound: sound.rate >= SAMPLE_RATE and 0 < sound.band_hz < TELEPHONE_HZ)
        if len(found) > CHANCE * len(split.sounds):
            yield Finding(
                "audio",
                WARNING,
                f"{split.name}: {part(len(found), len(split.utterances), 'utterance')} with nothing above "
                f"{TELEPHONE_HZ:,} Hz: from a telephone, or resampled from 8,000 Hz",
                "a network trained on one kind hears the other badly: train and test on the same, or mix on purpose",
                len(found),
                first(f"{named(one)}: {sound.band_hz:,.0f} Hz" for one, sound in found),
            )


def channels(material: Material) -> Iterator[Finding]:
    """Recordings with more than one channel."""
    for split in material.splits:
        if several := _having(split, lambda _, sound: sound.channels > 1):
            yield Finding(
                "audio",
                NOTE,
                f"{split.name}: {many(len(several), 'utterance')} with more than one channel",
                "channels are averaged; if each holds another speaker, write each into a file of its own",
                len(several),
                first(f"{named(one)}: {sound.channels} channels" for one, sound in several),
            )


def too_short(material: Material) -> Iterator[Finding]:
    """Recordings that end before the manifest says."""
    for split in material.splits:
        if short := _having(split, lambda one, sound: sound.seconds < one.seconds - TOLERANCE):
            yield Finding(
                "audio",
                WARNING,
                f"{split.name}: {many(len(short), 'utterance')} with less audio than 'seconds' says",
                "the end may be missing: copy the files again, or prepare the manifest again",
                len(short),
                first(f"{named(one)}: {sound.seconds:.2f} s of {one.seconds:.2f}" for one, sound in short),
            )


def unused(material: Material) -> Iterator[Finding]:
    """Files that go on after the end of their only utterance."""
    for split in material.splits:
        shared = _shared_files(split)
        heard = _having(split, lambda one, sound: one.start == 0 and sound.file_seconds > one.seconds + TOLERANCE)
        longer = [(one, sound) for one, sound in heard if str(one.path) not in shared]
        if longer:
            yield Finding(
                "audio",
                NOTE,
                f"{split.name}: {many(len(longer), 'utterance')} whose file goes on after 'seconds'",
                "what follows is not read; if it belongs to the label, prepare the manifest again",
                len(longer),
                first(f"{named(one)}: {one.seconds:.2f} s of {sound.file_seconds:.2f}" for one, sound in longer),
            )


def _shared_files(split: Split) -> set[str]:
    """Files that hold several utterances."""
    seen: set[str] = set()
    shared: set[str] = set()
    for utterance in split.utterances:
        path = str(utterance.path)
        (shared if path in seen else seen).add(path)
    return shared


def _level(sound: Sound) -> str:
    return f"{sound.loudest_db:.0f} dB" if sound.peak else "nothing but zeros"
