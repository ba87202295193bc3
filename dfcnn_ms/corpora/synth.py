"""The default corpus: synthesised Mandarin, made on any machine without a download.

Four tasks, or sentences of one's own. `digits`: three to seven digits per utterance; `numbers`: one to seven, many of
them alone. `mandarin`: sentences of real words drawn from jieba's dictionary by their frequency, with every toned
syllable of Mandarin in the training set. `everyday`: what people say, with numbers, dates and names. espeak-ng speaks,
or whoever is asked of the room `voices`.

    prepare("data/digits", task="digits")  # {"train": Path("data/digits/train.jsonl"), ...}

A corpus is a function of its parameters: utterance i of a split draws from generators of its own, so
neither the number of worker processes nor what was made before changes a sample. Speaking is exact;
the steps after it run in float64 and are rounded to 16 bit once, at the end.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.wave import SAMPLE_RATE, duration, write_wave
from dfcnn_ms.corpora import own_text
from dfcnn_ms.corpora.making import Workers, digest, is_complete, write_note
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.corpora.sentences import OWN_TEXT, SOUND, SPLITS, TASKS, VOICE, Sentence, generator, sentences
from dfcnn_ms.corpora.voices import table
from dfcnn_ms.corpora.voices.spoken import Array, Voice
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import write_text
from dfcnn_ms.reporting.timings import Recording, Timed, ctm

logger = logging.getLogger(__name__)

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
    "everyday": {"train": 12_000, "dev": 400, "test": 600},
    "numbers": {"train": 3000, "dev": 200, "test": 400},
}
#: people of the neural voice who may say one sentence: its training has no more
MOST_TAKES = 100
#: who speaks if nobody is named
ESPEAK = "espeak"
#: tasks that espeak-ng says with the tones of the label, third tones aside, which it joins by rules of its own
AS_LABELLED = ("digits", "mandarin")


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
    voices: tuple[str, ...] = (ESPEAK,)
    takes: int = 1

    @property
    def reading(self) -> int:
        """The number of the sentence; several people in turn may say the same one in the same rhythm."""
        return self.index // self.takes

    @property
    def kind(self) -> str:
        """Whose turn it is; drawn, because every so many utterances the same syllable has its own turn."""
        return self.voices[int(self._voice_rng().integers(len(self.voices)))]

    @property
    def voice(self) -> str:
        """Who speaks."""
        speakers = table.VOICES[self.kind].speakers(self.split)
        return speakers[self.index % len(speakers)]

    @property
    def said(self) -> tuple[str, ...]:
        """The syllables in the tones in which they are spoken."""
        as_labelled = self.kind == ESPEAK and self.task in AS_LABELLED
        return self.sentence.pinyin if as_labelled else self.sentence.said

    @property
    def audio(self) -> str:
        return f"audio/{self.split}/{self.index:05d}.flac"

    @property
    def path(self) -> Path:
        return Path(self.folder, self.audio)

    def rng(self, index: int | None = None) -> np.random.Generator:
        """What decides how an utterance sounds; this one's if not said."""
        return generator(self.seed, self.task, self.split, self.index if index is None else index, SOUND)

    def asked(self) -> tuple[Voice, tuple[Sequence[str], str, Manner, np.random.Generator]]:
        """The voice, and what it is asked; the same every time."""
        rng = self._voice_rng()
        rng.integers(len(self.voices))
        manner, first = (Manner.draw(self.rng(index)) for index in (self.index, self.reading * self.takes))
        alike = replace(manner, rate=first.rate, pitch_range=first.pitch_range)
        return table.VOICES[self.kind], (self.said, self.voice, alike, rng)

    def _voice_rng(self) -> np.random.Generator:
        return generator(self.seed, self.task, self.split, self.reading, VOICE)

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
    task: str | None = None,
    *,
    text: str | os.PathLike[str] | None = None,
    skip_unreadable: bool = False,
    voices: str = ESPEAK,
    seed: int = 0,
    train: int | None = None,
    dev: int | None = None,
    test: int | None = None,
    takes: int = 1,
    words: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> dict[str, Path]:
    """Makes a corpus, or what is missing of it.

    Args:
        out: folder for `train.jsonl`, `dev.jsonl`, `test.jsonl` and the folder `audio`.
        task: `digits`, `mandarin`, `everyday` or `numbers`; `digits` if neither this nor a text is given.
        text: a file of sentences that are said instead, a line each, in characters; one in twenty is for dev, one in
            twenty for test.
        skip_unreadable: leave out lines of the text that cannot be read or that no voice says.
        voices: who speaks, such as `espeak,neural`; see `voices.table`. One that stands there twice speaks twice as
            often. Babble is always espeak-ng's.
        seed: another seed gives other sentences in another manner.
        train, dev, test: number of utterances; the default depends on the task (see `COUNTS`). Of a text: each sentence
            once in every take; with more of them it is said from the beginning again.
        takes: how many people say each sentence, one after another and in one rhythm; the neural voice speaks it once.
        words: give each word a line of its own, cut out of its utterance; for digits.
        workers: processes; as many as the machine has cores if not given, 1 uses no other process.
        progress: show a progress bar when stderr is a terminal.

    Returns:
        The manifest of each split. But for `digits` and `mandarin` in espeak-ng's voices, the times of the syllables
        stand beside it in the form of NIST, as `train.ctm` beside `train.jsonl`.

    Raises:
        ConfigError: an unknown task or voice, an impossible count, or a folder with another corpus in it.
        DataError: the text cannot be read.
        DeviceError: a synthesiser is not installed.
    """
    out = Path(out)
    _require(text is None or task is None, f"text and task: both say what is said; got {text} and {task}, wanted one")
    _require(text is not None or not skip_unreadable, "skip_unreadable: only lines of a text can be left out; give one")
    task = task or (OWN_TEXT if text else "digits")
    own = own_text.read(Path(text), skip_unreadable=skip_unreadable) if text else {}
    counts = _counts(task, {"train": train, "dev": dev, "test": test}, {s: len(own[s]) * takes for s in own})
    _require(seed >= 0, f"seed must be 0 or more; got {seed}")
    _require(workers is None or workers >= 1, f"workers must be 1 or more; got {workers}")
    _require(1 <= takes <= MOST_TAKES, f"takes: got {takes}, wanted 1 to {MOST_TAKES}")
    _require(not words or task == "digits", f"words: only digits are said one by one; got task {task!r}")
    speakers = table.named(voices)
    parameters = {"corpus": "synth", "version": VERSION, "task": task, "seed": seed} | counts
    parameters |= {"text": digest([[one.text for one in own[split]] for split in SPLITS])[:12]} if own else {}
    parameters |= {"words": True} if words else {}
    parameters |= {} if takes == 1 else {"takes": takes}
    parameters |= {} if speakers == (ESPEAK,) else {"voices": ",".join(speakers)}
    manifests = {split: out / f"{split}.jsonl" for split in SPLITS}
    timed = not words and (speakers != (ESPEAK,) or task not in AS_LABELLED)
    times = {split: path.with_suffix(".ctm") for split, path in manifests.items()} if timed else {}
    if is_complete(out, parameters, [*manifests.values(), *times.values()]):
        logger.info("%s: the corpus is there already", out)
        return manifests
    for name in dict.fromkeys((ESPEAK, *speakers)):
        table.VOICES[name].check()  # fails here, in one sentence, rather than in every worker
    write_note(out, parameters, complete=False)
    spoken = own or {split: list(sentences(task, split, math.ceil(counts[split] / takes), seed)) for split in SPLITS}
    jobs = [
        Job(task, split, index, seed, spoken[split][index // takes % len(spoken[split])], str(out), speakers, takes)
        for split in SPLITS
        for index in range(counts[split])
    ]
    processes = Workers(workers or os.cpu_count() or 1, progress)
    missing = [job for job in jobs if not job.path.exists()]
    found = dict(processes.all(_write_with_times if times else _write, missing, "utt", _reading))
    for split, manifest in manifests.items():
        mine = [job for job in jobs if job.split == split]
        lines = (line for job in mine for line in (job.words() if words else [job.utterance()]))
        write_manifest(manifest, lines)
    if times:
        old = [job for job in jobs if job.audio not in found]
        found |= dict(processes.all(_times, old, "utt", _reading)) if old else {}
        for split, path in times.items():
            write_text(path, "".join(found[job.audio] for job in jobs if job.split == split))
    write_note(out, parameters, complete=True)
    return manifests


def speak(job: Job) -> NDArray[np.int16]:
    """One finished utterance, (N,) int16 at 16 kHz."""
    rng = job.rng()
    manner = Manner.draw(rng)
    voice, asked = job.asked()
    wave = np.pad(voice.say(*asked), _samples(manner.silence))
    if manner.rt60:
        wave = _in_room(wave, manner.rt60, rng)
    wave = _mixed(wave, _noise(manner.noise, len(wave), job, rng), manner.snr_db)
    wave = wave * 10 ** (manner.level_db / 20) / np.sqrt(np.mean(wave**2))
    wave = wave * min(1.0, PEAK / np.abs(wave).max())
    return np.asarray(np.rint(wave * 32767), np.int16)


def edges(job: Job) -> list[float]:
    """Seconds at which the syllables of an utterance begin, and where the last one ends, as its voice tells (L+1,)."""
    voice, asked = job.asked()
    before, _ = Manner.draw(job.rng()).silence
    return [before + seconds for seconds in voice.edges(*asked)]


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
    espeak = table.VOICES[ESPEAK]
    speakers = espeak.speakers(job.split)
    for _ in range(BABBLE_SPEAKERS):
        speaker = speakers[rng.integers(len(speakers))]
        pinyin = tuple(rng.permutation(job.sentence.pinyin))
        speech = espeak.say(pinyin, speaker, Manner.draw(rng), rng)
        babble += np.roll(np.resize(speech, length), rng.integers(length)) / np.sqrt(np.mean(speech**2))
    return babble


def _reading(job: Job) -> tuple[str, int]:
    """What one process makes at a time: all that is said of a sentence, for it keeps the sound of the last."""
    return job.split, job.reading


def _times(job: Job) -> tuple[str, str]:
    """An utterance, and its lines in the form of NIST."""
    utterance, times = job.utterance(), edges(job)
    spans = zip(utterance.pinyin, pairwise(times), strict=True)
    syllables = tuple(Timed(syllable, start, end, 1.0) for syllable, (start, end) in spans)
    return job.audio, ctm(Recording(utterance.id, utterance.seconds, syllables))


def _write(job: Job) -> tuple[str, str]:
    """An utterance that has no lines of times."""
    write_wave(job.path, speak(job))
    return job.audio, ""


def _write_with_times(job: Job) -> tuple[str, str]:
    """Both at once: a voice that has just spoken remembers when."""
    _write(job)
    return _times(job)


def _counts(task: str, asked: dict[str, int | None], own: dict[str, int]) -> dict[str, int]:
    """How many utterances of each split: what was asked for, else as many as a text gives, else as ever."""
    _require(bool(own) or task in TASKS, f"unknown task {task!r}; choose one of: {', '.join(TASKS)}")
    usual = own or COUNTS[task]
    counts = {split: usual[split] if count is None else count for split, count in asked.items()}
    for split, count in counts.items():
        _require(count >= 1, f"{split}: cannot make {count} utterances; give 1 or more")
    return counts


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
