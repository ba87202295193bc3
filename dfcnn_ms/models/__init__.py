"""The networks: features (B, 1, T, F) in, raw logits (B, U, V) out.

``MODELS`` names them without importing MindSpore; :func:`build` imports the one that is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from dfcnn_ms.environment import prepare_for_mindspore

if TYPE_CHECKING:
    from dfcnn_ms.config import DfcnnConfig
    from dfcnn_ms.models.dfcnn import Dfcnn

prepare_for_mindspore()

#: kind -> module and class
MODELS = {"dfcnn": ("dfcnn_ms.models.dfcnn", "Dfcnn")}


def build(config: DfcnnConfig, *, num_bins: int, num_units: int) -> Dfcnn:
    """Builds the network that ``config`` describes, for ``num_bins`` features and ``num_units`` outputs."""
    module, name = MODELS[config.kind]
    options = config.model_dump(exclude={"kind", "blocks"})
    network: Dfcnn = getattr(importlib.import_module(module), name)(
        num_units, num_bins, blocks=config.blocks, **options
    )
    return network
