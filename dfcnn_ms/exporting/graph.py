"""An ONNX graph while it is written: nodes and constants go in, the bytes of a model come out.

>>> graph = Graph()
>>> graph.input("x", np.float32, ["B", "T"])
'x'
>>> graph.output(graph.node("Relu", "x", name="y"), np.float32, ["B", "T"])
>>> bundle = graph.bundle({"task": "none"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dfcnn_ms import __version__
from dfcnn_ms.runtime import protobuf
from dfcnn_ms.runtime.bundle import Bundle

#: the operators and the file format that are used; what reads them is from 2022 or later
OPSET, IR_VERSION = 17, 8

#: the numbers of types, for a `Cast`
FLOAT, INT32, DOUBLE = 1, 6, 11
_TYPES = {"float32": FLOAT, "uint8": 2, "int8": 3, "int32": INT32, "int64": 7, "bool": 9, "float64": DOUBLE}
#: kinds of attributes
_REAL, _INT, _STRING, _INTS = 1, 2, 3, 7

#: what an attribute of a node can be
Attribute = int | float | str | Sequence[int]
#: a length that is known, or the name of one that is not
Dimension = int | str


class Graph:
    """Nodes in the order in which they are computed; every value has a name of its own."""

    def __init__(self) -> None:
        #: what the names of new values begin with
        self.prefix = ""
        self._nodes: list[bytes] = []
        self._constants: dict[tuple[str, bytes], str] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._between: list[bytes] = []
        self._names: set[str] = set()

    def input(self, name: str, kind: type[np.generic], shape: Sequence[Dimension]) -> str:
        """Something that the graph is given."""
        self._names.add(name)
        self._inputs.append(_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: type[np.generic], shape: Sequence[Dimension] | None) -> None:
        """Says that a value is a result of the graph; None: of whatever shape."""
        self._outputs.append(_value_info(name, kind, shape))

    def between(self, name: str, kind: type[np.generic], shape: Sequence[Dimension]) -> None:
        """Says the shape of a value that is neither input nor result."""
        self._between.append(_value_info(name, kind, shape))

    def constant(self, array: Any, name: str = "constant") -> str:
        """An array; one that is there already is not stored again."""
        key = (self.prefix, _tensor(np.asarray(array)))
        if key not in self._constants:
            self._constants[key] = self._own(name)
        return self._constants[key]

    def keep(self, array: np.ndarray, name: str) -> None:
        """An array that no node reads: somebody who reads the file does."""
        self._constants[name, _tensor(array)] = self._own(name)

    def whole(self, *values: int) -> str:
        """A row of whole numbers, as shapes and axes are given."""
        return self.constant(np.array(values, np.int64), "whole")

    def number(self, value: float) -> str:
        """A single number."""
        return self.constant(np.float32(value), "number")

    def node(self, operator: str, *inputs: str, name: str = "", **attributes: Attribute) -> str:
        """An operator applied to values; returns the name of its result."""
        name = self._own(name or operator.lower())
        self._write(operator, inputs, [name], attributes)
        return name

    def split(self, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """A value cut into pieces along an axis."""
        names = [self._own("split") for _ in sizes]
        self._write("Split", [x, self.whole(*sizes)], names, {"axis": axis})
        return names

    def bundle(self, metadata: Mapping[str, str]) -> Bundle:
        """The model, with what it says about itself."""
        content = [protobuf.raw(1, node) for node in self._nodes]
        content.append(protobuf.text(2, "dfcnn_ms"))
        content += [protobuf.raw(5, array + protobuf.text(8, name)) for (_, array), name in self._constants.items()]
        content += [protobuf.raw(11, one) for one in self._inputs]
        content += [protobuf.raw(12, one) for one in self._outputs]
        content += [protobuf.raw(13, one) for one in self._between]
        head = protobuf.whole(1, IR_VERSION) + protobuf.text(2, "dfcnn_ms") + protobuf.text(3, __version__)
        opset = protobuf.raw(8, protobuf.text(1, "") + protobuf.whole(2, OPSET))
        return Bundle(head + opset, b"".join(content), metadata)

    def _own(self, name: str) -> str:
        """The name behind the prefix, or the first like it that is free."""
        name = self.prefix + name
        free, number = name, 1
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free

    def _write(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]
    ) -> None:
        written = b"".join(protobuf.text(1, one) for one in inputs)
        written += b"".join(protobuf.text(2, one) for one in outputs)
        written += protobuf.text(3, outputs[0]) + protobuf.text(4, operator)
        self._nodes.append(written + b"".join(protobuf.raw(5, _attribute(*one)) for one in attributes.items()))


def _tensor(array: np.ndarray) -> bytes:
    """Shape, type and numbers of an array."""
    stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return (
        protobuf.each(1, array.shape) + protobuf.whole(2, _TYPES[array.dtype.name]) + protobuf.raw(9, stored.tobytes())
    )


def _attribute(name: str, value: Attribute) -> bytes:
    written = protobuf.text(1, name)
    if isinstance(value, float):
        return written + protobuf.real(2, value) + protobuf.whole(20, _REAL)
    if isinstance(value, int):
        return written + protobuf.whole(3, value) + protobuf.whole(20, _INT)
    if isinstance(value, str):
        return written + protobuf.text(4, value) + protobuf.whole(20, _STRING)
    return written + protobuf.each(8, value) + protobuf.whole(20, _INTS)


def _value_info(name: str, kind: type[np.generic], shape: Sequence[Dimension] | None) -> bytes:
    tensor = protobuf.whole(1, _TYPES[np.dtype(kind).name])
    if shape is not None:
        sizes = [protobuf.text(2, one) if isinstance(one, str) else protobuf.whole(1, one) for one in shape]
        tensor += protobuf.raw(2, b"".join(protobuf.raw(1, size) for size in sizes))
    return protobuf.text(1, name) + protobuf.raw(2, protobuf.raw(1, tensor))
