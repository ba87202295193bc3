"""OpenAI's realtime protocol, with OpenAI's own client where it says what is meant, and a bare WebSocket elsewhere."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import openai
import pytest
import soxr
import websockets
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from running import PATIENCE, Running, chord, running, wait_until
from tones import begins, wave
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from dfcnn_ms.serving.access import Access
from dfcnn_ms.serving.limits import Limits

SAID = "yi1 er4 san1"
TEXT = "conversation.item.input_audio_transcription"
EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def pcm(samples: np.ndarray, rate: int = 24_000) -> bytes:
    resampled = soxr.resample(samples, 16_000, rate)
    return np.clip(np.rint(resampled * 32768), -32768, 32767).astype("<i2").tobytes()


def session(**audio: Any) -> dict[str, Any]:
    """A change of settings; without turn detection, unless that is said."""
    return {"type": "session.update", "session": {"type": "transcription", "audio": {"input": audio}}}


def run(talk: Callable[[], Awaitable[None]]) -> None:
    async def patiently() -> None:
        await asyncio.wait_for(talk(), PATIENCE)

    asyncio.run(patiently())


@asynccontextmanager
async def connected(served: Running, query: str = "intent=transcription", **options: Any) -> AsyncIterator[Any]:
    url = f"ws://127.0.0.1:{served.port}/v1/realtime?{query}"
    async with websockets.connect(url, **options) as client:
        yield client


async def event(client: ClientConnection, kind: str | None = None) -> dict[str, Any]:
    """The next event, or the next one of a kind; each is one that OpenAI's client knows, but for rates of ours."""
    while True:
        found = json.loads(await client.recv())
        if found["type"] != "session.updated":
            EVENT.validate_python(found)
        if kind in (None, found["type"]):
            return dict(found)


async def ask(client: ClientConnection, **message: Any) -> None:
    await client.send(json.dumps(message))


async def told(client: ClientConnection, message: dict[str, Any]) -> dict[str, Any]:
    """What the settings are after a change."""
    await ask(client, **message)
    return dict((await event(client, "session.updated"))["session"])


async def heard(client: ClientConnection, data: bytes, *, piece: int = 4800, binary: bool = False) -> dict[str, Any]:
    """Sends sound in pieces, commits it, and waits for the text."""
    for first in range(0, len(data), piece):
        part = data[first : first + piece]
        if binary:
            await client.send(part)
        else:
            await ask(client, type="input_audio_buffer.append", audio=base64.b64encode(part).decode())
    await ask(client, type="input_audio_buffer.commit")
    return await event(client, f"{TEXT}.completed")


@pytest.mark.parametrize("model", ["tones", "written"])
def test_the_client_of_openai(served: Running, model: str) -> None:
    async def talk() -> None:
        client = openai.AsyncOpenAI(base_url=served.api, api_key="none")
        async with client.realtime.connect(model=model, extra_query={"intent": "transcription"}) as connection:
            created = await connection.recv()
            assert created.type == "session.created" and created.session.type == "transcription"
            await connection.session.update(
                session={"type": "transcription", "audio": {"input": {"turn_detection": None}},
                         "include": ["item.input_audio_transcription.logprobs"]}
            )  # fmt: skip
            updated = await connection.recv()
            assert updated.type == "session.updated"
            await connection.input_audio_buffer.append(audio=base64.b64encode(pcm(wave(SAID))).decode())
            await connection.input_audio_buffer.commit()
            kinds, delta = [], ""
            async for one in connection:
                kinds.append(one.type)
                if one.type == f"{TEXT}.delta":
                    delta += one.delta or ""
                if one.type == f"{TEXT}.completed":
                    break
        assert one.transcript == delta == ("一二三" if model == "written" else SAID)
        assert one.usage.type == "duration" and 0 < one.usage.seconds <= 1.0
        assert "".join(part.token for part in one.logprobs or []) == delta
        committed, added = kinds.index("input_audio_buffer.committed"), kinds.index("conversation.item.added")
        assert committed < added < kinds.index(f"{TEXT}.completed")

    run(talk)


