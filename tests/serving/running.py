"""Servers that run, around recognizers of the language of tones."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from tones import RATE, Speller, listener, wave

from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.serving import server
from dfcnn_ms.serving.access import Access
from dfcnn_ms.serving.app import create_app
from dfcnn_ms.serving.engine import Engine
from dfcnn_ms.serving.limits import Limits
from dfcnn_ms.serving.models import Model

PATIENCE = 60.0


@dataclass
class Running:
    """A server that runs."""

    url: str
    port: int
    engine: Engine
    server: server.Server

    @property
    def api(self) -> str:
        return f"{self.url}/v1"


@contextmanager
def running(
    models: Callable[[], Sequence[Model]] | None = None,
    limits: Limits | None = None,
    access: Access | None = None,
) -> Iterator[Running]:
    """A server in a thread, by default with syllables (`tones`) and with characters (`written`)."""
    limits = limits or Limits()
    engine = Engine(models or two_models, places=limits.queue)
    engine.start()
    socket = server.bound("127.0.0.1", 0)
    running = server.server(create_app(engine, limits, access))
    thread = threading.Thread(target=running.run, args=([socket],))
    thread.start()
    try:
        wait_until(lambda: running.started)
        yield Running(server.address(socket), socket.getsockname()[1], engine, running)
    finally:
        running.should_exit = True
        thread.join(PATIENCE)
        running.force_exit = True
        assert not thread.is_alive(), "the server does not stop"


def two_models() -> list[Model]:
    written = listener()
    written.hanzi = Speller()  # type: ignore[assignment]
    return [Model("tones", listener()), Model("written", written)]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never becomes so"
        time.sleep(0.005)


def wav(said: str, rate: int = RATE) -> bytes:
    """A sound file in which something is said."""
    return encoded(wave(said), rate)


def encoded(samples: np.ndarray, rate: int = RATE, form: str = "WAV") -> bytes:
    memory = io.BytesIO()
    soundfile.write(memory, samples, rate, format=form)
    return memory.getvalue()


def chord(loud: str, quiet: str) -> np.ndarray:
    """Two syllables at once, of which the network hears the louder one, but only just."""
    return (wave(loud) + 0.97 * wave(quiet)).astype(np.float32)


class Gate:
    """A network in use that lets nothing through until it is opened; what it was asked is in `batches`."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.inner, self.open = recognizer.acoustics, threading.Event()
        self.open.set()
        self.waiting = threading.Semaphore(0)
        self.batches: list[int] = []

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.batches.append(len(features))
        self.waiting.release()
        assert self.open.wait(PATIENCE)
        return self.inner(features, lengths)

    def shut(self) -> None:
        """From now on nothing goes through."""
        self.open.clear()
        while self.waiting.acquire(blocking=False):
            continue
        self.batches.clear()

    def wait(self) -> None:
        """Until somebody stands before it."""
        assert self.waiting.acquire(timeout=PATIENCE)


def gated() -> tuple[Model, Gate]:
    """A model behind a gate, which is open."""
    recognizer = listener()
    gate = Gate(recognizer)
    recognizer.acoustics = gate
    return Model("tones", recognizer), gate


def searching(**flags: Any) -> Model:
    """A model with flags of the command line."""
    return Model("tones", listener(), Choice(**flags))
