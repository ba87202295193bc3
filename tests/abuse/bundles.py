"""Networks that need no MindSpore as formats that can be damaged, with and without their sums made right again."""

from __future__ import annotations

import io
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
from dfcnn_ms.runtime.half import Half
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

NETWORK = Dfcnn(blocks=(Block(4, convs=1, stride=(2, 2), pool=(2, 2)),), hidden=(), dropout=0.0)
SHAPES = {"blocks.0.convs.0.conv.weight": (4, 1, 3, 3), "head.0.weight": (5, 4, 1, 10), "head.0.bias": (5,)}


def _weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = SHAPES | {
        f"{norm}.{part}": (4,)
        for norm in ("blocks.0.convs.0.norm", "norm")
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    return {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def _original() -> bytes:
    meta = Meta(load_config("digits").model_copy(update={"model": NETWORK}), Vocabulary(("ba1", "er4", "yi1")))
    return bundle_of(write(meta, _weights()), meta, waveform=False, precision="float32").to_bytes()


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


def _half() -> bytes:
    bundle = Bundle.from_bytes(_original(), "original")
    return Half.of(Meta.from_json(bundle.metadata[META], "original"), _weights()).to_bytes()


def _half_mutant(data: bytes, random: Random) -> bytes:
    """Damaged anywhere; or an array or what it says of itself, in an archive that is whole."""
    if random.random() < 0.4:
        return damaged(data, random)
    with np.load(io.BytesIO(data)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = random.choice(sorted(arrays))
    changed = damaged_values(arrays["dfcnn_ms"].tobytes(), random) if name == "dfcnn_ms" else b""
    kinds = (
        lambda value: np.frombuffer(changed, np.uint8) if changed else value[..., :0],
        lambda value: value.reshape(-1),
        lambda value: value.astype(random.choice((np.float64, np.int8, np.complex64, np.bool_))),
        lambda value: np.full_like(value, random.choice((0, 127, 255))),
    )
    arrays[name] = random.choice(kinds)(arrays[name])
    if random.random() < 0.2:
        del arrays[random.choice(sorted(arrays))]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


FORMATS = {
    "bundle": Format(_original, _mutant, _use, ".onnx"),
    "half": Format(_half, _half_mutant, _use, ".npz"),
}
