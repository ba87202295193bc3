"""The weights in a file that PyTorch wrote, without PyTorch; nothing that the file names is imported or run.

Such a file is an archive: `data.pkl` says how modules hang together, and every tensor's numbers lie beside it as bytes.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.errors import DataError

STORAGES = {"FloatStorage": np.float32, "HalfStorage": np.float16, "LongStorage": np.int64, "IntStorage": np.int32}


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The parameters and buffers of a module that was stored whole, under the names that PyTorch gives them.

    Raises:
        DataError: the file is not one of PyTorch.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            module = _Reader(archive, pickled).load()
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: cannot be read as weights of PyTorch ({error}); install its package again") from None
    return dict(_tensors(module, ""))


class _Module:
    """Anything that the file names: what is in it, and nothing that it does."""

    def __init__(self, *ignored: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, pickled: str) -> None:
        super().__init__(archive.open(pickled))
        self._archive, self._folder = archive, pickled.removesuffix("data.pkl")

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        return _KNOWN.get((module, name)) or type(name, (_Module,), {})

    def persistent_load(self, pid: Any) -> np.ndarray:
        _, kind, key, *_ = pid
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), kind)


def _tensor(stored: np.ndarray, first: int, shape: tuple[int, ...], steps: tuple[int, ...], *_: object) -> np.ndarray:
    """A tensor from the numbers of its storage, the place of the first, its shape, and its steps in numbers."""
    strides = [step * stored.itemsize for step in steps]
    return np.lib.stride_tricks.as_strided(stored[first:], shape, strides).copy()


#: all that a file may ask for, besides the kinds of its numbers
_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
}


def _tensors(module: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    for kind in ("_parameters", "_buffers"):
        held: Mapping[str, Any] = getattr(module, kind, {})
        yield from ((name + key, value) for key, value in held.items() if isinstance(value, np.ndarray))
    for key, inner in getattr(module, "_modules", {}).items():
        yield from _tensors(inner, f"{name}{key}.")
