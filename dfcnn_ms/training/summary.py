"""What MindInsight shows: curves, the pictures that enter the network, weights, graph and lineage of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.train import Callback, RunContext, SummaryRecord, lineage_pb2

from dfcnn_ms.training.callbacks import current_rate
from dfcnn_ms.training.history import History

#: pictures of a batch that are kept per epoch
IMAGES = 4


class Summary(Callback):
    """Writes the events of one run with MindSpore's own ``SummaryRecord``.

    Args:
        folder: the run's folder under the summary base.
        history: figures of the epochs.
        optimizer: whose rate is plotted.
        every: steps between two points of a curve.
        epochs: after which training ends.
        about: what lineage compares between runs: network, dataset, batch size, ...
    """

    def __init__(
        self,
        folder: Path,
        history: History,
        optimizer: nn.Optimizer,
        every: int,
        epochs: int,
        about: dict[str, str | int | float],
    ) -> None:
        super().__init__()
        self.folder = folder
        self.history = history
        self.optimizer = optimizer
        self.every = every
        self.epochs = epochs
        self.about = about

    def on_train_begin(self, run_context: RunContext) -> None:
        """Makes the folder, so that MindInsight finds the run at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.graph_is_due = ms.get_context("mode") == ms.GRAPH_MODE  # only a compiled network has a graph

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Keeps a point of each curve."""
        step = self.history.step
        if step % self.every == 0 or step == 1:
            latest = self.history.read[-1]
            rate = current_rate(self.optimizer)
            self.history.points.append(
                (step, {"loss": latest.loss, "gradient_norm": latest.norm, "learning_rate": rate})
            )

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Writes the epoch: its curves, error rate, pictures of its last batch and histograms of the weights.

        The record is opened anew each time and closed at once. While one is open, MindSpore's writer process asks
        its queue without pause, which costs a core: on two cores training took more than twice as long.
        """
        arguments = run_context.original_args()
        epoch, step = self.history.last["epoch"], self.history.step
        last_epoch = epoch == self.epochs or run_context.get_stop_requested()
        with SummaryRecord(str(self.folder), file_prefix=f"epoch{epoch:05d}_events") as record:
            for place, values in self.history.points:
                _add_scalars(record, place, {f"train/{name}": value for name, value in values.items()})
            self.history.points = []
            if self.graph_is_due:
                record.add_value("graph", "train_network/auto", arguments.train_network.get_func_graph_proto())
                self.graph_is_due = False
            element = getattr(arguments, "train_dataset_element", None)
            if isinstance(element, list | tuple):
                images = pictures(element[0].asnumpy()[:IMAGES])
                record.add_value("image", "input/spectrograms", Tensor(images))
            for parameter in self.optimizer.parameters:
                if len(parameter.shape) > 1:
                    record.add_value("histogram", parameter.name, Tensor(parameter.asnumpy()))
            if last_epoch:
                record.add_value("train_lineage", "train_lineage", self._lineage())
                record.add_value("custom_lineage_data", "custom_lineage_data", self._custom_lineage())
            _add_scalars(record, step, dict(_of_an_epoch(self.history.last)))

    def _lineage(self) -> lineage_pb2.TrainLineage:
        lineage = lineage_pb2.TrainLineage()
        last = self.history.last
        lineage.algorithm.network = str(self.about["network"])
        lineage.algorithm.loss = last["train_loss"]
        lineage.train_dataset.train_dataset_path = str(self.about["train"])
        lineage.train_dataset.train_dataset_size = int(self.about["utterances"])
        lineage.hyper_parameters.learning_rate = float(self.about["rate"])
        lineage.hyper_parameters.optimizer = str(self.about["optimizer"])
        lineage.hyper_parameters.loss_function = str(self.about["loss"])
        lineage.hyper_parameters.epoch = int(last["epoch"])
        lineage.hyper_parameters.batch_size = int(self.about["batch_size"])
        lineage.hyper_parameters.device_num = int(self.about["workers"])
        best = self.folder / "checkpoints" / "best.ckpt"
        lineage.model.path = json.dumps({"ckpt": str(best)})
        lineage.model.size = best.stat().st_size if best.exists() else 0
        return lineage

    def _custom_lineage(self) -> lineage_pb2.UserDefinedInfo:
        figures = {
            self.history.target: min(record.get(self.history.target, np.inf) for record in self.history.epochs),
            "parameters": int(self.about["parameters"]),
            "seed": int(self.about["seed"]),
        }
        info = lineage_pb2.UserDefinedInfo()
        for key, value in figures.items():
            entry = info.user_info.add()
            kind = "map_int32" if isinstance(value, int) else "map_double"
            getattr(entry, kind)[key] = value
        return info


def pictures(features: np.ndarray) -> np.ndarray:
    """Features (B, 1, T, F) as pictures (B, 1, F, T): time to the right, low frequencies at the bottom, 0..1."""
    upright = features.transpose(0, 1, 3, 2)[:, :, ::-1]  # (B, 1, T, F) -> (B, 1, F, T)
    low = upright.min(axis=(1, 2, 3), keepdims=True)
    high = upright.max(axis=(1, 2, 3), keepdims=True)
    return np.ascontiguousarray((upright - low) / np.maximum(high - low, 1e-6), np.float32)


def _of_an_epoch(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The curves of epochs: the loss of training, and every rate and mean of the dev set, but no counts."""
    for key, value in line.items():
        if key == "train_loss":
            yield "epoch/train_loss", value
        elif key.startswith("dev_") and isinstance(value, float):
            yield key.replace("dev_", "dev/", 1), value


def _add_scalars(record: SummaryRecord, step: int, values: dict[str, float]) -> None:
    """Records a point on each curve, and with it everything that was added to the record before."""
    for tag, value in values.items():
        record.add_value("scalar", tag, Tensor(np.float32(value)))
    record.record(step)
