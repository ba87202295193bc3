"""The networks as values: what a page says under ``model:``, and all that is known of a network before it runs.

``NETWORKS`` names them. None of them loads MindSpore; :meth:`~dfcnn_ms.models.network.Network.build` does, and makes
the Cell (in ``models/cells/``) that turns features (B, 1, T, F) into raw logits (B, U, V).
"""

from __future__ import annotations

from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.network import Network

#: kind -> value
NETWORKS: dict[str, type[Network]] = {"dfcnn": Dfcnn}

__all__ = ["NETWORKS", "Dfcnn", "Network"]
