"""Arithmetic on eight numbers at once, for :mod:`dfcnn_ms.audio.fft.spectrum`.

A processor adds eight float32 with one instruction. `Vector` and `Point` exist while machine code is made: adding two
of them writes the instruction that adds. Python's loops and branches are gone from what is written.
"""

from __future__ import annotations

import cmath
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

LANES = 8
#: numbers that hold a point: its real part in each lane, then its imaginary part in each lane
POINT = 2 * LANES

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INDICES = ir.VectorType(ir.IntType(32), LANES)
_ANYTHING = ir.Constant(_VECTOR, ir.Undefined)
# A product and the sum it goes into may be one instruction, and zeros need no sign: x + 0 is x.
_FLAGS = ("contract", "nsz")


@dataclass(frozen=True)
class Vector:
    """A float32 in each lane."""

    builder: Any
    value: Any

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fadd(self.value, other.value, flags=_FLAGS))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fsub(self.value, other.value, flags=_FLAGS))

    def __mul__(self, other: Vector | float) -> Vector:
        factor = other.value if isinstance(other, Vector) else ir.Constant(_VECTOR, [other] * LANES)
        return Vector(self.builder, self.builder.fmul(self.value, factor, flags=_FLAGS))


@dataclass(frozen=True)
class Point:
    """A complex number in each lane."""

    real: Vector
    imag: Vector

    def __add__(self, other: Point) -> Point:
        return Point(self.real + other.real, self.imag + other.imag)

    def __sub__(self, other: Point) -> Point:
        return Point(self.real - other.real, self.imag - other.imag)

    def __mul__(self, other: Point | complex) -> Point:
        if other == 1:
            return self
        if other == -1j:
            return Point(self.imag, self.real * -1.0)
        if not other.imag:
            return Point(self.real * other.real, self.imag * other.real)
        real = self.real * other.real - self.imag * other.imag
        return Point(real, self.real * other.imag + self.imag * other.real)

    def conjugate(self) -> Point:
        return Point(self.real, self.imag * -1.0)

    def power(self) -> Vector:
        return self.real * self.real + self.imag * self.imag


class Memory:
    """An array of float32 that the code reads and writes. Whoever makes the code keeps it within the array."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        self._builder = builder
        self._start = context.make_array(kind)(context, builder, array).data

    def vector(self, at: Any) -> Vector:
        """The numbers from `at` on."""
        return Vector(self._builder, self._builder.load(self._address(at), align=4))

    def put_vector(self, at: Any, vector: Vector) -> None:
        self._builder.store(vector.value, self._address(at), align=4)

    def real(self, at: Any) -> Point:
        """The numbers from `at` on, as complex ones."""
        return Point(self.vector(at), Vector(self._builder, ir.Constant(_VECTOR, [0.0] * LANES)))

    def point(self, at: Any) -> Point:
        return Point(self.vector(at), self.vector(self._builder.add(at, at.type(LANES))))

    def put_point(self, at: Any, point: Point) -> None:
        self.put_vector(at, point.real)
        self.put_vector(self._builder.add(at, at.type(LANES)), point.imag)

    def angle(self, index: Any) -> Point:
        """One complex number of a row of them, the same in each lane."""
        at = self._builder.add(index, index)
        return Point(self._spread(at), self._spread(self._builder.add(at, at.type(1))))

    def _address(self, at: Any) -> Any:
        return self._builder.bitcast(self._builder.gep(self._start, [at]), _VECTOR.as_pointer())

    def _spread(self, at: Any) -> Vector:
        number = self._builder.load(self._builder.gep(self._start, [at]))
        first = self._builder.insert_element(_ANYTHING, number, ir.IntType(32)(0))
        return Vector(self._builder, self._builder.shuffle_vector(first, _ANYTHING, _indices([0] * LANES)))


def places(builder: Any, first: Any, step: Any, count: int) -> list[Any]:
    """`count` places, `step` apart."""
    return [builder.add(first, builder.mul(step, step.type(k))) for k in range(count)]


def transposed(rows: Sequence[Vector]) -> list[Vector]:
    """Rows become columns: lane i of row k is lane k of row i.

    Rows i and i + LANES / 2 take turns, lane by lane, in rows 2 i and 2 i + 1; after three times all is done.
    """
    builder, values = rows[0].builder, [row.value for row in rows]
    half = LANES // 2
    masks = [_indices([start + k // 2 + k % 2 * LANES for k in range(LANES)]) for start in (0, half)]
    for _ in range(half.bit_length()):
        values = [builder.shuffle_vector(values[i // 2], values[i // 2 + half], masks[i % 2]) for i in range(LANES)]
    return [Vector(builder, value) for value in values]


def transform(points: Sequence[Any]) -> list[Any]:
    """The Fourier transform of a few points, or of a few complex numbers."""
    n = len(points)
    if n == 1:
        return list(points)
    if n % 2:
        return _transform_odd(points)
    even, odd = transform(points[0::2]), transform(points[1::2])
    odd = [point * _root(k, n) for k, point in enumerate(odd)]
    return [*map(operator.add, even, odd), *map(operator.sub, even, odd)]


def _transform_odd(points: Sequence[Any]) -> list[Any]:
    """Saves half: for the points k and n - k the cosines are the same, and the sines differ in sign."""
    n, first, ks = len(points), points[0], range(1, len(points) // 2 + 1)
    sums, differences = [points[k] + points[n - k] for k in ks], [points[k] - points[n - k] for k in ks]
    results = [reduce(operator.add, sums, first)] * n
    for j in ks:
        roots = [_root(j * k, n) for k in ks]
        cosines = reduce(operator.add, (total * root.real for total, root in zip(sums, roots, strict=True)), first)
        sines = reduce(operator.add, (part * root.imag for part, root in zip(differences, roots, strict=True)))
        results[j], results[n - j] = cosines - sines * -1j, cosines + sines * -1j
    return results


def _root(k: int, n: int) -> complex:
    """exp(-2 pi i k / n), exact where it is 1, -i, -1 or i."""
    root = cmath.exp(-2j * cmath.pi * k / n)
    return complex(round(root.real, 15), round(root.imag, 15))


def _indices(values: Sequence[int]) -> Any:
    return ir.Constant(_INDICES, values)
