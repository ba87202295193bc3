"""Utterances -> batches of a few fixed shapes, each utterance once per epoch, the same for the same seed.

One graph is compiled per shape, so utterances of like length share a bucket. A batch that a bucket cannot
fill is completed with rows whose label length is -1: the loss leaves them out.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import mindspore.dataset as ds
import numpy as np
from tqdm import tqdm

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import replacing, write_text

COLUMNS = ["features", "labels", "feature_lengths", "label_lengths"]
FILLER = -1
#: the frames of every shape are a multiple of this, so that few shapes are possible at all
SHAPE_MULTIPLE = 8

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """Utterances with their labels, and the way from a file to what enters the network.

    Attributes:
        utterances: what was said and where it lies.
        labels: ids of each utterance's units.
        frontend: samples -> features.
        augment_wave, augment_features: applied in training, with a generator of the utterance and epoch.
        seed: makes the augmentation of every (utterance, epoch) reproducible.
        cache: features that were computed before, or None.
    """

    utterances: Sequence[Utterance]
    labels: Sequence[Sequence[int]]
    frontend: Frontend
    augment_wave: tuple[Augmentation, ...] = ()
    augment_features: tuple[Augmentation, ...] = ()
    seed: int = 0
    cache: FeatureCache | None = None

    def __len__(self) -> int:
        return len(self.utterances)

    def features(self, index: int, epoch: int = 0) -> np.ndarray:
        """The features (T, F) of one utterance as the network receives them in ``epoch``."""
        rng = np.random.default_rng((self.seed, epoch, index))
        if self.cache is None:
            wave = read_utterance(self.utterances[index])
            for augment in self.augment_wave:
                wave = augment(wave, rng)
            features = self.frontend(wave)
        else:
            features = self.cache[index]
        for augment in self.augment_features:
            features = augment(features, rng)
        return features

    @cached_property
    def longest_frames(self) -> list[int]:
        """The most frames that :meth:`features` may return, for each utterance."""
        return [self.frames(index) for index in range(len(self))]

    def frames(self, index: int) -> int:
        """The most frames that :meth:`features` may return for one utterance."""
        samples = math.ceil(self.utterances[index].seconds * SAMPLE_RATE) + 1
        stretch = math.prod(longest(augment) for augment in self.augment_wave)
        frames = self.frontend.features.num_frames(math.ceil(samples * stretch))
        return math.ceil(frames * math.prod(longest(augment) for augment in self.augment_features))


def longest(augmentation: Augmentation) -> float:
    """How many times longer an augmentation may make an utterance; 1 unless it says otherwise."""
    return float(getattr(augmentation, "longest", 1.0))


@dataclass(frozen=True)
class FeatureCache:
    """Features of a corpus in one flat file, read through the operating system's own cache."""

    values: np.ndarray  # (sum of T, F)
    starts: np.ndarray  # (utterances + 1,)

    def __getitem__(self, index: int) -> np.ndarray:
        """A copy of the features (T, F) of one utterance."""
        return np.array(self.values[self.starts[index] : self.starts[index + 1]])

    @classmethod
    def open(cls, folder: Path, utterances: Sequence[Utterance], frontend: Frontend) -> FeatureCache:
        """Opens the cache of exactly these utterances and this front end, and makes it if there is none."""
        key = _cache_key(utterances, frontend)
        values, index = folder / f"{key}.f32", folder / f"{key}.json"
        if not index.is_file():
            _write_cache(values, index, utterances, frontend)
        starts = np.array(json.loads(index.read_text()))
        bins = frontend.features.num_bins
        return cls(np.memmap(values, np.float32, "r").reshape(-1, bins), starts)


def _cache_key(utterances: Sequence[Utterance], frontend: Frontend) -> str:
    """A name that changes with anything that would change the features."""
    statistics = None if frontend.statistics is None else frontend.statistics.to_dict()
    digest = hashlib.sha256(repr((frontend.features, frontend.cmvn, statistics)).encode())
    for utterance in utterances:
        state = utterance.path.stat()
        entry = (str(utterance.path), utterance.start, utterance.seconds, state.st_size, state.st_mtime_ns)
        digest.update(repr(entry).encode())
    return digest.hexdigest()[:16]


