"""Who may ask: a key compared in constant time; and no page of another site through the browser of a visitor."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import read_text
from dfcnn_ms.serving.errors import Refused

KEY_VARIABLE = "DFCNN_MS_KEY"
#: how a browser, which can give a WebSocket no header, hands over a key: as OpenAI's own clients do
KEY_PROTOCOL = "openai-insecure-api-key."
PROTOCOL = "realtime"


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        key: that a client has to know; None: everybody may ask.
    """

    key: str | None = field(default=None, repr=False)

    def check(self, connection: HTTPConnection) -> None:
        """Refuses a client without the key, and one that another site's page has sent here.

        Raises:
            Refused: 401 or 403.
        """
        if self.key is None:
            _check_origin(connection.headers)
        elif not _same(_given(connection.headers), self.key):
            cure = "send the header Authorization: Bearer KEY"
            raise Refused(
                401,
                f"the key is missing or wrong; {cure}",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


def load_key(path: Path | None) -> str | None:
    """The key from a file, or from the environment; None where there is neither.

    Raises:
        ConfigError: it is empty, or no header could carry it.
    """
    where = f"--key-file {path}" if path else KEY_VARIABLE
    text = read_text(path) if path else os.environ.get(KEY_VARIABLE)
    if text is None:
        return None
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{where}: wanted one word of ASCII characters, such as `openssl rand -hex 24` writes")
    return key


def check_exposed(host: str, key: str | None, *, no_key: bool) -> None:
    """Refuses to listen to other machines without a key, unless somebody said so.

    Raises:
        ConfigError: see above.
    """
    if key is not None and no_key:
        raise ConfigError("--no-key: there is a key; leave one of the two out")
    if key is None and not no_key and not is_loopback(host):
        raise ConfigError(
            f"--host {host}: anybody who reaches this machine could use the server; give a key with --key-file FILE "
            f"or {KEY_VARIABLE}, or say --no-key"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _given(headers: Mapping[str, str]) -> str:
    """The key that a client sent, or nothing."""
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return key.strip()
    offered = [word.strip() for word in headers.get("sec-websocket-protocol", "").split(",")]
    keys = [word.removeprefix(KEY_PROTOCOL) for word in offered if word.startswith(KEY_PROTOCOL)]
    return keys[0] if keys else ""


def _same(given: str, key: str) -> bool:
    """Whether two keys are the same, in a time that says neither where they differ nor how long they are."""
    return hmac.compare_digest(*(hashlib.sha256(one.encode(errors="replace")).digest() for one in (given, key)))


def _check_origin(headers: Mapping[str, str]) -> None:
    """A browser says which page asks; without a key only the server's own may."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        raise Refused(403, "a page of another site may not use this server; give the server a key", code="foreign_page")
