"""The networks as values: what a page says under ``model:``, and all that is known of a network before it runs.

``NETWORKS`` names them. None of them loads MindSpore; :meth:`~dfcnn_ms.models.network.Network.build` does, and makes
the Cell (in ``models/cells/``) that turns features (B, 1, T, F) into raw logits (B, U, V).
"""

from __future__ import annotations

from dfcnn_ms.models.conformer import Conformer
from dfcnn_ms.models.crnn import Crnn
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.dfcnn_lstm import DfcnnLstm
from dfcnn_ms.models.image import IMAGE_NETWORKS
from dfcnn_ms.models.network import Network
from dfcnn_ms.models.transformer import Transformer

#: kind -> value
NETWORKS: dict[str, type[Network]] = {
    "dfcnn": Dfcnn,
    "dfcnn_lstm": DfcnnLstm,
    "transformer": Transformer,
    "conformer": Conformer,
    "crnn": Crnn,
    **IMAGE_NETWORKS,
}

__all__ = ["NETWORKS", "Conformer", "Crnn", "Dfcnn", "DfcnnLstm", "Network", "Transformer"]
