"""OpenAI's ``POST /v1/audio/transcriptions``: what its clients ask, and the shapes that they expect.

What only other networks can do is taken and ignored, for clients send it always: `temperature`, `language`,
`chunking_strategy`, known speakers, and names of models that are not here.
"""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel

from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.timings import Timed
from dfcnn_ms.serving.errors import as_refused
from dfcnn_ms.serving.forms import Form, phrases
from dfcnn_ms.serving.said import Said, log_prob, pieces, text_of, whole, written
from dfcnn_ms.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
LANGUAGE = "chinese"
#: there is one speaker, as far as we know
SPEAKER = "A"
#: steps in which OpenAI counts sound
_TOKENS_PER_SECOND = 10
#: the unit of `seek`
_SEEK_SECONDS = 0.01


@dataclass(frozen=True)
class Asked:
    """What a client asks for.

    Attributes:
        model: by its name.
        format: one of `FORMATS`.
        words: whether each word is wanted with its times.
        logprobs: whether each is wanted with how sure it is.
        stream: whether the answer comes in events.
        hotwords: what may be phrases to listen for.
    """

    model: str | None
    format: str
    words: bool
    logprobs: bool
    stream: bool
    hotwords: tuple[str, ...]


def asked(form: Form) -> Asked:
    """Reads the fields of a request.

    Raises:
        Refused: one of them cannot be meant.
    """
    return Asked(
        model=form.text("model"),
        format=form.choice("response_format", FORMATS, "json"),
        words="word" in form.each("timestamp_granularities"),
        logprobs="logprobs" in form.each("include"),
        stream=form.flag("stream"),
        hotwords=tuple(phrases(form.text("prompt"), *form.each("keywords"))),
    )


class Logprob(BaseModel):
    """How sure a piece of the text is."""

    token: str
    bytes: list[int]
    logprob: float


class Duration(BaseModel):
    """What a request is charged for."""

    type: Literal["duration"] = "duration"
    seconds: float


class Tokens(BaseModel):
    """The same as OpenAI says it in a stream: ten tokens a second of sound, and one for each piece of text."""

    type: Literal["tokens"] = "tokens"
    input_tokens: int
    output_tokens: int
    total_tokens: int


class Transcription(BaseModel):
    """`response_format=json`."""

    text: str
    logprobs: list[Logprob] | None = None
    usage: Duration


class Word(BaseModel):
    """A word and when it is said, in seconds."""

    word: str
    start: float
    end: float


class Segment(BaseModel):
    """What is said between two pauses."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float = 0.0
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseTranscription(BaseModel):
    """`response_format=verbose_json`."""

    task: Literal["transcribe"] = "transcribe"
    language: str = LANGUAGE
    duration: float
    text: str
    segments: list[Segment]
    words: list[Word] | None = None
    usage: Duration


class DiarizedSegment(BaseModel):
    """What one speaker says between two pauses."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    start: float
    end: float
    text: str
    speaker: str = SPEAKER


class DiarizedTranscription(BaseModel):
    """`response_format=diarized_json`; the speakers are not told apart, all is said by A."""

    task: Literal["transcribe"] = "transcribe"
    duration: float
    text: str
    segments: list[DiarizedSegment]
    usage: Duration


class Delta(BaseModel):
    """More of the text, in a stream."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str
    logprobs: list[Logprob] | None = None
    segment_id: str | None = None


class Done(BaseModel):
    """The whole text, at the end of a stream."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    logprobs: list[Logprob] | None = None
    usage: Tokens


def answer(asked: Asked, said: Said, vocabulary: Vocabulary) -> Response:
    """The answer to a request, in the format that it asks for."""
    if asked.format == "text":
        return PlainTextResponse(f"{said.text}\n")
    if asked.format in ("srt", "vtt"):
        return PlainTextResponse(timings.FORMATS[asked.format](timings.in_phrases(said.recording)))
    page = {"json": _plain, "verbose_json": _verbose, "diarized_json": _diarized}[asked.format]
    return JSONResponse(_known(page(asked, said, vocabulary)))


def stream(asked: Asked, first: Said, rest: AsyncIterator[Said]) -> Response:
    """The answer in events; the parts of a long recording are told while the others are heard."""

    async def lines() -> AsyncIterator[str]:
        async for event in _events(asked, first, rest):
            yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


