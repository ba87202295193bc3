"""What a network learns from and is measured on: manifests read, checked, and planned into batches."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mindspore import nn

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import Config
from dfcnn_ms.corpora.manifest import Utterance, read_labelled, read_utterance
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.batches import BatchSource, Corpus, infeasible, open_corpus, plan_batches

log = logging.getLogger(__name__)

#: utterances that global statistics are estimated from
CMVN_UTTERANCES = 1000


@dataclass(frozen=True)
class Material:
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


def load_material(config: Config, *, rank: int = 0, workers: int = 1) -> Material:
    """Reads the manifests, fixes vocabulary and front end, and plans the batches of one worker."""
    train_set, dev_set = (read_labelled(path, config.data.labels) for path in (config.data.train, config.data.dev))
    _check_lengths(train_set, config.data.max_seconds)
    vocabulary = Vocabulary.build(utterance.pinyin for utterance in train_set)
    frontend = Frontend(config.features, config.cmvn).fitted(map(read_utterance, train_set[:CMVN_UTTERANCES]))
    train = source(config, vocabulary, frontend, train_set, training=True, workers=workers)
    dev = source(config, vocabulary, frontend, dev_set, training=False)
    return Material(vocabulary, frontend, train.share(rank, workers), dev)


def _check_lengths(utterances: Sequence[Utterance], max_seconds: float) -> None:
    too_long = [utterance for utterance in utterances if utterance.seconds > max_seconds]
    if too_long:
        first = too_long[0]
        raise DataError(
            f"{first.where}: {first.seconds} s is longer than data.max_seconds={max_seconds} "
            f"({len(too_long)} such utterances); raise it or split them"
        )


def source(
    config: Config,
    vocabulary: Vocabulary,
    frontend: Frontend,
    utterances: Sequence[Utterance],
    *,
    training: bool,
    workers: int = 1,
) -> BatchSource:
    """The batches of one split: shuffled and augmented in training, as they are otherwise."""
    settings = config.train
    corpus = open_corpus(
        utterances,
        [vocabulary.encode(utterance.pinyin, where=utterance.where) for utterance in utterances],
        frontend,
        cache=config.data.train.parent / "cache" if config.data.cache else None,
        augment_wave=config.augment.wave if training else (),
        augment_features=config.augment.features if training else (),
        seed=settings.seed,
    )
    plan = plan_batches(
        corpus.longest_frames,
        settings.batch_size * workers,
        settings.buckets,
        shuffle=training,
        seed=settings.seed,
        sorted_epochs=settings.sorta_grad if training else 0,
    )
    return BatchSource(corpus, plan)


def count_infeasible(network: nn.Cell, corpus: Corpus, where: str) -> int:
    """How many utterances CTC cannot align; refuses a training set in which that is the rule."""
    steps = [network.output_lengths(frames) for frames in corpus.longest_frames]
    lost = infeasible(corpus.labels, steps)
    if not lost:
        return 0
    first = corpus.utterances[lost[0]]
    message = (
        f"{where}: {len(lost)} of {len(corpus)} utterances have more syllables than output steps, "
        f"first {first.id} ({len(first.pinyin)} syllables, {steps[lost[0]]} steps)"
    )
    if len(lost) > len(corpus) / 2:
        raise DataError(f"{message}; pool less over time in model.blocks")
    log.warning("%s; they contribute nothing", message)
    return len(lost)
