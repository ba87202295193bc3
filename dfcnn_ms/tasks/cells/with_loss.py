"""A network and its loss as one network."""

from __future__ import annotations

from mindspore import Tensor, nn


class WithLossCell(nn.Cell):
    """A backbone and its loss as one network.

    Args:
        backbone: features and their lengths -> raw logits; has ``output_lengths``.
        loss_fn: a cell called with ``(logits, logit_lengths, labels, label_lengths)``.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F).
        - **labels** (Tensor) - (B, L) int32.
        - **feature_lengths** (Tensor) - (B,) int32, frames.
        - **label_lengths** (Tensor) - (B,) int32.

    Outputs:
        Tensor, the loss, ().
    """

    def __init__(self, backbone: nn.Cell, loss_fn: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self._backbone = backbone
        self._loss_fn = loss_fn
        # Mixed precision wraps the network in a cell that knows nothing of lengths.
        self._ruler = next(cell for _, cell in backbone.cells_and_names() if hasattr(cell, "output_lengths"))

    @property
    def backbone_network(self) -> nn.Cell:
        """The network without its loss."""
        return self._backbone

    def predict(self, features: Tensor, feature_lengths: Tensor | None = None) -> Tensor:
        """Raw logits (B, U, V) in eval mode; the training flag is put back as it was."""
        training = self._backbone.training
        self._backbone.set_train(False)
        logits = self._backbone(features, feature_lengths)
        self._backbone.set_train(training)
        return logits

    def construct(self, features: Tensor, labels: Tensor, feature_lengths: Tensor, label_lengths: Tensor) -> Tensor:
        logits = self._backbone(features, feature_lengths)
        steps = self._ruler.output_lengths(feature_lengths)
        return self._loss_fn(logits, steps, labels, label_lengths)
