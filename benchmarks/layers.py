"""Times layers, forwards and all gradients, by MindSpore's operators and by the fast code, in turn and in one process.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/layers.py

Nothing else should run on the machine.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from dfcnn_ms.models.cells.conformer import ConformerLayer, OverTime
from dfcnn_ms.models.cells.dfcnn import ConvBlock
from dfcnn_ms.models.cells.hasten import hasten
from dfcnn_ms.models.table import Block
from dfcnn_ms.native import obstacle
from dfcnn_ms.runtime.device import use_device, use_mode

ROUNDS, REPEATS = 5, 4
ROWS = 32
#: what is said of a layer, how to make it, what one utterance brings
LAYERS: list[tuple[str, Any, tuple[int, ...]]] = [
    ("5x5, 1 to 24, stride 2", lambda: block(1, channels=24, kernel=5, stride=(2, 2), pool=(1, 1)), (1, 384, 80)),
    ("3x3, 24 to 48, stride 2, pool 1x2", lambda: block(24, channels=48, stride=(2, 2), pool=(1, 2)), (24, 192, 40)),
    ("3x3, 48 to 96, pool 1x2", lambda: block(48, channels=96, pool=(1, 2)), (48, 96, 10)),
    ("3x3, 128 to 128", lambda: block(128, channels=128, pool=(1, 1)), (128, 96, 5)),
    ("dense, 144 to 288", lambda: nn.Dense(144, 288), (96, 144)),
    ("layer norm of 144", lambda: nn.LayerNorm((144,)), (96, 144)),
    ("softmax, 4 heads", lambda: nn.Softmax(-1), (4, 96, 96)),
    ("15 steps of each of 144 channels", lambda: OverTime(144, 15), (96, 144)),
    ("a Conformer layer of 144", lambda: ConformerLayer(144, 4, 288, 0.0, 15), (96, 144)),
]


class Silenced(nn.Cell):
    """A block that reads whole utterances."""

    def __init__(self, inputs: int, one: Block) -> None:
        super().__init__()
        self.block = ConvBlock(inputs, one, "pad", one.kernel // 2, 0.0)
        self.lengths = Tensor(np.full(ROWS, 10_000), ms.int32)

    def construct(self, x: Tensor) -> Tensor:
        return self.block(x, self.lengths)[0]


def block(inputs: int, **settings: Any) -> Silenced:
    """A convolution with what follows it."""
    return Silenced(inputs, Block(convs=1, **settings))


class Slopes(nn.Cell):
    """The gradients of what a layer reads, unless that is a spectrogram, and of its weights."""

    def __init__(self, layer: nn.Cell, of_inputs: bool) -> None:
        super().__init__()
        self.layer = layer
        self.of = ops.GradOperation(get_all=of_inputs, get_by_list=True)
        self.weights = ms.ParameterTuple(layer.trainable_params())

    def construct(self, x: Tensor) -> Any:
        return self.of(self.layer, self.weights)(x)


def _wait(results: Any) -> None:
    for one in results if isinstance(results, tuple) else ():
        _wait(one)
    if isinstance(results, Tensor):
        results.asnumpy()


def seconds(slopes: nn.Cell, x: Tensor) -> float:
    """The least time of some calls."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        _wait(slopes(x))
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Prints a line for each layer."""
    use_device("CPU")
    use_mode("graph")
    if obstacle():
        raise SystemExit(f"no fast code here: {obstacle()}")
    for name, make, shape in LAYERS:
        x = Tensor(np.random.default_rng(0).standard_normal((ROWS, *shape)), ms.float32)
        pair = [Slopes(nn.SequentialCell(make()), shape[0] > 1).set_train() for _ in range(2)]
        hasten(pair[1])
        for one in pair:
            seconds(one, x)
        rounds = [[seconds(one, x) for one in pair] for _ in range(ROUNDS)]
        slow, fast = (1000 * statistics.median(times) for times in zip(*rounds, strict=True))
        print(f"| {name} | {slow:.1f} | {fast:.1f} | {slow / fast:.1f} |", flush=True)


if __name__ == "__main__":
    main()
