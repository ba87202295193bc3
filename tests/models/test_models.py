"""The network: shapes of the reference, lengths, independence of neighbours, raw logits, export."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor, nn

from dfcnn_ms.config import load_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.cells.dfcnn import DfcnnCell
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.table import REFERENCE, Block, after_blocks, check_padding, convolved
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.training.trainer import count_parameters

pytestmark = pytest.mark.usefixtures("cpu")

UNITS, BINS = 5, 18

#: name -> blocks, pad_mode, padding: every way in which a length can change
TABLES: dict[str, tuple[tuple[Block, ...], str, int]] = {
    "pad": ((Block(2, pool=(2, 2)), Block(3, convs=1, pool=(2, 1))), "pad", 1),
    "pad by two, kernel 5": ((Block(2, kernel=5, pool=(3, 2)), Block(3, convs=1, kernel=5)), "pad", 2),
    "pad, mixed kernels": (
        (Block(2, convs=1, kernel=5, pool=(1, 1)), Block(3, convs=1, pool=(3, 2))),
        "pad",
        1,
    ),
    "same": ((Block(2, pool=(2, 2)), Block(3, convs=1, pool=(3, 3))), "same", 0),
    "frequency in channels": (
        (
            Block(2, convs=1, stride=(2, 2), pool=(1, 2)),
            Block(6, fold=True, pool=(1, 1)),
            Block(4, fold=True, pool=(2, 1)),
        ),
        "pad",
        1,
    ),
    "frequency in channels, valid": ((Block(2, convs=1), Block(5, kernel=5, fold=True, pool=(1, 1))), "valid", 0),
    "same, mixed kernels": ((Block(2, convs=1, kernel=1), Block(3, convs=1, kernel=7)), "same", 0),
    "valid": ((Block(2, pool=(2, 1)), Block(3, convs=1, pool=(2, 2))), "valid", 0),
    "pad, stride": ((Block(2, stride=(2, 2), pool=(1, 1)), Block(3, stride=(2, 1), pool=(1, 2))), "pad", 1),
    "pad, stride 3": (
        (Block(2, kernel=5, stride=(3, 2), pool=(2, 1)), Block(3, convs=1, pool=(1, 1))),
        "pad",
        1,
    ),
    "valid, stride": ((Block(2, stride=(2, 1), pool=(2, 2)), Block(3, convs=1, pool=(1, 1))), "valid", 0),
}


def scrambled(network: Dfcnn, seed: int = 0) -> Dfcnn:
    """Gives every parameter, statistics of batch norms included, values that hide nothing; eval mode."""
    rng = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        values = rng.normal(scale=0.5, size=parameter.shape)
        if "moving_variance" in parameter.name:
            values = np.exp(values)
        parameter.set_data(Tensor(values, ms.float32))
    return network.set_train(False)


def tiny(blocks: tuple[Block, ...], pad_mode: str, padding: int, num_bins: int = BINS, **options: Any) -> DfcnnCell:
    value = Dfcnn(blocks=blocks, pad_mode=pad_mode, padding=padding, **{"hidden": (4,)} | options)
    return scrambled(value.build(num_bins=num_bins, num_units=UNITS))


@pytest.fixture(params=[*TABLES, "steps around"], scope="module")
def network(request: pytest.FixtureRequest) -> DfcnnCell:
    if request.param == "steps around":
        return tiny(*TABLES["pad, stride"], context=(3, 5))
    return tiny(*TABLES[request.param])


def steps_in_reality(network: DfcnnCell, frames: int) -> int:
    """U of a real forward pass; 0 where MindSpore finds the input too short for some layer."""
    try:
        return network(Tensor(np.ones((1, 1, frames, BINS)), ms.float32)).shape[1]
    except ValueError as error:
        assert "Conv2d" in str(error) or "MaxPool" in str(error)
        return 0


def weight_shapes(network: DfcnnCell) -> list[tuple[int, ...]]:
    return [parameter.shape for parameter in network.get_parameters() if len(parameter.shape) == 4]


def test_the_reference_has_the_convolutions_and_pools_of_the_reference() -> None:
    value = Dfcnn(hidden=(8,))
    network = value.build(num_bins=200, num_units=7)
    widths = [1, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = [(after, before, 3, 3) for before, after in pairwise(widths)]
    assert weight_shapes(network) == [*convolutions, (8, 512, 1, 25), (7, 8, 1, 1)]
    assert [block.pool for block in REFERENCE] == [(2, 2)] * 3 + [(1, 1)] * 2
    assert value.output_bins(200) == 25
    assert value.output_lengths(1600) == network.output_lengths(1600) == 200  # one step per 80 ms
    assert (value.frames_per_step, value.first_frame) == (8, 0.0)


@pytest.mark.long
@pytest.mark.slow
def test_the_reference_turns_16_seconds_into_512_by_200_by_25() -> None:
    """Then 512 x 25 values per step -> dense layers -> units. Two seconds; narrow dense layers, to save memory."""
    network = Dfcnn(hidden=(8, 6)).build(num_bins=200, num_units=1428).set_train(False)
    assert weight_shapes(network)[-3:] == [(8, 512, 1, 25), (6, 8, 1, 1), (1428, 6, 1, 1)]
    assert Dfcnn().hidden == load_config("reference").model.hidden == (4096, 4096)
    x, lengths = Tensor(np.zeros((1, 1, 1600, 200)), ms.float32), Tensor([1600], ms.int32)
    shapes = []
    for block in network.blocks:
        x, lengths = block(x, lengths)
        shapes.append(x.shape)
    assert shapes == [
        (1, 64, 800, 100),
        (1, 128, 400, 50),
        (1, 256, 200, 25),
        (1, 512, 200, 25),
        (1, 512, 200, 25),
    ]
    assert lengths.asnumpy().tolist() == [200]
    assert network.head(network.norm(x)).shape == (1, 1428, 200, 1)


def test_output_lengths_are_the_real_lengths(network: Dfcnn) -> None:
    window = max(block.pool[0] for block in network.arithmetic[0])
    for frames in range(1, 18):
        steps = max(0, network.output_lengths(frames))
        if steps or window <= 2:  # see the note on max-pooling below
            assert steps == steps_in_reality(network, frames), frames


def test_note_max_pooling_makes_a_step_of_less_than_a_window() -> None:
    """One frame, a window of three: MindSpore answers with one step, and refuses two frames.

    In a batch that step would hold frames of the padding, so `output_lengths` says 0. Fails once MindSpore mends it.
    """
    pool = nn.MaxPool2d((3, 1), stride=(3, 1))
    assert pool(Tensor(np.ones((1, 1, 1, 1)), ms.float32)).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="MaxPool"):
        pool(Tensor(np.ones((1, 1, 2, 1)), ms.float32))


@pytest.mark.slow
@pytest.mark.parametrize("table", ["pad, stride 3"])
def test_output_lengths_are_the_real_lengths_to_400(table: str) -> None:
    """All lengths after another, then one in seventeen: 17 shares no factor with the strides and windows."""
    network = tiny(*TABLES[table])
    for frames in (*range(18, 60), *range(60, 401, 17), 400):
        assert network.output_lengths(frames) == steps_in_reality(network, frames), frames


def test_output_bins_are_the_real_bins(network: Dfcnn) -> None:
    x = Tensor(np.ones((1, 1, 40, BINS)), ms.float32)
    for block in network.blocks:
        x, _ = block(x)
    blocks, pad_mode, padding, _ = network.arithmetic
    assert x.shape[3] == Dfcnn(blocks=blocks, pad_mode=pad_mode, padding=padding).output_bins(BINS)


@settings(deadline=None, max_examples=20)
@given(
    blocks=st.lists(
        st.builds(
            Block,
            channels=st.just(1),
            convs=st.integers(1, 3),
            kernel=st.sampled_from([1, 3, 5]),
            pool=st.tuples(st.integers(1, 3), st.integers(1, 3)),
            stride=st.tuples(st.integers(1, 3), st.just(1)),
        ),
        max_size=4,
    ),
    frames=st.lists(st.integers(0, 2000), min_size=1, max_size=8),
    mode=st.sampled_from([("pad", 0), ("pad", 1), ("pad", 2), ("same", 0), ("valid", 0)]),
)
def test_lengths_of_arrays_and_tensors_are_those_of_ints(
    blocks: list[Block], frames: list[int], mode: tuple[str, int]
) -> None:
    ints = [after_blocks(length, blocks, 0, *mode) for length in frames]
    assert after_blocks(np.array(frames), blocks, 0, *mode).tolist() == ints
    assert after_blocks(Tensor(frames, ms.int32), blocks, 0, *mode).asnumpy().tolist() == ints


@pytest.mark.parametrize(("kernel", "stride", "padding"), product([1, 3, 5], [1, 2, 3], [0, 1, 2]))
def test_convolved_counts_the_places_of_the_window(kernel: int, stride: int, padding: int) -> None:
    for length in range(kernel, 30):
        places = len(range(0, length + 2 * padding - kernel + 1, stride))
        assert convolved(length, kernel, stride, "pad", padding) == places
        assert convolved(length, kernel, stride, "valid", 0) == len(range(0, length - kernel + 1, stride))
        assert convolved(length, kernel, stride, "same", 0) == len(range(0, length, stride))


def test_alone_equals_batched(network: Dfcnn) -> None:
    """Longer neighbours and garbage in the padding change nothing; an even and an odd length of each kind."""
    rng = np.random.default_rng(1)
    lengths = [41, 26, 27, 32]
    batch = 10 * rng.normal(size=(len(lengths), 1, 47, BINS)).astype(np.float32)
    together = network(Tensor(batch), Tensor(lengths, ms.int32)).asnumpy()
    for row, length in enumerate(lengths):
        alone = network(Tensor(batch[row : row + 1, :, :length]), Tensor([length], ms.int32)).asnumpy()
        steps = network.output_lengths(length)
        assert alone.shape == (1, steps, UNITS) and steps >= 1
        np.testing.assert_allclose(together[row, :steps], alone[0], rtol=1e-5, atol=1e-5)


def test_neighbours_would_show_without_lengths(network: Dfcnn) -> None:
    """Without lengths the garbage does reach the logits, so the test above can fail."""
    rng = np.random.default_rng(1)
    batch = 10 * rng.normal(size=(1, 1, 47, BINS)).astype(np.float32)
    alone = network(Tensor(batch[:, :, :27])).asnumpy()
    padded = network(Tensor(batch)).asnumpy()[:, : alone.shape[1]]
    sees_beyond_the_end = network.arithmetic[1] != "valid"  # without padding no window looks there
    assert (np.abs(padded - alone).max() > 1e-3) == sees_beyond_the_end


def test_no_lengths_means_that_all_frames_count() -> None:
    network = tiny(*TABLES["pad, stride"])
    x = Tensor(np.random.default_rng(2).normal(size=(2, 1, 40, BINS)), ms.float32)
    np.testing.assert_array_equal(network(x, Tensor([40, 40], ms.int32)).asnumpy(), network(x).asnumpy())


def test_logits_are_raw() -> None:
    """What is added to the bias of the last layer arrives unchanged: nothing is applied after it."""
    network = tiny(*TABLES["pad"], hidden=(6, 6))
    x = Tensor(np.random.default_rng(3).normal(size=(2, 1, 40, BINS)), ms.float32)
    before = network(x).asnumpy()
    bias = network.head[-1].bias
    added = np.array([-1000, -10, 0, 10, 1000], np.float32)
    bias.set_data(Tensor(bias.asnumpy() + added))
    np.testing.assert_allclose(network(x).asnumpy(), before + added, rtol=1e-6, atol=1e-4)
    assert before.min() < 0
    assert not np.allclose(before.sum(axis=-1), 1) and not np.allclose(np.exp(before).sum(axis=-1), 1)


def test_dropout_acts_between_dense_layers_in_training_only() -> None:
    blocks, pad_mode, padding = TABLES["pad"]
    x = Tensor(np.random.default_rng(4).normal(size=(1, 1, 40, BINS)), ms.float32)
    for options in ({"dropout": 0.5}, {"dropout": 0.0, "block_dropout": 0.5}):
        network = tiny(blocks, pad_mode, padding, hidden=(16, 16), **options)
        np.testing.assert_array_equal(network(x).asnumpy(), network(x).asnumpy())
        network.set_train(True)
        assert not np.allclose(network(x).asnumpy(), network(x).asnumpy())


def test_a_pass_renames_no_parameter(network: DfcnnCell) -> None:
    """As a slice of a ``SequentialCell`` would; a checkpoint that is written afterwards would fit nothing."""
    before = [*network.parameters_dict()]
    network(Tensor(np.ones((1, 1, 40, BINS)), ms.float32))
    assert [*network.parameters_dict()] == before


def test_without_dropout_training_is_repeatable() -> None:
    network = tiny(*TABLES["pad"], dropout=0.0).set_train(True)
    x = Tensor(np.random.default_rng(5).normal(size=(2, 1, 40, BINS)), ms.float32)
    np.testing.assert_array_equal(network(x).asnumpy(), network(x).asnumpy())


def test_new_layers_over_steps_change_nothing_and_learn() -> None:
    """On top of a network that has its weights they are not heard, and their scale has a gradient."""
    blocks, pad_mode, padding = TABLES["pad, stride"]
    plain = tiny(blocks, pad_mode, padding, dropout=0.0)
    value = Dfcnn(blocks=blocks, pad_mode=pad_mode, padding=padding, hidden=(4,), dropout=0.0, context=(3, 5))
    more = value.build(num_bins=BINS, num_units=UNITS).set_train(False)
    ms.load_param_into_net(more, plain.parameters_dict())
    x = Tensor(np.random.default_rng(6).normal(size=(2, 1, 40, BINS)), ms.float32)
    np.testing.assert_array_equal(more(x).asnumpy(), plain(x).asnumpy())
    scales = [layer.norm.gamma for layer in more.context]
    gradients = ms.grad(lambda x: (more(x) ** 2).sum(), grad_position=None, weights=ms.ParameterTuple(scales))(x)
    assert all(np.abs(one.asnumpy()).max() > 0 for one in gradients)


def test_count_parameters() -> None:
    value = Dfcnn(blocks=(Block(2, convs=2, pool=(2, 2)), Block(3, convs=1, kernel=5)), hidden=(4,), padding=2)
    first = 2 * 1 * 9 + 2 * 2 + 2 * 2 * 9 + 2 * 2  # two 3x3 convolutions, each with scale and shift of its norm
    second = 3 * 2 * 25 + 2 * 3
    bins = value.output_bins(8)
    assert bins == 3  # 8 -> 10 -> 12 -> 6 -> 6 -> 3
    dense = 2 * 3 + (4 * 3 * bins + 4) + (7 * 4 + 7)
    assert value.parameters(num_bins=8, num_units=7) == first + second + dense
    assert count_parameters(value.build(num_bins=8, num_units=7)) == first + second + dense


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("options", [{}, {"over_time": "mean"}, {"context": (3, 5)}], ids=str)
def test_what_is_counted_from_the_value_is_in_the_cell(table: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Multiply-adds: those of each convolution by the shape of what it really gives, found by a hook."""
    value = Dfcnn(blocks=table[0], pad_mode=table[1], padding=table[2], hidden=(4, 3), **options)
    cell = value.build(num_bins=BINS, num_units=UNITS).set_train(False)
    assert count_parameters(cell) == value.parameters(num_bins=BINS, num_units=UNITS)
    counted = []

    def count(layer: Any, inputs: Any, output: Any) -> None:
        per_place = int(np.prod(layer.weight.shape[1:]))
        counted.append(per_place * int(np.prod(output.shape)))

    for _, layer in cell.cells_and_names():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    cell(Tensor(np.ones((1, 1, 64, BINS)), ms.float32))
    assert sum(counted) == value.multiply_adds(64, num_bins=BINS, num_units=UNITS)


