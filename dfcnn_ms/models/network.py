"""What everything else knows about a network, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindspore import nn


@dataclass(frozen=True)
class Network(ABC):
    """A network as a frozen value: its ``model:`` section, its constructor and its ``repr`` are one thing.

    Output step u stands for the frames from ``first_frame + u * frames_per_step`` to ``first_frame + (u + 1) *
    frames_per_step``, whatever the length of the utterance and of its batch.
    """

    @property
    @abstractmethod
    def frames_per_step(self) -> int | None:
        """Frames from one output step to the next; None: the only step stands for the whole utterance."""

    @property
    def first_frame(self) -> float:
        """Where the first output step begins, in frames; below 0 where it looks ahead of the first frame."""
        return 0.0

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        """The first and the last frame that output step 0 can see; step u sees ``u * frames_per_step`` further on.

        None: a step may see all of the utterance, or nobody knows.
        """
        return None

    @property
    def has_decoder(self) -> bool:
        """Whether it also writes unit by unit; its Cell then gives pairs (:mod:`dfcnn_ms.models.cells.attending`)."""
        return False

    @abstractmethod
    def output_lengths(self, frames: Any) -> Any:
        """Output steps U for T frames: ints and NumPy arrays alike; below 1 means too short for one step."""

    @abstractmethod
    def build(self, *, num_bins: int, num_units: int) -> nn.Cell:
        """The Cell: features (B, 1, T, F) and lengths (B,) or None -> raw logits (B, U, V).

        It also has ``output_lengths``, as here but for tensors too, and ``output_layer``, the layer that writes the
        logits: it has a ``weight`` and a ``bias`` whose first axis is V.
        """

    def parameters(self, *, num_bins: int, num_units: int) -> int:
        """Trainable numbers of the network; 0 where it does not count them."""
        return 0

    def layers(self) -> Iterator[str]:
        """The network in words, layer by layer, for reports."""
        yield type(self).__name__

    @property
    def cure_for_few_steps(self) -> str:
        """What to do when labels are longer than what the network can write."""
        return "use a network with more output steps"

    def narrowed(self, width: int) -> Network:
        """The same network with at most ``width`` channels in each layer: the same operators, compiled sooner."""
        return self
