"""The words of OpenAI's realtime protocol: what a session may be told, and the events that it is told with."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.serving.pcm import TELEPHONE_RATE, USUAL_RATE, Reader

#: what a client may want to see besides the text
LOGPROBS = "item.input_audio_transcription.logprobs"


class AudioFormat(BaseModel):
    """How sound is written into bytes."""

    type: str = "audio/pcm"
    rate: int | None = None

    @property
    def reader(self) -> Reader:
        """What reads it.

        Raises:
            ConfigError: nothing does.
        """
        usual = USUAL_RATE if self.type == "audio/pcm" else TELEPHONE_RATE
        return Reader(self.type, usual if self.rate is None else self.rate)


class Transcribing(BaseModel):
    """Which model listens, and for what."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    keywords: list[str] = Field(default=[], max_length=1000)


class TurnDetection(BaseModel):
    """When a segment ends."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int = Field(default=500, ge=50, le=10_000)


class Input(BaseModel):
    """What comes in, and what is done with it; without `turn_detection` the client says where a segment ends."""

    format: AudioFormat = AudioFormat(rate=USUAL_RATE)
    noise_reduction: dict[str, Any] | None = None
    transcription: Transcribing | None = Transcribing()
    turn_detection: TurnDetection | None = TurnDetection()


class Audio(BaseModel):
    """What comes in; nothing goes out."""

    input: Input = Input()


class Settings(BaseModel):
    """All that a session may be told."""

    type: Literal["transcription"] = "transcription"
    audio: Audio = Audio()
    include: list[str] | None = None

    def updated(self, changes: Mapping[str, Any]) -> Settings:
        """The settings with what a client wants to be different; what it does not name stays.

        Raises:
            ConfigError: it cannot be meant.
        """
        try:
            settings = Settings.model_validate(_merged(self.model_dump(), changes))
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(f"session.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        _ = settings.audio.input.format.reader
        return settings


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The old page with the values of the new one; a section of another type is another section."""
    if new.get("type", old.get("type")) != old.get("type"):
        return dict(new)
    found = dict(old)
    for name, value in new.items():
        before = found.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        found[name] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return found


def new_id(kind: str) -> str:
    """A name that nothing else has."""
    return f"{kind}_{uuid.uuid4().hex[:21]}"


def event(type: str, **values: Any) -> dict[str, Any]:
    """An event of the server."""
    return {"type": type, "event_id": new_id("event"), **values}


def session_page(id: str, settings: Settings) -> dict[str, Any]:
    """What a session is told to do, for the client."""
    return {"id": id, "object": "realtime.transcription_session", **settings.model_dump()}


def item_page(id: str) -> dict[str, Any]:
    """A piece of sound as an item of a conversation."""
    content = [{"type": "input_audio", "transcript": None}]
    known = {"object": "realtime.item", "type": "message", "role": "user", "status": "completed"}
    return {"id": id, **known, "content": content}
