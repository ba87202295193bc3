"""One thread that hears for everybody: recordings of different clients in one batch, and the pieces of streams."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from dfcnn_ms.errors import DataError
from dfcnn_ms.recognizer import BATCH_SECONDS, BATCH_SIZE, Recognizer, Transcript
from dfcnn_ms.serving.errors import busy
from dfcnn_ms.serving.metrics import Metrics
from dfcnn_ms.serving.models import Model, Options

T = TypeVar("T")
log = logging.getLogger(__name__)

#: how much the last batch counts in the time that one is expected to take
_NEWEST = 0.2
#: seconds after which a client of a server that has enough to do is told to come back, at most
_LONGEST_WAIT = 60


@dataclass
class _Recording:
    """A recording that waits: its features (T, F) and who waits for its transcript."""

    model: Model
    options: Options
    features: np.ndarray
    seconds: float
    future: Future[Transcript] = field(default_factory=Future)

    @property
    def wish(self) -> tuple[str, Options]:
        """Recordings with the same wish can be heard together."""
        return self.model.name, self.options


class Engine:
    """Hears recordings and streams, one batch at a time, in a thread of its own.

    Args:
        load: gives the models; it runs in that thread, which is the only one that uses them.
        places: how many recordings may be read, wait or be heard at a time.
        metrics: where it counts.
        batch_size: most recordings in one batch.
    """

    def __init__(
        self,
        load: Callable[[], Sequence[Model]],
        *,
        places: int = 64,
        metrics: Metrics | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.places, self.metrics, self.batch_size = places, metrics or Metrics(), batch_size
        self.models: Mapping[str, Model] = {}
        self._load = load
        self._held = 0
        self._usual = 0.1  # seconds of a batch
        self._news = threading.Condition()
        self._recordings: deque[_Recording] = deque()
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)

    def start(self) -> None:
        """Loads the models; an error of that is raised here."""
        self._thread.start()
        models = self.call(self._load).result()
        self.models = {model.name: model for model in models}
        for model in models:
            self.call(model.warm_up).result()

    def close(self) -> None:
        """Hears what still waits, and ends."""
        with self._news:
            self._closing = True
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def is_ready(self) -> bool:
        """Whether a recording would be heard."""
        return bool(self.models) and self._thread.is_alive() and not self._closing

    def model(self, name: str | None) -> Model:
        """The model of a name; the first one for a name that is none of ours, as clients have names of their own."""
        first = next(iter(self.models.values()))
        return self.models.get(name or "", first)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place for one recording; only for the thread that answers requests.

        Raises:
            Refused: all are taken; says when to come back.
        """
        if self._held >= self.places or not self.is_ready:
            message = f"{self._held} recordings wait, no more are taken; try again in {self.wait_seconds} s"
            raise busy(message, self.wait_seconds)
        self._held += 1
        self.metrics.places.set(self._held)
        try:
            yield
        finally:
            self._held -= 1
            self.metrics.places.set(self._held)

    @property
    def wait_seconds(self) -> int:
        """When there will be a place, as far as one can tell: a whole number of seconds, 1 or more."""
        return max(1, min(_LONGEST_WAIT, math.ceil(self._held / self.batch_size * self._usual)))

    def hear(self, model: Model, options: Options, features: np.ndarray, seconds: float) -> Future[Transcript]:
        """Puts features (T, F) of a recording into the queue; whoever cancels the future before its turn frees it."""
        recording = _Recording(model, options, features, seconds)
        with self._news:
            self._check_open()
            self._recordings.append(recording)
            self._news.notify()
        return recording.future

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Runs something short in the thread of the models, before the next batch."""
        future: Future[T] = Future()
        with self._news:
            self._check_open()
            self._calls.append((future, function))
            self._news.notify()
        return future

    def _check_open(self) -> None:
        if self._closing:
            raise busy("the server is stopping; try again in a moment", 1)

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._calls or self._recordings or self._closing)
                calls, self._calls = self._calls, deque()
                batch = self._next_batch()
                if not calls and not batch and self._closing:
                    return
            for future, function in calls:
                _run(future, function)
            started = [one for one in batch if one.future.set_running_or_notify_cancel()]
            if started:
                self._hear(started)

    def _next_batch(self) -> list[_Recording]:
        """Takes the recording that waits longest, and those with the same wish that fit into a batch with it."""
        if not self._recordings:
            return []
        wish, batch, longest = self._recordings[0].wish, list[_Recording](), 0.0
        for one in self._recordings:
            seconds = max(longest, one.seconds)
            fits = not batch or (len(batch) + 1) * seconds <= BATCH_SECONDS
            if one.wish == wish and fits and len(batch) < self.batch_size:
                batch.append(one)
                longest = seconds
        taken = set(map(id, batch))
        self._recordings = deque(one for one in self._recordings if id(one) not in taken)
        return batch

    def _hear(self, batch: list[_Recording]) -> None:
        began, first = time.perf_counter(), batch[0]
        try:
            listener = first.model.listener(first.options)
            found = _read(listener, [one.features for one in batch])
        except Exception as error:
            found = [error] * len(batch)
        took = time.perf_counter() - began
        self._usual += _NEWEST * (took - self._usual)
        self.metrics.batch(len(batch), took)
        for one, heard in zip(batch, found, strict=True):
            if isinstance(heard, Exception):
                one.future.set_exception(heard)
            else:
                one.future.set_result(heard)


def _read(listener: Recognizer, features: Sequence[np.ndarray]) -> list[Transcript | Exception]:
    """What is heard in each of some features (T, F), or why nothing is."""
    try:
        return [*listener.read(features)]
    except DataError as error:  # one of them; which one is found by hearing each alone
        if len(features) == 1:
            return [error]
        return [_read(listener, [one])[0] for one in features]


def _run(future: Future[T], function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except BaseException as error:  # whoever waits for it decides
        future.set_exception(error)
