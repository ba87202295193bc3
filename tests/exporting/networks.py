"""Small networks of every kind with random numbers in them, as MindSpore computes them and as graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import Config, load_config
from dfcnn_ms.models import Conformer, Crnn, Dfcnn, DfcnnLstm, Network, Transformer
from dfcnn_ms.models.image import IMAGE_NETWORKS
from dfcnn_ms.models.table import Block
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.tasks import Attention, Classify, Ctc
from dfcnn_ms.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("ba1", "er4", "san1", "si4", "yi1"))
BINS = 40

_FRONT = (Block(4, convs=1, stride=(2, 2), pool=(1, 1)), Block(6, convs=1, pool=(2, 2)))
NETWORKS_OF_EACH_KIND: dict[str, Network] = {
    "dfcnn": Dfcnn(blocks=(Block(4, pool=(2, 2)), Block(6, convs=1, pool=(3, 1))), hidden=(8,)),
    "dfcnn, strides": Dfcnn(blocks=(Block(4, kernel=5, stride=(2, 2), pool=(1, 1)), *_FRONT), hidden=(8, 7), dropout=0),
    "dfcnn, folded": Dfcnn(blocks=(Block(4, pool=(1, 2)), Block(6, fold=True, pool=(2, 1))), hidden=()),
    "dfcnn, valid": Dfcnn(blocks=_FRONT, hidden=(8,), pad_mode="valid", padding=0),
    "dfcnn, same": Dfcnn(blocks=(Block(4, kernel=1), Block(6, kernel=7)), hidden=(8,), pad_mode="same", padding=0),
    "dfcnn, mean": Dfcnn(blocks=_FRONT, hidden=(8,), over_time="mean"),
    "dfcnn, steps around": Dfcnn(blocks=_FRONT, hidden=(8,), context=(3, 5)),
    "dfcnn_lstm": DfcnnLstm(blocks=_FRONT, dense=8, lstm_layers=2, lstm_width=5),
    "transformer": Transformer(blocks=_FRONT, depth=2, width=12, heads=3, feed_forward=20),
    "transformer, decoder": Transformer(blocks=_FRONT, depth=1, width=12, heads=3, feed_forward=9, decoder_depth=2),
    "conformer": Conformer(blocks=_FRONT, depth=2, width=12, heads=3, feed_forward=20, kernel=5),
    "conformer, no attention": Conformer(blocks=_FRONT, depth=2, width=12, heads=0, feed_forward=20, kernel=5),
    "crnn": Crnn(channels=(3, 4), width=5),
    **{kind: cls().narrowed(4) for kind, cls in IMAGE_NETWORKS.items()},
}


@dataclass(frozen=True)
class Pair:
    """A network in MindSpore, and what is needed to write it as a graph."""

    cell: nn.Cell
    meta: Meta
    weights: dict[str, np.ndarray] = field(repr=False)

    def log_probs(self, features: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """As MindSpore computes them (B, U, V), in float64 from its logits."""
        said = self.cell(Tensor(features, ms.float32), Tensor(lengths, ms.int32))
        logits = (said[0] if isinstance(said, tuple) else said).asnumpy().astype(np.float64)
        return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)

    def steps(self, lengths: np.ndarray) -> list[int]:
        return [max(0, self.meta.config.model.output_lengths(int(length))) for length in lengths]


def config_of(network: Network, **sections: Any) -> Config:
    """A page with this network."""
    task = Classify() if network.frames_per_step is None else Attention() if network.has_decoder else Ctc()
    return load_config("digits").model_copy(update={"model": network, "task": task, **sections})


def pair(network: Network, seed: int = 0, **sections: Any) -> Pair:
    """The network with random numbers, batch norms included, in use."""
    config = config_of(network, **sections)
    cell = network.build(num_bins=config.features.num_bins, num_units=len(VOCABULARY))
    rng = np.random.default_rng(seed)
    for name, parameter in cell.parameters_dict().items():
        if parameter.dtype == ms.float32:
            parameter.set_data(Tensor(_random(rng, name, parameter.shape)))
    cell.set_train(False)
    bins = config.features.num_bins
    cmvn = (
        GlobalCmvn(rng.normal(size=bins), rng.uniform(0.5, 2, bins)) if config.cmvn in ("global", "running") else None
    )
    weights = {name: value.asnumpy() for name, value in cell.parameters_dict().items()}
    return Pair(cell, Meta(config, VOCABULARY, cmvn), weights)


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("gamma"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith("moving_variance"):  # enough for what comes in, so that no number grows from layer to layer
        return rng.uniform(2, 6, shape).astype(np.float32)
    fan_in = max(1, int(np.prod(shape[1:])))
    return (rng.normal(size=shape) * (1.5 / np.sqrt(fan_in) if len(shape) > 1 else 0.3)).astype(np.float32)


def batch(lengths: list[int], bins: int = BINS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random features (B, 1, T, F), with anything but zeros behind the end of each utterance."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(lengths), 1, max(lengths), bins)).astype(np.float32), np.array(lengths)
