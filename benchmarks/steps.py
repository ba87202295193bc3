"""Counts what a training step asks of a device, on a machine that has none: docs/devices.md shows the result.

Command: ``python benchmarks/steps.py`` (a few minutes on two cores), or with other pages, as in
``python benchmarks/steps.py configs/reference.yaml``. For each page:

* operators with a kernel, counted in the graphs that MindSpore has built of a step;
* round trips: how often the host waits for a value of the device, in the callbacks (each reading of a tensor is
  counted while a short training runs, with the line that reads) and in the graph (a choice between two graphs);
* bytes of a batch, which go to the device in each step, and the shapes, each of which is compiled once;
* the same with ``train.sink=true``.

The sound is noise; the networks are narrowed, which changes neither operators nor round trips.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dfcnn_ms import config as pages
from dfcnn_ms.audio.wave import SAMPLE_RATE, write_wave
from dfcnn_ms.config import Config, load_config
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.diagnosis import operators

BATCHES = 6
EPOCHS = 2
SECONDS = (1.0, 4.0)
SYLLABLES = ("yi1", "er4", "san1", "si4", "wu3")
#: functions of callbacks -> when they are called
MOMENTS = {"on_train_step_begin": "step", "on_train_step_end": "step", "on_train_epoch_end": "epoch"}


def noise(folder: Path, count: int, rng: np.random.Generator) -> Path:
    """A corpus of noise, of which every utterance says something."""
    utterances = []
    for index, seconds in enumerate(rng.uniform(*SECONDS, count).round(2)):
        write_wave(folder / f"{index}.wav", rng.normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32))
        words = tuple(rng.choice(SYLLABLES, 2))
        utterances.append(Utterance(str(index), f"{index}.wav", float(seconds), words, speaker=f"s{index}"))
    write_manifest(folder / "noise.jsonl", utterances)
    return folder / "noise.jsonl"


def page_on(name: str, manifest: Path, *, sink: bool) -> Config:
    """A page whose network is narrow, over the corpus of noise."""
    changes = [f"data.{split}={manifest}" for split in ("train", "dev", "test")]
    changes += ["data.cache=false", f"train.epochs={EPOCHS}", f"train.sink={str(sink).lower()}"]
    return operators.narrow(load_config(name, changes))


@contextlib.contextmanager
def reads() -> Iterator[Counter[tuple[str, str]]]:
    """Counts, while it lasts, how often a value is read from the device: (step or epoch, place in the source)."""
    import mindspore as ms

    found: Counter[tuple[str, str]] = collections.Counter()
    original = ms.Tensor.asnumpy

    def counted(tensor: ms.Tensor) -> np.ndarray:
        frames = traceback.extract_stack()[:-1]
        moment = next((MOMENTS[frame.name] for frame in frames if frame.name in MOMENTS), None)
        if moment:
            here = next(frame for frame in reversed(frames) if "dfcnn_ms" in frame.filename)
            found[moment, f"{Path(here.filename).parent.name}/{Path(here.filename).name}: {here.line}"] += 1
        return original(tensor)

    ms.Tensor.asnumpy = counted
    try:
        yield found
    finally:
        ms.Tensor.asnumpy = original


@contextlib.contextmanager
def calls() -> Iterator[Counter[str]]:
    """Counts, while it lasts, how often MindSpore comes back to the callbacks after a step."""
    from dfcnn_ms.training.callbacks import Bookkeeper

    found: Counter[str] = collections.Counter()
    original = Bookkeeper.on_train_step_end

    def counted(self: Bookkeeper, run_context: object) -> None:
        found["step"] += 1
        original(self, run_context)

    Bookkeeper.on_train_step_end = counted
    try:
        yield found
    finally:
        Bookkeeper.on_train_step_end = original


def show_graph(name: str, config: Config) -> None:
    """Operators and choices of one compiled step."""
    graph = operators.compiled(name, config)
    *every, rare = graph.launches
    print(f"  operators with a kernel: {sum(every)} a step ({' + '.join(map(str, every))}); {rare} instead of the last "
          f"{every[-1]} when gradients are not finite")  # fmt: skip
    print(f"  choices of the host in the graph: {graph.choices} a step")


def show_training(config: Config, folder: Path) -> None:
    """Round trips of the callbacks, bytes and shapes of a short training."""
    from dfcnn_ms.training import datasets, trainer

    source = datasets.load_datasets(config).train
    batches = list(source)
    sizes = [sum(array.nbytes for array in arrays) for arrays in batches]
    with reads() as found, calls() as called:
        trainer.train(config, device_target="CPU", run=folder)
    steps, mode = EPOCHS * len(batches), "sink" if config.train.sink else "no sink"
    print(f"  {mode}: {called['step']} calls of the callbacks in {steps} steps")
    for (moment, place), count in sorted(found.items()):
        if moment == "step":
            print(f"    {count / steps:.2f} reads a step at {place}")
    print(f"    {sum(n for (m, _), n in found.items() if m == 'epoch') / EPOCHS:.0f} reads an epoch, dev set included")
    shapes = sorted({arrays[0].shape for arrays in batches})
    listed = ", ".join("x".join(map(str, shape)) for shape in shapes)
    print(f"    {min(sizes) / 1e6:.2f} to {max(sizes) / 1e6:.2f} MB a step to the device")
    print(f"    {len(shapes)} shapes, each compiled once: {listed}")


def main() -> None:
    """Prints the counts of each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", default=["digits", "mandarin"], help="default: digits mandarin")
    arguments = parser.parse_args()
    from dfcnn_ms.runtime.device import use_device

    use_device("CPU")
    for name in arguments.pages:
        print(f"{pages.find_config(name).stem}, {load_config(name).train.batch_size} utterances a batch")
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            manifest = noise(folder, BATCHES * load_config(name).train.batch_size, np.random.default_rng(0))
            show_graph(name, page_on(name, manifest, sink=False))
            for sink in (False, True):
                show_training(page_on(name, manifest, sink=sink), folder / f"sink_{sink}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