def _write_cache(values: Path, index: Path, utterances: Sequence[Utterance], frontend: Frontend) -> None:
    starts = [0]
    with replacing(values) as temporary, temporary.open("wb") as file:
        for utterance in tqdm(utterances, desc="features", unit="utt", disable=None, leave=False):
            features = frontend(read_utterance(utterance))
            file.write(np.ascontiguousarray(features, np.float32).tobytes())
            starts.append(starts[-1] + len(features))
    write_text(index, json.dumps(starts))


@dataclass(frozen=True)
class Batch:
    """Which utterances enter the network together, and in what shape: (size, 1, frames, F)."""

    indices: tuple[int, ...]
    size: int
    frames: int


@dataclass(frozen=True)
class Plan:
    """The batches of every epoch, a pure function of seed and epoch.

    Attributes:
        buckets: (frames of the bucket's shape, indices of its utterances), shortest first.
        batch_size: rows of every batch.
        shuffle: a new order each epoch; otherwise that of the buckets.
        seed: of the order.
        sorted_epochs: how many first epochs go from the shortest batches to the longest.
    """

    buckets: tuple[tuple[int, tuple[int, ...]], ...]
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    sorted_epochs: int = 0

    def __len__(self) -> int:
        """Batches per epoch, the same in every epoch."""
        return sum(math.ceil(len(members) / self.batch_size) for _, members in self.buckets)

    def __call__(self, epoch: int = 0) -> list[Batch]:
        """The batches of one epoch; every utterance is in exactly one."""
        rng = np.random.default_rng((self.seed, epoch))
        shuffle = self.shuffle and epoch >= self.sorted_epochs
        batches = []
        for frames, members in self.buckets:
            order = rng.permutation(members) if shuffle else np.array(members)
            for start in range(0, len(order), self.batch_size):
                indices = tuple(int(index) for index in order[start : start + self.batch_size])
                batches.append(Batch(indices, self.batch_size, frames))
        if shuffle:
            batches = [batches[index] for index in rng.permutation(len(batches))]
        return batches


def plan_batches(
    frames: Sequence[int],
    batch_size: int,
    buckets: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    sorted_epochs: int = 0,
) -> Plan:
    """Divides utterances into at most ``buckets`` groups of like length, so that as little as possible is padded.

    Args:
        frames: the most frames of each utterance.
        batch_size: rows of a batch.
        buckets: shapes allowed; each is compiled once.
        shuffle, seed, sorted_epochs: see :class:`Plan`.
    """
    if not frames:
        raise DataError("no utterances to make batches of; the manifest is empty")
    rounded = [math.ceil(length / SHAPE_MULTIPLE) * SHAPE_MULTIPLE for length in frames]
    shapes = least_padding(rounded, buckets)
    members: dict[int, list[int]] = {shape: [] for shape in shapes}
    for index, length in enumerate(rounded):
        members[shapes[bisect.bisect_left(shapes, length)]].append(index)
    filled = tuple((shape, tuple(sorted(members[shape], key=lambda index: frames[index]))) for shape in shapes)
    return Plan(filled, batch_size, shuffle, seed, sorted_epochs)


def least_padding(lengths: Sequence[int], buckets: int) -> list[int]:
    """The at most ``buckets`` shapes, ascending, that hold all ``lengths`` with the fewest padded frames in all."""
    values, counts = np.unique(lengths, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])  # utterances shorter than each value
    # cost[j]: fewest frames (padded ones included) of the utterances up to value j, with the shapes used so far
    cost = values * below[1:]
    choices: list[np.ndarray] = []
    for _ in range(min(buckets, len(values)) - 1):
        # candidates[i, j]: the last shape is value j and the one before it value i < j
        candidates = cost[:, None] + values[None, :] * (below[None, 1:] - below[1:, None])
        candidates = np.where(np.tri(len(values), k=0, dtype=bool), np.iinfo(np.int64).max, candidates)
        choices.append(candidates.argmin(axis=0))
        cost = np.minimum(cost, candidates.min(axis=0))
    shapes, last = [int(values[-1])], len(values) - 1
    for choice in reversed(choices):
        last = int(choice[last])
        shapes.append(int(values[last]))
    return sorted(set(shapes))


