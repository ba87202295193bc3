"""On a CPU: convolutions and layer norms by the fast code of MindSpore's own oneDNN, in place of its operators."""

from __future__ import annotations

import _thread
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms import native
from dfcnn_ms.native import convolution, layer_norm
from dfcnn_ms.native.convolution import Geometry
from dfcnn_ms.native.springboard import Listener, name_of

#: called with the addresses and the shapes of all inputs and outputs
Kernel = Callable[[Sequence[int], Sequence[tuple[int, ...]]], None]


def hasten(network: nn.Cell) -> None:
    """Lets the convolutions and layer norms of a network that runs in float32 on a CPU be computed by fast code.

    Names and values of its parameters stay, and so does everything where there is no such code.
    """
    if ms.get_context("device_target") != "CPU" or native.obstacle():
        return
    for _, cell in list(network.cells_and_names()):
        if isinstance(cell, nn.Conv2d | nn.Conv1d):
            _replace(cell, "conv2d", FastConvolution(cell))
        elif isinstance(cell, nn.LayerNorm):
            _replace(cell, "layer_norm", FastLayerNorm(cell))


def _replace(cell: nn.Cell, name: str, fast: nn.Cell) -> None:
    delattr(cell, name)
    setattr(cell, name, fast)


def _listener(kernel: Kernel) -> Listener:
    """What MindSpore calls: 0 if all went well, and no exception ever."""

    def listener(count: int, places: Any, ranks: Any, sizes: Any, *_: Any) -> int:
        try:
            kernel(places[:count], [tuple(sizes[index][: ranks[index]]) for index in range(count)])
        except KeyboardInterrupt:  # it came while this thread was here; nothing raised here reaches who waits for it
            _thread.interrupt_main()
            return 1
        except BaseException:
            traceback.print_exc()
            return 1
        return 0

    return listener


def _operator(kernel: Kernel, shapes: Callable[..., Any], results: int, bprop: Any = None) -> ops.Custom:
    """An operator of float32 tensors whose results have the shapes that ``shapes`` makes of those of its inputs."""

    def types(*given: Any) -> Any:
        return given[0] if results == 1 else (given[0],) * results

    return ops.Custom(name_of(_listener(kernel)), shapes, types, "aot", bprop)


class FastConvolution(nn.Cell):
    """What ``ops.Conv2D`` computes, forwards and backwards.

    Args:
        layer: the layer whose operator this takes the place of.

    Inputs:
        - **x** (Tensor) - (B, C, H, W).
        - **weight** (Tensor) - (C', C / groups, kernel H, kernel W).

    Outputs:
        Tensor (B, C', H', W').
    """

    def __init__(self, layer: nn.Conv2d | nn.Conv1d) -> None:
        super().__init__()
        geometry = _geometry_of(layer)

        def forward(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            convolution.convolve(geometry(*shapes[:2]), *places)

        def backwards(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            convolution.backwards(geometry(*shapes[:2]), *places)

        def to_maps(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            x, weight, gradient, written = places
            convolution.backwards(geometry(*shapes[:2]), x, weight, gradient, written, None)

        def to_weights(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            x, weight, gradient, written = places
            convolution.backwards(geometry(*shapes[:2]), x, weight, gradient, None, written)

        both = _operator(backwards, lambda x, weight, gradient: (x, weight), 2)
        maps_alone = _operator(to_maps, lambda x, weight, gradient: x, 1)
        weights_alone = _operator(to_weights, lambda x, weight, gradient: weight, 1)
        # The gradient of a spectrogram, or of a weight that stays, is computed for nobody unless it is asked for alone.
        is_asked_for = layer.in_channels > 1 and layer.weight.requires_grad

        def bprop(x: Tensor, weight: Tensor, result: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
            if is_asked_for:
                return both(x, weight, gradient)
            return maps_alone(x, weight, gradient), weights_alone(x, weight, gradient)

        self.convolve = _operator(forward, lambda x, weight: geometry(x, weight).result, 1, bprop)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.convolve(x, weight)


def _geometry_of(layer: nn.Conv2d | nn.Conv1d) -> Callable[[Sequence[int], Sequence[int]], Geometry]:
    operator = layer.conv2d
    stride, dilation, groups = tuple(operator.stride[-2:]), tuple(operator.dilation[-2:]), operator.group
    mode, given = operator.pad_mode, tuple(operator.padding)

    def geometry(maps: Sequence[int], weights: Sequence[int]) -> Geometry:
        padding = given if mode == "pad" else (0, 0, 0, 0)
        if mode == "same":
            sides = zip(maps[2:], weights[2:], stride, dilation, strict=True)
            zeros = [
                max(0, (-(-size // step) - 1) * step + gap * (kernel - 1) + 1 - size)
                for size, kernel, step, gap in sides
            ]
            padding = tuple(share for side in zeros for share in (side // 2, side - side // 2))
        return Geometry(tuple(maps), tuple(weights), stride, padding, dilation, groups)

    return geometry


class FastLayerNorm(nn.Cell):
    """What ``ops.LayerNorm`` computes over the last axis, forwards and backwards.

    Args:
        layer: the layer whose operator this takes the place of.

    Inputs:
        - **x** (Tensor) - (..., D).
        - **gamma** (Tensor) - (D,).
        - **beta** (Tensor) - (D,).

    Outputs:
        The normed tensor (..., D), mean (..., 1) and variance (..., 1).
    """

    def __init__(self, layer: nn.LayerNorm) -> None:
        super().__init__()
        epsilon = layer.epsilon

        def forward(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            x, gamma, beta, *written = places
            layer_norm.normalise(shapes[0], epsilon, x, gamma, beta, *written)

        def backwards(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            layer_norm.backwards(shapes[0], epsilon, *places)

        def narrow(x: Sequence[int]) -> tuple[int, ...]:
            return *x[:-1], 1

        gradient = _operator(backwards, lambda x, gamma, mean, variance, gradient: (x, gamma, gamma), 3)

        def bprop(x: Tensor, gamma: Tensor, beta: Tensor, result: Any, gradients: Any) -> tuple[Tensor, Tensor, Tensor]:
            return gradient(x, gamma, result[1], result[2], gradients[0])

        self.norm = _operator(forward, lambda x, gamma, beta: (x, narrow(x), narrow(x)), 3, bprop)

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.norm(x, gamma, beta)
