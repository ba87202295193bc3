"""Small networks whose arithmetic is plain NumPy, layer by layer, and recognizers that listen with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from tones import Ear, Tones, listener

from dfcnn_ms.audio.features import GlobalCmvn, LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.text.vocabulary import Vocabulary

Array = Any
RATE = 16_000


def forward(network: Dfcnn, frames: Array, weight: float | None = None) -> Array:
    """What the layers of a table make of one channel (T,): each output step, one number (U,).

    Convolutions have random weights and a bias, then negative numbers become zero; or all weights are the same.
    """
    rng = np.random.default_rng(0)
    for block in network.blocks:
        for index in range(block.convs):
            weights = rng.standard_normal(block.kernel) + 0.3 if weight is None else np.full(block.kernel, weight)
            bias = 0.1 if weight is None else 0.0
            beside = {"pad": network.padding, "same": block.kernel // 2, "valid": 0}[network.pad_mode]
            padded = np.pad(frames, beside)
            stride = block.stride[0] if index == 0 else 1
            places = range(0, len(padded) - block.kernel + 1, stride)
            frames = np.array([max(0.0, padded[at : at + block.kernel] @ weights + bias) for at in places])
        steps = len(frames) // block.pool[0]
        frames = frames[: steps * block.pool[0]].reshape(steps, block.pool[0])
        frames = frames.max(axis=1) if weight is None else frames.sum(axis=1)
    for kernel in network.context:
        weights = rng.standard_normal(kernel) / kernel if weight is None else np.full(kernel, weight)
        around = np.pad(frames, kernel // 2)
        more = [around[at : at + kernel] @ weights for at in range(len(frames))]
        frames = np.maximum(0.0, frames + more)
    return frames


class Layers:
    """A table in use: log-probabilities of three units from the one number of each step."""

    def __init__(self, network: Dfcnn) -> None:
        self.network = network
        self.most_frames = 0

    def __call__(self, features: Array, lengths: Array) -> tuple[Array, Array]:
        self.most_frames = max(self.most_frames, features.shape[2])
        rows = [forward(self.network, row[0, :length, 0]) for row, length in zip(features, lengths, strict=True)]
        scores = np.zeros((len(rows), max(1, *map(len, rows)), 3))
        for place, row in enumerate(rows):
            scores[place, : len(row)] = np.tanh(row)[:, None] * [1.0, -2.0, 0.5]
        return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True), np.array([len(row) for row in rows])


def table_recognizer(network: Dfcnn, frontend: Frontend | None = None) -> Recognizer:
    """A recognizer of a table; it hears the first bin of its features."""
    frontend = frontend or Frontend(LogMel(n_mels=20), cmvn="none")
    return Recognizer(Layers(network), frontend, Vocabulary(("yi1",)), network)


class Near(Tones):
    """`Tones` that says what a step sees: its one frame."""

    @property
    def receptive_field(self) -> tuple[int, int]:
        return 0, 0


def near_listener(cmvn: str = "none") -> Recognizer:
    """The recognizer of pure tones, whose network can be heard in pieces."""
    if cmvn == "none":
        plain = listener()
        return Recognizer(plain.acoustics, plain.frontend, plain.vocabulary, Near())
    statistics = GlobalCmvn(np.zeros(20, np.float32), np.full(20, 1.0, np.float32))
    frontend = Frontend(LogMel(n_mels=20), cmvn, statistics)
    return Recognizer(Ear(frontend), frontend, listener().vocabulary, Near())


def pieces(samples: Array, sizes: list[int]) -> list[Array]:
    """Samples cut into pieces of these sizes, the last of them again and again."""
    found, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[min(turn, len(sizes) - 1)]
        found.append(samples[at : at + size])
        at, turn = at + size, turn + 1
    return found


def noise(seconds: float, decibels: float = -40.0, seed: int = 0) -> Array:
    """White noise (N,), so loud."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (samples * 10 ** (decibels / 20)).astype(np.float32)
