"""What sound goes through before it becomes features: filters and noise reduction, frozen values, (N,) -> (N,).

Everything here looks back alone, so that sound which comes in pieces becomes what the whole becomes.

>>> HighPass(hz=80)(np.zeros(16_000, np.float32), 16_000).shape
(16000,)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dfcnn_ms.audio.wave import Array
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text.quoting import quoted

Doubles = NDArray[np.float64]

#: of a Butterworth filter; steeper ones ring
MOST_ORDER = 8
#: seconds of sound that a frame of the noise reduction sees; the next begins half of it later
FRAME_SECONDS = 0.032


class WaveStream(Protocol):
    """Samples of one sound in, as many out; some of them may come later."""

    def feed(self, samples: Array) -> Array:
        """Takes samples (n,) and gives those that are known now."""
        ...

    def finish(self) -> Array:
        """Those that are left when the sound ends."""
        ...


@dataclass(frozen=True)
class Step(ABC):
    """A way to change sound that is the same in training and in use."""

    @abstractmethod
    def check(self, sample_rate: int) -> None:
        """Refuses what cannot be done at this rate, with a :class:`ConfigError`."""

    @abstractmethod
    def stream(self, sample_rate: int) -> WaveStream:
        """What changes one sound that comes in pieces."""

    def __call__(self, wave: Array, sample_rate: int) -> Array:
        """Change the samples (N,) of a whole sound."""
        stream = self.stream(sample_rate)
        return np.concatenate([stream.feed(wave), stream.finish()])


@dataclass(frozen=True)
class HighPass(Step):
    """Takes away what lies below a frequency: hum, rumble, an offset (a Butterworth filter).

    Args:
        hz: Where half of the power is left.
        order: Each one more makes the power fall by 6 dB an octave faster.
    """

    hz: float = 80.0
    order: int = 2

    def check(self, sample_rate: int) -> None:
        """Refuses what cannot be done at this rate."""
        _require(1 <= self.order <= MOST_ORDER, f"order is {quoted(self.order)}; give 1 to {MOST_ORDER}")
        half = sample_rate / 2
        _require(0 < self.hz < half, f"hz is {quoted(self.hz)}; give more than 0 and less than {half:g}, half the rate")

    def stream(self, sample_rate: int) -> WaveStream:
        """Before the first sample, all of them were like it."""
        from scipy.signal import butter, sosfilt, sosfilt_zi

        sections = butter(self.order, self.hz, "highpass", fs=sample_rate, output="sos")
        settled = sosfilt_zi(sections)
        return _Filter(lambda wave, state: sosfilt(sections, wave, zi=state), lambda first: settled * first)


@dataclass(frozen=True)
class PreEmphasis(Step):
    """Subtracts a share of the sample before from each: high frequencies are raised.

    Args:
        coefficient: That share.
    """

    coefficient: float = 0.97

    def check(self, sample_rate: int) -> None:
        """Refuses what is no share."""
        _require(0 <= self.coefficient <= 1, f"coefficient is {quoted(self.coefficient)}; give 0 to 1")

    def stream(self, sample_rate: int) -> WaveStream:
        """Before the first sample there was silence."""
        from scipy.signal import lfilter

        taps = np.array([1.0, -self.coefficient])
        return _Filter(lambda wave, state: lfilter(taps, [1.0], wave, zi=state), lambda first: np.zeros(1))


class _Filter:
    """A linear filter and its state between two pieces.

    Args:
        run: samples (n,) and a state -> samples (n,) and the next state.
        begin: the first sample -> the state before it.
    """

    def __init__(
        self, run: Callable[[Doubles, Doubles], tuple[Doubles, Doubles]], begin: Callable[[float], Doubles]
    ) -> None:
        self._run, self._begin = run, begin
        self._state: Doubles | None = None

    def feed(self, samples: Array) -> Array:
        """Takes samples (n,) and gives as many."""
        if not len(samples):
            return np.zeros(0, np.float32)
        state = self._begin(float(samples[0])) if self._state is None else self._state
        made, self._state = self._run(samples.astype(np.float64), state)
        return made.astype(np.float32)

    def finish(self) -> Array:
        """Nothing: a filter owes no sample."""
        return np.zeros(0, np.float32)


@dataclass(frozen=True)
class NoiseReduction(Step):
    """Makes steady noise weaker: each place of the spectrum by how little it stands above its noise.

    The noise of a frequency is the least power that it had in the last seconds, made larger by how far the mean of
    noise lies above its minimum; how much of the power is speech follows Ephraim and Malah (1984). The first frames
    are taken for noise, as far as later ones are not still quieter.

    Args:
        most_db: Noise becomes weaker by so much at most.
        memory_seconds: In so long a time, a voice leaves a gap at every frequency.
    """

    most_db: float = 12.0
    memory_seconds: float = 1.5

    def check(self, sample_rate: int) -> None:
        """Refuses what cannot be meant."""
        _require(0 < self.most_db <= 60, f"most_db is {quoted(self.most_db)}; give more than 0 and at most 60")
        _require(0.2 <= self.memory_seconds <= 60, f"memory_seconds is {quoted(self.memory_seconds)}; give 0.2 to 60")

    def stream(self, sample_rate: int) -> WaveStream:
        """Samples come a frame later."""
        return _Reduction(self, 2 * max(8, round(FRAME_SECONDS * sample_rate / 2)))


class _Reduction:
    """Frames of a sound, changed and added up again.

    Args:
        how: what is wanted.
        width: samples of a frame; the next begins half of it later.
    """

    def __init__(self, how: NoiseReduction, width: int) -> None:
        # Here, because numba takes half a second to load.
        from dfcnn_ms.audio.noise import Gains

        self._width, self._hop = width, width // 2
        self._window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width))
        memory_frames = max(1, round(how.memory_seconds / FRAME_SECONDS * 2))
        self._gains = Gains(width, 10 ** (-how.most_db / 20), memory_frames)
        self._waiting = np.zeros(self._hop)  # from the beginning of the next frame on: the first lies half before all
        self._tail = np.zeros(self._hop)  # what the last frame adds to the samples that come next
        self._early, self._owed = self._hop, 0

    def feed(self, samples: Array) -> Array:
        """Takes samples (n,) and gives those that no later frame changes."""
        self._owed += len(samples)
        self._waiting = np.concatenate([self._waiting, samples])
        count = max(0, (len(self._waiting) - self._width) // self._hop + 1)
        return self._given(self._changed(count)) if count else np.zeros(0, np.float32)

    def finish(self) -> Array:
        """The samples that are left."""
        owed = self._owed
        made = self.feed(np.zeros(2 * self._width, np.float32))
        return made[:owed]

    def _changed(self, count: int) -> Doubles:
        """The samples (count * hop,) up to the middle of the last of so many frames."""
        from scipy.fft import irfft, rfft

        frames = sliding_window_view(self._waiting, self._width)[:: self._hop][:count]
        spectra = rfft(frames * self._window)  # (t, K)
        spectra *= self._gains(np.square(spectra.real) + np.square(spectra.imag))
        back = irfft(spectra, self._width) * self._window
        before = np.vstack([self._tail, back[:-1, self._hop :]])
        self._waiting, self._tail = self._waiting[count * self._hop :], back[-1, self._hop :]
        return np.asarray((back[:, : self._hop] + before).ravel())

    def _given(self, made: Doubles) -> Array:
        """Without the samples before the first one."""
        early = min(self._early, len(made))
        self._early -= early
        self._owed -= len(made) - early
        return made[early:].astype(np.float32)


#: names of a page's sections -> ways to change sound
PREPROCESS: dict[str, type[Step]] = {
    "high_pass": HighPass,
    "pre_emphasis": PreEmphasis,
    "noise_reduction": NoiseReduction,
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(f"preprocess: {message}")
