"""Tones beside units: a second output layer on the same trunk, that only training has."""

from __future__ import annotations

from collections.abc import Sequence

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.tasks.cells.losses import CTCLoss
from dfcnn_ms.tasks.cells.with_loss import WithLossCell

#: the blank, and the five tones
TONE_UNITS = 6


class TwoLayers(nn.Cell):
    """The output layer of a network and, in training, a second one beside it that reads the same.

    The second one is no child of this cell, so that the network does not count, keep or load its weights.

    Args:
        layer: of the network.
        second: of the training.
        axis: of the units in what both write.

    Inputs:
        - **x** (Tensor) - what the layer reads.

    Outputs:
        Tensor, what the layer writes; in training with the units of the second after its own.
    """

    def __init__(self, layer: nn.Cell, second: nn.Cell, axis: int) -> None:
        super().__init__(auto_prefix=False)
        self.layer = layer
        self.others = (second,)
        self.axis = axis

    def construct(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.layer(x)
        return ops.concat((self.layer(x), self.others[0](x)), self.axis)


class WithToneLoss(WithLossCell):
    """A network, the loss of its units, and that of their tones by CTC of a layer that only this cell has.

    The tones are read from the labels, unit by unit; equal neighbours need a blank between them, so that a label whose
    tones need more steps than there are teaches its units alone. In eval mode there is but the loss of the units.

    Args:
        backbone: as of a :class:`~dfcnn_ms.tasks.cells.with_loss.WithLossCell`, with one ``output_layer``; in training
            it writes (B, U, V + 6) from here on, in eval mode (B, U, V) as before.
        loss_fn: as there.
        tones: of each unit (V,), 1 to 5, or 0 where it has none and is left out.
        weight: of the loss of the tones.
        workers: processes that train together.

    Inputs and outputs:
        As of a :class:`~dfcnn_ms.tasks.cells.with_loss.WithLossCell`.
    """

    def __init__(
        self, backbone: nn.Cell, loss_fn: nn.Cell, tones: Sequence[int], weight: float, workers: int = 1
    ) -> None:
        super().__init__(backbone, loss_fn)
        self.tone_layer = second_layer(backbone, TONE_UNITS)
        self.tone_layer.update_parameters_name("tone_layer.")
        self.tone_loss = CTCLoss(workers=workers)
        self.tones = Tensor(list(tones), ms.int32)
        self.units = len(tones)
        self.weight = weight

    def construct(self, features: Tensor, labels: Tensor, feature_lengths: Tensor, label_lengths: Tensor) -> Tensor:
        logits = self._backbone(features, feature_lengths)  # (B, U, V + 6)
        steps = self._ruler.output_lengths(feature_lengths)
        heard = self._loss_fn(logits[:, :, : self.units], steps, labels, label_lengths)
        if not self.training:
            return heard
        toned = tones_said(self.tones, labels, label_lengths)
        return heard + self.weight * self.tone_loss(logits[:, :, self.units :], steps, *toned)


def tones_said(tones: Tensor, labels: Tensor, label_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The tones of labels: (V,), (B, L) and (B,) -> (B, L) and (B,); lengths out of range stay what they are."""
    inside = ops.arange(labels.shape[1]).reshape(1, -1) < label_lengths.reshape(-1, 1)  # (B, L)
    known = ops.logical_and(labels >= 0, labels < tones.shape[0])
    own = ops.gather(tones, ops.where(ops.logical_and(inside, known), labels, 0).astype(ms.int32), 0)
    toned = (own > 0).astype(ms.int32)
    places = ops.where(own > 0, ops.cumsum(toned, 1) - 1, -1)  # where each tone is to stand
    moved = places.expand_dims(2) == ops.arange(labels.shape[1]).reshape(1, 1, -1)  # (B, L, L)
    packed = (own.expand_dims(2) * moved.astype(ms.int32)).sum(axis=1).astype(ms.int32)
    possible = ops.logical_and(label_lengths >= 0, label_lengths <= labels.shape[1])
    return packed, ops.where(possible, toned.sum(axis=1), label_lengths).astype(ms.int32)


def second_layer(backbone: nn.Cell, units: int) -> nn.Cell:
    """A new layer beside the output layer of a network, whose outputs from now on follow those of that in training.

    Raises:
        ConfigError: the output layer is none of the kinds that can be had a second time.
    """
    owner = next(cell for _, cell in backbone.cells_and_names() if hasattr(cell, "output_layer"))
    layer = owner.output_layer
    second, axis = _like(layer, units)
    if getattr(layer, "fp16", False):  # mixed precision has been here before
        second.to_float(ms.float16)
    _replace(owner, layer, TwoLayers(layer, second, axis))
    return second


def _like(layer: nn.Cell, units: int) -> tuple[nn.Cell, int]:
    """A layer that reads what another one reads and writes so many units, and the axis of the units."""
    if isinstance(layer, nn.Dense):
        return nn.Dense(layer.in_channels, units), -1
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        window = layer.kernel_size if isinstance(layer, nn.Conv2d) else layer.kernel_size[1]
        return type(layer)(layer.in_channels, units, window, pad_mode="valid", has_bias=True), 1
    raise ConfigError(
        f"task.tone_weight: needs a network whose output layer is Dense, Conv1d or Conv2d; got {type(layer).__name__}; "
        "set task.tone_weight=0"
    )


def _replace(network: nn.Cell, old: nn.Cell, new: nn.Cell) -> None:
    """Puts a cell in the place of another one that is inside of it; all parameters keep their names."""
    names = [(parameter, parameter.name) for parameter in old.get_parameters()]
    parent, place = next(
        (cell, name)
        for _, cell in network.cells_and_names()
        for name, child in cell.name_cells().items()
        if child is old
    )
    if isinstance(parent, nn.SequentialCell | nn.CellList):
        parent[int(place)] = new
    else:
        setattr(parent, place, new)
    for parameter, name in names:
        parameter.name = name
