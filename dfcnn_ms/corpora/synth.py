"""The default corpus: Mandarin spoken by espeak-ng, made in seconds on any machine.

Two tasks. `digits`: three to seven digits per utterance. `mandarin`: sentences of real words drawn from
jieba's dictionary by their frequency, with every toned syllable of Mandarin in the training set.

    prepare("data/digits", task="digits")  # {"train": Path("data/digits/train.jsonl"), ...}

A corpus is a function of its parameters: utterance i of a split draws from generators of its own, so
neither the number of worker processes nor what was made before changes a sample. Speaking is exact;
the steps after it run in float64 and are rounded to 16 bit once, at the end.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.wave import SAMPLE_RATE, duration, write_wave
from dfcnn_ms.corpora.espeak import Espeak
from dfcnn_ms.corpora.manifest import Utterance, check_audio, read_manifest, write_manifest
from dfcnn_ms.corpora.sentences import SOUND, SPLITS, TASKS, Sentence, generator, sentences
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import write_text

Array: TypeAlias = NDArray[np.float64]

logger = logging.getLogger(__name__)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


# Chosen by what `python benchmarks/voices.py` measures. Of the 104 variants of espeak-ng those are out that
# whisper or croak (less than 3/4 of the sound has a pitch), are garbled (less than 70 % of the syllables
# are most like the same syllable of the other voices), monotonous (tones 2 and 4 differ by less than two
# semitones), never the same twice (Reed and caleb draw from the C library's random numbers), or so deep and
# wide that espeak-ng crashes (rob). Many of the others are near copies of each other: no voice of dev or
# test is closer than 1.2 (root mean square difference of log mel spectra, in nepers of power) to a voice
# of another split.
VOICES = {
    "train": _names(
        "Andrea, anika, anikaRobot, f2, f4, f5, steph, steph2, steph3, Denis, Diogo, Gene, Gene2, Henrique, "
        "Hugo, Jacky, Marco, Mario, Michael, Mike, Mr serious, RicishayMax, RicishayMax2, RicishayMax3, "
        "adam, antonio, benjamin, david, edward, edward2, fast, gustave, ian, iven, iven2, iven3, iven4, "
        "klatt3, klatt4, klatt5, klatt6, m1, m3, m5, m6, m8, max, michel, miguel, mike2, pablo, paul, "
        "pedro, quincy, robert, robosoft, robosoft2, robosoft3, robosoft4, robosoft5, robosoft7, "
        "victor"
    ),
    "dev": _names("belinda, f1, Storm, john, m4, marcelo, norbert, sandro"),
    "test": _names("Annie, f3, grandma, linda, Andy, Nguyen, Tweaky, boris, ed, m2, m7, travis"),
}

# These speak at half the rate about as fast as the others at the whole.
FAST_VOICES = _names(
    "Andrea, RicishayMax2, RicishayMax3, anika, anikaRobot, antonio, pedro, robosoft, robosoft2, robosoft3, "
    "robosoft4, robosoft5, robosoft7"
)
FAST_PACE = 2.0

RATES = (140, 220)
# Lower and wider, the deepest voices fall below 28 Hz, where espeak-ng writes beyond its table of harmonics.
PITCHES = (40, 75)
PITCH_RANGES = (50, 80)

NOISE_EXPONENTS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
NOISE_SHARES = {"white": 0.225, "pink": 0.225, "brown": 0.225, "hum": 0.225, "babble": 0.1}
BABBLE_SPEAKERS = 3
# Below this the spectrum of coloured noise is flat; nearly all its power would lie there otherwise.
LOWEST_COLOURED_HZ = 50.0
PEAK = 0.99
#: of sound that is left on either side of a word that is cut out
WORD_MARGIN_SECONDS = 0.05

NOTE = "corpus.json"
# To be raised with every change that makes other sounds or sentences from the same parameters.
VERSION = 1
COUNTS = {
    "digits": {"train": 3000, "dev": 200, "test": 400},
    "mandarin": {"train": 12_000, "dev": 400, "test": 600},
}


@dataclass(frozen=True)
class Manner:
    """How it is said, and where.

    Attributes:
        rate, pitch, pitch_range: as `Espeak.say` takes them.
        silence: seconds before and after.
        rt60: seconds in which the echo of the room fades by 60 dB; 0 is no room.
        noise: one of `NOISE_SHARES`.
        snr_db: speech over noise.
        level_db: rms of the result, relative to full scale.
    """

    rate: int
    pitch: int
    pitch_range: int
    silence: tuple[float, float]
    rt60: float
    noise: str
    snr_db: float
    level_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Manner:
        """A manner at random; the same distribution serves every split."""
        return cls(
            rate=int(rng.integers(*RATES, endpoint=True)),
            pitch=int(rng.integers(*PITCHES, endpoint=True)),
            pitch_range=int(rng.integers(*PITCH_RANGES, endpoint=True)),
            silence=(float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.1, 0.5))),
            rt60=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.5 else 0.0,
            noise=str(rng.choice(list(NOISE_SHARES), p=list(NOISE_SHARES.values()))),
            snr_db=float(rng.uniform(10.0, 35.0)),
            level_db=float(rng.uniform(-32.0, -16.0)),
        )


@dataclass(frozen=True)
class Job:
    """One utterance to be made: everything that a worker process needs to know."""

    task: str
    split: str
    index: int
    seed: int
    sentence: Sentence
    folder: str

    @property
    def voice(self) -> str:
        voices = VOICES[self.split]
        return voices[self.index % len(voices)]

    @property
    def audio(self) -> str:
        return f"audio/{self.split}/{self.index:05d}.flac"

    @property
    def path(self) -> Path:
        return Path(self.folder, self.audio)

    def rng(self) -> np.random.Generator:
        return generator(self.seed, self.task, self.split, self.index, SOUND)

    def words(self) -> list[Utterance]:
        """A line of the manifest for each word, cut out of the utterance with a moment before and after it."""
        whole, times = self.utterance(), edges(self)
        found = []
        for place, (pinyin, text) in enumerate(zip(whole.pinyin, whole.text, strict=True)):
            start = max(0.0, times[place] - WORD_MARGIN_SECONDS)
            end = min(whole.seconds, times[place + 1] + WORD_MARGIN_SECONDS)
            here = replace(whole, id=f"{whole.id}-{place}", start=round(start, 4), seconds=round(end - start, 4))
            found.append(replace(here, pinyin=(pinyin,), text=text))
        return found

    def utterance(self) -> Utterance:
        """The line of the manifest, once the audio is there."""
        return Utterance(
            id=f"{self.task}-{self.split}-{self.index:05d}",
            audio=self.audio,
            seconds=duration(self.path),
            pinyin=self.sentence.pinyin,
            text=self.sentence.text,
            speaker=self.voice,
            split=self.split,
        )


def prepare(
    out: str | os.PathLike[str],
    task: str = "digits",
    *,
    seed: int = 0,
    train: int | None = None,
    dev: int | None = None,
    test: int | None = None,
    words: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> dict[str, Path]:
    """Makes a corpus, or what is missing of it.

    Args:
        out: folder for `train.jsonl`, `dev.jsonl`, `test.jsonl` and the folder `audio`.
        task: `digits` or `mandarin`.
        seed: another seed gives other sentences in another manner.
        train, dev, test: number of utterances; the default depends on the task (see `COUNTS`).
        words: give each word a line of its own, cut out of its utterance; for digits.
        workers: processes; as many as the machine has cores if not given, 1 uses no other process.
        progress: show a progress bar when stderr is a terminal.

    Returns:
        The manifest of each split.

    Raises:
        ConfigError: an unknown task, an impossible count, or a folder with another corpus in it.
        DeviceError: espeak-ng is not installed.
    """
    out = Path(out)
    counts = _counts(task, {"train": train, "dev": dev, "test": test})
    _require(seed >= 0, f"seed must be 0 or more; got {seed}")
    _require(workers is None or workers >= 1, f"workers must be 1 or more; got {workers}")
    _require(not words or task == "digits", f"words: only digits are said one by one; got task {task!r}")
    parameters = {"corpus": "synth", "version": VERSION, "task": task, "seed": seed} | counts
    parameters |= {"words": True} if words else {}
    manifests = {split: out / f"{split}.jsonl" for split in SPLITS}
    if _is_complete(out, parameters, manifests):
        logger.info("%s: the corpus is there already", out)
        return manifests
    Espeak()  # fails here, in one sentence, rather than in every worker
    _write_note(out, parameters, complete=False)
    jobs = [
        Job(task, split, index, seed, sentence, str(out))
        for split in SPLITS
        for index, sentence in enumerate(sentences(task, split, counts[split], seed))
    ]
    _make([job for job in jobs if not job.path.exists()], workers or os.cpu_count() or 1, progress)
    for split, manifest in manifests.items():
        mine = [job for job in jobs if job.split == split]
        lines = (line for job in mine for line in (job.words() if words else [job.utterance()]))
        write_manifest(manifest, lines)
    _write_note(out, parameters, complete=True)
    return manifests


def speak(job: Job) -> NDArray[np.int16]:
    """One finished utterance, (N,) int16 at 16 kHz."""
    rng = job.rng()
    manner = Manner.draw(rng)
    wave = np.pad(_voice(job.sentence.pinyin, job.voice, manner), _samples(manner.silence))
    if manner.rt60:
        wave = _in_room(wave, manner.rt60, rng)
    wave = _mixed(wave, _noise(manner.noise, len(wave), job, rng), manner.snr_db)
    wave = wave * 10 ** (manner.level_db / 20) / np.sqrt(np.mean(wave**2))
    wave = wave * min(1.0, PEAK / np.abs(wave).max())
    return np.asarray(np.rint(wave * 32767), np.int16)


def edges(job: Job) -> list[float]:
    """Seconds at which the syllables of an utterance begin, and where the last one ends, as espeak-ng tells (L+1,)."""
    manner = Manner.draw(job.rng())
    samples, starts = _said(job.sentence.pinyin, job.voice, manner)
    return [manner.silence[0] + place / _espeak().sample_rate for place in (*starts, len(samples))]


def _said(pinyin: tuple[str, ...], voice: str, manner: Manner) -> tuple[NDArray[np.int16], list[int]]:
    """What espeak-ng says, (N,) at its own sample rate, and the sample at which each syllable begins."""
    pace = FAST_PACE if voice in FAST_VOICES else 1.0
    samples, starts = _espeak().say_words(
        " ".join(pinyin),
        voice,
        rate=max(80, round(manner.rate / pace)),
        pitch=manner.pitch,
        pitch_range=manner.pitch_range,
    )
    if not samples.any():
        raise DataError(f"espeak-ng said nothing for {' '.join(pinyin)!r} in the voice {voice!r}")
    return samples, starts


def _voice(pinyin: tuple[str, ...], voice: str, manner: Manner) -> Array:
    """Speech alone, (N,) float64 at 16 kHz."""
    from scipy.signal import resample_poly

    espeak = _espeak()
    samples, _ = _said(pinyin, voice, manner)
    up, down = SAMPLE_RATE // 50, espeak.sample_rate // 50
    wave: Array = resample_poly(samples / 32768.0, up, down, window=_lowpass(up, down))
    return wave


@lru_cache(maxsize=1)
def _espeak() -> Espeak:
    return Espeak()


@lru_cache(maxsize=1)
def _lowpass(up: int, down: int) -> Array:
    """The filter that `resample_poly` would design anew for every call."""
    from scipy.signal import firwin

    highest = max(up, down)
    taps: Array = firwin(20 * highest + 1, 1 / highest, window=("kaiser", 5.0))
    return taps


def _samples(seconds: tuple[float, float]) -> tuple[int, int]:
    before, after = (round(value * SAMPLE_RATE) for value in seconds)
    return before, after


def _noise(kind: str, length: int, job: Job, rng: np.random.Generator) -> Array:
    """Noise (N,) of any level."""
    if kind == "hum":
        return _hum(length, rng)
    if kind == "babble":
        return _babble(length, job, rng)
    return _coloured(length, NOISE_EXPONENTS[kind], rng)


# `audio.augment` does the same in float32, whose rounding differs between processors often enough to
# change 16-bit samples; a corpus has to come out the same everywhere.
def _mixed(wave: Array, noise: Array, snr_db: float) -> Array:
    scale = np.sqrt(np.mean(wave**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return np.asarray(wave + scale * noise)


def _in_room(wave: Array, rt60: float, rng: np.random.Generator) -> Array:
    """The wave (N,) and an echo that dies away, 0 to 10 dB below it."""
    from scipy.signal import oaconvolve

    length = round(rt60 * SAMPLE_RATE)
    response = rng.standard_normal(length) * np.exp(-np.log(1000) * np.arange(length) / length)
    response *= 10 ** (-rng.uniform(0.0, 10.0) / 20) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return np.asarray(oaconvolve(wave, response)[: len(wave)])


def _coloured(length: int, exponent: float, rng: np.random.Generator) -> Array:
    """Gaussian noise whose amplitude falls with frequency to the power of `exponent`."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(length, real=True)
    spectrum = rfft(rng.standard_normal(size))
    hz = np.maximum(np.arange(len(spectrum)) * SAMPLE_RATE / size, LOWEST_COLOURED_HZ)
    return np.asarray(irfft(spectrum / hz**exponent, size)[:length])


