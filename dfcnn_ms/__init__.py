"""Mandarin speech to toned pinyin: deep fully convolutional networks with CTC on MindSpore.

Importing the package costs milliseconds; `Recognizer` and what it needs are loaded when first asked for.

Example:
    >>> from dfcnn_ms import Recognizer  # doctest: +SKIP
    >>> Recognizer.load("dfcnn.ckpt").transcribe("a.wav").text  # doctest: +SKIP
    'san1 wu3 ba1'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfcnn_ms.recognizer import Recognizer

__version__ = "0.1.0"
__all__ = ["Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Recognizer":
        from dfcnn_ms.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
