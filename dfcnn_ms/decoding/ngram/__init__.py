"""N-gram language models over any tokens: estimated, stored, pruned, and asked for each unit inside a beam.

    text ── Text ──> token ids ── count ──> n-grams ── estimate ──> probabilities ── assemble ──> NgramModel
            text.py             counts.py              kneser_ney.py                assembly.py   model.py

`trie.py` says what a model is in memory; `formats.py`, `arpa.py` and `compact.py` read and write, and `checks.py`
refuses what was read but cannot be; `pruning.py` forgets what matters least; `kernels.py` is the compiled part, and the
only one that imports numba.
"""

from dfcnn_ms.decoding.ngram.model import NgramModel, TextScore, train
from dfcnn_ms.decoding.ngram.trie import LanguageScorer

__all__ = ["LanguageScorer", "NgramModel", "TextScore", "train"]
