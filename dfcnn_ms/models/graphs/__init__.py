"""The networks as parts of an ONNX graph, from their weights; ``GRAPHS`` has a row for each that can be exported.

They are free of MindSpore: `cells/` beside them holds the same networks as they are trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dfcnn_ms.exporting.layers import Layers
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.models.graphs.attending import conformer, transformer
from dfcnn_ms.models.graphs.dfcnn import dfcnn
from dfcnn_ms.models.graphs.dfcnn_lstm import crnn, dfcnn_lstm
from dfcnn_ms.models.graphs.image import image_network
from dfcnn_ms.models.image import IMAGE_NETWORKS

#: (layers, network, bins of a frame, weights by the names of the Cell, features (B, 1, T, F), lengths (B,)) -> name of
#: the raw logits (B, U, V)
Builder = Callable[[Layers, Any, int, Mapping[str, np.ndarray], str, Lengths], str]

#: kind, as in NETWORKS -> what writes it into a graph
GRAPHS: dict[str, Builder] = {
    "dfcnn": dfcnn,
    "dfcnn_lstm": dfcnn_lstm,
    "transformer": transformer,
    "conformer": conformer,
    "crnn": crnn,
    **dict.fromkeys(IMAGE_NETWORKS, image_network),
}

__all__ = ["GRAPHS", "Builder"]
