"""What size costs on one machine: five things that grow, three sizes of each, a process of its own for each size.

    python benchmarks/scale.py                       the table, and docs/scale.png
    python benchmarks/scale.py --stream 100          packs 100 hours of speech (11 GB) and reads them all

Seconds are those of the processor: another program on the machine disturbs them less than the clock. A slope is that of
a line through the three logarithms: 1 means that twice the size costs twice as much.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16_000
ROUNDS = 3
#: what grows -> its three values, in which unit, and what its cost is
SIZES: dict[str, tuple[tuple[int, ...], str, str]] = {
    "length": ((15, 60, 240), "seconds of sound", "to transcribe one recording"),
    "utterances": ((10_000, 100_000, 1_000_000), "lines of a manifest", "until the first batch of a training"),
    "vocabulary": ((12, 120, 1200), "units", "for a training step (digits page, batch of 32)"),
    "batch": ((8, 32, 128), "utterances", "for a training step (digits page)"),
    "workers": ((0, 1, 2), "loader processes", "wall clock for 30 batches of 32, augmented"),
}
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "scale.png"


def peak_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def least(work: Callable[[], Any]) -> float:
    """Seconds of the processor: the best of some rounds, after one that compiles."""
    work()
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def length(seconds: int, _: Path) -> float:
    """Transcribes noise with an untrained network of the digits page."""
    from dfcnn_ms.audio.frontend import Frontend
    from dfcnn_ms.config import load_config
    from dfcnn_ms.recognizer import Recognizer
    from dfcnn_ms.runtime.acoustic import Acoustic
    from dfcnn_ms.runtime.device import use_device
    from dfcnn_ms.text.pinyin import DIGITS
    from dfcnn_ms.text.vocabulary import Vocabulary

    use_device("CPU")
    config = load_config("digits")
    vocabulary = Vocabulary.build([DIGITS])
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(vocabulary))
    recognizer = Recognizer(Acoustic(network), Frontend(config.features), vocabulary, config.model)
    wave = np.random.default_rng(0).normal(0, 0.1, seconds * RATE).astype(np.float32)
    return least(lambda: recognizer.hear([wave]))


def utterances(lines: int, folder: Path) -> float:
    """Reads a manifest and plans its batches; the sound is the same second over and over."""
    from dfcnn_ms.config import load_config
    from dfcnn_ms.training.datasets import load_training

    manifest = noise_manifest(folder, lines)
    config = load_config("digits", [f"data.train={manifest}", f"data.dev={manifest}", "data.cache=false"])
    start = time.process_time()
    _, _, source = load_training(config)
    next(iter(source))
    return time.process_time() - start


def noise_manifest(folder: Path, lines: int) -> Path:
    """A manifest of one sound, under as many names as it has lines."""
    from dfcnn_ms.audio.wave import write_wave

    write_wave(folder / "noise.wav", np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32))
    with (folder / "noise.jsonl").open("w", encoding="utf-8") as file:
        for number in range(lines):
            file.write(f'{{"id": "u{number}", "audio": "noise.wav", "seconds": 1.0, "pinyin": "yi1 er4"}}\n')
    return folder / "noise.jsonl"


def training_step(rows: int, units: int) -> float:
    """One step of the digits page on noise."""
    import mindspore as ms

    from dfcnn_ms.config import load_config
    from dfcnn_ms.models.cells.hasten import hasten
    from dfcnn_ms.runtime.device import use_device, use_mode
    from dfcnn_ms.training.trainer import train_step

    use_device("CPU")
    use_mode("graph")
    config = load_config("digits")
    bins, frames, rng = config.features.num_bins, 256, np.random.default_rng(0)
    network = config.model.build(num_bins=bins, num_units=units)
    step = train_step(config, network, 1000)
    hasten(step)
    step.set_train()
    batch = (
        rng.standard_normal((rows, 1, frames, bins), np.float32),
        rng.integers(1, units, (rows, 5)).astype(np.int32),
        np.full(rows, frames, np.int32),
        np.full(rows, 5, np.int32),
    )
    arrays = [ms.Tensor(array) for array in batch]
    return least(lambda: step(*arrays)[0].asnumpy())


def vocabulary(units: int, _: Path) -> float:
    """A training step that chooses among so many units."""
    return training_step(32, units)


def batch(rows: int, _: Path) -> float:
    """A training step of so many utterances."""
    return training_step(rows, 12)


def workers(processes: int, folder: Path) -> float:
    """Makes batches of the digits page, augmented, by the clock on the wall."""
    from dfcnn_ms.audio.wave import write_wave
    from dfcnn_ms.config import load_config
    from dfcnn_ms.training.datasets import load_training

    manifest = noise_manifest(folder, 32 * 40)
    write_wave(folder / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32))
    manifest.write_text(manifest.read_text().replace('"seconds": 1.0', '"seconds": 4.0'), encoding="utf-8")
    changes = [f"data.train={manifest}", f"data.dev={manifest}", "data.cache=false", f"data.workers={processes}"]
    _, _, source = load_training(load_config("digits", changes))
    batches = iter(source)
    next(batches)
    start = time.perf_counter()
    for _ in islice(batches, 30):
        pass
    taken = time.perf_counter() - start
    source.close()
    return taken


def measured(what: str, size: int) -> dict[str, float]:
    """Seconds and megabytes of one size, in a process of its own."""
    job = [sys.executable, __file__, "--only", what, str(size)]
    done = subprocess.run(job, check=True, capture_output=True, text=True, env=os.environ | {"GLOG_v": "3"})
    return json.loads(done.stdout.splitlines()[-1])


def slope(sizes: tuple[int, ...], costs: list[float]) -> float:
    """Of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def table() -> None:
    """Measures, prints and draws all of it."""
    print("| what grows | size | seconds | MB | slope |\n|---|---|---|---|---|")
    seconds: dict[str, list[float]] = {}
    for what, (sizes, unit, cost) in SIZES.items():
        found = [measured(what, size) for size in sizes]
        seconds[what] = [one["seconds"] for one in found]
        steep = steepness(sizes, seconds[what])
        for size, one in zip(sizes, found, strict=True):
            print(f"| {unit}, {cost} | {size:,} | {one['seconds']:.3g} | {one['mb']:,.0f} | {steep} |", flush=True)
    draw(seconds)
    print(f"wrote {PICTURE}")


