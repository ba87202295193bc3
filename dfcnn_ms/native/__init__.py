"""Compiled code that is installed with MindSpore anyway, called without a compiler. Nothing here imports MindSpore."""

from __future__ import annotations

from dfcnn_ms.native import onednn, springboard


def obstacle() -> str:
    """Why MindSpore's operators must do where this room has faster code; empty if nothing is in the way."""
    return onednn.obstacle() or springboard.obstacle()
