"""The image networks: the published numbers of parameters, the Cell that is counted, clips alone and in batches."""

from __future__ import annotations

import dataclasses

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from dfcnn_ms.config import load_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import NETWORKS, Network
from dfcnn_ms.models.image import (
    IMAGE_NETWORKS,
    BcResNet,
    DenseNet,
    DualPathNet,
    ImageNetwork,
    ResNet,
    ResNext,
    Vgg,
    WideResNet,
)
from dfcnn_ms.models.image.layers import Chain, Conv, Picture, after_reach
from dfcnn_ms.training.trainer import count_parameters, train_step

pytestmark = pytest.mark.usefixtures("cpu")

CLASSES = 12
#: millions of parameters with 12 classes, and the bins that they read
PUBLISHED: dict[ImageNetwork, tuple[float, int]] = {
    Vgg(): (20.040, 32),
    Vgg(hidden=(4096, 4096)): (38.966, 32),
    ResNet(): (0.464, 32),
    WideResNet(): (36.480, 32),
    WideResNet(dropout=0.3): (36.480, 32),
    WideResNet(depth=52): (75.205, 32),
    ResNext(): (34.428, 32),
    DualPathNet(): (34.241, 32),
    DenseNet(): (0.769, 32),
    DenseNet(depth=190, growth=40): (25.627, 32),
    BcResNet(): (0.00923, 40),
    BcResNet(scale=3): (0.0542, 40),
    BcResNet(scale=8): (0.321, 40),
}
#: one of each kind that is small enough to be run, with the bins that it reads
SMALL: dict[ImageNetwork, int] = {
    Vgg(depth=11, width=1 / 32, hidden=(128,), dropout=0.2): 32,
    ResNet(depth=8, width=0.25): 32,
    WideResNet(depth=10, widen=1, dropout=0.3): 32,
    ResNext(depth=11, groups=2, width=1 / 64): 32,
    DualPathNet(blocks=(1, 1, 1, 1), groups=2, width=1 / 64): 32,
    DenseNet(depth=10, growth=4): 32,
    BcResNet(): 40,
}
small = pytest.mark.parametrize(("network", "bins"), SMALL.items(), ids=lambda one: getattr(one, "title", one))


def named(title: str) -> object:
    return title if isinstance(title, str | int | float) else getattr(title, "title", None)


@pytest.mark.parametrize(("network", "published"), PUBLISHED.items(), ids=named)
def test_the_parameters_are_those_of_the_papers(network: ImageNetwork, published: tuple[float, int]) -> None:
    millions, bins = published
    assert network.parameters(num_bins=bins, num_units=CLASSES) == pytest.approx(1e6 * millions, rel=1e-3)


@small
def test_the_cell_has_the_parameters_that_are_counted(network: ImageNetwork, bins: int) -> None:
    cell = network.build(num_bins=bins, num_units=CLASSES)
    assert count_parameters(cell) == network.parameters(num_bins=bins, num_units=CLASSES)
    assert cell.output_layer.weight.shape[0] == cell.output_layer.bias.shape[0] == CLASSES


def test_depth_is_the_longest_way_through_convolutions() -> None:
    """The number in a network's name: its convolutions one after the other, and the output layer."""
    named_depths = {Vgg(): 16, ResNet(): 31, WideResNet(): 25, ResNext(): 28, DualPathNet(): 91, DenseNet(): 99}
    for network, convolutions in named_depths.items():
        assert deepest(Chain(network.body())) == convolutions, network


def deepest(layer: object) -> int:
    """Convolutions on the longest way through a layer."""
    if isinstance(layer, Conv):
        return 1
    inside = getattr(layer, "layers", ()) if isinstance(layer, Chain) else getattr(layer, "branches", ())
    depths = [deepest(one) for one in inside]
    return sum(depths) if isinstance(layer, Chain) else max(depths, default=0)


def scrambled(network: ImageNetwork, bins: int) -> nn.Cell:
    """Statistics of batch norms included: nothing is 0 or 1 by chance; eval mode."""
    cell, rng = network.build(num_bins=bins, num_units=CLASSES), np.random.default_rng(0)
    for parameter in cell.get_parameters():
        if "moving" in parameter.name or len(parameter.shape) == 1:
            values = rng.normal(size=parameter.shape)
            parameter.set_data(Tensor(np.exp(0.3 * values) if "variance" in parameter.name else values, ms.float32))
    return cell.set_train(False)


@small
def test_a_clip_is_the_same_alone_and_among_longer_ones(network: ImageNetwork, bins: int) -> None:
    """Garbage in the padding changes nothing; without lengths it does, so that this can fail."""
    cell, rng = scrambled(network, bins), np.random.default_rng(1)
    batch = 3 * rng.normal(size=(2, 1, 71, bins)).astype(np.float32)
    together = cell(Tensor(batch), Tensor([71, 45], ms.int32)).asnumpy()
    alone = cell(Tensor(batch[1:, :, :45]), Tensor([45], ms.int32)).asnumpy()
    assert together.shape == (2, 1, CLASSES)
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-5, atol=1e-5 * np.abs(alone).max())
    without = cell(Tensor(batch)).asnumpy()
    np.testing.assert_allclose(without[0], together[0], rtol=1e-4, atol=1e-4 * np.abs(without).max())
    assert np.abs(without[1] - together[1]).max() > 1e-3 * np.abs(without).max()


