"""How a network does on a set of utterances; shared out over the workers."""

from __future__ import annotations

import numpy as np

from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.tasks import Task
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.workers import Workers


def measure(
    acoustic: Acoustic, source: BatchSource, vocabulary: Vocabulary, workers: Workers, task: Task
) -> list[float]:
    """What a task counts in every utterance of ``source``, added up; each worker reads its share."""
    sums = np.zeros(task.counts)
    for batch in source.plan()[workers.rank :: workers.count]:
        features, _, lengths, _ = source.arrays(batch)
        log_probs, steps = acoustic(features, lengths)
        for row, index in enumerate(batch.indices):
            said = source.corpus.utterances[index].pinyin
            sums += task.count(log_probs[row, : steps[row]], said, vocabulary)
    return workers.sum(sums.tolist())
