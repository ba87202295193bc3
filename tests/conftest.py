"""What several test modules share: a quiet MindSpore in a known state, and a corpus of constructed waves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms.audio.wave import SAMPLE_RATE, write_wave
from dfcnn_ms.environment import prepare_for_mindspore
from dfcnn_ms.text.pinyin import DIGITS

prepare_for_mindspore()  # before any test module imports MindSpore

SYLLABLE_SECONDS = 0.12


@pytest.fixture(scope="session")
def cpu() -> None:
    """MindSpore on the CPU."""
    import mindspore as ms

    ms.set_device("CPU")


@pytest.fixture(autouse=True)
def known_state() -> Iterator[None]:
    """Every test begins in PYNATIVE_MODE with the same seed, whatever ran before it."""
    if "mindspore" in sys.modules:
        import mindspore as ms

        ms.set_context(mode=ms.PYNATIVE_MODE)
        ms.set_seed(0)
    yield
    if "mindspore" in sys.modules:
        import mindspore as ms

        ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture
def graph_mode(cpu: None) -> None:
    """GRAPH_MODE for one test; `known_state` puts the mode back."""
    import mindspore as ms

    ms.set_context(mode=ms.GRAPH_MODE)


def spoken(syllables: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """A wave (N,) in which each digit is a tone of its own between short pauses, over a little noise."""
    samples = np.arange(round(SYLLABLE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    pause = np.zeros(len(samples) // 2)
    pieces = [pause]
    for syllable in syllables:
        hertz = 300 * 1.25 ** DIGITS.index(syllable)
        pieces += [0.3 * np.hanning(len(samples)) * np.sin(2 * np.pi * hertz * samples), pause]
    wave = np.concatenate(pieces)
    return (wave + 0.002 * rng.normal(size=len(wave))).astype(np.float32)


def write_corpus(folder: Path, name: str, utterances: int, seed: int) -> Path:
    """Writes waves of two to four digits and their manifest, and returns the manifest."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(utterances):
        syllables = rng.choice(DIGITS, size=rng.integers(2, 5)).tolist()
        if name == "train":
            syllables[0] = DIGITS[index % len(DIGITS)]  # ten utterances say every digit
        wave = spoken(syllables, rng)
        write_wave(folder / f"{name}{index}.wav", wave)
        seconds = round(len(wave) / SAMPLE_RATE, 4)
        line = {"id": f"{name}{index}", "audio": f"{name}{index}.wav", "seconds": seconds}
        lines.append(json.dumps(line | {"pinyin": " ".join(syllables)}))
    manifest = folder / f"{name}.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


@pytest.fixture
def make_corpus(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Makes a corpus of tones in `tmp_path`; returns the manifest of each split."""

    def make(train: int = 10, dev: int = 4, test: int = 4) -> dict[str, Path]:
        counts = {"train": train, "dev": dev, "test": test}
        return {
            split: write_corpus(tmp_path / "corpus", split, count, seed)
            for seed, (split, count) in enumerate(counts.items())
        }

    return make


@pytest.fixture
def corpus(make_corpus: Callable[..., dict[str, Path]]) -> dict[str, Path]:
    """Manifests of ten training, four dev and four test utterances made of tones."""
    return make_corpus()
