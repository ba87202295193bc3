"""What a request says: its fields and its file, whether they come as a form or the sound is the body itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from starlette.datastructures import ImmutableMultiDict, UploadFile
from starlette.requests import Request

from dfcnn_ms.errors import suggestion
from dfcnn_ms.serving.errors import Refused

#: of one field that is no file, in bytes, and how many there may be
_MOST_FIELD, _MOST_FIELDS = 4 << 20, 500
#: what is kept in memory of a body; more goes to a temporary file
_IN_MEMORY = 1 << 20
#: every other body is sound: curl calls whatever it sends `application/x-www-form-urlencoded`
_FORM = "multipart/form-data"
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")
#: between two phrases in one text
_BETWEEN = re.compile(r"[,，、;；。.!！?？\n\t|]+")


@dataclass(frozen=True)
class Form:
    """What a request says.

    Attributes:
        fields: name -> values; a list may be called `name` or `name[]`.
        file: the sound.
        name: of the file, as the client calls it.
    """

    fields: Mapping[str, list[str]]
    file: BinaryIO
    name: str | None

    def text(self, name: str) -> str | None:
        """The last value of a field; None where nobody gave one."""
        values = self.fields.get(name)
        return values[-1] if values else None

    def each(self, name: str) -> list[str]:
        """All values of a field."""
        return [*self.fields.get(name, [])]

    def choice(self, name: str, known: tuple[str, ...], usual: str) -> str:
        """A field with a few possible values.

        Raises:
            Refused: it is none of them.
        """
        value = self.text(name) or usual
        if value not in known:
            raise wrong(name, f"{name} {value[:80]!r}: unknown; {suggestion(value, known)}")
        return value

    def flag(self, name: str, usual: bool = False) -> bool:
        """A field that is true or false.

        Raises:
            Refused: it is neither.
        """
        value = self.text(name)
        if value is None:
            return usual
        if value.lower() not in _TRUE + _FALSE:
            raise wrong(name, f"{name} {value[:80]!r}: wanted true or false")
        return value.lower() in _TRUE

    def number(self, name: str, usual: int) -> int:
        """A field that is a whole number.

        Raises:
            Refused: it is none.
        """
        value = self.text(name)
        if value is None:
            return usual
        if not re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
            raise wrong(name, f"{name} {value[:80]!r}: wanted a whole number")
        return int(value)


def wrong(param: str, message: str) -> Refused:
    """The answer to a field that cannot be meant."""
    return Refused(400, message, code="invalid_value", param=param)


def phrases(*texts: str | None) -> list[str]:
    """The phrases of some texts, which commas, full stops, line breaks and their like divide."""
    return [phrase.strip() for text in texts for phrase in _BETWEEN.split(text or "") if phrase.strip()]


@asynccontextmanager
async def form_of(request: Request) -> AsyncIterator[Form]:
    """Reads a request.

    Raises:
        Refused: it holds no file, or breaks a limit.
        HTTPException: its form is damaged.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        async with request.form(max_fields=_MOST_FIELDS, max_files=8, max_part_size=_MOST_FIELD) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise wrong("file", "file: missing; send the sound as the field 'file' of a multipart/form-data form")
            yield Form(_fields(request.query_params, form), file.file, file.filename)
        return
    with SpooledTemporaryFile(_IN_MEMORY) as body:
        async for chunk in request.stream():
            body.write(chunk)
        body.seek(0)
        yield Form(_fields(request.query_params), cast(BinaryIO, body), None)


def _fields(*given: ImmutableMultiDict[str, str | UploadFile] | ImmutableMultiDict[str, str]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for one in given:
        for name, value in one.multi_items():
            if isinstance(value, str):
                fields.setdefault(name.removesuffix("[]"), []).append(value)
    return fields
