"""A MindSpore network in use: NumPy features in, NumPy log-probabilities out, always in eval mode."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from dfcnn_ms.decoding.memory import Remembering
from dfcnn_ms.errors import CheckpointError, DataError


class Acoustic:
    """Wraps a network for inference.

    A layer of it may turn NaN into a zero, so that the outputs look sound: weights and features are looked at before.

    Raises:
        CheckpointError: a weight is NaN or infinite, or a variance negative.

    Example:
        >>> log_probs, steps = Acoustic(network)(features, lengths)  # (B, U, V), (B,)
    """

    def __init__(self, network: nn.Cell) -> None:
        _check_weights(network)
        self.network = network
        self.writer = network.writer() if hasattr(network, "writer") else None  # the decoder, of a network that has one

    def steps(self, lengths: np.ndarray) -> np.ndarray:
        """Output steps (B,) of utterances of ``lengths`` (B,) frames; 0 where one is too short."""
        return np.maximum(self.network.output_lengths(np.asarray(lengths)), 0)

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities (B, U, V) of features (B, 1, T, F), and the steps (B,) that belong to each utterance.

        Those of a network with a decoder remember what it looks at.

        Raises:
            DataError: a feature is NaN or infinite.
        """
        if not np.isfinite(features).all():
            raise DataError("the features of an utterance are NaN or infinite; is its sound far too loud, or damaged?")
        training = self.network.training
        self.network.set_train(False)
        said = self.network(Tensor(features, ms.float32), Tensor(lengths, ms.int32))
        self.network.set_train(training)
        logits = said if self.writer is None else said[0]
        log_probs = ops.log_softmax(logits.astype(ms.float32), -1).asnumpy()  # (B, U, V)
        if self.writer is not None:
            log_probs = Remembering.of(log_probs, said[1].asnumpy(), self.writer)
        return log_probs, np.minimum(self.steps(lengths), log_probs.shape[1])


def _check_weights(network: nn.Cell) -> None:
    for name, parameter in network.parameters_dict().items():
        values = parameter.asnumpy()
        found = "NaN or infinity" if not np.isfinite(values).all() else ""
        if not found and name.endswith("moving_variance") and (values < 0).any():
            found = "a negative variance"
        if found:
            raise CheckpointError(
                f"the network is damaged or has diverged: {name} holds {found}; use an earlier checkpoint"
            )