@pytest.mark.parametrize(
    ("pad_mode", "padding", "blocks", "complaint"),
    [
        ("full", 0, (Block(2),), r"pad_mode: got 'full', wanted one of pad, same, valid"),
        ("same", 1, (Block(2),), r"padding: got 1 with pad_mode 'same'.*use padding 0 or pad_mode 'pad'"),
        ("valid", 2, (Block(2),), r"padding: got 2 with pad_mode 'valid'"),
        ("pad", -1, (Block(2),), r"padding: got -1, wanted 0 or more"),
        (
            "pad",
            3,
            (Block(2), Block(2, kernel=5)),
            r"padding: got 3, wanted less than the smallest kernel, 3",
        ),
        ("same", 0, (Block(2, stride=(2, 1)),), r"needs pad_mode 'pad' or 'valid', got 'same'"),
        ("same", 0, (Block(2), Block(2, stride=(1, 2))), r"needs pad_mode 'pad' or 'valid', got 'same'"),
    ],
)
def test_wrong_padding_is_refused(pad_mode: str, padding: int, blocks: tuple[Block, ...], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        check_padding(pad_mode, padding, blocks)
    with pytest.raises(ConfigError, match=complaint):
        Dfcnn(blocks=blocks, pad_mode=pad_mode, padding=padding, hidden=())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"channels": 0}, "must be at least 1"),
        ({"convs": 0}, "must be at least 1"),
        ({"pool": (0, 1)}, "must be at least 1"),
        ({"stride": (1, 0)}, "must be at least 1"),
        ({"kernel": 4}, "kernel must be odd"),
        ({"kernel": -1}, "kernel must be odd"),
        ({"fold": True, "pool": (1, 2)}, r"folds has no frequency to stride or pool over; use stride \[n, 1\]"),
        ({"fold": True, "stride": (1, 2), "pool": (1, 1)}, "folds has no frequency"),
    ],
)
def test_wrong_blocks_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Block(**({"channels": 2} | options))


