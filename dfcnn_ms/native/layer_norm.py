"""Layer norms by oneDNN, over the last axis; MindSpore computes them number by number."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dfcnn_ms.native import onednn
from dfcnn_ms.native.onednn import Plan

_SCALED = 2


def normalise(
    shape: Sequence[int], epsilon: float, x: int, gamma: int, beta: int, result: int, mean: int, variance: int
) -> None:
    """Writes the normed tensor, and mean and variance of each of its rows; all are addresses."""
    width = shape[-1]
    scale = np.stack([onednn.tensor_at(gamma, (width,)), onednn.tensor_at(beta, (width,))])
    places = {"x": x, "result": result, "mean": mean, "variance": variance, "scales": scale.ctypes.data}
    _plan(math.prod(shape[:-1]), width, epsilon, False).run(places)


def backwards(
    shape: Sequence[int], epsilon: float, x: int, gamma: int, mean: int, variance: int, gradient: int,
    to_x: int, to_gamma: int, to_beta: int,
) -> None:  # fmt: skip
    """Writes the gradients of the tensor and of its two scales, from that of the result; all are addresses."""
    width = shape[-1]
    scale = np.stack([onednn.tensor_at(gamma, (width,)), np.zeros(width, np.float32)])
    to_scale = np.empty((2, width), np.float32)
    places = {"x": x, "to result": gradient, "to x": to_x, "mean": mean, "variance": variance}
    places |= {"scales": scale.ctypes.data, "to scales": to_scale.ctypes.data}
    _plan(math.prod(shape[:-1]), width, epsilon, True).run(places)
    onednn.tensor_at(to_gamma, (width,))[:], onednn.tensor_at(to_beta, (width,))[:] = to_scale


@functools.cache  # a training has a handful of shapes
def _plan(rows: int, width: int, epsilon: float, is_backward: bool) -> Plan:
    wide, narrow, scales = (onednn.as_it_lies(shape) for shape in ((rows, width), (rows,), (2, width)))
    how: tuple[Any, ...] = (wide, narrow, ctypes.c_float(epsilon), _SCALED)
    choice = onednn.chosen("layer_normalization_forward", onednn.FORWARD_TRAINING, *how)
    plan = Plan()
    for name, layout in {"x": wide, "scales": scales, "mean": narrow, "variance": narrow}.items():
        plan.give(name, layout)
    of_rows = {"mean": onednn.MEAN, "variance": onednn.VARIANCE}
    if is_backward:
        choice = onednn.chosen("layer_normalization_backward", onednn.BACKWARD, wide, *how, hint=choice)
        for name, layout in {"to result": wide, "to x": wide, "to scales": scales}.items():
            plan.give(name, layout)
        reads = {"x": onednn.SOURCE, "scales": onednn.SCALES, "to result": onednn.TO_RESULT, **of_rows}
        plan.then(choice, reads, {"to x": onednn.TO_SOURCE, "to scales": onednn.TO_SCALES})
    else:
        plan.give("result", wide)
        reads = {"x": onednn.SOURCE, "scales": onednn.SCALES}
        plan.then(choice, reads, {"result": onednn.RESULT, **of_rows})
    return plan
