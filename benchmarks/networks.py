"""What each page's network costs: parameters, multiply-adds, and how much faster than the sound it listens on a CPU.

    python benchmarks/networks.py                      # the networks of sentences
    python benchmarks/networks.py digits digits_lstm

Weights are as they were drawn, which costs what trained ones cost. One utterance of ten seconds, the features made
beforehand, in a process with one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

SECONDS = 10
REPEATS = 5
UNITS = 1215  # toned syllables
PAGES = (
    "digits",
    "digits_lstm",
    "digits_attention",
    "mandarin",
    "mandarin_lstm",
    "people",
    "conformer_small",
    "thchs30_dfcnn_lstm",
    "transformer",
)


def row(page: str) -> str:
    """One line of the table."""
    import mindspore as ms
    import numpy as np

    from dfcnn_ms.config import load_config
    from dfcnn_ms.runtime.acoustic import Acoustic

    ms.set_device("CPU")
    config = load_config(page)
    model, bins = config.model, config.features.num_bins
    units = 12 if page.startswith("digits") else UNITS
    frames = round(1000 * SECONDS / config.features.hop_ms)
    acoustic = Acoustic(model.build(num_bins=bins, num_units=units))
    features = np.random.default_rng(0).normal(size=(1, 1, frames, bins)).astype(np.float32)
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        acoustic(features, np.array([frames]))
        times.append(time.perf_counter() - start)
    parameters = model.parameters(num_bins=bins, num_units=units)
    per_second = model.multiply_adds(frames, num_bins=bins, num_units=units) / SECONDS
    factor = statistics.median(times[1:]) / SECONDS
    return f"| {page} | {parameters / 1e6:.2f} M | {per_second / 1e6:,.0f} M | {factor:.4f} |"


def main() -> None:
    """Prints the table, each row measured in a process of its own."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(row(options.row))
        return
    print("| Page | Parameters | Multiply-adds a second | Real-time factor |\n|---|---|---|---|")
    for page in options.pages:
        environment = os.environ | {"GLOG_v": "3", "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, __file__, "--row", page], env=environment, check=True)


if __name__ == "__main__":
    main()
