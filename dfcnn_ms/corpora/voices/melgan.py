"""MelGAN as a graph for ONNX Runtime: convolutions that make a spectrogram longer, and stacks that add to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.exporting.graph import Graph
from dfcnn_ms.runtime.onnx import session_of

Array = NDArray[np.float32]

#: what a negative value is multiplied by
LEAK = 0.2
#: the network was taught spectrograms with this added, then divided by as much
LEVEL = 5.0
#: how far the convolutions of a stack look
REACHES = (1, 3, 9)


class MelGan:
    """The network, on one thread.

    Args:
        weights: as PyTorch names them, those of weight normalisation among them.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._session = session_of(_Written(normalised(weights)).graph.bundle({}), threads=1)

    def __call__(self, spectrogram: Array) -> Array:
        """(T, M) -> samples (S T,), where S is what the network makes of a frame."""
        given = np.ascontiguousarray(spectrogram.T[None], np.float32)
        return cast("Array", self._session.run(None, {"spectrogram": given})[0].reshape(-1))


class _Written:
    """The graph, layer by layer."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights, self.graph = weights, Graph()
        first, *between, last = sorted({int(name.split(".")[1]) for name in weights})
        bins = weights[f"generator.{first}.weight"].shape[1]
        x = self.graph.input("spectrogram", np.float32, [1, bins, "T"])
        level = self.graph.number(LEVEL)
        x = self.graph.node("Div", self.graph.node("Add", x, level), level)
        x = self._conv(x, f"generator.{first}")
        for place in between:
            name = f"generator.{place}"
            x = self._longer(self._leaky(x), name) if f"{name}.weight" in weights else self._stack(x, name)
        x = self.graph.node("Tanh", self._conv(self._leaky(x), f"generator.{last}"))
        self.graph.output(x, np.float32, [1, 1, "N"])

    def _conv(self, x: str, name: str, dilation: int = 1) -> str:
        """A convolution that keeps the length: what lies beyond the ends is what lies before them, mirrored."""
        kernel = self._weights[f"{name}.weight"].shape[2]
        beside = dilation * (kernel // 2)
        if beside:
            x = self.graph.node("Pad", x, self.graph.whole(0, 0, beside, 0, 0, beside), mode="reflect")
        return self.graph.node("Conv", x, *self._numbers(name), dilations=(dilation,), kernel_shape=(kernel,))

    def _stack(self, x: str, name: str) -> str:
        for index, far in enumerate(REACHES):
            block = f"{name}.blocks.{index}"
            more = self._conv(self._leaky(x), f"{block}.2", far)
            more = self._conv(self._leaky(more), f"{block}.4")
            x = self.graph.node("Add", self._conv(x, f"{name}.shortcuts.{index}"), more)
        return x

    def _longer(self, x: str, name: str) -> str:
        """Each step becomes a piece of twice as many as it makes room for; the pieces overlap by half."""
        kernel = self._weights[f"{name}.weight"].shape[2]
        pads = (kernel // 4, kernel // 4)
        return self.graph.node(
            "ConvTranspose", x, *self._numbers(name), kernel_shape=(kernel,), strides=(kernel // 2,), pads=pads
        )

    def _leaky(self, x: str) -> str:
        return self.graph.node("LeakyRelu", x, alpha=LEAK)

    def _numbers(self, name: str) -> tuple[str, ...]:
        return tuple(self.graph.constant(self._weights[f"{name}.{kind}"], name) for kind in ("weight", "bias"))


def normalised(weights: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """Weights as they act: where a direction and a length are stored apart, their product."""
    found = {}
    for name, value in weights.items():
        if name.endswith("weight_v"):
            length = weights[re.sub("v$", "g", name)]
            axes = tuple(range(1, value.ndim))
            value = value * (length / np.sqrt((value**2).sum(axis=axes, keepdims=True)))
            name = name.removesuffix("_v")
        if not name.endswith("weight_g"):
            found[name] = np.ascontiguousarray(value, np.float32)
    return found
