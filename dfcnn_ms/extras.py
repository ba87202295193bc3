"""Packages that not every installation has: which extra brings each, said in one sentence where one is missing."""

from __future__ import annotations

#: top-level module -> the extra of this package that installs it
EXTRAS = {
    "mindspore": "train",
    "mindinsight": "train",
    "onnxruntime": "onnx",
    "espeakng_loader": "synth",
    "ai_edge_litert": "voices",
    "parselmouth": "voices",
    "fastapi": "serve",
    "uvicorn": "serve",
    "python_multipart": "serve",
    "websockets": "serve",
    "prometheus_client": "serve",
    "sounddevice": "mic",
    "ray": "ray",
}


def missing(error: ImportError) -> str:
    """What to install, for a module that is not there; nothing for one that should be, whose absence is a bug."""
    module = (error.name or "").split(".")[0]
    if not isinstance(error, ModuleNotFoundError) or module not in EXTRAS:
        return ""
    return f"this needs {module}, which is not installed here; pip install 'dfcnn-ms[{EXTRAS[module]}]'"
