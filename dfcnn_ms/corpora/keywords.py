"""Single words -> streams in which they are said, with known times, and the windows that a spotter sees of them.

A stream is a minute of words with pauses between them. The clips of `train.jsonl`, `dev.jsonl` and `test.jsonl` are
pieces of the streams, all of one length: windows that end with a word or shortly after it, and windows that hold no
word, or only a part of one, which are `_background_`. Of each stream of the test set there are three versions, without
noise and with two levels of it: `streams-clean.jsonl` and so on, each with a `.ctm` file that says which word is said
when. The labels are words: set `data.labels: as_written`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfcnn_ms.audio.augment import endless_noise
from dfcnn_ms.audio.wave import SAMPLE_RATE, Array, write_wave
from dfcnn_ms.corpora import synth
from dfcnn_ms.corpora.gather import SPLITS
from dfcnn_ms.corpora.manifest import Utterance, check_audio, read_manifest, read_utterance, write_manifest
from dfcnn_ms.corpora.options import Option
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import write_text
from dfcnn_ms.reporting.timings import Recording, Timed, ctm

LAYOUT = """\
words/                                    a line for each word, such as `prepare synth --words` and `fsdd` make
  train.jsonl dev.jsonl test.jsonl"""
OPTIONS = {
    "root": Option(Path, "folder with manifests of single words (default: spoken digits, which are made)"),
    "seed": Option(int, "another seed makes other streams (default: 0)"),
}

#: what a window without a word is called; labels that begin with a line are never spotted
BACKGROUND = "_background_"
WINDOW_SECONDS = 0.65
#: how many there are for each word
BACKGROUND_SHARE = 0.6
#: of a word that may be seen in a window without one
PARTIAL = 0.35
#: seconds after the end of a word at which its window may end
LATE_SECONDS = 0.2
WORDS_IN_STREAM = 40
PAUSES = (0.35, 2.0)
#: rms of a word, and of what is never silent, relative to full scale
LEVELS_DB, FLOOR_DB = (-30.0, -22.0), -70.0
FADE_SECONDS = 0.01
COLOURS = ("white", "pink", "brown")
#: how many training streams have no noise, and the levels of the others
CLEAN_SHARE, SNRS_DB = 0.25, (0.0, 25.0)
#: the versions of a test stream, in decibels of speech over noise
VERSIONS: dict[str, float | None] = {"clean": None, "10db": 10.0, "0db": 0.0}
#: utterances of the digits that are made and cut into words
DIGITS = {"train": 800, "dev": 80, "test": 300}


@dataclass(frozen=True)
class Stream:
    """Words one after the other.

    Attributes:
        name: of the stream.
        speech: samples (N,), silent between the words.
        words: each with its place, in seconds.
        speakers: of each word.
    """

    name: str
    speech: Array
    words: tuple[Timed, ...]
    speakers: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.speech) / SAMPLE_RATE


def prepare(out: Path, *, root: Path | None = None, seed: int = 0, progress: bool = True) -> dict[str, Path]:
    """Makes streams, and the manifests of their windows.

    Args:
        out: folder for the manifests and the sound.
        root: folder of `train.jsonl`, `dev.jsonl` and `test.jsonl`, a word a line; made from spoken digits by default.
        seed: another seed makes other streams.
        progress: show a progress bar when digits are made.
    """
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more; got {seed}")
    if root is None:
        root = Path(out, "words")
        synth.prepare(
            root, "digits", train=DIGITS["train"], dev=DIGITS["dev"], test=DIGITS["test"],
            words=True, seed=seed, progress=progress,
        )  # fmt: skip
    manifests = {}
    for number, split in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        streams = list(streams_of(_words(Path(root, f"{split}.jsonl")), split, rng))
        manifests[split] = Path(out, f"{split}.jsonl")
        write_manifest(manifests[split], list(_windows(Path(out), streams, split, rng)))
        if split == "test":
            for version in VERSIONS:
                _write_streams(Path(out), streams, version)
    return manifests


def _words(manifest: Path) -> list[Utterance]:
    """The words of a split, each with its sound."""
    words = read_manifest(manifest)
    check_audio(words)
    for word in words:
        if len(word.pinyin) != 1:
            raise DataError(f"{word.where}: holds {len(word.pinyin)} words; streams are made of single ones")
        if word.pinyin[0].startswith("_"):
            raise DataError(f"{word.where}: a word cannot begin with a line; got {word.pinyin[0]}")
    return words


def streams_of(words: Sequence[Utterance], split: str, rng: np.random.Generator) -> Iterator[Stream]:
    """All words in some order, each once, with pauses around them."""
    order = rng.permutation(len(words))
    for first in range(0, len(words), WORDS_IN_STREAM):
        chosen = [words[index] for index in order[first : first + WORDS_IN_STREAM]]
        yield _stream(f"{split}-{first // WORDS_IN_STREAM:03d}", chosen, rng)


def _stream(name: str, words: Sequence[Utterance], rng: np.random.Generator) -> Stream:
    parts, timed, length = [], [], 0
    for word in words:
        pause, spoken = _silence(rng), _levelled(read_utterance(word), rng)
        start = (length + len(pause)) / SAMPLE_RATE
        timed.append(Timed(word.pinyin[0], start, start + len(spoken) / SAMPLE_RATE, 1.0))
        parts += [pause, spoken]
        length += len(pause) + len(spoken)
    speech = np.concatenate([*parts, _silence(rng)])
    return Stream(name, speech, tuple(timed), tuple(word.speaker for word in words))


def _silence(rng: np.random.Generator) -> Array:
    return np.zeros(round(rng.uniform(*PAUSES) * SAMPLE_RATE), np.float32)


def _levelled(wave: Array, rng: np.random.Generator) -> Array:
    """A word (N,) at a random level, without a click where it was cut out."""
    fade = min(len(wave) // 2, round(FADE_SECONDS * SAMPLE_RATE))
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    wave = wave.copy()
    wave[:fade] *= ramp
    wave[len(wave) - fade :] *= ramp[::-1]
    return wave * np.float32(_amplitude(rng.uniform(*LEVELS_DB)) / max(_rms(wave), 1e-6))


def with_noise(stream: Stream, snr_db: float | None, rng: np.random.Generator) -> Array:
    """The samples (N,) of a stream over noise of a random colour, or nearly none."""
    spoken = np.concatenate([stream.speech[_samples(one)] for one in stream.words])
    level = _amplitude(FLOOR_DB) if snr_db is None else _rms(spoken) * _amplitude(-snr_db)
    colour = "white" if snr_db is None else str(rng.choice(COLOURS))
    noise = endless_noise(rng, len(stream.speech), colour)
    return np.clip(stream.speech + np.float32(level / _rms(noise)) * noise, -1.0, 1.0)


def _windows(out: Path, streams: Sequence[Stream], split: str, rng: np.random.Generator) -> Iterator[Utterance]:
    """Writes the streams of a split and gives the lines of their windows; those of a test stream are of one version."""
    for number, stream in enumerate(streams):
        versions = VERSIONS if split == "test" else {"mixed": _some_snr(rng)}
        audio = {name: f"audio/{split}/{stream.name}-{name}.flac" for name in versions}
        for name, snr_db in versions.items():
            write_wave(_in_made_folder(out / audio[name]), with_noise(stream, snr_db, rng))
        seen = list(audio.values())[number % len(audio)]
        for place, (start, label, speaker) in enumerate(windows_of(stream, rng)):
            yield Utterance(
                f"{stream.name}-{place:03d}", seen, WINDOW_SECONDS, (label,), speaker=speaker, split=split, start=start
            )


def _in_made_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _some_snr(rng: np.random.Generator) -> float | None:
    return None if rng.random() < CLEAN_SHARE else float(rng.uniform(*SNRS_DB))


def windows_of(stream: Stream, rng: np.random.Generator) -> Iterator[tuple[float, str, str]]:
    """Where each window of a stream begins, in seconds, what it is called, and who speaks."""
    for word, speaker in zip(stream.words, stream.speakers, strict=True):
        end = min(word.end_seconds + rng.uniform(0.0, LATE_SECONDS), stream.seconds)
        yield round(max(0.0, end - WINDOW_SECONDS), 4), word.text, speaker
    wanted = round(BACKGROUND_SHARE * len(stream.words))
    for start in rng.uniform(0.0, stream.seconds - WINDOW_SECONDS, 4 * wanted):
        if wanted and max(_seen(word, start) for word in stream.words) < PARTIAL:
            wanted -= 1
            yield round(float(start), 4), BACKGROUND, ""


def _seen(word: Timed, start: float) -> float:
    """The share of a word that lies in the window from ``start``."""
    inside = min(word.end_seconds, start + WINDOW_SECONDS) - max(word.start_seconds, start)
    return max(0.0, inside) / word.seconds


def _write_streams(out: Path, streams: Sequence[Stream], version: str) -> None:
    """The manifest of a version of the test streams, and when which word is said in them."""
    lines = [
        Utterance(
            f"{one.name}-{version}",
            f"audio/test/{one.name}-{version}.flac",
            one.seconds,
            tuple(word.text for word in one.words),
            split="test",
        )
        for one in streams
    ]
    write_manifest(out / f"streams-{version}.jsonl", lines)
    times = (ctm(Recording(f"{one.name}-{version}", one.seconds, one.words)) for one in streams)
    write_text(out / f"streams-{version}.ctm", "".join(times))


def _samples(word: Timed) -> slice:
    return slice(round(word.start_seconds * SAMPLE_RATE), round(word.end_seconds * SAMPLE_RATE))


def _rms(wave: Array) -> float:
    return float(np.sqrt(np.mean(wave.astype(np.float64) ** 2)))


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))
