"""Random tables of layers, for properties that hold for every network of convolutions."""

from __future__ import annotations

from hypothesis import strategies as st

from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.table import Block


@st.composite
def networks(draw: st.DrawFn) -> Dfcnn:
    """Random tables with every padding, stride and pooling that fit together, and layers over steps."""
    pad_mode = draw(st.sampled_from(["pad", "same", "valid"]))
    strides = st.just(1) if pad_mode == "same" else st.integers(1, 3)
    blocks = tuple(
        Block(
            1,
            convs=draw(st.integers(1, 2)),
            pool=(draw(st.integers(1, 3)), 1),
            kernel=draw(st.sampled_from([1, 3, 5])),
            stride=(draw(strides), 1),
        )
        for _ in range(draw(st.integers(1, 3)))
    )
    padding = draw(st.integers(0, min(block.kernel for block in blocks) - 1)) if pad_mode == "pad" else 0
    context = tuple(draw(st.lists(st.sampled_from([1, 3, 5]), max_size=2)))
    return Dfcnn(blocks=blocks, hidden=(1,), context=context, pad_mode=pad_mode, padding=padding)
