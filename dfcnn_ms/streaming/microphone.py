"""The sound of the microphone, by the package sounddevice, which is loaded only for that."""

from __future__ import annotations

import importlib
import queue
from collections.abc import Iterator
from typing import Any

import numpy as np

from dfcnn_ms.audio.wave import Array
from dfcnn_ms.errors import DeviceError

#: of what is taken at once
BLOCK_SECONDS = 0.05


class Microphone:
    """The default microphone, at its own rate.

    Attributes:
        rate: samples a second.

    Raises:
        DeviceError: the package or the microphone is not there.
    """

    def __init__(self) -> None:
        self._sound = _sounddevice()
        try:
            self.rate = round(float(self._sound.query_devices(kind="input")["default_samplerate"]))
        except (self._sound.PortAudioError, ValueError) as error:
            raise DeviceError(
                f"--mic: this machine has no microphone ({_one_line(error)}); plug one in, or pipe sound into --stdin"
            ) from None

    def __iter__(self) -> Iterator[Array]:
        """Samples (N,), full scale 1.0, as they are recorded, without an end."""
        taken: queue.SimpleQueue[Array] = queue.SimpleQueue()

        def take(samples: Any, *_: Any) -> None:
            taken.put(np.array(samples[:, 0], np.float32))

        try:
            stream = self._sound.InputStream(
                samplerate=self.rate,
                channels=1,
                dtype="float32",
                blocksize=round(BLOCK_SECONDS * self.rate),
                callback=take,
            )
            with stream:
                while True:
                    yield taken.get()
        except self._sound.PortAudioError as error:
            raise DeviceError(
                f"--mic: the microphone cannot be used ({_one_line(error)}); close what else records from it"
            ) from None


def _sounddevice() -> Any:
    try:
        return importlib.import_module("sounddevice")
    except ImportError:
        raise DeviceError("--mic: needs the package sounddevice; pip install 'dfcnn-ms[mic]'") from None
    except OSError as error:  # its library is not there
        raise DeviceError(
            f"--mic: {_one_line(error)}; install PortAudio, such as by: sudo apt-get install libportaudio2"
        ) from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
