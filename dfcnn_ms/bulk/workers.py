"""The engine of one machine: a process for each worker, and another one in the place of any that dies.

Each process is a fresh Python with one thread. It is asked over its standard input and answers over its standard
output, so that it ends when the command does, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

from dfcnn_ms import helpers
from dfcnn_ms.bulk.items import Item
from dfcnn_ms.bulk.listening import Heard, Setup, failed
from dfcnn_ms.errors import DataError, DfcnnError

#: chunks for each worker that may be heard before an earlier one is done, which keeps their order
AHEAD = 8
#: workers that may die, one in the place of the other, while they load the network
STARTS = 3
#: how a worker ends that has no memory left
NO_MEMORY = 12
_FEWER = "try fewer --workers"


class DiedError(Exception):
    """A worker is gone; says how."""


def in_processes(setup: Setup, workers: int, chunks: Iterable[Sequence[Item]]) -> Generator[list[Heard], None, None]:
    """What came of each chunk, in their order.

    Args:
        setup: of every worker.
        workers: how many.
        chunks: taken as they are needed.

    Raises:
        DfcnnError: a worker cannot begin.
    """
    staff = Staff(setup)
    pool = ThreadPoolExecutor(workers)  # a thread waits for each process
    waiting: deque[Future[list[Heard]]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(staff.hear, chunk))
            while len(waiting) > AHEAD * workers or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        staff.dismiss()
        pool.shutdown(cancel_futures=True)


class Staff:
    """The processes: started when they are needed, and replaced when they die."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._lock = threading.Lock()
        self._is_dismissed = False

    def hear(self, items: Sequence[Item]) -> list[Heard]:
        """What came of some recordings. When a process dies over them each is tried alone, and then given up."""
        try:
            return self._ask(items)
        except DiedError:
            return [self._hear_alone(item) for item in items]

    def _hear_alone(self, item: Item) -> Heard:
        try:
            return self._ask([item])[0]
        except DiedError as error:
            return failed(item, self.setup.made_with, given_up(item, str(error)))

    def _ask(self, items: Sequence[Item]) -> list[Heard]:
        worker = self._ready()
        try:
            heard: list[Heard] = worker.ask(list(items))
        except BaseException:
            self._remove(worker)
            raise
        with self._lock:
            self._idle.append(worker)
        return heard

    def _ready(self) -> Worker:
        """A worker that has nothing to do and has loaded the network."""
        how = ""
        for _ in range(STARTS):
            worker = self._one()
            try:
                worker.begin(self.setup)
            except DiedError as error:
                self._remove(worker)
                how = str(error)
            else:
                return worker
        raise DataError(f"{STARTS} workers one after the other died before they could listen, the last {how}; {_FEWER}")

    def _one(self) -> Worker:
        with self._lock:
            if self._is_dismissed:
                raise DfcnnError("the work was stopped")
            if self._idle:
                return self._idle.pop()
            worker = Worker()
            self._all.add(worker)
            return worker

    def _remove(self, worker: Worker) -> None:
        worker.end()
        with self._lock:
            self._all.discard(worker)

    def dismiss(self) -> None:
        """Ends all of them; nothing is asked of anybody any more."""
        with self._lock:
            self._is_dismissed = True
            for worker in self._all:
                worker.end()

    @property
    def process_ids(self) -> list[int]:
        """Of those that live."""
        with self._lock:
            return [worker.process.pid for worker in self._all]


def given_up(item: Item, how: str) -> DataError:
    """What is said of a recording over which a worker has died twice."""
    return DataError(f"{item.file}: the process that heard it {how}, twice; look at it, or {_FEWER}")


class Worker:
    """A process that listens."""

    def __init__(self) -> None:
        self.process = helpers.started(__name__)
        self._has_begun = False

    def begin(self, setup: Setup) -> None:
        """Lets it load the network, once.

        Raises:
            DiedError: the process did.
            DfcnnError: the network cannot be used.
        """
        if not self._has_begun:
            self.ask(setup)
            self._has_begun = True

    def ask(self, question: object) -> Any:
        """What it answers.

        Raises:
            DiedError: the process did.
            Exception: what it met.
        """
        questions, answers = self.process.stdin, self.process.stdout
        assert questions is not None and answers is not None
        try:
            pickle.dump(question, questions, 5)
            questions.flush()
            answer = pickle.load(answers)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            raise DiedError(self._how_it_ended()) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        return helpers.how_it_ended(self.process.returncode)

    def end(self) -> None:
        """Ends the process; it holds nothing that could be lost."""
        self.process.kill()
        self.process.wait()


def serve() -> None:
    """The life of a process."""
    questions, answers = helpers.channel()
    with contextlib.suppress(EOFError, BrokenPipeError):
        listener = outcome(pickle.load(questions).listener)
        _send(answers, listener if isinstance(listener, Exception) else None)
        while callable(listener):
            _send(answers, outcome(listener, pickle.load(questions)))


def _send(answers: IO[bytes], answer: object) -> None:
    pickle.dump(answer, answers, 5)
    answers.flush()


def outcome(work: Callable[..., Any], *arguments: Any) -> Any:
    """What some work gives, or the exception that it meets; who has no memory left ends."""
    try:
        return work(*arguments)
    except DfcnnError as error:
        return error
    except MemoryError:
        os._exit(NO_MEMORY)
    except Exception:  # a bug: its traceback must reach the command
        return RuntimeError(f"in a worker:\n{traceback.format_exc()}")
