"""The network of Silero in the place of our own measure: a fake of it, in step with the frames; and without it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hearers import noise, pieces
from hypothesis import given, settings
from hypothesis import strategies as st
from test_segments import syllables

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.errors import ConfigError, DeviceError
from dfcnn_ms.streaming import silero
from dfcnn_ms.streaming.endpoints import VADS, Endpointing
from dfcnn_ms.streaming.segmenter import ACTIVITIES, Segmenter
from dfcnn_ms.streaming.silero import SileroActivity

KINDS = [LogMel(n_mels=20), LogMel(n_mels=20, window_ms=20, hop_ms=12.5), LogMel(sample_rate=8000, n_mels=20)]


class Loud:
    """A network that takes what is loud for a voice, and counts in its state how often it was asked."""

    def run(self, _: None, inputs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        chunk, before = silero.CHUNKS[int(inputs["sr"])]
        assert inputs["input"].shape == (1, chunk + before) and inputs["state"].shape == (2, 1, 128)
        is_loud = np.abs(inputs["input"][0, before:]).max() > 0.01
        return np.array([[0.95 if is_loud else 0.05]]), inputs["state"] + 1


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "_network", Loud)


def levels(kind: LogMel, wave: np.ndarray, sizes: list[int]) -> np.ndarray:
    activity = SileroActivity(kind)
    return np.concatenate([*(activity.feed(piece) for piece in pieces(wave, sizes)), activity.finish()])


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_each_frame_has_the_odds_of_the_chunk_in_its_middle(kind: LogMel) -> None:
    rng = np.random.default_rng(0)
    wave = (rng.uniform(-1, 1, 9000) * np.repeat(rng.integers(0, 2, 90), 100)).astype(np.float32)
    chunk = silero.CHUNKS[kind.sample_rate][0]
    padded = np.append(wave, np.zeros(2 * chunk))
    found = levels(kind, wave, [9000])
    assert len(found) == kind.num_frames(9000)
    for frame, (odds, _) in enumerate(found):
        first = (frame * kind.hop_samples + kind.window_samples // 2) // chunk * chunk
        assert (odds > 0) == (np.abs(padded[first : first + chunk]).max() > 0.01)
        assert abs(odds) == pytest.approx(10 * np.log10(19))


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("kind", KINDS, ids=repr)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4), st.integers(1, 9000))
@settings(deadline=None, max_examples=15)
def test_pieces_make_no_difference(kind: LogMel, sizes: list[int], samples: int) -> None:
    wave = noise(1, -20)[:samples] * np.linspace(0, 1, samples, dtype=np.float32)
    whole = levels(kind, wave, [samples])
    assert len(whole) == kind.num_frames(samples)
    np.testing.assert_array_equal(levels(kind, wave, [max(size, samples // 20) for size in sizes]), whole)


@pytest.mark.usefixtures("loud")
def test_segments_lie_where_the_network_hears_a_voice() -> None:
    wave = np.concatenate([noise(2, -90), syllables(1), noise(2, -90)])
    segmenter = Segmenter(KINDS[0], Endpointing(vad="silero"))
    (one,) = [*(found for piece in pieces(wave, [1600]) for found in segmenter.feed(piece)), *segmenter.finish()]
    assert one.first / 100 == pytest.approx(1.7, abs=0.15) and one.stop / 100 == pytest.approx(3.1, abs=0.15)
    assert len(one.features) == one.stop - one.first
    assert segmenter.frames_kept < 100
    silent = Segmenter(KINDS[0], Endpointing(vad="silero"))
    assert [*silent.feed(np.zeros(0, np.float32)), *silent.finish()] == []


def test_without_the_package_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    silero._network.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DeviceError, match="--vad silero: needs onnxruntime and the file of silero-vad"):
        SileroActivity(KINDS[0])
    place = SimpleNamespace(submodule_search_locations=["/nowhere"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: place)
    with pytest.raises(DeviceError, match=r"silero_vad\.onnx is not there"):
        SileroActivity(KINDS[0])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match="pip install --no-deps silero-vad"):
        SileroActivity(KINDS[0])


def test_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match="8000 and 16000 Hz, these features want 44100 Hz"):
        SileroActivity(LogMel(sample_rate=44_100, n_fft=2048, n_mels=20))
    with pytest.raises(ConfigError, match="vad is 'ears'; give one of energy, silero"):
        Endpointing(vad="ears")
    assert tuple(ACTIVITIES) == VADS


@pytest.mark.skipif(find_spec("silero_vad") is None, reason="silero-vad is not installed")
def test_the_network_itself_hears_no_voice_in_noise() -> None:
    silero._network.cache_clear()
    wave = noise(5, -30)
    assert (levels(KINDS[0], wave, [len(wave)])[:, 0] < 0).all()
