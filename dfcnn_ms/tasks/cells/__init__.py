"""What tasks need of MindSpore: losses, and the cell that joins a network with its loss."""

from __future__ import annotations

from dfcnn_ms.environment import prepare_for_mindspore

prepare_for_mindspore()
