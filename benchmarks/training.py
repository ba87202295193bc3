"""Times a training step beside PyTorch's, on the same network, batch, optimiser, clipping and CTC; and their memory.

    python benchmarks/training.py --torch other/bin/python

PyTorch may live in an environment of its own (``pip install torch``). Both start from the same weights and must agree
on the first loss (without dropout, whose masks differ); then they take turns, several rounds, each in a process of its
own that holds nothing else. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

#: name -> page, changes to it, (B, T), label length, units
SHAPES: dict[str, tuple[str, list[str], tuple[int, int], int, int]] = {
    "digits": ("digits", [], (32, 256), 5, 11),
    "mandarin": ("mandarin", [], (32, 384), 12, 1278),
    "reference": ("reference", [], (1, 1600), 20, 1428),
}
ROUNDS, STEPS, WARM = 5, 8, 3
TOLERANCE = 2e-3
#: set where MindSpore's own operators are to be measured
OPERATORS = "BENCHMARK_OPERATORS"
RATE, DECAY, CLIP = 1e-3, 0.01, 5.0
ORDER = ("features", "labels", "lengths", "label_lengths")


def make(name: str, overrides: list[str], folder: Path) -> dict[str, Any]:
    """Writes weights and a batch that both read; returns the table of the network in plain words."""
    import mindspore as ms

    from dfcnn_ms.config import load_config
    from dfcnn_ms.models.cells.dropout import Dropout
    from dfcnn_ms.runtime.device import use_device

    page, changes, (rows, frames), label, units = SHAPES[name]
    config = load_config(page, [*changes, *overrides])
    use_device("CPU")
    ms.set_seed(0)
    bins = config.features.num_bins
    network = config.model.build(num_bins=bins, num_units=units)
    rng = np.random.default_rng(0)
    arrays = {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}
    lengths = rng.integers(int(0.8 * frames), frames + 1, rows).astype(np.int32)
    lengths[0] = frames
    batch = {
        "features": rng.standard_normal((rows, 1, frames, bins), np.float32),
        "labels": rng.integers(1, units, (rows, label), np.int32),
        "lengths": lengths,
        "label_lengths": np.full(rows, label, np.int32),
    }
    np.savez(folder / "weights.npz", **arrays)
    np.savez(folder / "batch.npz", **batch)
    model = config.model
    for _, cell in network.cells_and_names():
        if isinstance(cell, Dropout):
            cell.share = 0.0
    loss = config.task.training_cell(network).set_train()
    first = float(loss(*(ms.Tensor(batch[name]) for name in ORDER)))
    blocks = [
        {
            "channels": block.channels, "convs": block.convs, "window": block.window, "stride": block.stride,
            "pool": block.pool, "fold": block.fold, "kernel": block.kernel,
        }
        for block in model.blocks
    ]  # fmt: skip
    return {
        "page": page, "overrides": [*changes, *overrides], "bins": model.bins(bins), "units": units, "blocks": blocks,
        "hidden": model.hidden, "padding": model.padding, "dropout": model.dropout,
        "parameters": model.parameters(num_bins=bins, num_units=units), "loss": first,
    }  # fmt: skip


def mindspore_step(table: dict[str, Any], folder: Path) -> Callable[[], float]:
    """Our step as `train` runs it; a call returns the loss."""
    import mindspore as ms

    from dfcnn_ms.config import load_config
    from dfcnn_ms.models.cells.hasten import hasten
    from dfcnn_ms.runtime.device import use_device, use_mode
    from dfcnn_ms.training.trainer import train_step

    use_device("CPU")
    use_mode("graph")
    settings = [f"train.rate={RATE}", f"train.weight_decay={DECAY}", f"train.clip_norm={CLIP}", "train.optimizer=adamw"]
    settings.append("train.schedule={kind: constant, warmup_epochs: 0}")
    config = load_config(table["page"], [*table["overrides"], *settings])
    network = config.model.build(num_bins=config.features.num_bins, num_units=table["units"])
    weights = np.load(folder / "weights.npz")
    ms.load_param_into_net(network, {name: ms.Parameter(weights[name], name=name) for name in weights.files})
    step = train_step(config, network, 1000)
    if OPERATORS not in os.environ:
        hasten(step)
    step.set_train()
    batch = np.load(folder / "batch.npz")
    arrays = [ms.Tensor(batch[name]) for name in ORDER]
    return lambda: float(step(*arrays)[0].asnumpy())


def torch_step(table: dict[str, Any], folder: Path) -> Callable[[], float]:
    """The same network and step in PyTorch."""
    import torch
    from torch import nn

    class Silence(nn.Module):
        """Zeroes what lies after each utterance's end."""

        def forward(self, x: Any, lengths: Any) -> Any:
            inside = torch.arange(x.shape[2]).view(1, 1, -1, 1) < lengths.view(-1, 1, 1, 1)
            return x * inside.to(x.dtype)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList()
            channels = 1
            for block, bins in zip(table["blocks"], table["bins"], strict=False):
                channels = channels * bins if block["fold"] else channels
                for index in range(block["convs"]):
                    pad = (table["padding"], 0 if block["fold"] else table["padding"])
                    stride = tuple(block["stride"]) if index == 0 else (1, 1)
                    conv = nn.Conv2d(channels, block["channels"], tuple(block["window"]), stride, pad, bias=False)
                    self.layers.append(nn.ModuleList([conv, nn.BatchNorm2d(block["channels"])]))
                    channels = block["channels"]
            self.norm = nn.BatchNorm2d(channels)
            self.silence = Silence()
            head: list[nn.Module] = []
            window = (1, table["bins"][-1])
            for width in [*table["hidden"], table["units"]]:
                head += [nn.Conv2d(channels, width, window), nn.ReLU(), nn.Dropout(table["dropout"])]
                channels, window = width, (1, 1)
            self.head = nn.Sequential(*head[:-2])

        def forward(self, x: Any, lengths: Any) -> tuple[Any, Any]:
            layers = iter(self.layers)
            for block in table["blocks"]:
                if block["fold"] and x.shape[3] > 1:
                    x = x.permute(0, 1, 3, 2).reshape(x.shape[0], -1, x.shape[2], 1)
                for index in range(block["convs"]):
                    conv, norm = next(layers)
                    x = torch.relu(norm(conv(self.silence(x, lengths))))
                    stride = block["stride"][0] if index == 0 else 1
                    lengths = (lengths + 2 * table["padding"] - block["kernel"]) // stride + 1
                if tuple(block["pool"]) != (1, 1):
                    x = torch.max_pool2d(x, tuple(block["pool"]))
                lengths = lengths // block["pool"][0]
            return self.head(self.norm(x)).squeeze(3), lengths  # (B, V, U)

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    network = Net()
    copy_weights(network, dict(np.load(folder / "weights.npz")))
    decayed = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    stored = np.load(folder / "batch.npz")
    batch = {name: torch.from_numpy(stored[name]) for name in stored.files}
    ctc = nn.CTCLoss(blank=0, reduction="sum")

    def loss_of() -> Any:
        logits, lengths = network(batch["features"], batch["lengths"])
        log_probs = logits.permute(2, 0, 1).log_softmax(-1)
        return ctc(log_probs, batch["labels"], lengths, batch["label_lengths"]) / len(batch["labels"])

    drops = [one for one in network.modules() if isinstance(one, nn.Dropout)]
    for one in drops:
        one.p = 0.0
    with torch.no_grad():
        first = float(loss_of())
    if abs(first / table["loss"] - 1) > TOLERANCE:
        raise SystemExit(f"not the same network: PyTorch's first loss is {first}, ours {table['loss']}")
    for one in drops:
        one.p = table["dropout"]

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        return float(loss.detach())

    return step


