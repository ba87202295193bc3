"""Recordings of single words -> strings of them: people heard saying one word after the other, with known times.

Digits become telephone numbers, words of a dictionary something like speech. A string is of one speaker and of one
split. It may be said by somebody else: Praat makes other people of the speaker (`voices.people`).

    prepare(root="data/fsdd", out=Path("data/strings"), least=3, most=7)

A corpus is a function of its recordings and of its options: neither the number of processes nor what was made before
changes a sample. Beside each manifest stands a file that ends in `.ctm`, with the time of each recording.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.wave import SAMPLE_RATE, write_wave
from dfcnn_ms.corpora import making
from dfcnn_ms.corpora.gather import SPLITS, split_named, tell_old
from dfcnn_ms.corpora.joining import joined, speech
from dfcnn_ms.corpora.manifest import Utterance, check_audio, read_manifest, read_utterance, write_manifest
from dfcnn_ms.corpora.options import Option, with_options
from dfcnn_ms.corpora.own_data import sources
from dfcnn_ms.corpora.string_plan import (
    DEV,
    GAPS,
    LEAST,
    MOST,
    PACE,
    TEST,
    TRAIN,
    UNCHANGED,
    Drawing,
    Plan,
    Speaker,
    String,
    Word,
)
from dfcnn_ms.corpora.voices import people as voices
from dfcnn_ms.corpora.voices import praat
from dfcnn_ms.corpora.voices.people import Source, median_hz
from dfcnn_ms.corpora.voices.spoken import Array, at_16_khz, cut_or_padded
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import is_same, write_text
from dfcnn_ms.text.quoting import quoted
from dfcnn_ms.wording import many

log = logging.getLogger(__name__)

LAYOUT = """\
words/                                a line for each recording of a word, such as `prepare tsv` and `fsdd` make
  train.jsonl dev.jsonl test.jsonl    (or the one manifest alone)"""
OPTIONS = {
    "root": Option(str, "folder with manifests of single words; several with commas between them", required=True),
    "train": Option(int, f"strings (default: {TRAIN})"),
    "dev": Option(int, f"strings (default: {DEV})"),
    "test": Option(int, f"strings (default: {TEST})"),
    "least": Option(int, f"recordings in a string at least (default: {LEAST})"),
    "most": Option(int, f"recordings in a string at most (default: {MOST})"),
    "gaps": Option(str, f"shortest and longest pause in seconds, below 0 they overlap (default: --gaps={GAPS})"),
    "people": Option(int, "so many people are made of each speaker, for training, by Praat (default: 0)"),
    "unchanged": Option(float, f"with people: share of the strings that stay as spoken (default: {UNCHANGED})"),
    "pace": Option(str, f"with people: how long the others become, least and most, as a share (default: {PACE})"),
    "seed": Option(int, "another seed makes other strings (default: 0)"),
    "workers": Option(int, "processes (default: one per core)"),
}

# To be raised with every change that makes other sounds or strings of the same recordings.
VERSION = 1
PEAK = 0.99
#: samples a second at which Praat works: a deeper voice needs what lies above 8 kHz, if a recording has it
CHANGED_RATE = 24_000
#: of `Said.pitch`: two semitones up and down
PITCHES = (40, 75)

Words = dict[str, list[Utterance]]


@dataclass(frozen=True)
class Said:
    """What of the prosody of a recording is varied: the pitch."""

    pitch: int
    rate: int = 180
    pitch_range: int = 65


@with_options(Plan)
def prepare(plan: Plan) -> dict[str, Path]:
    """Makes strings, or what is missing of them.

    Returns:
        The manifest of each split that has recordings.

    Raises:
        ConfigError: an option that cannot be, or a folder with another corpus in it.
        DataError: recordings that are not there, or of which no string can be made.
        DeviceError: there are to be people, and Praat is not installed.
    """
    out, words = plan.out, read_words(plan)
    parameters = _parameters(plan, words)
    manifests = {split: out / f"{split}.jsonl" for split in words}
    files = [file for path in manifests.values() for file in (path, path.with_suffix(".ctm"))]
    if making.is_complete(out, parameters, files):
        log.info("%s: the corpus is there already", out)
        return manifests
    if plan.people:
        praat.check()
    making.write_note(out, parameters, complete=False)
    workers = making.Workers(plan.workers or os.cpu_count() or 1, plan.progress)
    name = f"strings-{making.digest(parameters)[:6]}"
    speakers = _speakers(words, plan, workers)
    strings = {split: list(Drawing(split, speakers[split], plan, name).strings()) for split in words}
    every = [one for split in words for one in strings[split]]
    workers.all(_write, [one for one in every if not one.path.exists()], "string")
    for split, manifest in manifests.items():
        write_manifest(manifest, (one.utterance() for one in strings[split]))
        write_text(manifest.with_suffix(".ctm"), "".join(one.times() for one in strings[split]))
    tell_old(out, manifests)
    making.write_note(out, parameters, complete=True)
    return manifests


def read_words(plan: Plan) -> Words:
    """The recordings of each split whose speakers have enough of them, their sound there.

    Raises:
        ConfigError: a manifest would be written over.
        DataError: there is no manifest, no sound, a split that is none, or nobody with enough recordings.
    """
    found: Words = {}
    for place in (Path(part.strip()) for part in plan.root.split(",") if part.strip()):
        for manifest, named in sources(place, (".jsonl",), "manifests such as train.jsonl"):
            if any(is_same(manifest, plan.out / f"{split}.jsonl") for split in SPLITS):
                raise ConfigError(f"{manifest}: would be overwritten; give another folder with --out")
            for one in read_manifest(manifest):
                found.setdefault(named or _split(one), []).append(one)
    if not found:
        raise ConfigError(f"root: got {plan.root!r}, wanted a folder with manifests")
    check_audio(one for split in SPLITS for one in found.get(split, ()))
    _check_apart(found)
    return {split: _of_many(found[split], split, plan.needed) for split in SPLITS if split in found}


def _split(one: Utterance) -> str:
    """The split that a line names, in a manifest that is not named after one."""
    split = split_named(one.split)
    if not split:
        got = f"got split {quoted(one.split)}" if one.split else "it names none, and neither does its manifest"
        raise DataError(f"{one.where}: wanted a recording of train, dev or test; {got}")
    return split


def _check_apart(words: Words) -> None:
    """Refuses a recording that is in two splits."""
    where: dict[tuple[Path, float], tuple[str, str]] = {}
    for split, recordings in words.items():
        for one in recordings:
            other, place = where.setdefault((one.path, one.start), (split, one.where))
            if other != split:
                raise DataError(f"{one.where}: the same recording as {place}; one recording cannot be in two splits")


def _of_many(recordings: Sequence[Utterance], split: str, needed: int) -> list[Utterance]:
    """The recordings of those speakers who have enough of them; without a name, nobody knows whose one is."""
    counts = Counter(one.speaker for one in recordings if one.speaker)
    kept = [one for one in recordings if counts[one.speaker] >= needed]
    if not kept:
        most = max(counts.values(), default=0)
        raise DataError(
            f"{recordings[0].where}: no string can be made for {split}, which needs {needed} recordings of one speaker;"
            f" got {len(recordings)}, {most} of them by one whom 'speaker' names"
        )
    if len(kept) < len(recordings):
        log.info("%s: %s of speakers with too few left out", split, many(len(recordings) - len(kept), "recording"))
    return kept


def _parameters(plan: Plan, words: Words) -> dict[str, Any]:
    """What decides the bytes of a corpus."""
    said = [
        [split, one.id, one.seconds, one.start, one.speaker, one.text, *one.pinyin]
        for split in words
        for one in words[split]
    ]
    known = {"corpus": "strings", "version": VERSION, **{split: plan.count(split) for split in words}}
    known |= {key: getattr(plan, key) for key in ("least", "most", "gaps", "people", "unchanged", "seed")}
    known |= {} if plan.pace == PACE else {"pace": plan.pace}
    return known | {"recordings": making.digest(said)}


def _speakers(words: Words, plan: Plan, workers: making.Workers) -> dict[str, tuple[Speaker, ...]]:
    """Everybody of each split, with what they said and who can be made of them."""
    every = [one for split in words for one in words[split]]
    heard = workers.all(partial(_heard, with_pitch=plan.people > 0), every, "word")
    sources = {name: _source(mine) for name, mine in _by_speaker(heard).items()}
    rest, found = iter(heard), dict[str, tuple[Speaker, ...]]()
    for split, recordings in words.items():
        mine = _by_speaker(islice(rest, len(recordings)))
        known = voices.people()[split] if plan.people else ()
        known = known[: plan.people] if split == "train" else known
        found[split] = tuple(
            Speaker(name, tuple(mine[name]), sources[name], tuple(filter(sources[name].can_be, known)))
            for name in sorted(mine)
        )
    return found


def _by_speaker(words: Iterable[Word]) -> dict[str, list[Word]]:
    found: dict[str, list[Word]] = {}
    for one in words:
        found.setdefault(one.recording.speaker, []).append(one)
    return found


def _source(words: Sequence[Word]) -> Source:
    """What the pitch of somebody's recordings tells about their voice."""
    pitches = [one.pitch_hz for one in words if not math.isnan(one.pitch_hz)]
    return Source.of(float(np.median(pitches))) if pitches else Source()


