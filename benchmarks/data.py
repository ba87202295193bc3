"""How fast training is fed: against what the network consumes, and against a plain Python loop with librosa.

Command: ``python benchmarks/data.py`` (about six minutes on two cores; makes and removes some 300 MB in ``--folder``;
``--only feeding``, ``workers`` or ``opening`` is a part of it).
It uses the training set of the digits page, which it makes if it is missing (``--data``).

* Consumption: steps of the digits network with its loss and optimiser, in its commonest shape, compiled before.
* Feeding: utterances per second of whole epochs of batches. Network, peer and source take turns, five times, so that
  all meet the same disturbances; medians of the speed and of the ratios. The peer is a loop over the same files with
  ``librosa.load`` and ``librosa.feature.melspectrogram``, logarithm and normalisation.
* Opening: from a manifest of 100,000 packed utterances to the first batch.
* Reading: records of a pack at random places, against ``mindspore.dataset.MindDataset`` from first to last.
* Memory: resident size of a loader process after each of four epochs.
* Death: seconds from the SIGKILL of a loader process to the error in the program that waits for it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import librosa
import numpy as np
import psutil

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.config import Config, load_config
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.corpora.synth import prepare
from dfcnn_ms.errors import DataError
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.datasets import load_training
from dfcnn_ms.training.pack import open_pack, write_pack

ROUNDS = 5
STEPS = 4
UTTERANCES = 400
PEER_UTTERANCES = 100
MANY = 100_000
NOISY = (
    "augment.wave=[{kind: speed}, {kind: gain}, {kind: room, probability: 0.5}, {kind: noise}, "
    "{kind: band_limit, probability: 0.3}]"
)


def page(folder: Path, *overrides: str) -> Config:
    manifests = [f"data.train={folder}/train.jsonl", f"data.dev={folder}/dev.jsonl", "data.cache=false"]
    return load_config("digits", [*manifests, *overrides])


def consumer(folder: Path) -> Callable[[], int]:
    """A few training steps of the digits network; returns how many utterances they took."""
    import mindspore as ms

    from dfcnn_ms.models.cells.hasten import hasten
    from dfcnn_ms.runtime import device
    from dfcnn_ms.training.trainer import train_step

    device.use_device("CPU")
    device.use_mode("graph")
    config = page(folder)
    vocabulary, _, source = load_training(config)
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(vocabulary))
    step = train_step(config, network, len(source))
    hasten(step)
    step.set_train()
    shape = max(source.plan.buckets, key=lambda bucket: len(bucket[1]))[0]
    batch = next(batch for batch in source.plan(0) if batch.frames == shape)
    arrays = tuple(map(ms.Tensor, source.arrays(batch)))

    def steps() -> int:
        for _ in range(STEPS):
            step(*arrays)[0].asnumpy()
        return STEPS * config.train.batch_size

    steps()
    return steps


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def librosa_loop(utterances: list[Utterance]) -> int:
    """The peer: what a first program does; returns how many utterances it has made."""
    for utterance in utterances:
        wave, _ = librosa.load(utterance.path, sr=16_000)
        power = librosa.feature.melspectrogram(
            y=np.pad(wave, 56), sr=16_000, n_fft=512, win_length=400, hop_length=160, center=False, n_mels=40, fmin=20
        )
        features = np.log(power.T + 1e-10)
        features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-8)
    return len(utterances)


def epoch(source: BatchSource) -> int:
    return sum(int((label_lengths >= 0).sum()) for _, _, _, label_lengths in source)


def speed(work: Callable[[], int]) -> float:
    """Utterances per second."""
    started = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - started)


def sources(folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """Every way to feed: its name, and an epoch of it."""
    frontend = Frontend(page(folder).features, page(folder).cmvn)
    ways = {
        "files": ["augment.features=[]"],
        "cached features": ["augment.features=[]", "data.cache=true"],
        "packed features": ["augment.features=[]", "data.packed=true"],
        "packed features, augmented as in digits.yaml": ["data.packed=true"],
        "packed audio": ["augment.features=[]", "data.packed=true"],
        "packed audio, augmented as in digits.yaml": ["data.packed=true"],
        "packed audio, five wave augmentations too": [NOISY, "data.packed=true"],
        "the same, one loader process": [NOISY, "data.packed=true", "data.workers=1"],
        "the same, two loader processes": [NOISY, "data.packed=true", "data.workers=2"],
    }
    packed = ""
    for name, overrides in ways.items():
        what = "features" if "packed features" in name else "audio"
        if "data.packed=true" in overrides and packed != what:
            write_pack(folder / "train.jsonl", what, frontend)
            packed = what
        _, _, source = load_training(page(folder, *overrides))
        epoch(source)  # starts processes, fills caches
        yield name, lambda source=source: epoch(source)
        source.close()


def feeding(folder: Path) -> None:
    """Prints how fast each way feeds, in comparison with network and peer."""
    utterances = read_manifest(folder / "train.jsonl")[:PEER_UTTERANCES]
    network = consumer(folder)
    librosa_loop(utterances)
    medians = []
    for name, work in sources(folder):
        rounds = np.array(
            [(speed(network), speed(lambda: librosa_loop(utterances)), speed(work)) for _ in range(ROUNDS)]
        )
        consumed, looped, found = np.median(rounds, axis=0)
        medians.append((consumed, looped))
        times_network, times_peer = np.median(rounds[:, 2:] / rounds[:, :2], axis=0)
        print(f"{name:<46}{found:>8,.0f} utt/s{times_network:>7.1f} x network{times_peer:>7.1f} x peer", flush=True)
    consumed, looped = np.median(medians, axis=0)
    print(f"the digits network consumes {consumed:,.0f} utt/s, the loop with librosa makes {looped:,.0f}")


def opening(folder: Path) -> tuple[float, float]:
    """Seconds to the first batch of 100,000 packed utterances: by the clock, and of the processor."""
    rng = np.random.default_rng(0)
    write_wave(folder / "all.wav", rng.uniform(-0.3, 0.3, 16_000 * 60).astype(np.float32))
    units = [f"{name}{tone}" for name in ("ba", "yi", "er", "san", "si") for tone in range(1, 5)]
    write_manifest(
        folder / "train.jsonl",
        (
            Utterance(
                f"u{n:06d}", "all.wav", 0.3 + 0.01 * (n % 70), tuple(rng.choice(units, 10)), start=0.01 * (n % 5000)
            )
            for n in range(MANY)
        ),
    )
    frontend = Frontend(page(folder).features, page(folder).cmvn)
    write_pack(folder / "train.jsonl", "features", frontend)
    busy = time.process_time()
    seconds = timed(lambda: next(iter(load_training(page(folder, "data.packed=true"))[2])))
    return seconds, time.process_time() - busy


def reading(folder: Path) -> tuple[float, float]:
    """Records per second: ours at random places, MindDataset's in order."""
    import mindspore.dataset as ds

    manifest = folder / "train.jsonl"
    utterances = read_manifest(manifest)
    records = open_pack(manifest, utterances, Frontend(page(folder).features, page(folder).cmvn))
    order = np.random.default_rng(0).permutation(len(utterances))[:20_000]
    ours = len(order) / timed(lambda: [records[index] for index in order])
    rows = ds.MindDataset([str(path) for path in records.files], shuffle=False)
    iterator = rows.create_dict_iterator(num_epochs=1, output_numpy=True)
    theirs = 20_000 / timed(lambda: list(itertools.islice(iterator, 20_000)))
    return ours, theirs


