"""What the page is told about the network that it runs by itself, in ``model.json`` and in the graph.

Whatever Python computes with and the page has to compute with as well, it gets from here as numbers: so it cannot
disagree.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from dfcnn_ms.audio.features import Features
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import protobuf
from dfcnn_ms.runtime.bundle import FEATURES, FRAMES, Bundle
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.streaming import activity, endpoints
from dfcnn_ms.streaming.endpoints import Endpointing
from dfcnn_ms.streaming.frames import BLOCK_FRAMES
from dfcnn_ms.streaming.hearing import usual_confidence

#: outputs of a task that the page can read
READ = ("ctc", "classes")
#: of so many syllables in a segment, and of more, the page knows how sure they must be
MOST_SYLLABLES = 100
#: numbers of the fields of a graph, and of a value's name in it
_OUTPUT, _VALUE_INFO, _NAME = 12, 13, 1


def described(bundle: Bundle, meta: Meta, name: str) -> dict[str, Any]:
    """What the page has to know about a network: its units, its clock, and what its confidences need."""
    kind, network = meta.config.features, meta.config.model
    return {
        "name": name,
        "outputs": meta.config.task.outputs,
        "symbols": list(meta.vocabulary.symbols),
        "hop_seconds": kind.hop_ms / 1000,
        "window_seconds": kind.window_ms / 1000,
        "frames_per_step": network.frames_per_step,
        "first_frame": network.first_frame,
        "temperature": meta.decoding.get("temperature", 1.0),
        "licence": bundle.metadata.get("license", ""),
        "activity": activity_of(kind),
        "endpointing": endpointing_of(meta),
    }


def activity_of(kind: Features) -> dict[str, Any]:
    """All that :class:`Activity` computes with, for frames that keep step with those of the network."""
    told = activity.Activity(kind)
    bands = told.bands
    used = [(int(column.nonzero()[0][0]), column[column > 0].tolist()) for column in bands.filters.T]
    return {
        "window": bands._window.tolist(),
        "hop": bands.hop_samples,
        "n_fft": bands.n_fft,
        "bands": used,
        "floor": bands.floor,
        "block": BLOCK_FRAMES,
        "smoothed": activity.SMOOTHED,
        "memory_blocks": told.memory_blocks,
        "quiet_blocks": told.quiet_blocks,
        "quietest": told.quietest,
        "bias_db": activity.BIAS_DB,
        "most_db": activity.MOST_DB,
    }


def endpointing_of(meta: Meta) -> dict[str, Any]:
    """The usual :class:`Endpointing` of a network; its lengths in frames, and how sure so many syllables must be."""
    usual, hop_seconds = Endpointing(), meta.config.features.hop_ms / 1000
    least, told = usual.least_confidence, cast(Recognizer, SimpleNamespace(meta=meta))
    pause = max(1, round(usual.pause / hop_seconds))
    return {
        "pause": pause,
        "longest": round(usual.longest / hop_seconds),
        "before": round(usual.before / hop_seconds),
        "after": min(round(usual.after / hop_seconds), pause),
        "onset": max(1, round(usual.onset / hop_seconds)),
        "weak": max(1, round(endpoints.WEAK_SECONDS / hop_seconds)),
        "cut_after": endpoints.CUT_AFTER,
        "threshold_db": usual.threshold_db,
        "least_confidences": [
            usual_confidence(told, count) if least is None else least for count in range(1, MOST_SYLLABLES + 1)
        ],
    }


def showing_features(bundle: Bundle) -> Bundle:
    """The same network, which also gives the features that it hears, and their frames: times need them."""
    wanted = (FEATURES.encode(), FRAMES.encode())
    between = [value for number, value in protobuf.fields(bundle.graph) if number == _VALUE_INFO]
    shown = [one for one in between if isinstance(one, bytes) and dict(protobuf.fields(one))[_NAME] in wanted]
    return replace(bundle, graph=bundle.graph + b"".join(protobuf.raw(_OUTPUT, one) for one in shown))
