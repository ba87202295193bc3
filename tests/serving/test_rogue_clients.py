"""Clients that do not mean well, or cannot: after each of them the server hears the next one."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import numpy as np
import pytest
from running import PATIENCE, Running, gated, running, wait_until, wav

from dfcnn_ms.serving import server
from dfcnn_ms.serving.limits import Limits

SOUND = wav("er4")
HEAD = b"POST /v1/transcribe HTTP/1.1\r\nHost: a\r\n"
FORM = b"multipart/form-data; boundary=xyz"


def body(*parts: tuple[str, bytes]) -> bytes:
    """A form, written by hand."""
    line = b"--xyz\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"
    return b"".join(line % (head.encode(), data) for head, data in parts) + b"--xyz--\r\n"


GOOD = body(('name="nbest"', b"2"), ('name="file"; filename="a.wav"', SOUND))


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    """One with little patience."""
    with running(limits=Limits(silent_seconds=1.0, upload_seconds=3.0)) as one:
        yield one


@pytest.fixture(autouse=True)
def goes_on(served: Running) -> Iterator[None]:
    yield
    assert httpx.post(f"{served.api}/transcribe", content=SOUND, timeout=PATIENCE).json()["text"] == "er4"
    wait_until(lambda: served.engine._held == 0)


def connect(one: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", one.port), PATIENCE)


def post(one: Running, data: bytes, kind: bytes = FORM) -> bytes:
    """The answer to a body."""
    head = HEAD + b"Connection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(data))
    with connect(one) as client:
        client.sendall(head + data)
        found = b""
        while chunk := client.recv(65536):
            found += chunk
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_random_bytes(served: Running) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 10, 1000, 100_000):
        with connect(served) as client:
            try:
                client.sendall(rng.bytes(size) + b"\r\n\r\n")
                client.shutdown(socket.SHUT_WR)
                assert b"Traceback" not in client.recv(65536)
            except ConnectionError:
                continue


def test_damaged_forms_are_answered(served: Running) -> None:
    """One byte after the other of a good form is another one, is missing, or is the last."""
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(60):
        place = int(rng.integers(len(GOOD) - len(SOUND) if rng.random() < 0.7 else len(GOOD)))
        kind = rng.integers(3)
        middle = [bytes([rng.integers(256)]), b"", b""][kind]
        damaged = GOOD[:place] + middle + (b"" if kind == 2 else GOOD[place + 1 :])
        answer = post(served, damaged)
        found.add(status(answer))
        assert b"Traceback" not in answer and b"/tmp" not in answer
    assert found <= {200, 400, 422} and {200, 400} <= found


def test_damaged_sound_is_answered(served: Running) -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        sound = bytearray(SOUND)
        for place in rng.integers(0, 60, size=3):
            sound[place] = rng.integers(256)
        answer = post(served, bytes(sound), b"audio/wav")
        assert status(answer) in (200, 413, 422), answer
        assert b"Traceback" not in answer and b"/tmp" not in answer


@pytest.mark.parametrize(
    ("data", "kind", "wanted"),
    [
        (b"", FORM, 400),
        (b"--xyz--\r\n", FORM, 400),
        (GOOD, b"multipart/form-data", 400),
        (GOOD, b"multipart/form-data; boundary=", 400),
        (b"file=hello", b"application/x-www-form-urlencoded", 422),
        (SOUND, b"application/x-www-form-urlencoded", 200),
        (body(('name="file"', SOUND)), FORM, 400),
        (body(('name="file"; filename=""', b"")), FORM, 422),
        (body(('name="file"; filename="a.wav"', b"")), FORM, 422),
        (body(('name="nbest"', b"two"), ('name="file"; filename="a"', SOUND)), FORM, 400),
        (body(('name="nbest"', b"999999999"), ('name="file"; filename="a"', SOUND)), FORM, 400),
        (body(('name="nbest"', "２".encode()), ('name="file"; filename="a"', SOUND)), FORM, 400),
        (body(('name="characters"', b"maybe"), ('name="file"; filename="a"', SOUND)), FORM, 400),
        (body(('name="model"', b"\xff\xfe"), ('name="file"; filename="a"', SOUND)), FORM, 404),
        (body(('name="hotwords"', b"\xff\x00" * 999), ('name="file"; filename="a"', SOUND)), FORM, 200),
        (body(*[(f'name="x{n}"', b"y") for n in range(600)], ('name="file"; filename="a"', SOUND)), FORM, 400),
        (body(*[('name="file"; filename="a"', SOUND)] * 9), FORM, 400),
        (SOUND, b"application/json", 200),
    ],
)
def test_odd_forms(served: Running, data: bytes, kind: bytes, wanted: int) -> None:
    answer = post(served, data, kind)
    assert status(answer) == wanted, answer


@pytest.mark.parametrize("name", ["/etc/passwd", "..\\..\\a.wav", "a" * 9999, "\u202e\u0007名", "%2e%2e%2fa", ".."])
def test_a_name_is_a_name_and_no_path(served: Running, name: str) -> None:
    answer = httpx.post(f"{served.api}/transcribe", files={"file": (name, b"hello")})
    message = answer.json()["error"]["message"]
    assert answer.status_code in (400, 422)
    assert "/" not in message and "\\.." not in message and message.isprintable() and len(message) < 300


def test_half_a_request(served: Running) -> None:
    with ExitStack() as stack:
        for size in (1, 20, len(HEAD), len(HEAD) + 5):
            client = stack.enter_context(connect(served))
            client.sendall((HEAD + b"Content-Length: 100\r\n\r\n" + bytes(50))[:size])
        assert httpx.get(f"{served.url}/health").status_code == 200


def test_a_client_that_has_said_all_and_hangs_up_its_half(served: Running) -> None:
    with connect(served) as client:
        client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(SOUND) + SOUND)
        client.shutdown(socket.SHUT_WR)
        client.recv(65536)  # whether it is still answered is up to the server


def test_a_client_that_resets_while_it_sends(served: Running) -> None:
    for _ in range(20):
        client = connect(served)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + bytes(1000))
        client.close()


def test_a_client_that_vanishes_while_it_is_heard() -> None:
    model, gate = gated()
    with running(lambda: [model]) as one:
        gate.shut()
        for _ in range(5):
            client = connect(one)
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(SOUND) + SOUND)
            wait_until(lambda: one.engine._held == 1)
            client.close()
            wait_until(lambda: one.engine._held == 0)
        gate.open.set()
        assert httpx.post(f"{one.api}/transcribe", content=SOUND, timeout=PATIENCE).json()["text"] == "er4"


def test_a_client_that_does_not_read_its_answer(served: Running) -> None:
    with connect(served) as client:
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
        assert httpx.get(f"{served.url}/health", timeout=PATIENCE).status_code == 200


def test_requests_one_behind_the_other(served: Running) -> None:
    with connect(served) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GET /health HTTP/1.0\r\n\r\n")
        found = b""
        while chunk := client.recv(65536):
            found += chunk
    assert found.count(b"HTTP/1.1 200") == 4


def test_a_thousand_sockets_that_say_nothing(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 1.0)
    server.allow_many_connections()
    before = len(served.server.server_state.connections)
    with ExitStack() as stack:
        for number in range(1000):
            client = stack.enter_context(connect(served))
            if number % 2:
                client.sendall(b"GET /health HT")
        wait_until(lambda: len(served.server.server_state.connections) >= before + 500)
        assert httpx.post(f"{served.api}/transcribe", content=SOUND, timeout=PATIENCE).status_code == 200
        wait_until(lambda: len(served.server.server_state.connections) <= 2)


def test_a_websocket_where_there_is_none_and_none_where_there_is_one(served: Running) -> None:
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    for line in (
        b"GET /v1/transcribe HTTP/1.1\r\nHost: a\r\n" + upgrade + b"dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"GET /v1/realtime HTTP/1.1\r\nHost: a\r\n" + upgrade + b"x\r\n\r\n",
        b"GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ):
        with connect(served) as client:
            client.sendall(line)
            assert 400 <= status(client.recv(65536)) < 500


def test_what_is_ours_is_told_to_the_log_alone(served: Running, caplog: pytest.LogCaptureFixture) -> None:
    recognizer = served.engine.model(None).recognizer
    inner = recognizer.acoustics

    def fails(*_: object) -> None:
        raise RuntimeError("/secret/path")

    recognizer.acoustics = fails  # type: ignore[assignment]
    served.engine.model(None).listener.cache_clear()
    try:
        with caplog.at_level(logging.ERROR, "uvicorn.error"):
            answer = httpx.post(f"{served.api}/transcribe", content=SOUND)
            wait_until(lambda: "/secret/path" in caplog.text)
    finally:
        recognizer.acoustics = inner
        served.engine.model(None).listener.cache_clear()
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" not in answer.text and "Runtime" not in answer.text


def test_answers_take_no_longer_beside_slow_ones(served: Running) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(served)) for _ in range(50)]
        for client in slow:
            client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + bytes(100))
        for _ in range(3):
            assert httpx.post(f"{served.api}/transcribe", content=SOUND, timeout=PATIENCE).status_code == 200
        for client in slow:
            client.sendall(bytes(10))
