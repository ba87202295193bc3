"""What a stream keeps of voices, what it writes of noise, and what memory it takes.

``python benchmarks/streaming.py voices --ckpt dfcnn.ckpt --manifest data/digits/dev.jsonl``: sentences with pauses
between them, quiet and in pink noise, heard alone and as one stream: errors, and the share of the voiced time that lies
in no segment, with each kind of voice activity.

``... noise --ckpt dfcnn.ckpt --manifest data/digits/dev.jsonl --hours 1``: silence, white and pink noise, hum, and
twelve voices at once, fed in pieces of a quarter of a second: words, seconds in segments, and memory.

``... memory --ckpt dfcnn.ckpt --manifest data/digits/dev.jsonl --minutes 60``: a file of sentences and pauses of that
length is written and transcribed; the peak of memory. Run it for two lengths to compare them.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from dfcnn_ms.audio.augment import coloured_noise
from dfcnn_ms.audio.wave import SAMPLE_RATE, Array
from dfcnn_ms.corpora.manifest import read_manifest, read_utterance
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.streaming import Endpointing, StreamingRecognizer
from dfcnn_ms.streaming.recordings import results, transcript
from dfcnn_ms.streaming.segmenter import Segmenter

#: sentences whose own noise is below this, in decibels of full scale, are put into one recording
QUIET_DB = -48.0
SENTENCES = 50
#: decibels of white noise in the pauses
PAUSES_DB = -55.0
BLOCK = 10 * SAMPLE_RATE
VOICES = 12
KINDS = ("silence", "white", "pink", "hum", "babble")


def main() -> None:
    """Runs one of the three."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("voices", "noise", "memory"))
    arguments.add_argument("--ckpt", required=True)
    arguments.add_argument("--manifest", type=Path, required=True)
    arguments.add_argument("--vad", nargs="+", default=["energy"])
    arguments.add_argument("--kinds", nargs="+", default=KINDS)
    arguments.add_argument("--hours", type=float, default=1.0)
    arguments.add_argument("--minutes", type=float, default=10.0)
    options = arguments.parse_args()
    recognizer = Recognizer.load(options.ckpt)
    utterances = read_manifest(options.manifest)
    sentences = [(read_utterance(one), list(one.pinyin)) for one in utterances]
    if options.what == "voices":
        voices(recognizer, sentences, options.vad)
    elif options.what == "noise":
        for kind in options.kinds:
            hear_noise(recognizer, kind, [wave for wave, _ in sentences], options.hours)
    else:
        memory(recognizer, [wave for wave, _ in sentences], options.minutes)


def voices(recognizer: Recognizer, sentences: list[tuple[Array, list[str]]], vads: list[str]) -> None:
    """Prints a row for each loudness of noise and each kind of voice activity."""
    quiet = [(wave, said) for wave, said in sentences if edge_db(wave) < QUIET_DB][:SENTENCES]
    rng, said = np.random.default_rng(0), [unit for _, units in quiet for unit in units]
    parts, spoken, at = [], [], 0
    for wave, _ in quiet:
        pause = rng.standard_normal(round(rng.uniform(0.8, 2.5) * SAMPLE_RATE)) * 10 ** (PAUSES_DB / 20)
        parts += [pause.astype(np.float32), wave]
        loud = np.flatnonzero(np.abs(wave) > 0.05 * np.abs(wave).max())
        spoken.append((at + len(pause) + loud[0], at + len(pause) + loud[-1]))
        at += len(pause) + len(wave)
    whole, power = np.concatenate(parts), float(np.mean(np.concatenate([wave for wave, _ in quiet]) ** 2))
    for ratio in (None, 20, 10, 5):
        scale = 0.0 if ratio is None else np.sqrt(power / 10 ** (ratio / 10))
        noisy = whole + np.float32(scale) * unit_noise(rng, len(whole))
        alone = Edits()
        for wave, units in quiet:
            (heard,) = recognizer.hear([wave + np.float32(scale) * unit_noise(rng, len(wave))])
            alone += edits(units, heard.syllables)
        for vad in vads:
            ends = Endpointing(vad=vad)
            found = [unit for one in results(recognizer, [noisy], ends) for unit in one.syllables]
            missed = missed_share(recognizer, noisy, spoken, ends)
            print(
                f"{'quiet' if ratio is None else f'{ratio} dB':6} {vad:7} alone {100 * alone.rate:5.2f} %"
                f"  stream {100 * edits(said, found).rate:5.2f} %  voiced time in no segment {100 * missed:4.1f} %"
            )


