"""Files from the web: resumed where they broke off, checked to the last byte, never half there.

    fetch(openslr("18/data_thchs30.tgz"), Path("data/data_thchs30.tgz"), md5="...")

While a file is on its way it is called ``<name>.part``, and ``<name>.part.json`` says which version of the file it is
a part of. It takes its own name when its size and its hash are right. So whatever happens (a dropped line, a full disk,
Ctrl-C, a power cut), the same call again goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dfcnn_ms.corpora.locks import alone
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import write_text

#: where OpenSLR keeps its resources: the site itself, then its mirrors in Europe and in China
MIRRORS = (
    "https://www.openslr.org/resources",
    "https://openslr.elda.org/resources",
    "https://openslr.magicdatatech.com/resources",
)

CHUNK = 1 << 20
#: left free on a disk, so that the machine can go on working
SPARE_BYTES = 256 << 20
LONGEST_WAIT = 60.0
#: answers that may be another one in a minute
PASSING = (408, 425, 429, 500, 502, 503, 504)

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transfer:
    """How patient a download is.

    Attributes:
        tries: rounds over all mirrors in a row without one new byte before it gives up.
        timeout: seconds without an answer before a connection counts as dead.
        wait: seconds before the second round; each further round waits twice as long, a minute at most.
    """

    tries: int = 6
    timeout: float = 30.0
    wait: float = 1.0


class _Failed(Exception):  # noqa: N818 (told to the user as a DataError, when no mirror is left)
    """One attempt came to nothing; ``final`` means that this mirror need not be asked again."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class _Wanted:
    """The file as it has to be in the end."""

    target: Path
    hashes: Mapping[str, str]
    size: int | None

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def state(self) -> Path:
        return self.target.with_name(self.target.name + ".part.json")

    @property
    def record(self) -> Path:
        return self.target.with_name(self.target.name + ".verified.json")

    def have(self) -> int:
        """Bytes that are here already."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def forget(self) -> None:
        """Deletes the part, because nothing can be built on it."""
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)

    def complaint(self, path: Path) -> str:
        """What is wrong with the bytes in ``path``, or nothing."""
        size = path.stat().st_size
        if self.size not in (None, size):
            return f"has {size:,} bytes, wanted {self.size:,}"
        for name, wanted in self.hashes.items():
            got = digest(path, name)
            if got != wanted.lower():
                return f"has {name} {got}, wanted {wanted.lower()}"
        return ""


def openslr(resource: str, mirrors: Sequence[str] = MIRRORS) -> tuple[str, ...]:
    """The addresses of one resource on all mirrors.

    >>> openslr("18/data_thchs30.tgz")[0]
    'https://www.openslr.org/resources/18/data_thchs30.tgz'
    """
    return tuple(f"{mirror.rstrip('/')}/{resource}" for mirror in mirrors)


def fetch(
    urls: str | Sequence[str],
    target: Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    size: int | None = None,
    transfer: Transfer = Transfer(),
) -> Path:
    """Brings a file here, or finishes bringing it; a file that is here and right returns at once.

    Args:
        urls: one address or several of the same file; they are tried in this order.
        target: the name that the file will have.
        md5, sha256: of its bytes, if known.
        size: its bytes, if known.
        transfer: how often to try and how long to wait.

    Returns:
        ``target``.

    Raises:
        ConfigError: an address that is no http or https address.
        DataError: no mirror gave the file, it was not the right one, or the disk is full.
    """
    mirrors = [urls] if isinstance(urls, str) else list(urls)
    for url in mirrors:
        if not re.fullmatch(r"https?://[!-.0-~][!-~]*", url):
            raise ConfigError(f"{url!r}: not an address to download from; it must begin with https:// or http://")
    given = {"sha256": sha256, "md5": md5}
    wanted = _Wanted(target, {name: value for name, value in given.items() if value}, size)
    if not target.exists():
        with alone(target):
            if not target.exists():  # another process may have brought it meanwhile
                _from_mirrors(mirrors, wanted, transfer)
                return target
    _check_present(wanted)
    return target


def digest(path: Path, name: str = "sha256") -> str:
    """The hash of a file, in hexadecimal; large files show a progress bar."""
    state = hashlib.new(name, usedforsecurity=False)
    with path.open("rb") as file, _bar(f"checking {path.name}", path.stat().st_size) as bar:
        while block := file.read(CHUNK):
            state.update(block)
            bar.update(len(block))
    return state.hexdigest()


def free_bytes(folder: Path) -> int:
    """What may still be written on the disk of a folder, or of the nearest folder above it that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return max(0, shutil.disk_usage(folder).free - SPARE_BYTES)