@pytest.mark.parametrize("network", [*PUBLISHED, *SMALL], ids=named)
def test_lengths_of_arrays_are_those_of_ints_and_of_the_layers(network: ImageNetwork) -> None:
    frames = list(range(1, 120))
    ints = [network.output_lengths(length) for length in frames]
    assert network.output_lengths(np.array(frames)).tolist() == ints
    assert max(ints) == 1 and network.frames_per_step is None
    for length, steps in zip(frames, ints, strict=True):
        left = Chain(network.body()).after(Picture(1, length, 40)).frames
        assert (steps >= 1) == (left >= 1)


def test_lengths_of_tensors_are_those_of_ints() -> None:
    cell = Vgg(depth=11, width=1 / 64).build(num_bins=32, num_units=3)
    frames = [1, 31, 32, 33, 100]
    assert cell.output_lengths(Tensor(frames, ms.int32)).asnumpy().tolist() == [
        Vgg().output_lengths(length) for length in frames
    ]
    assert [Vgg().output_lengths(length) >= 1 for length in frames] == [False, False, True, True, True]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_window_has_as_many_places_as_are_counted(stride: int, dilation: int) -> None:
    for length in range(9, 30):
        places = len(range(0, length + 4 - 2 * dilation, stride))
        assert after_reach(length, 3, stride, 2, dilation) == places


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("graph_mode")
@pytest.mark.parametrize("network", [one for one in PUBLISHED if not isinstance(one, BcResNet)], ids=named)
def test_the_published_ones_take_a_step_as_they_are(network: ImageNetwork) -> None:
    """By the step of ``configs/commands.yaml``, two clips, nothing narrowed; every weight moves."""
    config = load_config("commands").model_copy(update={"model": network})
    cell = network.build(num_bins=config.features.num_bins, num_units=CLASSES)
    assert count_parameters(cell) == network.parameters(num_bins=config.features.num_bins, num_units=CLASSES)
    step = train_step(config, cell, 1).set_train(True)
    clips = np.random.default_rng(0).normal(size=(2, 1, 32, config.features.num_bins))
    before = {one.name: one.asnumpy().copy() for one in cell.trainable_params()}
    others = [Tensor(values, ms.int32) for values in ([[3], [7]], [32, 32], [1, 1])]
    loss, norm, is_applied, _ = step(Tensor(clips, ms.float32), *others)
    assert np.isfinite(float(loss)) and np.isfinite(float(norm)) and bool(is_applied)
    assert [one.name for one in cell.trainable_params() if (one.asnumpy() == before[one.name]).all()] == []


def test_the_page_of_commands_is_the_largest_published() -> None:
    assert load_config("commands").model == WideResNet(depth=52, widen=10) in PUBLISHED


def test_narrow_ones_have_the_same_kinds_of_layers() -> None:
    for network in (*PUBLISHED, *SMALL):
        narrow = network.narrowed(4)
        assert type(narrow) is type(network)
        assert narrow.parameters(num_bins=40, num_units=9) <= network.parameters(num_bins=40, num_units=9) + 9
        assert kinds(Chain(narrow.body())) == kinds(Chain(network.body()))


def kinds(layer: object) -> set[type]:
    inside = getattr(layer, "layers", ()) or getattr(layer, "branches", ())
    return set().union({type(layer)}, *(kinds(one) for one in inside))


def test_every_kind_is_a_value_in_the_registry() -> None:
    for kind, network in IMAGE_NETWORKS.items():
        assert NETWORKS[kind] is network
        value: Network = network()
        assert eval(repr(value), {network.__name__: network}) == value
        assert hash(value) == hash(dataclasses.replace(value))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ResNet(depth=33), "model.depth: got 33, wanted 2 and a multiple of 6, such as 32"),
        (lambda: Vgg(depth=12), "model.depth: got 12, wanted one of 11, 13, 16, 19"),
        (lambda: WideResNet(dropout=1.0), "model.dropout: got 1.0, wanted at least 0 and less than 1"),
        (lambda: ResNext(width=0.0), "model.width: got 0.0, wanted a factor above 0"),
        (lambda: BcResNet(scale=-1), "model.scale: got -1, wanted a factor above 0"),
        (lambda: DenseNet(growth=0), "model.growth: got 0, wanted 1 to 1000"),
        (lambda: DualPathNet(blocks=(1, 0, 1, 1)), "wanted at least 1 each"),
        (lambda: BcResNet().parameters(num_bins=32, num_units=3), "bins do not make 5 equal bands"),
        (lambda: Vgg().parameters(num_bins=20, num_units=3), "a layer leaves none of 1 bins; use more feature bins"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(wrong: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wrong()
