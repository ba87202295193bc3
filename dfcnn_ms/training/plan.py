"""Which utterances form which batch, in what shape: a pure function of seed and epoch.

One graph is compiled per shape, so utterances of like length share a bucket, and the shapes are those that pad least.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from dfcnn_ms.errors import DataError
from dfcnn_ms.training import sampling

#: the frames of every shape are a multiple of this, so that few shapes are possible at all
SHAPE_MULTIPLE = 8


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
