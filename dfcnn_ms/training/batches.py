"""Utterances -> batches of a few fixed shapes, each utterance once per epoch, the same for the same seed.

One graph is compiled per shape, so utterances of like length share a bucket. A batch that a bucket cannot
fill is completed with rows whose label length is -1: the loss leaves them out. Only ``BatchSource.dataset`` needs
MindSpore: loader processes make batches without it.
"""

from __future__ import annotations

import bisect
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.training import sampling
from dfcnn_ms.training.cache import FeatureCache
from dfcnn_ms.training.loader import Pool
from dfcnn_ms.training.pack import Records

if TYPE_CHECKING:
    import mindspore.dataset as ds

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
        sound: packed samples, or None: then they are read from the sound files.
    """

    utterances: Sequence[Utterance]
    labels: Sequence[Sequence[int]]
    frontend: Frontend
    augment_wave: tuple[Augmentation, ...] = ()
    augment_features: tuple[Augmentation, ...] = ()
    seed: int = 0
    cache: FeatureCache | Records | None = None
    sound: Records | None = None

    def __len__(self) -> int:
        return len(self.utterances)

    def wave(self, index: int) -> np.ndarray:
        """The samples (N,) of one utterance as they were recorded."""
        return read_utterance(self.utterances[index]) if self.sound is None else self.sound[index]

    def features(self, index: int, epoch: int = 0, take: int = 0) -> np.ndarray:
        """The features (T, F) of one utterance as the network receives them in ``epoch``.

        Args:
            index: which utterance.
            epoch: from 0.
            take: how often it came before in this epoch; each time it is augmented in another way.
        """
        if self.cache is None:
            return self.heard(index, epoch, take)[1]
        return _augmented(self.cache[index], self.augment_features, self._rng(index, epoch, take))

    def heard(self, index: int, epoch: int = 0, take: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The augmented samples (N,) of one utterance, and what becomes of them: the features (T, F)."""
        rng = self._rng(index, epoch, take)
        wave = _augmented(self.wave(index), self.augment_wave, rng)
        return wave, _augmented(self.frontend(wave), self.augment_features, rng)

    def _rng(self, index: int, epoch: int, take: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, epoch, index, take) if take else (self.seed, epoch, index))

    @cached_property
    def longest_frames(self) -> list[int]:
        """The most frames that :meth:`features` may return, for each utterance."""
        return [self.frames(index) for index in range(len(self))]

    def frames(self, index: int) -> int:
        """The most frames that :meth:`features` may return for one utterance."""
        wave, features = self._stretch
        samples = math.ceil(self.utterances[index].seconds * SAMPLE_RATE) + 1
        return math.ceil(self.frontend.features.num_frames(math.ceil(samples * wave)) * features)

    @cached_property
    def _stretch(self) -> tuple[float, float]:
        """How many times longer augmentation may make the samples, and then the features."""
        return math.prod(map(longest, self.augment_wave)), math.prod(map(longest, self.augment_features))


def _augmented(x: np.ndarray, augmentations: Sequence[Augmentation], rng: np.random.Generator) -> np.ndarray:
    for augment in augmentations:
        x = augment(x, rng)
    return x


def longest(augmentation: Augmentation) -> float:
    """How many times longer an augmentation may make an utterance; 1 unless it says otherwise."""
    return float(getattr(augmentation, "longest", 1.0))


@dataclass(frozen=True)
class Batch:
    """Which utterances enter the network together, and in what shape: (size, 1, frames, F).

    Attributes:
        indices: of the utterances.
        size: rows, fillers included.
        frames: of every row.
        takes: how often each utterance came before in this epoch; empty: none came before.
    """

    indices: tuple[int, ...]
    size: int
    frames: int
    takes: tuple[int, ...] = ()

    def row(self, place: int) -> tuple[int, int]:
        """Index and take of the utterance in a row; fillers repeat what is there."""
        place %= len(self.indices)
        return self.indices[place], self.takes[place] if self.takes else 0


@dataclass(frozen=True)
class Plan:
    """The batches of every epoch, a pure function of seed and epoch.

    Attributes:
        buckets: (frames of the bucket's shape, indices of its utterances), shortest first.
        batch_size: rows of every batch.
        shuffle: a new order each epoch; otherwise that of the buckets.
        seed: of the order.
        sorted_epochs: how many first epochs go from the shortest batches to the longest.
        weights: (utterances,) how often each comes in comparison with others; None: each comes once.
    """

    buckets: tuple[tuple[int, tuple[int, ...]], ...]
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    sorted_epochs: int = 0
    weights: np.ndarray | None = field(default=None, compare=False)

    def __len__(self) -> int:
        """Batches per epoch, the same in every epoch."""
        return sum(math.ceil(count / self.batch_size) for count in self.draws)

    @cached_property
    def draws(self) -> list[int]:
        """How many utterances of each bucket an epoch has; as many in all as there are utterances."""
        sizes = [len(members) for _, members in self.buckets]
        if self.weights is None:
            return sizes
        return sampling.quotas([self.weights[list(members)].sum() for _, members in self.buckets], sum(sizes))

    def __call__(self, epoch: int = 0) -> list[Batch]:
        """The batches of one epoch; without weights every utterance is in exactly one."""
        rng = np.random.default_rng((self.seed, epoch))
        shuffle = self.shuffle and epoch >= self.sorted_epochs
        batches = []
        for (frames, members), count in zip(self.buckets, self.draws, strict=True):
            order = self._order(rng, np.array(members), count, shuffle)
            for start in range(0, len(order), self.batch_size):
                indices = tuple(int(index) for index in order[start : start + self.batch_size])
                batches.append(Batch(indices, self.batch_size, frames))
        if shuffle:
            batches = [batches[index] for index in rng.permutation(len(batches))]
        return batches if self.weights is None else _numbered(batches)

    def _order(self, rng: np.random.Generator, members: np.ndarray, count: int, shuffle: bool) -> np.ndarray:
        if self.weights is None:
            return rng.permutation(members) if shuffle else members
        chosen = sampling.draw(rng, self.weights[members], count)
        return np.asarray(members[chosen if shuffle else np.sort(chosen)])


