"""One training run from a configuration: data, network, loss, schedule, optimiser, model, callbacks."""

from __future__ import annotations

import contextlib
import logging
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Model, nn
from mindspore.train import Callback

from dfcnn_ms.config import Config
from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.models.cells.dropout import seed_dropout
from dfcnn_ms.models.cells.hasten import hasten
from dfcnn_ms.models.cells.norm import synchronise
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.runtime.checkpoint import Checkpoint, load
from dfcnn_ms.runtime.device import use_device, use_mode
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.schedules import Plateau
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.callbacks import (
    Bookkeeper,
    Coach,
    EarlyStopping,
    Evaluate,
    GradientReport,
    KeepNetworks,
    Progress,
    ReduceOnPlateau,
    SaveState,
    StopOnNan,
)
from dfcnn_ms.training.cells import TrainStep
from dfcnn_ms.training.datasets import count_infeasible, load_datasets
from dfcnn_ms.training.evaluation import measure
from dfcnn_ms.training.history import History
from dfcnn_ms.training.initial_weights import freeze, set_blank_bias, start_from, statistics_of
from dfcnn_ms.training.interrupt import Interrupt
from dfcnn_ms.training.optimizers import build_optimizer
from dfcnn_ms.training.run_folder import BEST, CHECKPOINTS, last_state, opened
from dfcnn_ms.training.run_state import RunState, Training
from dfcnn_ms.training.summary import Summary
from dfcnn_ms.training.workers import Workers, join

log = logging.getLogger(__name__)

#: with mixed precision a few steps in a row may overflow until the scale has settled
TOLERATED_OVERFLOWS = 20


@dataclass(frozen=True)
class Result:
    """What a finished run leaves.

    Attributes:
        run: its folder.
        best: the checkpoint of the best network.
        dev_error: the lowest of the figure that decides.
        unit: in which errors are counted.
        seconds: that it took.
        trained: whether it took at least one step now.
    """

    run: Path
    best: Path
    dev_error: float
    unit: str
    seconds: float
    trained: bool = True


def train(
    config: Config, *, device_target: str = "auto", run: Path, init: Path | None = None, keep: bool = False
) -> Result:
    """Trains the network of ``config`` and leaves everything in the folder ``run``.

    The manifests must exist; errors in them are found before the first step.

    Args:
        config: the page.
        device_target: ``auto``, ``CPU``, ``GPU`` or ``Ascend``.
        run: a folder of its own.
        init: a checkpoint whose network this one begins with, as far as they match.
        keep: this one also keeps its units and its normalisation, whatever the training set has.
    """
    stored = None if init is None else load(init)
    return _run(config, device_target, run, init=stored, state=None, like=stored.meta if stored and keep else None)


def resume(run: Path, *, device_target: str = "auto") -> Result:
    """Goes on with the run in the folder ``run`` as if it had never been interrupted."""
    state = last_state(run)
    if state.meta.training is None:
        raise CheckpointError(f"--resume {run}: {BEST} holds a network, not the state of its training; use --init")
    return _run(state.meta.config, device_target, run, init=None, state=state, like=state.meta)


def _run(
    config: Config,
    device_target: str,
    run: Path,
    *,
    init: Checkpoint | None,
    state: Checkpoint | None,
    like: Meta | None,
) -> Result:
    started = time.monotonic()
    device = use_device(device_target)
    use_mode(config.train.mode)
    workers = join()
    ms.set_seed(config.train.seed)

    statistics = None if init is None else statistics_of(init.meta, config)
    datasets = load_datasets(config, rank=workers.rank, workers=workers.count, like=like, statistics=statistics)
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(datasets.vocabulary))
    seed_dropout(network, config.train.seed * workers.count + workers.rank)
    set_blank_bias(network, config.train.blank_bias)
    if init is not None:
        start_from(init, network, datasets.vocabulary)
    if workers.count > 1 and config.train.batch_norm == "synchronised":
        synchronise(network, workers.count)
    freeze(network, config.train.freeze)
    step = train_step(config, network, len(datasets.train), workers.count, datasets.vocabulary)
    if config.train.amp == "off":
        hasten(step)
    training = Training(config, datasets, network, step, workers, run)
    run_state = RunState(training, state)
    history = run_state.history
    if _is_finished(history, config):
        log.info("%s is finished: nothing is left to do", run)
        return Result(run, run / CHECKPOINTS / BEST, history.best(), history.unit, 0.0, trained=False)

    with Interrupt() as interrupt, _written_down(run, config, device, workers), _plain_words(datasets.train):
        datasets.train.on_epoch = interrupt.insist
        about = lineage(training)
        chosen = callbacks(training, run_state, about, interrupt)
        _announce(training, device, about, history.step)
        for epochs in _stretches(datasets.train, history, config.train.epochs):
            Model(step).train(
                epochs,
                datasets.train.dataset(),
                callbacks=chosen,
                dataset_sink_mode=config.train.sink,
                initial_epoch=datasets.train.epoch,
            )
            if history.counters.get("finished"):
                break
    return Result(run, run / CHECKPOINTS / BEST, history.best(), history.unit, time.monotonic() - started)


def _is_finished(history: History, config: Config) -> bool:
    done = bool(history.epochs) and history.last["epoch"] >= config.train.epochs and history.step_in_epoch == 0
    return done or bool(history.counters.get("finished"))


