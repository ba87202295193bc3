"""One file that is enough: weights, configuration, vocabulary, normalisation and where training stood."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import Config, parse_config
from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.files import replacing
from dfcnn_ms.models.dropout import COUNTER
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.history import TARGET

FORMAT = 1
#: what the names of averaged weights begin with, in a checkpoint that holds the whole state of training
AVERAGE = "ema."
_META = "dfcnn_ms"


@dataclass(frozen=True)
class Meta:
    """Everything in a checkpoint besides the weights.

    Attributes:
        config: the resolved page the network was trained with.
        vocabulary: the units of its outputs.
        cmvn: the global normalisation, or None.
        manifests: split -> absolute path of the manifest, where it was when training ran.
        epoch, step: where training stood.
        metrics: figures of the epoch that was saved, such as ``dev_syllable_error_rate``.
        decoding: what was tuned on the dev set after training: ``lm_weight``, ``length_bonus``, ``temperature``.
        training: everything but numbers that a resumed training needs, in a checkpoint that can be resumed.
    """

    config: Config
    vocabulary: Vocabulary
    cmvn: GlobalCmvn | None = None
    manifests: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    decoding: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """The meta data as text, as it is stored."""
        return json.dumps(
            {
                "format": FORMAT,
                "config": self.config.model_dump(mode="json"),
                "vocabulary": json.loads(self.vocabulary.to_json()),
                "cmvn": None if self.cmvn is None else self.cmvn.to_dict(),
                "manifests": dict(self.manifests),
                "epoch": self.epoch,
                "step": self.step,
                "metrics": dict(self.metrics),
                "decoding": dict(self.decoding),
                "training": self.training,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str, where: str) -> Meta:
        """Reads back what :meth:`to_json` wrote; ``where`` names the file in errors."""
        stored = json.loads(text)
        if stored["format"] != FORMAT:
            raise CheckpointError(
                f"{where}: written in format {stored['format']}, this version of dfcnn_ms reads format {FORMAT}; "
                "use the version that wrote it"
            )
        return cls(
            config=parse_config(stored["config"], where=where),
            vocabulary=Vocabulary.from_json(json.dumps(stored["vocabulary"])),
            cmvn=None if stored["cmvn"] is None else GlobalCmvn.from_dict(stored["cmvn"]),
            manifests=stored["manifests"],
            epoch=stored["epoch"],
            step=stored["step"],
            metrics=stored["metrics"],
            decoding=stored.get("decoding", {}),
            training=stored.get("training"),
        )


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


def best_of(run: Path, count: int) -> list[Path]:
    """The ``epochNNN.ckpt`` of a run whose dev error was lowest, the best first.

    Raises:
        CheckpointError: the run has kept fewer than two.
    """
    found = [(load(path).meta.metrics[TARGET], path) for path in sorted((run / "checkpoints").glob("epoch*.ckpt"))]
    if len(found) < 2:
        raise CheckpointError(
            f"{run}: has kept {len(found)} networks, wanted at least 2 to average; train with train.keep_best=5 "
            "or train.save_every=1"
        )
    return [path for _, path in sorted(found)[:count]]


def save_mean(path: str | Path, sources: Sequence[Path]) -> None:
    """Writes the mean of the weights of several checkpoints of one network.

    Raises:
        CheckpointError: they are not of one network, or do not write the same units.
    """
    stored = [load(source) for source in sources]
    first = stored[0]
    for source, other in zip(sources, stored, strict=True):
        same = other.meta.config.model == first.meta.config.model and other.meta.vocabulary == first.meta.vocabulary
        if not same or shapes(other.weights) != shapes(first.weights):
            raise CheckpointError(f"{source}: is another network than {sources[0]}; average networks of one kind")
    means = {
        name: Parameter(
            np.mean([one.weights[name].asnumpy().astype(np.float64) for one in stored], axis=0).astype(
                value.asnumpy().dtype
            ),
            name=name,
        )
        for name, value in first.weights.items()
    }
    save(path, means, replace(first.meta, training=None, metrics={}))


def shapes(weights: Mapping[str, Parameter]) -> dict[str, tuple[int, ...]]:
    """Name -> shape."""
    return {name: tuple(value.shape) for name, value in weights.items()}


def load(path: str | Path) -> Checkpoint:
    """Reads and verifies a checkpoint of this package.

    Raises:
        CheckpointError: missing, a directory, truncated, corrupt, or not one of ours.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path}: is a directory, wanted a checkpoint file such as dfcnn.ckpt")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; train one with: python -m dfcnn_ms.train")
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
