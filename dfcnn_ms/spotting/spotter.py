"""The classifier over a stream: windows, smoothing, and when it is said that a word was heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE, Array
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.streaming.frames import FeatureStream
from dfcnn_ms.text.vocabulary import UNKNOWN_ID

#: windows that the network hears at once, where so many are there
MOST_WINDOWS = 32
#: of a window, a hop and so on
LONGEST_SECONDS = 60


@dataclass(frozen=True)
class Spotting:
    """How words are spotted.

    Attributes:
        window_seconds: that the classifier sees, as long as the clips that it was trained on.
        hop_seconds: from a window to the next.
        smoothing_seconds: over which its probabilities are averaged.
        threshold: of the mean probability from which on a word was heard.
        refractory_seconds: after a word in which no other is heard.
    """

    window_seconds: float = 0.65
    hop_seconds: float = 0.05
    smoothing_seconds: float = 0.3
    threshold: float = 0.7
    refractory_seconds: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), 1 if field.name == "threshold" else LONGEST_SECONDS
            if not 0 < value <= most:
                flag = field.name.removesuffix("_seconds")
                raise ConfigError(f"--{flag} {value:g}: wanted more than 0 and at most {most}")

    @property
    def smoothed(self) -> int:
        """Windows whose mean counts."""
        return max(1, round(self.smoothing_seconds / self.hop_seconds))


@dataclass(frozen=True)
class Detection:
    """A word that was heard.

    Attributes:
        seconds: when that was known, from the beginning of the stream.
        word: which one.
        confidence: the mean probability at that moment.
    """

    seconds: float
    word: str
    confidence: float


@dataclass(frozen=True)
class Scores:
    """How probable each word is.

    Attributes:
        seconds: ends of windows (H,).
        probabilities: means over the last windows (H, K).
    """

    seconds: Array
    probabilities: Array


class Scorer:
    """Samples of any number in, mean probabilities of the words out.

    Args:
        recognizer: of a classifier of clips.
        spotting: how.
        words: those that matter; all that the classifier knows but those that begin with a line, if not given.

    Raises:
        ConfigError: the network is no classifier, or does not know a word.
    """

    def __init__(self, recognizer: Recognizer, spotting: Spotting, words: Sequence[str] = ()) -> None:
        self.recognizer, self.spotting = recognizer, spotting
        self.words = words_of(recognizer, words)
        features = recognizer.frontend.features
        self._ids = [recognizer.vocabulary.symbols.index(word) for word in self.words]
        self._stream = FeatureStream(features)
        self._window = features.num_frames(round(spotting.window_seconds * SAMPLE_RATE))
        self._hop = max(1, round(1000 * spotting.hop_seconds / features.hop_ms))
        self._frames = np.zeros((0, features.num_bins), np.float32)
        self._first = 0  # which frame of the stream the first of those is
        self._last = np.zeros((0, len(self.words)))  # probabilities of the last windows

    def feed(self, samples: Array) -> Scores:
        """The windows that are complete now."""
        self._frames = np.concatenate([self._frames, self._stream.feed(samples)])
        return self._scores()

    def finish(self) -> Scores:
        """The windows that are left when the stream ends."""
        self._frames = np.concatenate([self._frames, self._stream.finish()])
        return self._scores()

    def _scores(self) -> Scores:
        starts = range(0, len(self._frames) - self._window + 1, self._hop)
        found = [self._probabilities(starts[at : at + MOST_WINDOWS]) for at in range(0, len(starts), MOST_WINDOWS)]
        features = self.recognizer.frontend.features
        ends = self._first + np.array(starts, int) + self._window - 1
        used = len(starts) * self._hop
        self._frames, self._first = self._frames[used:], self._first + used
        seconds = (ends * features.hop_samples + features.window_samples) / features.sample_rate
        return Scores(seconds, self._smoothed(np.concatenate([*found, np.zeros((0, len(self.words)))])))

    def _probabilities(self, starts: Sequence[int]) -> Array:
        """Of each word in each window (h, K)."""
        normalised = self.recognizer.frontend.normalised
        outputs = self.recognizer.outputs([normalised(self._frames[at : at + self._window]) for at in starts])
        return np.exp(outputs.log_probs[:, 0, self._ids].astype(np.float64))  # (h, 1, V) -> (h, K)

    def _smoothed(self, probabilities: Array) -> Array:
        """Means (h, K) over each window and those before it."""
        known = np.concatenate([self._last, probabilities])
        count = self.spotting.smoothed
        sums = np.concatenate([np.zeros((1, known.shape[1])), np.cumsum(known, axis=0)])
        ends = np.arange(len(self._last), len(known)) + 1
        begins = np.maximum(0, ends - count)
        self._last = known[max(0, len(known) - count + 1) :]
        return (sums[ends] - sums[begins]) / (ends - begins)[:, None]


def words_of(recognizer: Recognizer, wanted: Sequence[str]) -> tuple[str, ...]:
    """The words that a classifier can spot, or those of them that are wanted.

    Raises:
        ConfigError: it is no classifier, or does not know a word.
    """
    if recognizer.task.outputs != "classes":
        raise ConfigError("this network writes sentences; spotting wants one that was trained with task: classify")
    known = [one for one in recognizer.vocabulary.symbols[UNKNOWN_ID + 1 :] if not one.startswith("_")]
    for word in wanted:
        if word not in known:
            raise ConfigError(f"--words {word}: the network does not know it; known: {', '.join(known)}")
    return tuple(dict.fromkeys(wanted)) or tuple(known)


class Trigger:
    """Says when a word was heard, from the scores up to that moment.

    A word is heard when it is the most probable one and exceeds the threshold, unless it already did so at the moment
    before, or another one was heard a short time ago.

    Args:
        words: of the columns of the scores.
        threshold, refractory_seconds: see :class:`Spotting`.
    """

    def __init__(self, words: Sequence[str], threshold: float, refractory_seconds: float) -> None:
        self.words, self.threshold, self.refractory_seconds = words, threshold, refractory_seconds
        self._silent_until = 0.0
        self._held: int | None = None  # what is above the threshold and was heard

    def __call__(self, scores: Scores) -> Iterator[Detection]:
        """What is heard, in the order of time."""
        best = scores.probabilities.argmax(axis=1) if len(scores.seconds) else np.zeros(0, int)
        peaks = scores.probabilities[np.arange(len(best)), best]
        for seconds, word, peak in zip(scores.seconds.tolist(), best.tolist(), peaks.tolist(), strict=True):
            if peak < self.threshold:
                self._held = None
            elif word != self._held and seconds >= self._silent_until:
                self._held, self._silent_until = word, seconds + self.refractory_seconds
                yield Detection(round(seconds, 3), self.words[word], peak)


class Spotter:
    """Samples of any number in, words out; what it says at a moment depends on no sample after it.

    Args:
        recognizer, spotting, words: as of :class:`Scorer`.

    Example:
        >>> spotter = Spotter(Recognizer.load("keywords.ckpt"), Spotting())  # doctest: +SKIP
        >>> spotter.feed(samples)  # doctest: +SKIP
        [Detection(seconds=12.345, word='ba1', confidence=0.97)]
    """

    def __init__(self, recognizer: Recognizer, spotting: Spotting, words: Sequence[str] = ()) -> None:
        self.scorer = Scorer(recognizer, spotting, words)
        self._trigger = Trigger(self.scorer.words, spotting.threshold, spotting.refractory_seconds)

    def feed(self, samples: Array) -> list[Detection]:
        """What is heard in them and in what came before."""
        return list(self._trigger(self.scorer.feed(samples)))

    def finish(self) -> list[Detection]:
        """What is heard at the end."""
        return list(self._trigger(self.scorer.finish()))


def scores_of(scorer: Scorer, blocks: Iterable[Array]) -> Scores:
    """All scores of a stream that is there as a whole."""
    found = [*(scorer.feed(block) for block in blocks), scorer.finish()]
    return Scores(np.concatenate([one.seconds for one in found]), np.concatenate([one.probabilities for one in found]))
