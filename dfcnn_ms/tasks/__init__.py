"""Tasks: what a label is, which loss teaches it, what is measured, and how outputs are read.

``TASKS`` names them. A task is a frozen value, the ``task:`` section of a page; it loads MindSpore only to build the
cell that is trained.
"""

from __future__ import annotations

from dfcnn_ms.tasks.ace import Ace
from dfcnn_ms.tasks.attention import Attention
from dfcnn_ms.tasks.classify import Classify
from dfcnn_ms.tasks.ctc import Ctc
from dfcnn_ms.tasks.multi_label import MultiLabel
from dfcnn_ms.tasks.parts import Parts
from dfcnn_ms.tasks.task import Task

#: kind -> value
TASKS: dict[str, type[Task]] = {
    "ctc": Ctc,
    "classify": Classify,
    "ace": Ace,
    "attention": Attention,
    "multi_label": MultiLabel,
    "parts": Parts,
}

__all__ = ["TASKS", "Ace", "Attention", "Classify", "Ctc", "MultiLabel", "Parts", "Task"]
