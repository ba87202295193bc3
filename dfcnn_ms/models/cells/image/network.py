"""An image network: its layers in a chain, of which the last writes the logits of the whole clip."""

from __future__ import annotations

from typing import Any

from mindspore import Tensor, nn

from dfcnn_ms.models.cells.image.layers import cell_of
from dfcnn_ms.models.image.layers import Chain, Picture, Reach, one_step


class ImageCell(nn.Cell):
    """A network of pictures.

    Args:
        plan: all layers; the last is the output layer, before which one frame and one bin are left.
        clock: what they do to the number of frames until then.
        num_bins: F.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F) float32.
        - **lengths** (Tensor or None) - (B,) int32, the frames of each clip. With them, a clip's logits depend on
          nothing but itself in eval mode; None: every row is T frames long.

    Outputs:
        Tensor (B, 1, V), **raw logits**.
    """

    def __init__(self, plan: Chain, clock: tuple[Reach, ...], num_bins: int) -> None:
        super().__init__()
        self.clock = clock
        self.body = cell_of(plan, Picture(1, num_bins, num_bins))

    @property
    def output_layer(self) -> nn.Conv2d:
        """The layer that writes the logits."""
        cells = self.body.cells_in_turn
        return cells[len(cells) - 1].conv

    def output_lengths(self, lengths: Any) -> Any:
        """1 where a clip is long enough, else less: ints, NumPy arrays and tensors alike."""
        return one_step(lengths, self.clock)

    def construct(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        x, _ = self.body(features, lengths)  # (B, 1, T, F) -> (B, V, 1, 1)
        return x.squeeze(3).swapaxes(1, 2)  # (B, V, 1, 1) -> (B, 1, V)
