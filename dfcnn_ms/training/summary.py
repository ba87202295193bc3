"""What MindInsight shows: curves, the pictures that enter the network, weights, graph and lineage of a run."""

from __future__ import annotations

import json
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.train import Callback, RunContext, SummaryRecord, lineage_pb2

from dfcnn_ms.training.callbacks import current_rate, step_outputs
from dfcnn_ms.training.history import TARGET, History

#: pictures of a batch that are kept per epoch
IMAGES = 4


class Summary(Callback):
    """Writes the events of one run with MindSpore's own ``SummaryRecord``.

    Args:
        folder: the run's folder under the summary base.
        history: figures of the epochs.
        optimizer: whose rate is plotted.
        every: steps between two points of a curve.
        about: what lineage compares between runs: network, dataset, batch size, ...
    """

    def __init__(
        self, folder: Path, history: History, optimizer: nn.Optimizer, every: int, about: dict[str, str | int | float]
    ) -> None:
        super().__init__()
        self.folder = folder
        self.history = history
        self.optimizer = optimizer
        self.every = every
        self.about = about

    def __enter__(self) -> Summary:
        self.record = SummaryRecord(str(self.folder))
        return self

    def __exit__(self, *error: object) -> None:
        self.record.close()

    def on_train_step_end(self, run_context: RunContext) -> None:
        """A point on each curve, and once the compiled graph."""
        arguments = run_context.original_args()
        step = arguments.cur_step_num
        if step == 1:
            self._graph(arguments.train_network)
        if step % self.every == 0 or step == 1:
            loss, norm, _ = step_outputs(run_context)
            self._scalars(step, loss=loss, gradient_norm=norm, learning_rate=current_rate(self.optimizer))

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """The error rate, the pictures of the last batch and the histograms of the weights."""
        arguments = run_context.original_args()
        step = arguments.cur_step_num
        if TARGET in self.history.last:
            self.record.add_value("scalar", "dev/syllable_error_rate", _scalar(self.history.last[TARGET]))
        self.record.add_value("scalar", "epoch/train_loss", _scalar(self.history.last["train_loss"]))
        element = getattr(arguments, "train_dataset_element", None)
        if isinstance(element, list | tuple):
            self.record.add_value("image", "input/spectrograms", Tensor(pictures(element[0].asnumpy()[:IMAGES])))
        for parameter in self.optimizer.parameters:
            if len(parameter.shape) > 1:
                self.record.add_value("histogram", parameter.name, Tensor(parameter.asnumpy()))
        self.record.record(step)
        self.record.flush()

    def on_train_end(self, run_context: RunContext) -> None:
        """The lineage of the run: what was trained, on what, with which settings and to what error."""
        step = run_context.original_args().cur_step_num
        self.record.add_value("train_lineage", "train_lineage", self._lineage(step))
        self.record.add_value("custom_lineage_data", "custom_lineage_data", self._custom_lineage())
        self.record.record(step)
        self.record.flush()

    def _scalars(self, step: int, **values: float) -> None:
        for name, value in values.items():
            self.record.add_value("scalar", f"train/{name}", _scalar(value))
        self.record.record(step)

    def _graph(self, network: nn.Cell) -> None:
        """Only a compiled network has a graph."""
        if ms.get_context("mode") == ms.GRAPH_MODE:
            graph = network.get_func_graph_proto()
            if graph is not None:
                self.record.add_value("graph", "train_network/auto", graph)

    def _lineage(self, steps: int) -> lineage_pb2.TrainLineage:
        lineage = lineage_pb2.TrainLineage()
        last = self.history.last
        lineage.algorithm.network = str(self.about["network"])
        lineage.algorithm.loss = last["train_loss"]
        lineage.train_dataset.train_dataset_path = str(self.about["train"])
        lineage.train_dataset.train_dataset_size = int(self.about["utterances"])
        lineage.hyper_parameters.learning_rate = float(self.about["rate"])
        lineage.hyper_parameters.optimizer = str(self.about["optimizer"])
        lineage.hyper_parameters.loss_function = "CTCLoss"
        lineage.hyper_parameters.epoch = int(last["epoch"])
        lineage.hyper_parameters.batch_size = int(self.about["batch_size"])
        lineage.hyper_parameters.device_num = 1
        best = self.folder / "checkpoints" / "best.ckpt"
        lineage.model.path = json.dumps({"ckpt": str(best)})
        lineage.model.size = best.stat().st_size if best.exists() else 0
        return lineage

    def _custom_lineage(self) -> lineage_pb2.UserDefinedInfo:
        figures = {
            "dev_syllable_error_rate": min(record.get(TARGET, np.inf) for record in self.history.epochs),
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


def _scalar(value: float) -> Tensor:
    return Tensor(np.float32(value))
