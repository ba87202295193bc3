"""Syllables to characters: the most probable words over what the decoder believes was said.

    n-best list ── Lattice ──> arcs ── match ──> words over arcs ── search ──> Sentence
                lattice.py           search.py                    search.py    model.py

Two things say which words are probable: how they are read, `readings.py`, which makes `lexicon.py` of dictionaries, and
what follows what, `word_model.py`, which learns from texts. `arrays.py` has the form in which compiled code is given
both; `search.py` is that code, and the only one that imports numba. `nbest.py` goes on from the best sentence to the n
best; `checks.py` refuses a file that compiled code could not follow.
"""

from dfcnn_ms.decoding.hanzi.model import HanziModel, Sentence

__all__ = ["HanziModel", "Sentence"]
