"""Recordings that are cut at their pauses: heard as the command hears the file, and told while the rest is heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from running import PATIENCE, Running, encoded, running, wait_until, wav
from tones import RATE, Speller, listener, wave

from dfcnn_ms.audio.sound_files import SoundFile
from dfcnn_ms.reporting.transcripts import page
from dfcnn_ms.streaming import recordings

PARTS = ["yi1 er4 san1", "si4 si4", "er4 yi1 er4 san1", "san1"] * 6
SECOND = np.zeros(RATE, np.float32)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    made = np.concatenate([part for said in PARTS for part in (wave(said), SECOND)])
    assert len(made) > recordings.ONE_PIECE_SECONDS * RATE
    return made


@pytest.fixture(scope="module")
def client(served: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.api, api_key="none", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", ["tones", "written"])
def test_it_is_heard_as_the_command_hears_the_file(
    served: Running, samples: np.ndarray, tmp_path: Path, model: str
) -> None:
    path = tmp_path / "talk.flac"
    path.write_bytes(encoded(samples, form="FLAC"))
    recognizer = listener()
    recognizer.hanzi = Speller() if model == "written" else None  # type: ignore[assignment]
    known = page(SoundFile("talk.flac", Path("talk.flac"), len(samples) / RATE), recognizer.transcribe(path))
    with path.open("rb") as file:
        answer = httpx.post(f"{served.api}/transcribe?model={model}", files={"file": file}, timeout=PATIENCE)
    assert answer.json() == {"model": model, **known}
    assert answer.json()["text"] == " ".join(PARTS)


@pytest.mark.parametrize("model", ["tones", "written"])
def test_a_stream_tells_each_part_and_they_are_the_whole(
    client: openai.OpenAI, samples: np.ndarray, model: str
) -> None:
    sound = ("a.wav", encoded(samples))
    alone = client.audio.transcriptions.create(file=sound, model=model)
    events: list[Any] = [*client.audio.transcriptions.create(
        file=sound, model=model, stream=True, response_format="diarized_json"
    )]  # fmt: skip
    deltas = [one.delta for one in events if one.type == "transcript.text.delta"]
    segments = [one for one in events if one.type == "transcript.text.segment"]
    assert len(deltas) == len(segments) == len(PARTS)
    assert "".join(deltas) == events[-1].text == alone.text
    assert [one.id for one in segments] == [f"seg_{number}" for number in range(len(PARTS))]
    assert [one.start for one in segments] == sorted(one.start for one in segments)


def test_silence(client: openai.OpenAI) -> None:
    silence = ("a.flac", encoded(np.zeros(40 * RATE, np.float32), form="FLAC"))
    assert client.audio.transcriptions.create(file=silence, model="written").text == ""
    (done,) = client.audio.transcriptions.create(file=silence, model="tones", stream=True)
    assert done.text == ""  # type: ignore[union-attr]


def damaged(samples: np.ndarray) -> bytes:
    """A sample that no sound has, near the end: nobody knows before it is read."""
    import io

    import soundfile

    wrong = samples.copy()
    wrong[-RATE] = np.nan
    memory = io.BytesIO()
    soundfile.write(memory, wrong, RATE, format="WAV", subtype="FLOAT")
    return memory.getvalue()


def test_damage_that_shows_late_is_a_sentence(client: openai.OpenAI, samples: np.ndarray) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match=r"talk\.wav: the sample .* is nan") as caught:
        client.audio.transcriptions.create(file=("talk.wav", damaged(samples)), model="x")
    assert "/" not in str(caught.value.body)


def test_in_a_stream_it_is_an_event(client: openai.OpenAI, samples: np.ndarray, served: Running) -> None:
    loud = np.concatenate([samples] * 8)  # so that much is told before
    told = []
    with pytest.raises(openai.APIError, match=r"talk\.wav: the sample"):
        for event in client.audio.transcriptions.create(file=("talk.wav", damaged(loud)), model="tones", stream=True):
            told.append(event)
    assert told and {one.type for one in told} == {"transcript.text.delta"}
    wait_until(lambda: served.engine._held == 0)


def test_others_are_heard_in_between_and_who_leaves_a_stream_frees_its_place(samples: np.ndarray) -> None:
    hour = encoded(np.concatenate([samples] * 30), form="FLAC")
    with running() as one, httpx.Client(timeout=PATIENCE) as client:
        with client.stream(
            "POST", f"{one.api}/audio/transcriptions", files={"file": ("a.flac", hour)}, data={"stream": "true"}
        ) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            assert one.engine._held == 1
            assert httpx.post(f"{one.api}/transcribe", content=wav("er4"), timeout=PATIENCE).json()["text"] == "er4"
        wait_until(lambda: one.engine._held == 0)
