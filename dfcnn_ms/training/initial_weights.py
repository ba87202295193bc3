"""How a network begins: from another one's weights, with a bias against the blank, with frozen layers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import Config
from dfcnn_ms.errors import CheckpointError, ConfigError, suggestion
from dfcnn_ms.runtime.checkpoint import Checkpoint, weights_of
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import BLANK_ID, Vocabulary

log = logging.getLogger(__name__)

NORMS = (nn.BatchNorm2d, nn.LayerNorm)
#: weights that are named, of those that begin anew
NAMED = 8
#: how the weights of a table of convolutions are called in a network that has more than that
FRONT = "front."


def start_from(stored: Checkpoint, network: nn.Cell, vocabulary: Vocabulary) -> None:
    """Copies every weight that has the same name and shape; of the output layer, the rows of the units in common.

    A network that begins with a table of convolutions also takes those of a DFCNN, which is nothing else. Layers of
    self-attention that the other one lacks add nothing at first to what they read.

    Raises:
        CheckpointError: nothing matches.
    """
    theirs = stored.weights
    outputs = network.output_layer
    taken, left = [], []
    for name, parameter in weights_of(network).items():
        values = theirs.get(name, theirs.get(name.removeprefix(FRONT)))
        if values is not None and name in (outputs.weight.name, outputs.bias.name):
            if values.shape[1:] == parameter.shape[1:]:
                parameter.set_data(Tensor(_shared_rows(parameter, values, vocabulary, stored.meta.vocabulary)))
                taken.append(name)
                continue
        elif values is not None and values.shape == parameter.shape:
            parameter.set_data(Tensor(values.asnumpy()))
            taken.append(name)
            continue
        left.append(name)
    layers = [cell for _, cell in network.cells_and_names() if hasattr(cell, "begin_at_nothing")]
    new = [cell for cell in layers if all(one.name in left for one in cell.trainable_params())]
    for cell in new if len(new) < len(layers) else ():
        cell.begin_at_nothing()
    if not taken:
        raise CheckpointError("--init: no weight of the checkpoint fits this network; are model and features the same?")
    common = len(set(vocabulary.symbols) & set(stored.meta.vocabulary.symbols))
    log.info(
        "beginning with %d of %d weights and %d of %d units%s",
        len(taken), len(taken) + len(left), common, len(vocabulary),
        f"; new: {_named(left)}" if left else "",
    )  # fmt: skip


def _named(weights: Sequence[str]) -> str:
    more = len(weights) - NAMED
    return ", ".join(weights[:NAMED]) + (f" and {more} more" if more > 0 else "")


def statistics_of(meta: Meta, config: Config) -> GlobalCmvn | None:
    """Those under which a network learned, if the page hears and normalises as it did; its weights expect them."""
    same = (meta.config.features, meta.config.cmvn) == (config.features, config.cmvn)
    return meta.cmvn if same else None


def _shared_rows(ours: Tensor, theirs: Tensor, to: Vocabulary, of: Vocabulary) -> np.ndarray:
    """Our values (V, ...) with the rows of those units that the other vocabulary has as well."""
    values, source = ours.asnumpy().copy(), theirs.asnumpy()
    places = {symbol: place for place, symbol in enumerate(of.symbols)}
    for row, symbol in enumerate(to.symbols):
        if symbol in places:
            values[row] = source[places[symbol]]
    return values


def set_blank_bias(network: nn.Cell, bias: float) -> None:
    """Lets the logit of the blank begin at ``bias``; 0 leaves it as it is."""
    if bias:
        layer = network.output_layer
        values = layer.bias.asnumpy().copy()
        values[BLANK_ID] = bias
        layer.bias.set_data(Tensor(values))


def layers_to_freeze(network: nn.Cell, learning: str) -> tuple[str, ...]:
    """Names for ``train.freeze``, so that only some layers learn.

    Args:
        network: the Cell.
        learning: ``all``; ``upper``, the second half of those that have weights, and the norms among them; ``norms``,
            the shifts, scales and statistics of norms.

    Raises:
        ConfigError: the network has no norms, and nothing else should learn.
    """
    layers = {name: cell for name, cell in network.cells_and_names() if name and [*cell.get_parameters(expand=False)]}
    if learning == "all":
        return ()
    if learning == "norms":
        if not any(isinstance(cell, NORMS) for cell in layers.values()):
            raise ConfigError("norms: this network has none, so nothing would learn; let upper or all layers learn")
        return tuple(name for name, cell in layers.items() if not isinstance(cell, NORMS))
    names = [*layers]
    weighted = [place for place, name in enumerate(names) if not isinstance(layers[name], NORMS)]
    return tuple(names[: weighted[len(weighted) // 2]])


def freeze(network: nn.Cell, layers: Sequence[str]) -> None:
    """Makes layers stay as they are, their batch norms included.

    Raises:
        ConfigError: there is no such layer, or nothing would be left to train.
    """
    cells = dict(network.cells_and_names())
    for layer in layers:
        if layer not in cells or not layer:
            hint = suggestion(layer, filter(None, cells))
            raise ConfigError(f"train.freeze: no layer {layer!r} in the network; {hint}")
        for parameter in cells[layer].get_parameters():
            parameter.requires_grad = False
        for _, cell in cells[layer].cells_and_names():
            if isinstance(cell, nn.BatchNorm2d):
                cell.use_batch_statistics = False
    if not network.trainable_params():
        raise ConfigError("train.freeze: nothing is left to train; freeze fewer layers")
