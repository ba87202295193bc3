"""What the conversion into characters is given: plain arrays, which compiled code can read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Trie(NamedTuple):
    """Readings without tones as a tree, and the words at its nodes.

    Attributes:
        first_child: (M + 1,) the children of node m are the nodes from here to the next entry.
        base: (M,) the syllable that leads to a node.
        first_entry: (M + 1,) the entries of node m, likewise.
        word: (E,) of each entry.
        log_share: (E,) natural.
        tones: (E,) packed.
    """

    first_child: np.ndarray
    base: np.ndarray
    first_entry: np.ndarray
    word: np.ndarray
    log_share: np.ndarray
    tones: np.ndarray


class Arcs(NamedTuple):
    """A lattice.

    Attributes:
        first: (N + 1,) the arcs that begin at node n are those from here to the next entry.
        end: (A,) node.
        base: (A,) see :class:`dfcnn_ms.decoding.hanzi.lattice.Lattice`.
        tone: (A,)
        log_prob: (A,)
    """

    first: np.ndarray
    end: np.ndarray
    base: np.ndarray
    tone: np.ndarray
    log_prob: np.ndarray


class Edges(NamedTuple):
    """Words over a lattice, sorted by where they begin.

    Attributes:
        begin: (X,) node.
        end: (X,) node.
        word: (X,) the last number, that of no word, stands for a syllable that none is read as.
        log_prob: (X,) of the syllables, and of reading the word so.
        arc: (X,) the last arc.
    """

    begin: np.ndarray
    end: np.ndarray
    word: np.ndarray
    log_prob: np.ndarray
    arc: np.ndarray


class Language(NamedTuple):
    """What follows what; W words, then the unknown word, then the beginning of a sentence.

    Attributes:
        word_class: (W + 2,)
        emission: (W + 2,) natural log-probability of a word in its class.
        transition: (C, C) natural log-probability of a class after a class; the last two are beginning and end.
        kept: (W + 2,) natural log-probability that what follows a word is chosen by its class.
        first_pair: (W + 3,) the pairs that begin with word w are those from here to the next entry.
        pair_word: (P,) their second word, sorted.
        pair_log_prob: (P,) natural log-probability of the second after the first.
        gain: (W + 2,) the most that a pair adds, beyond the emission of its second word.
    """

    word_class: np.ndarray
    emission: np.ndarray
    transition: np.ndarray
    kept: np.ndarray
    first_pair: np.ndarray
    pair_word: np.ndarray
    pair_log_prob: np.ndarray
    gain: np.ndarray


class Ways(NamedTuple):
    """The best way to each edge, and which edges end where.

    Attributes:
        score: (X,) natural log-probability of the best way that ends with an edge.
        back: (X,) the edge before it on that way, or -1.
        head: (N,) the last edge that ends at a node, or -1.
        link: (X,) the edge before it that ends at the same node, or -1.
    """

    score: np.ndarray
    back: np.ndarray
    head: np.ndarray
    link: np.ndarray


class ByClass(NamedTuple):
    """The best edge of each class, where one word ends and the next begins; C classes.

    Attributes:
        score: (C,) of the best way that ends here with a word of a class.
        edge: (C,) its last edge.
        present: (C,) the classes that there are, as many as the search says.
        next_score: (C,) of the best way for a word of a class that begins here, without the word.
        next_edge: (C,) its last edge.
        node: (C,) for which node the two were computed.
    """

    score: np.ndarray
    edge: np.ndarray
    present: np.ndarray
    next_score: np.ndarray
    next_edge: np.ndarray
    node: np.ndarray
