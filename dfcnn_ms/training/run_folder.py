"""The folder of a run: what is written into it when it begins, and what a resumed one finds there."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from dfcnn_ms.config import Config
from dfcnn_ms.errors import CheckpointError, ConfigError, DfcnnError
from dfcnn_ms.files import write_text
from dfcnn_ms.runtime.checkpoint import Checkpoint, load
from dfcnn_ms.runtime.device import environment

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
LAST, BEST = "last.ckpt", "best.ckpt"


def new_run(base: Path, name: str) -> Path:
    """A folder under ``base`` that no run has used: the name, then the name with a number."""
    if Path(name).name != name:
        raise ConfigError(f"--run {name}: wanted a plain name; --summary-base-dir says where its folder is made")
    if base.exists() and not base.is_dir():
        raise ConfigError(f"--summary-base-dir {base}: is a file, wanted a folder")
    for number in range(1, 10_000):
        run = base / (name if number == 1 else f"{name}-{number}")
        if not run.exists():
            return run
    raise DfcnnError(f"{base}: holds 9,999 runs called {name}; choose another name with --run")


@contextlib.contextmanager
def opened(run: Path, config: Config, device: str) -> Iterator[None]:
    """Writes down what is run on what, and everything said meanwhile goes to ``log.txt``."""
    try:
        (run / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{run}: cannot be made: {error.strerror}; choose another --summary-base-dir") from None
    write_text(run / "config.yaml", config.to_yaml())
    write_text(run / "environment.json", json.dumps(environment(device), indent=2) + "\n")
    handler = logging.FileHandler(run / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    package = logging.getLogger("dfcnn_ms")
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        handler.close()


def last_state(run: Path) -> Checkpoint:
    """The newest whole state of a run; one that is damaged is named, and the one before it is taken.

    Raises:
        ConfigError: there is no such run.
        CheckpointError: none of its states can be read.
    """
    if not run.is_dir():
        raise ConfigError(f"--resume {run}: no such run; give a run's folder, such as summary/digits")
    found = states(run)
    if not found:
        raise CheckpointError(f"--resume {run}: it was stopped before its first state was saved; start it anew")
    for path in found:
        try:
            return load(path)
        except CheckpointError as error:
            log.warning("%s", error)
            problem = error
    raise CheckpointError(f"--resume {run}: none of its states can be read; the oldest: {problem}")


def states(run: Path) -> list[Path]:
    """Files with the whole state of training, the newest first: ``last.ckpt``, ``last-2.ckpt``, ..."""
    found = {1: run / CHECKPOINTS / LAST}
    for path in (run / CHECKPOINTS).glob("last-*.ckpt"):
        if number := re.fullmatch(r"last-(\d+)", path.stem):
            found[int(number[1])] = path
    return [path for _, path in sorted(found.items()) if path.is_file()]


def tidy(run: Path, step: int, epoch: int) -> None:
    """Removes what a killed process left half written, and what is said of steps and epochs that will come again."""
    for part in [*run.glob(".*.part*"), *(run / CHECKPOINTS).glob("*.part*"), *(run / CHECKPOINTS).glob(".*.part*")]:
        part.unlink(missing_ok=True)
    report = run / "gradients.jsonl"
    if report.is_file():
        lines = report.read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(report, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step))
    for events in run.glob("epoch*_events*"):
        number = re.match(r"epoch(\d+)_events", events.name)
        if number and int(number[1]) > epoch:
            events.unlink()
