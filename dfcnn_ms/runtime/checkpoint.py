"""MindSpore checkpoints: one file that is enough, weights and :class:`~dfcnn_ms.runtime.meta.Meta` together."""

from __future__ import annotations

import contextlib
import itertools
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import mindspore.log
import numpy as np
from mindspore import Parameter, nn
from mindspore.train import checkpoint_pb2

from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.files import replacing
from dfcnn_ms.models.cells.dropout import COUNTER
from dfcnn_ms.runtime import half
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.runtime.device import use_device, use_mode
from dfcnn_ms.runtime.loaded import Loaded, check_there
from dfcnn_ms.runtime.meta import Meta

#: what the names of averaged weights begin with, in a checkpoint that holds the whole state of training
AVERAGE = "ema."
_META = "dfcnn_ms"
#: what MindSpore writes before the checksum at the end of a file, and the bytes of the sum
_SUM_MARK, _SUM_BYTES = b"crc_num", 10
#: MindSpore's names of types -> bytes of a number
_ITEM_BYTES = {
    "Bool": 1, "Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Int64": 8, "UInt64": 8,
    "BFloat16": 2, "Float16": 2, "Float32": 4, "Float64": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and verified."""

    meta: Meta
    parameters: Mapping[str, Parameter]

    @property
    def weights(self) -> dict[str, Parameter]:
        """The parameters of the network as it is used: averaged ones where there are any, and nothing of training."""
        if self.meta.training is None:
            return dict(self.parameters)
        averaged = {name[len(AVERAGE) :]: value for name, value in self.parameters.items() if name.startswith(AVERAGE)}
        names = [name for name in self.meta.training["network"] if name in self.parameters]
        return {name: averaged.get(name, self.parameters[name]) for name in names}

    def load_into(self, network: nn.Cell) -> None:
        """Puts the weights into ``network``, averaged ones first; each must be there, in its shape.

        What only training counts, such as the steps of a dropout, is left as it is.
        """
        weights = self.weights
        for name, parameter in weights_of(network).items():
            stored = weights.get(name)
            if stored is None or stored.shape != parameter.shape:
                got = "nothing" if stored is None else f"shape {stored.shape}"
                raise CheckpointError(
                    f"the checkpoint does not fit the network: {name} wants shape {parameter.shape}, got {got}; "
                    "load it with the configuration that it was trained with"
                )
            parameter.set_data(stored)


def save(path: str | Path, parameters: nn.Cell | Mapping[str, Parameter], meta: Meta) -> None:
    """Writes a checkpoint under a temporary name and renames it: a reader sees the old file or the new one."""
    if isinstance(parameters, nn.Cell):
        parameters = weights_of(parameters)
    entries = [{"name": name, "data": value} for name, value in parameters.items()]
    with replacing(path) as temporary, _tidy(temporary):
        ms.save_checkpoint(entries, str(temporary), append_dict={_META: meta.to_json()}, crc_check=True)
        temporary.chmod(0o644)  # MindSpore leaves it unwritable


@contextlib.contextmanager
def _tidy(temporary: Path) -> Iterator[None]:
    """MindSpore leaves its own half-written file where it fails."""
    try:
        with _in_our_words():
            yield
    finally:
        temporary.with_suffix(".tmp").unlink(missing_ok=True)


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    """What MindSpore raises it also logs, with pages of advice; one sentence is enough."""
    logger = mindspore.log._get_logger()
    logger.disabled, before = True, logger.disabled
    try:
        yield
    finally:
        logger.disabled = before


def weights_of(network: nn.Cell) -> dict[str, Parameter]:
    """What a network needs to listen: its parameters by name, without the counters that only training reads."""
    return {name: value for name, value in network.parameters_dict().items() if not name.endswith(COUNTER)}


def numbers_of(network: nn.Cell) -> dict[str, np.ndarray]:
    """The same as arrays."""
    return {name: value.asnumpy() for name, value in weights_of(network).items()}


def update_decoding(path: str | Path, values: Mapping[str, float]) -> None:
    """Writes values that were tuned after training into a checkpoint; its weights stay as they are."""
    stored = load(path)
    meta = replace(stored.meta, decoding={**stored.meta.decoding, **values})
    save(path, stored.parameters, meta)


def load(path: str | Path) -> Checkpoint:
    """Reads and verifies a checkpoint of this package, or the same in half precision.

    Raises:
        CheckpointError: missing, a directory, truncated, corrupt, or not one of ours.
    """
    path = Path(path)
    check_there(path)
    if path.suffix == half.SUFFIX:
        stored = half.read(path)
        return Checkpoint(stored.meta, {name: Parameter(value, name=name) for name, value in stored.weights.items()})
    parameters = _read(path)
    if _META not in parameters:
        raise CheckpointError(f"{path}: a MindSpore checkpoint, but not one that dfcnn_ms.train wrote; train one first")
    meta = Meta.from_json(str(parameters.pop(_META)), where=str(path))
    return Checkpoint(meta, parameters)


def _read(path: Path) -> dict[str, Any]:
    try:
        _check_sizes(_checked_content(path))
        with _in_our_words():  # MindSpore insists on the suffix, and its words differ from version to version
            return dict(ms.load_checkpoint(str(path)))
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path}: cannot be read, it is truncated, corrupt or no checkpoint ({reason}); use an earlier one from "
            "summary/<run>/checkpoints or train again"
        ) from None


def _checked_content(path: Path) -> bytes:
    """What a file holds before its checksum; MindSpore would take one without a sum as it is, damage and all."""
    content = path.read_bytes()
    body, end = content[: -len(_SUM_MARK) - _SUM_BYTES], content[-len(_SUM_MARK) - _SUM_BYTES :]
    if not end.startswith(_SUM_MARK):
        raise ValueError("it ends without a checksum; save it with crc_check=True if it is whole")
    if zlib.crc32(body) != int.from_bytes(end[len(_SUM_MARK) :], "big"):
        raise ValueError("its checksum is wrong")
    return body


def _check_sizes(content: bytes) -> None:
    """MindSpore believes what a file says about the sizes of its arrays, and would write beyond their ends."""
    stored = checkpoint_pb2.Checkpoint()
    try:
        stored.ParseFromString(content)
    except Exception:  # of a package that MindSpore brings along
        raise ValueError("it is no list of parameters") from None
    for tag, parts in itertools.groupby(stored.value, key=lambda value: value.tag):
        tensors = [part.tensor for part in parts]
        size = sum(len(tensor.tensor_content) for tensor in tensors)
        if not size or any(_bytes_of(tensor) != size for tensor in tensors):
            raise ValueError(f"{tag[:80]!r} is not as large as it should be")


def _bytes_of(tensor: Any) -> int:
    """How large an array with this shape and type is; a text has no shape."""
    if tensor.tensor_type == "str":
        return len(tensor.tensor_content) // 4 * 4
    dims = [] if list(tensor.dims) == [0] else list(tensor.dims)
    if any(size < 0 for size in dims) or tensor.tensor_type not in _ITEM_BYTES:
        return -1
    return math.prod(dims) * _ITEM_BYTES[tensor.tensor_type]


def for_use(path: Path, device_target: str) -> Loaded:
    """The network of a checkpoint, ready to listen on a device.

    On a CPU MindSpore takes milliseconds for every operator, however small, unless a batch of this very shape was
    compiled before, which takes seconds. The graph that `export` writes says the same to 1e-5, many times faster.
    """
    from dfcnn_ms.exporting.network import can_be_written
    from dfcnn_ms.runtime import onnx

    stored, device = load(path), use_device(device_target)
    acoustic = in_mindspore(stored)
    if device == "CPU" and can_be_written(stored.meta):
        return onnx.of_weights(stored.meta, numbers_of(acoustic.network), path, device)
    return Loaded(acoustic, stored.meta, device)


def in_mindspore(stored: Checkpoint) -> Acoustic:
    """The network of a checkpoint, ready to listen in MindSpore on the device that was chosen."""
    use_mode("pynative")  # every file has its own length: compiling for each would cost seconds
    config = stored.meta.config
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(stored.meta.vocabulary))
    stored.load_into(network)
    return Acoustic(network)