def test_turns_end_by_themselves_and_come_in_order(served: Running) -> None:
    async def talk() -> None:
        silence = np.zeros(16_000, np.float32)
        async with connected(served) as client:
            created = (await event(client, "session.created"))["session"]
            assert created["audio"]["input"]["turn_detection"]["type"] == "server_vad"
            sound = pcm(np.concatenate([wave(SAID), silence, wave("si4 si4"), silence]))
            for first in range(0, len(sound), 4800):
                part = base64.b64encode(sound[first : first + 4800]).decode()
                await ask(client, type="input_audio_buffer.append", audio=part)
            await ask(client, type="input_audio_buffer.commit")
            items: dict[str, list[dict[str, Any]]] = {}
            while sum(one[-1]["type"] == f"{TEXT}.completed" for one in items.values()) < 2:
                one = await event(client)
                if name := one.get("item_id"):
                    items.setdefault(name, []).append(one)
        texts = [one[-1]["transcript"] for one in items.values()]
        assert texts == [SAID, "si4 si4"]
        for one in items.values():
            kinds = [each["type"].removeprefix("input_audio_buffer.") for each in one]
            assert kinds[0] == "speech_started" and kinds[-1] == f"{TEXT}.completed"
            assert kinds.index("speech_stopped") < kinds.index("committed")
        starts = [one[0]["audio_start_ms"] for one in items.values()]
        assert starts[0] <= 100 and 1000 < starts[1] <= 2100  # within the pause before
        second = [one[-1]["syllables"] for one in items.values()][1]
        assert [one["start"] for one in second] == pytest.approx([2.0 + at for at in begins(["si4"] * 2)], abs=0.06)
        before = [next(each for each in one if "previous_item_id" in each) for one in items.values()]
        assert [one["previous_item_id"] for one in before] == [None, next(iter(items))]

    run(talk)


@pytest.mark.parametrize(
    ("form", "rate"), [("audio/pcm", 16_000), ("audio/pcm", 48_000), ("audio/pcmu", 8_000), ("audio/pcma", 8_000)]
)
def test_formats(served: Running, form: str, rate: int) -> None:
    """The telephone's codes by libsndfile; their 8 kHz hold every tone of the language."""
    import io

    import soundfile

    samples = soxr.resample(wave("yi1 er4 san1"), 16_000, rate)
    subtype = {"audio/pcm": "PCM_16", "audio/pcmu": "ULAW", "audio/pcma": "ALAW"}[form]
    raw = io.BytesIO()
    soundfile.write(raw, samples, rate, format="RAW", subtype=subtype, endian="LITTLE")
    wanted = {"type": form, **({"rate": rate} if form == "audio/pcm" else {})}

    async def talk() -> None:
        async with connected(served) as client:
            settings = await told(client, session(format=wanted, turn_detection=None))
            assert settings["audio"]["input"]["format"]["type"] == form
            one = await heard(client, raw.getvalue(), piece=1001, binary=True)
            assert one["transcript"] == "yi1 er4 san1"

    run(talk)


def test_hotwords(served: Running) -> None:
    async def talk() -> None:
        sound = pcm(chord("yi1", "er4"))
        async with connected(served) as client:
            await told(client, session(turn_detection=None))
            assert (await heard(client, sound))["transcript"] == "yi1"
            await told(client, session(transcription={"keywords": ["er4"]}))
            assert "er4" in (await heard(client, sound))["transcript"]

    run(talk)


def test_what_was_cleared_is_forgotten(served: Running) -> None:
    async def talk() -> None:
        async with connected(served) as client:
            await told(client, session(turn_detection=None))
            await client.send(pcm(wave("si4")))
            await ask(client, type="input_audio_buffer.clear")
            await event(client, "input_audio_buffer.cleared")
            assert (await heard(client, pcm(wave("er4"))))["transcript"] == "er4"
            assert (await heard(client, pcm(wave(""))))["transcript"] == ""

    run(talk)


GARBAGE: list[Any] = [
    "", "garbage", "[]", "3", '"a"', "null", "{}", '{"type": 3}', "[" * 5000,
    '{"type": "response.create"}', '{"type": "input_audio_buffer.commit"}', '{"type": "input_audio_buffer.append"}',
    '{"type": "input_audio_buffer.append", "audio": 7}', '{"type": "input_audio_buffer.append", "audio": "%%%"}',
    '{"type": "session.update"}', '{"type": "session.update", "session": []}',
    '{"type": "session.update", "session": {"type": "realtime"}}',
    '{"type": "session.update", "session": {"audio": 7}}',
    '{"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/mp3"}}}}}',
    '{"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 7}}}}}',
    '{"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 16000}}}}}',
    '{"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"silence_duration_ms": -1}}}}}',
    '{"type": "session.update", "session": {"audio": {"input": {"transcription": {"keywords": "a"}}}}}',
]  # fmt: skip


