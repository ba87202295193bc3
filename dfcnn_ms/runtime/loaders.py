"""From a file to a network that listens: which loader takes which file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dfcnn_ms import extras
from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.runtime.loaded import Loaded, check_there


@dataclass(frozen=True)
class Loader:
    """How files of one kind are used.

    Attributes:
        load: path and device target -> the network.
        update_decoding: writes values that were tuned after training into a file; the rest of it stays as it is.
    """

    load: Callable[[Path, str], Loaded]
    update_decoding: Callable[[Path, Mapping[str, float]], None]


@contextlib.contextmanager
def _where_it_runs(path: Path) -> Iterator[None]:
    """Says which package is missing for a file; what else cannot be imported is a bug."""
    try:
        yield
    except ImportError as error:
        said = extras.missing(error)
        if not said:
            raise
        other = "; or use the .onnx file that dfcnn_ms.export makes of it where there is MindSpore"
        raise CheckpointError(f"{path}: {said}{other if path.suffix == '.ckpt' else ''}") from None


def _load_checkpoint(path: Path, device_target: str) -> Loaded:
    with _where_it_runs(path):
        from dfcnn_ms.runtime import checkpoint
    return checkpoint.for_use(path, device_target)


def _update_checkpoint(path: Path, values: Mapping[str, float]) -> None:
    with _where_it_runs(path):
        from dfcnn_ms.runtime import checkpoint
    checkpoint.update_decoding(path, values)


def _load_onnx(path: Path, device_target: str) -> Loaded:
    with _where_it_runs(path):
        from dfcnn_ms.runtime import onnx
    return onnx.for_use(path, device_target)


def _update_onnx(path: Path, values: Mapping[str, float]) -> None:
    with _where_it_runs(path):
        from dfcnn_ms.runtime import onnx
    onnx.update_decoding(path, values)


def _load_half(path: Path, device_target: str) -> Loaded:
    with _where_it_runs(path):
        from dfcnn_ms.runtime import half, onnx  # noqa: F401 (what is missing is said here)
    return half.for_use(path, device_target)


def _update_half(path: Path, values: Mapping[str, float]) -> None:
    from dfcnn_ms.runtime import half

    half.update_decoding(path, values)


#: suffix of a file -> how it is used
LOADERS: dict[str, Loader] = {
    ".ckpt": Loader(_load_checkpoint, _update_checkpoint),
    ".onnx": Loader(_load_onnx, _update_onnx),
    ".npz": Loader(_load_half, _update_half),
}


def loader_of(path: str | Path) -> Loader:
    """Who can use a file.

    Raises:
        CheckpointError: the file is not there, or nobody can.
    """
    path = Path(path)
    check_there(path)
    if path.suffix not in LOADERS:
        *others, last = LOADERS
        raise CheckpointError(f"{path}: wanted a stored network, a file that ends in {', '.join(others)} or {last}")
    return LOADERS[path.suffix]
