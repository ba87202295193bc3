"""The instructions of :mod:`dfcnn_ms.audio.fft.spectrum`: what its compiled code does to all lanes at once.

A function under `_instruction` runs when numba compiles a call of it, and writes the code for that place. What it is
given there are no numbers but their names in the code: arrays as `Memory`, and integers that nobody knows yet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from numba import types
from numba.extending import intrinsic

from dfcnn_ms.audio.fft.simd import LANES, Memory, places, transform, transposed

#: how many spectra a butterfly makes one of
RADICES = (10, 8, 5, 4, 3, 2)


class Addresses(NamedTuple):
    """Where a butterfly reads, and where it writes.

    Attributes:
        start: place of the first number that it reads.
        step: from each to the next.
        turn: the first of its angles.
        to: place of the first point that it makes.
        stride: from each to the next.
        mirror: place of the last point's mirror, from which the others follow.
    """

    start: Any
    step: Any
    turn: Any
    to: Any
    stride: Any
    mirror: Any


def _instruction(write: Callable[..., None]) -> Any:
    """What compiled code can call: given a builder and the arguments, `write` writes the code for that place."""

    @wraps(write)  # numba reads from it how many arguments there are
    def typed(typing: Any, *kinds: types.Type) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            write(builder, *(_seen(context, builder, *pair) for pair in zip(signature.args, given, strict=True)))
            return context.get_dummy_value()

        integer = types.Integer
        return types.void(*(types.intp if isinstance(kind, integer) else kind for kind in kinds)), generate

    return intrinsic(typed)


def _seen(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """An argument as the writer of code sees it: arrays as `Memory`, `Addresses` of integers that nobody knows yet."""
    if isinstance(kind, types.Array):
        return Memory(context, builder, kind, value)
    if isinstance(kind, types.BaseTuple):
        return Addresses(*(builder.extract_value(value, i) for i in range(len(kind))))
    return value


def _first(radix: int) -> Any:
    """From samples to the first half of their spectrum."""

    @_instruction
    def butterfly(builder: Any, samples: Memory, new: Memory, where: Addresses) -> None:
        points = transform([samples.real(at) for at in places(builder, where.start, where.step, radix)])
        half = points[: radix // 2 + 1]
        for at, point in zip(places(builder, where.to, where.stride, len(half)), half, strict=True):
            new.put_point(at, point)

    return butterfly


def _next(radix: int) -> Any:
    """From points to as many; those that belong into the second half of the new spectrum become their mirrors."""

    @_instruction
    def butterfly(builder: Any, old: Memory, angles: Memory, new: Memory, where: Addresses) -> None:
        first, *others = [old.point(at) for at in places(builder, where.start, where.step, radix)]
        turns = places(builder, where.turn, where.turn.type(1), radix - 1)
        points = transform([first, *(point * angles.angle(at) for point, at in zip(others, turns, strict=True))])
        half = (radix + 1) // 2
        for at, point in zip(places(builder, where.to, where.stride, half), points[:half], strict=True):
            new.put_point(at, point)
        mirrors = [point.conjugate() for point in reversed(points[half:])]
        for at, point in zip(places(builder, where.mirror, where.stride, radix - half), mirrors, strict=True):
            new.put_point(at, point)

    return butterfly


first_10, first_8, first_5, first_4, first_3, first_2 = map(_first, RADICES)
next_10, next_8, next_5, next_4, next_3, next_2 = map(_next, RADICES)


@_instruction
def put_power(builder: Any, spectrum: Memory, at: Any, powers: Memory, to: Any) -> None:
    """The square of the magnitude of a point."""
    powers.put_vector(to, spectrum.point(at).power())


@_instruction
def transpose(
    builder: Any, rows: Memory, start: Any, step: Any, weights: Memory, k: Any, columns: Memory, to: Any, stride: Any
) -> None:
    """Writes LANES rows, multiplied by weights, as columns: from `step` apart to `stride` apart."""
    factors = weights.vector(k)
    turned = transposed([rows.vector(at) * factors for at in places(builder, start, step, LANES)])
    for at, column in zip(places(builder, to, stride, LANES), turned, strict=True):
        columns.put_vector(at, column)
