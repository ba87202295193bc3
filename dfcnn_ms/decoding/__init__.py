"""From log-probabilities to units.

A decoder is a value that can be called, `decoder(log_probs (B, U, V), lengths (B,))`, and gives an n-best list for each
utterance. Importing this package does not load numba; calling a beam search does.

>>> [type(make()).__name__ for make in DECODERS.values()]
['Greedy', 'BeamSearch']
"""

from collections.abc import Callable

from dfcnn_ms.decoding.beam import BeamSearch
from dfcnn_ms.decoding.greedy import Greedy, decode_greedy, decode_greedy_batch
from dfcnn_ms.decoding.hotwords import Hotwords
from dfcnn_ms.decoding.hypothesis import Decoder, Hypothesis

#: Each is a component: what it is made with are its options.
DECODERS: dict[str, Callable[..., Decoder]] = {"greedy": Greedy, "beam": BeamSearch}

__all__ = [
    "DECODERS",
    "BeamSearch",
    "Decoder",
    "Greedy",
    "Hotwords",
    "Hypothesis",
    "decode_greedy",
    "decode_greedy_batch",
]
