"""Dense layers by oneDNN, with the bias in the same pass; MindSpore has two more, to add it and to sum its gradient."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from dfcnn_ms.native import onednn
from dfcnn_ms.native.onednn import Plan

#: (D', D): what is written and what is read for each row
Shape = Sequence[int]


def forwards(rows: int, weights: Shape, x: int, weight: int, bias: int, result: int) -> None:
    """Writes x (rows, D) times the transposed weight, plus the bias (D',); all are addresses."""
    plan = _forwards(rows, tuple(weights))
    plan.run({"x": x, "weights": weight, "bias": bias, "result": result})


def backwards(
    rows: int, weights: Shape, x: int, weight: int, gradient: int, to_x: int, to_weight: int, to_bias: int
) -> None:
    """Writes the gradients of the three from that of the result; all are addresses."""
    places = {"x": x, "weights": weight, "to result": gradient}
    places |= {"to x": to_x, "to weights": to_weight, "to bias": to_bias}
    _backwards(rows, tuple(weights)).run(places)


def _plan(rows: int, weights: tuple[int, ...], *names: str) -> Plan:
    plan = Plan()
    shapes = {"x": (rows, weights[1]), "weights": weights, "bias": weights[:1], "result": (rows, weights[0])}
    for name in names:
        plan.give(name, onednn.as_it_lies(shapes[name.removeprefix("to ")]))
    return plan


@functools.cache  # a training has a handful of shapes
def _forwards(rows: int, weights: tuple[int, ...]) -> Plan:
    plan = _plan(rows, weights, *(names := ("x", "weights", "bias", "result")))
    choice = onednn.chosen("inner_product_forward", onednn.FORWARD_TRAINING, *(plan.layout(name) for name in names))
    reads = {"x": onednn.SOURCE, "weights": onednn.WEIGHTS, "bias": onednn.BIAS}
    plan.then(choice, reads, {"result": onednn.RESULT})
    return plan


@functools.cache
def _backwards(rows: int, weights: tuple[int, ...]) -> Plan:
    plan = _plan(rows, weights, "x", "weights", "to result", "to x", "to weights", "to bias")
    x, weight, bias, result = (plan.layout(name) for name in ("x", "weights", "to bias", "to result"))
    hint = onednn.chosen("inner_product_forward", onednn.FORWARD_TRAINING, x, weight, bias, result)
    reads = {"weights": onednn.WEIGHTS, "to result": onednn.TO_RESULT}
    choice = onednn.chosen("inner_product_backward_data", x, weight, result, hint=hint)
    plan.then(choice, reads, {"to x": onednn.TO_SOURCE})
    reads = {"x": onednn.SOURCE, "to result": onednn.TO_RESULT}
    choice = onednn.chosen("inner_product_backward_weights", x, weight, bias, result, hint=hint)
    plan.then(choice, reads, {"to weights": onednn.TO_WEIGHTS, "to bias": onednn.TO_BIAS})
    return plan
