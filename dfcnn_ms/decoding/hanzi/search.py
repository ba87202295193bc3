"""The compiled part of syllables to characters: words over a lattice, and the best way through them.

An edge is a word over some arcs of the lattice. Edges are made in the order of the nodes where they begin, and those
that begin at one node are scored when all that end there are known. What precedes a word acts on it in two ways: by
its class, for which the best predecessor of each class is enough, and by itself, where the pair was seen in a text.
"""

from __future__ import annotations

import math

import numpy as np

from dfcnn_ms.compiled import compiled
from dfcnn_ms.decoding.hanzi.arrays import Arcs, ByClass, Edges, Language, Trie, Ways

# Those of lexicon.py, written again: kept machine code is renewed when this file changes, not when that one does.
TONE_BITS = 3
TONE_MASK = 7
NEUTRAL = 5
NOTHING = -math.inf


@compiled
def place_of(wanted: int, values: np.ndarray, low: int, end: int) -> int:
    """Where a value stands among rising ones from `low` to before `end`, or -1."""
    high = end
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and values[low] == wanted else -1


@compiled
def find_child(trie: Trie, node: int, base: int) -> int:
    """The node that a syllable leads to, or -1."""
    return place_of(base, trie.base, trie.first_child[node], trie.first_child[node + 1])


@compiled
def mismatch(said: int, mask: int, entry: int, habits: int, strict: float, lenient: float) -> tuple[int, float]:
    """How many tones of an entry differ from what was said, and what that costs; `habits` marks tones often changed."""
    count, cost = 0, 0.0
    said, entry = said & mask, entry & mask
    while said != entry:
        one, other = said & TONE_MASK, entry & TONE_MASK
        if one != other:
            count += 1
            cost += lenient if one == NEUTRAL or other == NEUTRAL or habits & 1 else strict
        said, entry, habits = said >> TONE_BITS, entry >> TONE_BITS, habits >> TONE_BITS
    return count, cost


@compiled
def add_words(
    edges: Edges,
    found: int,
    trie: Trie,
    node: int,
    span: tuple[int, int, int],
    tones: tuple[int, int, int],
    log_prob: float,
    costs: np.ndarray,
    allowed: int,
) -> int:
    """Adds the words at a node of the trie that differ in at most `allowed` tones; returns how many edges there are.

    Args:
        edges: where to, as far as there is room.
        found: how many there are.
        trie: the words.
        node: where the syllables lead.
        span: begin, end and last arc.
        tones: what was said, its mask, and which syllables change their tone by habit.
        log_prob: of the syllables.
        costs: (2,) natural log-probabilities of a wrong tone, and of one that is often written otherwise.
        allowed: wrong tones.
    """
    for entry in range(trie.first_entry[node], trie.first_entry[node + 1]):
        wrong, cost = mismatch(tones[0], tones[1], trie.tones[entry], tones[2], costs[0], costs[1])
        if wrong > allowed:
            continue
        if found < len(edges.begin):
            edges.begin[found], edges.end[found], edges.arc[found] = span
            edges.word[found] = trie.word[entry]
            edges.log_prob[found] = log_prob + trie.log_share[entry] + cost
        found += 1
    return found


@compiled
def match(arcs: Arcs, trie: Trie, unknown: int, changing: np.ndarray, costs: np.ndarray, edges: Edges) -> int:
    """Fills in the words over a lattice; returns how many there are, which may be more than there was room for.

    Args:
        arcs: the lattice.
        trie: the words.
        unknown: number of the unknown word.
        changing: (2,) the syllables whose tone changes with what follows, yi and bu.
        costs: (2,) see :func:`add_words`.
        edges: to be filled.
    """
    widest = 1
    for node in range(len(arcs.first) - 1):
        widest = max(widest, arcs.first[node + 1] - arcs.first[node])
    # What is left to be looked at: node of the trie, node of the lattice, syllables, tones said, their mask, habits.
    stack = np.zeros((17 * widest + 1, 6), np.int64)
    log_probs = np.zeros(len(stack))
    found = 0
    for begin in range(len(arcs.first) - 1):
        stack[0], log_probs[0] = 0, 0.0
        stack[0, 1] = begin
        top = 1
        while top:
            top -= 1
            node, here, depth, said, mask, habits = stack[top]
            so_far = log_probs[top]
            for arc in range(arcs.first[here], arcs.first[here + 1]):
                before, base, end = found, arcs.base[arc], np.int64(arcs.end[arc])
                log_prob = so_far + arcs.log_prob[arc]
                span = (begin, end, arc)
                child = find_child(trie, node, base) if base else -1
                if child >= 0:
                    shift = TONE_BITS * depth
                    changes = 1 if base == changing[0] or base == changing[1] else 0
                    tones = (
                        said | (arcs.tone[arc] << shift),
                        mask | ((TONE_MASK if arcs.tone[arc] else 0) << shift),
                        habits | (changes << shift),
                    )
                    # A longer word may have one wrong tone; one syllable only where nothing else is read so.
                    found = add_words(edges, found, trie, child, span, tones, log_prob, costs, 1 if depth else 0)
                    if depth == 0 and found == before:
                        found = add_words(edges, found, trie, child, span, tones, log_prob, costs, 1)
                    stack[top, 0], stack[top, 1], stack[top, 2] = child, end, depth + 1
                    stack[top, 3], stack[top, 4], stack[top, 5] = tones
                    log_probs[top] = log_prob
                    top += 1
                if depth == 0 and found == before:
                    if found < len(edges.begin):
                        edges.begin[found], edges.end[found], edges.arc[found] = span
                        edges.word[found], edges.log_prob[found] = unknown, log_prob
                    found += 1
    return found


