"""MindSpore checkpoints: one file that is enough, weights and :class:`~dfcnn_ms.runtime.meta.Meta` together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Parameter, nn

from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.files import replacing
from dfcnn_ms.models.cells.dropout import COUNTER
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.runtime.device import use_device, use_mode
from dfcnn_ms.runtime.loaded import Loaded, check_there
from dfcnn_ms.runtime.meta import Meta

#: what the names of averaged weights begin with, in a checkpoint that holds the whole state of training
AVERAGE = "ema."
_META = "dfcnn_ms"


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
        return {name: averaged.get(name, self.parameters[name]) for name in self.meta.training["network"]}

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
    with replacing(path) as temporary:
        ms.save_checkpoint(entries, str(temporary), append_dict={_META: meta.to_json()}, crc_check=True)
        temporary.chmod(0o644)  # MindSpore leaves it unwritable


def weights_of(network: nn.Cell) -> dict[str, Parameter]:
    """What a network needs to listen: its parameters by name, without the counters that only training reads."""
    return {name: value for name, value in network.parameters_dict().items() if not name.endswith(COUNTER)}


def update_decoding(path: str | Path, values: Mapping[str, float]) -> None:
    """Writes values that were tuned after training into a checkpoint; its weights stay as they are."""
    stored = load(path)
    meta = replace(stored.meta, decoding={**stored.meta.decoding, **values})
    save(path, stored.parameters, meta)


def load(path: str | Path) -> Checkpoint:
    """Reads and verifies a checkpoint of this package.

    Raises:
        CheckpointError: missing, a directory, truncated, corrupt, or not one of ours.
    """
    path = Path(path)
    check_there(path)
    parameters = _read(path)
    if _META not in parameters:
        raise CheckpointError(f"{path}: a MindSpore checkpoint, but not one that dfcnn_ms.train wrote; train one first")
    meta = Meta.from_json(str(parameters.pop(_META)), where=str(path))
    return Checkpoint(meta, parameters)


def _read(path: Path) -> dict[str, Any]:
    try:
        # MindSpore insists on the suffix; its message on corrupt files differs from version to version.
        return dict(ms.load_checkpoint(str(path), crc_check=True))
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path}: cannot be read, it is truncated, corrupt or no checkpoint ({reason}); use an earlier one from "
            "summary/<run>/checkpoints or train again"
        ) from None


def for_use(path: Path, device_target: str) -> Loaded:
    """The network of a checkpoint, ready to listen on a device."""
    stored = load(path)
    device = use_device(device_target)
    use_mode("pynative")  # every file has its own length: compiling for each would cost seconds
    config = stored.meta.config
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(stored.meta.vocabulary))
    stored.load_into(network)
    return Loaded(Acoustic(network), stored.meta, device)
