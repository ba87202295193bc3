"""The recognizer that is fed: samples in, in pieces of any size; results out as soon as they are known."""

from __future__ import annotations

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE, Array, Resampler, unsound_sample
from dfcnn_ms.errors import DataError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.streaming.endpoints import Endpointing
from dfcnn_ms.streaming.hearing import Hearing, check_streams, heard
from dfcnn_ms.streaming.results import StreamResult
from dfcnn_ms.streaming.segmenter import Segment, Segmenter


class StreamingRecognizer:
    r"""Listens to one stream of sound.

    A segment is an utterance, as in training: it begins and ends in silence and is normalised by itself. So its final
    result is what the recognizer hears in that piece of sound, however the stream was cut into chunks.

    Args:
        recognizer: what listens; its decoder, language model, hotwords and characters are used as they are.
        sample_rate: of the samples that will come.
        endpointing: when segments begin and end; None: all that is fed until `finish` is one segment.
        partials: whether to say what is heard while a segment is still spoken.

    Example:
        >>> stream = StreamingRecognizer(recognizer, sample_rate=48_000)  # doctest: +SKIP
        >>> for chunk in microphone:                                      # doctest: +SKIP
        ...     for result in stream.feed(chunk):
        ...         print(result.text, end="\n" if result.final else "\r")
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        sample_rate: int = SAMPLE_RATE,
        endpointing: Endpointing | None = Endpointing(),  # noqa: B008 (a frozen value)
        partials: bool = True,
    ) -> None:
        check_streams(recognizer)
        self.recognizer = recognizer
        self.sample_rate = sample_rate
        self.endpointing = endpointing
        self.partials = partials
        self.reset()

    def reset(self) -> None:
        """Forgets all that was fed; the next sample is the first of another stream."""
        features = self.recognizer.frontend.features
        self._resampler = Resampler(self.sample_rate, features.sample_rate)
        self._segmenter = Segmenter(features, self.endpointing)
        self._hearing: Hearing | None = None
        self._samples, self._is_over = 0, False

    @property
    def seconds(self) -> float:
        """How much was fed."""
        return self._samples / self.sample_rate

    @property
    def is_speaking(self) -> bool:
        """Whether a segment is open."""
        return self._segmenter.open is not None

    @property
    def frames_kept(self) -> int:
        """Frames in memory: those of the open segment, and a few."""
        return self._segmenter.frames_kept

    def feed(self, samples: Array) -> list[StreamResult]:
        """Takes samples (N,) float32, N of any size, full scale 1.0; returns what is known by now.

        Raises:
            DataError: samples that no sound has.
        """
        if self._is_over:
            raise ValueError("the stream has ended; reset() begins another one")
        samples = self._checked(samples)
        found: list[StreamResult] = []
        for first in range(0, len(samples), self.sample_rate):  # a second at most: an hour at once takes no more room
            part = samples[first : first + self.sample_rate]
            self._samples += len(part)
            found += self._finals(self._segmenter.feed(self._resampler.feed(part)))
        return found + self._partial()

    def finish(self) -> list[StreamResult]:
        """Says that the sound has ended; returns what was still open. After it, `reset` begins another stream."""
        self._is_over = True
        segments = self._segmenter.feed(self._resampler.finish())
        return self._finals([*segments, *self._segmenter.finish()])

    def _checked(self, samples: Array) -> Array:
        samples = np.asarray(samples)
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            got = f"{samples.dtype} of shape {samples.shape}"
            raise DataError(f"stream: got samples as {got}; give one channel (N,) of float32 in [-1, 1]")
        where = unsound_sample(samples) if len(samples) else None
        if where is not None:
            seconds = (self._samples + where) / self.sample_rate
            raise DataError(f"stream: the sample {seconds:.3f} s in is {samples[where]:g}, where full scale is 1")
        return samples.astype(np.float32, copy=False)

    def _finals(self, segments: list[Segment]) -> list[StreamResult]:
        found = []
        for segment in segments:
            result = heard(self.recognizer, [segment], self.endpointing)[0]
            spoken = self._hearing
            was_said = spoken is not None and spoken.index == segment.index and spoken.text != ""
            if result.syllables or was_said:
                found.append(result)
            self._hearing = None
        return found

    def _partial(self) -> list[StreamResult]:
        """What is heard in the open segment, if that is news."""
        segment = self._segmenter.open if self.partials else None
        if segment is None:
            return []
        if self._hearing is None or self._hearing.index != segment.index:
            self._hearing = Hearing(self.recognizer, segment.index, self.endpointing)
        return self._hearing.news(segment)
