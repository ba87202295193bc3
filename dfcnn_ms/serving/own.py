"""Our own ``POST /v1/transcribe``: all that is known about a recording, as ``transcribe --format json`` says it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from dfcnn_ms.errors import suggestion
from dfcnn_ms.reporting.transcripts import page
from dfcnn_ms.serving.engine import Engine
from dfcnn_ms.serving.errors import Refused
from dfcnn_ms.serving.forms import Form, phrases
from dfcnn_ms.serving.models import Model, Options
from dfcnn_ms.serving.said import Said


class Syllable(BaseModel):
    """A unit of the network, when it is said, in seconds, and how sure it is, 0 to 1."""

    text: str
    characters: str | None = None
    start: float
    end: float
    score: float


class Line(BaseModel):
    """What a line of subtitles would show, while it is said."""

    text: str
    characters: str | None = None
    start: float
    end: float
    score: float


class Characters(BaseModel):
    """The Chinese text."""

    text: str
    score: float
    perplexity: float


class Alternative(BaseModel):
    """What else it may have been."""

    text: str
    confidence: float
    score: float


class Hotwords(BaseModel):
    """Which of the phrases that were asked for are listened for, and which the network cannot write."""

    heard: list[str]
    left_out: list[str]


class Answer(BaseModel):
    """Everything that is known about a recording."""

    model: str
    file: str
    name: str
    seconds: float
    text: str
    confidence: float
    log_prob: float
    score: float
    syllables: list[Syllable]
    lines: list[Line]
    characters: Characters | None = None
    alternatives: list[Alternative] | None = None
    hotwords: Hotwords | None = None


@dataclass(frozen=True)
class Wish:
    """What a client asks for.

    Attributes:
        model: that listens.
        options: of the decoding.
        hotwords: which can be heard; None where none were asked for.
    """

    model: Model
    options: Options
    hotwords: Hotwords | None


def wish(form: Form, engine: Engine) -> Wish:
    """Reads the fields of a request.

    Raises:
        ConfigError, Refused: one of them cannot be meant.
    """
    model = _model(form.text("model"), engine)
    asked = phrases(*form.each("hotwords"))
    heard = model.words(asked)
    options = Options(
        nbest=form.number("nbest", 1),
        hotwords=heard,
        language_model=form.flag("language_model", usual=True),
        characters=form.flag("characters", usual=True),
    )
    left_out = [word for word in asked if word not in heard]
    return Wish(model, options, Hotwords(heard=[*heard], left_out=left_out) if asked else None)


def answer(wish: Wish, said: Said) -> Answer:
    """The answer to a request."""
    known = page(said.sound, said.transcript)
    return Answer(model=wish.model.name, hotwords=wish.hotwords, **known)


def _model(name: str | None, engine: Engine) -> Model:
    if name is not None and name not in engine.models:
        cure = suggestion(name, engine.models)
        raise Refused(404, f"model {name[:80]!r}: not here; {cure}", code="model_not_found", param="model")
    return engine.model(name)
