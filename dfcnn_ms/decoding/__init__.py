"""From log-probabilities to units."""

from dfcnn_ms.decoding.greedy import Hypothesis, decode_greedy, decode_greedy_batch

__all__ = ["Hypothesis", "decode_greedy", "decode_greedy_batch"]
