"""Sound from a pipe: every encoding of samples, headers with and without a length, and what is no sound."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.streaming.piped import Piped

RATE = 16_000
SAMPLES = (np.random.default_rng(0).uniform(-0.9, 0.9, 3000)).astype(np.float32)
RAW = np.rint(SAMPLES * 32768).astype("<i2").tobytes()


class Trickle(io.RawIOBase):
    """A pipe from which bytes come in portions."""

    def __init__(self, content: bytes, portion: int) -> None:
        self.content, self.portion = content, portion

    def read(self, size: int = -1) -> bytes:
        count = min(self.portion, size if size >= 0 else self.portion)
        found, self.content = self.content[:count], self.content[count:]
        return found


def heard(stream: BinaryIO, rate: int | None = None) -> tuple[np.ndarray, Piped]:
    piped = Piped(stream, rate)
    return np.concatenate([*piped, np.zeros(0, np.float32)]), piped


def wav(subtype: str, channels: int = 1, kind: str = "WAV", rate: int = RATE) -> bytes:
    memory = io.BytesIO()
    soundfile.write(memory, np.stack([SAMPLES] * channels, axis=1), rate, format=kind, subtype=subtype)
    return memory.getvalue()


@given(st.integers(1, 5000))
@settings(deadline=None, max_examples=30)
def test_raw_sound_in_any_portions(portion: int) -> None:
    found, piped = heard(Trickle(RAW, portion), 8000)  # type: ignore[arg-type]
    assert piped.encoding.rate == 8000
    np.testing.assert_allclose(found, SAMPLES, atol=2e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_every_encoding_of_a_wav(subtype: str, channels: int, kind: str) -> None:
    """As libsndfile reads it from a file."""
    content = wav(subtype, channels, kind)
    whole, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    for portion in (7, 777, 10**6):
        found, piped = heard(Trickle(content, portion))  # type: ignore[arg-type]
        assert (piped.encoding.rate, piped.encoding.channels) == (rate, channels) == (RATE, whole.shape[1])
        np.testing.assert_allclose(found, whole[:, 0], atol=2e-7)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_header_need_not_know_how_much_follows(size: int) -> None:
    head = b"RIFF" + struct.pack("<I", size) + b"WAVELIST" + struct.pack("<I", 3) + b"abc\0"
    head += b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 44_100, 88_200, 2, 16) + b"data" + struct.pack("<I", size)
    found, piped = heard(io.BytesIO(head + RAW))
    assert piped.encoding.rate == 44_100
    np.testing.assert_allclose(found, SAMPLES, atol=2e-5)


def test_half_a_sample_at_the_end_is_left_out() -> None:
    assert len(heard(io.BytesIO(RAW + b"\1"))[0]) == len(SAMPLES)
    assert len(heard(io.BytesIO(wav("PCM_16", 2)[:-3]))[0]) == len(SAMPLES) - 1
    assert [len(heard(io.BytesIO(b"\0" * count))[0]) for count in (1, 2, 3, 4, 5)] == [0, 1, 1, 2, 2]


def header(tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, size: int = 16) -> bytes:
    form = b"fmt " + struct.pack("<IHHIIHH", size, tag, channels, rate, 0, 0, bits)
    return b"RIFF\0\0\0\0WAVE" + form + b"data\0\0\0\0"


WRONG = {
    "nothing": (b"", "got no sound (0 bytes)"),
    "flac": (b"fLaC....", "got FLAC, wanted raw 16 bit or WAV"),
    "ogg": (b"OggS....", "got Ogg"),
    "mp3": (b"ID3.....", "got MP3"),
    "no wave": (b"RIFF\0\0\0\0AVI ", "it is no WAVE file"),
    "cut short": (b"RIFF\0\0\0\0WAVEfmt ", "it ends in its header"),
    "no format": (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "it does not say its format"),
    "short format": (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0\1\0\1\0data\0\0\0\0", "it does not say its format"),
    "long header": (b"RIFF\0\0\0\0WAVELIST" + struct.pack("<I", 1 << 30), "claims 1073741824 bytes"),
    "mu-law": (header(tag=7, bits=8), "its header says format 7 with 8 bits, wanted PCM"),
    "12 bits": (header(bits=12), "format 1 with 12 bits"),
    "no channel": (header(channels=0), "it claims 0 channels at 16000 Hz"),
    "no rate": (header(rate=10), "it claims 1 channels at 10 Hz"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_sound_gets_a_sentence(name: str) -> None:
    content, sentence = WRONG[name]
    with pytest.raises(DataError) as caught:
        heard(io.BytesIO(content))
    assert sentence in str(caught.value)


def test_rates_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="--rate 100: wanted 1000 to 768000 Hz"):
        Piped(io.BytesIO(RAW), 100)
    with pytest.raises(DataError, match="its header says 16000 Hz, and --rate 8000; leave --rate out"):
        Piped(io.BytesIO(wav("PCM_16")), 8000)
    assert Piped(io.BytesIO(wav("PCM_16")), RATE).encoding.rate == RATE


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_bytes_after_riff_are_sound_or_a_sentence(content: bytes) -> None:
    try:
        heard(io.BytesIO(b"RIFF\0\0\0\0WAVE" + content))
    except DataError as error:
        assert "--stdin" in str(error)
