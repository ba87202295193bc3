"""Convolutions, blocks of them and layer norms by oneDNN, against MindSpore's operators and float64 arithmetic."""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from dfcnn_ms import machine, native
from dfcnn_ms.config import load_config
from dfcnn_ms.models import table
from dfcnn_ms.models.cells import hasten as hastening
from dfcnn_ms.models.cells.conformer import TimeConvolution
from dfcnn_ms.models.cells.dfcnn import ConvBlock, ConvNormRelu
from dfcnn_ms.models.cells.hasten import (
    FastConvNormRelu,
    FastConvolution,
    FastDense,
    FastLayerNorm,
    FastOverTime,
    FastSoftmax,
    hasten,
)
from dfcnn_ms.models.cells.norm import synchronise
from dfcnn_ms.native import convolution, layer_norm, onednn
from dfcnn_ms.native.convolution import Geometry
from dfcnn_ms.runtime.device import use_mode
from dfcnn_ms.training.trainer import train_step

pytestmark = [
    pytest.mark.usefixtures("cpu"),
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64", reason="the fast code is for Linux on x86-64"
    ),
]

TOLERANCE = 1e-5


class Alone(nn.Cell):
    """A layer in a cell of its own, where another one may take its place."""

    def __init__(self, kind: type[nn.Cell], *arguments: Any) -> None:
        super().__init__()
        self.layer = kind(*arguments)

    def construct(self, x: Tensor) -> Tensor:
        return self.layer(x)


#: layer, its arguments, what it reads
LAYERS = [
    (nn.Conv2d, (1, 24, 5, 2), {"pad_mode": "pad", "padding": 2}, (5, 1, 31, 20)),
    (nn.Conv2d, (3, 24, 3), {"pad_mode": "same", "has_bias": True}, (5, 3, 17, 13)),
    (nn.Conv2d, (24, 40, 5, 2), {"pad_mode": "pad", "padding": 2}, (5, 24, 31, 20)),
    (nn.Conv2d, (64, 32, 3), {"pad_mode": "pad", "padding": 1}, (4, 64, 9, 5)),
    (nn.Conv2d, (24, 40, 3), {"pad_mode": "pad", "padding": 1, "has_bias": True}, (1, 24, 31, 20)),
    (nn.Conv2d, (24, 2, 3), {"pad_mode": "pad", "padding": 1}, (1, 24, 9, 20)),
    (nn.Conv2d, (7, 9, (1, 20)), {"pad_mode": "valid", "has_bias": True}, (4, 7, 31, 20)),
    (nn.Conv2d, (8, 8, (3, 1)), {"pad_mode": "pad", "padding": (2, 2, 0, 0), "dilation": (2, 1)}, (4, 8, 31, 20)),
    (nn.Conv2d, (16, 16, 3, 2), {"pad_mode": "same", "group": 16}, (4, 16, 31, 20)),
    (nn.Conv2d, (8, 16, 3, 2), {"pad_mode": "same", "group": 2}, (1, 8, 31, 20)),
    (nn.Conv1d, (48, 48, 15), {"pad_mode": "pad", "padding": 7, "group": 48, "has_bias": True}, (4, 48, 50)),
    (nn.LayerNorm, ((24,),), {}, (4, 7, 24)),
    (nn.LayerNorm, ((144,),), {"epsilon": 1e-3}, (1, 144)),
    (nn.Softmax, (-1,), {}, (3, 4, 7, 9)),
    (Alone, (nn.Dense, 24, 40), {}, (3, 4, 7, 24)),
    (Alone, (nn.Dense, 24, 5), {}, (3, 24)),
    (TimeConvolution, (24, 15), {}, (4, 50, 24)),
    (TimeConvolution, (20, 7), {}, (1, 2, 20)),
]


@pytest.fixture(params=["graph", "pynative"])
def mode(request: pytest.FixtureRequest) -> None:
    use_mode(request.param)


