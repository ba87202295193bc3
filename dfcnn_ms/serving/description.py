"""What the server says about itself: the bodies of its requests for OpenAPI, and a page that needs no network."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

from dfcnn_ms.serving import openai
from dfcnn_ms.serving.errors import ErrorAnswer

_FILE = {"type": "string", "format": "binary", "description": "wav, flac, ogg or mp3; any rate, any channels"}
_HOTWORDS = "phrases to listen for, in characters or toned pinyin; commas divide them"


def _text(words: str, **rules: Any) -> dict[str, Any]:
    return {"type": "string", "description": words, **rules}


def _flag(words: str) -> dict[str, Any]:
    return {"type": "boolean", "description": words}


def _texts(words: str, **rules: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", **rules}, "description": words}


def _form(**fields: Any) -> dict[str, Any]:
    schema = {"type": "object", "required": ["file"], "properties": {"file": _FILE, **fields}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


OPENAI_REQUEST = _form(
    **{
        "model": _text("a name of /v1/models; any other means the first of them"),
        "response_format": _text("of the answer", enum=[*openai.FORMATS]),
        "timestamp_granularities[]": _texts("with `word`, verbose_json has `words`", enum=["word", "segment"]),
        "include[]": _texts("how sure each piece of the text is", enum=["logprobs"]),
        "prompt": _text(_HOTWORDS),
        "keywords[]": _texts(_HOTWORDS),
        "stream": _flag("events instead of one answer"),
        "language": _text("not looked at: it is Chinese"),
        "temperature": {"type": "number", "description": "not looked at"},
    }
)
OWN_REQUEST = _form(
    model=_text("a name of /v1/models; the first of them if not given"),
    nbest={"type": "integer", "minimum": 1, "maximum": 100, "description": "how many hypotheses"},
    hotwords=_text(_HOTWORDS),
    language_model=_flag("whether the server's language model counts"),
    characters=_flag("whether Chinese text is wanted, where the server can write it"),
)


def _inline(*pages: Any) -> dict[str, Any]:
    """Any of some objects, each schema with its parts inside."""
    return {"anyOf": [_resolved(page.model_json_schema()) for page in pages]}


def _resolved(schema: dict[str, Any]) -> Any:
    parts = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolve(parts[value["$ref"].rpartition("/")[2]])
            return {name: resolve(one) for name, one in value.items()}
        return [*map(resolve, value)] if isinstance(value, list) else value

    return resolve(schema)


OPENAI_ANSWER: dict[str, Any] = {
    "description": "the text, in the format that was asked for",
    "content": {
        "application/json": {
            "schema": _inline(openai.VerboseTranscription, openai.DiarizedTranscription, openai.Transcription)
        },
        "text/plain": {"schema": {"type": "string"}},
        "text/event-stream": {"schema": {"type": "string"}},
    },
}

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:52em;margin:2em auto;padding:0 1em}code{background:#eee}dt{margin:1em 0 0}"
)


def page(openapi: Mapping[str, Any]) -> str:
    """The description as a page for people."""
    title = html.escape(f"{openapi['info']['title']} {openapi['info']['version']}")
    body = "".join(
        _route(path, method, one) for path, methods in openapi["paths"].items() for method, one in methods.items()
    )
    more = 'For programs: <a href="openapi.json">openapi.json</a>. WebSocket: <code>/v1/realtime</code>.'
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f"{head}<h1>{title}</h1><p>{more}</p>{body}</html>"


def _route(path: str, method: str, route: Mapping[str, Any]) -> str:
    name = html.escape(f"{method.upper()} {path}")
    fields = "".join(
        f"<dt><code>{html.escape(field)}</code><dd>{html.escape(words)}" for field, words in _fields(route)
    )
    answers = ", ".join(f"{status} ({html.escape(one.get('description', ''))})" for status, one in _answers(route))
    return f"<h2>{name}</h2><p>{html.escape(route.get('summary', ''))}.</p><dl>{fields}</dl><p>Answers: {answers}.</p>"


def _fields(route: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    forms = route.get("requestBody", {}).get("content", {})
    for form in forms.values():
        for name, field in form["schema"]["properties"].items():
            known = field.get("enum") or field.get("items", {}).get("enum")
            yield name, field.get("description", "") + (f": {', '.join(known)}" if known else "")


def _answers(route: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return sorted(route["responses"].items())


__all__ = ["OPENAI_ANSWER", "OPENAI_REQUEST", "OWN_REQUEST", "ErrorAnswer", "page"]
