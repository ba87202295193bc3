"""Kills a training run again and again and shows that it ends as if nothing had happened.

Command: ``python benchmarks/resume.py`` (about ten minutes on two cores; ``--kills 5`` is shorter). One run goes
through undisturbed. Another one is killed with SIGKILL at random moments, every third time while a checkpoint is being
written, and goes on with ``--resume`` each time. In the end both must have the same weights, optimiser moments and
averages to the last bit, and the same ``metrics.jsonl``.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dfcnn_ms.corpora.synth import prepare
from dfcnn_ms.runtime import checkpoint

SETTINGS = [
    "model.hidden=[16]", "model.dropout=0.2", "train.buckets=2", "train.batch_size=8", "train.epochs=40",
    "train.save_steps=2", "train.ema=0.99", "train.schedule={kind: plateau, patience: 2, warmup_epochs: 1}",
]  # fmt: skip


def command(folder: Path, *arguments: str) -> list[str]:
    outputs = ["--device_target", "CPU", "--ckpt", str(folder / "dfcnn.ckpt")]
    return [sys.executable, "-m", "dfcnn_ms.train", *outputs, *arguments]


def first_command(folder: Path) -> list[str]:
    splits = [f"data.{split}={folder / 'data' / split}.jsonl" for split in ("train", "dev", "test")]
    return command(folder, "--summary-base-dir", str(folder), "--run", "run", *splits, *SETTINGS)


def kill_once(process: subprocess.Popen[bytes], run: Path, rng: random.Random, *, while_writing: bool) -> str:
    """Waits until training goes on, then a random while, perhaps for a half-written file, and kills the process."""
    before = newest(run)
    while process.poll() is None and newest(run) == before:
        time.sleep(0.01)
    end = time.monotonic() + rng.uniform(0, 2.5)
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    writing = False
    end = time.monotonic() + 5
    while while_writing and process.poll() is None and time.monotonic() < end and not writing:
        writing = any((run / "checkpoints").glob("*part*")) or any((run / "checkpoints").glob(".*part*"))
    if process.poll() is not None:
        return "it had ended"
    process.send_signal(signal.SIGKILL)
    process.wait()
    return "killed while writing a checkpoint" if writing else "killed"


def newest(run: Path) -> float:
    path = run / "checkpoints" / "last.ckpt"
    return path.stat().st_mtime if path.exists() else 0.0


def differences(one: Path, other: Path) -> list[str]:
    first, second = (checkpoint.load(run / "checkpoints" / "last.ckpt") for run in (one, other))
    names = first.parameters.keys() | second.parameters.keys()
    found = [
        name
        for name in sorted(names)
        if name not in first.parameters
        or name not in second.parameters
        or first.parameters[name].asnumpy().tobytes() != second.parameters[name].asnumpy().tobytes()
    ]
    if (one / "metrics.jsonl").read_bytes() != (other / "metrics.jsonl").read_bytes():
        found.append("metrics.jsonl")
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | {"GLOG_v": "3"}}
    with tempfile.TemporaryDirectory() as name:
        whole, killed = Path(name, "whole"), Path(name, "killed")
        for folder in (whole, killed):
            prepare(folder / "data", "digits", train=48, dev=8, test=5, progress=False)
        subprocess.run(first_command(whole), check=True, **quiet)
        print(f"undisturbed: {len((whole / 'run/metrics.jsonl').read_text().splitlines())} epochs")
        call, kills, writing = first_command(killed), 0, 0
        while kills < options.kills:
            process = subprocess.Popen(call, **quiet)
            what = kill_once(process, killed / "run", rng, while_writing=kills % 3 == 2)
            if what == "it had ended":
                print(f"it ended after {kills} kills; lengthen the training for more")
                break
            kills += 1
            writing += "writing" in what
            state = checkpoint.load(killed / "run/checkpoints/last.ckpt").meta
            print(f"kill {kills:>2}: {what}; the last state is of epoch {state.epoch}, step {state.step}", flush=True)
            call = command(killed, "--resume", str(killed / "run"))
        subprocess.run(call, check=True, **quiet)
        found = differences(whole / "run", killed / "run")
        print(f"{kills} kills, {writing} of them while writing; different in the end: {', '.join(found) or 'nothing'}")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
