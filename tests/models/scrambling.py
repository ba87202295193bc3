"""What the tests of networks share: weights that hide nothing, and what a network says of utterances of any length."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn


def scrambled(network: nn.Cell, seed: int = 0, scale: float = 0.5) -> nn.Cell:
    """Gives every parameter of floats, statistics of batch norms included, a random value; eval mode."""
    rng = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        values = rng.normal(scale=scale, size=parameter.shape)
        if "moving_variance" in parameter.name:
            values = np.exp(values)
        if parameter.dtype == ms.float32:
            parameter.set_data(Tensor(values, ms.float32))
    return network.set_train(False)


def logits_of(network: nn.Cell, features: np.ndarray, lengths: list[int] | None) -> np.ndarray:
    """Raw logits (B, U, V), also of a network whose decoder gives it a second output."""
    said: Any = network(Tensor(features, ms.float32), None if lengths is None else Tensor(lengths, ms.int32))
    return (said[0] if isinstance(said, tuple) else said).asnumpy()


def check_alone_equals_batched(network: nn.Cell, bins: int, units: int) -> None:
    """Longer neighbours and garbage in the padding change nothing; an even and an odd length of each kind."""
    rng = np.random.default_rng(1)
    lengths = [41, 26, 27, 32]
    batch = 10 * rng.normal(size=(len(lengths), 1, 47, bins)).astype(np.float32)
    together = logits_of(network, batch, lengths)
    for row, length in enumerate(lengths):
        alone = logits_of(network, batch[row : row + 1, :, :length], [length])
        steps = network.output_lengths(length)
        assert alone.shape == (1, steps, units) and steps >= 1
        np.testing.assert_allclose(together[row, :steps], alone[0], rtol=1e-5, atol=1e-5)
    without = logits_of(network, batch, None)
    assert np.abs(without[1, : network.output_lengths(26)] - together[1, : network.output_lengths(26)]).max() > 1e-3
