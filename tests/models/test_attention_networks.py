"""Attention against NumPy, networks of it against themselves alone, and the decoder against its whole."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from scrambling import check_alone_equals_batched, logits_of, scrambled

from dfcnn_ms.config import load_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import Conformer, Transformer
from dfcnn_ms.models.attending import Attending
from dfcnn_ms.models.cells.attention import Attention, RelativeAttention
from dfcnn_ms.models.cells.conformer import TimeConvolution
from dfcnn_ms.models.table import Block
from dfcnn_ms.models.writer import Writer
from dfcnn_ms.training.trainer import count_parameters, train_step

pytestmark = pytest.mark.usefixtures("cpu")

UNITS, BINS = 7, 12
BLOCKS = (Block(4, convs=1, stride=(2, 2), pool=(1, 1)), Block(3, convs=1, stride=(2, 2), pool=(1, 1)))
SIZES: dict[str, Any] = {"blocks": BLOCKS, "depth": 2, "width": 8, "heads": 2, "feed_forward": 10}
KINDS: dict[str, Attending] = {
    "transformer": Transformer(**SIZES),
    "conformer": Conformer(**SIZES, kernel=5),
    "conformer without attention": Conformer(**SIZES | {"heads": 0}, kernel=5),
    "transformer with a decoder": Transformer(**SIZES, decoder_depth=2),
    "conformer with a decoder": Conformer(**SIZES, kernel=3, decoder_depth=1),
}

every = pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def dense(layer: nn.Dense, x: np.ndarray) -> np.ndarray:
    bias = layer.bias.asnumpy() if layer.has_bias else 0.0
    return x.astype(np.float64) @ layer.weight.asnumpy().T.astype(np.float64) + bias


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def place(number: float, width: int) -> np.ndarray:
    """A place or a distance as sines and cosines of slower and slower waves."""
    angles = [number / 10_000 ** (2 * index / width) for index in range(width // 2)]
    return np.concatenate([np.sin(angles), np.cos(angles)])


def relative_in_numpy(layer: RelativeAttention, x: np.ndarray) -> np.ndarray:
    """One utterance (U, D), pair by pair and head by head in float64."""
    steps, width = x.shape
    size = width // layer.heads
    asked, keys, values = (dense(one, x) for one in (layer.query, layer.key, layer.value))
    a, b = (one.asnumpy().reshape(width) for one in (layer.of_content, layer.of_distance))
    seen = np.zeros((steps, width))
    for head in range(layer.heads):
        own = slice(head * size, (head + 1) * size)
        for i in range(steps):
            scores = np.array(
                [
                    (asked[i] + a)[own] @ keys[j][own]
                    + (asked[i] + b)[own] @ dense(layer.distance, place(i - j, width))[own]
                    for j in range(steps)
                ]
            )
            seen[i, own] = softmax(scores / np.sqrt(size)) @ values[:, own]
    return dense(layer.out, seen)


def test_relative_attention_is_that_of_numpy_and_sees_nothing_after_the_end() -> None:
    layer = scrambled(RelativeAttention(8, 2))
    x, steps = 3 * numbers(3, 7, 8), [7, 1, 4]
    inside = (np.arange(7) < np.array(steps)[:, None]).astype(np.float32)
    said = layer(Tensor(x), Tensor(inside)).asnumpy()
    for row, count in enumerate(steps):
        expected = relative_in_numpy(layer, x[row, :count])
        np.testing.assert_allclose(said[row, :count], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer(Tensor(x)).asnumpy()[0], layer(Tensor(x), Tensor(inside * 0 + 1)).asnumpy()[0])


def test_attention_is_that_of_numpy_and_sees_what_it_may() -> None:
    layer = scrambled(Attention(8, 4))
    x, seen = numbers(1, 3, 8), numbers(1, 5, 8, seed=1)
    visible = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 1, 0], [1, 1, 1, 1, 1]])
    said = layer(Tensor(x), Tensor(seen), Tensor(visible.reshape(1, 1, 3, 5), ms.float32)).asnumpy()[0]
    asked, keys, values = dense(layer.query, x[0]), dense(layer.key, seen[0]), dense(layer.value, seen[0])
    for i, may in enumerate(visible.astype(bool)):
        heads = [slice(2 * head, 2 * head + 2) for head in range(4)]
        mixed = [softmax(keys[may][:, own] @ asked[i, own] / np.sqrt(2)) @ values[may][:, own] for own in heads]
        np.testing.assert_allclose(said[i], dense(layer.out, np.concatenate(mixed)), rtol=1e-4, atol=1e-5)


def test_the_convolution_over_time_is_that_of_numpy() -> None:
    layer = scrambled(TimeConvolution(4, 3))
    x, steps = numbers(2, 6, 4), [6, 3]
    inside = (np.arange(6) < np.array(steps)[:, None]).astype(np.float32)
    said = layer(Tensor(x), Tensor(inside)).asnumpy()
    kernel = layer.conv.weight.asnumpy().reshape(4, 3)
    for row, count in enumerate(steps):
        value, gate = np.split(dense(layer.gated, x[row, :count]), 2, axis=1)
        gated = np.pad(value / (1 + np.exp(-gate)), ((1, 1), (0, 0)))
        summed = sum(gated[tap : tap + count] * kernel[:, tap] for tap in range(3)) + layer.conv.bias.asnumpy()
        spread = np.sqrt(summed.var(axis=1, keepdims=True) + 1e-5)
        normed = (summed - summed.mean(axis=1, keepdims=True)) / spread
        normed = normed * layer.norm.gamma.asnumpy() + layer.norm.beta.asnumpy()
        expected = dense(layer.out, normed / (1 + np.exp(-normed)))
        np.testing.assert_allclose(said[row, :count], expected, rtol=1e-4, atol=1e-4)


@every
def test_alone_equals_batched(value: Attending) -> None:
    check_alone_equals_batched(scrambled(value.build(num_bins=BINS, num_units=UNITS)), BINS, UNITS)


@every
def test_what_is_counted_from_the_value_is_in_the_cell(value: Attending, monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiply-adds: of each layer by the shape of what it gives, of each product of tensors by its own."""
    network = value.build(num_bins=BINS, num_units=UNITS).set_train(False)
    assert count_parameters(network) == value.parameters(num_bins=BINS, num_units=UNITS)
    counted = []

    def count(layer: Any, inputs: Any, output: Any) -> None:
        counted.append(int(np.prod(layer.weight.shape[1:])) * int(np.prod(output.shape)))

    def counting(product: Any) -> Any:
        def call(a: Tensor, b: Tensor) -> Tensor:
            found = product(a, b)
            counted.append(int(np.prod(found.shape)) * a.shape[-1])
            return found

        return call

    for _, layer in network.cells_and_names():
        if isinstance(layer, nn.Conv2d | nn.Conv1d | nn.Dense):
            layer.register_forward_hook(count)
    for name in ("matmul", "bmm"):
        monkeypatch.setattr(ops, name, counting(getattr(ops, name)))
    logits_of(network, np.ones((1, 1, 47, BINS), np.float32), None)
    assert sum(counted) == value.multiply_adds(47, num_bins=BINS, num_units=UNITS)


