"""The weights of a Cell by their names, as graphs want them: in float64, with batch norms as scale and shift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dfcnn_ms.exporting.layers import Affine

#: what MindSpore's batch norm adds to a variance
EPSILON = 1e-5

Weights = Mapping[str, np.ndarray]


def wide(weights: Weights, name: str) -> np.ndarray:
    """A parameter in float64, so that what is computed once is exact."""
    return weights[name].astype(np.float64)


def affine(weights: Weights, name: str) -> Affine:
    """A convolution or a dense layer; one without a bias has a bias of zeros."""
    weight, bias = wide(weights, f"{name}.weight"), f"{name}.bias"
    return Affine(weight, wide(weights, bias) if bias in weights else np.zeros(len(weight)))


def batch_norm(weights: Weights, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift (C,) of a batch norm in use."""
    gamma, beta, mean, variance = (
        wide(weights, f"{name}.{part}") for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    if (variance < 0).any():
        raise ValueError(f"{name}.moving_variance holds a negative variance")
    scale = gamma / np.sqrt(variance + EPSILON)
    return scale, beta - mean * scale


def part_of(weights: Weights, name: str) -> dict[str, np.ndarray]:
    """The weights of a Cell inside another, by the names that they have there."""
    begins = f"{name}."
    return {one[len(begins) :]: value for one, value in weights.items() if one.startswith(begins)}
