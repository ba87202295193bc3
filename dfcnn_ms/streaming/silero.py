"""Voice activity by the network of Silero, from its own package: where noise comes and goes, it knows better.

Of the package ``silero-vad`` only the ONNX file is used, so that PyTorch, which it asks for, need not be there:
``pip install --no-deps silero-vad`` and ``pip install onnxruntime``.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.audio.features import Features
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.errors import ConfigError, DeviceError
from dfcnn_ms.streaming.activity import DB, MOST_DB, Levels
from dfcnn_ms.streaming.frames import BLOCK_FRAMES

#: Hz -> samples that the network hears at once, and those before them that it hears again
CHUNKS = {16_000: (512, 64), 8_000: (256, 32)}
#: power that is added to that of a frame, so that silence is a number of decibels too
QUIET = 1e-10


class SileroActivity:
    """How probable a voice is in each frame, as decibels of its odds.

    Args:
        features: with whose frames these keep step.

    Raises:
        DeviceError: the package is not there.
        ConfigError: features of a rate that the network does not know.
    """

    def __init__(self, features: Features) -> None:
        self._rate = features.sample_rate
        if self._rate not in CHUNKS:
            raise ConfigError(f"--vad silero: knows sound of 8000 and 16000 Hz, these features want {self._rate} Hz")
        self._chunk, before = CHUNKS[self._rate]
        self._hop, self._window = features.hop_samples, features.window_samples
        self._network = _network()
        self._state = np.zeros((2, 1, 128), np.float32)
        self._heard = np.zeros(before, np.float32)  # the last samples of the chunk before
        self._waiting = np.zeros(0, np.float32)  # samples that do not fill a chunk yet
        self._odds: list[float] = []  # of the chunks from the first that a later frame lies in
        self._first = 0  # the number of that chunk
        self._samples = np.zeros(0, np.float32)  # from the beginning of the next frame on
        self._frame = self._total = 0

    def feed(self, samples: Array) -> Levels:
        """Takes samples (n,), gives decibels (t, 2) of the frames that are complete now: odds, and loudness."""
        self._take(samples)
        complete = max(0, (len(self._samples) - self._window) // self._hop + 1)
        heard = (self._first + len(self._odds)) * self._chunk
        while complete and self._middle(self._frame + complete - 1) >= heard:
            complete -= 1
        return self._levels(complete // BLOCK_FRAMES * BLOCK_FRAMES)

    def finish(self) -> Levels:
        """Decibels (t, 2) of the frames that are left."""
        if not self._total:
            return np.zeros((0, 2))
        frames = 1 + max(0, self._total - self._window) // self._hop - self._frame
        self._take(np.zeros(2 * self._chunk + self._window, np.float32))
        return self._levels(frames)

    def _take(self, samples: Array) -> None:
        self._total += len(samples)
        self._samples = np.concatenate([self._samples, samples])
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= self._chunk:
            self._odds.append(self._hear(self._waiting[: self._chunk]))
            self._waiting = self._waiting[self._chunk :]

    def _hear(self, chunk: Array) -> float:
        """The decibels of a chunk."""
        heard = np.concatenate([self._heard, chunk])[None]
        inputs = {"input": heard, "state": self._state, "sr": np.array(self._rate, np.int64)}
        probability, self._state = self._network.run(None, inputs)
        self._heard = chunk[-len(self._heard) :]
        voice = float(np.clip(probability.item(), 1e-3, 1 - 1e-3))
        return float(np.clip(DB * np.log(voice / (1 - voice)), -MOST_DB, MOST_DB))

    def _middle(self, frame: int) -> int:
        """The sample in the middle of a frame."""
        return frame * self._hop + self._window // 2

    def _levels(self, frames: int) -> Levels:
        numbers = range(self._frame, self._frame + frames)
        odds = [self._odds[self._middle(number) // self._chunk - self._first] for number in numbers]
        parts = [self._samples[at * self._hop : at * self._hop + self._window] for at in range(frames)]
        loudness = [DB * np.log(np.mean(np.square(part, dtype=np.float64)) + QUIET) for part in parts]
        self._frame, self._samples = self._frame + frames, self._samples[frames * self._hop :]
        gone = min(self._middle(self._frame) // self._chunk - self._first, len(self._odds))
        self._odds, self._first = self._odds[gone:], self._first + gone
        return np.stack([np.array(odds), np.array(loudness)], axis=1) if frames else np.zeros((0, 2))


@lru_cache(maxsize=1)
def _network() -> Any:
    """The network, on one thread; a session serves any number of streams, which have states of their own."""
    try:
        runtime, package = importlib.import_module("onnxruntime"), importlib.util.find_spec("silero_vad")
    except ImportError:
        package = None
    if package is None or not package.submodule_search_locations:
        raise DeviceError(
            "--vad silero: needs onnxruntime and the file of silero-vad;"
            " pip install onnxruntime, and pip install --no-deps silero-vad"
        )
    file = Path(package.submodule_search_locations[0]) / "data" / "silero_vad.onnx"
    if not file.is_file():
        raise DeviceError(f"--vad silero: {file} is not there; pip install --no-deps 'silero-vad>=5,<7'")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
