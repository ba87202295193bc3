"""Sound that has no end yet, or one that is hours away: recognised piece by piece, in memory that does not grow.

    samples of any size ── Resampler, FeatureStream ──> frames ── Activity, Endpointer ──> where somebody speaks
                           sound.py     frames.py                 activity.py endpoints.py
    each such segment is an utterance, just as in training ── Stitched ──> log-probs ── decoder ──> StreamResult
                                                              windows.py                            results.py

:class:`StreamingRecognizer` (``recognizer.py``) is the whole chain; ``recordings.py`` feeds it with files.
"""

from dfcnn_ms.streaming.endpoints import Endpointing
from dfcnn_ms.streaming.recognizer import StreamingRecognizer
from dfcnn_ms.streaming.results import StreamResult, joined

__all__ = ["Endpointing", "StreamResult", "StreamingRecognizer", "joined"]
