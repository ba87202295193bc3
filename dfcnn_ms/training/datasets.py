"""What a network learns from and is measured on: manifests read, checked, and planned into batches."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import Config, DataConfig
from dfcnn_ms.corpora.manifest import Utterance, read_labelled, read_utterance
from dfcnn_ms.errors import DataError
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training import sampling
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.corpus import Corpus, open_corpus
from dfcnn_ms.training.pack import Records, open_pack
from dfcnn_ms.training.plan import plan_batches
from dfcnn_ms.wording import many, plural

log = logging.getLogger(__name__)

#: utterances that global statistics are estimated from
CMVN_UTTERANCES = 1000


@dataclass(frozen=True)
class Datasets:
    """The batches of both sets, and what gives them their meaning."""

    vocabulary: Vocabulary
    frontend: Frontend
    train: BatchSource
    dev: BatchSource

    @property
    def fingerprint(self) -> str:
        """A text that changes with the training set: which utterances, how long, what is said in them."""
        digest = hashlib.sha256()
        for utterance in self.train.corpus.utterances:
            digest.update(repr((utterance.id, utterance.seconds, utterance.pinyin)).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class LabelledSet:
    """The utterances of one or several manifests, with their labels in the form that the network writes.

    Attributes:
        manifests: where they come from.
        parts: the utterances of each manifest.
    """

    manifests: tuple[Path, ...]
    parts: tuple[list[Utterance], ...]

    @classmethod
    def read(cls, config: Config, *manifests: Path) -> LabelledSet:
        """Reads manifests; the sound files need not be there if they are packed."""
        how = {"labels": config.data.labels, "audio": not config.data.packed, "label": config.task.label}
        return cls(manifests, tuple(read_labelled(path, **how) for path in manifests))

    @property
    def utterances(self) -> list[Utterance]:
        """All of them."""
        return [utterance for part in self.parts for utterance in part]

    def packed(self, frontend: Frontend) -> Records:
        """What the packs beside the manifests hold."""
        parts = zip(self.manifests, self.parts, strict=True)
        return Records.joined([open_pack(manifest, part, frontend) for manifest, part in parts])


def load_datasets(
    config: Config,
    *,
    rank: int = 0,
    workers: int = 1,
    like: Meta | None = None,
    statistics: GlobalCmvn | None = None,
) -> Datasets:
    """Reads the manifests, fixes vocabulary and front end, and plans the batches of one worker.

    Args:
        config: the page.
        rank, workers: which worker, of how many.
        like: a network that goes on learning: its units and its normalisation are kept; None: this training set says
            what they are.
        statistics: of the normalisation under which the first weights were learned; None: those of this training set.
    """
    vocabulary, frontend, train = load_training(config, workers=workers, like=like, statistics=statistics)
    dev = source(config, vocabulary, frontend, LabelledSet.read(config, config.data.dev), training=False)
    return Datasets(vocabulary, frontend, train.share(rank, workers), dev)


def load_training(
    config: Config, *, workers: int = 1, like: Meta | None = None, statistics: GlobalCmvn | None = None
) -> tuple[Vocabulary, Frontend, BatchSource]:
    """The training set alone: its vocabulary, the front end fitted to it, and the batches of all workers."""
    split = LabelledSet.read(config, config.data.train, *config.data.mix)
    _check_lengths(split.utterances, config.data.max_seconds)
    if not any(utterance.pinyin for utterance in split.utterances):
        raise DataError(f"{config.data.train}: no utterance says anything; train on a manifest with labels")
    if like is None:
        vocabulary = config.task.vocabulary(utterance.pinyin for utterance in split.utterances)
        known = Frontend(config.features, config.cmvn, statistics)
        frontend = known if statistics else fitted_frontend(config, split)
    else:
        vocabulary, frontend = like.vocabulary, Frontend(config.features, config.cmvn, like.cmvn)
    return vocabulary, frontend, source(config, vocabulary, frontend, split, training=True, workers=workers)


def fitted_frontend(config: Config, split: LabelledSet) -> Frontend:
    """The front end, with statistics of the training set if it needs any."""
    frontend = Frontend(config.features, config.cmvn)
    if not frontend.wants_statistics:
        return frontend
    some = range(min(len(split.utterances), CMVN_UTTERANCES))
    if not config.data.packed:
        return frontend.fitted(read_utterance(split.utterances[index]) for index in some)
    stored = split.packed(frontend)
    return frontend.fitted(stored[index] for index in some)


def _check_lengths(utterances: Sequence[Utterance], max_seconds: float) -> None:
    too_long = [utterance for utterance in utterances if utterance.seconds > max_seconds]
    if too_long:
        first = too_long[0]
        raise DataError(
            f"{first.where}: {first.seconds} s is longer than data.max_seconds={max_seconds} "
            f"({len(too_long)} such utterances); raise it or split them"
        )


def source(
    config: Config, vocabulary: Vocabulary, frontend: Frontend, split: LabelledSet, *, training: bool, workers: int = 1
) -> BatchSource:
    """The batches of one split: shuffled and augmented in training, as they are otherwise."""
    settings, data = config.train, config.data
    corpus = open_corpus(
        split.utterances,
        [config.task.target(utterance.pinyin, vocabulary, utterance.where) for utterance in split.utterances],
        frontend,
        cache=data.train.parent / "cache" if data.cache else None,
        packed=split.packed(frontend) if data.packed else None,
        augment_wave=config.augment.wave if training else (),
        augment_spectrum=config.augment.spectrum if training else (),
        augment_features=config.augment.features if training else (),
        seed=settings.seed,
        room=settings.room,
    )
    plan = plan_batches(
        corpus.longest_frames,
        settings.batch_size * workers,
        settings.buckets,
        shuffle=training,
        seed=settings.seed,
        sorted_epochs=settings.sorta_grad if training else 0,
        weights=weights(data, split, corpus.labels) if training else None,
        equal_lengths=training and data.balance == "length",
    )
    return BatchSource(corpus, plan, processes=data.workers if training else 0)


def weights(data: DataConfig, split: LabelledSet, labels: Sequence[Sequence[int]]) -> np.ndarray | None:
    """How often each training utterance comes in comparison with others; None: each comes once."""
    if data.balance != "class" and not data.mix:
        return None
    classes = sampling.class_weights(labels) if data.balance == "class" else np.ones(len(labels))
    if not data.mix:
        return classes
    corpus = np.repeat(np.arange(len(split.parts)), [len(part) for part in split.parts])
    return sampling.scaled_by_group(classes, corpus, [1.0, *data.mix.values()])


def count_infeasible(config: Config, corpus: Corpus) -> int:
    """How many utterances have labels that need more steps than there are; refuses a set in which that is the rule."""
    steps = [config.model.output_lengths(frames) for frames in corpus.longest_frames]
    lost = [
        index
        for index, (label, available) in enumerate(zip(corpus.labels, steps, strict=True))
        if available < config.task.needed_steps(label)
    ]
    if not lost:
        return 0
    first = corpus.utterances[lost[0]]
    message = (
        f"{config.data.train}: {len(lost)} of {len(corpus)} utterances have more {plural(config.unit)} than output "
        f"steps, first {first.id} ({many(len(first.pinyin), config.unit)}, {steps[lost[0]]} steps)"
    )
    if len(lost) > len(corpus) / 2:
        raise DataError(f"{message}; {config.model.cure_for_few_steps}")
    log.warning("%s; they contribute nothing", message)
    return len(lost)
