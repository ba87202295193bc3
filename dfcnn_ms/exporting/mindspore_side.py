"""What only MindSpore can do for an export: read a checkpoint, say what is right, and write its own formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from dfcnn_ms.errors import CheckpointError, ConfigError, DeviceError
from dfcnn_ms.runtime import checkpoint, half
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.runtime.device import available_devices, use_device, use_mode
from dfcnn_ms.runtime.meta import Meta


@dataclass(frozen=True)
class Original:
    """A checkpoint that is to be exported.

    Attributes:
        network: the Cell, ready to listen.
        acoustics: the same in use, in MindSpore.
        meta: what it knows about itself.
    """

    network: nn.Cell
    acoustics: Acoustic
    meta: Meta

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Its numbers by name."""
        return checkpoint.numbers_of(self.network)


def read(path: Path) -> Original:
    """Opens a checkpoint on the CPU, where all numbers are compared.

    Raises:
        CheckpointError: it cannot be read, or is none of ours.
    """
    if path.suffix not in half.LEARNING:
        raise CheckpointError(
            f"{path}: wanted a checkpoint of dfcnn_ms.train, a file that ends in {' or '.join(half.LEARNING)}"
        )
    stored = checkpoint.load(path)
    use_device("CPU")
    acoustic = checkpoint.in_mindspore(stored)
    return Original(acoustic.network, acoustic, stored.meta)


class WithLogSoftmax(nn.Cell):
    """Features (B, 1, T, F) and lengths (B,) -> log-probabilities (B, U, V), as every exported network gives them."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__()
        self.network = network

    def construct(self, features: Tensor, lengths: Tensor) -> Tensor:
        return ops.log_softmax(self.network(features, lengths), -1)


def write(original: Original, path: Path, file_format: str) -> None:
    """Writes MINDIR or AIR, for any batch and any length.

    Raises:
        ConfigError: a network with a decoder.
        DeviceError: AIR, on a machine without an Ascend.
    """
    if original.meta.config.model.has_decoder:
        raise ConfigError(
            f"--format {file_format.lower()}: the network writes by its decoder, which only ONNX brings along; use "
            "--format onnx"
        )
    if file_format == "AIR":
        if "Ascend" not in available_devices():
            raise DeviceError(
                f"--format air: MindSpore {ms.__version__} writes AIR only on a machine with an Ascend, and finds none "
                "here; run the command there, or use --format mindir or onnx"
            )
        use_device("Ascend")
    bins = original.meta.config.features.num_bins
    features, lengths = Tensor(shape=[None, 1, None, bins], dtype=ms.float32), Tensor(shape=[None], dtype=ms.int32)
    use_mode("graph")
    try:
        ms.export(
            WithLogSoftmax(original.network).set_train(False), features, lengths,
            file_name=str(path), file_format=file_format,
        )  # fmt: skip
    finally:
        use_mode("pynative")


def run_mindir(path: Path, features: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Log-probabilities (B, U, V) of a MINDIR file."""
    cell = nn.GraphCell(ms.load(str(path)))
    log_probs: np.ndarray = cell(Tensor(features, ms.float32), Tensor(lengths, ms.int32)).asnumpy()
    return log_probs
