"""The mean of several networks of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from mindspore import Parameter

from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.runtime.checkpoint import load, save
from dfcnn_ms.training.run_folder import CHECKPOINTS


def best_of(run: Path, count: int) -> list[Path]:
    """The ``epochNNN.ckpt`` of a run whose dev error was lowest, the best first.

    Raises:
        CheckpointError: the run has kept fewer than two.
    """
    found = [(load(path).meta.dev_error, path) for path in sorted((run / CHECKPOINTS).glob("epoch*.ckpt"))]
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
