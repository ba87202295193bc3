"""Every kind of network as a graph: it says what MindSpore says, and a batch is its utterances."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor
from networks import NETWORKS_OF_EACH_KIND, Pair, batch, pair

from dfcnn_ms.decoding.memory import page_of
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.exporting.int8 import Grid, Int8Layers
from dfcnn_ms.exporting.network import bundle_of, grids_of, write
from dfcnn_ms.models import NETWORKS, Network
from dfcnn_ms.models.graphs import GRAPHS
from dfcnn_ms.runtime.bundle import Bundle
from dfcnn_ms.runtime.onnx import OnnxAcoustics, writer_of

pytestmark = pytest.mark.usefixtures("cpu")

LENGTHS = [61, 96, 33]
Both = tuple[Pair, OnnxAcoustics]


@pytest.fixture(scope="module", params=NETWORKS_OF_EACH_KIND)
def both(request: pytest.FixtureRequest) -> Both:
    network = pair(NETWORKS_OF_EACH_KIND[request.param])
    bundle = bundle_of(write(network.meta, network.weights), network.meta, waveform=False, precision="float32")
    return network, OnnxAcoustics(bundle, threads=1)


def test_every_kind_of_network_has_a_graph_and_an_example_here() -> None:
    assert set(GRAPHS) == set(NETWORKS) == {name.split(",")[0] for name in NETWORKS_OF_EACH_KIND}


def test_it_says_what_mindspore_says(both: Both) -> None:
    network, exported = both
    features, lengths = batch(LENGTHS)
    wanted, (got, steps) = network.log_probs(features, lengths), exported(features, lengths)
    assert got.shape == wanted.shape and steps.tolist() == network.steps(lengths)
    for row, count in enumerate(steps):
        np.testing.assert_allclose(got[row, :count], wanted[row, :count], rtol=2e-6, atol=2e-5)
    assert np.ptp(wanted[0, : steps[0]], axis=-1).min() > 0.1, "the units differ, so that something was compared"


def test_a_batch_is_its_utterances(both: Both) -> None:
    _, exported = both
    features, lengths = batch(LENGTHS)
    together, steps = exported(features, lengths)
    for row, length in enumerate(LENGTHS):
        alone, own = exported(features[row : row + 1, :, :length], lengths[row : row + 1])
        assert own.tolist() == [steps[row]]
        np.testing.assert_allclose(alone[0, : steps[row]], together[row, : steps[row]], rtol=2e-6, atol=1e-5)


def test_steps_are_those_of_the_network_for_every_length(both: Both) -> None:
    """Also where there are none, and where a network that pads nothing would have fewer than none."""
    network, exported = both
    lengths = np.arange(1, 97)
    features = np.zeros((len(lengths), 1, 96, network.meta.config.features.num_bins), np.float32)
    assert exported(features, lengths)[1].tolist() == network.steps(lengths)


def test_in_8_bits_it_says_nearly_the_same(both: Both) -> None:
    """Random numbers, on which it was measured: the probabilities of the units move by a few hundredths at most."""
    network, exported = both
    features, lengths = batch(LENGTHS)
    heard = [features[row, 0, :length] for row, length in enumerate(LENGTHS)]
    grids = grids_of(network.meta, network.weights, heard)
    small = write(network.meta, network.weights, arithmetic=lambda graph: Int8Layers(graph, grids))
    bundle = bundle_of(small, network.meta, waveform=False, precision="int8")
    got, steps = OnnxAcoustics(bundle, threads=1)(features, lengths)
    wanted, _ = exported(features, lengths)
    apart = [np.abs(np.exp(got[row, :count]) - np.exp(wanted[row, :count])) for row, count in enumerate(steps)]
    assert max(one.max() for one in apart) > 0
    assert np.concatenate(apart).mean() < 0.05


def test_a_decoder_comes_along_and_writes_the_same() -> None:
    """What follows some beginnings of a text, by the file's decoder and by the Cell's."""
    network = pair(NETWORKS_OF_EACH_KIND["transformer, decoder"])
    written = bundle_of(write(network.meta, network.weights), network.meta, waveform=False, precision="float32")
    bundle = Bundle.from_bytes(written.to_bytes(), "a.onnx")
    exported = OnnxAcoustics(bundle, threads=1, writer=writer_of(bundle, network.meta))
    features, lengths = batch(LENGTHS)
    log_probs, steps = exported(features, lengths)
    tokens = np.array([[0, 2, 3, 1]] * len(LENGTHS), np.int32)
    given = (Tensor(features), Tensor(lengths.astype(np.int32)), Tensor(tokens))
    logits = network.cell(*given)[1].asnumpy()
    wanted = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)  # (B, L, V)
    for row, count in enumerate(steps):
        page = page_of(log_probs[row, :count])
        assert page is not None
        got = [page.write([token], [0])[0] for token in tokens[row]]
        np.testing.assert_allclose(got, wanted[row], atol=2e-5)


def test_a_kind_from_outside_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    network: Network = NETWORKS_OF_EACH_KIND["dfcnn"]
    monkeypatch.delitem(GRAPHS, "dfcnn")
    with pytest.raises(ConfigError, match=r"kind 'dfcnn' cannot be exported to ONNX, only .*; a plugin may add a row"):
        write(pair(network).meta, {})


def test_a_grid_has_zero_and_reaches_both_ends() -> None:
    for low, high in ((-3.0, 5.0), (0.5, 2.0), (-4.0, -1.0), (0.0, 0.0)):
        grid = Grid.over(low, high)
        values = grid.step * (np.arange(256) - grid.zero)
        assert 0 in values
        assert values[0] <= low + grid.step and values[-1] >= high - grid.step
