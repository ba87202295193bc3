"""What runs a stored network: a file -> acoustics, and what the file knows about itself.

``LOADERS`` names the kinds of file. Nothing after the acoustics knows which it was, and only ``acoustic``,
``checkpoint`` and ``device`` import MindSpore.
"""

from __future__ import annotations

from dfcnn_ms.environment import prepare_for_mindspore
from dfcnn_ms.runtime.loaded import Acoustics, Loaded
from dfcnn_ms.runtime.loaders import LOADERS, Loader

__all__ = ["LOADERS", "Acoustics", "Loaded", "Loader"]

prepare_for_mindspore()
