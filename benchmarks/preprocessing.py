"""What filters and noise reduction do to the error of a network: where they help, and where they harm.

Train a network with each, and one without (the digits take some minutes)::

    python -m dfcnn_ms.train --ckpt plain.ckpt name=plain
    python -m dfcnn_ms.train --ckpt high.ckpt name=high "features.preprocess=[{kind: high_pass}]"
    python -m dfcnn_ms.train --ckpt emphasis.ckpt name=emphasis "features.preprocess=[{kind: pre_emphasis}]"
    python -m dfcnn_ms.train --ckpt reduction.ckpt name=reduction "features.preprocess=[{kind: noise_reduction}]"

Then ``python benchmarks/preprocessing.py --ckpt plain.ckpt high.ckpt emphasis.ckpt reduction.ckpt --manifest
data/digits/test.jsonl`` prints the errors of each in noise of each kind and ratio, as rows of a table in Markdown.

``... --ckpt plain.ckpt --manifest data/digits/test.jsonl --use`` needs no other training: the network without is given
sound that went through each of them. So it shows what a difference between training and use costs.

All networks hear the same mixtures. The kinds are white and pink noise, hum (50 Hz and its harmonics), rumble (brown
noise), and babble (eight other sentences of the manifest). ``--limit 50`` hears that many sentences.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dfcnn_ms.audio.augment import add_noise_at_snr, coloured_noise
from dfcnn_ms.audio.preprocess import PREPROCESS
from dfcnn_ms.audio.wave import SAMPLE_RATE, Array
from dfcnn_ms.corpora.manifest import read_manifest, read_utterance
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.recognizer import Recognizer, Transcript

RATIOS = (None, 20, 10, 5, 0)
COLOURS = {"white": "white", "pink": "pink", "rumble": "brown"}
NOISES = (*COLOURS, "hum", "babble")
VOICES = 8
AT_ONCE = 16


def main() -> None:
    """Prints a row for each network and kind of noise."""
    options = _options()
    utterances = read_manifest(options.manifest)[: options.limit]
    sentences = [(read_utterance(one), one.pinyin) for one in utterances]
    networks = _networks(options.ckpt, use=options.use)
    print(f"| Front end | noise | {' | '.join('clean' if one is None else f'{one} dB' for one in RATIOS)} |")
    print(f"|---|---|{'---|' * len(RATIOS)}")
    for kind in options.noises:
        mixtures = {ratio: _mixed(sentences, kind, ratio) for ratio in RATIOS}
        for name, network in networks.items():
            rates = [f"{100 * _errors(network, mixtures[ratio], sentences).rate:.2f} %" for ratio in RATIOS]
            print(f"| {name} | {kind} | {' | '.join(rates)} |", flush=True)


def _options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ckpt", nargs="+", required=True)
    arguments.add_argument("--manifest", type=Path, required=True)
    arguments.add_argument("--noises", nargs="+", default=NOISES, choices=NOISES)
    arguments.add_argument("--use", action="store_true")
    arguments.add_argument("--limit", type=int)
    return arguments.parse_args()


def _networks(paths: Sequence[str], *, use: bool) -> Mapping[str, Recognizer]:
    """By what their front ends do to the sound first, or with each step in front of all of them."""
    found = {}
    for path in paths:
        network = Recognizer.load(path)
        found[f"{Path(path).stem}: {_steps(network)}"] = network
        for kind, step in PREPROCESS.items() if use else ():
            features = replace(network.frontend.features, preprocess=(step(),))
            changed = Recognizer.load(path)
            changed.frontend = replace(network.frontend, features=features)
            found[f"{Path(path).stem}, in use alone: {kind}"] = changed
    return found


def _steps(network: Recognizer) -> str:
    return " ".join(repr(step) for step in network.frontend.features.preprocess) or "as it is"


def _mixed(sentences: Sequence[tuple[Array, Sequence[str]]], kind: str, ratio: float | None) -> list[Array]:
    """All sentences in noise of one kind."""
    waves, rng = [wave for wave, _ in sentences], np.random.default_rng(0)
    if ratio is None:
        return waves
    return [add_noise_at_snr(wave, _noise(kind, rng, len(wave), waves), ratio) for wave in waves]


def _noise(kind: str, rng: np.random.Generator, samples: int, waves: Sequence[Array]) -> Array:
    """Noise (N,), however loud."""
    if kind in COLOURS:
        return coloured_noise(rng, samples, COLOURS[kind])
    if kind == "hum":
        return hum(rng, samples)
    voices = [waves[index] for index in rng.integers(len(waves), size=VOICES)]
    return np.asarray(sum(np.resize(voice / max(1e-6, voice.std()), samples) for voice in voices), np.float32)


def hum(rng: np.random.Generator, samples: int) -> Array:
    """50 Hz and its harmonics (N,)."""
    time = np.arange(samples) / SAMPLE_RATE + rng.uniform(0, 1)
    return np.asarray(sum(np.sin(2 * np.pi * 50 * n * time) / n for n in (1, 2, 3, 5)), np.float32)


def heard_by(network: Recognizer, waves: Sequence[Array]) -> list[Transcript]:
    """What a network hears in some recordings, batch by batch."""
    parts = (waves[first : first + AT_ONCE] for first in range(0, len(waves), AT_ONCE))
    return [one for part in parts for one in network.hear(part)]


def _errors(network: Recognizer, waves: Sequence[Array], sentences: Sequence[tuple[Array, Sequence[str]]]) -> Edits:
    found = zip(sentences, heard_by(network, waves), strict=True)
    counted = (edits(said, heard.syllables) for (_, said), heard in found)
    return sum(counted, Edits())


if __name__ == "__main__":
    main()