def missed_share(recognizer: Recognizer, wave: Array, spoken: list[tuple[int, int]], ends: Endpointing) -> float:
    """The share of the voiced samples that lie in no segment."""
    segmenter = Segmenter(recognizer.frontend.features, ends)
    hop, inside = recognizer.frontend.features.hop_samples, np.zeros(len(wave), bool)
    for one in [*segmenter.feed(wave), *segmenter.finish()]:
        inside[one.first * hop : one.stop * hop] = True
    voiced = np.concatenate([inside[first:stop] for first, stop in spoken])
    return float(1 - voiced.mean())


def hear_noise(recognizer: Recognizer, kind: str, waves: list[Array], hours: float) -> None:
    """Prints what is written of so many hours of a noise."""
    stream, words, started = StreamingRecognizer(recognizer, partials=False), 0, time.process_time()
    for block in noise(kind, waves, round(hours * 3600 * SAMPLE_RATE / BLOCK)):
        for first in range(0, BLOCK, SAMPLE_RATE // 4):
            found = stream.feed(block[first : first + SAMPLE_RATE // 4])
            words += sum(len(one.syllables) for one in found if one.final)
    words += sum(len(one.syllables) for one in stream.finish())
    seconds = time.process_time() - started
    print(f"{kind:8} {stream.seconds / 3600:.2f} h: {words} words, {seconds:.0f} s of one core, {peak()}")


def noise(kind: str, waves: list[Array], blocks: int) -> Iterator[Array]:
    """So many blocks of a noise."""
    rng, talk = np.random.default_rng(1), np.concatenate(waves)
    places = rng.integers(len(talk), size=VOICES)
    for number in range(blocks):
        seconds = (np.arange(BLOCK) + number * BLOCK) / SAMPLE_RATE
        if kind == "silence":
            block = np.zeros(BLOCK)
        elif kind == "hum":
            tones = ((0.1, 50), (0.05, 150), (0.02, 250))
            block = sum(height * np.sin(2 * np.pi * hertz * seconds) for height, hertz in tones)
            block = block + 3e-4 * rng.standard_normal(BLOCK)
        elif kind == "babble":
            block = sum(talk.take(range(place, place + BLOCK), mode="wrap") for place in places) / np.sqrt(
                2.25 * VOICES
            )
            places = (places + BLOCK) % len(talk)
        else:
            block = 0.05 * coloured_noise(rng, BLOCK, kind)
        yield np.asarray(block, np.float32)


def memory(recognizer: Recognizer, waves: list[Array], minutes: float) -> None:
    """Writes a file of so many minutes, hears it, and prints the peak of memory."""
    rng = np.random.default_rng(0)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        with soundfile.SoundFile(file.name, "w", SAMPLE_RATE, 1, "PCM_16") as sound:
            while sound.frames < minutes * 60 * SAMPLE_RATE:
                sound.write(1e-4 * rng.standard_normal(round(rng.uniform(0.7, 2) * SAMPLE_RATE)))
                sound.write(waves[rng.integers(len(waves))])
        started, heard = time.process_time(), transcript(recognizer, file.name)
    seconds = time.process_time() - started
    print(f"{minutes:g} minutes: {len(heard.syllables)} syllables, {seconds:.0f} s of one core, {peak()}")


def unit_noise(rng: np.random.Generator, samples: int) -> Array:
    """Pink noise (N,) of power 1."""
    found = coloured_noise(rng, samples, "pink")
    return found / np.float32(found.std())


def edge_db(wave: Array) -> float:
    """How loud the beginning and the end of a recording are, 50 ms each."""
    return float(20 * np.log10(max(wave[:800].std(), wave[-800:].std()) + 1e-9))


def peak() -> str:
    """The most memory that this process ever had."""
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


if __name__ == "__main__":
    main()
