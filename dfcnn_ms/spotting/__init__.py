"""Keywords in sound that has no end: a classifier of clips listens to one window after the other.

The chain, all of it causal: frames as they come (``streaming.frames``), a window of them every hop, the classifier, the
mean of the last windows, and a word where that exceeds a threshold, once for each time it is said (``spotter.py``).
``streams.py`` reads streams in which it is known which word is said when; ``curve.py`` counts misses and false alarms.
"""

from dfcnn_ms.spotting.spotter import Detection, Spotter, Spotting

__all__ = ["Detection", "Spotter", "Spotting"]
