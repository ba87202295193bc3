"""Sound that another program pipes in: raw 16 bit, or a WAV whose header comes first."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from dfcnn_ms.audio.wave import RATES, SAMPLE_RATE, Array
from dfcnn_ms.errors import ConfigError, DataError

#: bytes that are waited for at most; what is there is taken at once
AT_ONCE = 1 << 16
#: of the parts of a header before its sound
MOST_HEADER = 1 << 16
#: what other files begin with
OTHERS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"RIFX": "RIFX", b"RF64": "RF64", b"FORM": "AIFF"}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
CURE = "ffmpeg -loglevel error -i talk.mp3 -f wav - | python -m dfcnn_ms.transcribe --stdin"


@dataclass(frozen=True)
class Encoding:
    """How samples are written.

    Attributes:
        rate: of them, in Hz.
        channels: that take turns.
        bits: of one of them.
        is_float: whether they are floating-point numbers.
    """

    rate: int = SAMPLE_RATE
    channels: int = 1
    bits: int = 16
    is_float: bool = False

    @property
    def frame_bytes(self) -> int:
        """Of all channels together."""
        return self.channels * self.bits // 8

    def read(self, data: bytes) -> Array:
        """Samples (N,), full scale 1.0, of whole frames; channels are averaged."""
        samples = _READ[self.is_float, self.bits](data).reshape(-1, self.channels)
        return samples[:, 0] if self.channels == 1 else samples.mean(axis=1)


def _whole_numbers(kind: str, zero: int, full: float) -> Callable[[bytes], Array]:
    return lambda data: (np.frombuffer(data, kind).astype(np.float32) - np.float32(zero)) / np.float32(full)


def _three_bytes(data: bytes) -> Array:
    parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
    return ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) / 2.0**31).astype(np.float32)


_READ: dict[tuple[bool, int], Callable[[bytes], Any]] = {
    (False, 8): _whole_numbers("u1", 128, 2.0**7),
    (False, 16): _whole_numbers("<i2", 0, 2.0**15),
    (False, 24): _three_bytes,
    (False, 32): _whole_numbers("<i4", 0, 2.0**31),
    (True, 32): lambda data: np.frombuffer(data, "<f4").astype(np.float32),
    (True, 64): lambda data: np.frombuffer(data, "<f8").astype(np.float32),
}


class Piped:
    """The samples of a stream of bytes, as they come.

    Args:
        stream: of bytes.
        rate: of raw sound, in Hz; the header of a WAV says its own, and has to agree where both do.
        name: of the stream, for messages.

    Raises:
        DataError: it holds another kind of file, or a header that cannot be.
        ConfigError: a rate that cannot be.
    """

    def __init__(self, stream: BinaryIO, rate: int | None = None, name: str = "--stdin") -> None:
        if rate is not None and not RATES[0] <= rate <= RATES[1]:
            raise ConfigError(f"--rate {rate}: wanted {RATES[0]} to {RATES[1]} Hz")
        self._stream, self._name = stream, name
        head = self._exactly(4)
        if not head:
            raise DataError(f"{name}: got no sound (0 bytes); such as: {CURE}")
        kind = next((kind for mark, kind in OTHERS.items() if head.startswith(mark)), "")
        if kind:
            raise DataError(f"{name}: got {kind}, wanted raw 16 bit or WAV; make it so: {CURE}")
        self.encoding = self._header() if head == b"RIFF" else Encoding(rate or SAMPLE_RATE)
        if rate is not None and rate != self.encoding.rate:
            raise DataError(f"{name}: its header says {self.encoding.rate} Hz, and --rate {rate}; leave --rate out")
        self._rest = b"" if head == b"RIFF" else head

    def __iter__(self) -> Iterator[Array]:
        """Samples (N,), full scale 1.0; half a sample at the end is left out."""
        width = self.encoding.frame_bytes
        while data := self._some():
            data = self._rest + data
            whole = len(data) - len(data) % width
            self._rest = data[whole:]
            yield self.encoding.read(data[:whole])
        if len(self._rest) >= width:
            yield self.encoding.read(self._rest[: len(self._rest) - len(self._rest) % width])

    def _some(self) -> bytes:
        """What is there by now; nothing at the end alone."""
        read = getattr(self._stream, "read1", self._stream.read)
        found: bytes = read(AT_ONCE)
        return found

    def _exactly(self, count: int) -> bytes:
        """So many bytes, or fewer at the end."""
        found = b""
        while len(found) < count and (more := self._stream.read(count - len(found))):
            found += more
        return found

    def _header(self) -> Encoding:
        """Reads the header of a WAV up to its sound; how long that claims to be does not matter."""
        if self._exactly(8)[4:] != b"WAVE":
            raise self._damaged("it is no WAVE file")
        encoding = None
        while True:
            head = self._exactly(8)
            if len(head) < 8:
                raise self._damaged("it ends in its header")
            mark, size = head[:4], int.from_bytes(head[4:], "little")
            if mark == b"data":
                break
            if size > MOST_HEADER:
                raise self._damaged(f"a part of its header claims {size} bytes")
            content = self._exactly(size + size % 2)
            encoding = self._format(content) if mark == b"fmt " else encoding
        if encoding is None:
            raise self._damaged("it does not say its format")
        return encoding

    def _format(self, content: bytes) -> Encoding:
        if len(content) < 16:
            raise self._damaged("it does not say its format")
        tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
        if tag == _EXTENSIBLE and len(content) >= 26:
            tag = int.from_bytes(content[24:26], "little")
        if tag not in (_PCM, _FLOAT) or (tag == _FLOAT, bits) not in _READ:
            raise DataError(
                f"{self._name}: its header says format {tag} with {bits} bits, wanted PCM; make it so: {CURE}"
            )
        if not (RATES[0] <= rate <= RATES[1] and 1 <= channels <= 64):
            raise self._damaged(f"it claims {channels} channels at {rate} Hz")
        return Encoding(rate, channels, bits, tag == _FLOAT)

    def _damaged(self, what: str) -> DataError:
        return DataError(f"{self._name}: the header of the WAV is damaged: {what}; pipe it in from its beginning")