def _heard(recording: Utterance, with_pitch: bool) -> Word:
    """A recording heard for the first time.

    Raises:
        DataError: there is nothing to be heard.
    """
    wave = read_utterance(recording)
    if not wave.any():
        raise DataError(f"{recording.where}: {recording.path} holds nothing but silence; take it out of the manifest")
    pitch_hz = median_hz(wave) if with_pitch else math.nan
    return Word(recording, speech(wave, SAMPLE_RATE), pitch_hz)


def _write(string: String) -> None:
    write_wave(string.path, spoken(string))


def spoken(string: String) -> NDArray[np.int16]:
    """A finished string, (N,) int16 at 16 kHz."""
    rng = np.random.default_rng(string.seed)
    rate = CHANGED_RATE if string.person else SAMPLE_RATE
    words, background = joined(string.parts, string.length_ms, rate, rng)
    if string.person:
        said = Said(int(rng.integers(*PITCHES, endpoint=True)))
        other = voices.changed(
            words, rate, string.person, said, praat.of_this_process(), rng, string.source, string.pace
        )
        other = cut_or_padded(other, round(string.seconds * rate))
        words = other * _rms(words) / max(_rms(other), 1e-9)  # the room stays as it is beside the voice
        background = background[: len(words)]
    wave = at_16_khz(words + background, rate) if rate != SAMPLE_RATE else words + background
    wave = wave * 10 ** (string.level_db / 20) / _rms(wave)
    wave = wave * min(1.0, PEAK / np.abs(wave).max())
    return np.asarray(np.rint(wave * 32767), np.int16)


def _rms(wave: Array) -> float:
    return float(np.sqrt(np.mean(wave**2)))