def copy_weights(network: Any, weights: dict[str, np.ndarray]) -> None:
    """Layer by layer: both list their convolutions and their batch norms in the order of the table."""
    import torch
    from torch import nn

    convs = [name for name in weights if name.endswith(".weight")]
    norms = [name.removesuffix(".gamma") for name in weights if name.endswith(".gamma")]
    modules = list(network.modules())
    with torch.no_grad():
        for name, conv in zip(convs, [one for one in modules if isinstance(one, nn.Conv2d)], strict=True):
            conv.weight.copy_(torch.from_numpy(weights[name]))
            if conv.bias is not None:
                conv.bias.copy_(torch.from_numpy(weights[name.removesuffix("weight") + "bias"]))
        for name, norm in zip(norms, [one for one in modules if isinstance(one, nn.BatchNorm2d)], strict=True):
            norm.weight.copy_(torch.from_numpy(weights[f"{name}.gamma"]))
            norm.bias.copy_(torch.from_numpy(weights[f"{name}.beta"]))


def peak_gigabytes() -> float:
    """The most memory that this process has held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def work(framework: str, folder: Path) -> None:
    """Answers each line read with the milliseconds of every step of a round; the first answer says: ready."""
    table = json.loads((folder / "table.json").read_text())
    step = {"mindspore": mindspore_step, "torch": torch_step}[framework](table, folder)
    for _ in range(WARM):
        step()
    sys.stdout.write("true\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        times = []
        for _ in range(STEPS):
            start = time.perf_counter()
            step()
            times.append(1000 * (time.perf_counter() - start))
        sys.stdout.write(json.dumps({"times": times, "peak": peak_gigabytes()}) + "\n")
        sys.stdout.flush()


def quiet(threads: int) -> dict[str, str]:
    """The environment of the processes."""
    return os.environ | {"GLOG_v": "3", "OMP_NUM_THREADS": str(threads)}


def start(python: str, framework: str, folder: Path, threads: int) -> subprocess.Popen[str]:
    command = [python, __file__, "--work", framework, str(folder)]
    return subprocess.Popen(command, env=quiet(threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: subprocess.Popen[str], line: str | None = "round\n") -> Any:
    if line:
        stdin: IO[str] = process.stdin  # type: ignore[assignment]
        stdin.write(line)
        stdin.flush()
    answer = process.stdout.readline() if process.stdout else ""
    if not answer:
        raise SystemExit("a process ended early; its error stands above")
    return json.loads(answer)


def compare(name: str, overrides: list[str], torch_python: str, threads: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # In a process of its own, so that its memory is not counted.
        making = [sys.executable, __file__, "--make", name, str(folder), *overrides]
        subprocess.run(making, env=quiet(threads), check=True)
        table = json.loads((folder / "table.json").read_text())
        ours = start(sys.executable, "mindspore", folder, threads)
        ask(ours, None)
        theirs = start(torch_python, "torch", folder, threads)
        ask(theirs, None)
        times: tuple[list[float], list[float]] = ([], [])
        peaks = [0.0, 0.0]
        for _ in range(ROUNDS):
            for side, process in enumerate((ours, theirs)):
                answer = ask(process)
                times[side].append(statistics.median(answer["times"]))
                peaks[side] = answer["peak"]
        for process in (ours, theirs):
            process.communicate()
    ratios = sorted(one / other for one, other in zip(*times, strict=True))
    medians = [statistics.median(side) for side in times]
    print(
        f"{name:10} {table['parameters'] / 1e6:5.2f} M  step {medians[0]:7.1f} ms, PyTorch {medians[1]:7.1f} ms: "
        f"{statistics.median(ratios):.2f} times as long ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
        f"peak {peaks[0]:.2f} GB, PyTorch {peaks[1]:.2f} GB: {peaks[0] / peaks[1]:.2f} times",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="the interpreter that has PyTorch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", choices=SHAPES, help="default: all; may be said several times")
    parser.add_argument("--operators", action="store_true", help="MindSpore's own operators, without the fast code")
    parser.add_argument("--work", nargs=2, metavar=("FRAMEWORK", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="changes to the page, such as model.hidden=[64]")
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work[0], Path(arguments.work[1]))
    elif arguments.make:
        folder = Path(arguments.make[1])
        (folder / "table.json").write_text(json.dumps(make(arguments.make[0], arguments.overrides, folder)))
    else:
        if arguments.operators:
            os.environ[OPERATORS] = "yes"
        for name in arguments.only or SHAPES:
            compare(name, arguments.overrides, arguments.torch, arguments.threads)


if __name__ == "__main__":
    main()