def test_frequency_does_not_come_back() -> None:
    with pytest.raises(ConfigError, match=r"follows a block that folds.*add fold: true"):
        Dfcnn(blocks=(Block(2), Block(2, fold=True, pool=(1, 1)), Block(2)), hidden=())


@pytest.mark.parametrize("bins", [0, 3, 7])
def test_too_few_bins_are_refused(bins: int) -> None:
    with pytest.raises(ConfigError, match=rf"{bins} feature bins shrink to 0"):
        Dfcnn(hidden=()).build(num_bins=bins, num_units=UNITS)


def test_build_follows_the_page() -> None:
    value = Dfcnn(blocks=(Block(2, kernel=5, stride=(2, 2)),), hidden=(3,), dropout=0.3, padding=2)
    network = value.build(num_bins=20, num_units=9)
    assert weight_shapes(network) == [(2, 1, 5, 5), (2, 2, 5, 5), (3, 2, 1, 5), (9, 3, 1, 1)]
    assert 0.3 in [getattr(layer, "share", None) for layer in network.head]


@pytest.mark.slow
def test_graph_mode_equals_pynative_mode() -> None:
    network = tiny(*TABLES["valid, stride"])
    x = Tensor(np.random.default_rng(6).normal(size=(2, 1, 40, BINS)), ms.float32)
    lengths = Tensor([40, 29], ms.int32)
    line_by_line = network(x, lengths).asnumpy()
    ms.set_context(mode=ms.GRAPH_MODE)
    np.testing.assert_allclose(network(x, lengths).asnumpy(), line_by_line, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("table", ["pad", "valid, stride"])
@pytest.mark.slow
def test_onnx_with_another_batch_and_length(table: str, tmp_path: Path) -> None:
    network = tiny(*TABLES[table], hidden=(6, 6))
    file = tmp_path / "network.onnx"
    ms.onnx.export(
        network,
        Tensor(np.ones((2, 1, 40, BINS)), ms.float32),
        file_name=str(file),
        input_names=["features"],
        output_names=["logits"],
        dynamic_axes={"features": {0: "B", 2: "T"}, "logits": {0: "B", 1: "U"}},
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(7)
    for rows, frames in ((2, 40), (1, 61), (5, 33)):
        x = rng.normal(size=(rows, 1, frames, BINS)).astype(np.float32)
        (logits,) = session.run(None, {"features": x})
        assert logits.shape == (rows, network.output_lengths(frames), UNITS)
        np.testing.assert_allclose(logits, network(Tensor(x)).asnumpy(), rtol=1e-4, atol=1e-4)


def test_acoustic_gives_log_probabilities_in_eval_mode_and_leaves_the_mode_alone() -> None:
    network = tiny(*TABLES["pad"], dropout=0.5)
    x = np.random.default_rng(8).normal(size=(3, 1, 40, BINS)).astype(np.float32)
    lengths = np.array([40, 30, 2])
    for training in (True, False):
        network.set_train(training)
        log_probs, steps = Acoustic(network)(x, lengths)
        assert network.training is training and network.head.training is training
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1, rtol=1e-5)
    logits = network(Tensor(x), Tensor(lengths, ms.int32)).asnumpy()
    shift = logits - log_probs  # one constant per step
    np.testing.assert_allclose(shift, shift[..., :1] + np.zeros(UNITS), atol=1e-4)
    assert steps.tolist() == [network.output_lengths(40), network.output_lengths(30), 0]
