"""A checkpoint as a format that can be damaged, with and without its checksum made right again."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from random import Random

import numpy as np
from mutate import damaged, damaged_array, damaged_values
from reading import Format

from dfcnn_ms.environment import prepare_for_mindspore

prepare_for_mindspore()

import mindspore as ms  # noqa: E402

from dfcnn_ms.recognizer import Recognizer  # noqa: E402

KEPT = Path(__file__).parents[1] / "data" / "kept_0.1.0.ckpt"
META = "dfcnn_ms"
#: at the end of a file: a mark, and the sum behind it
MARK, SUM_BYTES = b"crc_num", 10


def _summed(data: bytes) -> bytes:
    """The same with the sum that its bytes have."""
    body = data[: -len(MARK) - SUM_BYTES]
    return body + MARK + zlib.crc32(body).to_bytes(SUM_BYTES, "big")


def _mutant(data: bytes, random: Random) -> bytes:
    """Damaged anywhere, with or without the right sum; or what it says of itself; or one of its arrays."""
    kind = random.choice(("bytes", "summed", "summed", "stored", "stored", "stored"))
    if kind == "bytes":
        return damaged(data, random)
    if kind == "summed":
        body = damaged(data[: -len(MARK) - SUM_BYTES], random)
        return _summed(body + data[-len(MARK) - SUM_BYTES :])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stored.ckpt"
        path.write_bytes(data)
        _change(path, random)
        return path.read_bytes()


def _change(path: Path, random: Random) -> None:
    stored = ms.load_checkpoint(str(path))
    meta = str(stored.pop(META))
    arrays = {name: value.asnumpy() for name, value in stored.items()}
    if random.random() < 0.6:
        meta = damaged_values(meta.encode(), random).decode(errors="replace")
    else:
        name = random.choice(sorted(arrays))
        arrays[name] = damaged_array(arrays[name], random)
        if arrays[name].dtype.kind not in "iufb" or not arrays[name].dtype.isnative:
            del arrays[name]  # MindSpore knows no such arrays
    entries = [{"name": name, "data": ms.Tensor(np.ascontiguousarray(value))} for name, value in arrays.items()]
    path.chmod(0o644)
    path.unlink()
    ms.save_checkpoint(entries, str(path), append_dict={META: meta}, crc_check=True)


def _use(path: Path) -> None:
    recognizer = Recognizer.load(path, "CPU")
    bins = recognizer.frontend.features.num_bins
    features = np.random.default_rng(1).normal(size=(50, bins)).astype(np.float32)
    log_probs = recognizer.outputs([features]).of(0)  # (U, V)
    assert log_probs.shape[1] == len(recognizer.vocabulary)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-3)
    (transcript,) = recognizer.read([features])
    assert 0 <= transcript.confidence <= 1 and all(0 <= one <= 1 for one in transcript.confidences)


FORMATS = {"checkpoint": Format(KEPT.read_bytes, _mutant, _use, ".ckpt")}
