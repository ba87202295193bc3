"""The real client of OpenAI against our server: every format, and what the recognizer says by itself."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
)
from pydantic import BaseModel
from running import Running, chord, encoded, running, wav
from tones import Speller, begins, listener, wave

from dfcnn_ms.recognizer import Transcript
from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.transcripts import timed_recording
from dfcnn_ms.serving.access import Access
from dfcnn_ms.serving.said import Said

SAID = "yi1 er4 san1"
#: with a pause of 0.7 s in the middle
LONG_PAUSE = [SAID, "si4 si4"]


@pytest.fixture(scope="module")
def client(served: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.api, api_key="none", max_retries=0) as client:
        yield client


def sound(said: str = SAID) -> tuple[str, bytes]:
    return "a.wav", wav(said)


def two_segments() -> bytes:
    import numpy as np

    return encoded(np.concatenate([wave(LONG_PAUSE[0]), np.zeros(8000, np.float32), wave(LONG_PAUSE[1])]))


def alone(said: str = SAID, *, written: bool = False) -> Transcript:
    recognizer = listener()
    recognizer.hanzi = Speller() if written else None  # type: ignore[assignment]
    return recognizer.hear([wave(said)])[0]


def raw(served: Running, **fields: Any) -> Any:
    """The same request without a client that forgives."""
    answer = httpx.post(f"{served.api}/audio/transcriptions", files={"file": sound()}, data=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def valid(kind: type[BaseModel], page: Any) -> Any:
    """The page as the client's own type, with every field of the type it says."""
    return kind.model_validate(page, strict=True)


def test_json(client: openai.OpenAI, served: Running) -> None:
    assert client.audio.transcriptions.create(file=sound(), model="whisper-1").text == SAID
    page = raw(served)
    assert set(page) == {"text", "usage"}
    assert valid(Transcription, page).usage.seconds == 1.0


def test_characters_where_the_recognizer_writes_them(client: openai.OpenAI) -> None:
    assert client.audio.transcriptions.create(file=sound(), model="written").text == "一二三"


@pytest.mark.parametrize("written", [False, True])
def test_text(client: openai.OpenAI, written: bool) -> None:
    model = "written" if written else "tones"
    text = client.audio.transcriptions.create(file=sound(), model=model, response_format="text")
    assert text == ("一二三\n" if written else f"{SAID}\n")


@pytest.mark.parametrize("form", ["srt", "vtt"])
@pytest.mark.parametrize("written", [False, True])
def test_subtitles_are_those_of_the_command(client: openai.OpenAI, form: Any, written: bool) -> None:
    model = "written" if written else "tones"
    heard = Said("a.wav", 1.0, alone(written=written))
    wanted = timings.FORMATS[form](timings.in_phrases(timed_recording(heard.sound, heard.transcript)))
    assert client.audio.transcriptions.create(file=sound(), model=model, response_format=form) == wanted
    assert "一二三" in wanted or not written


