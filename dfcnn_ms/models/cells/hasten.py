"""On a CPU: layers by the fast code of the oneDNN in MindSpore's own wheel, in place of its operators."""

from __future__ import annotations

import _thread
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms import native
from dfcnn_ms.models.cells.conformer import OverTime
from dfcnn_ms.models.cells.dfcnn import ConvBlock, ConvNormRelu
from dfcnn_ms.models.table import convolved
from dfcnn_ms.native import conv_norm_relu, convolution, dense, layer_norm, over_time, softmax
from dfcnn_ms.native.conv_norm_relu import Unit
from dfcnn_ms.native.convolution import Geometry
from dfcnn_ms.native.springboard import Listener, name_of

#: called with the addresses and the shapes of all inputs and outputs
Kernel = Callable[[Sequence[int], Sequence[tuple[int, ...]]], None]


def hasten(network: nn.Cell) -> None:
    """Lets the layers of a network that learns in float32 on a CPU be computed by fast code, as far as there is some.

    Names and values of its parameters stay, and so does everything where there is no such code.
    """
    if ms.get_context("device_target") != "CPU" or native.obstacle():
        return
    for _, cell in list(network.cells_and_names()):
        if isinstance(cell, ConvBlock):
            _hasten_block(cell)
        elif isinstance(cell, nn.Conv2d | nn.Conv1d):
            _replace(cell, "conv2d", FastConvolution(cell))
        elif isinstance(cell, nn.LayerNorm):
            _replace(cell, "layer_norm", FastLayerNorm(cell))
        elif isinstance(cell, nn.Softmax):
            _replace(cell, "softmax", FastSoftmax())
        for name, child in cell.name_cells().items():
            if isinstance(child, OverTime):
                cell.insert_child_to_cell(name, FastOverTime(child))
            elif isinstance(child, nn.Dense) and child.has_bias and child.activation is None:
                cell.insert_child_to_cell(name, FastDense(child))


def _hasten_block(block: ConvBlock) -> None:
    last = len(block.convs) - 1
    for index, layer in enumerate(block.convs):
        if not isinstance(layer.norm, nn.BatchNorm2d) or layer.norm.use_batch_statistics is False:
            continue  # its statistics are those of all workers, or stay as they are
        fast = FastConvNormRelu(layer, block.pool if index == last else nn.Identity())
        if index == last:
            block.pool = nn.Identity()
        block.convs.insert_child_to_cell(str(index), fast)


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


