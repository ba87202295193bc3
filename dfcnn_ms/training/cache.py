"""Features that were computed before, in one flat file on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.errors import DataError
from dfcnn_ms.files import replacing, write_text


@dataclass(frozen=True)
class FeatureCache:
    """Features of a corpus in one flat file; nothing of it stays in memory but where each utterance begins.

    Attributes:
        path: the file, float32.
        starts: (utterances + 1,) first frame of each utterance.
        bins: F.
    """

    path: Path
    starts: np.ndarray
    bins: int

    def __getitem__(self, index: int) -> np.ndarray:
        """The features (T, F) of one utterance."""
        start, stop = (int(frame) for frame in self.starts[index : index + 2])
        values = np.fromfile(self.path, np.float32, (stop - start) * self.bins, offset=start * self.bins * 4)
        return values.reshape(-1, self.bins)

    @classmethod
    def open(cls, folder: Path, utterances: Sequence[Utterance], frontend: Frontend) -> FeatureCache:
        """Opens the cache of exactly these utterances and this front end, and makes it if there is none."""
        key = _cache_key(utterances, frontend)
        values, index = folder / f"{key}.f32", folder / f"{key}.json"
        bins = frontend.features.num_bins
        starts = _read_starts(values, index, len(utterances), bins)
        if starts is None:
            starts = _write_cache(values, index, utterances, frontend)
        return cls(values.absolute(), starts, bins)


def _read_starts(values: Path, index: Path, count: int, bins: int) -> np.ndarray | None:
    """Where each of ``count`` utterances begins; None if there is no cache, or one that is damaged or cut short."""
    try:
        starts = np.array(json.loads(index.read_text(encoding="utf-8")))
        size = values.stat().st_size
    except (OSError, ValueError):
        return None
    whole = starts.shape == (count + 1,) and starts.dtype.kind == "i"
    if not whole or starts[0] != 0 or (np.diff(starts) < 0).any() or 4 * bins * int(starts[-1]) != size:
        return None
    return starts


def _cache_key(utterances: Sequence[Utterance], frontend: Frontend) -> str:
    """A name that changes with anything that would change the features."""
    statistics = None if frontend.statistics is None else frontend.statistics.to_dict()
    digest = hashlib.sha256(repr((frontend.features, frontend.cmvn, statistics)).encode())
    for utterance in utterances:
        try:
            state = utterance.path.stat()
        except OSError as error:
            raise DataError(f"{utterance.where}: {utterance.path}: {error.strerror}; check the path") from None
        entry = (str(utterance.path), utterance.start, utterance.seconds, state.st_size, state.st_mtime_ns)
        digest.update(repr(entry).encode())
    return digest.hexdigest()[:16]


def _write_cache(values: Path, index: Path, utterances: Sequence[Utterance], frontend: Frontend) -> np.ndarray:
    """Writes features and index; where each utterance begins."""
    starts = [0]
    with replacing(values) as temporary, temporary.open("wb") as file:
        for utterance in tqdm(utterances, desc="features", unit="utt", disable=None, leave=False):
            features = frontend(read_utterance(utterance))
            file.write(np.ascontiguousarray(features, np.float32).tobytes())
            starts.append(starts[-1] + len(features))
    write_text(index, json.dumps(starts))
    return np.array(starts)
