"""Bytes of a stream become the samples that libsndfile makes of them, wherever they are cut."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.serving.pcm import Reader

SUBTYPES = {"audio/pcm": "PCM_16", "audio/pcmu": "ULAW", "audio/pcma": "ALAW"}
RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}


def by_libsndfile(data: bytes, form: str) -> np.ndarray:
    samples, _ = soundfile.read(
        io.BytesIO(data), dtype="float32", format="RAW", subtype=SUBTYPES[form], samplerate=8000, channels=1,
        endian="LITTLE",
    )  # fmt: skip
    return samples


@pytest.mark.parametrize("form", SUBTYPES)
def test_every_byte_is_what_libsndfile_hears(form: str) -> None:
    data = bytes(range(256)) * 2 + bytes(reversed(range(256)))
    np.testing.assert_array_equal(Reader(form, RATES[form])(data), by_libsndfile(data, form))


@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=6), st.sampled_from(sorted(SUBTYPES)))
def test_cuts_change_nothing(data: bytes, cuts: list[int], form: str) -> None:
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    reader = Reader(form, RATES[form])
    pieces = [reader(data[start:stop]) for start, stop in pairwise(edges)]
    whole = Reader(form, RATES[form])(data)
    np.testing.assert_array_equal(np.concatenate([*pieces, np.zeros(0, np.float32)]), whole)


@pytest.mark.parametrize(
    ("form", "rate", "complaint"),
    [
        ("audio/mp3", 24_000, "format 'audio/mp3': wanted audio/pcm, audio/pcmu, audio/pcma"),
        ("audio/pcm", 7_999, "rate 7999 Hz: wanted 8000 to 48000"),
        ("audio/pcm", -1, "rate -1 Hz"),
        ("audio/pcmu", 24_000, "rate 24000 Hz: wanted 8000 for audio/pcmu"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(form: str, rate: int, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Reader(form, rate)