@compiled
def follow(language: Language, before: int, word: int) -> float:
    """Natural log-probability of a word after a word."""
    place = place_of(word, language.pair_word, language.first_pair[before], language.first_pair[before + 1])
    if place >= 0:
        return language.pair_log_prob[place]
    classes = language.word_class
    return language.kept[before] + language.transition[classes[before], classes[word]] + language.emission[word]


@compiled
def gather(edges: Edges, language: Language, ways: Ways, node: int, classes: ByClass) -> int:
    """The best way to a node by the class of its last word; returns how many classes there are."""
    classes.score[:] = NOTHING
    count = 0
    if node == 0:
        start = len(language.word_class) - 1
        kind = language.word_class[start]
        classes.score[kind], classes.edge[kind] = language.kept[start], -1
        classes.present[0], count = kind, 1
    edge = ways.head[node]
    while edge >= 0:
        word = edges.word[edge]
        kind = language.word_class[word]
        score = ways.score[edge] + language.kept[word]
        if score > classes.score[kind]:
            if classes.score[kind] == NOTHING:
                classes.present[count] = kind
                count += 1
            classes.score[kind], classes.edge[kind] = score, edge
        edge = ways.link[edge]
    return count


@compiled
def step_by_class(
    edges: Edges, language: Language, ways: Ways, first: int, last: int, node: int, classes: ByClass, count: int
) -> float:
    """Scores the edges that begin at a node by the classes of what precedes; returns the least of `next_score`."""
    least = math.inf
    for edge in range(first, last):
        word = edges.word[edge]
        kind = language.word_class[word]
        if classes.node[kind] != node:
            classes.node[kind] = node
            classes.next_score[kind], classes.next_edge[kind] = NOTHING, -1
            for before in classes.present[:count]:
                score = classes.score[before] + language.transition[before, kind]
                if score > classes.next_score[kind]:
                    classes.next_score[kind], classes.next_edge[kind] = score, classes.edge[before]
            least = min(least, classes.next_score[kind])
        ways.score[edge] = classes.next_score[kind] + language.emission[word] + edges.log_prob[edge]
        ways.back[edge] = classes.next_edge[kind]
    return least


@compiled
def step_by_pair(
    edges: Edges, language: Language, ways: Ways, first: int, last: int, before: int, classes: ByClass, least: float
) -> None:
    """Improves the edges that begin at a node, where a pair with the edge `before` (-1: the beginning) was seen."""
    word = edges.word[before] if before >= 0 else len(language.word_class) - 1
    most = (ways.score[before] if before >= 0 else 0.0) + language.gain[word]
    if most <= least:  # no pair of this word beats the way by classes, whatever follows
        return
    for edge in range(first, last):
        following = edges.word[edge]
        if most > classes.next_score[language.word_class[following]]:
            score = most - language.gain[word] + follow(language, word, following) + edges.log_prob[edge]
            if score > ways.score[edge]:
                ways.score[edge], ways.back[edge] = score, before


@compiled
def search(edges: Edges, nodes: int, language: Language, ways: Ways) -> None:
    """The best way to every edge, exactly.

    Args:
        edges: the words over a lattice.
        nodes: of the lattice.
        language: what follows what.
        ways: filled; `head` holds -1 everywhere.
    """
    size = len(language.transition)
    classes = ByClass(
        np.zeros(size),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size),
        np.zeros(size, np.int64),
        np.full(size, -1),
    )
    first = 0
    for node in range(nodes):
        last = first
        while last < len(edges.begin) and edges.begin[last] == node:
            last += 1
        count = gather(edges, language, ways, node, classes)
        least = step_by_class(edges, language, ways, first, last, node, classes, count)
        if node == 0:
            step_by_pair(edges, language, ways, first, last, -1, classes, least)
        before = ways.head[node]
        while before >= 0:
            step_by_pair(edges, language, ways, first, last, before, classes, least)
            before = ways.link[before]
        for edge in range(first, last):
            ways.link[edge] = ways.head[edges.end[edge]]
            ways.head[edges.end[edge]] = edge
        first = last


@compiled
def steps(edges: Edges, language: Language, ways: Ways, edge: int) -> tuple[np.ndarray, np.ndarray]:
    """What may precede an edge (P,), -1 for the beginning, and the score of the step from each to the edge (P,)."""
    here, word = edges.log_prob[edge], edges.word[edge]
    if edges.begin[edge] == 0:
        return np.full(1, -1), np.full(1, here + follow(language, len(language.word_class) - 1, word))
    count = 0
    before = ways.head[edges.begin[edge]]
    while before >= 0:
        count, before = count + 1, ways.link[before]
    found, scores = np.zeros(count, np.int64), np.zeros(count)
    before = ways.head[edges.begin[edge]]
    for index in range(count):
        found[index] = before
        scores[index] = here + follow(language, edges.word[before], word)
        before = ways.link[before]
    return found, scores
