"""How much one client may ask: bytes, seconds, slowness, the queue; and that the answer comes before the body."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import openai
import pytest
from running import PATIENCE, Running, encoded, gated, running, wait_until, wav
from starlette.types import Message, Receive, Scope, Send
from tones import wave

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.serving.limits import MEGABYTE, Guard, Limits
from dfcnn_ms.serving.metrics import Metrics


@pytest.fixture(scope="module")
def strict() -> Iterator[Running]:
    """1 MB, 2 s, and half a second of patience."""
    with running(limits=Limits(megabytes=1, seconds=2.0, silent_seconds=0.5, upload_seconds=1.5)) as one:
        yield one


def error(answer: httpx.Response) -> dict[str, str]:
    found = answer.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return dict(found)


def talk(one: Running, *pieces: bytes) -> bytes:
    """Sends bytes and returns all that comes back."""
    with socket.create_connection(("127.0.0.1", one.port), PATIENCE) as client:
        for piece in pieces:
            client.sendall(piece)
        found = b""
        while chunk := client.recv(65536):
            found += chunk
        return found


HEAD = b"POST /v1/transcribe HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: audio/wav\r\n"


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(strict: Running) -> None:
    began = time.monotonic()
    answer = talk(strict, HEAD + b"Content-Length: 345600000\r\nExpect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413") and b"the request is larger than 1 MB" in answer
    assert time.monotonic() - began < PATIENCE / 2


def test_a_body_that_does_not_say_how_large_it_is_ends_at_the_limit(strict: Running) -> None:
    sent = []

    def body() -> Iterator[bytes]:
        for _ in range(1000):
            sent.append(MEGABYTE // 4)
            yield bytes(MEGABYTE // 4)
            time.sleep(0.01)

    with httpx.Client() as client:
        try:
            answer = client.post(f"{strict.api}/transcribe", content=body())
        except httpx.WriteError:  # it was told while it was still sending
            answer = None
    assert answer is None or (answer.status_code == 413 and error(answer)["code"] == "too_large")
    assert sum(sent) < 1000 * MEGABYTE // 4


def test_the_client_of_openai_reads_the_refusal(strict: Running) -> None:
    client = openai.OpenAI(base_url=strict.api, api_key="none", max_retries=0)
    with pytest.raises(openai.APIStatusError, match="larger than 1 MB") as caught:
        client.audio.transcriptions.create(file=("a.wav", bytes(3 * MEGABYTE)), model="x")
    assert caught.value.status_code == 413


def test_a_recording_that_is_too_long_is_refused_by_its_header(strict: Running) -> None:
    three_hours = encoded(np.zeros(4 * 16_000, np.float32), form="FLAC")
    answer = httpx.post(f"{strict.api}/transcribe", files={"file": ("a.flac", three_hours)})
    assert answer.status_code == 413
    assert error(answer)["message"].startswith("a.flac: 0.1 minutes are too long")
    assert error(answer)["code"] == "too_long"


@pytest.mark.parametrize("pause", [0.1, 5.0])
def test_a_body_that_comes_too_slowly_is_given_up(strict: Running, pause: float) -> None:
    """It stands still, or it never does and never ends."""
    with socket.create_connection(("127.0.0.1", strict.port), PATIENCE) as client:
        client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        client.settimeout(pause)
        found, end = b"", time.monotonic() + PATIENCE
        while not found and time.monotonic() < end:
            client.sendall(b"x")
            try:
                found = client.recv(65536)
            except TimeoutError:
                continue
    assert found.startswith(b"HTTP/1.1 408")


def test_a_full_queue_answers_503_and_the_others_are_heard() -> None:
    model, gate = gated()
    with running(lambda: [model], Limits(queue=3)) as one:
        gate.shut()
        answers: list[httpx.Response] = []
        post = lambda: answers.append(httpx.post(f"{one.api}/transcribe", content=wav("er4"), timeout=PATIENCE))  # noqa: E731
        threads = [threading.Thread(target=post) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: one.engine._held == 3)
        refused = httpx.post(f"{one.api}/transcribe", content=wav("er4"))
        assert refused.status_code == 503 and error(refused)["code"] == "overloaded"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert httpx.get(f"{one.url}/health").status_code == 200
        gate.open.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert [answer.json()["text"] for answer in answers] == ["er4"] * 3
        assert httpx.post(f"{one.api}/transcribe", content=wav("san1")).json()["text"] == "san1"


def test_the_client_of_openai_comes_back_when_it_is_told_to() -> None:
    model, gate = gated()
    with running(lambda: [model], Limits(queue=1)) as one:
        gate.shut()
        first = threading.Thread(target=lambda: httpx.post(f"{one.api}/transcribe", content=wav("er4"), timeout=60))
        first.start()
        gate.wait()
        threading.Timer(0.3, gate.open.set).start()
        client = openai.OpenAI(base_url=one.api, api_key="none", max_retries=4)
        assert client.audio.transcriptions.create(file=("a.wav", wav("san1")), model="x").text == "san1"
        first.join(PATIENCE)


def test_whoever_leaves_frees_the_place() -> None:
    model, gate = gated()
    with running(lambda: [model], Limits(queue=2)) as one:
        gate.shut()
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{one.api}/transcribe", content=wav("er4"), timeout=0.3)
        wait_until(lambda: one.engine._held == 0)
        gate.open.set()
        assert httpx.post(f"{one.api}/transcribe", content=wav("san1")).json()["text"] == "san1"


def test_more_requests_than_anybody_can_answer_are_told_to_come_back() -> None:
    with running(limits=Limits(uploads=2)) as one:
        held = [socket.create_connection(("127.0.0.1", one.port), PATIENCE) for _ in range(2)]
        for client in held:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        answers: list[int] = []

        def is_full() -> bool:
            answers.append(httpx.get(f"{one.url}/health").status_code)
            return answers[-1] == 503

        wait_until(is_full)
        for client in held:
            client.close()
        wait_until(lambda: httpx.get(f"{one.url}/health").status_code == 200)


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.append(True)

    async def stuck(message: Message) -> None:
        await asyncio.sleep(PATIENCE if message["type"] == "http.response.body" else 0)

    async def talk() -> None:
        guard = Guard(app, Limits(silent_seconds=0.1), metrics)
        await guard({"type": "http", "headers": []}, None, stuck)  # type: ignore[arg-type]

    metrics = Metrics()
    asyncio.run(asyncio.wait_for(talk(), PATIENCE / 2))
    assert ended
    assert b'dfcnn_requests_total{route="other",status="499"} 1.0' in metrics.page()


@pytest.mark.parametrize(
    ("limit", "complaint"),
    [
        ({"megabytes": 0}, "--max-mb 0: wanted more than 0"),
        ({"seconds": float("nan")}, "--max-seconds nan"),
        ({"queue": -1}, "--queue -1"),
        ({"sessions": 0}, "--sessions 0"),
        ({"batch": 0}, "--batch 0"),
    ],
)
def test_limits_that_cannot_be_meant(limit: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Limits(**limit)  # type: ignore[arg-type]


def test_as_long_as_the_limit_is_heard(strict: Running) -> None:
    exact = np.zeros(2 * 16_000, np.float32)
    exact[: len(wave("er4"))] = wave("er4")
    assert httpx.post(f"{strict.api}/transcribe", content=encoded(exact)).json()["text"] == "er4"
