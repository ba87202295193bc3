"""Times a network that listens: MindSpore, PyTorch, and what `export` writes, in float32 and in 8 bits; and its memory.

    python benchmarks/inference.py --torch other/bin/python

PyTorch may live in an environment of its own (``pip install torch``); without ``--torch`` it is left out. All have the
same weights (random ones) and must agree; then they take turns, several rounds, each in a process of its own that holds
nothing else. One recording at a time, of ten seconds; the fastest round of each counts. ``chain`` is everything from
samples to text with times and confidences, ``factor`` its time over that of the sound. MindSpore is there twice: line
by line, as `transcribe` uses it since recordings differ in length, and compiled for this one length. At last, a
process is started anew for one short recording: seconds until its text is there, of the fastest start. Nothing else
should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

#: page -> units besides blank and unknown
PAGES = {"digits": 10, "mandarin": 1276}
FILES = {"mindspore": "net.ckpt", "compiled": "net.ckpt", "onnx": "net.onnx", "int8": "net.int8.onnx"}
SECONDS, SHORT = 10.0, 2.0
ROUNDS, WARM = 15, 3
TOLERANCE = 1e-3
STARTS = 5


def make(page: str, folder: Path) -> dict[str, Any]:
    """Writes a checkpoint of random weights, what is exported of it, and sound; returns the network as a table."""
    import mindspore as ms

    from dfcnn_ms.audio.wave import write_wave
    from dfcnn_ms.config import load_config
    from dfcnn_ms.exporting.int8 import Int8Layers
    from dfcnn_ms.exporting.network import bundle_of, grids_of, write
    from dfcnn_ms.runtime import checkpoint
    from dfcnn_ms.runtime.device import use_device
    from dfcnn_ms.runtime.meta import Meta
    from dfcnn_ms.text.vocabulary import Vocabulary

    use_device("CPU")
    ms.set_seed(0)
    config = load_config(page)
    vocabulary = Vocabulary(tuple(f"unit{number}" for number in range(PAGES[page])))
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(vocabulary))
    meta = Meta(config, vocabulary)
    checkpoint.save(folder / "net.ckpt", network, meta)
    weights = checkpoint.numbers_of(network)
    np.savez(folder / "weights.npz", **weights)
    sound = recording(SECONDS)
    np.save(folder / "wave.npy", sound)
    write_wave(folder / "short.wav", sound[: round(SHORT * 16_000)])

    bundle = bundle_of(write(meta, weights), meta, waveform=False, precision="float32")
    (folder / FILES["onnx"]).write_bytes(bundle.to_bytes())
    features, lengths = heard(config, sound)
    np.savez(folder / "batch.npz", features=features, lengths=lengths)
    grids = grids_of(meta, weights, [features[0, 0, : lengths[0]]])
    small = write(meta, weights, arithmetic=lambda graph: Int8Layers(graph, grids))
    (folder / FILES["int8"]).write_bytes(bundle_of(small, meta, waveform=False, precision="int8").to_bytes())
    model = config.model
    kept = ("convs", "stride", "pool", "fold", "kernel")
    blocks = [{name: getattr(block, name) for name in kept} for block in model.blocks]
    return {
        "page": page, "blocks": blocks, "padding": model.padding, "hidden": len(model.hidden),
        "apart": 3 if model.dropout else 2,
        "parameters": model.parameters(num_bins=config.features.num_bins, num_units=len(vocabulary)),
    }  # fmt: skip


def recording(seconds: float) -> np.ndarray:
    """Samples (N,) of noise whose loudness moves."""
    rng = np.random.default_rng(0)
    time_of = np.arange(round(seconds * 16_000)) / 16_000
    return (0.1 * rng.standard_normal(len(time_of)) * np.square(np.sin(5 * time_of))).astype(np.float32)


def heard(config: Any, wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from dfcnn_ms.audio.frontend import Frontend
    from dfcnn_ms.recognizer import stack

    return stack([Frontend(config.features, config.cmvn)(wave)])


def of_this_package(name: str, folder: Path) -> tuple[Callable[[], np.ndarray], Callable[[], object]]:
    """The network alone, and the chain."""
    from dfcnn_ms.recognizer import Recognizer

    recognizer = Recognizer.load(folder / FILES[name], "CPU")
    if FILES[name].endswith(".ckpt"):  # which listens by the graph that export writes, else
        from dfcnn_ms.runtime import checkpoint
        from dfcnn_ms.runtime.device import use_mode

        recognizer.acoustics = checkpoint.in_mindspore(checkpoint.load(folder / FILES[name]))
        use_mode("graph" if name == "compiled" else "pynative")
    wave = np.load(folder / "wave.npy")
    batch = heard(recognizer.meta.config, wave) if recognizer.meta else None
    assert batch is not None
    return lambda: recognizer.acoustics(*batch)[0], lambda: recognizer.hear([wave])


def of_torch(folder: Path) -> Callable[[], np.ndarray]:
    """The same network, batch norms folded into convolutions, as PyTorch users prepare one for use."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    table, batch = json.loads((folder / "table.json").read_text()), np.load(folder / "batch.npz")
    weights = {name: torch.from_numpy(value) for name, value in np.load(folder / "weights.npz").items()}
    features, frames = torch.from_numpy(batch["features"]), torch.from_numpy(batch["lengths"])

    def scale_and_shift(name: str) -> tuple[Any, Any]:
        scale = weights[f"{name}.gamma"] / torch.sqrt(weights[f"{name}.moving_variance"] + 1e-5)
        return scale, weights[f"{name}.beta"] - weights[f"{name}.moving_mean"] * scale

    convs: dict[str, tuple[Any, Any]] = {}
    for index, block in enumerate(table["blocks"]):
        for number in range(block["convs"]):
            name = f"blocks.{index}.convs.{number}"
            scale, shift = scale_and_shift(f"{name}.norm")
            convs[name] = (weights[f"{name}.conv.weight"] * scale[:, None, None, None], shift)
    scale, shift = scale_and_shift("norm")
    head = [f"head.{table['apart'] * index}" for index in range(table["hidden"] + 1)]

    def run() -> np.ndarray:
        x, lengths = features, frames
        for index, block in enumerate(table["blocks"]):
            if block["fold"] and x.shape[3] > 1:
                x = x.permute(0, 1, 3, 2).reshape(x.shape[0], -1, x.shape[2], 1)
            for number in range(block["convs"]):
                inside = torch.arange(x.shape[2]).view(1, 1, -1, 1) < lengths.view(-1, 1, 1, 1)
                stride = tuple(block["stride"]) if number == 0 else (1, 1)
                pad = (table["padding"], 0 if block["fold"] else table["padding"])
                weight, bias = convs[f"blocks.{index}.convs.{number}"]
                x = functional.conv2d(x * inside.to(x.dtype), weight, bias, stride, pad).relu_()
                lengths = (lengths + 2 * table["padding"] - block["kernel"]) // stride[0] + 1
            if tuple(block["pool"]) != (1, 1):
                x = functional.max_pool2d(x, tuple(block["pool"]))
            lengths = lengths // block["pool"][0]
        x = x * scale[:, None, None] + shift[:, None, None]
        for name in head[:-1]:
            x = functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"]).relu_()
        x = functional.conv2d(x, weights[f"{head[-1]}.weight"], weights[f"{head[-1]}.bias"])
        return x.squeeze(3).swapaxes(1, 2).log_softmax(-1).numpy()

    def without_gradients() -> np.ndarray:
        with torch.inference_mode():
            return run()

    return without_gradients


