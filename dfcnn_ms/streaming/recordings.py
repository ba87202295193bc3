"""Recordings of any length: read, cut and recognised piece by piece, so that hours take no more memory than minutes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from dfcnn_ms.audio.features import STD_FLOOR, GlobalCmvn
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import Array, read_blocks
from dfcnn_ms.decoding.hypothesis import Hypothesis
from dfcnn_ms.recognizer import BATCH_SECONDS, BATCH_SIZE, Recognizer, Transcript
from dfcnn_ms.streaming.endpoints import Endpointing
from dfcnn_ms.streaming.frames import FeatureStream
from dfcnn_ms.streaming.hearing import check_streams, heard
from dfcnn_ms.streaming.results import StreamResult, joined
from dfcnn_ms.streaming.segmenter import Segment, Segmenter
from dfcnn_ms.streaming.windows import Stitched

#: a recording that is longer is cut at its pauses; shorter ones are heard whole, as in training
ONE_PIECE_SECONDS = 30.0


def is_long(recognizer: Recognizer, seconds: float) -> bool:
    """Whether a recording is better cut at its pauses; a network that names whole clips cannot have that."""
    return seconds > ONE_PIECE_SECONDS and recognizer.network.frames_per_step is not None


def transcript(
    recognizer: Recognizer, path: str | os.PathLike[str], endpointing: Endpointing | None = None
) -> Transcript:
    """What is heard in a file of any length, as one transcript.

    Raises:
        DataError: the file cannot be read, or ends before it should.
    """
    return of_blocks(recognizer, blocks_of(recognizer, path), endpointing)


def of_blocks(recognizer: Recognizer, blocks: Iterable[Array], endpointing: Endpointing | None = None) -> Transcript:
    """What is heard in a long recording whose samples come in blocks (n,)."""
    whole = joined(list(results(recognizer, blocks, endpointing)))
    # Where nothing was heard, nothing was written in characters either; but that is known.
    return whole if whole.sentence else replace(whole, sentence=recognizer.sentence(Hypothesis((), 0.0)))


def blocks_of(recognizer: Recognizer, path: str | os.PathLike[str]) -> Iterator[Array]:
    """The samples (n,) of a file, as the features want them."""
    return read_blocks(path, sample_rate=recognizer.frontend.features.sample_rate)


def results(
    recognizer: Recognizer, blocks: Iterable[Array], endpointing: Endpointing | None = None
) -> Iterator[StreamResult]:
    """What is heard in a recording, segment by segment; those that say nothing are left out.

    Args:
        recognizer: what listens.
        blocks: samples (n,) at the rate of its features, of any sizes, in their order.
        endpointing: when segments begin and end; as usual if not given.
    """
    check_streams(recognizer)
    ends = endpointing or Endpointing()
    waiting: list[Segment] = []
    for segment in _segments(recognizer, blocks, ends):
        if waiting and _is_full([*waiting, segment], recognizer.frontend.features.hop_ms / 1000):
            yield from _heard(recognizer, waiting, ends)
            waiting = []
        waiting.append(segment)
    yield from _heard(recognizer, waiting, ends)


def _segments(recognizer: Recognizer, blocks: Iterable[Array], endpointing: Endpointing) -> Iterator[Segment]:
    segmenter = Segmenter(recognizer.frontend.features, endpointing)
    for samples in blocks:
        yield from segmenter.feed(samples)
    yield from segmenter.finish()


def _is_full(segments: list[Segment], hop_seconds: float) -> bool:
    """Whether so many are more than what is heard at once."""
    longest = max(len(one.features) for one in segments) * hop_seconds
    return len(segments) > BATCH_SIZE or len(segments) * longest > BATCH_SECONDS


def _heard(recognizer: Recognizer, waiting: list[Segment], endpointing: Endpointing) -> Iterator[StreamResult]:
    found = heard(recognizer, waiting, endpointing) if waiting else []
    yield from (one for one in found if one.syllables)


def log_probs(recognizer: Recognizer, path: str | os.PathLike[str]) -> Iterator[Array]:
    """What the network says about a whole file as one utterance, piece by piece: log-probabilities (u, V).

    They are those of the whole at once, in memory that does not grow. Where every utterance is normalised by itself,
    the file is read twice: its statistics come first.

    Raises:
        ConfigError: a step of the network may see all of the utterance.
    """
    stitched = Stitched(recognizer)
    normalise = recognizer.frontend.in_pieces() or _by_itself(recognizer, path)
    for features in _features(recognizer, path):
        yield stitched.feed(normalise(features))
    yield stitched.finish()


def _features(recognizer: Recognizer, path: str | os.PathLike[str]) -> Iterator[Array]:
    """Features (t, F) of a file, not normalised."""
    stream = FeatureStream(recognizer.frontend.features)
    for samples in blocks_of(recognizer, path):
        yield stream.feed(samples)
    yield stream.finish()


def _by_itself(recognizer: Recognizer, path: str | os.PathLike[str]) -> Callable[[Array], Array]:
    """What normalises a file by its own statistics."""
    kind = recognizer.frontend.features
    statistics = GlobalCmvn.estimate(_features(recognizer, path), flat=STD_FLOOR, weights=kind.weights)
    return Frontend(kind, "global", statistics).normalised