@pytest.fixture(params=[1, 3])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Threads that compute; not more than the machine has cores."""
    monkeypatch.setattr(machine, "threads", lambda: request.param)
    return int(request.param)


@pytest.fixture(params=[("graph", 3), ("pynative", 1)], ids=["graph", "pynative"])
def mode_and_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mode of MindSpore, and threads that compute."""
    mode, count = request.param
    use_mode(mode)
    monkeypatch.setattr(machine, "threads", lambda: count)


class Slopes(nn.Cell):
    """The gradients of what a layer reads and of its weights."""

    def __init__(self, layer: nn.Cell) -> None:
        super().__init__()
        self.layer = layer
        self.of = ops.GradOperation(get_all=True, get_by_list=True, sens_param=True)
        self.weights = ms.ParameterTuple(layer.trainable_params())

    def construct(self, x: Tensor, gradient: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        return self.of(self.layer, self.weights)(x, gradient)


def numbers(layer: nn.Cell, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """What a layer writes, and its gradients."""
    result = layer(Tensor(x)).asnumpy()
    rng = np.random.default_rng(1)
    given = rng.standard_normal(result.shape, np.float32)
    of_inputs, of_weights = Slopes(layer)(Tensor(x), Tensor(given))
    return result, [one.asnumpy() for one in (*of_inputs, *of_weights)]


class Block(nn.Cell):
    """A block of convolutions that reads utterances of some lengths."""

    def __init__(self, inputs: int, block: table.Block, lengths: list[int]) -> None:
        super().__init__()
        self.block = ConvBlock(inputs, block, "pad", block.kernel // 2, 0.0)
        self.lengths = Tensor(lengths, ms.int32)

    def construct(self, x: Tensor) -> Tensor:
        return self.block(x, self.lengths)[0]


def close(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and float(np.abs(one - other).max()) <= TOLERANCE * float(np.abs(one).max())


def soiled() -> None:
    """Leaves numbers that are none wherever an operation left room for the next one."""
    for room in onednn.bench(min(machine.threads(), onednn.most_threads())).rooms.values():
        room[:] = 0xFF


@pytest.mark.slow
@pytest.mark.usefixtures("mode_and_parts")
@pytest.mark.parametrize(("kind", "arguments", "settings", "shape"), LAYERS)
def test_values_and_gradients_are_the_operators(kind, arguments, settings, shape) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    layer, fast = kind(*arguments, **settings), kind(*arguments, **settings)
    for weight, other in zip(layer.get_parameters(), fast.get_parameters(), strict=True):
        weight.set_data(Tensor(rng.standard_normal(weight.shape, np.float32)))
        other.set_data(weight.value())
    hasten(nn.SequentialCell(fast))
    kinds = (FastConvolution, FastDense, FastLayerNorm, FastOverTime, FastSoftmax)
    assert any(isinstance(cell, kinds) for _, cell in fast.cells_and_names())
    x = rng.standard_normal(shape, np.float32)
    wanted, slopes = numbers(layer, x)
    for _ in range(2):
        soiled()
        got, fast_slopes = numbers(fast, x)
        assert close(wanted, got)
        assert all(close(one, other) for one, other in zip(slopes, fast_slopes, strict=True))


def test_any_convolution(parts: int) -> None:
    """Random geometries, one after the other in the same room."""
    rng = np.random.default_rng(parts)
    for _ in range(12):
        groups = int(rng.choice([1, 1, 2, 4]))
        inputs, outputs = groups * int(rng.integers(1, 20)), groups * int(rng.integers(1, 20))
        window, stride, dilation = (tuple(int(one) for one in rng.integers(1, 4, 2)) for _ in range(3))
        padding = tuple(int(one) for one in rng.integers(0, 3, 4))
        settings = {"stride": stride, "pad_mode": "pad", "padding": padding, "dilation": dilation, "group": groups}
        x = rng.standard_normal((int(rng.integers(1, 6)), inputs, *rng.integers(8, 15, 2)), np.float32)
        layer, fast = (nn.Conv2d(inputs, outputs, window, **settings) for _ in range(2))  # type: ignore[arg-type]
        fast.weight.set_data(layer.weight.value())
        hasten(nn.SequentialCell(fast))
        (wanted, slopes), (got, fast_slopes) = numbers(layer, x), numbers(fast, x)
        assert close(wanted, got), (x.shape, settings)
        assert all(close(*both) for both in zip(slopes, fast_slopes, strict=True)), (x.shape, settings)


def test_a_layer_norm_in_double_precision(parts: int) -> None:
    rng = np.random.default_rng(0)
    x, scale, gradient = (rng.standard_normal(shape).astype(np.float32) for shape in ((50, 24), (2, 24), (50, 24)))
    y, to_x = np.empty_like(x), np.empty_like(x)
    mean, variance, to_gamma, to_beta = (np.empty(size, np.float32) for size in (50, 50, 24, 24))
    at = [one.ctypes.data for one in (x, scale[0], scale[1], y, mean, variance)]
    layer_norm.normalise(x.shape, 1e-3, *at)
    given = (x, scale[0], mean, variance, gradient, to_x, to_gamma, to_beta)
    layer_norm.backwards(x.shape, 1e-3, *(one.ctypes.data for one in given))
    wide, gamma = x.astype(np.float64), scale[0].astype(np.float64)
    centred = wide - wide.mean(1, keepdims=True)
    spread = np.sqrt(wide.var(1, keepdims=True) + 1e-3)
    normed = centred / spread
    assert np.allclose(y, normed * gamma + scale[1], atol=1e-5)
    assert np.allclose(to_gamma, (gradient * normed).sum(0), atol=1e-4)
    assert np.allclose(to_beta, gradient.sum(0), atol=1e-4)
    inner = gradient * gamma
    slope = inner - inner.mean(1, keepdims=True) - normed * (inner * normed).mean(1, keepdims=True)
    assert np.allclose(to_x, slope / spread, atol=1e-5)


#: channels that come in, the block, height and width of the maps
BLOCKS = [
    (1, {"channels": 24, "convs": 1, "kernel": 5, "stride": (2, 2), "pool": (1, 1)}, (41, 20)),
    (24, {"channels": 48, "convs": 2, "pool": (1, 2)}, (21, 10)),
    (16, {"channels": 32, "convs": 1, "pool": (2, 2)}, (21, 11)),
    (7, {"channels": 9, "convs": 1, "stride": (2, 2), "pool": (3, 1)}, (22, 11)),
]


@pytest.mark.slow
@pytest.mark.usefixtures("mode_and_parts")
@pytest.mark.parametrize(("inputs", "settings", "size"), BLOCKS)
def test_a_block_is_its_operators(inputs: int, settings: dict[str, Any], size: tuple[int, int]) -> None:
    """Values, gradients and moving statistics, with utterances that end early, or never begin."""
    rng = np.random.default_rng(0)
    rows = [size[0], 7, 0, 12, size[0] - 1]
    layer, fast = (Block(inputs, table.Block(**settings), rows).set_train() for _ in range(2))
    for weight, other in zip(layer.get_parameters(), fast.get_parameters(), strict=True):
        if "moving" not in weight.name:
            weight.set_data(Tensor(rng.standard_normal(weight.shape, np.float32)))
        other.set_data(weight.value())
    hasten(fast)
    assert [one.name for one in fast.get_parameters()] == [one.name for one in layer.get_parameters()]
    kinds = [type(cell) for _, cell in fast.cells_and_names()]
    assert kinds.count(FastConvNormRelu) == settings["convs"]
    x = rng.standard_normal((len(rows), inputs, *size), np.float32)
    for _ in range(2):
        soiled()
        (wanted, slopes), (got, fast_slopes) = numbers(layer, x), numbers(fast, x)
        assert close(wanted, got)
        # ReLU may let a value through here and not there whose sign is that of an error of rounding.
        for one, other in zip(slopes, fast_slopes, strict=True):
            np.testing.assert_allclose(other, one, atol=1e-4 * np.abs(one).max())
        for weight, other in zip(layer.get_parameters(), fast.get_parameters(), strict=True):
            assert close(weight.asnumpy(), other.asnumpy()), weight.name


@pytest.mark.usefixtures("mode_and_parts")
def test_a_block_that_does_not_learn_listens_with_its_moving_statistics() -> None:
    layer, fast = (Block(3, table.Block(channels=4, convs=2, pool=(2, 2)), [9, 5]).set_train(False) for _ in range(2))
    for weight, other in zip(layer.get_parameters(), fast.get_parameters(), strict=True):
        other.set_data(weight.value())
    hasten(fast)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 9, 8)), ms.float32)
    assert close(layer(x).asnumpy(), fast(x).asnumpy())


@pytest.mark.parametrize("change", ["frozen", "synchronised"])
def test_norms_that_do_not_take_the_statistics_of_a_batch_stay(change: str) -> None:
    block = Block(3, table.Block(channels=4, convs=1), [9, 5])
    if change == "frozen":
        block.block.convs[0].norm.use_batch_statistics = False
    else:
        synchronise(block, 2)
    hasten(block)
    assert isinstance(block.block.convs[0], ConvNormRelu)


@pytest.mark.parametrize("channels", [1, 3, 16, 40])
def test_maps_are_found_in_any_layout(channels: int) -> None:
    """Put in order by oneDNN, then read by where an array says that each value lies."""
    shape = (2, channels, 5, 3)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    geometry = Geometry(shape, (32, channels, 3, 3), padding=(1, 1, 1, 1))
    layouts = [onednn.as_it_lies(shape), onednn.channels_last(shape)]
    layouts.append(onednn.layout_in(convolution.choice("forward", geometry), onednn.SOURCE[0]))
    for layout in layouts:
        plan = onednn.Plan()
        plan.give("here", onednn.as_it_lies(shape))
        plan.give("there", layout)
        plan.move("here", "there")
        room = np.zeros(2 * 48 * 15, np.float32)
        plan.run({"here": x.ctypes.data, "there": room.ctypes.data})
        found = onednn.maps_at(room.ctypes.data, layout)
        maps = found.transpose(0, 1, 4, 2, 3).reshape(2, -1, 5, 3)
        assert np.array_equal(maps[:, :channels], x)


@pytest.mark.slow
@pytest.mark.usefixtures("graph_mode")
@pytest.mark.parametrize("page", ["digits", "mandarin_conformer"])
def test_a_training_step_is_the_same(page: str) -> None:
    """The loss of a whole network, and the norm of the gradient of each of its weights."""
    config = load_config(page, ["model.dropout=0"])
    rng = np.random.default_rng(0)
    batch = [
        Tensor(rng.standard_normal((3, 1, 96, config.features.num_bins), np.float32)),
        Tensor(rng.integers(1, 12, (3, 4)).astype(np.int32)),
        Tensor(np.array([96, 70, 81], np.int32)),
        Tensor(np.array([4, 2, 3], np.int32)),
    ]
    found, weights = [], {}
    for fast in (False, True):
        network = config.model.build(num_bins=config.features.num_bins, num_units=12)
        weights = weights or {name: one.asnumpy().copy() for name, one in network.parameters_dict().items()}
        for name, one in network.parameters_dict().items():
            one.set_data(Tensor(weights[name]))
        step = train_step(config, network, 10).set_train(True)
        names = [one.name for one in step.get_parameters()]
        if fast:
            hasten(step)
        assert [one.name for one in step.get_parameters()] == names
        loss, norm, _, squares = (one.asnumpy() for one in step(*batch))
        found.append((loss, norm, squares))
    (loss, norm, squares), (fast_loss, fast_norm, fast_squares) = found
    np.testing.assert_allclose(fast_loss, loss, rtol=TOLERANCE)
    np.testing.assert_allclose(fast_norm, norm, rtol=1e-3)
    np.testing.assert_allclose(fast_squares, squares, rtol=1e-2, atol=1e-6 * squares.max())


def test_where_there_is_no_fast_code_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Conv2d(3, 4, 3)
    before = layer.conv2d
    monkeypatch.setattr(native, "obstacle", lambda: "another processor")
    hasten(nn.SequentialCell(layer))
    assert layer.conv2d is before


@pytest.mark.parametrize(
    ("patches", "says"),
    [
        ({"sys.platform": "darwin"}, "Linux on x86-64"),
        ({"platform.machine": lambda: "aarch64"}, "Linux on x86-64"),
        ({"LIBRARY": Path("lib", "libdnnl.so.9")}, "has no libdnnl.so.9"),
        ({"LIBRARY": Path("version.py")}, "version.py"),
        ({"MAJOR": 3}, "3 is spoken here"),
    ],
)
def test_what_stands_in_the_way_is_said(patches: dict[str, object], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.obstacle() == ""
    for name, value in patches.items():
        monkeypatch.setattr(f"dfcnn_ms.native.onednn.{name}", value)
    onednn._opened.cache_clear()
    try:
        assert says in native.obstacle()
    finally:
        onednn._opened.cache_clear()


def test_an_error_inside_ends_the_step(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    layer = nn.Conv2d(3, 4, 3)
    hasten(nn.SequentialCell(layer))

    def broken(*_: object) -> None:
        raise onednn.OneDnnError("oneDNN: out of memory")

    monkeypatch.setattr(hastening.convolution, "convolve", broken)
    with pytest.raises(RuntimeError):
        layer(Tensor(np.zeros((2, 3, 5, 5), np.float32))).asnumpy()
    assert "oneDNN: out of memory" in capfd.readouterr().err


def test_ctrl_c_inside_is_heard_outside() -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assert hastening._listener(interrupted)(0, (), (), (), None, None, None) == 1
        time.sleep(1)  # here it arrives, if not before


def test_the_shape_of_a_result() -> None:
    geometry = Geometry((2, 3, 20, 9), (5, 3, 3, 2), (2, 1), (1, 0, 2, 1), (2, 1))
    layer = nn.Conv2d(3, 5, (3, 2), (2, 1), "pad", (1, 0, 2, 1), (2, 1))
    assert geometry.result == layer(Tensor(np.zeros(geometry.maps, np.float32))).shape


def test_more_threads_than_the_library_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sets memory aside for as many as there are cores, and eight would write beyond it."""
    monkeypatch.setattr(machine, "threads", lambda: 8 + onednn.most_threads())
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, gradient = rng.standard_normal((2, 3072, 144), np.float32)
        written = np.empty_like(x), np.empty(144, np.float32), np.empty(144, np.float32)
        mean, variance, gamma = np.zeros(3072, np.float32), np.ones(3072, np.float32), np.ones(144, np.float32)
        layer_norm.backwards(x.shape, 0.0, *(one.ctypes.data for one in (x, gamma, mean, variance, gradient, *written)))
        assert np.allclose(written[2], gradient.sum(0), atol=1e-3)


def test_maps_smaller_than_a_kernel_are_refused(mode: None) -> None:
    layer = nn.Conv2d(3, 4, 5, pad_mode="valid")
    hasten(nn.SequentialCell(layer))
    with pytest.raises(ValueError, match=r"kernel \(5, 5\) is larger than maps \(4, 9\)"):
        layer(Tensor(np.zeros((2, 3, 4, 9), np.float32)))
