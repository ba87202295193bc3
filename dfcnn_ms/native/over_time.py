"""Convolutions over time of each channel by itself, of steps whose channels lie side by side.

MindSpore turns the steps round for them, convolves along the last axis, for which oneDNN has no fast code, and turns
them back.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from dfcnn_ms import machine
from dfcnn_ms.native import convolution, onednn, threads
from dfcnn_ms.native.convolution import Geometry
from dfcnn_ms.native.onednn import Plan

#: (B, U, C): utterances, steps, channels
Shape = Sequence[int]


def convolve(shape: Shape, kernel: int, x: int, weight: int, bias: int, result: int) -> None:
    """Writes, as many steps as there are, from x (B, U, C), weight (C, kernel) and bias (C,); all are addresses."""
    plan = _plan(tuple(shape), kernel)
    plan.run({"maps": x, "weights": weight, "bias": bias, "result": result})


def backwards(
    shape: Shape, kernel: int, x: int, weight: int, gradient: int, to_x: int, to_weight: int, to_bias: int
) -> None:
    """Writes the gradients of the three, from that of the result; all are addresses."""
    _, steps, channels = shape
    turned = np.ascontiguousarray(onednn.tensor_at(weight, (channels, kernel))[:, ::-1])
    nothing = np.zeros(channels, np.float32)
    convolve(shape, kernel, gradient, turned.ctypes.data, nothing.ctypes.data, to_x)
    read, given = onednn.tensor_at(x, shape), onednn.tensor_at(gradient, shape)
    found = np.empty((kernel, channels), np.float32)

    def of_tap(number: int) -> None:
        ahead = number - kernel // 2
        begin, end = max(0, -ahead), max(0, min(steps, steps - ahead))
        np.einsum("buc,buc->c", read[:, begin + ahead : end + ahead], given[:, begin:end], out=found[number])

    threads.team(machine.threads()).share_out(kernel, of_tap)
    onednn.tensor_at(to_weight, (channels, kernel))[:] = found.T
    np.einsum("buc->c", given, out=onednn.tensor_at(to_bias, (channels,)))


@functools.cache  # a training has a handful of shapes
def _plan(shape: tuple[int, int, int], kernel: int) -> Plan:
    rows, steps, channels = shape
    beside = kernel // 2
    geometry = Geometry(
        (rows, channels, steps, 1), (channels, 1, kernel, 1), padding=(beside, beside, 0, 0), groups=channels
    )
    plan = Plan()
    plan.give("maps", onednn.channels_last(geometry.maps))
    plan.give("weights", onednn.as_it_lies(geometry.kernel))
    plan.give("bias", onednn.as_it_lies((channels,)))
    plan.give("result", onednn.channels_last(geometry.result))
    reads = {"maps": onednn.SOURCE, "weights": onednn.WEIGHTS, "bias": onednn.BIAS}
    plan.then(convolution.with_bias(geometry), reads, {"result": onednn.RESULT})
    return plan