def test_garbage_is_answered_and_the_session_goes_on(served: Running) -> None:
    async def talk() -> None:
        async with connected(served) as client:
            await event(client, "session.created")
            await told(client, session(turn_detection=None))
            for message in GARBAGE:
                await client.send(message)
                answer = await event(client)
                assert answer["type"] == "error", message
                assert answer["error"]["type"] == "invalid_request_error", message
                assert answer["error"]["message"] and "Traceback" not in answer["error"]["message"]
            assert (await heard(client, pcm(wave(SAID))))["transcript"] == SAID

    run(talk)


def test_an_error_names_the_event_that_caused_it(served: Running) -> None:
    async def talk() -> None:
        async with connected(served) as client:
            await ask(client, type="session.update", event_id="mine", session={"type": "realtime"})
            assert (await event(client, "error"))["error"]["event_id"] == "mine"

    run(talk)


def test_a_change_that_cannot_be_meant_changes_nothing(served: Running) -> None:
    async def talk() -> None:
        async with connected(served) as client:
            before = (await event(client, "session.created"))["session"]
            await ask(client, **session(format={"type": "audio/pcm", "rate": 1}))
            message = (await event(client, "error"))["error"]["message"]
            assert message == "rate 1 Hz: wanted 8000 to 48000 for audio/pcm"
            assert await told(client, session()) == before

    run(talk)


def test_a_segment_that_nobody_ends_is_not_kept_for_ever() -> None:
    async def talk(served: Running) -> None:
        async with connected(served) as client:
            await told(client, session(turn_detection=None))
            for _ in range(4):
                await client.send(pcm(np.zeros(16_000, np.float32)))
            error = (await event(client, "error"))["error"]
            assert error["code"] == "too_long" and "commit or clear it" in error["message"]
            await ask(client, type="input_audio_buffer.clear")
            assert (await heard(client, pcm(wave(SAID))))["transcript"] == SAID

    with running(limits=Limits(segment_seconds=2.0)) as served:
        run(lambda: talk(served))


def test_a_stream_that_fails_is_told_and_the_session_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(served: Running) -> None:
        recognizer = served.engine.model(None).recognizer
        async with connected(served) as client:
            await told(client, session(turn_detection=None))
            with monkeypatch.context() as patch:
                patch.setattr(type(recognizer), "hear", lambda *_: 1 / 0)
                patch.setattr(type(recognizer), "outputs", lambda *_: 1 / 0)
                await client.send(pcm(wave(SAID)))
                await ask(client, type="input_audio_buffer.commit")
                error = (await event(client, "error"))["error"]
            assert error["type"] == "server_error" and "ZeroDivision" not in error["message"]
            await ask(client, type="input_audio_buffer.clear")
            assert (await heard(client, pcm(wave(SAID))))["transcript"] == SAID

    with running() as served:
        run(lambda: talk(served))


def test_sessions_are_as_many_as_were_said_and_whoever_vanishes_frees_one() -> None:
    async def talk(served: Running) -> None:
        async with connected(served) as client, connected(served):
            await event(client, "session.created")
            with pytest.raises(InvalidStatus) as refused:
                async with connected(served):
                    raise AssertionError
            answer = refused.value.response
            assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
            assert json.loads(answer.body or b"")["error"]["code"] == "overloaded"
            await client.send(pcm(wave(SAID)))
            client.transport.abort()
        await asyncio.to_thread(wait_until, lambda: served.engine.metrics.sessions._value.get() == 0)
        async with connected(served) as client:
            await event(client, "session.created")

    with running(limits=Limits(sessions=2)) as served:
        run(lambda: talk(served))


def test_keys() -> None:
    async def talk(served: Running) -> None:
        for options in (
            {"additional_headers": {"Authorization": "Bearer geheim"}},
            {"subprotocols": ["realtime", "openai-insecure-api-key.geheim"]},
        ):
            async with connected(served, **options) as client:
                await event(client, "session.created")
                assert client.subprotocol == (options.get("subprotocols") or [None])[0]
        for options in ({}, {"subprotocols": ["realtime", "openai-insecure-api-key.x"]}):
            with pytest.raises(InvalidStatus) as refused:
                async with connected(served, **options):
                    raise AssertionError
            assert refused.value.response.status_code == 401

    with running(access=Access("geheim")) as served:
        run(lambda: talk(served))


def test_a_page_of_another_site_may_not_use_the_server_of_its_visitor(served: Running) -> None:
    async def talk() -> None:
        async with connected(served, origin=f"http://127.0.0.1:{served.port}") as client:
            await event(client, "session.created")
        with pytest.raises(InvalidStatus) as refused:
            async with connected(served, origin="https://example.org"):
                raise AssertionError
        assert refused.value.response.status_code == 403

    run(talk)
