"""What a server answers when it cannot do what it was asked: OpenAI's error object around one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from dfcnn_ms.errors import ConfigError, DataError, DfcnnError

#: what nginx notes for a client that left before its answer; nobody receives it
GONE = 499
INTERNAL = "something went wrong inside the server; its log says what"


class ErrorDetails(BaseModel):
    """What is wrong, for a program and for people."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorAnswer(BaseModel):
    """OpenAI's error object."""

    error: ErrorDetails


class Refused(Exception):  # noqa: N818 (not an error of ours)
    """A request that is answered with an error.

    Attributes:
        status: of HTTP.
        message: one sentence: what, got, wanted, cure.
        code: for programs, such as ``too_large``.
        param: the field of the request that is wrong.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, headers

    @property
    def details(self) -> ErrorDetails:
        """The same as an object; its line breaks and the like are written out."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return ErrorDetails(message=str(DfcnnError(str(self))), type=kind, param=self.param, code=self.code)


def busy(message: str, seconds: int) -> Refused:
    """The answer of a server that has enough to do: 503, and when to come back."""
    return Refused(503, message, code="overloaded", headers={"Retry-After": str(seconds)})


def as_refused(error: Exception) -> Refused:
    """What the client is told about an error; of one that is not the client's it hears nothing but that."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, DataError):
        return Refused(422, str(error), code="invalid_audio")
    if isinstance(error, ConfigError):
        return Refused(400, str(error), code="invalid_value")
    if isinstance(error, MemoryError):
        return busy("not enough memory at the moment; try again, or send a shorter recording", 10)
    if isinstance(error, HTTPException):
        return Refused(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:]))
        return Refused(400, f"{where}: {first['msg']}", code="invalid_value", param=where)
    return Refused(500, INTERNAL, code="internal_error")


def answer(error: Exception) -> JSONResponse:
    """The same as a response."""
    refused = as_refused(error)
    content = ErrorAnswer(error=refused.details).model_dump()
    return JSONResponse(content, refused.status, headers=dict(refused.headers or {}))


def add_handlers(app: FastAPI) -> None:
    """Lets every error of an application be answered by :func:`answer`."""

    async def handle(_: Request, error: Exception) -> Response:
        return answer(error)

    async def forget(_: Request, error: Exception) -> Response:
        return Response(status_code=GONE)

    for kind in (Refused, DfcnnError, HTTPException, RequestValidationError, MemoryError, Exception):
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(ClientDisconnect, forget)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its description."""
    words = {
        400: "a field is missing or cannot be meant",
        401: "the key is missing or wrong",
        404: "there is no such model",
        408: "the request came too slowly",
        413: "too many bytes or seconds",
        422: "the sound cannot be heard; the sentence says why",
        503: "the server has enough to do; `Retry-After` says when to come back",
    }
    return {status: {"model": ErrorAnswer, "description": words[status]} for status in statuses}
