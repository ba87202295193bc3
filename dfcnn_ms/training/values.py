"""Giving a parameter other values while training runs."""

from __future__ import annotations

from mindspore import Parameter, Tensor, ops


def put(parameter: Parameter, values: Tensor) -> None:
    """Writes values into the memory that a parameter has.

    ``Parameter.set_data`` would give it other memory, and in pynative mode a compiled optimiser that has run before
    goes on writing to the old one: from then on the network no longer learns, without a sign.
    """
    ops.assign(parameter, values)
