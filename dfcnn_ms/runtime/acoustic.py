"""A MindSpore network in use: NumPy features in, NumPy log-probabilities out, always in eval mode."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class Acoustic:
    """Wraps a network for inference.

    Example:
        >>> log_probs, steps = Acoustic(network)(features, lengths)  # (B, U, V), (B,)
    """

    def __init__(self, network: nn.Cell) -> None:
        self.network = network

    def steps(self, lengths: np.ndarray) -> np.ndarray:
        """Output steps (B,) of utterances of ``lengths`` (B,) frames; 0 where one is too short."""
        return np.maximum(self.network.output_lengths(np.asarray(lengths)), 0)

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities (B, U, V) of features (B, 1, T, F), and the steps (B,) that belong to each utterance."""
        training = self.network.training
        self.network.set_train(False)
        logits = self.network(Tensor(features, ms.float32), Tensor(lengths, ms.int32))
        self.network.set_train(training)
        log_probs = ops.log_softmax(logits.astype(ms.float32), -1).asnumpy()  # (B, U, V)
        return log_probs, np.minimum(self.steps(lengths), log_probs.shape[1])
