"""Runs the application: the socket, connections that say nothing, and signals that end it in order."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from dfcnn_ms.errors import ConfigError

#: seconds that a connection may take to say what it wants, and that a stop waits for what still runs
HEAD_SECONDS, STOP_SECONDS = 30.0, 60
#: bytes of one message of a WebSocket: OpenAI's clients send at most 15 MB of base64
MOST_MESSAGE = 16 << 20
#: connections that may wait to be taken
_BACKLOG = 2048
_MOST_FILES = 65_536


class Impatient(H11Protocol):
    """A connection that is closed when it says nothing, or only half a request, for long."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self._is_asked or self not in self.connections:  # it became a WebSocket
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    @property
    def _is_asked(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self._is_asked and self in self.connections:
            self.transport.close()


class Server(uvicorn.Server):
    """A server that is asked by Ctrl-C or SIGTERM to finish what runs; then it has done its work."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        try:
            before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # in a thread, which is asked otherwise
            yield
            return
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address; nobody is let in yet.

    Raises:
        ConfigError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its name, or asyncio does not send at once what it is given (TCP_NODELAY), and every answer is 40 ms late.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        one.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--host {host} --port {port}: {reason}; give another one") from None
    return one


def address(one: socket.socket, protocol: str = "http") -> str:
    """Where a server at a socket is found."""
    host, port = one.getsockname()[:2]
    return f"{protocol}://{f'[{host}]' if ipaddress.ip_address(host).version == 6 else host}:{port}"


def server(app: ASGIApp) -> Server:
    """What runs the application."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="websockets-sansio",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return Server(config)


def allow_many_connections() -> None:
    """Raises the number of open files to what the system allows."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
