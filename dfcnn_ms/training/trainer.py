"""One training run from a configuration: data, network, loss, schedule, optimiser, model, callbacks."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Model, nn
from mindspore.train import Callback

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import Config, TrainConfig
from dfcnn_ms.corpora.manifest import Utterance, read_labelled, read_utterance
from dfcnn_ms.decoding.greedy import decode_greedy_batch
from dfcnn_ms.errors import DataError, DfcnnError
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.models import build
from dfcnn_ms.models.acoustic import Acoustic
from dfcnn_ms.models.dfcnn import count_parameters
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training import checkpoint, runtime
from dfcnn_ms.training.batches import BatchSource, Corpus, infeasible, open_corpus, plan_batches
from dfcnn_ms.training.callbacks import (
    Bookkeeper,
    Checkpoints,
    EarlyStopping,
    Evaluate,
    Progress,
    ReduceOnPlateau,
    StopOnNan,
)
from dfcnn_ms.training.cells import TrainStep, WithLossCell
from dfcnn_ms.training.history import TARGET, History
from dfcnn_ms.training.losses import CTCLoss
from dfcnn_ms.training.optimizers import build_optimizer
from dfcnn_ms.training.schedules import Plateau
from dfcnn_ms.training.summary import Summary

log = logging.getLogger(__name__)

#: with mixed precision a few steps in a row may overflow until the scale has settled
TOLERATED_OVERFLOWS = 20
#: utterances that global statistics are estimated from
CMVN_UTTERANCES = 1000


@dataclass(frozen=True)
class Result:
    """What a finished run leaves."""

    run: Path
    best: Path
    dev_syllable_error_rate: float
    seconds: float


@dataclass(frozen=True)
class Material:
    """What a network learns from and is measured on."""

    vocabulary: Vocabulary
    frontend: Frontend
    train: BatchSource
    dev: BatchSource


def train(config: Config, *, device_target: str = "auto", run: Path) -> Result:
    """Trains the network of ``config`` and leaves everything in the folder ``run``.

    The manifests must exist; errors in them are found before the first step.
    """
    started = time.monotonic()
    device = runtime.use_device(device_target)
    runtime.use_mode(config.train.mode)
    ms.set_seed(config.train.seed)

    material = load_material(config)
    network = build(config.model, num_bins=config.features.num_bins, num_units=len(material.vocabulary))
    check_feasible(network, material.train.corpus, str(config.data.train))
    step = train_step(config.train, network, len(material.train))
    history = History(run / "metrics.jsonl")
    with opened(run, config, device):
        log.info(
            "%s on %s: %d utterances, %d units, %d parameters, %d steps per epoch in %d shapes, each compiled once",
            config.name, device, len(material.train.corpus), len(material.vocabulary),
            count_parameters(network), len(material.train), len(material.train.plan.buckets),
        )  # fmt: skip
        with data_errors_in_plain_words(material.train):
            Model(step).train(
                config.train.epochs,
                material.train.dataset(),
                callbacks=callbacks(config, material, network, step, history, run),
                dataset_sink_mode=config.train.sink,
            )
    best = min(record[TARGET] for record in history.epochs)
    return Result(run, run / "checkpoints" / "best.ckpt", best, time.monotonic() - started)


def load_material(config: Config) -> Material:
    """Reads the manifests, fixes vocabulary and front end, and plans the batches."""
    train_set, dev_set = (read_labelled(path, config.data.labels) for path in (config.data.train, config.data.dev))
    _check_lengths(train_set, config.data.max_seconds)
    vocabulary = Vocabulary.build(utterance.pinyin for utterance in train_set)
    frontend = Frontend(config.features, config.cmvn).fitted(map(read_utterance, train_set[:CMVN_UTTERANCES]))
    return Material(
        vocabulary,
        frontend,
        train=_source(config, vocabulary, frontend, train_set, training=True),
        dev=_source(config, vocabulary, frontend, dev_set, training=False),
    )


def _check_lengths(utterances: Sequence[Utterance], max_seconds: float) -> None:
    too_long = [utterance for utterance in utterances if utterance.seconds > max_seconds]
    if too_long:
        first = too_long[0]
        raise DataError(
            f"{first.where}: {first.seconds} s is longer than data.max_seconds={max_seconds} "
            f"({len(too_long)} such utterances); raise it or split them"
        )


def _source(
    config: Config,
    vocabulary: Vocabulary,
    frontend: Frontend,
    utterances: Sequence[Utterance],
    *,
    training: bool,
) -> BatchSource:
    """The batches of one split: shuffled and augmented in training, as they are otherwise."""
    corpus = open_corpus(
        utterances,
        [vocabulary.encode(utterance.pinyin, where=utterance.where) for utterance in utterances],
        frontend,
        cache=config.data.train.parent / "cache" if config.data.cache else None,
        augment_wave=config.augment.wave if training else (),
        augment_features=config.augment.features if training else (),
        seed=config.train.seed,
    )
    frames = [corpus.frames(index) for index in range(len(corpus))]
    plan = plan_batches(frames, config.train.batch_size, config.train.buckets, shuffle=training, seed=config.train.seed)
    return BatchSource(corpus, plan)


def check_feasible(network: nn.Cell, corpus: Corpus, where: str) -> None:
    """Says how many utterances CTC cannot align; refuses a training set in which that is the rule."""
    steps = [network.output_lengths(corpus.frames(index)) for index in range(len(corpus))]
    lost = infeasible(corpus.labels, steps)
    if not lost:
        return
    first = corpus.utterances[lost[0]]
    message = (
        f"{where}: {len(lost)} of {len(corpus)} utterances have more syllables than output steps, "
        f"first {first.id} ({len(first.pinyin)} syllables, {steps[lost[0]]} steps)"
    )
    if len(lost) > len(corpus) / 2:
        raise DataError(f"{message}; pool less over time in model.blocks")
    log.warning("%s; they contribute nothing", message)


def train_step(config: TrainConfig, network: nn.Cell, steps_per_epoch: int) -> TrainStep:
    """The network with its loss, its optimiser and, with mixed precision, its loss scale."""
    mixed = config.amp != "off"
    backbone = ms.amp.auto_mixed_precision(network, config.amp) if mixed else network
    loss = WithLossCell(backbone, CTCLoss())
    rates = config.rate * config.schedule.factors(config.epochs, steps_per_epoch)
    optimizer = build_optimizer(config, loss.trainable_params(), rates)
    scaler = ms.amp.DynamicLossScaler(2.0**15, 2, 1000) if mixed else None
    return TrainStep(loss, optimizer, config.clip_norm, scaler)


def callbacks(
    config: Config, material: Material, network: nn.Cell, step: TrainStep, history: History, run: Path
) -> list[Callback]:
    """All callbacks of a run, in the order in which they depend on each other."""
    settings = config.train
    manifests = absolute_manifests(config)

    def save(path: Path, epoch: int, steps: int) -> None:
        figures = {key: value for key, value in history.last.items() if key.startswith(("dev_", "train_loss"))}
        statistics = material.frontend.statistics
        meta = checkpoint.Meta(config, material.vocabulary, statistics, manifests, epoch, steps, figures)
        checkpoint.save(path, network, meta)

    chosen: list[Callback] = [
        Bookkeeper(history, step.optimizer, len(material.train.corpus)),
        StopOnNan(material.train, 0 if step.scaler is None else TOLERATED_OVERFLOWS),
        Evaluate(history, lambda: syllable_errors(Acoustic(network), material.dev, material.vocabulary)),
        Checkpoints(history, save, run / "checkpoints", settings.save_every),
        Summary(run, history, step.optimizer, settings.summary_every, lineage(config, material, network)),
    ]
    if isinstance(settings.schedule, Plateau):
        plateau = settings.schedule
        chosen.append(ReduceOnPlateau(history, step.optimizer.learning_rate, plateau.patience, plateau.factor))
    if settings.early_stopping:
        chosen.append(EarlyStopping(history, settings.early_stopping))
    return [*chosen, Progress(history, step.optimizer, settings.epochs, settings.batch_size)]


def lineage(config: Config, material: Material, network: nn.Cell) -> dict[str, Any]:
    """What MindInsight compares between runs."""
    return {
        "network": type(network).__name__,
        "train": str(config.data.train),
        "utterances": len(material.train.corpus),
        "rate": config.train.rate,
        "optimizer": config.train.optimizer,
        "batch_size": config.train.batch_size,
        "parameters": count_parameters(network),
        "seed": config.train.seed,
    }


def syllable_errors(acoustic: Acoustic, source: BatchSource, vocabulary: Vocabulary) -> Edits:
    """Decodes every utterance of ``source`` greedily and counts the edits of the whole corpus."""
    total = Edits()
    for batch in source.plan():
        features, _, lengths, _ = source.arrays(batch)
        log_probs, steps = acoustic(features, lengths)
        for index, hypothesis in zip(batch.indices, decode_greedy_batch(log_probs, steps), strict=False):
            total += edits(source.corpus.utterances[index].pinyin, vocabulary.decode(hypothesis.ids))
    return total


def absolute_manifests(config: Config) -> dict[str, str]:
    """Split -> manifest, so that a checkpoint finds its test set from any folder."""
    splits = {"train": config.data.train, "dev": config.data.dev, "test": config.data.test}
    return {split: str(path.absolute()) for split, path in splits.items() if path is not None}


@contextlib.contextmanager
def data_errors_in_plain_words(source: BatchSource) -> Iterator[None]:
    """Raises what the loader met in the data instead of MindSpore's RuntimeError about its pipeline."""
    try:
        yield
    except RuntimeError:
        if source.error is None:
            raise
        raise source.error from None


@contextlib.contextmanager
def opened(run: Path, config: Config, device: str) -> Iterator[None]:
    """The run folder: what will be run on what is written down, and everything said goes to ``log.txt``."""
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    (run / "environment.json").write_text(json.dumps(runtime.environment(device), indent=2) + "\n")
    handler = logging.FileHandler(run / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    package = logging.getLogger("dfcnn_ms")
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        handler.close()


def new_run(base: Path, name: str) -> Path:
    """A folder under ``base`` that no run has used: the name, then the name with a number."""
    for number in range(1, 10_000):
        run = base / (name if number == 1 else f"{name}-{number}")
        if not run.exists():
            return run
    raise DfcnnError(f"{base}: holds 9,999 runs called {name}; choose another name with --run")
