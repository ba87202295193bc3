"""OpenAI's realtime WebSocket for transcription: events in, events out, and what a stream says in between.

Beyond what OpenAI's servers do, a binary message is sound as well, PCM may have any rate from 8,000 to 48,000 Hz, each
delta has the whole text so far as ``partial``, for it may still change, and a completed text has its ``syllables``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from dfcnn_ms.errors import ConfigError, suggestion
from dfcnn_ms.reporting.timings import to_dict
from dfcnn_ms.serving.dialect import LOGPROBS, Settings, event, item_page, new_id, session_page
from dfcnn_ms.serving.engine import Engine
from dfcnn_ms.serving.errors import Refused, as_refused
from dfcnn_ms.serving.forms import phrases
from dfcnn_ms.serving.limits import Limits
from dfcnn_ms.serving.models import Model, Options
from dfcnn_ms.serving.pcm import Reader
from dfcnn_ms.serving.said import Said, log_prob, pieces
from dfcnn_ms.streaming import Endpointing, StreamingRecognizer, StreamResult, joined

T = TypeVar("T")
Send = Callable[[dict[str, Any]], Awaitable[None]]
log = logging.getLogger(__name__)

#: seconds for which a client may say nothing
IDLE_SECONDS = 600.0
#: seconds of sound that a stream is fed at a time, so that one client's backlog holds up nobody
_PIECE_SECONDS = 1.0
_ITEM = "conversation.item.input_audio_transcription"
_BUFFER = "input_audio_buffer"


@dataclass
class _Item:
    """A segment that the client has been told of.

    Attributes:
        id: its name.
        told: the pieces of its text that the client has.
        last: all pieces that were heard when it was last told something.
    """

    id: str = field(default_factory=lambda: new_id("item"))
    told: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)


@dataclass
class _Stream:
    """What listens to the sound since the last time that the buffer was empty.

    Attributes:
        listener: that is fed.
        reader: bytes -> samples.
        detects: whether it finds the ends of segments by itself.
        began: seconds of the session before it.
        fed: seconds that it has got.
    """

    listener: StreamingRecognizer
    reader: Reader
    detects: bool
    began: float
    fed: float = 0.0


class Session:
    """One client of the realtime protocol.

    Args:
        engine: what hears.
        limits: of a segment that nobody ends.
        model: by the name that the client gave when it came.
        send: events to the client.
    """

    def __init__(self, engine: Engine, limits: Limits, model: str | None, send: Send) -> None:
        self.engine, self.limits, self.send = engine, limits, send
        self.id, self.settings = new_id("sess"), Settings()
        self._name = model
        self._stream: _Stream | None = None
        self._item: _Item | None = None
        self._previous: str | None = None
        self._seconds = 0.0
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self._update,
            f"{_BUFFER}.append": self._append,
            f"{_BUFFER}.commit": self._commit,
            f"{_BUFFER}.clear": self._clear,
        }

    async def serve(self, socket: WebSocket) -> None:
        """Talks to a client until it leaves, says nothing for long, or the server stops."""
        await self.send(event("session.created", session=session_page(self.id, self.settings)))
        try:
            while True:
                message = await asyncio.wait_for(socket.receive(), IDLE_SECONDS)
                if message["type"] == "websocket.disconnect":
                    return
                await self.receive(message.get("text"), message.get("bytes"))
        except (WebSocketDisconnect, ConnectionError):
            return
        except asyncio.TimeoutError:
            await socket.close(1001, "nothing was said for long")

    async def receive(self, text: str | None, data: bytes | None) -> None:
        """Does what one message asks for; a message that cannot be meant is answered with an error."""
        asked: Any = None
        try:
            if data is not None:
                await self._feed(data)
                return
            asked = _parsed(text or "", self._handlers)
            await self._handlers[asked["type"]](asked)
        except (WebSocketDisconnect, ConnectionError):
            raise
        except Exception as error:
            details = as_refused(error).details
            if details.type == "server_error":
                log.exception("a session fails")
            about = asked.get("event_id") if isinstance(asked, dict) else None
            await self.send(event("error", error={**details.model_dump(), "event_id": about}))

    async def _update(self, asked: dict[str, Any]) -> None:
        if not isinstance(asked.get("session"), dict):
            raise ConfigError('session: missing; wanted an object such as {"type": "transcription"}')
        settings = self.settings.updated(asked["session"])
        await self._flush()
        self.settings = settings
        await self.send(event("session.updated", session=session_page(self.id, settings)))

    async def _append(self, asked: dict[str, Any]) -> None:
        audio = asked.get("audio")
        try:
            data = base64.b64decode(audio, validate=True) if isinstance(audio, str) else None
        except ValueError:
            data = None
        if data is None:
            raise ConfigError("audio: wanted sound in base64")
        await self._feed(data)

    async def _commit(self, asked: dict[str, Any]) -> None:
        if self._stream is None or not self._stream.fed:
            message = "the buffer is empty; append sound before you commit it"
            raise Refused(400, message, code="input_audio_buffer_commit_empty")
        before = self._previous
        await self._flush()
        if self._previous == before:  # nothing was heard
            await self._complete(None)

    async def _clear(self, asked: dict[str, Any]) -> None:
        self._drop()
        await self.send(event(f"{_BUFFER}.cleared"))

    async def _feed(self, data: bytes) -> None:
        """Hears more sound, and tells what is known by then."""
        stream = self._stream = self._stream or await self._opened()
        samples = stream.reader(data)
        size = round(_PIECE_SECONDS * stream.reader.rate)
        for first in range(0, len(samples), size):
            await self._hear(stream, samples[first : first + size])

    async def _hear(self, stream: _Stream, samples: np.ndarray) -> None:
        if not stream.detects and stream.fed >= self.limits.segment_seconds:
            message = f"a segment of more than {self.limits.segment_seconds:g} s is not heard; commit or clear it"
            raise Refused(413, message, code="too_long")
        seconds = len(samples) / stream.reader.rate
        results = await self._call(stream, lambda: stream.listener.feed(samples))
        stream.fed += seconds
        self.engine.metrics.heard(self._model.name, seconds)
        for result in results:
            await self._tell(stream, _later(result, stream.began))

    async def _flush(self) -> None:
        """Tells all that is known of the sound so far, and begins anew."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        results = await self._call(stream, stream.listener.finish)
        self._seconds = stream.began + stream.fed
        finals = [_later(one, stream.began) for one in results if one.final]
        if stream.detects or len(finals) < 2:
            for result in finals:
                await self._tell(stream, result)
        else:
            await self._complete(_as_one(finals))
        self._item = None

    async def _call(self, stream: _Stream, function: Callable[[], T]) -> T:
        """Runs something in the thread of the models; a stream in which that fails is lost, and its item with it."""
        try:
            return await asyncio.wrap_future(self.engine.call(function))
        except Exception as error:
            self._seconds, item = stream.began + stream.fed, self._item
            self._drop()
            if item is not None:
                details = as_refused(error).details.model_dump()
                await self.send(event(f"{_ITEM}.failed", item_id=item.id, content_index=0, error=details))
            raise

    def _drop(self) -> None:
        if self._stream is not None:
            self._seconds = self._stream.began + self._stream.fed
        self._stream = self._item = None

    @property
    def _model(self) -> Model:
        asked = self.settings.audio.input.transcription
        names = (asked.model if asked else None, self._name)
        return self.engine.model(next((name for name in names if name in self.engine.models), None))

    async def _opened(self) -> _Stream:
        """A stream as the settings want it."""
        settings, model = self.settings.audio.input, self._model
        reader, turns = settings.format.reader, settings.turn_detection
        ends = None if turns is None else Endpointing(pause=turns.silence_duration_ms / 1000)
        asked = settings.transcription
        lines = phrases(asked.prompt, *asked.keywords) if asked else []
        options = Options(hotwords=await asyncio.to_thread(model.words, lines))

        def open_listener() -> StreamingRecognizer:
            return StreamingRecognizer(model.listener(options), sample_rate=reader.rate, endpointing=ends)

        listener = await asyncio.wrap_future(self.engine.call(open_listener))
        return _Stream(listener, reader, ends is not None, self._seconds)

    async def _tell(self, stream: _Stream, result: StreamResult) -> None:
        """Sends what a result adds to what the client knows."""
        if self._item is None:
            if not result.syllables:  # noise
                return
            self._item = _Item()
            if stream.detects:
                milliseconds = _milliseconds(result.start)
                await self.send(event(f"{_BUFFER}.speech_started", audio_start_ms=milliseconds, item_id=self._item.id))
        if not result.final:
            await self._tell_more(self._item, pieces(_said(result).words), final=False)
            return
        if stream.detects:
            milliseconds = _milliseconds(result.end)
            await self.send(event(f"{_BUFFER}.speech_stopped", audio_end_ms=milliseconds, item_id=self._item.id))
        await self._complete(result)

    async def _tell_more(self, item: _Item, now: list[str], *, final: bool) -> None:
        """Sends the pieces of a text that two results in a row agree about, or all of the last one."""
        sure = len(now) if final else _agreement(item.last, now)
        known = len(item.told)
        more = now[known:sure] if now[:known] == item.told else []
        changed, item.last = now != item.last, now
        item.told += more
        if more or (changed and not final):
            values = {"delta": "".join(more), "partial": "".join(now), "content_index": 0}
            await self.send(event(f"{_ITEM}.delta", item_id=item.id, **values))

    async def _complete(self, result: StreamResult | None) -> None:
        """Tells the last word about a segment; None: nothing was heard in it."""
        item, self._item = self._item or _Item(), None
        before, self._previous = self._previous, item.id
        await self.send(event(f"{_BUFFER}.committed", item_id=item.id, previous_item_id=before))
        await self.send(event("conversation.item.added", item=item_page(item.id), previous_item_id=before))
        said = _said(result) if result else None
        if said:
            await self._tell_more(item, pieces(said.words), final=True)
        seconds = round(result.end - result.start, 3) if result else 0.0
        values: dict[str, Any] = {"transcript": said.text if said else "", "content_index": 0}
        values["usage"] = {"type": "duration", "seconds": seconds}
        values["syllables"] = to_dict(said.recording)["syllables"] if said else []
        if said and LOGPROBS in (self.settings.include or []):
            tokens = zip(pieces(said.words), said.words, strict=True)
            values["logprobs"] = [
                {"token": text, "bytes": [*text.encode()], "logprob": round(log_prob(word), 4)} for text, word in tokens
            ]
        await self.send(event(f"{_ITEM}.completed", item_id=item.id, **values))


