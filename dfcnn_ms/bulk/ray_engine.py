"""The engine of many machines: Ray Data gives the chunks to actors, each with one core and a network of its own.

Ray starts an actor again that was killed, and repeats what it was doing, for ever if need be. So a ledger, an actor of
its own, remembers what was begun and not ended. Of a chunk that is begun again each recording is heard alone, and one
of them that is then begun again is given up, as it is on one machine.
"""

from __future__ import annotations

import importlib
import logging
import pickle
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from dfcnn_ms.bulk.items import Item
from dfcnn_ms.bulk.listening import Heard, Setup, failed
from dfcnn_ms.bulk.workers import given_up, outcome
from dfcnn_ms.errors import DeviceError
from dfcnn_ms.helpers import ONE_THREAD

Key = tuple[int, ...]


class Ledger:
    """What was begun and not ended."""

    def __init__(self) -> None:
        self._begun: Counter[Key] = Counter()

    def begin(self, key: Key) -> int:
        """How often this was begun before and not ended."""
        self._begun[key] += 1
        return self._begun[key] - 1

    def end(self, key: Key) -> None:
        """Forgets it and what is in it."""
        for known in [one for one in self._begun if one[: len(key)] == key]:
            del self._begun[known]


class Actor:
    """Hears chunks, wherever Ray has put it."""

    def __init__(self, setup: Setup, ledger: Any) -> None:
        self._setup, self._ledger = setup, ledger
        self._listener: Any = outcome(setup.listener)  # or the exception that it met

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with a chunk -> a row with what came of it."""
        key, items = (int(row["number"]),), pickle.loads(row["items"])
        heard = self._listener
        if not isinstance(heard, Exception):
            is_first = self._note("begin", key) == 0
            heard = outcome(self._listener, items) if is_first else self._each(key, items)
            self._note("end", key)
        return {"heard": pickle.dumps(heard, 5)}

    def _each(self, key: Key, items: Sequence[Item]) -> Any:
        """The recordings of a chunk one by one; an exception where there is one."""
        found: list[Heard] = []
        for index, item in enumerate(items):
            if self._note("begin", (*key, index)):
                found.append(failed(item, self._setup.made_with, given_up(item, "was killed")))
                continue
            heard = outcome(self._listener, [item])
            if isinstance(heard, Exception):
                return heard
            self._note("end", (*key, index))
            found += heard
        return found

    def _note(self, what: str, key: Key) -> Any:
        return the_ray().get(getattr(self._ledger, what).remote(key))


def the_ray() -> Any:
    """Ray and its data.

    Raises:
        DeviceError: it is not installed.
    """
    try:
        importlib.import_module("ray.data")
        return importlib.import_module("ray")
    except ImportError:
        cure = "pip install 'dfcnn-ms[ray]' in an environment without MindSpore"
        raise DeviceError(f"--engine ray: Ray is not installed; {cure}") from None


def in_ray(setup: Setup, workers: int, chunks: Iterable[Sequence[Item]]) -> Generator[list[Heard], None, None]:
    """What came of each chunk, in their order.

    Args:
        setup: of every worker; its files must be found under the same names on every machine.
        workers: how many, each with one core.
        chunks: all of them are kept until they are done.

    Raises:
        DeviceError: there is no Ray.
        DfcnnError: a worker cannot begin.
    """
    ray = the_ray()
    rows = [{"number": number, "items": pickle.dumps(list(chunk), 5)} for number, chunk in enumerate(chunks)]
    if not rows:
        return
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    if not ray.is_initialized():
        ray.init(runtime_env={"env_vars": ONE_THREAD}, log_to_driver=False)
    for row in _heard(setup, workers, rows):
        heard = pickle.loads(row["heard"])
        if isinstance(heard, Exception):
            raise heard
        yield heard


def _heard(setup: Setup, workers: int, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    ray = the_ray()
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    ledger = ray.remote(Ledger).options(num_cpus=0).remote()
    chunks = ray.data.from_items(rows, override_num_blocks=len(rows))  # what is repeated after a death is one chunk
    workers = min(workers, len(rows))
    pool = ray.data.ActorPoolStrategy(size=workers)
    found = chunks.map(Actor, fn_constructor_args=(setup, ledger), num_cpus=1, compute=pool)
    yield from found.iter_rows()