def in_words(count: int) -> str:
    """Bytes for people.

    >>> in_words(6_453_425_169)
    '6.5 GB'
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


def _check_present(wanted: _Wanted) -> None:
    """A file that is there is hashed once; its size and time of change stand for the hash from then on."""
    target = wanted.target
    if target.is_dir():
        raise DataError(f"{target}: is a directory, wanted the name of a file to download to")
    if _read_json(wanted.record) == _identity(wanted):
        return
    if problem := wanted.complaint(target):
        raise DataError(f"{target}: is there already but {problem}; delete it and run again to download it")
    _remember(wanted)


def _remember(wanted: _Wanted) -> None:
    """Notes that the file is right; where nothing can be written it is checked again next time."""
    with contextlib.suppress(DataError):
        write_text(wanted.record, json.dumps(_identity(wanted)) + "\n")


def _identity(wanted: _Wanted) -> dict[str, Any]:
    stat = wanted.target.stat()
    return {"size": stat.st_size, "modified_ns": stat.st_mtime_ns, **wanted.hashes}


def _from_mirrors(urls: list[str], wanted: _Wanted, transfer: Transfer) -> None:
    """Goes round the mirrors until the file is here, or until nothing new has come for several rounds."""
    failures: dict[str, str] = {}
    furthest, idle = wanted.have(), 0
    while urls and idle < transfer.tries:
        if failures:
            time.sleep(min(LONGEST_WAIT, transfer.wait * 2.0 ** max(0, idle - 1)))
        idle += 1
        for url in _owner_first(urls, wanted):
            try:
                return _attempt(url, wanted, transfer)
            except _Failed as failure:
                failures[url] = str(failure)
                log.info("%s: %s", url, failure)
                if failure.final:
                    urls.remove(url)
            if wanted.have() > furthest:  # further than ever before: this mirror is worth another try
                furthest, idle = wanted.have(), 0
                break
    raise DataError(_given_up(wanted, failures))


def _owner_first(urls: Sequence[str], wanted: _Wanted) -> list[str]:
    """The mirrors in order, before them the one that a part has come from."""
    owner = _read_json(wanted.state).get("url")
    return sorted(urls, key=lambda url: url != owner)


def _given_up(wanted: _Wanted, failures: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{url}: {reason}" for url, reason in failures.items())
    kept = f"{in_words(wanted.have())} are kept, run again to go on from there" if wanted.have() else ""
    cure = kept or f"check the connection, name another mirror, or bring it into {wanted.target.parent} yourself"
    return f"{wanted.target.name} could not be downloaded ({reasons}); {cure}"


def _attempt(url: str, wanted: _Wanted, transfer: Transfer) -> None:
    """One try at one address; returns when the file has its name."""
    try:
        _receive(url, wanted, transfer)
    except urllib.error.HTTPError as error:
        error.close()
        raise _Failed(f"answers {error.code} {error.reason}", final=error.code not in PASSING) from None
    except (http.client.HTTPException, OSError) as error:
        raise _Failed(_network_reason(error)) from None
    _finish(wanted)


def _receive(url: str, wanted: _Wanted, transfer: Transfer) -> None:
    """Asks for what is missing and writes it behind the part; returns when the last byte is there."""
    have, request = _request(url, wanted)
    try:
        response = urllib.request.urlopen(request, timeout=transfer.timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if _end_of_range(error) == have:
            return
        wanted.forget()
        raise _Failed("has nothing to add to the part; the part was deleted") from None
    with response:
        answer = _Answer.of(response, have)
        if wanted.size not in (None, answer.total or wanted.size):
            raise _Failed(f"has {answer.total:,} bytes, wanted {wanted.size:,}", final=True)
        _check_space(wanted, answer)
        write_text(wanted.state, json.dumps({"url": url, "version": answer.version}) + "\n")
        _write(response, wanted, answer)


@dataclass(frozen=True)
class _Answer:
    """What a server is about to send: the bytes from ``start`` on of a file of ``total`` bytes."""

    start: int
    total: int | None
    version: str

    @classmethod
    def of(cls, response: Any, have: int) -> _Answer:
        """Reads the head of an answer; 200 is the whole file, whatever part was asked for."""
        headers, status = response.headers, response.status
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _Failed("sends the file in another encoding", final=True)
        length = headers.get("Content-Length", "")
        if status == 200:
            return cls(0, int(length) if length.isdigit() else None, _version(headers))
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if status != 206 or not match or match[1] != str(have):
            what = match[0] if match else f"an answer {status}"
            raise _Failed(f"sends {what} instead of the bytes from {have:,}")
        return cls(have, None if match[3] == "*" else int(match[3]), _version(headers))


def _request(url: str, wanted: _Wanted) -> tuple[int, urllib.request.Request]:
    """How many bytes are here, and a request for the others, on the condition that the file is still the same."""
    headers = {"User-Agent": "dfcnn-ms", "Accept-Encoding": "identity"}
    state = _read_json(wanted.state)
    version = state.get("version", "") if state.get("url") == url else ""
    if not version and not wanted.hashes:
        wanted.forget()  # nothing would tell whether two halves belong together
    if have := wanted.have():
        headers["Range"] = f"bytes={have}-"
    if have and version:
        headers["If-Range"] = version
    return have, urllib.request.Request(url, headers=headers)


def _version(headers: Any) -> str:
    """What names a version of a file byte by byte; a weak entity tag does not."""
    tag = str(headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(headers.get("Last-Modified", ""))


def _end_of_range(error: urllib.error.HTTPError) -> int | None:
    """The size of the file, from an answer that says that there is nothing behind its end."""
    match = _CONTENT_RANGE.fullmatch((error.headers.get("Content-Range") or "").strip())
    return int(match[3]) if match and match[3] != "*" else None


def _check_space(wanted: _Wanted, answer: _Answer) -> None:
    total, free = answer.total or wanted.size, free_bytes(wanted.target.parent)
    if total is not None and total - answer.start > free:
        raise DataError(
            f"{wanted.target}: {in_words(total - answer.start)} are to come, {in_words(free)} are free on that disk; "
            "make room, or choose a folder on another disk"
        )


def _write(response: Any, wanted: _Wanted, answer: _Answer) -> None:
    """Writes the part as it comes; what has come stays, however this ends."""
    total = answer.total or wanted.size
    try:
        with wanted.part.open("ab" if answer.start else "wb") as file:
            for block in _blocks(response, wanted.target.name, total, answer.start):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(
            f"{wanted.part}: cannot be written: {error.strerror or error}; make room and run again to go on from there"
        ) from None
    if total is not None and wanted.have() < total:
        raise _Failed(f"broke off after {wanted.have():,} of {total:,} bytes")


def _blocks(response: Any, name: str, total: int | None, start: int) -> Iterator[bytes]:
    """The bytes as they arrive, with a progress bar; errors of the line are told from errors of the disk here."""
    with _bar(name, total, start) as bar:
        while True:
            try:
                block = response.read1(CHUNK)
            except (http.client.HTTPException, OSError) as error:
                raise _Failed(f"broke off: {_network_reason(error)}") from None
            if not block:
                return
            yield block
            bar.update(len(block))


def _finish(wanted: _Wanted) -> None:
    """Gives the file its name, if it is the right one."""
    if problem := wanted.complaint(wanted.part):
        wanted.forget()
        raise _Failed(f"sent a wrong file: it {problem}; it was deleted")
    os.replace(wanted.part, wanted.target)
    wanted.state.unlink(missing_ok=True)
    _remember(wanted)


def _network_reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)


def _bar(name: str, total: int | None, start: int = 0) -> tqdm[Any]:
    return tqdm(
        desc=name, total=total, initial=start, unit="B", unit_scale=True, unit_divisor=1000, disable=None, leave=False
    )


def _read_json(path: Path) -> dict[str, Any]:
    """A small JSON object, or an empty one where there is none that can be read."""
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return page if isinstance(page, dict) else {}
