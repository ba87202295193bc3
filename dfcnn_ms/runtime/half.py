"""Networks in half precision: files half as long as a checkpoint, that listen without MindSpore and can go on learning.

Such a file (``.npz``) is an archive of NumPy arrays: the weights by name, kernels and matrices in 16 bits and all else
in 32, and what the network knows about itself. Its graph is written anew whenever it listens, in float32.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.files import replacing
from dfcnn_ms.runtime.loaded import Loaded, check_there
from dfcnn_ms.runtime.meta import Meta

SUFFIX = ".npz"
#: endings of the files that have all that a network learned, and can go on learning
LEARNING = (".ckpt", SUFFIX)
#: names of the two texts beside the weights
_META, _LICENCE = "dfcnn_ms", "license"
#: bytes that all arrays of a file may have together
_MOST_BYTES = 1 << 30
_BROKEN = (OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, OverflowError, NotImplementedError)
_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, SyntaxError, RuntimeError, RecursionError)


@dataclass(frozen=True)
class Half:
    """A network in half precision.

    Attributes:
        meta: what it knows about itself, without what only a resumed training needs.
        weights: its numbers by name, in float32, already rounded.
        licence: of the network; empty if it says none.
    """

    meta: Meta
    weights: Mapping[str, np.ndarray]
    licence: str = ""

    @classmethod
    def of(cls, meta: Meta, weights: Mapping[str, np.ndarray], licence: str = "") -> Half:
        """The same network with its kernels and matrices rounded.

        Raises:
            CheckpointError: a weight is too large for 16 bits.
        """
        with np.errstate(over="ignore"):
            rounded = {name: _stored(np.asarray(value)).astype(np.float32) for name, value in weights.items()}
        if large := [name for name, value in rounded.items() if not np.isfinite(value).all()]:
            raise CheckpointError(f"the weights {large[0]} are too large for 16 bits; export another format")
        return cls(replace(meta, training=None), rounded, licence)

    def to_bytes(self) -> bytes:
        """The whole file; the same bytes for the same network."""
        texts = {_META: self.meta.to_json(), _LICENCE: self.licence}
        arrays = {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items() if text}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays, **{name: _stored(value) for name, value in self.weights.items()})
        return buffer.getvalue()


def read(path: Path) -> Half:
    """Reads a file, every byte of it verified.

    Raises:
        CheckpointError: missing, truncated, damaged, of another program or of a newer version.
    """
    check_there(path)
    try:
        arrays = _arrays(path)
        texts = {name: arrays.pop(name).tobytes().decode() for name in (_META, _LICENCE) if name in arrays}
    except (*_BROKEN, *_BROKEN_ARCHIVE) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{path}: cannot be read, it is truncated, corrupt or no archive of arrays ({reason}); export it again"
        ) from None
    if _META not in texts:
        raise CheckpointError(f"{path}: an archive of arrays, but not one that dfcnn_ms.export wrote; export it again")
    meta = Meta.from_json(texts[_META], where=str(path))
    return Half(meta, {name: value.astype(np.float32) for name, value in arrays.items()}, texts.get(_LICENCE, ""))


def for_use(path: Path, device_target: str) -> Loaded:
    """The network of a file, ready to listen by onnxruntime."""
    return in_use(read(path), path, device_target)


def in_use(stored: Half, path: Path, device_target: str) -> Loaded:
    """A network that was read from a file, ready to listen by onnxruntime."""
    from dfcnn_ms.runtime import onnx

    return onnx.of_weights(stored.meta, stored.weights, path, device_target)


def update_decoding(path: Path, values: Mapping[str, float]) -> None:
    """Writes values that were tuned later into a file; its weights stay as they are."""
    stored = read(path)
    tuned = replace(stored.meta, decoding={**stored.meta.decoding, **values})
    with replacing(path) as temporary:
        temporary.write_bytes(replace(stored, meta=tuned).to_bytes())


def _stored(value: np.ndarray) -> np.ndarray:
    """Statistics of norms and biases are few, and want their digits."""
    return value.astype(np.float16 if value.ndim > 1 else np.float32)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES >> 30} GiB")
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name, value in arrays.items():
        kinds = (np.uint8,) if name in (_META, _LICENCE) else (np.float16, np.float32)
        if not isinstance(value, np.ndarray) or value.dtype not in kinds:
            raise ValueError(f"{name!r} is no array of weights")
        if not np.isfinite(value).all():
            raise ValueError(f"{name!r} has numbers that are none")
    return arrays
