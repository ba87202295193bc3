"""An exported network as a format that can be damaged, with and without its checksum made right again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
from mutate import damaged, damaged_values
from reading import Format

from dfcnn_ms.config import load_config
from dfcnn_ms.exporting.network import bundle_of, write
from dfcnn_ms.models import Dfcnn
from dfcnn_ms.models.table import Block
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime.bundle import META, Bundle
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

NETWORK = Dfcnn(blocks=(Block(4, convs=1, stride=(2, 2), pool=(2, 2)),), hidden=(), dropout=0.0)
SHAPES = {"blocks.0.convs.0.conv.weight": (4, 1, 3, 3), "head.0.weight": (5, 4, 1, 10), "head.0.bias": (5,)}


def _original() -> bytes:
    rng = np.random.default_rng(0)
    shapes = SHAPES | {
        f"{norm}.{part}": (4,)
        for norm in ("blocks.0.convs.0.norm", "norm")
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    weights = {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    meta = Meta(load_config("digits").model_copy(update={"model": NETWORK}), Vocabulary(("ba1", "er4", "yi1")))
    return bundle_of(write(meta, weights), meta, waveform=False, precision="float32").to_bytes()


def _mutant(data: bytes, random: Random) -> bytes:
    """Damaged anywhere; or its graph or what it says of itself, with the right sum."""
    kind = random.choice(("bytes", "graph", "graph", "said"))
    if kind == "bytes":
        return damaged(data, random)
    bundle = Bundle.from_bytes(data, "original")
    if kind == "graph":
        return replace(bundle, graph=damaged(bundle.graph, random)).to_bytes()
    said = damaged_values(bundle.metadata[META].encode(), random).decode(errors="replace")
    return bundle.saying(**{META: said}).to_bytes()


def _use(path: Path) -> None:
    recognizer = Recognizer.load(path, "CPU")
    bins = recognizer.frontend.features.num_bins
    features = np.random.default_rng(1).normal(size=(50, bins)).astype(np.float32)
    (transcript,) = recognizer.read([features])
    assert 0 <= transcript.confidence <= 1 and all(0 <= one <= 1 for one in transcript.confidences)


FORMATS = {"bundle": Format(_original, _mutant, _use, ".onnx")}
