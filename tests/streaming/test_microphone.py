"""A microphone that is not there, and one that is played by a fake of the package."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfcnn_ms.errors import DeviceError
from dfcnn_ms.streaming.microphone import Microphone


class PortAudioError(Exception):
    pass


class Stream:
    """Plays two blocks as soon as it is opened."""

    def __init__(self, *, samplerate: int, channels: int, dtype: str, blocksize: int, callback: Any) -> None:
        assert (samplerate, channels, dtype) == (48_000, 1, "float32")
        for value in (0.25, 0.5):
            callback(np.full((blocksize, 1), value, np.float32), blocksize, None, None)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def package(**parts: Any) -> SimpleNamespace:
    usual = {
        "PortAudioError": PortAudioError,
        "query_devices": lambda kind: {"default_samplerate": 48_000.0},
        "InputStream": Stream,
    }
    return SimpleNamespace(**usual | parts)


def refuse(*_: Any, **__: Any) -> Any:
    raise PortAudioError("Error querying device -1")


def test_what_is_recorded_comes_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", package())
    microphone = Microphone()
    assert microphone.rate == 48_000
    blocks = iter(microphone)
    for value in (0.25, 0.5):
        block = next(blocks)
        assert block.shape == (2400,) and (block == value).all()


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DeviceError, match=r"--mic: needs the package sounddevice; pip install 'dfcnn-ms\[mic\]'"):
        Microphone()


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", load)
    with pytest.raises(DeviceError, match="--mic: PortAudio library not found; install PortAudio"):
        Microphone()


def test_no_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", package(query_devices=refuse))
    with pytest.raises(DeviceError, match=r"no microphone \(Error querying device -1\)"):
        Microphone()


def test_a_microphone_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", package(InputStream=refuse))
    with pytest.raises(DeviceError, match="the microphone cannot be used"):
        next(iter(Microphone()))
