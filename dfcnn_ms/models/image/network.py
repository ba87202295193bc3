"""What all image networks are: a tree of layers, then the mean of the picture, then one output for the clip."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfcnn_ms.models.image.layers import Chain, Conv, Layer, OverBins, OverTime, Picture, Reach, one_step
from dfcnn_ms.models.network import Network

if TYPE_CHECKING:
    from mindspore import nn

#: frames of a picture of which only the channels and the bins matter
_ANY = 1024


@dataclass(frozen=True)
class ImageNetwork(Network):
    """A network that gives a single output for a clip, whatever its length.

    Frames after the end of a clip are zeroed before every layer that reaches over time, and the last mean is over the
    clip's own frames, so that neighbours in a batch change nothing.
    """

    @abstractmethod
    def body(self) -> tuple[Layer, ...]:
        """The layers before the mean of the picture."""

    def head(self) -> tuple[Layer, ...]:
        """The layers between that mean and the output layer."""
        return ()

    @property
    def title(self) -> str:
        """What it is called in papers, such as ``ResNet-32``."""
        return type(self).__name__

    def plan(self, num_units: int) -> Chain:
        """All layers, the output layer the last."""
        return Chain((*self.body(), OverTime(), OverBins(), *self.head(), Conv(num_units, (1, 1), bias=True)))

    @property
    def clock(self) -> tuple[Reach, ...]:
        """What the layers before the mean do to the number of frames."""
        return Chain(self.body()).clock

    @property
    def frames_per_step(self) -> None:
        return None

    def output_lengths(self, frames: Any) -> Any:
        return one_step(frames, self.clock)

    def build(self, *, num_bins: int, num_units: int) -> nn.Cell:
        from dfcnn_ms.models.cells.image.network import ImageCell

        plan = self.plan(num_units)
        plan.after(Picture(1, _ANY, num_bins))
        return ImageCell(plan, self.clock, num_bins)

    def parameters(self, *, num_bins: int, num_units: int) -> int:
        return self.plan(num_units).parameters(Picture(1, _ANY, num_bins))

    def multiply_adds(self, frames: int, *, num_bins: int, num_units: int) -> int:
        """Multiplications of one forward pass of T frames; normalising, pooling and activations are not counted."""
        return self.plan(num_units).multiply_adds(Picture(1, frames, num_bins))

    def layers(self) -> Iterator[str]:
        yield self.title
        yield "mean over time and frequency"

    @property
    def cure_for_few_steps(self) -> str:
        return "use longer clips, or a network with fewer strides and pools"
