"""What recipes share that make sound: processes that work on it, and the note that says which corpus a folder holds.

An interrupted run goes on where it was: what is there is not made again, and the note becomes complete at the end.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

from dfcnn_ms.corpora.manifest import check_audio, read_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import write_text

log = logging.getLogger(__name__)

NOTE = "corpus.json"

Thing = TypeVar("Thing")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Workers:
    """Processes, each a core.

    Attributes:
        count: how many; 1 is this process, and no other.
        progress: whether a bar shows how far they are, when stderr is a terminal.
    """

    count: int
    progress: bool = True

    def all(
        self,
        work: Callable[[Thing], Made],
        things: Sequence[Thing],
        unit: str,
        together: Callable[[Thing], Any] | None = None,
    ) -> list[Made]:
        """What work on each of some things gives, in their order; few things need no other process.

        Args:
            work: done by any of the processes.
            things: on which it is done.
            unit: what the progress bar calls one of them.
            together: gives the same for neighbours that one process has to do one after the other.

        Raises:
            DataError: a process died.
        """
        from tqdm import tqdm

        alone = self.count == 1 or len(things) < 2 * self.count
        done = map(work, things) if alone else self.apart(work, things, together)
        return list(tqdm(done, total=len(things), unit=unit, disable=None if self.progress else True))

    def apart(
        self, work: Callable[[Thing], Made], things: Sequence[Thing], together: Callable[[Thing], Any] | None = None
    ) -> Iterator[Made]:
        """The same one by one, in other processes."""
        numbered = enumerate(things)
        groups = groupby(numbered, key=lambda one: together(one[1]) if together else one[0])
        # Spawned processes carry nothing over from this one, whatever it has loaded and started.
        pool = ProcessPoolExecutor(self.count, get_context("spawn"), _as_worker)
        try:
            with _interrupts_later():
                futures = [pool.submit(_each, work, [thing for _, thing in group]) for _, group in groups]
            for future in futures:
                yield from future.result()
        except BrokenProcessPool:
            raise DataError(
                'a worker process died or could not start; call prepare() below `if __name__ == "__main__":`,'
                " or with workers=1"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _each(work: Callable[[Thing], Made], things: Sequence[Thing]) -> list[Made]:
    return [work(thing) for thing in things]


def is_complete(out: Path, parameters: Mapping[str, Any], files: Iterable[Path]) -> bool:
    """Whether a folder holds all of a corpus: its note says so, and the files are there, and the sound of manifests.

    Raises:
        ConfigError: it holds another corpus.
    """
    try:
        note = json.loads((out / NOTE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        if (out / "audio").exists():
            raise ConfigError(f"{out}: has audio of another origin in it; choose another folder") from None
        return False
    except ValueError:
        raise ConfigError(f"{out / NOTE}: not JSON; delete the folder {out} and run again") from None
    if note.get("digest") != digest(parameters):
        before = ", ".join(f"{key} {value}" for key, value in note.get("parameters", {}).items())
        raise ConfigError(f"{out}: holds another corpus ({before}); choose another folder or delete this one")
    return bool(note.get("complete")) and _are_there(files)


def write_note(out: Path, parameters: Mapping[str, Any], *, complete: bool) -> None:
    """Writes into a folder which corpus it holds, and whether all of it is there.

    Raises:
        ConfigError: nothing can be written there.
    """
    note = {"parameters": parameters, "digest": digest(parameters), "complete": complete}
    try:
        write_text(out / NOTE, json.dumps(note, indent=2) + "\n")
    except DataError as error:
        raise ConfigError(f"{error}; choose another folder") from None


def digest(what: Any) -> str:
    """A checksum of something that JSON can write."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _are_there(files: Iterable[Path]) -> bool:
    try:
        for file in files:
            if not file.exists():
                return False
            if file.suffix == ".jsonl":
                check_audio(read_manifest(file))
    except DataError as error:
        log.info("%s; making what is missing", error)
        return False
    return True


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Puts Ctrl-C off; a process that is started meanwhile never hears of it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_worker() -> None:
    """Makes a process a worker: Ctrl-C is for the process in front, and without that one it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)
