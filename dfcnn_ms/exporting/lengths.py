"""Lengths (B,) inside a graph: they add, subtract and divide as ints do, and each step becomes a node.

So the arithmetic of a network's lengths is written once, for ints, arrays, tensors and graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

from dfcnn_ms.exporting.graph import Graph


@dataclass(frozen=True)
class Lengths:
    """Whole numbers (B,) that a graph computes.

    Example:
        >>> graph = Graph()
        >>> frames = Lengths(graph, graph.input("frames", np.int64, ["B"]))
        >>> steps = (frames + 1) // 2
    """

    graph: Graph
    name: str

    def __add__(self, other: Lengths | int) -> Lengths:
        return self._with("Add", other)

    def __sub__(self, other: Lengths | int) -> Lengths:
        return self._with("Sub", other)

    def __mul__(self, other: Lengths | int) -> Lengths:
        return self._with("Mul", other)

    def __radd__(self, other: int) -> Lengths:
        return self + other

    def __rmul__(self, other: int) -> Lengths:
        return self * other

    def __rsub__(self, other: int) -> Lengths:
        return -self + other

    def __neg__(self) -> Lengths:
        return self * -1

    def __abs__(self) -> Lengths:
        return Lengths(self.graph, self.graph.node("Abs", self.name))

    def __floordiv__(self, other: int) -> Lengths:
        """Rounds down, as Python does; ONNX rounds towards 0."""
        return self if other == 1 else (self - self % other)._with("Div", other)

    def __mod__(self, other: int) -> Lengths:
        return self._with("Mod", other)

    def at_least(self, other: int) -> Lengths:
        """The larger of the two."""
        return self._with("Max", other)

    def at_most(self, other: str) -> Lengths:
        """The smaller of the two; the other is a value of the graph."""
        return Lengths(self.graph, self.graph.node("Min", self.name, other))

    def _with(self, operator: str, other: Lengths | int) -> Lengths:
        if isinstance(other, int) and other == (1 if operator in ("Mul", "Div") else 0) and operator != "Max":
            return self
        name = other.name if isinstance(other, Lengths) else self.graph.whole(other)
        return Lengths(self.graph, self.graph.node(operator, self.name, name))