def memory(folder: Path) -> list[float]:
    """MB of a loader process after each of four epochs."""
    write_pack(folder / "train.jsonl", "audio", Frontend(page(folder).features, page(folder).cmvn))
    _, _, source = load_training(page(folder, NOISY, "data.packed=true", "data.workers=1"))
    sizes = []
    for _ in range(4):
        epoch(source)
        assert source._pool is not None
        sizes.append(psutil.Process(source._pool.process_ids[0]).memory_info().rss / 2**20)
    source.close()
    return sizes


def death(folder: Path) -> tuple[float, str]:
    """Seconds from a SIGKILL to the sentence, and the sentence."""
    _, _, source = load_training(page(folder, NOISY, "data.packed=true", "data.workers=2"))
    iterator = iter(source)
    next(iterator)
    assert source._pool is not None
    os.kill(source._pool.process_ids[1], signal.SIGKILL)
    started = time.perf_counter()
    try:
        for _ in iterator:
            pass
    except DataError as error:
        return time.perf_counter() - started, str(error)
    raise AssertionError("nobody noticed")


def print_workers(folder: Path) -> None:
    """Prints what becomes of a loader process: its memory, and its death."""
    sizes = ", ".join(f"{size:.0f}" for size in memory(folder))
    print(f"memory of a loader process after each epoch: {sizes} MB")
    seconds, sentence = death(folder)
    print(f"{seconds:.2f} s after the SIGKILL of a loader process: {sentence}")


def print_opening(folder: Path) -> None:
    """Prints how long a large pack takes to open, and how fast it is read."""
    seconds, busy = opening(folder)
    print(f"{MANY:,} packed utterances: {seconds:.1f} s to the first batch, {busy:.1f} s of the processor")
    ours, theirs = reading(folder)
    print(f"records at random places: {ours:,.0f} a second; MindDataset from first to last: {theirs:,.0f}")


PARTS = {"feeding": feeding, "workers": print_workers, "opening": print_opening}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=Path("data/digits"))
    arguments.add_argument("--folder", type=Path, help="where the packs are made (default: the system's)")
    arguments.add_argument("--only", choices=PARTS, help="one part of it (default: all)")
    options = arguments.parse_args()
    if not (options.data / "train.jsonl").is_file():
        prepare(options.data, "digits")
    for name, part in PARTS.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory(dir=options.folder) as place:
                folder = Path(place)
                write_manifest(folder / "train.jsonl", read_manifest(options.data / "train.jsonl")[:UTTERANCES])
                shutil.copyfile(options.data / "dev.jsonl", folder / "dev.jsonl")
                part(folder)


if __name__ == "__main__":
    main()
