"""Loader processes: whole batches made by other processes, in the planned order, for machines with cores to spare.

Each process is a fresh Python that loads neither MindSpore nor the user's program. It is told over its standard input
which batch to make and answers over its standard output, so that it ends when this program does, however that ends.
Batch ``n`` is made by process ``n % count``: the order is that of the plan, and no batch depends on who made it.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import traceback
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, NoReturn, Protocol

from dfcnn_ms import helpers
from dfcnn_ms.errors import ConfigError, DataError, DfcnnError

#: batches that each process is asked for in advance
AHEAD = 2
#: bytes that a pipe holds
_PIPE_BYTES = 2**20


class Maker(Protocol):
    """What makes a batch; it is pickled once, and sent to every process."""

    def arrays(self, batch: Any, epoch: int) -> Any:
        """The arrays of one batch."""
        ...


class Pool:
    """Processes that make batches until they are stopped: by :meth:`close`, or when nobody needs the pool.

    Args:
        maker: what makes the batches.
        count: how many processes.
    """

    def __init__(self, maker: Maker, count: int) -> None:
        try:
            # Twice, so that a process which cannot read the inner one still finds the end of the outer one.
            sent = pickle.dumps(pickle.dumps(maker, 5), 5)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(f"data.workers: this cannot be sent to other processes ({error}); use 0") from None
        self._processes = [helpers.started(__name__, _PIPE_BYTES) for _ in range(count)]
        self.close = weakref.finalize(self, _stop, self._processes)
        self.is_idle = True
        for number in range(count):
            self._send(number, sent)

    @property
    def is_usable(self) -> bool:
        """Whether another epoch can be asked for: nothing is under way, and all processes live."""
        return self.is_idle and self.close.alive and all(process.poll() is None for process in self._processes)

    @property
    def process_ids(self) -> list[int]:
        """Of the processes, in their order."""
        return [process.pid for process in self._processes]

    def batches(self, tasks: Sequence[tuple[Any, int]]) -> Iterator[Any]:
        """The arrays of each (batch, epoch), in this order.

        Raises:
            DataError: a process met bad data, or was killed.
        """
        self.is_idle = False
        count, asked = len(self._processes), 0
        for number in range(len(tasks)):
            while asked < min(len(tasks), number + AHEAD * count):
                self._send(asked % count, pickle.dumps(tasks[asked], 5))
                asked += 1
            yield self._receive(number % count)
        self.is_idle = True

    def _send(self, number: int, message: bytes) -> None:
        questions = _pipe(self._processes[number].stdin)
        try:
            questions.write(message)
            questions.flush()
        except (OSError, ValueError):
            self._close_and_raise(number)

    def _receive(self, number: int) -> Any:
        try:
            is_fine, answer = pickle.load(_pipe(self._processes[number].stdout))
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            self._close_and_raise(number)
        if is_fine:
            return answer
        raise answer

    def _close_and_raise(self, number: int) -> NoReturn:
        process = self._processes[number]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        self.close()
        raise DataError(f"a loader process {helpers.how_it_ended(process.returncode)}; try fewer data.workers, or 0")


def _stop(processes: Sequence[helpers.Process]) -> None:
    """They hold nothing that could be lost."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def serve() -> None:
    """The life of a loader process."""
    questions, answers = helpers.channel()
    with contextlib.suppress(EOFError, BrokenPipeError):
        maker = _maker(questions)
        while True:
            batch, epoch = pickle.load(questions)
            pickle.dump(_answer(maker, batch, epoch), answers, 5)
            answers.flush()


def _maker(questions: IO[bytes]) -> Maker | ConfigError:
    try:
        maker: Maker = pickle.loads(pickle.load(questions))
    except (ImportError, AttributeError) as error:
        return ConfigError(f"data.workers: other processes cannot find what they need ({error}); use 0")
    return maker


def _answer(maker: Maker | ConfigError, batch: Any, epoch: int) -> tuple[bool, Any]:
    """(True, arrays) or (False, exception)."""
    if isinstance(maker, ConfigError):
        return False, maker
    try:
        return True, maker.arrays(batch, epoch)
    except DfcnnError as error:
        return False, error
    except Exception:  # a bug: its traceback must reach the program
        return False, RuntimeError(f"in a loader process:\n{traceback.format_exc()}")