def _parsed(text: str, known: Iterable[str]) -> dict[str, Any]:
    """An event of a client, of one of the known types.

    Raises:
        ConfigError: it is none.
    """
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError("a message is no JSON; wanted an object with a type") from None
    kind = asked.get("type") if isinstance(asked, dict) else None
    if not isinstance(kind, str):
        raise ConfigError('a message has no type; wanted an object such as {"type": "input_audio_buffer.commit"}')
    if kind not in [*known]:
        raise ConfigError(f"type {kind[:80]!r}: means nothing in a transcription session; {suggestion(kind, known)}")
    return dict(asked)


def _said(result: StreamResult) -> Said:
    return Said("stream", max((result.end, *result.ends)), result)


def _later(result: StreamResult, seconds: float) -> StreamResult:
    """A result whose times count from an earlier moment."""
    starts, ends = (tuple(round(one + seconds, 3) for one in times) for times in (result.starts, result.ends))
    return replace(result, starts=starts, ends=ends, start=result.start + seconds, end=result.end + seconds)


def _as_one(results: Sequence[StreamResult]) -> StreamResult:
    """Several segments as one."""
    whole = joined(results)
    known = {field.name: getattr(whole, field.name) for field in fields(whole)}
    return StreamResult(**known, start=results[0].start, end=results[-1].end)


def _agreement(before: Sequence[str], now: Sequence[str]) -> int:
    """How many pieces two texts have in common, from the first."""
    return next((n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now)))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
