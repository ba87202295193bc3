"""The tracker of pitch beside Praat's, and what it costs.

``python benchmarks/pitch.py --manifest data/digits/dev.jsonl`` (some seconds; Praat comes with the extra ``voices``):
of the frames that both call voiced, the share within 2 % and the share beyond 20 %; of all frames, the share with the
same voicing; and milliseconds of one core for a second of sound, beside those of 40 mel bands.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

import numpy as np

from dfcnn_ms.audio import SAMPLE_RATE, Features, LogMel, Pitch
from dfcnn_ms.audio.pitch import OCTAVES, REFERENCE_HZ, VOICING
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.corpora.manifest import read_manifest, read_utterance

SENTENCES = 120
ROUNDS = 5


def main() -> None:
    """Prints a line for each figure."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--manifest", type=Path, required=True)
    utterances = read_manifest(arguments.parse_args().manifest)[:SENTENCES]
    waves, kind = [read_utterance(one) for one in utterances], Pitch()
    ours = np.concatenate([kind(wave) for wave in waves])
    praat = np.concatenate([praat_hertz(kind, wave) for wave in waves])
    voiced = ours[:, VOICING] > 0.5
    both = voiced & (praat > 0)
    error = np.abs(REFERENCE_HZ * 2 ** ours[both, OCTAVES] / praat[both] - 1)
    print(
        f"{len(ours)} frames, {both.mean():.1%} voiced for both, {(voiced == (praat > 0)).mean():.1%} the same voicing"
    )
    print(f"within 2 %: {(error < 0.02).mean():.1%}; beyond 20 %: {(error > 0.2).mean():.1%}")
    print(f"{cost(kind, waves):.2f} ms a second of sound; 40 mel bands: {cost(LogMel(n_mels=40), waves):.2f}")


def praat_hertz(kind: Pitch, wave: Array) -> Array:
    """What Praat says in the middle of each frame (T,), 0 where it hears no voice."""
    sound = importlib.import_module("parselmouth").Sound(wave.astype(np.float64), SAMPLE_RATE)
    pitch = sound.to_pitch_ac(time_step=kind.hop_ms / 1000, pitch_floor=kind.low_hz, pitch_ceiling=kind.high_hz)
    middles = (np.arange(kind.num_frames(len(wave))) * kind.hop_ms + kind.window_ms / 2) / 1000
    return np.nan_to_num(np.array([pitch.get_value_at_time(seconds) for seconds in middles]))


def cost(kind: Features, waves: list[Array]) -> float:
    """Milliseconds of one core for a second of sound: the least of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for wave in waves:
            kind(wave)
        taken.append(time.process_time() - started)
    return 1000 * min(taken) / (sum(map(len, waves)) / SAMPLE_RATE)


if __name__ == "__main__":
    main()
