"""Recordings of words -> one sound: where somebody speaks in each, and all of them one after the other.

Nothing is cut off: what lies around the speech of a recording fades into that of its neighbours. Where there is no
sound at all, between and around, there is noise with the spectrum of the quietest moments of the recordings; silence of
zeros would tell a network where words end. Times are whole milliseconds, so that they are exact at every rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.corpora.voices.spoken import Array

#: milliseconds of a frame whose power is looked at
FRAME_MS = 10
#: decibels under the loudest frame: no speech is fainter than the first, and from the second on everything is speech
FAINTEST_DB, SURE_DB = -40.0, -30.0
#: decibels over the background, the tenth part of the frames that is quietest, at which speech begins
OVER_BACKGROUND_DB, BACKGROUND = 10.0, 0.1
#: what is kept around speech, fading
MARGIN_MS = 100
#: the shortest fade: a recording that begins in the middle of its sound must not click
FADE_MS = 5
#: samples of a frame of the background, and how loud it may be beside speech
SPECTRUM, LOUDEST_BACKGROUND_DB = 512, -30.0
_LEAST = 1e-12


@dataclass(frozen=True)
class Span:
    """Where in its recording somebody speaks."""

    start_ms: int
    end_ms: int

    @property
    def ms(self) -> int:
        """How long that is."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Part:
    """A recording and where it comes to stand.

    Attributes:
        recording: a line of a manifest.
        span: where in it somebody speaks.
        at_ms: where that begins in the whole.
        gain_db: of this speech over that of other parts.
        overlap_ms: how much of this speech the part before, and the part after it, is heard in, too.
    """

    recording: Utterance
    span: Span
    at_ms: int
    gain_db: float
    overlap_ms: tuple[int, int]

    @property
    def end_ms(self) -> int:
        """Where its speech ends in the whole."""
        return self.at_ms + self.span.ms


def speech(wave: np.ndarray, rate: int) -> Span:
    """Where somebody speaks in samples (N,): from the first frame to the last that is loud enough."""
    size = rate * FRAME_MS // 1000
    padded = np.pad(np.asarray(wave, np.float64), (0, -len(wave) % size))
    levels = 10 * np.log10(np.mean(padded.reshape(-1, size) ** 2, axis=1) + _LEAST)  # (T,)
    loudest, background = levels.max(), np.quantile(levels, BACKGROUND)
    limit = loudest + np.clip(background + OVER_BACKGROUND_DB - loudest, FAINTEST_DB, SURE_DB)
    loud = np.flatnonzero(levels >= limit)
    end = min((int(loud[-1]) + 1) * FRAME_MS, len(wave) * 1000 // rate)
    return Span(int(loud[0]) * FRAME_MS, max(end, int(loud[0]) * FRAME_MS + 1))


def placed(
    recordings: Sequence[tuple[Utterance, Span]], pauses_ms: Sequence[int], gains_db: Sequence[float], before_ms: int
) -> tuple[Part, ...]:
    """Puts L recordings one after the other, with L - 1 pauses between them; below zero they overlap.

    No more than half of a recording is ever in another.
    """
    halves = [span.ms // 2 for _, span in recordings]
    pauses = [max(pause, -halves[place], -halves[place + 1]) for place, pause in enumerate(pauses_ms)]
    overlaps = [max(0, -pause) for pause in (0, *pauses, 0)]
    parts, at = list[Part](), before_ms
    for place, (recording, span) in enumerate(recordings):
        parts.append(Part(recording, span, at, gains_db[place], (overlaps[place], overlaps[place + 1])))
        at += span.ms + sum(pauses[place : place + 1])
    return tuple(parts)


def joined(parts: Sequence[Part], length_ms: int, rate: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Parts as one sound of so many milliseconds, (N,), and what is to be heard beneath it, (N,).

    Args:
        parts: in their places.
        length_ms: of the whole, silence included.
        rate: of the samples, a multiple of 1,000.
        rng: for the background.
    """
    whole = np.zeros(length_ms * rate // 1000)
    waves = [_levelled(np.asarray(read_utterance(one.recording, rate), np.float64), one, rate // 1000) for one in parts]
    for wave, part in zip(waves, parts, strict=True):
        _add(whole, wave, part, rate // 1000)
    return whole, background(np.concatenate(waves), len(whole), rng)


def background(wave: Array, length: int, rng: np.random.Generator) -> Array:
    """Noise (length,) with the power spectrum of the quietest moments of samples (n,)."""
    from scipy.fft import irfft, rfft
    from scipy.signal import oaconvolve

    window = np.hanning(SPECTRUM + 2)[1:-1]
    padded = np.pad(wave, (0, max(0, SPECTRUM - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, SPECTRUM)[:: SPECTRUM // 2]
    power = np.mean(frames**2, axis=1)
    quiet = frames[np.argsort(power, kind="stable")[: max(1, round(BACKGROUND * len(power)))]]
    spectrum = np.mean(np.abs(rfft(quiet * window)) ** 2, axis=0) / np.sum(window**2)
    taps = np.roll(irfft(np.sqrt(spectrum), SPECTRUM), SPECTRUM // 2)
    loudness = np.sqrt(np.sum(taps**2))
    limit = 10 ** (LOUDEST_BACKGROUND_DB / 20)
    noise = oaconvolve(rng.standard_normal(length + SPECTRUM - 1), taps, mode="valid")
    return np.asarray(noise * min(1.0, limit / max(loudness, _LEAST)))


def _levelled(wave: Array, part: Part, per_ms: int) -> Array:
    """A recording (n,) whose speech has a root mean square of one, but for its gain."""
    spoken = wave[part.span.start_ms * per_ms : part.span.end_ms * per_ms]
    power = np.mean(spoken**2) if len(spoken) else 0.0
    return np.asarray(wave * 10 ** (part.gain_db / 20) / np.sqrt(max(power, _LEAST)))


def _add(whole: Array, wave: Array, part: Part, per_ms: int) -> None:
    """Adds a recording (n,) to the whole (N,), with what lies around its speech as far as there is room."""
    start, end, at = (ms * per_ms for ms in (part.span.start_ms, part.span.end_ms, part.at_ms))
    before = min(MARGIN_MS * per_ms, start, at)
    after = max(0, min(MARGIN_MS * per_ms, len(wave) - end, len(whole) - part.end_ms * per_ms))
    sound = wave[start - before : end + after].copy()
    for side, margin, overlap_ms in zip((sound, sound[::-1]), (before, after), part.overlap_ms, strict=True):
        length = min(len(side), max(margin + overlap_ms * per_ms, FADE_MS * per_ms))
        side[:length] *= np.sin(np.pi / 2 * (np.arange(length) + 0.5) / length) ** 2
    whole[at - before : at - before + len(sound)] += sound
