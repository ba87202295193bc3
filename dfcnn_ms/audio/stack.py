"""Several features side by side: each frame of the whole is the same moment seen in different ways.

>>> both = Stack((LogMel(n_mels=40), LogMel(n_mels=40, window_ms=50, n_fft=1024)))
>>> both(np.zeros(16_000, dtype=np.float32)).shape
(96, 80)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dfcnn_ms.audio.clip_mel import ClipMel
from dfcnn_ms.audio.features import FEATURES, Features
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.components import component
from dfcnn_ms.errors import ConfigError

MOST_PARTS = 16


@dataclass(frozen=True)
class Stack(Features):
    """The bins of each part, one part after the other: (N,) -> (T, F), F the sum of theirs.

    The window is the longest of theirs, and the others look at the middle of it.

    Args:
        parts: Features of the same rate and hop.
    """

    sample_rate: int = field(init=False, repr=False)
    window_ms: float = field(init=False, repr=False)
    hop_ms: float = field(init=False, repr=False)
    parts: tuple[component(FEATURES), ...] = ()  # type: ignore[valid-type]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        self._check_parts()
        object.__setattr__(self, "sample_rate", self.parts[0].sample_rate)
        object.__setattr__(self, "window_ms", max(part.window_ms for part in self.parts))
        object.__setattr__(self, "hop_ms", self.parts[0].hop_ms)
        super().__post_init__()

    def _check_parts(self) -> None:
        if not self.parts:
            raise ConfigError("features: a stack has no parts; give some, such as parts: [{kind: log_mel}]")
        if len(self.parts) > MOST_PARTS:
            raise ConfigError(f"features: a stack has {len(self.parts)} parts; give at most {MOST_PARTS}")
        if any(isinstance(part, ClipMel) for part in self.parts):
            raise ConfigError("features: clip_mel has frames of its own and cannot be in a stack; give log_mel")
        if any(isinstance(part, Stack) for part in self.parts):
            raise ConfigError("features: a stack stands in a stack; give its parts to the outer one")
        if any(part.preprocess for part in self.parts):
            raise ConfigError("features: preprocess stands in a part of a stack; give it to the stack itself")
        clocks = sorted({(part.sample_rate, part.hop_ms) for part in self.parts})
        if len(clocks) > 1:
            got = " and ".join(f"{hop:g} ms at {rate} Hz" for rate, hop in clocks)
            raise ConfigError(f"features: the parts of a stack have hops of {got}; give all the same")

    @property
    def num_bins(self) -> int:
        """F, the width of a frame."""
        return sum(part.num_bins for part in self.parts)

    @property
    def context_frames(self) -> int:
        """The most of any part."""
        return max(part.context_frames for part in self.parts)

    def weights(self, features: Array) -> Array | None:
        """Those of each part, and 1 where it has none."""
        told = [part.weights(features[:, bins]) for part, bins in self._places()]
        if all(one is None for one in told):
            return None
        weights = np.ones_like(features)
        for one, (_, bins) in zip(told, self._places(), strict=True):
            if one is not None:
                weights[:, bins] = one
        return weights

    def _places(self) -> Iterator[tuple[Features, slice]]:
        """Each part, and where its bins are."""
        first = 0
        for part in self.parts:
            yield part, slice(first, first + part.num_bins)
            first += part.num_bins

    def _framed(self, wave: Array) -> Array:
        features = np.empty((self.num_frames(len(wave)), self.num_bins), np.float32)
        for part, bins in self._places():
            middle = wave[(self.window_samples - part.window_samples) // 2 :]
            features[:, bins] = part(middle)[: len(features)]
        return features