def test_verbose_json(client: openai.OpenAI, served: Running) -> None:
    said = client.audio.transcriptions.create(
        file=sound(), model="x", response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    heard = alone()
    assert (said.text, said.duration, said.language) == (SAID, 1.0, "chinese")
    assert [word.word for word in said.words or []] == SAID.split()
    assert [word.start for word in said.words or []] == [*heard.starts]
    assert [word.start for word in said.words or []] == pytest.approx(begins(SAID.split()), abs=0.05)
    assert [word.end for word in said.words or []] == [*heard.ends]
    (segment,) = said.segments or []
    assert (segment.start, segment.end, segment.text) == (heard.starts[0], heard.ends[-1], SAID)
    assert segment.tokens == listener().vocabulary.encode(SAID.split())
    page = raw(served, response_format="verbose_json")
    valid(TranscriptionVerbose, page)
    assert "words" not in page


def test_segments_end_at_pauses_and_hold_every_word_once(client: openai.OpenAI) -> None:
    said = client.audio.transcriptions.create(
        file=("a.wav", two_segments()), model="written", response_format="verbose_json",
        timestamp_granularities=["word"],
    )  # fmt: skip
    assert [segment.text for segment in said.segments or []] == ["一二三", "四四"]
    assert "".join(segment.text for segment in said.segments or []) == said.text
    assert [word.word for word in said.words or []] == [*said.text]
    first, second = said.segments or []
    assert second.start - first.end > 0.5


def test_diarized_json(served: Running) -> None:
    page = valid(TranscriptionDiarized, raw(served, response_format="diarized_json"))
    assert [(one.text, one.speaker) for one in page.segments] == [(SAID, "A")]


@pytest.mark.parametrize("model", ["tones", "written"])
def test_logprobs_are_the_text_and_how_sure_it_is(client: openai.OpenAI, model: str) -> None:
    import math

    said = client.audio.transcriptions.create(file=sound(), model=model, include=["logprobs"])
    assert said.logprobs is not None
    assert "".join(one.token or "" for one in said.logprobs) == said.text
    for one, sure in zip(said.logprobs, alone().confidences, strict=True):
        assert bytes(map(int, one.bytes or [])).decode() == one.token
        assert one.logprob == pytest.approx(math.log(sure), abs=1e-3)


@pytest.mark.parametrize("model", ["tones", "written"])
def test_a_stream_is_the_text_in_pieces(client: openai.OpenAI, model: str) -> None:
    *deltas, done = client.audio.transcriptions.create(
        file=("a.wav", two_segments()), model=model, stream=True, include=["logprobs"]
    )
    assert [one.type for one in deltas] == ["transcript.text.delta"] * 2
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert "".join(one.delta for one in deltas if isinstance(one, TranscriptionTextDeltaEvent)) == done.text
    assert done.text == ("一二三四四" if model == "written" else "yi1 er4 san1 si4 si4")
    for one in (*deltas, done):
        valid(type(one), one.model_dump(exclude_none=True))
    assert "".join(one.token or "" for one in done.logprobs or []) == done.text


def test_a_stream_of_speakers(client: openai.OpenAI) -> None:
    events = [*client.audio.transcriptions.create(
        file=("a.wav", two_segments()), model="tones", stream=True, response_format="diarized_json"
    )]  # fmt: skip
    segments = [one for one in events if isinstance(one, TranscriptionTextSegmentEvent)]
    deltas = [one for one in events if isinstance(one, TranscriptionTextDeltaEvent)]
    assert [one.text for one in segments] == LONG_PAUSE
    assert [one.segment_id for one in deltas] == [one.id for one in segments]


def test_silence_is_an_empty_text_in_every_format(client: openai.OpenAI) -> None:
    for form in ("json", "text", "srt", "verbose_json", "vtt", "diarized_json"):
        said = client.audio.transcriptions.create(file=sound(""), model="written", response_format=form)
        text = said if isinstance(said, str) else said.text
        assert text.strip() in ("", "WEBVTT"), form
    *deltas, done = client.audio.transcriptions.create(file=sound(""), model="written", stream=True)
    assert not deltas and done.text == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("field", ["prompt", "keywords"])
def test_prompt_and_keywords_are_listened_for(client: openai.OpenAI, field: str) -> None:
    both = ("a.wav", encoded(chord("yi1", "er4")))
    without = client.audio.transcriptions.create(file=both, model="tones")
    words = "as usual, er4, 你好" if field == "prompt" else ["as usual", "er4", "你好"]
    told = client.audio.transcriptions.create(file=both, model="tones", **{field: words})  # type: ignore[call-overload]
    assert without.text == "yi1" and "er4" in told.text


def test_what_clients_always_send_is_taken(client: openai.OpenAI) -> None:
    said = client.audio.transcriptions.create(
        file=sound(), model="gpt-4o-transcribe-diarize", language="zh", languages=["zh"], temperature=0.4,
        chunking_strategy={"type": "server_vad", "threshold": 0.3}, prompt="Hello, world!",
        known_speaker_names=["a"], known_speaker_references=["data:audio/wav;base64,UklGRg=="],
        extra_body={"hallucination_silence_threshold": 1, "vad_filter": True},
    )  # fmt: skip
    assert said.text == SAID


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "WAV"])
def test_formats_and_rates_of_sound(client: openai.OpenAI, form: str) -> None:
    import soxr

    resampled = soxr.resample(wave(SAID), 16_000, 44_100)
    name = f"a.{form.lower()}"
    assert client.audio.transcriptions.create(file=(name, encoded(resampled, 44_100, form)), model="x").text == SAID


def test_bad_sound_is_the_sentence_of_the_command_line(client: openai.OpenAI) -> None:
    for data, sentence in (
        (b"hello", "talk.wav: not an audio file (it starts with text); give a wav, flac, ogg or mp3 file"),
        (b"", "talk.wav: empty file (0 bytes); copy or download it again"),
        (wav("")[:-200], "talk.wav: truncated: its header claims"),
    ):
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            client.audio.transcriptions.create(file=("../../etc/talk.wav", data), model="x")
        body: Any = caught.value.body
        assert body["message"].startswith(sentence), body
        assert (body["type"], body["code"]) == ("invalid_request_error", "invalid_audio")


def test_an_unknown_format_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="response_format 'verbose': unknown; did you mean 'verbose_json'"):
        client.audio.transcriptions.create(file=sound(), model="x", response_format="verbose")  # type: ignore[call-overload]


def test_models(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["tones", "written"]
    assert client.models.retrieve("written").owned_by == "dfcnn_ms"
    with pytest.raises(openai.NotFoundError, match="not here"):
        client.models.retrieve("whisper-1")


def test_a_key() -> None:
    with running(access=Access("geheim")) as served:
        for key, refused in (("geheim", False), ("geheim2", True), ("", True), ("g", True)):
            client = openai.OpenAI(base_url=served.api, api_key=key or "none", max_retries=0)
            if refused:
                with pytest.raises(openai.AuthenticationError, match="the key is missing or wrong"):
                    client.audio.transcriptions.create(file=sound(), model="x")
                with pytest.raises(openai.AuthenticationError):
                    client.models.list()
            else:
                assert client.audio.transcriptions.create(file=sound(), model="x").text == SAID
        assert httpx.get(f"{served.url}/health").status_code == httpx.get(f"{served.url}/ready").status_code == 200
        assert httpx.get(f"{served.url}/metrics").status_code == 401
        assert httpx.post(f"{served.api}/transcribe", files={"file": sound()}).status_code == 401


def test_an_open_file_is_sent_as_it_is(client: openai.OpenAI) -> None:
    assert client.audio.transcriptions.create(file=io.BytesIO(wav(SAID)), model="x").text == SAID
