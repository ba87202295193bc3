"""Frames of sound in pieces are the frames of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hearers import noise, pieces
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.audio import HighPass, NoiseReduction, Pitch, PreEmphasis, Stack
from dfcnn_ms.audio.features import Features, LinearSpectrogram, LogMel, Mfcc
from dfcnn_ms.streaming.frames import BLOCK_FRAMES, FeatureStream

STEPS = (HighPass(), PreEmphasis(), NoiseReduction())
KINDS = [
    *(LinearSpectrogram(), LogMel(n_mels=20), Mfcc(), Mfcc(window_ms=20, hop_ms=25), LogMel(hop_ms=12.5, n_mels=20)),
    *(LogMel(n_mels=20, window_ms=50, n_fft=1024), Pitch(), Stack((LogMel(n_mels=20), Pitch(), Mfcc()))),
    *(LogMel(n_mels=20, preprocess=STEPS), Mfcc(preprocess=STEPS[2:]), Stack((Pitch(),), preprocess=STEPS)),
]


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@given(samples=st.integers(1, 12_000), sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_pieces_make_the_whole(kind: Features, samples: int, sizes: list[int]) -> None:
    wave = noise(1)[:samples]
    stream = FeatureStream(kind)
    parts = [stream.feed(piece) for piece in pieces(wave, [max(size, samples // 50) for size in sizes])]
    assert all(len(part) % BLOCK_FRAMES == 0 for part in parts)
    found, whole = np.concatenate([*parts, stream.finish()]), kind(wave)
    np.testing.assert_allclose(found, whole, atol=2e-6 * np.abs(whole).max())


def test_frames_come_as_soon_as_a_block_is_there() -> None:
    kind = LogMel(n_mels=20)
    stream = FeatureStream(kind)
    enough = (BLOCK_FRAMES - 1) * kind.hop_samples + kind.window_samples
    assert len(stream.feed(noise(1)[: enough - 1])) == 0
    assert len(stream.feed(noise(1)[:1])) == BLOCK_FRAMES


def test_no_sound_has_no_frames() -> None:
    stream = FeatureStream(Mfcc())
    assert stream.feed(np.zeros(0, np.float32)).shape == stream.finish().shape == (0, 13)
