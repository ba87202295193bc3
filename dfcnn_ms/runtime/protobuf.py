"""Protocol buffers on the wire, as far as ONNX needs them: a message is a row of numbered fields.

The `onnx` package wants a protobuf that MindInsight cannot share, and an installation that only recognises wants
neither. The format itself is small: a field is its number and kind, then a number or so many bytes.

>>> message = text(1, "key") + whole(2, 300)
>>> list(fields(message))
[(1, b'key'), (2, 300)]
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

#: how the value of a field is stored
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_SIZES = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
#: a whole number of 64 bits, seven in a byte
_LONGEST_VARINT = 10


class WireError(ValueError):
    """Bytes that are no message."""


def whole(number: int, value: int) -> bytes:
    """A field that holds a whole number; a negative one as its two's complement in 64 bits."""
    return _varint(number << 3 | _VARINT) + _varint(value & (1 << 64) - 1)


def real(number: int, value: float) -> bytes:
    """A field that holds a float of 32 bits."""
    return _varint(number << 3 | _FOUR_BYTES) + struct.pack("<f", value)


def raw(number: int, value: bytes) -> bytes:
    """A field that holds bytes, or another message."""
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def text(number: int, value: str) -> bytes:
    """A field that holds text."""
    return raw(number, value.encode())


def each(number: int, values: Iterable[int]) -> bytes:
    """A field that holds many whole numbers."""
    return b"".join(whole(number, value) for value in values)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in their order: number, and a whole number or bytes.

    Raises:
        WireError: it is no message, or is cut short.
    """
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise WireError("a field has no number")
        if kind == _VARINT:
            value, place = _read_varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _read_varint(message, place)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise WireError(f"field {number} is of kind {kind}, which there is not")
        if place + size > len(message):
            raise WireError(f"field {number} ends after the end")
        yield number, message[place : place + size]
        place += size


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """A whole number, and the place after it."""
    value = 0
    for index, byte in enumerate(message[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise WireError("a number has no end")