def steepness(sizes: tuple[int, ...], costs: list[float]) -> str:
    """The slope in words; none where a size is 0."""
    return "" if 0 in sizes else f"{round(slope(sizes, costs), 2) + 0.0:.2f}"


def draw(seconds: dict[str, list[float]]) -> None:
    """A curve for each thing that grows; at least a decade of seconds, so that noise looks like noise."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(SIZES), figsize=(15, 3.2), layout="constrained")
    for axis, (what, (sizes, unit, _)) in zip(axes, SIZES.items(), strict=True):
        costs = seconds[what]
        steep = steepness(sizes, costs)
        axis.plot(sizes, costs, "o-")
        axis.set(xlabel=unit, ylabel="seconds", title=f"{what}{f', slope {steep}' if steep else ''}")
        if steep:
            middle = float(np.exp(np.mean(np.log([min(costs), max(costs)]))))
            axis.set(xscale="log", yscale="log")
            axis.set_ylim(min(min(costs) / 1.3, middle / 4), max(max(costs) * 1.3, middle * 4))
        else:
            axis.set_ylim(bottom=0)
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
    figure.savefig(PICTURE, dpi=90)


def stream(hours: float, corpus: Path | None, folder: Path) -> None:
    """Packs so many hours of the synthetic digits and reads all of them; the speed and memory of each tenth."""
    from dfcnn_ms.audio.frontend import Frontend
    from dfcnn_ms.config import load_config
    from dfcnn_ms.corpora.manifest import read_manifest, write_manifest
    from dfcnn_ms.corpora.synth import prepare
    from dfcnn_ms.training.datasets import load_training
    from dfcnn_ms.training.pack import write_pack

    if corpus is None:
        corpus = folder / "digits"
        prepare(corpus, "digits")
    spoken = read_manifest(corpus / "train.jsonl")
    repeats = int(np.ceil(hours * 3600 / sum(one.seconds for one in spoken)))
    many = [replace(one, id=f"{one.id}-{turn}", audio=str(one.path)) for turn in range(repeats) for one in spoken]
    manifest = folder / "many.jsonl"
    write_manifest(manifest, many)
    changes = [f"data.train={manifest}", f"data.dev={manifest}", "data.packed=true", "data.cache=false"]
    config = load_config("digits", changes)
    start = time.process_time()
    write_pack(manifest, "audio", Frontend(config.features))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**30
    print(f"{sum(one.seconds for one in many) / 3600:.1f} h packed: {size:.1f} GB, {time.process_time() - start:.0f} s")
    start = time.process_time()
    _, _, source = load_training(config)
    batches, seconds = iter(source), 0.0
    print(f"start-up {time.process_time() - start:.1f} s of the processor, {peak_mb():.0f} MB")
    for tenth in range(10):
        start, heard = time.process_time(), 0.0
        for arrays in islice(batches, len(source) // 10):
            heard += float(np.asarray(arrays[2]).sum()) / 100
        seconds += heard
        rate = heard / (time.process_time() - start)
        print(f"tenth {tenth + 1}: {rate:.0f} times real time, {seconds / 3600:.1f} h so far, {peak_mb():.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs=2, metavar=("WHAT", "SIZE"), help="one measurement, in this process")
    parser.add_argument("--stream", type=float, metavar="HOURS", help="pack so many hours and read them")
    parser.add_argument("--corpus", type=Path, help="--stream: a folder made by `prepare synth` (default: it is made)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        if options.stream:
            stream(options.stream, options.corpus, folder)
        elif options.only:
            what, size = options.only
            seconds = globals()[what](int(size), folder)
            print(json.dumps({"seconds": seconds, "mb": peak_mb()}))
        else:
            table()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
