"""Decoders of networks that write parts of syllables, without language model: every model here counts syllables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dfcnn_ms.decoding.beam import BeamSearch
from dfcnn_ms.decoding.greedy import Greedy


@dataclass(frozen=True)
class PartsGreedy(Greedy):
    """As :class:`~dfcnn_ms.decoding.greedy.Greedy`; the ids are those of parts, which the vocabulary joins."""

    reads: ClassVar[str] = "parts"


@dataclass(frozen=True)
class PartsBeam(BeamSearch):
    """As :class:`~dfcnn_ms.decoding.beam.BeamSearch` over texts of parts; two of them may spell the same syllables."""

    reads: ClassVar[str] = "parts"
    hears: ClassVar[frozenset[str]] = frozenset({"beam", "nbest"})
