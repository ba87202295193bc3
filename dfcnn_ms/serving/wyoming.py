"""The Wyoming protocol of Home Assistant: a line of JSON for each event, and what belongs to it behind the line.

A client sends `transcribe`, `audio-start`, `audio-chunk` again and again, and `audio-stop`; it gets one `transcript`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dfcnn_ms
from dfcnn_ms.audio.wave import SAMPLE_RATE, resample
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.serving.engine import Engine
from dfcnn_ms.serving.errors import as_refused
from dfcnn_ms.serving.limits import Limits
from dfcnn_ms.serving.models import Model, Options
from dfcnn_ms.serving.pcm import Reader
from dfcnn_ms.serving.said import Said

log = logging.getLogger(__name__)

#: bytes of what belongs to one event, and seconds for which a client may say nothing
MOST_BYTES, IDLE_SECONDS = 1 << 20, 600.0
_CHANNELS = (1, 2)


@dataclass
class _Recording:
    """What a client has sent since `audio-start`.

    Attributes:
        reader: bytes -> samples.
        channels: that take turns.
        waves: the samples so far (n,), all channels.
    """

    reader: Reader
    channels: int
    waves: list[np.ndarray] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(map(len, self.waves)) / self.reader.rate / self.channels

    def wave(self) -> np.ndarray:
        """Samples (N,) of one channel at the rate of the recognizer."""
        samples = np.concatenate([*self.waves, np.zeros(0, np.float32)])
        whole = len(samples) - len(samples) % self.channels
        return resample(samples[:whole].reshape(-1, self.channels).mean(axis=1), self.reader.rate, SAMPLE_RATE)


@dataclass
class _Talk:
    """What is said over one connection.

    Attributes:
        engine: what hears.
        limits: of a recording.
        model: that listens.
        hotwords: to listen for.
        recording: that is coming, if one is.
    """

    engine: Engine
    limits: Limits
    model: Model
    hotwords: tuple[str, ...] = ()
    recording: _Recording | None = None

    async def answer(self, kind: str, data: dict[str, Any], payload: bytes) -> tuple[str, dict[str, Any]] | None:
        """The event that answers an event, if one does; those that mean nothing here are passed over.

        Raises:
            ConfigError, DataError, Refused: it cannot be done.
        """
        if kind == "describe":
            return "info", _info(self.engine)
        if kind == "ping":
            return "pong", {"text": data.get("text")}
        if kind == "transcribe":
            self.model = self.engine.model(_text(data.get("name")))
            lines = [*_texts(data.get("transcript_names")), *_texts(data.get("transcript_terms"))]
            self.hotwords = await asyncio.to_thread(self.model.words, lines)
        elif kind == "audio-start":
            self.recording = _begun(data)
        elif kind == "audio-chunk":
            self._add(payload)
        elif kind == "audio-stop":
            return "transcript", {"text": await self._heard()}
        return None

    def _add(self, payload: bytes) -> None:
        if self.recording is None:
            raise ConfigError("audio-chunk: wanted audio-start before it")
        if self.recording.seconds > self.limits.segment_seconds:
            self.recording = None
            raise DataError(
                f"more than {self.limits.segment_seconds:g} s are not heard in one piece; say less at a time"
            )
        self.recording.waves.append(self.recording.reader(payload))

    async def _heard(self) -> str:
        recording, self.recording = self.recording, None
        if recording is None:
            raise ConfigError("audio-stop: wanted audio-start before it")
        with self.engine.place():
            wave = await asyncio.to_thread(recording.wave)
            if not len(wave):
                return ""
            features = await asyncio.to_thread(self.model.recognizer.frontend, wave)
            future = self.engine.hear(self.model, Options(hotwords=self.hotwords), features, recording.seconds)
            said = Said("stream", recording.seconds, await asyncio.wrap_future(future))
        self.engine.metrics.heard(self.model.name, recording.seconds)
        return said.text


class Bridge:
    """Talks to clients of the Wyoming protocol.

    Args:
        engine: what hears.
        limits: of recordings and clients.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine, self.limits = engine, limits
        self._talks: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()
        self._closing = False

    @contextlib.asynccontextmanager
    async def listening(self, at: socket.socket) -> AsyncIterator[None]:
        """Lets clients in at a socket; at the end those that are being heard are answered."""
        server = await asyncio.start_server(self._talk, sock=at)
        try:
            yield
        finally:
            self._closing = True
            server.close()
            for task in self._idle:
                task.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._talks) >= self.limits.sessions:
            await _send(writer, "error", {"text": "too many clients; try again later", "code": "overloaded"})
            writer.close()
            return
        self._talks.add(task)
        try:
            await self._answer_all(task, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass
        finally:
            self._talks.discard(task)
            writer.close()

    async def _answer_all(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        talk = _Talk(self.engine, self.limits, self.engine.model(None))
        while not self._closing:
            self._idle.add(task)
            try:
                event = await asyncio.wait_for(_next(reader), IDLE_SECONDS)
            except (ValueError, RecursionError) as error:  # what follows cannot be read either
                await _send(writer, "error", {"text": f"that is no event: {error}", "code": "invalid_value"})
                return
            finally:
                self._idle.discard(task)
            if event is None:
                return
            try:
                answer = await talk.answer(*event)
            except Exception as error:
                details = as_refused(error).details
                if details.type == "server_error":
                    log.exception("a client of the Wyoming protocol cannot be answered")
                answer = "error", {"text": details.message, "code": details.code}
            if answer is not None:
                await _send(writer, *answer)


async def _next(reader: asyncio.StreamReader) -> tuple[str, dict[str, Any], bytes] | None:
    """The next event: its type, its data, and the bytes that belong to it; None when the client has left.

    Raises:
        ValueError: it is none.
    """
    line = await reader.readline()
    if not line:
        return None
    head = json.loads(line)
    if not isinstance(head, dict) or not isinstance(head.get("type"), str):
        raise ValueError("it has no type")
    more, payload = [await reader.readexactly(_size(head, name)) for name in ("data_length", "payload_length")]
    data = (head.get("data") or {}, json.loads(more) if more else {})
    if not all(isinstance(part, dict) for part in data):
        raise ValueError("its data are no object")
    return head["type"], {**data[0], **data[1]}, payload


def _size(head: dict[str, Any], name: str) -> int:
    size = head.get(name) or 0
    if not isinstance(size, int) or not 0 <= size <= MOST_BYTES:
        raise ValueError(f"its {name} is no number from 0 to {MOST_BYTES}")
    return size


async def _send(writer: asyncio.StreamWriter, kind: str, data: dict[str, Any]) -> None:
    body = json.dumps(data, ensure_ascii=False).encode()
    head = {"type": kind, "data_length": len(body), "version": dfcnn_ms.__version__}
    writer.write(json.dumps(head).encode() + b"\n" + body)
    await writer.drain()


def _begun(data: dict[str, Any]) -> _Recording:
    """A recording in the format that a client says.

    Raises:
        ConfigError: nobody reads it.
    """
    rate, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
    if width != 2 or channels not in _CHANNELS or not isinstance(rate, int):
        got = f"rate {rate!r}, width {width!r}, channels {channels!r}"[:100]
        raise ConfigError(f"audio-start: got {got}; wanted 16 bit (width 2), 1 or 2 channels")
    return _Recording(Reader("audio/pcm", rate), channels)


def _info(engine: Engine) -> dict[str, Any]:
    known = {"attribution": {"name": "dfcnn_ms", "url": ""}, "installed": True, "version": dfcnn_ms.__version__}
    models = [{"name": name, "description": name, "languages": ["zh"], **known} for name in engine.models]
    return {"asr": [{"name": "dfcnn_ms", "description": "Mandarin speech", "models": models, **known}]}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
