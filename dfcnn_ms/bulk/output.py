"""The file that lines are written to: what is in it already, whether it goes with this run, and what is added to it.

A line is written whole, by one call, and reaches the system before the next one is made. Only the last line can be torn
by a sudden end; it is cut off, and its recording is heard again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dfcnn_ms.corpora.manifest import parse_json
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import replacing
from dfcnn_ms.places import check_file

#: how every line begins
_START = b'{"id": '
_BEGIN = re.compile(rb'\{"id": ("(?:[^"\\]|\\.)*"), "made_with": (\{[^{}]*\}), "(\w+)": .*\}$')
_BLOCK = 1 << 16


class Names:
    """Which names are among many, in some 20 bytes for each: a digest of 16, in 65,536 buckets."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._buckets: dict[bytes, bytearray] = {}
        self._count = 0
        for name in names:
            self.add(name)

    def add(self, name: str) -> bool:
        """Adds a name; whether it is new."""
        bucket, rest = self._place(name)
        if _is_in(rest, bucket):
            return False
        bucket += rest
        self._count += 1
        return True

    def __len__(self) -> int:
        return self._count

    def __contains__(self, name: str) -> bool:
        bucket, rest = self._place(name)
        return _is_in(rest, bucket)

    def _place(self, name: str) -> tuple[bytearray, bytes]:
        """The bucket of a name, and what is kept of it there."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return self._buckets.setdefault(digest[:2], bytearray()), digest[2:]


def _is_in(rest: bytes, bucket: bytearray) -> bool:
    place = bucket.find(rest)
    while place % len(rest) and place > 0:  # across two of them
        place = bucket.find(rest, place + 1)
    return place >= 0


@dataclass(frozen=True)
class Before:
    """What a file holds when a run begins.

    Attributes:
        done: the recordings that have a line.
        failed: those among them that could not be heard.
    """

    done: Names
    failed: frozenset[str]


def look(path: Path, made_with: Mapping[str, str]) -> Before:
    """What is in the file of a run; a torn last line is cut off.

    Args:
        path: which need not be there.
        made_with: what its lines must say about how they were made.

    Raises:
        ConfigError: it is the file of another run.
        DataError: it holds something else.
    """
    if not path.exists():
        return Before(Names([]), frozenset())
    check_file(path, "a file of lines, such as out.jsonl")
    failed: set[str] = set()

    def names() -> Iterator[str]:
        for number, name, got, has_failed in _entries(path):
            _check_made_with(path, number, got, made_with)
            if has_failed:
                failed.add(name)
            yield name

    done = Names(names())
    _cut_torn_line(path)
    return Before(done, frozenset(failed))


def _entries(path: Path) -> Iterator[tuple[int, str, dict[str, str], bool]]:
    """The whole lines of a file: number, name of the recording, how it was made, and whether it could not be heard."""
    known: dict[bytes, dict[str, str]] = {}
    for number, line in _whole_lines(path):
        found = _BEGIN.match(line)
        if found:  # as this command writes it, which is a hundred times as fast as to read all of it
            name, made_with, key = found.groups()
            if made_with not in known:
                known[made_with] = json.loads(made_with)
            yield number, _name(name), known[made_with], key == b"error"
        else:
            yield number, *_parsed(path, number, line)


def _name(quoted: bytes) -> str:
    return json.loads(quoted) if b"\\" in quoted else quoted[1:-1].decode()


def _parsed(path: Path, number: int, line: bytes) -> tuple[str, dict[str, str], bool]:
    """The same of a line that somebody else has written anew."""
    try:
        entry = parse_json(line.decode())
        if isinstance(entry["id"], str) and isinstance(entry["made_with"], dict):
            return entry["id"], entry["made_with"], "error" in entry
    except (ValueError, TypeError, KeyError):
        pass
    raise DataError(f"--out {path}: line {number} is none that this command writes; give another file")


def _whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield number, line
                elif not line.startswith(_START[: len(line)]):
                    raise DataError(f"--out {path}: is none of the files that this command writes; give another")
    except OSError as error:
        raise DataError(f"--out {path}: cannot be read: {error.strerror}; check its permissions") from None


def _check_made_with(path: Path, number: int, got: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    if got == wanted:
        return
    where, cure = f"--out {path}: line {number} was made", "to go on, or give another file"
    if got.get("ckpt") != wanted["ckpt"]:
        raise ConfigError(
            f"{where} with another network ({got.get('ckpt')}, and --ckpt is {wanted['ckpt']}); give that one {cure}"
        )
    raise ConfigError(
        f"{where} with other flags ({got.get('decoding')}, and now {wanted['decoding']}); give the same ones {cure}"
    )


def _cut_torn_line(path: Path) -> None:
    """Ends a file with its last whole line."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                end = start + last + 1
                break
            end = start
        file.truncate(end)


def forget(path: Path, names: Collection[str]) -> None:
    """Takes the lines of some recordings out of a file, all of them or none."""
    with replacing(path) as temporary, temporary.open("wb") as kept:
        for (_, line), (_, name, _, _) in zip(_whole_lines(path), _entries(path), strict=True):
            if name not in names:
                kept.write(line)


@contextlib.contextmanager
def appending(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What adds whole lines to a file.

    Raises:
        DataError: the disk is full, for example; what was written stays.
    """
    try:
        with path.open("ab", buffering=0) as file:
            yield lambda lines: _write(path, file.fileno(), lines)
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(f"--out {path}: cannot be written: {error.strerror}; the same command goes on") from None


def _write(path: Path, number: int, lines: bytes) -> None:
    while lines:
        lines = lines[os.write(number, lines) :]