def test_the_clock_is_that_of_the_subsampling() -> None:
    value = KINDS["transformer"]
    network = value.build(num_bins=BINS, num_units=UNITS).set_train(False)
    for frames in (1, 4, 5, 8, 9, 31):
        steps = logits_of(network, np.ones((1, 1, frames, BINS), np.float32), None).shape[1]
        assert network.output_lengths(frames) == value.output_lengths(frames) == steps == -(-frames // 4)
    assert (value.frames_per_step, value.first_frame) == (4, -1.5)


@pytest.fixture(scope="module")
def written() -> tuple[Writer, np.ndarray, np.ndarray, np.ndarray]:
    """A decoder, a memory (U, D), a text (L,) and what the Cell says of the whole of it (L, V), beside a longer row."""
    value = KINDS["transformer with a decoder"]
    network = scrambled(value.build(num_bins=BINS, num_units=UNITS))
    features, lengths = Tensor(numbers(2, 1, 47, BINS)), Tensor([26, 47], ms.int32)
    text = np.array([0, 3, 3, 6, 2])
    tokens = Tensor(np.array([[*text, 5], [0, 1, 2, 3, 4, 5]]), ms.int32)
    _, whole = network(features, lengths, tokens)
    _, memory = network(features, lengths)
    said = ops.log_softmax(whole, -1).asnumpy()[0, : len(text)]
    return network.writer(), memory.asnumpy()[0, : value.output_lengths(26)], text, said


def test_writing_step_by_step_is_the_whole(written: tuple[Writer, np.ndarray, np.ndarray, np.ndarray]) -> None:
    """What the Cell says in a batch, with a longer utterance and a longer text beside it."""
    writer, memory, text, whole = written
    page = writer.listen(memory)
    for unit, expected in zip(text, whole, strict=True):
        np.testing.assert_allclose(page.write([unit], [0])[0], expected, rtol=1e-4, atol=1e-4)


def test_texts_side_by_side_know_their_parents(written: tuple[Writer, np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Two beginnings change places and one is given up; each goes on as if it had been alone."""
    writer, memory, _, _ = written
    together = writer.listen(memory)
    together.write([0], [0])
    together.write([3, 4, 5], [0, 0, 0])
    pair = together.write([6, 2], [2, 0])
    for said, text in zip(pair, ([0, 5, 6], [0, 3, 2]), strict=True):
        alone = writer.listen(memory)
        *_, last = [alone.write([unit], [0])[0] for unit in text]
        np.testing.assert_allclose(said, last, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.exp(pair).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"width": 10, "heads": 4}, "width: got 10, wanted an even multiple of heads, 4"),
        ({"width": 5, "heads": 5}, "width: got 5, wanted an even multiple of heads, 5"),
        ({"depth": 0}, "depth: got 0, wanted at least 1"),
        ({"decoder_depth": -1}, "decoder_depth: got -1, wanted at least 0"),
        ({"dropout": 1.5}, "dropout: got 1.5, wanted at least 0"),
        ({"heads": 0, "decoder_depth": 1}, "heads: got 0, wanted at least 1"),
        ({"heads": -1}, "heads: got -1, wanted at least 0"),
        ({"kernel": 4}, "kernel: got 4, wanted an odd number"),
    ],
)
def test_values_without_sense_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Conformer(**options)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "decoder" in kind])
def test_graph_mode_equals_pynative_mode(kind: str) -> None:
    value = KINDS[kind]
    network = scrambled(value.build(num_bins=BINS, num_units=UNITS))
    features = numbers(2, 1, 40, BINS)
    line_by_line = logits_of(network, features, [40, 29])
    ms.set_context(mode=ms.GRAPH_MODE)
    np.testing.assert_allclose(logits_of(network, features, [40, 29]), line_by_line, rtol=1e-5, atol=1e-5)


def test_a_transformer_is_nothing_without_attention() -> None:
    with pytest.raises(ConfigError, match="heads: got 0, wanted at least 1"):
        Transformer(heads=0)


def test_the_page_of_the_source_has_its_dimensions() -> None:
    model = load_config("transformer").model
    assert (model.depth, model.width, model.feed_forward, model.decoder_depth) == (6, 512, 2048, 6)
    attention, dense = 4 * 513 * 512, 513 * 2048 + 2049 * 512
    encoder = 6 * (attention + 512 * 512 + 2 * 512 + dense + 2 * 1024)
    decoder = 6 * (2 * attention + dense + 3 * 1024)
    ends = 2 * 1024 + 2 * 513 * 1215 + 512 * 1215
    front = 9 * (64 + 64 * 64) + 3 * 128 + (64 * 20 + 1) * 512
    counted = model.parameters(num_bins=80, num_units=1215)
    assert counted == encoder + decoder + ends + front == 48_281_918


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("graph_mode")
@pytest.mark.parametrize("page", ["transformer", "mandarin_conformer", "mandarin_attention"])
def test_the_pages_take_a_step(page: str) -> None:
    """As they are, with 1,215 units; every weight moves."""
    config = load_config(page)
    bins = config.features.num_bins
    network = config.model.build(num_bins=bins, num_units=1215)
    assert count_parameters(network) == config.model.parameters(num_bins=bins, num_units=1215)
    step = train_step(config, network, 1).set_train(True)
    rng = np.random.default_rng(0)
    features = Tensor(rng.normal(size=(2, 1, 80, bins)), ms.float32)
    labels, lengths = rng.integers(2, 1215, size=(2, 4)), ([80, 72], [4, 3])
    before = {one.name: one.asnumpy().copy() for one in network.trainable_params()}
    loss, _, finite, _ = step(features, *(Tensor(one, ms.int32) for one in (labels, *lengths)))
    assert bool(finite) and np.isfinite(float(loss))
    stayed = [one.name for one in network.trainable_params() if (one.asnumpy() == before[one.name]).all()]
    # A softmax does not change when the same is added to all scores, which is what the bias of the keys does.
    assert [name for name in stayed if not name.endswith("key.bias")] == []
