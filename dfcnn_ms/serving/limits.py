"""How much one client may ask of a server, and what keeps to it: a body is refused before it has come whole."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.recognizer import BATCH_SIZE
from dfcnn_ms.serving.errors import GONE, Refused, answer, busy
from dfcnn_ms.serving.metrics import Metrics

MEGABYTE = 1 << 20
#: for which a body that was refused is still taken
_DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Limits:
    """What is taken and what is refused.

    Attributes:
        megabytes: of one request.
        seconds: of one recording.
        queue: recordings that are read, wait or are heard at a time; more are told to come back.
        sessions: WebSockets at a time.
        batch: recordings that are heard at once.
        segment_seconds: of sound in a session of which the client says where it ends.
        uploads: requests at a time whose bodies are coming or that wait; more are told to come back.
        silent_seconds: for which a body may stand still, and a client leave its answer unread.
        upload_seconds: that a whole body may take.
    """

    megabytes: int = 64
    seconds: float = 3600.0
    queue: int = 64
    sessions: int = 32
    batch: int = BATCH_SIZE
    segment_seconds: float = 120.0
    uploads: int = 512
    silent_seconds: float = 30.0
    upload_seconds: float = 300.0

    def __post_init__(self) -> None:
        for flag, number in (
            ("max-mb", self.megabytes),
            ("max-seconds", self.seconds),
            ("queue", self.queue),
            ("sessions", self.sessions),
            ("batch", self.batch),
        ):
            if not number > 0:
                raise ConfigError(f"--{flag} {number:g}: wanted more than 0")

    @property
    def bytes(self) -> int:
        """Of one request."""
        return self.megabytes * MEGABYTE


@dataclass
class Body:
    """What has come of the body of one request.

    Attributes:
        receive: of ASGI.
        limits: that it has to keep to.
        is_coming: whether the client sends it without being asked to go on.
        began: when, on the monotonic clock.
        size: bytes so far.
        done: whether all of it is there.
    """

    receive: Receive
    limits: Limits
    is_coming: bool = True
    began: float = field(default_factory=time.monotonic)
    size: int = 0
    done: bool = False

    async def __call__(self) -> Message:
        """The next piece; a body that is too large or too slow ends here."""
        if self.done:  # what comes now is that the client has left
            return await self.receive()
        rest = self.limits.upload_seconds - (time.monotonic() - self.began)
        try:
            message = await asyncio.wait_for(self.receive(), min(self.limits.silent_seconds, max(rest, 0)))
        except asyncio.TimeoutError:
            raise Refused(408, "the request came too slowly; send it again in one go", code="too_slow") from None
        self.size += len(message.get("body", b""))
        self.done = not message.get("more_body", False)
        if self.size > self.limits.bytes:
            raise too_large(self.limits)
        return message

    async def drain(self) -> None:
        """Takes what the client still sends, for a moment: who is cut off while sending never reads the answer."""
        end = time.monotonic() + _DRAIN_SECONDS
        while self.is_coming and not self.done and (rest := end - time.monotonic()) > 0:
            try:
                message = await asyncio.wait_for(self.receive(), rest)
            except asyncio.TimeoutError:
                return
            self.done = not message.get("more_body", False)


def too_large(limits: Limits) -> Refused:
    """The answer to too many bytes."""
    cure = "send a shorter recording, or a compressed one such as flac or mp3"
    return Refused(413, f"the request is larger than {limits.megabytes} MB; {cure}", code="too_large", param="file")


class Guard:
    """ASGI middleware: keeps requests to the limits, counts and times them."""

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics) -> None:
        self.app, self.limits, self.metrics = app, limits, metrics
        self._bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, statuses = time.perf_counter(), [GONE]
        body = Body(receive, self.limits, is_coming=b"expect" not in dict(scope["headers"]))
        self._bodies += 1
        try:
            refused = self._refused(scope)
            app: ASGIApp = answer(refused) if refused else self.app
            await app(scope, body, _finishing(send, body, statuses))
        except Unread:
            statuses.append(GONE)
        finally:
            self._bodies -= 1
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.request(route, statuses[-1], time.perf_counter() - began)

    def _refused(self, scope: Scope) -> Refused | None:
        """What is wrong with a request before any of its body has come."""
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.limits.bytes:
            return too_large(self.limits)
        if self._bodies > self.limits.uploads:
            return busy(f"{self.limits.uploads} requests are being answered, no more at a time; try again", 1)
        return None


class Unread(Exception):  # noqa: N818 (not an error of ours)
    """A client does not read its answer; what it holds is needed by others."""


def _finishing(sends: Send, body: Body, statuses: list[int]) -> Send:
    """Sends an answer; one that comes before the whole request is the last on its connection."""

    async def send(message: Message) -> None:
        try:
            await asyncio.wait_for(sends(message), body.limits.silent_seconds)
        except asyncio.TimeoutError:
            raise Unread from None

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            if not body.done and statuses[-1] >= 400:
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        elif not message.get("more_body", False) and not body.done and statuses[-1] >= 400:
            await send({**message, "more_body": True})
            await body.drain()
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return sending
