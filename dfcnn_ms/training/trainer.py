"""One training run from a configuration: data, network, loss, schedule, optimiser, model, callbacks."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Model, nn
from mindspore.train import Callback

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import Config
from dfcnn_ms.corpora.manifest import Utterance, check_audio, read_manifest
from dfcnn_ms.decoding.greedy import decode_greedy_batch
from dfcnn_ms.errors import DataError, DfcnnError
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.models import build
from dfcnn_ms.models.acoustic import Acoustic
from dfcnn_ms.models.dfcnn import count_parameters
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training import checkpoint, runtime
from dfcnn_ms.training.batches import BatchSource, Corpus, infeasible, open_corpus, plan_batches, wave_of
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


def train(config: Config, *, device_target: str = "auto", run: Path) -> Result:
    """Trains the network of ``config`` and leaves everything in the folder ``run``.

    The manifests must exist; errors in them are found before the first step.
    """
    started = time.monotonic()
    device = runtime.use_device(device_target)
    runtime.use_mode(config.train.mode)
    ms.set_seed(config.train.seed)

    train_set, dev_set = (_utterances(path) for path in (config.data.train, config.data.dev))
    vocabulary = Vocabulary.build(utterance.pinyin for utterance in train_set)
    for utterance in dev_set:
        vocabulary.encode(utterance.pinyin, where=utterance.where)
    frontend = Frontend(config.features, config.cmvn).fitted(map(wave_of, train_set[:CMVN_UTTERANCES]))
    train_source, dev_source = _sources(config, frontend, vocabulary, train_set, dev_set)

    network = build(config.model, num_bins=config.features.num_bins, num_units=len(vocabulary))
    _check_feasible(network, train_source.corpus, str(config.data.train))
    loss = WithLossCell(_mixed_precision(network, config.train.amp), CTCLoss())
    steps_per_epoch = len(train_source)
    rates = config.train.rate * config.train.schedule.factors(config.train.epochs, steps_per_epoch)
    optimizer = build_optimizer(config.train, loss.trainable_params(), rates)
    scaler = None if config.train.amp == "off" else ms.amp.DynamicLossScaler(2.0**15, 2.0, 1000)
    model = Model(TrainStep(loss, optimizer, config.train.clip_norm, scaler))

    folder = _open_run(run, config, device)
    history = History(run / "metrics.jsonl")
    manifests = _absolute_manifests(config)

    def save(path: Path, epoch: int, step: int) -> None:
        figures = {key: value for key, value in history.last.items() if key.startswith(("dev_", "train_loss"))}
        meta = checkpoint.Meta(config, vocabulary, frontend.statistics, manifests, epoch, step, figures)
        checkpoint.save(path, network, meta)

    about: dict[str, str | int | float] = {
        "network": type(network).__name__,
        "train": str(config.data.train),
        "utterances": len(train_set),
        "rate": config.train.rate,
        "optimizer": config.train.optimizer,
        "batch_size": config.train.batch_size,
        "parameters": count_parameters(network),
        "seed": config.train.seed,
    }
    log.info(
        "%s on %s: %d utterances, %d units, %d parameters, %d steps per epoch",
        config.name, device, len(train_set), len(vocabulary), about["parameters"], steps_per_epoch,
    )  # fmt: skip
    callbacks: list[Callback] = [
        Bookkeeper(history, optimizer, len(train_set)),
        StopOnNan(train_source, 0 if scaler is None else TOLERATED_OVERFLOWS),
        Evaluate(history, lambda: syllable_errors(Acoustic(network), dev_source, vocabulary)),
        Checkpoints(history, save, folder, config.train.save_every),
        Summary(run, history, optimizer, config.train.summary_every, about),
    ]
    if isinstance(config.train.schedule, Plateau):
        schedule = config.train.schedule
        callbacks.append(ReduceOnPlateau(history, optimizer.learning_rate, schedule.patience, schedule.factor))
    if config.train.early_stopping:
        callbacks.append(EarlyStopping(history, config.train.early_stopping))
    callbacks.append(Progress(history, config.train.epochs, config.train.batch_size))
    model.train(
        config.train.epochs,
        train_source.dataset(),
        callbacks=callbacks,
        dataset_sink_mode=config.train.sink,
    )
    best = min(record[TARGET] for record in history.epochs)
    return Result(run, folder / "best.ckpt", best, time.monotonic() - started)


def syllable_errors(acoustic: Acoustic, source: BatchSource, vocabulary: Vocabulary) -> Edits:
    """Decodes every utterance of ``source`` greedily and counts the edits of the whole corpus."""
    total = Edits()
    for batch in source.plan():
        features, _, lengths, _ = source.arrays(batch)
        log_probs, steps = acoustic(features, lengths)
        for index, hypothesis in zip(batch.indices, decode_greedy_batch(log_probs, steps), strict=False):
            total += edits(source.corpus.utterances[index].pinyin, vocabulary.decode(hypothesis.ids))
    return total


def _utterances(path: Path) -> list[Utterance]:
    utterances = read_manifest(path)
    check_audio(utterances)
    return utterances


def _sources(
    config: Config,
    frontend: Frontend,
    vocabulary: Vocabulary,
    train_set: Sequence[Utterance],
    dev_set: Sequence[Utterance],
) -> tuple[BatchSource, BatchSource]:
    """Training batches, shuffled and augmented, and dev batches, as they are."""
    too_long = [utterance for utterance in train_set if utterance.seconds > config.data.max_seconds]
    if too_long:
        raise DataError(
            f"{too_long[0].where}: {too_long[0].seconds} s is longer than data.max_seconds={config.data.max_seconds} "
            f"({len(too_long)} such utterances); raise it or split them"
        )
    settings = config.train
    sources = []
    for utterances, training in ((train_set, True), (dev_set, False)):
        corpus = open_corpus(
            utterances,
            [vocabulary.encode(utterance.pinyin, where=utterance.where) for utterance in utterances],
            frontend,
            cache=config.data.train.parent / "cache" if config.data.cache else None,
            augment_wave=config.augment.wave if training else (),
            augment_features=config.augment.features if training else (),
            seed=settings.seed,
        )
        frames = [corpus.frames(index) for index in range(len(corpus))]
        plan = plan_batches(
            frames, settings.batch_size, settings.buckets, shuffle=training, seed=settings.seed
        )
        sources.append(BatchSource(corpus, plan))
    return sources[0], sources[1]


def _check_feasible(network: nn.Cell, corpus: Corpus, where: str) -> None:
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


def _mixed_precision(network: nn.Cell, level: str) -> nn.Cell:
    return network if level == "off" else ms.amp.auto_mixed_precision(network, level)


def _absolute_manifests(config: Config) -> dict[str, str]:
    splits = {"train": config.data.train, "dev": config.data.dev, "test": config.data.test}
    return {split: str(path.absolute()) for split, path in splits.items() if path is not None}


def _open_run(run: Path, config: Config, device: str) -> Path:
    """Makes the run folder, writes down what will be run on what, and returns the folder for checkpoints."""
    folder = run / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    (run / "environment.json").write_text(json.dumps(runtime.environment(device), indent=2) + "\n")
    handler = logging.FileHandler(run / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("dfcnn_ms").addHandler(handler)
    return folder


def new_run(base: Path, name: str) -> Path:
    """A folder under ``base`` that no run has used: the name, then the name with a number."""
    for number in range(1, 10_000):
        run = base / (name if number == 1 else f"{name}-{number}")
        if not run.exists():
            return run
    raise DfcnnError(f"{base}: holds 9,999 runs called {name}; choose another --run")


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copies the best checkpoint to where the user wants it; what was there stays until the new one is whole."""
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, temporary)
    temporary.replace(target)


def rates_of(config: Config, steps_per_epoch: int) -> np.ndarray:
    """The learning rate at every step of the training that ``config`` describes."""
    rates: np.ndarray = config.train.rate * config.train.schedule.factors(config.train.epochs, steps_per_epoch)
    return rates
