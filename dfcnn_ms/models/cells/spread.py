"""Small tensors as large as large ones, before they meet."""

from __future__ import annotations

from mindspore import Tensor, ops


def spread(small: Tensor, large: Tensor) -> Tensor:
    """A tensor in the shape of another one, to which it broadcasts.

    On CPU an operator that broadcasts by itself keeps 16 bytes for each value of its result, for each shape that was
    compiled and as long as the process lives, and takes twice the time of one whose inputs have the same shape.
    """
    return ops.broadcast_to(small, large.shape)
