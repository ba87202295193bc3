"""What each page's network costs: parameters, multiply-adds, and how much faster than the sound it listens on a CPU.

    python benchmarks/networks.py                      # all of them; the widest need some GB
    python benchmarks/networks.py digits digits_lstm

Weights are as they were drawn, which costs what trained ones cost. One utterance of ten seconds, or one clip of a
second, the features made beforehand, in a process with one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.audio.wave import SAMPLE_RATE, Array

REPEATS = 5
#: the pages that write few units, by how their names begin; the others have toned syllables
FEW, WORDS, SYLLABLES = ("commands", "crnn", "digits", "fsdd", "keywords", "numbers", "words"), 12, 1215
#: of sound: networks of clips have one output for all of it
CLIP_SECONDS, SECONDS = 1, 10


def pages() -> list[str]:
    """All pages that come with the package."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / "configs").glob("*.yaml"))


def row(page: str) -> str:
    """One line of the table."""
    import mindspore as ms

    from dfcnn_ms.config import load_config
    from dfcnn_ms.exporting.network import bundle_of, write
    from dfcnn_ms.runtime import checkpoint
    from dfcnn_ms.runtime.meta import Meta
    from dfcnn_ms.runtime.onnx import OnnxAcoustics
    from dfcnn_ms.tasks.classify import Classify
    from dfcnn_ms.text.vocabulary import Vocabulary

    ms.set_device("CPU")
    config = load_config(page)
    model, bins = config.model, config.features.num_bins
    units = WORDS if page.startswith(FEW) else SYLLABLES
    seconds = CLIP_SECONDS if isinstance(config.task, Classify) else SECONDS
    sound = np.random.default_rng(0).normal(size=seconds * SAMPLE_RATE).astype(np.float32)
    features = config.features(sound)[None, None]
    frames = np.array([features.shape[2]])
    network = model.build(num_bins=bins, num_units=units)
    weights = checkpoint.numbers_of(network)
    meta = Meta(config, Vocabulary(tuple(f"unit{number}" for number in range(units - 2))))
    bundle = bundle_of(write(meta, weights), meta, waveform=False, precision="float32")
    factor = seconds / _seconds(OnnxAcoustics(bundle, threads=1), features, frames)
    parameters = model.parameters(num_bins=bins, num_units=units)
    per_second = model.multiply_adds(features.shape[2], num_bins=bins, num_units=units) / seconds
    return f"| `{page}` | {parameters / 1e6:.2f} M | {per_second / 1e6:,.1f} M | {factor:,.0f} |"


def _seconds(network: Callable[..., object], features: Array, frames: NDArray[np.int64]) -> float:
    """The median of some forward passes after the first."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        network(features, frames)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Prints the table, each row measured in a process of its own."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("pages", nargs="*", default=pages())
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(row(options.row))
        return
    print("| Page | Parameters | Multiply-adds a second | Times real time |\n|---|---|---|---|")
    for page in options.pages:
        environment = os.environ | {"GLOG_v": "3", "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, __file__, "--row", page], env=environment, check=True)


if __name__ == "__main__":
    main()
