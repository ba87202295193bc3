"""Exported networks in use, by onnxruntime: no MindSpore, neither to load nor to listen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from dfcnn_ms import machine
from dfcnn_ms.decoding.memory import Remembering
from dfcnn_ms.errors import CheckpointError, DataError, DeviceError
from dfcnn_ms.files import replacing
from dfcnn_ms.models.writer import Writer
from dfcnn_ms.runtime.bundle import DECODER, MEMORY, META, Bundle
from dfcnn_ms.runtime.loaded import Loaded, check_there
from dfcnn_ms.runtime.meta import Meta

#: device -> what onnxruntime calls it, best first
PROVIDERS = {
    "Ascend": "CANNExecutionProvider",
    "GPU": "CUDAExecutionProvider",
    "CPU": "CPUExecutionProvider",
}
_ERRORS_ALONE = 3


class OnnxAcoustics:
    """An exported network: NumPy features in, NumPy log-probabilities out.

    Args:
        bundle: one that is given features.
        device: one of `PROVIDERS`.
        writer: the decoder of a network that has one.
        threads: how many compute; 0: as many as the environment asks for, or as there are cores.

    Example:
        >>> log_probs, steps = OnnxAcoustics(bundle)(features, lengths)  # (B, U, V), (B,)
    """

    def __init__(self, bundle: Bundle, device: str = "CPU", threads: int = 0, *, writer: Writer | None = None) -> None:
        self.writer = writer
        self.session = session_of(bundle, device, threads)
        self._inputs = [one.name for one in self.session.get_inputs()]

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities (B, U, V) of features (B, 1, T, F), and the steps (B,) that belong to each utterance.

        Those of a network with a decoder remember what it looks at.

        Raises:
            DataError: a feature is NaN or infinite.
            CheckpointError: the network of the file cannot be run.
            MemoryError: the batch is too large.
        """
        if not np.isfinite(features).all():
            raise DataError("the features of an utterance are NaN or infinite; is its sound far too loud, or damaged?")
        given = (np.asarray(features, np.float32), np.asarray(lengths, np.int64))
        wanted = ["log_probs", "steps", *([] if self.writer is None else [MEMORY])]
        try:
            log_probs, steps, *memory = self.session.run(wanted, dict(zip(self._inputs, given, strict=True)))
        except Exception as error:  # onnxruntime has a family of errors of its own, and none above them
            if "memory" in str(error).lower():
                raise MemoryError(_reason(error)) from None
            raise CheckpointError(f"onnxruntime cannot run the network: {_reason(error)}; export it again") from None
        if self.writer is not None:
            log_probs = Remembering.of(log_probs, memory[0], self.writer)
        return log_probs, steps


def writer_of(bundle: Bundle, meta: Meta) -> Writer | None:
    """The decoder that a file brings along, if its network has one."""
    network = meta.config.model
    if not network.has_decoder:
        return None
    return Writer(bundle.arrays(DECODER), network.decoder_depth, network.heads)


def session_of(bundle: Bundle, device: str = "CPU", threads: int = 0) -> Any:
    """A session of onnxruntime with a network in it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ALONE
    options.intra_op_num_threads = threads or machine.threads()
    options.enable_mem_pattern = False  # every batch has another shape
    # Threads that spin between requests take from others what they wait for (docs/serving.md).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = dict.fromkeys([PROVIDERS[device], PROVIDERS["CPU"]])
    return onnxruntime.InferenceSession(bundle.to_bytes(), options, providers=list(providers))


def read(path: Path) -> tuple[Bundle, Meta]:
    """An exported network, and what it knows about itself.

    Raises:
        CheckpointError: missing, truncated, damaged, of another program or of a newer version.
    """
    check_there(path)
    bundle = Bundle.from_bytes(path.read_bytes(), where=str(path))
    return bundle, Meta.from_json(bundle.metadata[META], where=str(path))


def for_use(path: Path, device_target: str) -> Loaded:
    """The network of a file, ready to listen on a device."""
    return in_use(*read(path), path, device_target)


def in_use(bundle: Bundle, meta: Meta, path: Path, device_target: str) -> Loaded:
    """A network that was read from a file, ready to listen on a device."""
    device = _device(device_target)
    try:
        acoustics = OnnxAcoustics(bundle.of_features(), device, writer=writer_of(bundle, meta))
    except Exception as error:
        raise CheckpointError(f"{path}: onnxruntime {onnxruntime.__version__} refuses it: {_reason(error)}") from None
    return Loaded(acoustics, meta, device)


def of_weights(meta: Meta, weights: Mapping[str, np.ndarray], path: Path, device_target: str) -> Loaded:
    """The graph that exporting would write of a network, ready to listen; nothing is written.

    Args:
        meta: what the network knows about itself.
        weights: its numbers, by name.
        path: of the file that they are from, for messages.
        device_target: where it is to run.
    """
    from dfcnn_ms.exporting.network import bundle_of, write

    try:
        layers = write(meta, weights)
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path}: its weights do not fit the network that its page describes ({error})") from None
    return in_use(bundle_of(layers, meta, waveform=False, precision="float32"), meta, path, device_target)


def update_decoding(path: Path, values: Mapping[str, float]) -> None:
    """Writes values that were tuned later into an exported network; its graph stays as it is."""
    bundle, meta = read(path)
    tuned = replace(meta, decoding={**meta.decoding, **values})
    with replacing(path) as temporary:
        temporary.write_bytes(bundle.saying(**{META: tuned.to_json()}).to_bytes())


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _device(target: str) -> str:
    there = onnxruntime.get_available_providers()
    devices = [device for device, provider in PROVIDERS.items() if provider in there]
    if target == "auto":
        return devices[0]
    if target not in devices:
        raise DeviceError(
            f"--device_target {target}: onnxruntime {onnxruntime.__version__} finds no {target} on this machine, only "
            f"{', '.join(devices)}; use one of them, or the checkpoint that the file was exported from"
        )
    return target