def _hum(length: int, rng: np.random.Generator) -> Array:
    """Mains hum: 50 Hz and its overtones over a little white noise."""
    period = np.arange(SAMPLE_RATE // 50) * 2 * np.pi / (SAMPLE_RATE // 50)
    harmonics = np.arange(1, 9)[:, None]
    waves = rng.random((8, 1)) / harmonics * np.sin(harmonics * period + 2 * np.pi * rng.random((8, 1)))
    return np.asarray(np.resize(waves.sum(axis=0), length) + 0.05 * rng.standard_normal(length))


def _babble(length: int, job: Job, rng: np.random.Generator) -> Array:
    """Several voices of the same split talking at once about something else."""
    babble = np.zeros(length)
    for _ in range(BABBLE_SPEAKERS):
        voice = VOICES[job.split][rng.integers(len(VOICES[job.split]))]
        pinyin = tuple(rng.permutation(job.sentence.pinyin))
        speech = _voice(pinyin, voice, Manner.draw(rng))
        babble += np.roll(np.resize(speech, length), rng.integers(length)) / np.sqrt(np.mean(speech**2))
    return babble


def _make(jobs: list[Job], workers: int, progress: bool) -> None:
    """Speaks and writes utterances, in as many processes as asked for."""
    from tqdm import tqdm

    with tqdm(total=len(jobs), unit="utt", disable=None if progress else True) as bar:
        for _ in _done(jobs, workers):
            bar.update()


def _done(jobs: list[Job], workers: int) -> Iterator[None]:
    """Something for each utterance when it is made."""
    if workers == 1 or len(jobs) < 2 * workers:
        yield from map(_write, jobs)
        return
    # Spawned processes carry nothing over from this one, whatever it has loaded and started.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _as_worker)
    try:
        with _interrupts_later():
            futures = [pool.submit(_write, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise DataError(
            'a worker process died or could not start; call prepare() below `if __name__ == "__main__":`,'
            " or with workers=1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Puts Ctrl-C off; a process that is started meanwhile never hears of it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_worker() -> None:
    """Makes a process a worker: Ctrl-C is for the process in front, and without that one it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _write(job: Job) -> None:
    write_wave(job.path, speak(job))


def _counts(task: str, asked: dict[str, int | None]) -> dict[str, int]:
    _require(task in TASKS, f"unknown task {task!r}; choose one of: {', '.join(TASKS)}")
    counts = {split: COUNTS[task][split] if count is None else count for split, count in asked.items()}
    for split, count in counts.items():
        _require(count >= 1, f"{split}: cannot make {count} utterances; give 1 or more")
    return counts


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _is_complete(out: Path, parameters: dict[str, Any], manifests: dict[str, Path]) -> bool:
    """Whether all of this very corpus is there; a folder with another corpus is an error."""
    try:
        note = json.loads((out / NOTE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        if (out / "audio").exists():
            raise ConfigError(f"{out}: has audio of another origin in it; choose another folder") from None
        return False
    except ValueError:
        raise ConfigError(f"{out / NOTE}: not JSON; delete the folder {out} and run again") from None
    if note.get("digest") != _digest(parameters):
        before = ", ".join(f"{key} {value}" for key, value in note.get("parameters", {}).items())
        raise ConfigError(f"{out}: holds another corpus ({before}); choose another folder or delete this one")
    if not note.get("complete"):
        return False
    try:
        for manifest in manifests.values():
            check_audio(read_manifest(manifest))
    except DataError as error:
        logger.info("%s; making what is missing", error)
        return False
    return True


def _write_note(out: Path, parameters: dict[str, Any], *, complete: bool) -> None:
    note = {"parameters": parameters, "digest": _digest(parameters), "complete": complete}
    try:
        write_text(out / NOTE, json.dumps(note, indent=2) + "\n")
    except DataError as error:
        raise ConfigError(f"{error}; choose another folder") from None


def _digest(parameters: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
