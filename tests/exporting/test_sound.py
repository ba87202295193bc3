"""The front end in a graph: the features of `audio/`, for every kind of them and every normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dfcnn_ms.audio import Cepstrogram, HighPass, Pitch, Stack
from dfcnn_ms.audio.clip_mel import ClipMel
from dfcnn_ms.audio.features import FEATURES, Features, GlobalCmvn, LinearSpectrogram, LogMel, Mfcc
from dfcnn_ms.audio.frontend import WITH_STATISTICS, Frontend
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.exporting.check import made_up_sound, padded
from dfcnn_ms.exporting.graph import Graph
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.exporting.sound import NORMALISED, SPECTRA, features_of
from dfcnn_ms.runtime.onnx import session_of

KINDS: dict[str, Features] = {
    "log_mel": LogMel(n_mels=20),
    "log_mel, 8 kHz, hamming": LogMel(sample_rate=8000, n_fft=256, n_mels=12, window="hamming"),
    "log_mel of 50 ms": LogMel(n_mels=40, window_ms=50, n_fft=1024),
    "linear": LinearSpectrogram(),
    "mfcc": Mfcc(),
    "mfcc without energy": Mfcc(energy=False, preemphasis=0.0, lifter=0),
    "mfcc of energy alone": Mfcc(n_ceps=1),
    "cepstrogram": Cepstrogram(),
    "clip_mel": ClipMel(),
}
SAMPLES = [7, 400, 401, 5000, 16_000, 17_777]


def waves() -> list[np.ndarray]:
    """Recordings of odd lengths, some of them shorter than a window."""
    sound = max(made_up_sound(), key=len)
    return [sound[4000 : 4000 + samples] for samples in SAMPLES]


def graph_of(frontend: Frontend, least_frames: int = 1) -> Any:
    graph = Graph()
    wave = graph.input("wave", np.float32, ["B", "N"])
    samples = Lengths(graph, graph.input("lengths", np.int64, ["B"]))
    features_of(graph, frontend, wave, samples, least_frames)
    graph.output("features", np.float32, ["B", 1, "T", frontend.features.num_bins])
    graph.output("frames", np.int64, ["B"])
    return session_of(graph.bundle({}), threads=1)


def fitted(kind: Features, cmvn: str) -> Frontend:
    statistics = GlobalCmvn(np.linspace(-9, 1, kind.num_bins), np.linspace(0.5, 3, kind.num_bins))
    return Frontend(kind, cmvn, statistics if cmvn in WITH_STATISTICS else None)


@pytest.mark.parametrize(
    ("kind", "cmvn"), [*((kind, "none") for kind in KINDS), *(("log_mel", one) for one in NORMALISED)]
)
def test_features_are_those_of_audio(kind: str, cmvn: str) -> None:
    frontend = fitted(KINDS[kind], cmvn)
    batch, samples = padded(waves())
    garbage = batch + 0.3 * (np.arange(batch.shape[1]) >= samples[:, None])
    features, frames = graph_of(frontend).run(None, {"wave": garbage.astype(np.float32), "lengths": samples})
    for row, wave in enumerate(waves()):
        wanted = frontend(wave)
        assert frames[row] == len(wanted)
        np.testing.assert_allclose(features[row, 0, : len(wanted)], wanted, atol=2e-3)
        assert np.median(np.abs(features[row, 0, : len(wanted)] - wanted)) < 1e-5
        assert not features[row, 0, len(wanted) :].any()


def test_as_many_frames_as_the_network_needs_are_there_even_for_a_click() -> None:
    frontend = Frontend(LogMel(n_mels=20), "utterance")
    features, frames = graph_of(frontend, least_frames=19).run(
        None, {"wave": np.ones((1, 10), np.float32), "lengths": np.array([10])}
    )
    assert features.shape[2] >= 19 and frames.tolist() == [1]
    assert not features[0, 0, 1:].any()


def test_every_kind_of_features_and_normalisation_has_a_row() -> None:
    assert set(SPECTRA) == set(FEATURES.values()) - {Pitch, Stack}


class Mine(LogMel):
    """A kind from outside."""


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Mine(n_mels=20), "features Mine"),
        (Pitch(), "features Pitch"),
        (Stack((LogMel(), LogMel(n_mels=40))), "features Stack"),
        (LogMel(preprocess=(HighPass(),)), "preprocess HighPass"),
    ],
)
def test_what_has_no_row_is_refused_in_a_sentence(kind: Features, says: str) -> None:
    with pytest.raises(ConfigError, match=f"--waveform, --page: {says} cannot be part of the graph; export"):
        graph_of(Frontend(kind))
