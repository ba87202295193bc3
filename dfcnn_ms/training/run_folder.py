"""The folder of a run: what is written into it when it begins, and what a resumed one finds there."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
from collections.abc import Container, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from dfcnn_ms.config import Config
from dfcnn_ms.errors import CheckpointError, ConfigError, DfcnnError
from dfcnn_ms.files import write_text
from dfcnn_ms.runtime.checkpoint import Checkpoint, load
from dfcnn_ms.runtime.device import environment
from dfcnn_ms.schedules import SCHEDULES

log = logging.getLogger(__name__)

#: how systems and disks say that they know no locks
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)

CHECKPOINTS = "checkpoints"
LAST, BEST = "last.ckpt", "best.ckpt"


def name_of(asked: str | None, config: Config) -> str:
    """What a run is called: what was asked for, else what the page says; ``auto`` says how it is trained.

    That is: network, optimiser, schedule, batch size, peak rate and weight decay.
    """
    if asked != "auto":
        return asked or config.name
    train = config.train
    schedule = next(kind for kind, cls in SCHEDULES.items() if cls is type(train.schedule))
    model = getattr(config.model, "title", type(config.model).__name__)
    words = (model, train.optimizer, schedule, f"b{train.batch_size}", f"r{train.rate:g}", f"d{train.weight_decay:g}")
    return re.sub(r"[^\w.-]+", "-", "-".join(words)).lower()


def new_run(base: Path, name: str, taken: Container[Path] = ()) -> Path:
    """A folder under ``base`` that no run has used and that is not ``taken``: the name, then the name with a number."""
    if Path(name).name != name:
        raise ConfigError(f"--run {name}: wanted a plain name; --summary-base-dir says where its folder is made")
    if base.exists() and not base.is_dir():
        raise ConfigError(f"--summary-base-dir {base}: is a file, wanted a folder")
    for number in range(1, 10_000):
        run = base / (name if number == 1 else f"{name}-{number}")
        if not run.exists() and run not in taken:
            return run
    raise DfcnnError(f"{base}: holds 9,999 runs called {name}; choose another name with --run")


@contextlib.contextmanager
def begun(base: Path, name: str, *, is_first: bool = True) -> Iterator[Path]:
    """A folder as :func:`new_run` says it, :func:`held` meanwhile by the first worker.

    Trainings that begin at the same moment get different ones.
    """
    taken: list[Path] = []
    with contextlib.ExitStack() as stack:
        run = new_run(base, name)
        while is_first:
            try:
                stack.enter_context(held(run))
            except _HeldByAnotherError:
                taken.append(run)
            else:
                if not run.exists():
                    break
                stack.pop_all().close()  # a training has begun and ended in it meanwhile
            run = new_run(base, name, taken)
        yield run


@contextlib.contextmanager
def resumed(run: Path, *, is_first: bool = True) -> Iterator[None]:
    """A run that is there, :func:`held` meanwhile by the first worker.

    Raises:
        ConfigError: there is no such run, or another training is at work on it.
    """
    if not run.is_dir():
        raise ConfigError(f"--resume {run}: no such run; give a run's folder, such as summary/digits")
    with held(run) if is_first else contextlib.nullcontext():
        yield


class _HeldByAnotherError(ConfigError):
    """Another training works on a run."""


@contextlib.contextmanager
def held(run: Path) -> Iterator[None]:
    """Keeps every other training away from the folder of a run, whether it is there already or not.

    The lock lies beside the folder, and the system releases it whatever happens to the process. Who holds it may hold
    it again. Where the disk knows no locks, nobody is kept away.

    Raises:
        ConfigError: another training is at work on this run, or nothing can be written there.
    """
    folder = Path(os.path.realpath(run))
    file = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(file, fallback_to_soft=False, is_singleton=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise _HeldByAnotherError(f"{run}: another training is at work on it; let it end, or stop it") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise ConfigError(f"{run}: cannot be made: {error.strerror}; choose another --summary-base-dir") from None
    try:
        yield
    finally:
        if lock.lock_counter == 1:
            # Only who holds the lock deletes its file; whoever has opened it before sees that it is gone.
            with contextlib.suppress(OSError):
                file.unlink()
        lock.release()


@contextlib.contextmanager
def opened(run: Path, config: Config, device: str) -> Iterator[None]:
    """Holds the run, writes down what is run on what, and everything said meanwhile goes to ``log.txt``."""
    with held(run):
        yield from _written_down(run, config, device)


def _written_down(run: Path, config: Config, device: str) -> Iterator[None]:
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