async def _events(asked: Asked, first: Said, rest: AsyncIterator[Said]) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream; the deltas together are the text."""
    teller = _Teller(asked)
    for event in teller.more(first):
        yield event
    try:
        async for part in rest:
            for event in teller.more(part):
                yield event
    except Exception as error:
        log.warning("a stream ends early: %s", error)
        yield {"error": as_refused(error).details.model_dump()}
        return
    yield teller.done()


@dataclass
class _Teller:
    """Tells the parts of a recording, one after the other.

    Attributes:
        asked: what the client asks for.
        parts: that were told.
        segments: how many.
    """

    asked: Asked
    parts: list[Said] = field(default_factory=list)
    segments: int = 0

    def more(self, part: Said) -> Iterator[dict[str, Any]]:
        """The events of one more part."""
        diarized = self.asked.format == "diarized_json"
        rest = part.text
        if rest and part.transcript.characters is None and any(one.text for one in self.parts):
            rest = f" {rest}"
        self.parts.append(part)
        for segment, words in zip(_speaking(part, self.segments), part.segments, strict=True):
            delta, rest = _cut(rest, words)
            logprobs = _logprobs(words) if self.asked.logprobs else None
            self.segments += 1
            yield _known(Delta(delta=delta, logprobs=logprobs, segment_id=segment.id if diarized else None))
            if diarized:
                yield segment.model_dump()
        if rest:
            yield _known(Delta(delta=rest))

    def done(self) -> dict[str, Any]:
        """The last event."""
        said = whole(self.parts)
        sound, text = math.ceil(said.seconds * _TOKENS_PER_SECOND), len(said.words)
        usage = Tokens(input_tokens=sound, output_tokens=text, total_tokens=sound + text)
        logprobs = _logprobs(said.words) if self.asked.logprobs else None
        return _known(Done(text=said.text, logprobs=logprobs, usage=usage))


def _cut(rest: str, words: tuple[Timed, ...]) -> tuple[str, str]:
    """How much of the rest of a text a segment is, and what is left; text that is not its words stays whole."""
    for text in (text_of(words), f" {text_of(words)}"):
        if rest.startswith(text):
            return text, rest.removeprefix(text)
    return "", rest


def _known(page: BaseModel) -> dict[str, Any]:
    return page.model_dump(exclude_none=True)


def _usage(said: Said) -> Duration:
    return Duration(seconds=round(said.seconds, 3))


def _plain(asked: Asked, said: Said, vocabulary: Vocabulary) -> Transcription:
    logprobs = _logprobs(said.words) if asked.logprobs else None
    return Transcription(text=said.text, logprobs=logprobs, usage=_usage(said))


def _verbose(asked: Asked, said: Said, vocabulary: Vocabulary) -> VerboseTranscription:
    words = [Word(word=written(one), start=_time(one.start_seconds), end=_time(one.end_seconds)) for one in said.words]
    return VerboseTranscription(
        duration=round(said.seconds, 3),
        text=said.text,
        segments=[_segment(number, words, vocabulary) for number, words in enumerate(said.segments)],
        words=words if asked.words else None,
        usage=_usage(said),
    )


def _diarized(asked: Asked, said: Said, vocabulary: Vocabulary) -> DiarizedTranscription:
    return DiarizedTranscription(
        duration=round(said.seconds, 3), text=said.text, segments=_speaking(said, 0), usage=_usage(said)
    )


def _segment(number: int, words: tuple[Timed, ...], vocabulary: Vocabulary) -> Segment:
    text = text_of(words)
    encoded = text.encode()
    return Segment(
        id=number,
        seek=round(words[0].start_seconds / _SEEK_SECONDS),
        start=_time(words[0].start_seconds),
        end=_time(words[-1].end_seconds),
        text=text,
        tokens=vocabulary.encode([word.text for word in words], allow_unknown=True),
        avg_logprob=round(float(np.mean([log_prob(word) for word in words])), 4),
        compression_ratio=round(len(encoded) / len(zlib.compress(encoded)), 4),
        no_speech_prob=round(1 - max(word.score for word in words), 4),
    )


def _speaking(said: Said, first: int) -> list[DiarizedSegment]:
    return [
        DiarizedSegment(
            id=f"seg_{number}",
            start=_time(words[0].start_seconds),
            end=_time(words[-1].end_seconds),
            text=text_of(words),
        )
        for number, words in enumerate(said.segments, first)
    ]


def _logprobs(words: tuple[Timed, ...]) -> list[Logprob]:
    tokens = zip(pieces(words), words, strict=True)
    return [Logprob(token=text, bytes=[*text.encode()], logprob=round(log_prob(word), 4)) for text, word in tokens]


def _time(seconds: float) -> float:
    return round(seconds, 3)
