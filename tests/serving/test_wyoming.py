"""The Wyoming protocol, spoken by hand as its specification says; and clients that speak something else."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import soxr
from running import PATIENCE, chord, gated, two_models, wait_until
from tones import wave

from dfcnn_ms.serving import server
from dfcnn_ms.serving.engine import Engine
from dfcnn_ms.serving.limits import Limits
from dfcnn_ms.serving.wyoming import Bridge

SAID = "yi1 er4 san1"


@contextmanager
def listening(engine: Engine, limits: Limits) -> Iterator[int]:
    """The port of a bridge in a thread; leaving it ends it in order."""
    at = server.bound("127.0.0.1", 0)
    at.listen()
    ended, loop = asyncio.Event(), asyncio.new_event_loop()

    async def talk() -> None:
        async with Bridge(engine, limits).listening(at):
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(talk()))
    port = at.getsockname()[1]
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        engine.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    engine = Engine(two_models)
    engine.start()
    with listening(engine, Limits(segment_seconds=5.0, sessions=4)) as one:
        yield one


class Client:
    """One that says events and hears them."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def say(self, kind: str, payload: bytes = b"", **data: Any) -> None:
        """Data stand in the line for small events, and behind it for others."""
        body = json.dumps(data).encode() if kind != "audio-start" else b""
        head = {
            "type": kind,
            "data": data if not body else {},
            "data_length": len(body),
            "payload_length": len(payload),
        }
        self.socket.sendall(json.dumps(head).encode() + b"\n" + body + payload)

    def hear(self) -> tuple[str, dict[str, Any]]:
        head = json.loads(self.file.readline())
        return head["type"], json.loads(self.file.read(head["data_length"]))

    def ask(
        self, samples: np.ndarray, rate: int = 16_000, channels: int = 1, **wish: Any
    ) -> tuple[str, dict[str, Any]]:
        self.say("transcribe", **wish)
        self.say("audio-start", rate=rate, width=2, channels=channels)
        resampled = np.repeat(soxr.resample(samples, 16_000, rate), channels)
        data = np.clip(resampled * 32768, -32768, 32767).astype("<i2").tobytes()
        for first in range(0, len(data), 2049):  # in the middle of a sample
            self.say("audio-chunk", data[first : first + 2049], rate=rate, width=2, channels=channels)
        self.say("audio-stop")
        return self.hear()


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1)])
def test_what_is_said_is_heard(port: int, rate: int, channels: int) -> None:
    said = "yi1 er4 san1"
    with Client(port) as client:
        for _ in range(2):
            assert client.ask(wave(said), rate, channels) == ("transcript", {"text": said})
        assert client.ask(wave(said), name="written") == ("transcript", {"text": "一二三"})


def test_names_are_listened_for(port: int) -> None:
    with Client(port) as client:
        assert client.ask(chord("yi1", "er4"))[1]["text"] == "yi1"
        assert "er4" in client.ask(chord("yi1", "er4"), transcript_names=["er4"])[1]["text"]


def test_it_describes_itself_and_answers_pings(port: int) -> None:
    with Client(port) as client:
        client.say("describe")
        kind, info = client.hear()
        assert kind == "info"
        (program,) = info["asr"]
        assert [model["name"] for model in program["models"]] == ["tones", "written"]
        for one in (program, *program["models"]):
            assert one["installed"] is True and set(one["attribution"]) == {"name", "url"} and one["version"]
        client.say("ping", text="a")
        assert client.hear() == ("pong", {"text": "a"})


def test_silence_and_nothing_are_an_empty_text(port: int) -> None:
    with Client(port) as client:
        assert client.ask(np.zeros(16_000, np.float32)) == ("transcript", {"text": ""})
        assert client.ask(np.zeros(0, np.float32)) == ("transcript", {"text": ""})


@pytest.mark.parametrize(
    "events",
    [
        [("audio-stop", {})],
        [("audio-chunk", {})],
        [("audio-start", {"rate": 16_000, "width": 4, "channels": 1})],
        [("audio-start", {"rate": 1, "width": 2, "channels": 1})],
        [("audio-start", {"rate": "a", "width": 2, "channels": 7})],
        [("audio-start", {})],
    ],
)
def test_what_cannot_be_done_is_an_error_and_the_talk_goes_on(port: int, events: list[Any]) -> None:
    with Client(port) as client:
        for kind, data in events:
            client.say(kind, **data)
        kind, error = client.hear()
        assert kind == "error" and error["text"] and error["code"] == "invalid_value"
        assert client.ask(wave(SAID)) == ("transcript", {"text": SAID})


def test_too_much_is_not_kept(port: int) -> None:
    with Client(port) as client:
        kind, error = client.ask(np.zeros(6 * 16_000, np.float32))
        assert kind == "error" and "more than 5 s" in error["text"]


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n", b"[]\n", b"{}\n", b'{"type": 3}\n', b"[" * 5000 + b"\n", b"\xff\xfe\n", b"x" * 200_000 + b"\n",
        b'{"type": "ping", "data_length": -1}\n', b'{"type": "ping", "payload_length": 99999999999}\n',
        b'{"type": "ping", "data_length": 2}\n[]', b'{"type": "ping", "data": 7}\n',
    ],
)  # fmt: skip
def test_garbage_is_answered_and_ends_the_talk(port: int, line: bytes) -> None:
    with Client(port) as client:
        client.socket.sendall(line)
        kind, error = client.hear()
        assert kind == "error" and error["text"].startswith("that is no event")
        assert client.file.read() == b""
    with Client(port) as client:
        assert client.ask(wave(SAID)) == ("transcript", {"text": SAID})


def test_clients_that_vanish_and_more_than_there_is_room_for(port: int) -> None:
    for _ in range(10):
        # Who comes before the server has noticed that those before are gone is refused, perhaps while speaking.
        with suppress(ConnectionError), Client(port) as client:
            client.say("audio-start", rate=16_000, width=2, channels=1)
            client.socket.sendall(b'{"type": "audio-chunk", "payload_length": 1000}\nhalf')
    clients: list[Client] = []

    def is_taken() -> bool:
        """Places come back when the server has noticed who is gone."""
        client = Client(port)
        with suppress(ConnectionError):
            client.say("ping")
            clients.extend([client] if client.hear()[0] == "pong" else [])
        return len(clients) == 4

    wait_until(is_taken)
    with Client(port) as client:
        assert client.hear() == ("error", {"text": "too many clients; try again later", "code": "overloaded"})
    for client in clients:
        client.__exit__()


def test_who_is_being_heard_is_answered_before_the_end() -> None:
    model, gate = gated()
    engine = Engine(lambda: [model])
    engine.start()
    with listening(engine, Limits()) as port:
        idle, client = Client(port), Client(port)
        idle.say("ping")
        idle.hear()
        gate.shut()
        threading.Timer(0.3, gate.open.set).start()
        client.say("audio-start", rate=16_000, width=2, channels=1)
        client.say("audio-chunk", (wave(SAID) * 32767).astype("<i2").tobytes())
        client.say("audio-stop")
        gate.wait()
    assert client.hear() == ("transcript", {"text": SAID})
    assert idle.file.read() == client.file.read() == b""