def work(name: str, folder: Path) -> None:
    """Answers each line read with milliseconds and the peak of memory; the first answer says: ready."""
    if name == "torch":
        network, chain = of_torch(folder), None
    else:
        network, chain = of_this_package(name, folder)
    for _ in range(WARM):
        log_probs = network()
        if chain:
            chain()
    np.save(folder / f"{name}.npy", log_probs)
    tell(True)
    for _ in sys.stdin:
        tell({"network": timed(network), "chain": timed(chain) if chain else None, "peak": peak_megabytes()})


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def tell(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def peak_megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def quiet(threads: int) -> dict[str, str]:
    return os.environ | {"GLOG_v": "3", "OMP_NUM_THREADS": str(threads)}


def ask(process: subprocess.Popen[str], line: str = "round\n") -> Any:
    stdin: IO[str] = process.stdin  # type: ignore[assignment]
    if line:
        stdin.write(line)
        stdin.flush()
    answer = process.stdout.readline() if process.stdout else ""
    if not answer:
        raise SystemExit("a process ended early; its error stands above")
    return json.loads(answer)


def compare(page: str, torch_python: str, threads: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subprocess.run([sys.executable, __file__, "--make", page, temporary], env=quiet(threads), check=True)
        table = json.loads((folder / "table.json").read_text())
        sides = dict.fromkeys(FILES, sys.executable) | ({"torch": torch_python} if torch_python else {})
        processes = {}
        for side, python in sides.items():
            processes[side] = subprocess.Popen(
                [python, __file__, "--work", side, temporary],
                env=quiet(threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            ask(processes[side], "")
        check_agreement(folder, sides)
        answers: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for _ in range(ROUNDS):
            for side, process in processes.items():
                answers[side].append(ask(process))
        for process in processes.values():
            process.communicate()
        print(f"\n{page}: {table['parameters'] / 1e6:.2f} M parameters, {threads} thread(s), {SECONDS:g} s of sound")
        print(f"{'':12}{'network':>10}{'chain':>10}{'factor':>10}{'peak':>10}")
        for side, told in answers.items():
            print_row(side, told)
        for side in ("onnx", "int8"):
            print(f"{side:12}{first_text(folder / FILES[side], folder / 'short.wav', threads)}")


def print_row(side: str, told: list[dict[str, float]]) -> None:
    network, chain, peak = (
        min(one[key] for one in told) if told[0][key] is not None else None for key in ("network", "chain", "peak")
    )
    whole = f"{chain:7.1f} ms{chain / 1000 / SECONDS:10.5f}" if chain else f"{'-':>10}{'-':>10}"
    print(f"{side:12}{network:7.1f} ms{whole}{peak:7.0f} MB", flush=True)


def check_agreement(folder: Path, sides: dict[str, str]) -> None:
    """In 8 bits it is another network, by a little; all others say the same."""
    wanted = np.load(folder / "mindspore.npy")
    for side in sides.keys() - {"int8"}:
        most = float(np.abs(np.load(folder / f"{side}.npy") - wanted).max())
        if most > TOLERANCE:
            raise SystemExit(f"not the same network: {side} differs by {most}")


def first_text(model: Path, sound: Path, threads: int) -> str:
    """How long a new process takes for one short recording."""
    command = [sys.executable, "-m", "dfcnn_ms.transcribe", "--ckpt", str(model), str(sound)]
    seconds = []
    for _ in range(STARTS + 1):  # the first may compile
        start = time.perf_counter()
        subprocess.run(command, env=quiet(threads), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return f"first text after {min(seconds[1:]):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default="", metavar="PYTHON", help="the interpreter that has PyTorch")
    parser.add_argument("--threads", type=int, action="append", help="default: 1 and 2")
    parser.add_argument("--only", action="append", choices=PAGES, help="default: all; may be said several times")
    parser.add_argument("--work", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, metavar=("PAGE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work[0], Path(arguments.work[1]))
    elif arguments.make:
        folder = Path(arguments.make[1])
        (folder / "table.json").write_text(json.dumps(make(arguments.make[0], folder)))
    else:
        for page in arguments.only or PAGES:
            for threads in arguments.threads or (1, 2):
                compare(page, arguments.torch, threads)


if __name__ == "__main__":
    main()