def _stretches(source: BatchSource, history: History, epochs: int) -> Iterator[int]:
    """Sets the source to where training stands; yields the epoch to which it can go at one stretch.

    What is left of an interrupted epoch is a stretch of its own, because it has fewer batches.
    """
    if history.step_in_epoch:
        source.epoch, source.skip = history.last["epoch"] - 1, history.step_in_epoch
        yield history.last["epoch"]
    source.epoch, source.skip = (history.last["epoch"] if history.epochs else 0), 0
    if source.epoch < epochs:
        yield epochs


def train_step(
    config: Config, network: nn.Cell, steps_per_epoch: int, workers: int = 1, vocabulary: Vocabulary | None = None
) -> TrainStep:
    """The network with the loss of its task, its optimiser and, with mixed precision, its loss scale."""
    settings = config.train
    mixed = settings.amp != "off"
    backbone = ms.amp.auto_mixed_precision(network, settings.amp) if mixed else network
    loss = config.task.training_cell(backbone, workers, vocabulary)
    rates = settings.rate * settings.schedule.factors(settings.epochs, steps_per_epoch)
    rates = rates[settings.accumulate - 1 :: settings.accumulate]
    optimizer = build_optimizer(settings, loss.trainable_params(), rates)
    scaler = ms.amp.DynamicLossScaler(2.0**15, 2, 1000) if mixed else None
    return TrainStep(
        loss, optimizer, settings.clip_norm, scaler,
        accumulate=settings.accumulate, ema=settings.ema, workers=workers,
    )  # fmt: skip


def callbacks(training: Training, run_state: RunState, about: dict[str, Any], interrupt: Interrupt) -> list[Callback]:
    """All callbacks of a run, in the order in which they depend on each other."""
    config, datasets, step, workers = training.config, training.datasets, training.step, training.workers
    settings, history = config.train, run_state.history
    rates = step.optimizer.learning_rate

    def measured() -> dict[str, float]:
        step.agree(workers)
        with step.in_use():
            sums = measure(Acoustic(training.network), datasets.dev, datasets.vocabulary, workers, config.task)
        return dict(config.task.figures(sums, history.unit))

    lost = count_infeasible(config, datasets.train.corpus)
    chosen: list[Callback] = [
        Bookkeeper(
            history,
            step.optimizer,
            datasets.train,
            lost,
            (settings.read_every, settings.summary_every, settings.save_steps),
        ),
        StopOnNan(history, datasets.train, 0 if step.scaler is None else TOLERATED_OVERFLOWS),
        Evaluate(history, measured),
    ]
    if isinstance(settings.schedule, Plateau):
        chosen.append(ReduceOnPlateau(history, rates, settings.schedule.patience, settings.schedule.factor))
    if settings.early_stopping:
        chosen.append(EarlyStopping(history, settings.early_stopping))
    coach = None if settings.coach == "off" else Coach(history, rates, act=settings.coach == "act")
    if coach is not None:
        chosen.append(coach)
    if workers.is_first:
        chosen += [
            KeepNetworks(history, run_state.save_network, run_state.folder, settings.keep_best, settings.save_every),
            Summary(training.run, history, step.optimizer, settings.summary_every, settings.epochs, about),
            Progress(history, step.optimizer, settings.epochs, datasets.train, coach),
        ]
        if settings.gradient_report:
            names = [weight.name for weight in step.weights]
            chosen.append(GradientReport(history, training.run / "gradients.jsonl", names, settings.gradient_report))
    state = SaveState(
        history,
        run_state.save_state,
        steps_per_epoch=len(datasets.train.plan),
        every=settings.save_steps,
        asked=lambda: run_state.all_asked(interrupt.requested),
        again=f"python -m dfcnn_ms.train --resume {shlex.quote(str(training.run))}",
    )
    return [*chosen, state]


def lineage(training: Training) -> dict[str, Any]:
    """What MindInsight compares between runs."""
    config, datasets = training.config, training.datasets
    return {
        "network": type(config.model).__name__,
        "loss": config.task.loss,
        "train": str(config.data.train),
        "utterances": len(datasets.train.corpus),
        "rate": config.train.rate,
        "optimizer": config.train.optimizer,
        "batch_size": config.train.batch_size,
        "workers": datasets.train.workers,
        "parameters": count_parameters(training.network),
        "seed": config.train.seed,
    }


def count_parameters(network: nn.Cell) -> int:
    """Trainable numbers in ``network``."""
    return sum(int(ms.ops.size(parameter)) for parameter in network.trainable_params())


def _announce(training: Training, device: str, about: dict[str, Any], done: int) -> None:
    workers, datasets = training.workers, training.datasets
    if not workers.is_first:
        return
    company = f"{workers.count} workers on " if workers.count > 1 else ""
    extra = count_parameters(training.step.network) - about["parameters"]
    log.info(
        "%s on %s%s: %d utterances, %d units, %d parameters%s, %d steps per epoch in %d shapes, each compiled once",
        training.config.name, company, device, about["utterances"], len(datasets.vocabulary), about["parameters"],
        f" and {extra} that only training has" if extra else "",
        len(datasets.train.plan), len(datasets.train.plan.buckets),
    )  # fmt: skip
    if done:
        log.info("going on after step %d", done)


@contextlib.contextmanager
def _written_down(run: Path, config: Config, device: str, workers: Workers) -> Iterator[None]:
    """The first worker writes down what is run; the others are silent below warnings."""
    if workers.is_first:
        with opened(run, config, device):
            yield
    else:
        logging.getLogger("dfcnn_ms").setLevel(logging.WARNING)
        yield


@contextlib.contextmanager
def _plain_words(source: BatchSource) -> Iterator[None]:
    """Raises what the loader met in the data instead of MindSpore's RuntimeError about its pipeline."""
    try:
        yield
    except RuntimeError:
        if source.error is None:
            raise
        raise source.error from None
