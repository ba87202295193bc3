"""Layer norms by oneDNN, over the last axis; MindSpore computes them number by number."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dfcnn_ms.native import onednn, threads
from dfcnn_ms.native.onednn import Bench, Memory, Task

_FORWARD_TRAINING, _BACKWARD, _SCALED = 64, 128, 2
#: the numbers that tensors go by: read, written, and their gradients
_X, _RESULT, _SCALE, _MEAN, _VARIANCE = 1, 17, 33, 49, 50
_TO_X, _TO_RESULT, _TO_SCALE = 129, 145, 161


def normalise(
    shape: Sequence[int], epsilon: float, x: int, gamma: int, beta: int, result: int, mean: int, variance: int
) -> None:
    """Writes the normed tensor, and mean and variance of each of its rows; all are addresses."""
    width = shape[-1]
    scale = np.stack([onednn.tensor_at(gamma, (width,)), onednn.tensor_at(beta, (width,))])
    shares = _shares(math.prod(shape[:-1]), width, epsilon, False, threads.count())

    def work(part: int, bench: Bench) -> None:
        wide, narrow, operation = shares[part]
        addresses = {_X: x + wide, _RESULT: result + wide, _MEAN: mean + narrow, _VARIANCE: variance + narrow}
        operation(bench, addresses | {_SCALE: scale.ctypes.data})

    threads.together(len(shares), work)


def backwards(
    shape: Sequence[int], epsilon: float, x: int, gamma: int, mean: int, variance: int, gradient: int,
    to_x: int, to_gamma: int, to_beta: int,
) -> None:  # fmt: skip
    """Writes the gradients of the tensor and of its two scales, from that of the result; all are addresses."""
    width = shape[-1]
    scale = np.stack([onednn.tensor_at(gamma, (width,)), np.zeros(width, np.float32)])
    shares = _shares(math.prod(shape[:-1]), width, epsilon, True, threads.count())
    partial = np.empty((len(shares), 2, width), np.float32)

    def work(part: int, bench: Bench) -> None:
        wide, narrow, operation = shares[part]
        addresses = {_X: x + wide, _TO_RESULT: gradient + wide, _TO_X: to_x + wide}
        addresses |= {_MEAN: mean + narrow, _VARIANCE: variance + narrow}
        operation(bench, addresses | {_SCALE: scale.ctypes.data, _TO_SCALE: partial[part].ctypes.data})

    threads.together(len(shares), work)
    onednn.tensor_at(to_gamma, (width,))[:], onednn.tensor_at(to_beta, (width,))[:] = partial.sum(axis=0)


class _Operation:
    """A layer norm or its gradient, for so many rows and one thread."""

    def __init__(self, rows: int, width: int, epsilon: float, is_backward: bool) -> None:
        wide, narrow, scale = (onednn.as_it_lies(shape) for shape in ((rows, width), (rows,), (2, width)))
        how: tuple[Any, ...] = (wide, narrow, ctypes.c_float(epsilon), _SCALED)
        choice = onednn.chosen("layer_normalization_forward", _FORWARD_TRAINING, *how)
        layouts = {_X: wide, _SCALE: scale, _MEAN: narrow, _VARIANCE: narrow}
        if is_backward:
            choice = onednn.chosen("layer_normalization_backward", _BACKWARD, wide, *how, hint=choice)
            layouts |= {_TO_RESULT: wide, _TO_X: wide, _TO_SCALE: scale}
        else:
            layouts[_RESULT] = wide
        self.memories = {number: Memory(layout) for number, layout in layouts.items()}
        self.task = Task(onednn.made(choice), self.memories)

    def __call__(self, bench: Bench, addresses: dict[int, int]) -> None:
        for number, address in addresses.items():
            self.memories[number].place(address)
        self.task.run(bench)


@functools.cache  # a training has a handful of shapes
def _shares(rows: int, width: int, epsilon: float, is_backward: bool, count: int) -> list[tuple[int, int, _Operation]]:
    """For each thread the bytes before its rows, in what is wide and in what is narrow, and its operation."""
    return [
        (
            share.start * width * onednn.BYTES,
            share.start * onednn.BYTES,
            _Operation(share.stop - share.start, width, epsilon, is_backward),
        )
        for share in threads.parts(rows, count)
    ]
