"""From the bytes of a stream to samples: 16 bit PCM, and the two codes of telephones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.errors import ConfigError

Array = NDArray[Any]

#: Hz, of PCM; OpenAI's own servers take 24,000 alone
RATES = (8_000, 48_000)
USUAL_RATE, TELEPHONE_RATE = 24_000, 8_000
FULL_SCALE = np.float32(32768.0)


def _mu_law() -> Array:
    """The sample of each byte (256,) by G.711's mu-law: sign, exponent and mantissa, all bits inverted."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    size = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(code & 128, -size, size).astype(np.float32) / FULL_SCALE


def _a_law() -> Array:
    """The sample of each byte (256,) by G.711's A-law: every second bit inverted."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0))
    return np.where(code & 128, size, -size).astype(np.float32) / FULL_SCALE


def _linear(data: bytes) -> Array:
    return np.frombuffer(data, "<i2").astype(np.float32) / FULL_SCALE


def _by(table: Array) -> Callable[[bytes], Array]:
    return lambda data: table[np.frombuffer(data, np.uint8)]


#: name of a format -> bytes of a sample, and how they are read
FORMATS: dict[str, tuple[int, Callable[[bytes], Array]]] = {
    "audio/pcm": (2, _linear),
    "audio/pcmu": (1, _by(_mu_law())),
    "audio/pcma": (1, _by(_a_law())),
}


@dataclass
class Reader:
    """Reads a stream of bytes, cut anywhere.

    Attributes:
        format: one of `FORMATS`.
        rate: samples a second.
    """

    format: str = "audio/pcm"
    rate: int = USUAL_RATE
    _rest: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"format {self.format[:80]!r}: wanted {', '.join(FORMATS)}")
        low, high = RATES
        if self.format != "audio/pcm":
            low = high = TELEPHONE_RATE
        if not low <= self.rate <= high:
            wanted = f"{low}" if low == high else f"{low} to {high}"
            raise ConfigError(f"rate {self.rate} Hz: wanted {wanted} for {self.format}")

    def __call__(self, data: bytes) -> Array:
        """Samples (N,), full scale 1.0; half a sample waits for its other half."""
        width, read = FORMATS[self.format]
        data = self._rest + data
        whole = len(data) - len(data) % width
        self._rest = data[whole:]
        return read(data[:whole])
