"""The training engine: batches, losses, cells, schedules, callbacks, checkpoints. This room knows MindSpore."""

from __future__ import annotations

from dfcnn_ms.environment import prepare_for_mindspore

prepare_for_mindspore()
