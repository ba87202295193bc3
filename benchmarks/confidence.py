"""What a network says where nobody speaks Mandarin, and how sure it is of that.

    python benchmarks/confidence.py --english data/fsdd/test.jsonl --right data/words/test.jsonl
    python benchmarks/confidence.py --ckpt mandarin.ckpt --noise recordings/

Sounds of three seconds: silence, noise of three colours, hum, single tones, chords that change (synthetic music),
and pieces of recordings of noise; then recordings of another language, and for comparison those of Mandarin, right and
wrong apart. A row for each: how many there are, in how many it writes nothing, how many syllables a second it
writes, and its confidence in those that it writes: the median, and the share that is above a half and above 0.8.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from preprocessing import heard_by, hum

from dfcnn_ms.audio.augment import coloured_noise
from dfcnn_ms.audio.sound_files import in_folder
from dfcnn_ms.audio.wave import SAMPLE_RATE, Array, read_wave
from dfcnn_ms.corpora.manifest import read_manifest, read_utterance
from dfcnn_ms.metrics import edits
from dfcnn_ms.recognizer import Recognizer, Transcript
from dfcnn_ms.runtime.in_the_box import choose

Sound = Callable[[np.random.Generator], Array]

EACH, SECONDS = 40, 3.0
SAMPLES = round(SECONDS * SAMPLE_RATE)
HEAD = "| Sound | Recordings | Nothing written | Syllables a second | Median confidence | above 0.5 | above 0.8 |"
#: of levels below full scale, in dB
LEVELS = (-45.0, -12.0)
#: a pentatonic scale, so that any two of its tones sound like music
SCALE = 220.0 * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)


def main() -> None:
    """Prints a row for each kind of sound."""
    options = _options()
    recognizer = Recognizer.load(choose(options.ckpt).network, "CPU")
    print(HEAD, "|---|---|---|---|---|---|---|", sep="\n")
    rng = np.random.default_rng(0)
    for name, make in KINDS.items():
        _say(name, [_at_some_level(make(rng), rng) for _ in range(EACH)], recognizer)
    if options.noise:
        recordings = [read_wave(file) for file in in_folder(options.noise)]
        pieces = [_piece(wave, rng) for wave in recordings for _ in range(EACH // 5)]
        _say("recorded noise", pieces, recognizer)
    for manifest in options.english:
        _say(
            f"another language, `{manifest.name}`", [read_utterance(one) for one in read_manifest(manifest)], recognizer
        )
    for manifest in options.right:
        utterances = read_manifest(manifest)
        waves = [read_utterance(one) for one in utterances]
        heard = heard_by(recognizer, waves)
        fine = [not edits(one.pinyin, said.syllables).total for one, said in zip(utterances, heard, strict=True)]
        for word, wanted in (("right", True), ("wrong", False)):
            chosen = [index for index, one in enumerate(fine) if one is wanted]
            _row(f"`{manifest.name}`, {word}", [waves[index] for index in chosen], [heard[index] for index in chosen])


def _options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ckpt", type=Path, help="default: the network in the box")
    arguments.add_argument("--noise", type=Path, help="a folder of recordings in which nobody speaks")
    arguments.add_argument(
        "--english", type=Path, nargs="+", default=[], metavar="MANIFEST", help="of another language"
    )
    arguments.add_argument("--right", type=Path, nargs="+", default=[], metavar="MANIFEST", help="of Mandarin")
    return arguments.parse_args()


def _noise(colour: str) -> Sound:
    return lambda rng: coloured_noise(rng, SAMPLES, colour)


def _tone(rng: np.random.Generator) -> Array:
    time = np.arange(SAMPLES) / SAMPLE_RATE
    return np.sin(2 * np.pi * rng.uniform(100, 2000) * time).astype(np.float32)


def _chords(rng: np.random.Generator) -> Array:
    """Three tones with ten harmonics each, others every half second, each of which dies away."""
    time = np.arange(round(0.5 * SAMPLE_RATE)) / SAMPLE_RATE
    chords = []
    for _ in range(round(SECONDS / 0.5)):
        tones = [sum(np.sin(2 * np.pi * n * hz * time) / n**1.5 for n in range(1, 11)) for hz in rng.choice(SCALE, 3)]
        chords.append(sum(tones) * np.exp(-3 * time))
    return np.concatenate(chords).astype(np.float32)


#: what nobody says; silence is what a microphone hears that is off
KINDS: dict[str, Sound] = {
    "digital silence": lambda rng: np.zeros(SAMPLES, np.float32),
    **{f"{colour} noise": _noise(colour) for colour in ("white", "pink", "brown")},
    "hum": lambda rng: hum(rng, SAMPLES),
    "one tone": _tone,
    "chords": _chords,
}


def _at_some_level(wave: Array, rng: np.random.Generator) -> Array:
    level = 10 ** (rng.uniform(*LEVELS) / 20)
    return np.asarray(wave * level / max(1e-9, float(np.sqrt(np.mean(np.square(wave))))), np.float32).clip(-1, 1)


def _piece(wave: Array, rng: np.random.Generator) -> Array:
    first = int(rng.integers(max(1, len(wave) - SAMPLES)))
    return wave[first : first + SAMPLES]


def _say(name: str, waves: Sequence[Array], recognizer: Recognizer) -> None:
    _row(name, waves, heard_by(recognizer, waves))


def _row(name: str, waves: Sequence[Array], heard: Sequence[Transcript]) -> None:
    silent = sum(not one.syllables for one in heard)
    sure = np.array([confidence for one in heard for confidence in one.confidences])
    pace = len(sure) * SAMPLE_RATE / max(1, sum(map(len, waves)))
    cells = [""] * 3
    if len(sure):
        cells = [f"{np.median(sure):.2f}", *(f"{100 * np.mean(sure > least):.0f} %" for least in (0.5, 0.8))]
    print(f"| {name} | {len(heard)} | {silent} | {pace:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
