"""The softmax over the last axis by oneDNN; MindSpore's gradient is made of four operators."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from dfcnn_ms.native import onednn
from dfcnn_ms.native.onednn import Plan


def softmax(shape: Sequence[int], x: int, result: int) -> None:
    """Writes the softmax of x; both are addresses."""
    _plan(math.prod(shape[:-1]), shape[-1], False).run({"x": x, "result": result})


def backwards(shape: Sequence[int], result: int, gradient: int, to_x: int) -> None:
    """Writes the gradient of x from the result and its gradient; all are addresses."""
    places = {"result": result, "to result": gradient, "to x": to_x}
    _plan(math.prod(shape[:-1]), shape[-1], True).run(places)


@functools.cache  # a training has a handful of shapes
def _plan(rows: int, width: int, is_backward: bool) -> Plan:
    layout = onednn.as_it_lies((rows, width))
    plan = Plan()
    for name in ("result", "to result", "to x") if is_backward else ("x", "result"):
        plan.give(name, layout)
    choice = onednn.chosen("softmax_forward", onednn.FORWARD_TRAINING, layout, 1)
    if is_backward:
        choice = onednn.chosen("softmax_backward", layout, layout, 1, hint=choice)
        plan.then(choice, {"result": onednn.RESULT, "to result": onednn.TO_RESULT}, {"to x": onednn.TO_SOURCE})
    else:
        plan.then(choice, {"x": onednn.SOURCE}, {"result": onednn.RESULT})
    return plan
