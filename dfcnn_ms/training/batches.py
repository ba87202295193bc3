"""Batches as arrays, epoch after epoch: each utterance once per epoch, the same for the same seed.

A batch that a bucket cannot fill is completed with rows whose label length is -1: the loss leaves them out. Only
``BatchSource.dataset`` needs MindSpore: loader processes make batches without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dfcnn_ms.errors import DataError
from dfcnn_ms.training.corpus import Corpus
from dfcnn_ms.training.loader import Pool
from dfcnn_ms.training.plan import Batch, Plan

if TYPE_CHECKING:
    import mindspore.dataset as ds

COLUMNS = ["features", "labels", "feature_lengths", "label_lengths"]
FILLER = -1

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


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
