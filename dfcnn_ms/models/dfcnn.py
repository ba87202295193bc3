"""DFCNN as a value: one table drives the network, the arithmetic of its lengths and the clock of its steps."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.network import Network
from dfcnn_ms.models.table import (
    OVER_TIME,
    REFERENCE,
    Block,
    bins_before,
    check_folds,
    check_padding,
    convolved,
    receptive_field,
    steps_of,
)

if TYPE_CHECKING:
    from mindspore import nn

TIMES, SPACE = "\N{MULTIPLICATION SIGN}", "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Dfcnn(Network):
    """A deep fully convolutional network: blocks of convolutions, batch norm, dense layers per output step.

    Attributes:
        blocks: the table of blocks; the default is the reference geometry.
        hidden: widths of the dense layers before the output layer.
        context: after the dense layers, as many layers over time, each a convolution over so many steps (odd), added
            to what it reads. They begin at zero, so that ``--init`` puts them on top of a trained network.
        dropout: probability between the dense layers.
        block_dropout: probability after each block.
        pad_mode: ``pad``, ``same`` or ``valid``, for every convolution.
        padding: frames and bins added on each side; only with ``pad``.
        over_time: ``steps`` keeps an output for each step; ``mean`` gives one for the whole utterance, by the mean of
            what the blocks say about its steps.

    Example:
        >>> network = Dfcnn()
        >>> network.output_lengths(1600), network.frames_per_step, network.first_frame
        (200, 8, 0.0)
        >>> Dfcnn(over_time="mean").output_lengths(1600)
        1
    """

    blocks: tuple[Block, ...] = REFERENCE
    hidden: tuple[int, ...] = (4096, 4096)
    context: tuple[int, ...] = ()
    dropout: float = 0.2
    block_dropout: float = 0.0
    pad_mode: str = "pad"
    padding: int = 1
    over_time: str = "steps"

    def __post_init__(self) -> None:
        for name, share in (("dropout", self.dropout), ("block_dropout", self.block_dropout)):
            if not 0 <= share < 1:
                raise ConfigError(f"{name}: got {share}, wanted at least 0 and less than 1")
        if any(width < 1 for width in self.hidden):
            raise ConfigError(f"hidden: got {list(self.hidden)}, wanted widths of at least 1")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.context):
            raise ConfigError(f"context: got {list(self.context)}, wanted odd numbers of steps, such as 5")
        if self.context and (not self.hidden or self.over_time != "steps"):
            raise ConfigError("context: it reads the last dense layer, step by step; give hidden and over_time: steps")
        if self.over_time not in OVER_TIME:
            raise ConfigError(f"over_time: got {self.over_time!r}, wanted one of {', '.join(OVER_TIME)}")
        check_padding(self.pad_mode, self.padding, self.blocks)
        check_folds(self.blocks)

    @property
    def frames_per_step(self) -> int | None:
        return self._clock()[1] if self.over_time == "steps" else None

    @property
    def first_frame(self) -> float:
        middle, frames = self._clock()
        return middle + 0.5 - frames / 2 if self.over_time == "steps" else 0.0

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        if self.over_time != "steps":
            return None
        first, last = receptive_field(self.blocks, self.pad_mode, self.padding)
        around = sum(kernel // 2 for kernel in self.context) * self._clock()[1]
        return first - around, last + around

    def _clock(self) -> tuple[float, int]:
        """The frame in the middle of all that the first step sees, and the frames from step to step."""
        middle, frames = 0.0, 1
        for block in self.blocks:
            beside = {"pad": self.padding, "same": block.kernel // 2, "valid": 0}[self.pad_mode]
            for index in range(block.convs):
                middle += ((block.kernel - 1) / 2 - beside) * frames
                frames *= block.stride[0] if index == 0 else 1
            middle += (block.pool[0] - 1) / 2 * frames
            frames *= block.pool[0]
        return middle, frames

    def output_lengths(self, frames: Any) -> Any:
        return steps_of(frames, self.blocks, self.pad_mode, self.padding, self.over_time)

    def bins(self, num_bins: int) -> tuple[int, ...]:
        """Frequency bins that each block reads, and those left for the dense layers.

        Raises:
            ConfigError: there are none left.
        """
        bins = tuple(bins_before(num_bins, self.blocks, self.pad_mode, self.padding))
        if bins[-1] < 1:
            raise ConfigError(
                f"model.blocks: {num_bins} feature bins shrink to {bins[-1]}; pool less over frequency or use more bins"
            )
        return bins

    def output_bins(self, num_bins: int) -> int:
        """Frequency bins left for the dense layers."""
        return self.bins(num_bins)[-1]

    def build(self, *, num_bins: int, num_units: int) -> nn.Cell:
        from dfcnn_ms.models.cells.dfcnn import DfcnnCell

        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return DfcnnCell(num_units, self.bins(num_bins), **fields)

    def layers(self) -> Iterator[str]:
        """Each block of the table in a few words, then the dense layers."""
        for block in self.blocks:
            size = TIMES.join(map(str, block.window)) + (" over time" if block.fold else "")
            shrinks = {"stride": block.stride, "pool": block.pool}
            extras = [f"{how} {by[0]}{TIMES}{by[1]}" for how, by in shrinks.items() if tuple(by) != (1, 1)]
            convs = f"{block.convs}{SPACE}{TIMES}{SPACE}" if block.convs > 1 else ""
            yield f"{convs}{block.channels} ({', '.join([size, *extras])})"
        if self.over_time == "mean":
            yield "mean over time"
        if self.hidden:
            yield "dense " + ", ".join(map(str, self.hidden))
        if self.context:
            yield "added over steps " + ", ".join(map(str, self.context))

    @property
    def cure_for_few_steps(self) -> str:
        return "pool less over time in model.blocks"

    def narrowed(self, width: int) -> Dfcnn:
        blocks = tuple(replace(block, channels=min(block.channels, width)) for block in self.blocks)
        return replace(self, blocks=blocks, hidden=tuple(min(one, width) for one in self.hidden))

    def parameters(self, *, num_bins: int, num_units: int) -> int:
        """Trainable numbers of the network."""
        widths = [1, *(block.channels for block in self.blocks)]
        count = 2 * widths[-1]  # the batch norm before the dense layers
        *before, left = self.bins(num_bins)
        for channels, bins, block in zip(widths, before, self.blocks, strict=False):
            inputs = [block.channels_in(channels, bins), *[block.channels] * (block.convs - 1)]
            count += sum(math.prod(block.window) * one * block.channels + 2 * block.channels for one in inputs)
        dense = [widths[-1] * left, *self.hidden, num_units]
        count += sum((one + 1) * other for one, other in itertools.pairwise(dense))
        return count + sum((kernel * dense[-2] + 2) * dense[-2] for kernel in self.context)

    def multiply_adds(self, frames: int, *, num_bins: int, num_units: int) -> int:
        """Multiplications of one forward pass of T frames; normalising, pooling and activations are not counted."""
        count, inputs, sides = 0, 1, [frames, num_bins]
        for block in self.blocks:
            inputs, sides[1] = block.channels_in(inputs, sides[1]), 1 if block.fold else sides[1]
            for index in range(block.convs):
                for axis in (0,) if block.fold else (0, 1):
                    stride = block.stride[axis] if index == 0 else 1
                    sides[axis] = convolved(sides[axis], block.kernel, stride, self.pad_mode, self.padding)
                count += math.prod(sides) * math.prod(block.window) * inputs * block.channels
                inputs = block.channels
            sides = [side // pool for side, pool in zip(sides, block.pool, strict=True)]
        dense = [inputs * sides[1], *self.hidden, num_units]
        steps = sides[0] if self.over_time == "steps" else 1
        per_step = sum(one * other for one, other in itertools.pairwise(dense)) + sum(self.context) * dense[-2] ** 2
        return count + steps * per_step
