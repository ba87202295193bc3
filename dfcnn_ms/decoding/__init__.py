"""From log-probabilities to units.

A decoder is a value that can be called, `decoder(log_probs (B, U, V), lengths (B,))`, and gives an n-best list for each
utterance. Importing this package does not load numba; calling a beam search does.

>>> [type(make()).__name__ for make in DECODERS.values()]
['Greedy', 'BeamSearch', 'Ranking', 'AceGreedy', 'AttentionBeam', 'Rescoring', 'Presence', 'PartsGreedy', 'PartsBeam']
"""

from dfcnn_ms.decoding.ace import AceGreedy
from dfcnn_ms.decoding.attention import AttentionBeam, Rescoring
from dfcnn_ms.decoding.beam import BeamSearch
from dfcnn_ms.decoding.greedy import Greedy, decode_greedy, decode_greedy_batch
from dfcnn_ms.decoding.hotwords import Hotwords
from dfcnn_ms.decoding.hypothesis import BaseDecoder, Decoder, Hypothesis
from dfcnn_ms.decoding.language import LanguageModel
from dfcnn_ms.decoding.parts import PartsBeam, PartsGreedy
from dfcnn_ms.decoding.presence import Presence
from dfcnn_ms.decoding.ranking import Ranking

#: Each is a component: what it is made with are its options; `chosen` makes it from the flags of a command.
DECODERS: dict[str, type[BaseDecoder]] = {
    "greedy": Greedy,
    "beam": BeamSearch,
    "classes": Ranking,
    "ace": AceGreedy,
    "attention": AttentionBeam,
    "rescoring": Rescoring,
    "labels": Presence,
    "parts": PartsGreedy,
    "parts_beam": PartsBeam,
}

__all__ = [
    "DECODERS",
    "AceGreedy",
    "AttentionBeam",
    "BaseDecoder",
    "BeamSearch",
    "Decoder",
    "Greedy",
    "Hotwords",
    "Hypothesis",
    "LanguageModel",
    "PartsBeam",
    "PartsGreedy",
    "Presence",
    "Ranking",
    "Rescoring",
    "decode_greedy",
    "decode_greedy_batch",
]