class FastConvNormRelu(nn.Cell):
    """What ``ConvNormRelu`` and the pooling after it compute in training, forwards and backwards.

    Args:
        layer: the layer that this takes the place of; it does the work where the fast code does not.
        pool: the pooling, or nothing.

    Inputs, outputs:
        those of ``ConvNormRelu``.
    """

    def __init__(self, layer: ConvNormRelu, pool: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.layer, self.pool = layer, pool
        geometry, epsilon, share = _geometry_of(layer.conv), layer.norm.eps, layer.norm.momentum
        window = tuple(pool.kernel_size) if isinstance(pool, nn.MaxPool2d) else (1, 1)

        def unit(maps: Sequence[int], weights: Sequence[int]) -> Unit:
            return Unit(geometry(maps, weights), window, epsilon, share)

        def forward(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            x, lengths, weights, gamma, beta = places[:5]
            moving, result, statistics, moved, kept = places[5:7], places[7], places[8:10], places[10:12], places[12:]
            one = unit(shapes[0], shapes[2])
            conv_norm_relu.forwards(one, x, lengths, weights, gamma, beta, moving, result, statistics, moved, kept)

        def written(maps: Sequence[int], _: Any, weights: Sequence[int], gamma: Any, *others: Any) -> Any:
            one = unit(maps, weights)
            return one.result, *(4 * [gamma]), *one.kept

        self.compute = _operator(forward, written, 9, self._gradients(unit))
        self.set_train(layer.training)

    def _gradients(self, unit: Callable[..., Unit]) -> Any:
        groups, is_first = self.layer.conv.group, self.layer.conv.in_channels == 1

        def shapes(room: Sequence[int], weights: Sequence[int]) -> tuple[tuple[int, ...], ...]:
            channels = tuple(weights[:1])
            return (room[0], weights[1] * groups, *room[2:]), tuple(weights), channels, channels

        def operator(asked: Sequence[int]) -> ops.Custom:
            """Writes those of the gradients of x, weight, gamma and beta that are asked for, by their numbers."""

            def kernel(places: Sequence[int], given: Sequence[tuple[int, ...]]) -> None:
                kept, (lengths, weights, gamma), statistics, gradient = places[:4], places[4:7], places[7:9], places[9]
                to = dict(zip(asked, places[10:], strict=True))
                one = unit(*shapes(given[0], given[5])[:2])
                into = [to.get(number) for number in range(4)]
                conv_norm_relu.backwards(one, lengths, weights, gamma, statistics, kept, gradient, into)

            def results(*given: Any) -> Any:
                found = tuple(shapes(given[0], given[5])[number] for number in asked)
                return found if len(found) > 1 else found[0]

            return _operator(kernel, results, len(asked))

        everything, maps_alone, others_alone = operator((0, 1, 2, 3)), operator((0,)), operator((1, 2, 3))

        def bprop(
            x: Tensor, lengths: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor,
            results: Any, given: Any,
        ) -> Any:  # fmt: skip
            read = (*results[5:], lengths, weight, gamma, results[1], results[2], given[0])
            if is_first:  # the gradient of a spectrogram is computed for nobody unless it is asked for alone
                to_x, (to_weight, to_gamma, to_beta) = maps_alone(*read), others_alone(*read)
            else:
                to_x, to_weight, to_gamma, to_beta = everything(*read)
            nothing = ops.zeros_like(lengths), ops.zeros_like(mean), ops.zeros_like(variance)
            return to_x, nothing[0], to_weight, to_gamma, to_beta, nothing[1], nothing[2]

        return bprop

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if lengths is None or not self.training:
            x, lengths = self.layer(x, lengths)
            return self.pool(x), lengths
        norm = self.layer.norm
        moving = norm.moving_mean, norm.moving_variance
        results = self.compute(x, lengths, self.layer.conv.weight, norm.gamma, norm.beta, moving[0], moving[1])
        ops.assign(norm.moving_mean, ops.stop_gradient(results[3]))
        ops.assign(norm.moving_variance, ops.stop_gradient(results[4]))
        return results[0], convolved(lengths, *self.layer.arithmetic)


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


class FastOverTime(nn.Cell):
    """What ``OverTime`` computes, forwards and backwards.

    Args:
        layer: the layer that this takes the place of.
    """

    def __init__(self, layer: OverTime) -> None:
        super().__init__(auto_prefix=False)
        self.weight, self.bias = layer.weight, layer.bias
        kernel = layer.kernel_size[-1]

        def forward(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            over_time.convolve(shapes[0], kernel, *places)

        def backwards(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            over_time.backwards(shapes[0], kernel, *places)

        gradient = _operator(backwards, lambda x, weight, gradient: (x, weight, weight[:1]), 3)

        def bprop(x: Tensor, weight: Tensor, bias: Tensor, result: Tensor, given: Tensor) -> Any:
            return gradient(x, weight, given)

        self.convolve = _operator(forward, lambda x, weight, bias: x, 1, bprop)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight, self.bias)


class FastDense(nn.Cell):
    """What ``nn.Dense`` computes, forwards and backwards.

    Args:
        layer: the layer that this takes the place of; it has a bias, and nothing after it.
    """

    def __init__(self, layer: nn.Dense) -> None:
        super().__init__(auto_prefix=False)
        self.weight, self.bias = layer.weight, layer.bias

        def forward(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            dense.forwards(shapes[0][0], shapes[1], *places)

        def backwards(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            dense.backwards(shapes[0][0], shapes[1], *places)

        gradient = _operator(backwards, lambda x, weight, gradient: (x, weight, weight[:1]), 3)

        def bprop(x: Tensor, weight: Tensor, bias: Tensor, result: Tensor, given: Tensor) -> Any:
            return gradient(x, weight, given)

        self.compute = _operator(forward, lambda x, weight, bias: (x[0], weight[0]), 1, bprop)

    def construct(self, x: Tensor) -> Tensor:
        result = self.compute(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        return result.reshape(*x.shape[:-1], self.weight.shape[0])


class FastSoftmax(nn.Cell):
    """What ``ops.Softmax`` computes over the last axis, forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()

        def forward(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            softmax.softmax(shapes[0], *places)

        def backwards(places: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> None:
            softmax.backwards(shapes[0], *places)

        gradient = _operator(backwards, lambda result, gradient: result, 1)

        def bprop(x: Tensor, result: Tensor, given: Tensor) -> tuple[Tensor]:
            return (gradient(result, given),)

        self.compute = _operator(forward, lambda x: x, 1, bprop)

    def construct(self, x: Tensor) -> Tensor:
        return self.compute(x)
