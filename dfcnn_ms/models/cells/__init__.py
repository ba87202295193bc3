"""The networks themselves, as MindSpore Cells; only this part of ``models/`` imports MindSpore."""

from __future__ import annotations

from dfcnn_ms.environment import prepare_for_mindspore

prepare_for_mindspore()
