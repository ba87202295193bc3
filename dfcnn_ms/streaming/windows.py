"""A network over an utterance that comes in pieces: each step is computed once, when all that it sees is there."""

from __future__ import annotations

import numpy as np

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.recognizer import Recognizer


class Stitched:
    """Log-probabilities of one utterance, piece by piece: those of the whole at once, to rounding.

    The network listens to windows. The steps that are taken from one see nothing but real frames of it, and silence
    where the utterance begins and ends; so they are what they would be in the whole.

    Args:
        recognizer: whose network.

    Raises:
        ConfigError: its receptive field has no end, or is not known.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        network = recognizer.network
        if network.frames_per_step is None or network.receptive_field is None:
            raise ConfigError(
                f"{type(network).__name__}: a step may see all of the utterance, which cannot be heard in pieces then;"
                " cut it at its pauses, as transcribe does"
            )
        self._recognizer, self._step_frames, self._field = recognizer, network.frames_per_step, network.receptive_field
        self._window = np.zeros((0, recognizer.frontend.features.num_bins), np.float32)
        self._first_frame = 0  # of the window; always the beginning of a step
        self._step = 0  # the next one to be computed

    def feed(self, features: np.ndarray) -> np.ndarray:
        """Takes normalised features (t, F); gives log-probabilities (u, V) of the steps that see no more than these."""
        self._window = np.concatenate([self._window, features])
        frames = self._first_frame + len(self._window)
        complete = max(0, (frames - 1 - self._field[1]) // self._step_frames + 1)
        return self._upto(complete) if complete > self._step else self._none

    def finish(self) -> np.ndarray:
        """Log-probabilities (u, V) of the steps that are left when the utterance ends."""
        steps = int(self._recognizer.network.output_lengths(self._first_frame + len(self._window)))
        return self._upto(steps) if steps > self._step else self._none

    def _upto(self, stop: int) -> np.ndarray:
        """The steps from the next one to `stop`; forgets the frames that no later step sees."""
        log_probs = self._recognizer.outputs([self._window]).log_probs[0]
        before = self._first_frame // self._step_frames
        found = log_probs[self._step - before : stop - before]
        self._step = stop
        frames = self._first_frame + len(self._window)
        seen = min(stop * self._step_frames + self._field[0], frames)
        first = max(0, seen // self._step_frames * self._step_frames)
        self._window, self._first_frame = self._window[first - self._first_frame :], first
        return found

    @property
    def _none(self) -> np.ndarray:
        return np.zeros((0, len(self._recognizer.vocabulary)), np.float32)