def _numbered(batches: Sequence[Batch]) -> list[Batch]:
    """The same batches, with how often each utterance came before."""
    seen: Counter[int] = Counter()
    numbered = []
    for batch in batches:
        takes = []
        for index in batch.indices:
            takes.append(seen[index])
            seen[index] += 1
        numbered.append(replace(batch, takes=tuple(takes)))
    return numbered


def plan_batches(
    frames: Sequence[int],
    batch_size: int,
    buckets: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    sorted_epochs: int = 0,
    weights: np.ndarray | None = None,
    equal_lengths: bool = False,
) -> Plan:
    """Divides utterances into at most ``buckets`` groups of like length, so that as little as possible is padded.

    Args:
        frames: the most frames of each utterance.
        batch_size: rows of a batch.
        buckets: shapes allowed; each is compiled once.
        shuffle, seed, sorted_epochs, weights: see :class:`Plan`.
        equal_lengths: let each group contribute as many utterances as any other, whatever the weights.
    """
    if not frames:
        raise DataError("no utterances to make batches of; the manifest is empty")
    rounded = [math.ceil(length / SHAPE_MULTIPLE) * SHAPE_MULTIPLE for length in frames]
    shapes = least_padding(rounded, buckets)
    members: dict[int, list[int]] = {shape: [] for shape in shapes}
    for index, length in enumerate(rounded):
        members[shapes[bisect.bisect_left(shapes, length)]].append(index)
    filled = tuple((shape, tuple(sorted(members[shape], key=lambda index: frames[index]))) for shape in shapes)
    if equal_lengths:
        weights = np.ones(len(frames)) if weights is None else weights
        groups = np.searchsorted(shapes, rounded)
        weights = sampling.scaled_by_group(weights, groups, [1.0] * len(shapes))
    return Plan(filled, batch_size, shuffle, seed, sorted_epochs, weights)


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
        processes: other processes that make the batches; 0: none.
        on_epoch: called in the loader's thread when an epoch begins.
        error: what was wrong with the data, if anything; MindSpore's loader buries it in an error of its own.
    """

    corpus: Corpus
    plan: Plan
    epoch: int = 0
    skip: int = 0
    rank: int = 0
    workers: int = 1
    processes: int = 0
    error: DataError | None = None
    on_epoch: Callable[[], None] | None = None
    max_labels: int = field(init=False)
    _pool: Pool | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.max_labels = max(1, *(len(label) for label in self.corpus.labels), 1)

    def __len__(self) -> int:
        return len(self.plan) - self.skip

    def __iter__(self) -> Iterator[Arrays]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if self.on_epoch is not None:
            self.on_epoch()
        try:
            yield from self._made(self.plan(epoch)[self.skip :], epoch)
        except DataError as error:
            self.error = error
            raise

    def _made(self, batches: Sequence[Batch], epoch: int) -> Iterator[Arrays]:
        if not self.processes:
            return (self.arrays(batch, epoch) for batch in batches)
        if self._pool is None or not self._pool.is_usable:
            self.close()
            self._pool = Pool(replace(self, processes=0, on_epoch=None, error=None), self.processes)
        return self._pool.batches([(batch, epoch) for batch in batches])

    def close(self) -> None:
        """Ends the other processes, if there are any; they also end with this program."""
        if self._pool is not None:
            self._pool.close()

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
            index, take = batch.row(place)
            picture = self.corpus.features(index, epoch, take)  # (T, F)
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
        import mindspore.dataset as ds

        return ds.GeneratorDataset(self, COLUMNS, shuffle=False)


def open_corpus(
    utterances: Sequence[Utterance],
    labels: Sequence[Sequence[int]],
    frontend: Frontend,
    *,
    cache: Path | None = None,
    packed: Records | None = None,
    augment_wave: tuple[Augmentation, ...] = (),
    augment_features: tuple[Augmentation, ...] = (),
    seed: int = 0,
) -> Corpus:
    """A corpus that is read from its files, from its pack, or from features cached in the folder ``cache``."""
    if cache is not None and packed is not None:
        raise ConfigError("data.cache and data.packed exclude each other; pack the features instead")
    if cache is not None and augment_wave:
        raise ConfigError("data.cache and augment.wave exclude each other: cached features know no wave; drop one")
    if packed is not None and packed.bins and augment_wave:
        raise ConfigError("packed features and augment.wave exclude each other: pack the audio, or drop augment.wave")
    for augment in augment_wave:
        getattr(augment, "check", lambda: None)()
    stored = None if cache is None else FeatureCache.open(cache, utterances, frontend)
    pictures, sound = (packed, None) if packed is not None and packed.bins else (stored, packed)
    return Corpus(utterances, labels, frontend, augment_wave, augment_features, seed, pictures, sound)
