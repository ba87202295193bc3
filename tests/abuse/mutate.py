"""Damage with a seed: the same seed damages the same input in the same way, everywhere and always."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from random import Random

import numpy as np

#: numbers that something may stumble over, as they are written
WRITTEN = (
    *(b"0", b"-1", b"1", b"2", b"2147483647", b"2147483648", b"-9223372036854775809", b"18446744073709551616", b"1e12"),
    *(b"-1e38", b"-1e39", b"1e308", b"1e999", b"1e-320", b"-0.0", b"nan", b"-inf", b"9" * 5000, b"", b"0x1F", b"1_0"),
    *(b"-", b"1.5", b"true", b"null", b'"5"', b"[1]", "٣".encode()),
)
#: the same as they lie in memory
STORED = (
    *(struct.pack("<i", value) for value in (0, 1, -1, 2**31 - 1, -(2**31))),
    *(struct.pack("<q", value) for value in (0, 1, -1, 2**63 - 1, -(2**63), 10**12)),
    *(struct.pack("<f", value) for value in (float("nan"), float("inf"), -1e38, 1e-45)),
    *(struct.pack("<d", value) for value in (float("nan"), float("-inf"), 1e308, 5e-324)),
)
#: what does not belong into a line of text
ODD = (b"\0", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\t", b" ", b"\r", b"\x1b[2J", b"\xed\xa0\x80", b"\xef\xbb\xbf")
#: extremes for arrays
VALUES = (0, 1, -1, 2, 127, 255, 32767, 65535, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 10**12)
FLOATS = (*map(float, VALUES), float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 1e-45, 1e300, -1e300, 0.5)
#: other types of arrays; the last three are of text
TYPES = ("i1", "u2", "i4", "u8", "f2", "f4", "f8", ">f8", "c16", "?", "S3", "U1", "U2")
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
#: values of JSON and YAML, and what nobody expects in their place
VALUE = re.compile(rb"(?<=: )[^\n,{}\[\]]+|(?<=: )\[[^\n\[\]]*\]")
UNEXPECTED = (
    *(*WRITTEN, b"{}", b"[]", b"[a]", b'""', b'" "', b'"\\ud800"', b'"\\u0000"', b'"\\u2028"', b"[" * 2000, b"1e-300"),
    *(b'"' + b"a" * 5000 + b'"', b'"../../x"', b'{"kind": "dfcnn"}', b"[[1, 2], [3]]", b"0.5", b"1000", b"100000000"),
    *(b"2024-99-99", b"!!python/object:os.system {}", b"&a [*a]", b"NaN", b"Infinity", b"-1.0", b"[1e999]"),
)


def damaged(data: bytes, random: Random) -> bytes:
    """Bytes with one to three changes."""
    for _ in range(random.choice((1, 1, 2, 3))):
        data = random.choice(BYTE_DAMAGE)(data, random)
    return data


def damaged_text(data: bytes, random: Random) -> bytes:
    """Lines with one to three changes; now and then bytes."""
    for _ in range(random.choice((1, 1, 2, 3))):
        if random.random() < 0.15:
            data = damaged(data, random)
        else:
            lines = data.split(b"\n")
            random.choice(LINE_DAMAGE)(lines, random)
            data = b"\n".join(lines)
    return data


def damaged_values(data: bytes, random: Random) -> bytes:
    """JSON or YAML with one or two values that nobody expects; now and then lines."""
    if random.random() < 0.3:
        return damaged_text(data, random)
    for _ in range(random.choice((1, 1, 2))):
        found = list(VALUE.finditer(data))
        if found:
            value = random.choice(found)
            data = data[: value.start()] + random.choice(UNEXPECTED) + data[value.end() :]
    return data


def damaged_array(values: np.ndarray, random: Random) -> np.ndarray:
    """An array with one change: of a number, of its type, of its shape."""
    return np.asarray(random.choice(ARRAY_DAMAGE)(values, random))


def _stretch(data: bytes, random: Random, longest: int = 64) -> slice:
    start = random.randrange(len(data) + 1)
    return slice(start, start + random.randint(1, longest))


def _flip(data: bytes, random: Random) -> bytes:
    place = random.randrange(max(1, len(data)))
    return (
        data[:place] + bytes(byte ^ (1 << random.randrange(8)) for byte in data[place : place + 1]) + data[place + 1 :]
    )


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _cut(data: bytes, random: Random) -> bytes:
    gone = _stretch(data, random)
    return data[: gone.start] + data[gone.stop :]


def _insert(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.randint(1, 16)) + data[place:]


def _repeat(data: bytes, random: Random) -> bytes:
    again = _stretch(data, random)
    return data[: again.start] + data[again] * random.choice((2, 3, 50)) + data[again.stop :]


def _splice(data: bytes, random: Random) -> bytes:
    taken, there = _stretch(data, random), _stretch(data, random)
    return data[: there.start] + data[taken] + data[there.start + len(data[taken]) :]


def _store(data: bytes, random: Random) -> bytes:
    number = random.choice(STORED)
    place = random.randrange(len(data) + 1) // len(number) * len(number)
    return data[:place] + number + data[place + len(number) :]


def _write(data: bytes, random: Random) -> bytes:
    found = list(NUMBER.finditer(data))
    if not found:
        return data
    number = random.choice(found)
    return data[: number.start()] + random.choice(WRITTEN) + data[number.end() :]


def _drop(lines: list[bytes], random: Random) -> None:
    del lines[random.randrange(len(lines))]
    lines[len(lines) :] = [] if lines else [b""]


def _double(lines: list[bytes], random: Random) -> None:
    line = random.choice(lines)
    lines[random.randrange(len(lines) + 1) : 0] = [line] * random.choice((1, 1, 100))


def _swap(lines: list[bytes], random: Random) -> None:
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _number(lines: list[bytes], random: Random) -> None:
    place = random.randrange(len(lines))
    lines[place] = _write(lines[place], random)


def _strange(lines: list[bytes], random: Random) -> None:
    place = random.randrange(len(lines))
    within = random.randrange(len(lines[place]) + 1)
    lines[place] = lines[place][:within] + random.choice(ODD) + lines[place][within:]


def _join(lines: list[bytes], random: Random) -> None:
    place = random.randrange(len(lines))
    lines[place : place + 2] = [random.choice((b"", b" ", b"\t")).join(lines[place : place + 2])]


def _end(lines: list[bytes], random: Random) -> None:
    del lines[random.randint(1, len(lines)) :]


def _lengthen(lines: list[bytes], random: Random) -> None:
    place = random.randrange(len(lines))
    lines[place] *= random.choice((2, 2000))


def _value(values: np.ndarray, random: Random) -> np.ndarray:
    changed = values.copy()
    for _ in range(random.choice((1, 1, 5))):
        if changed.size and changed.dtype.kind in "iuf":
            extreme = np.array(random.choice(FLOATS if changed.dtype.kind == "f" else VALUES))
            with np.errstate(all="ignore"):
                changed.flat[random.randrange(changed.size)] = extreme.astype(changed.dtype)
    return changed


def _type(values: np.ndarray, random: Random) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(random.choice(TYPES if values.dtype.kind in "iuf" else TYPES[-3:]))


def _shape(values: np.ndarray, random: Random) -> np.ndarray:
    values = np.atleast_1d(values)
    some = random.randrange(len(values) + 1)
    return random.choice(
        (
            *(values[:some], values[:0], values[::-1], np.roll(values, 1), np.concatenate([values, values])),
            *(values[None], values.T, values.ravel(), np.array(values.ravel()[0])),
        )
    )


def _bytes(values: np.ndarray, random: Random) -> np.ndarray:
    data = damaged(values.tobytes(), random)
    size = max(1, values.dtype.itemsize)
    return np.frombuffer(data[: len(data) // size * size], values.dtype)


BYTE_DAMAGE: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(_flip, _flip, _truncate, _cut, _insert, _repeat, _splice, _store, _store, _write),
)
LINE_DAMAGE: tuple[Callable[[list[bytes], Random], None], ...] = (
    *(_drop, _double, _swap, _number, _number, _number, _strange, _join, _end, _lengthen),
)
ARRAY_DAMAGE: tuple[Callable[[np.ndarray, Random], np.ndarray], ...] = (_value, _value, _value, _type, _shape, _bytes)
