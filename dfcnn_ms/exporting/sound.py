"""The front end in a graph: wave (B, N) and samples (B,) become the very features that `audio/` computes.

The Fourier transform of a frame is a convolution over the samples with the sines and cosines under the window. Each
kind of features has a row in ``SPECTRA``, and each kind of normalisation in ``NORMALISED``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dfcnn_ms.audio.cepstrogram import Cepstrogram
from dfcnn_ms.audio.clip_mel import ClipMel
from dfcnn_ms.audio.features import (
    LEAST_VARIANCE,
    PRIOR_FRAMES,
    STD_FLOOR,
    WINDOWS,
    Features,
    LinearSpectrogram,
    LogMel,
    Mfcc,
)
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.exporting.graph import DOUBLE, FLOAT, Graph
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.runtime.bundle import FEATURES, FRAMES, SOUND

#: the least power of a clip's band
LEAST_POWER = 1e-10


def features_of(graph: Graph, frontend: Frontend, wave: str, samples: Lengths, least_frames: int) -> Lengths:
    """Writes the front end; its features (B, 1, T, F) are called ``features``, and their lengths ``frames``.

    Args:
        graph: where it goes.
        frontend: what it computes.
        wave: name of the samples (B, N).
        samples: of each utterance (B,); what lies behind them is not heard.
        least_frames: T is at least this.

    Returns:
        The frames of each utterance.

    Raises:
        ConfigError: a kind of features or normalisation that has no row here, or sound that is changed before.
    """
    kind = frontend.features
    unknown = [f"preprocess {type(step).__name__}" for step in kind.preprocess]
    unknown += [] if type(kind) in SPECTRA else [f"features {type(kind).__name__}"]
    unknown += [] if frontend.cmvn in NORMALISED else [f"cmvn {frontend.cmvn}"]
    if unknown:
        raise ConfigError(f"--waveform, --page: {unknown[0]} cannot be part of the graph; export features without")
    framing, heard_in = SPECTRA[type(kind)]
    graph.prefix = SOUND
    sound = framing(graph, kind)
    frames = sound.frames(samples)
    heard = heard_in(graph, kind, sound.power(sound.silenced(wave, samples), least_frames))  # (B, T, F)
    own = sound.own(heard, frames)  # (B, T, 1)
    normal = graph.node("Where", own, NORMALISED[frontend.cmvn](graph, frontend, heard, own, frames), graph.number(0))
    graph.prefix = ""
    graph.node("Unsqueeze", normal, graph.whole(1), name=FEATURES)
    graph.node("Identity", frames.name, name=FRAMES)
    graph.between(FEATURES, np.float32, ["B", 1, "T", kind.num_bins])
    graph.between(FRAMES, np.int64, ["B"])
    return Lengths(graph, FRAMES)


class Sound:
    """From samples to the power spectra of frames that begin at every hop."""

    def __init__(self, graph: Graph, kind: Any) -> None:
        self.graph, self.kind = graph, kind

    def frames(self, samples: Lengths) -> Lengths:
        """As `num_frames` of the features."""
        return (samples - self.kind.window_samples).at_least(0) // self.kind.hop_samples + 1

    def silenced(self, wave: str, samples: Lengths) -> str:
        """The wave (B, N), zero behind each utterance."""
        column = self.graph.node("Unsqueeze", samples.name, self.graph.whole(1))
        return self.graph.node("Where", self._before(wave, column), wave, self.graph.number(0))

    def power(self, wave: str, least_frames: int) -> str:
        """(B, N) -> (B, T, n_fft // 2 + 1): zeros are added until there are frames enough."""
        more = self.missing(wave, (least_frames - 1) * self.kind.hop_samples + self.kind.window_samples)
        return self.transformed(self.padded(wave, 0, more))

    def own(self, heard: str, frames: Lengths) -> str:
        """Which frames (B, T, 1) are an utterance's own."""
        column = self.graph.node("Unsqueeze", frames.name, self.graph.whole(1))
        return self.graph.node("Unsqueeze", self._before(heard, column), self.graph.whole(2))

    def window(self) -> np.ndarray:
        """The weights (W,) of a frame's samples."""
        return np.asarray(self.kind._window, np.float64)

    def missing(self, wave: str, samples: int) -> Lengths:
        """How many zeros make a wave so long: (1,)."""
        return (Lengths(self.graph, self.graph.node("Shape", wave, start=1, end=2)) * -1 + samples).at_least(0)

    def padded(self, wave: str, before: int, after: Lengths) -> str:
        """The wave with zeros on both sides."""
        pads = self.graph.node("Concat", self.graph.whole(0, before, 0), after.name, axis=0)
        return self.graph.node("Pad", wave, pads)

    def transformed(self, wave: str) -> str:
        """The power spectra (B, T, n_fft // 2 + 1) of all whole windows of a wave (B, N)."""
        window, bins = self.window(), self.kind.n_fft // 2 + 1
        angles = 2 * np.pi / self.kind.n_fft * np.outer(np.arange(bins), np.arange(len(window)))
        waves = (np.concatenate([np.cos(angles), np.sin(angles)]) * window)[:, None]  # (2 bins, 1, W)
        one_channel = self.graph.node("Unsqueeze", wave, self.graph.whole(1))
        parts = self.graph.node(
            "Conv",
            one_channel,
            self.graph.constant(waves.astype(np.float32), "waves"),
            kernel_shape=(len(window),),
            strides=(self.kind.hop_samples,),
        )  # (B, 2 bins, T)
        both = self.graph.node("Add", *self.graph.split(self.graph.node("Mul", parts, parts), 1, (bins, bins)))
        return self.graph.node("Transpose", both, perm=(0, 2, 1))

    def _before(self, x: str, column: str) -> str:
        """Places along the axis of time (B, *) that lie before a column (B, 1)."""
        count = self.graph.node("Squeeze", self.graph.node("Shape", x, start=1, end=2))
        zero, one = (self.graph.constant(np.int64(value), "scalar") for value in (0, 1))
        return self.graph.node("Less", self.graph.node("Range", zero, count, one), column)


class Emphasised(Sound):
    """High frequencies are raised first, and a window that is only partly filled counts too."""

    def frames(self, samples: Lengths) -> Lengths:
        return super().frames(samples + (self.kind.hop_samples - 1))

    def silenced(self, wave: str, samples: Lengths) -> str:
        before = self.graph.node("Pad", wave, self.graph.whole(0, 1, 0, -1))
        share = self.graph.node("Mul", before, self.graph.number(self.kind.preemphasis))
        return super().silenced(self.graph.node("Sub", wave, share), samples)

    def power(self, wave: str, least_frames: int) -> str:
        return super().power(
            self.padded(wave, 0, Lengths(self.graph, self.graph.whole(self.kind.hop_samples))), least_frames
        )


class Clips(Sound):
    """Every clip is cut or filled to one length, and frames are centred on the hops."""

    def frames(self, samples: Lengths) -> Lengths:
        return samples * 0 + self.kind.num_frames(0)

    def power(self, wave: str, least_frames: int) -> str:
        """(B, N) -> (B, T, n_fft // 2 + 1), T as the features say."""
        long = self.padded(wave, 0, self.missing(wave, self.kind.clip_samples))
        clip = self.graph.node(
            "Slice", long, self.graph.whole(0), self.graph.whole(self.kind.clip_samples), self.graph.whole(1)
        )
        half = self.kind.n_fft // 2
        return self.transformed(self.padded(clip, half, Lengths(self.graph, self.graph.whole(half))))

    def window(self) -> np.ndarray:
        window = WINDOWS[self.kind.window](self.kind.window_samples)
        before = (self.kind.n_fft - len(window)) // 2
        return np.pad(window, (before, self.kind.n_fft - len(window) - before))


def _linear(graph: Graph, kind: LinearSpectrogram, power: str) -> str:
    kept = graph.node("Slice", power, graph.whole(0), graph.whole(kind.n_bins), graph.whole(2))
    return graph.node("Log", graph.node("Add", kept, graph.number(kind.floor)))


def _log_mel(graph: Graph, kind: LogMel, power: str) -> str:
    bands = graph.node("MatMul", power, graph.constant(kind.filters, "filters"))
    return graph.node("Log", graph.node("Add", bands, graph.number(kind.floor)))


def _mfcc(graph: Graph, kind: Mfcc, power: str) -> str:
    bands = graph.node("MatMul", power, graph.constant(kind._weights, "filters"))  # (B, T, n_mels + 1)
    silent = graph.node("Equal", bands, graph.number(0))
    logs = graph.node("Log", graph.node("Where", silent, graph.number(float(np.finfo(np.float64).eps)), bands))
    mels, energy = graph.split(logs, 2, (kind.n_mels, 1))
    cepstra = graph.node("MatMul", mels, graph.constant(kind._cepstra, "cepstra"))
    if not kind.energy:
        return cepstra
    if kind.n_ceps == 1:
        return energy
    return graph.node("Concat", energy, graph.split(cepstra, 2, (1, kind.n_ceps - 1))[1], axis=2)


def _cepstrogram(graph: Graph, kind: Cepstrogram, power: str) -> str:
    logs = graph.node("Log", graph.node("Add", power, graph.number(kind.floor)))
    return graph.node("MatMul", logs, graph.constant(kind.cosines, "cosines"))


def _clip_mel(graph: Graph, kind: ClipMel, power: str) -> str:
    bands = graph.node("MatMul", power, graph.constant(kind.filters, "filters"))
    bands = graph.node("Max", bands, graph.number(LEAST_POWER))
    loudest = graph.node("ReduceMax", bands, axes=(1, 2))
    nats = graph.node("Log", graph.node("Div", bands, loudest))
    decibels = graph.node("Mul", nats, graph.number(10 / np.log(10)))
    return graph.node("Max", decibels, graph.number(-kind.range_db))


def _as_they_are(graph: Graph, frontend: Frontend, heard: str, own: str, frames: Lengths) -> str:
    return heard


def _by_statistics(graph: Graph, frontend: Frontend, heard: str, own: str, frames: Lengths) -> str:
    assert frontend.statistics is not None, "a front end with global normalisation has its numbers"
    centred = graph.node("Sub", heard, graph.constant(frontend.statistics.mean, "mean"))
    return graph.node("Div", centred, graph.constant(frontend.statistics.std, "std"))


def _by_utterance(graph: Graph, frontend: Frontend, heard: str, own: str, frames: Lengths) -> str:
    count = graph.node("Cast", graph.node("Reshape", frames.name, graph.whole(-1, 1, 1)), to=FLOAT)

    def mean(x: str) -> str:
        total = graph.node("ReduceSum", graph.node("Where", own, x, graph.number(0)), graph.whole(1))
        return graph.node("Div", total, count)

    centred = graph.node("Sub", heard, mean(heard))
    deviation = graph.node("Sqrt", mean(graph.node("Mul", centred, centred)))
    return graph.node("Div", centred, graph.node("Max", deviation, graph.number(STD_FLOOR)))


def _running(graph: Graph, frontend: Frontend, heard: str, own: str, frames: Lengths) -> str:
    """In float64, since sums go on from frame to frame."""
    known = graph.node("Cast", _by_statistics(graph, frontend, heard, own, frames), to=DOUBLE)
    prior = graph.constant(np.float64(PRIOR_FRAMES), "prior")
    count = graph.node("Cast", graph.node("Squeeze", graph.node("Shape", heard, start=1, end=2)), to=DOUBLE)
    one = graph.constant(np.float64(1), "one")
    numbers = graph.node("Range", one, graph.node("Add", count, one), one)
    weights = graph.node("Unsqueeze", graph.node("Add", numbers, prior), graph.whole(1))  # (T, 1)
    axis = graph.constant(np.int64(1), "scalar")

    def mean(x: str, first: str) -> str:
        return graph.node("Div", graph.node("Add", graph.node("CumSum", x, axis), first), weights)

    middle = mean(known, graph.constant(np.float64(0), "zero"))
    squares = mean(graph.node("Mul", known, known), prior)
    variance = graph.node("Sub", squares, graph.node("Mul", middle, middle))
    least = graph.constant(np.float64(LEAST_VARIANCE), "least")
    deviation = graph.node("Sqrt", graph.node("Max", variance, least))
    return graph.node("Cast", graph.node("Div", graph.node("Sub", known, middle), deviation), to=FLOAT)


#: features -> how frames are cut, and what becomes of their power spectra: (B, T, n_fft // 2 + 1) -> (B, T, F)
SPECTRA: dict[type[Features], tuple[type[Sound], Callable[[Graph, Any, str], str]]] = {
    LinearSpectrogram: (Sound, _linear),
    LogMel: (Sound, _log_mel),
    Mfcc: (Emphasised, _mfcc),
    Cepstrogram: (Sound, _cepstrogram),
    ClipMel: (Clips, _clip_mel),
}
#: `cmvn` of the page -> how features (B, T, F) are normalised, given which frames are an utterance's own
NORMALISED: dict[str, Callable[[Graph, Frontend, str, str, Lengths], str]] = {
    "none": _as_they_are,
    "utterance": _by_utterance,
    "global": _by_statistics,
    "running": _running,
}