@dataclass
class BatchSource:
    """The arrays of every batch, epoch after epoch, for ``mindspore.dataset.GeneratorDataset``.

    Attributes:
        corpus: where the features come from.
        plan: which utterances form which batch.
        max_labels: columns of the label array, the same in every batch.
        epoch: the epoch that the next iteration will yield.
        skip: batches of that epoch which are left out, because an interrupted training has had them.
        rank, workers: which rows of each batch are this worker's.
        on_epoch: called in the loader's thread when an epoch begins.
        error: what was wrong with the data, if anything; MindSpore's loader buries it in an error of its own.
    """

    corpus: Corpus
    plan: Plan
    epoch: int = 0
    skip: int = 0
    rank: int = 0
    workers: int = 1
    error: DataError | None = None
    on_epoch: Callable[[], None] | None = None
    max_labels: int = field(init=False)

    def __post_init__(self) -> None:
        self.max_labels = max(1, *(len(label) for label in self.corpus.labels), 1)

    def __len__(self) -> int:
        return len(self.plan) - self.skip

    def __iter__(self) -> Iterator[Arrays]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if self.on_epoch is not None:
            self.on_epoch()
        try:
            for batch in self.plan(epoch)[self.skip :]:
                yield self.arrays(batch, epoch)
        except DataError as error:
            self.error = error
            raise

    def share(self, rank: int, workers: int) -> BatchSource:
        """The same batches, of which the arrays hold the rows of one worker."""
        return replace(self, rank=rank, workers=workers)

    def arrays(self, batch: Batch, epoch: int = 0) -> Arrays:
        """Features (B, 1, T, F), labels (B, L), feature lengths (B,), label lengths (B,) of one batch."""
        rows = range(self.rank, batch.size, self.workers)
        bins = self.corpus.frontend.features.num_bins
        features = np.zeros((len(rows), 1, batch.frames, bins), np.float32)
        labels = np.ones((len(rows), self.max_labels), np.int32)
        feature_lengths = np.zeros(len(rows), np.int32)
        label_lengths = np.full(len(rows), FILLER, np.int32)
        for row, place in enumerate(rows):
            # Fillers repeat real sound, so that batch norm sees speech and not silence.
            index = batch.indices[place % len(batch.indices)]
            picture = self.corpus.features(index, epoch)  # (T, F)
            self._check_fit(picture, batch, index)
            features[row, 0, : len(picture)] = picture
            feature_lengths[row] = len(picture)
            if place < len(batch.indices):
                label = self.corpus.labels[index]
                labels[row, : len(label)] = label
                label_lengths[row] = len(label)
        return features, labels, feature_lengths, label_lengths

    def _check_fit(self, picture: np.ndarray, batch: Batch, index: int) -> None:
        if len(picture) > batch.frames:
            utterance = self.corpus.utterances[index]
            raise DataError(
                f"{utterance.where or utterance.id}: 'seconds' says {utterance.seconds}, but the audio has "
                f"{len(picture)} frames where at most {batch.frames} were expected; prepare the manifest again"
            )

    def dataset(self) -> ds.GeneratorDataset:
        """The batches as a MindSpore dataset, in the order of the plan."""
        return ds.GeneratorDataset(self, COLUMNS, shuffle=False)


def infeasible(labels: Sequence[Sequence[int]], steps: Sequence[int]) -> list[int]:
    """Indices of the utterances that CTC cannot align: fewer output steps than labels plus adjacent repeats."""
    return [
        index
        for index, (label, available) in enumerate(zip(labels, steps, strict=True))
        if available < len(label) + sum(left == right for left, right in itertools.pairwise(label))
    ]


def open_corpus(
    utterances: Sequence[Utterance],
    labels: Sequence[Sequence[int]],
    frontend: Frontend,
    *,
    cache: Path | None = None,
    augment_wave: tuple[Augmentation, ...] = (),
    augment_features: tuple[Augmentation, ...] = (),
    seed: int = 0,
) -> Corpus:
    """A corpus, with its features cached in ``cache`` if a folder is given."""
    if cache is not None and augment_wave:
        raise ConfigError("data.cache and augment.wave exclude each other: cached features know no wave; drop one")
    stored = None if cache is None else FeatureCache.open(cache, utterances, frontend)
    return Corpus(utterances, labels, frontend, augment_wave, augment_features, seed, stored)
