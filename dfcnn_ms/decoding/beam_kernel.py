"""The prefix beam search itself, in machine code; :mod:`dfcnn_ms.decoding.beam` is its front.

A prefix is a node of a trie: the units of its parent and one more. The beam holds the best prefixes of a step, each
with the probability of all its paths that end in a blank, and of all that end in its last unit: only the former may
say the same unit again. At each step a prefix stays what it is (a blank, or its last unit goes on) or grows by one
unit; growing into a prefix that is in the beam already adds to it.

A hotword that is only begun would need its boost to stay in the beam, and a boost that may come to nothing must not
push others out. So beginnings of hotwords have places of their own, beside those of the beam, and compete for them with
the boost that they would have so far; everywhere else, a boost counts when its phrase has been said.

Probabilities are plain numbers, not logarithms, relative to the best prefix of the step before; the logarithm of what
was divided out is kept beside them. A prefix that falls e^-700 below the best one is lost. Language model, length bonus
and hotwords multiply all paths of a prefix alike, so they are part of its probability; the logarithm of that part is
the prior of its node.

Importing this module imports numba.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dfcnn_ms.compiled import compiled
from dfcnn_ms.decoding import language_calls
from dfcnn_ms.decoding.language_calls import advance, finish
from dfcnn_ms.decoding.ngram import kernels
from dfcnn_ms.text.vocabulary import BLANK_ID

Array = NDArray[Any]
part = njit(nogil=True)
within = njit(nogil=True, inline="always")
NONE = -1
ACOUSTIC, LANGUAGE, WHOLE = 0, 1, 2  # columns of scores
MAIN, BEGUN, FREE = 0, 1, 2  # entries of sizes
STEPS, COUNT, MADE = 0, 1, 2  # entries of reached
SHARE = 20  # for so many places in the beam, one more for a begun hotword
SUMMED = 5  # how many of the best texts, at least, are scored over all their paths
SMALL = 1e-20  # what remains of all paths is then made one again
BLOCK = 64  # units that are looked at together
_STIR, _HIGH = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)  # spread the bits of a hash

NODE = np.dtype(
    [
        ("parent", np.int32),
        ("unit", np.int32),
        ("slot", np.int32),  # its place in the beam, if the entry there is of this node
        ("hotwords", np.int32),  # state of the hotwords
        ("language", np.int64),  # state of the language model
        ("language_log_prob", np.float64),
        ("prior", np.float64),
        ("growth", np.float64),  # e to its prior less that of its parent
    ],
    align=True,
)
ENTRY = np.dtype(
    [
        ("node", np.int32),
        ("unit", np.int32),
        ("child", np.int32),  # slot of a prefix that is one unit longer, or NONE
        ("sibling", np.int32),  # slot of another child of its parent, or NONE
        ("blank", np.float64),  # probability of the paths that end in a blank
        ("spoken", np.float64),  # and of those that end in `unit`
        ("blank_next", np.float64),  # the same after the next step
        ("spoken_next", np.float64),
    ],
    align=True,
)
TOKEN = np.dtype(
    [
        ("unit", np.int32),
        ("hotwords", np.int32),  # state after it from the first state, and what growing by it then adds to the prior
        ("prior", np.float64),
        ("growth", np.float64),
        ("bound", np.float64),  # what growing by it multiplies a prefix by from there, with what it is lent then
    ],
    align=True,
)
CANDIDATE = np.dtype(
    [
        ("node", np.int32),  # NONE: has yet to be found or made
        ("parent", np.int32),
        ("unit", np.int32),
        ("hotwords", np.int32),
        ("language", np.int64),
        ("language_log_prob", np.float64),
        ("prior", np.float64),
        ("growth", np.float64),
        ("blank", np.float64),
        ("spoken", np.float64),
    ],
    align=True,
)


class Options(NamedTuple):
    """What a search is asked for; see :class:`dfcnn_ms.decoding.beam.BeamSearch`."""

    beam: int
    nbest: int
    min_log_prob: float
    lm_weight: float
    length_bonus: float


class Workspace(NamedTuple):
    """The memory of one search, with K places in the beam and E for beginnings of hotwords.

    Attributes:
        nodes: the trie of prefixes (NODE); number 0 is the empty one.
        table: the hash table of the nodes by parent and unit; 0 is a free place.
        entries: the beam (K + E of ENTRY).
        found: candidates for the next beam (K + E + 1 of CANDIDATE), one of them free to be written.
        whole, lent: their probability, and the same with what is lent to begun hotwords (K + E + 1).
        heap, begun: numbers of the chosen candidates (K and E), the one with the lowest `whole`, `lent` on top.
        sizes: how many of `heap` and of `begun` are taken, and the number of the free candidate (3,).
        tokens: the units of a step that are probable enough, without the blank (TOKEN).
        present: the probability of each unit (V,) at this step; 0 for those that are not probable enough.
        taken: the last turn (V,) at which an entry was seen to grow by each unit otherwise than from the first state.
        edges: those of the hotwords that lead an entry on at this step; at most one for each unit (V,).
        reached: steps that the search has gone through, entries of the beam, and nodes that were made (3,).
        offset: the logarithm of what was divided out of the probabilities of the beam (1,).
    """

    nodes: Array
    table: Array
    entries: Array
    found: Array
    whole: Array
    lent: Array
    heap: Array
    begun: Array
    sizes: Array
    tokens: Array
    present: Array
    taken: Array
    edges: Array
    reached: Array
    offset: Array


@within
def _place(parent: int, unit: int, last: int) -> Any:
    """Where a node is looked for first, in a hash table whose last place is this."""
    return np.int64((np.uint64(parent) * _STIR + np.uint64(unit)) * _STIR >> _HIGH) & last


def workspace(steps: int, units: int, beam: int, trie: Any, start: int) -> Workspace:
    """Workspace for a search through so many steps at most, its beam holding the empty prefix alone.

    Args:
        steps: see above.
        units: V.
        beam: places in the beam.
        trie: of the hotwords.
        start: first state of the language model.
    """
    begun = 0 if len(trie.units) == 0 else 1 + beam // SHARE
    nodes, table = _room(steps, beam + begun)
    work = Workspace(
        nodes,
        table,
        np.empty(beam + begun, ENTRY),
        np.empty(beam + begun + 1, CANDIDATE),
        np.zeros(beam + begun + 1),
        np.zeros(beam + begun + 1),
        np.zeros(beam, np.int64),
        np.zeros(begun, np.int64),
        np.zeros(3, np.int64),
        np.empty(units, TOKEN),
        np.zeros(units),
        np.zeros(units, np.int64),
        np.zeros(units, np.int32),
        np.array([0, 1, 1]),
        np.zeros(1),
    )
    work.nodes[0] = (NONE, BLANK_ID, 0, 0, start, 0.0, 0.0, 1.0)
    work.entries[0] = (0, BLANK_ID, NONE, NONE, 1.0, 0.0, 0.0, 0.0)
    return work


def with_room(work: Workspace, steps: int) -> Workspace:
    """The same search, with memory for so many steps."""
    nodes, table = _room(steps, len(work.entries))
    made = int(work.reached[MADE])
    nodes[:made] = work.nodes[:made]
    _enter_nodes(nodes, made, table)
    return work._replace(nodes=nodes, table=table)


def _room(steps: int, entries: int) -> tuple[Array, Array]:
    """Memory for the nodes of so many steps, and for a hash table of them that always has free places."""
    most = 1 + steps * entries
    return np.empty(most, NODE), np.zeros(1 << (2 * most - 1).bit_length(), np.int32)


@compiled
def _enter_nodes(nodes: Array, made: int, table: Array) -> None:
    """Enters all nodes but the first into an empty hash table."""
    last = len(table) - 1
    for number in range(1, made):
        place = _place(nodes[number].parent, nodes[number].unit, last)
        while table[place] != 0:
            place = (place + 1) & last
        table[place] = number


@part
def _list_tokens(work: Workspace, row: Array, peak: float, trie: Any, options: Options) -> tuple[int, int]:
    """Lists the units of a step (V,) that are probable enough, the best first.

    Returns:
        How many they are, and how many up to the last one that begins a hotword.
    """
    threshold, plain, count = np.float32(min(peak, options.min_log_prob)), math.exp(options.length_bonus), 0
    for start in range(0, len(row), BLOCK):
        if not _any_above(row[start : start + BLOCK], threshold):
            continue
        for unit in range(start, min(start + BLOCK, len(row))):
            if row[unit] < threshold:
                continue
            work.present[unit] = math.exp(row[unit] - peak)
            if unit != BLANK_ID:
                token, state = work.tokens[count], trie.first[unit]
                token.unit, token.hotwords, token.growth = unit, state, plain * trie.growth[state]
                token.prior = options.length_bonus + trie.gained[state]
                token.bound = work.present[unit] * token.growth * trie.lift[state]
                count += 1
    _sort(work.tokens, count)
    lending = count
    while lending > 0 and trie.lift[work.tokens[lending - 1].hotwords] == 1.0:
        lending -= 1
    return count, lending


@part
def _any_above(scores: Array, threshold: Any) -> bool:
    """Whether some score is that high. It looks at all of them, because so it can look at several at a time."""
    found = False
    for place in range(len(scores)):
        found |= scores[place] >= threshold
    return found


@part
def _sort(tokens: Array, count: int) -> None:
    """Sorts by bound, the highest first (Shell's way: few tokens are the rule, all units the exception)."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for start in range(gap, count):
            place = start
            while place >= gap and tokens[place - gap].bound < tokens[place].bound:
                _swap(tokens, place, place - gap)
                place -= gap
        gap //= 3


@part
def _swap(tokens: Array, one: int, other: int) -> None:
    a, b = tokens[one], tokens[other]
    a.unit, b.unit = b.unit, a.unit
    a.hotwords, b.hotwords = b.hotwords, a.hotwords
    a.prior, b.prior = b.prior, a.prior
    a.growth, b.growth = b.growth, a.growth
    a.bound, b.bound = b.bound, a.bound


@part
def _link(work: Workspace, count: int) -> None:
    """Lists the children of each entry that are in the beam too."""
    entries = work.entries
    for slot in range(count):
        entries[slot].child = NONE
    for slot in range(count):
        parent = work.nodes[entries[slot].node].parent
        if parent != NONE:
            above = work.nodes[parent].slot
            if above < count and entries[above].node == parent:
                entries[slot].sibling = entries[above].child
                entries[above].child = slot


@part
def _stay(work: Workspace, count: int, lifts: Array) -> None:
    """Offers what the prefixes of the beam become that stay, or that another of the beam grows into."""
    for slot in range(count):
        entry = work.entries[slot]
        entry.blank_next = _total(entry) * work.present[BLANK_ID]
        entry.spoken_next = entry.spoken * work.present[entry.unit]
    for slot in range(count):
        entry = work.entries[slot]
        child = entry.child
        while child != NONE:
            longer = work.entries[child]
            growth = work.present[longer.unit] * work.nodes[longer.node].growth
            longer.spoken_next += _ready(entry, longer.unit) * growth
            child = longer.sibling
    for slot in range(count):
        entry, candidate = work.entries[slot], work.found[work.sizes[FREE]]
        candidate.node, candidate.unit = entry.node, entry.unit
        candidate.blank, candidate.spoken = entry.blank_next, entry.spoken_next
        lift = lifts[work.nodes[entry.node].hotwords]
        _offer(work.found, work.whole, work.lent, work.heap, work.begun, work.sizes, lift)


@within
def _ready(entry: Any, unit: int) -> float:
    """The probability of the paths of an entry that may go on with a new `unit`."""
    return entry.blank if unit == entry.unit else entry.blank + entry.spoken


@within
def _total(entry: Any) -> float:
    """The probability of all paths of an entry."""
    return entry.blank + entry.spoken


@within
def _offer(found: Array, whole: Array, lent: Array, heap: Array, begun: Array, sizes: Array, lift: float) -> None:
    """Chooses the free candidate of a :class:`Workspace`, or does not; who loses its place by it is free from now on.

    The arrays are handed over one by one, because a whole work costs more than the rest of the work.

    Args:
        lift: what being begun hotwords multiplies its probability by, for the places that are kept for them.
    """
    number = sizes[FREE]
    whole[number] = found[number].blank + found[number].spoken
    lent[number] = whole[number] * lift if lift > 1.0 else 0.0
    if whole[number] > 0.0:
        number = _enter(heap, whole, sizes, MAIN, number)
        if number != NONE and lent[number] > 0.0:
            number = _enter(begun, lent, sizes, BEGUN, number)
        sizes[FREE] = sizes[MAIN] + sizes[BEGUN] if number == NONE else number


@within
def _enter(heap: Array, keys: Array, sizes: Array, which: int, number: int) -> int:
    """Puts a number among the chosen; gives the one that has to leave, which may be the same, or NONE.

    They become a heap when there is no more work.
    """
    size = sizes[which]
    if size < len(heap):
        heap[size], sizes[which] = number, size + 1
        if size + 1 == len(heap):
            for place in range(len(heap) // 2 - 1, -1, -1):
                _sink(heap, keys, place)
        return NONE
    if size == 0 or keys[number] <= keys[heap[0]]:
        return number
    leaving, heap[0] = heap[0], number
    _sink(heap, keys, 0)
    return leaving


@part
def _sink(heap: Array, keys: Array, place: int) -> None:
    """Lets one number of a heap, the lowest key on top, sink to where it belongs."""
    number = heap[place]
    while 2 * place + 1 < len(heap):
        below = 2 * place + 1
        if below + 1 < len(heap) and keys[heap[below + 1]] < keys[heap[below]]:
            below += 1
        if keys[number] <= keys[heap[below]]:
            break
        heap[place] = heap[below]
        place = below
    heap[place] = number


@within
def _take_turn(entries: Array, child: int, taken: Array, turn: int) -> None:
    """Marks the units by which an entry grows into others of the beam; :func:`_stay` has seen to these."""
    while child != NONE:
        taken[entries[child].unit] = turn
        child = entries[child].sibling


@within
def _least(heap: Array, keys: Array, size: int) -> float:
    """What has to be exceeded to come into a heap."""
    if size < len(heap):
        return 0.0
    return keys[heap[0]] if size > 0 else math.inf


@part
def _grow(
    work: Workspace, count: int, many: int, lending: int, turn: int, trie: Any, language: Any, options: Options
) -> None:
    """Grows each entry by each token, and offers the result where it may be chosen.

    Where an entry has begun a hotword, the units that lead on from there come first; all other units do what they would
    do after anything, so that tokens that promise too little end the list. The language model is asked for little that
    fails, as it can only lower what is promised.
    """
    whole, lent = _least(work.heap, work.whole, work.sizes[MAIN]), _least(work.begun, work.lent, work.sizes[BEGUN])
    lifts, plain = trie.lift, math.exp(options.length_bonus)
    for slot in range(count):
        entry = work.entries[slot]
        node, total = work.nodes[entry.node], _total(entry)
        if node.hotwords == 0 and total * work.tokens[0].bound <= min(whole, lent):
            continue
        _take_turn(work.entries, entry.child, work.taken, turn + slot)
        ahead = 0
        if node.hotwords != 0:
            ahead = _lead_on(trie.edges, trie.units, trie.fail, node.hotwords, work, turn + slot)
        for index in range(-ahead, many):
            if index < 0:
                edge = work.edges[-1 - index]
                unit, hotwords = trie.units[edge], trie.targets[edge]
                prior, growth = options.length_bonus + trie.gained[hotwords], plain * trie.growth[hotwords]
            else:
                token = work.tokens[index]
                if total * token.bound <= (min(whole, lent) if index < lending else whole):
                    break
                unit, hotwords, prior, growth = token.unit, token.hotwords, token.prior, token.growth
                if work.taken[unit] == turn + slot:
                    continue
            probability, lift = _ready(entry, unit) * work.present[unit], lifts[hotwords]
            if probability * growth <= whole and (lift == 1.0 or probability * growth * lift <= lent):
                continue
            log_prob, state = 0.0, np.int64(0)
            if language is not None:
                log_prob, state = advance(language, node.language, unit)
                prior += options.lm_weight * log_prob
                growth *= math.exp(options.lm_weight * log_prob)
                if probability * growth <= whole and (lift == 1.0 or probability * growth * lift <= lent):
                    continue
            candidate = work.found[work.sizes[FREE]]
            candidate.node, candidate.parent, candidate.unit = NONE, entry.node, unit
            candidate.hotwords, candidate.language, candidate.language_log_prob = hotwords, state, log_prob
            candidate.prior, candidate.growth = prior, growth
            candidate.blank, candidate.spoken = 0.0, probability * growth
            _offer(work.found, work.whole, work.lent, work.heap, work.begun, work.sizes, lift)
            whole = _least(work.heap, work.whole, work.sizes[MAIN])
            lent = _least(work.begun, work.lent, work.sizes[BEGUN])


@within
def _lead_on(edges: Array, units: Array, fail: Array, state: int, work: Workspace, turn: int) -> int:
    """Lists where the hotwords go on from a state with the units of this step, the longest first; says how many.

    A unit that leads on from the longest beginning of a phrase is not looked for in the shorter ones.
    """
    count = 0
    while state != 0:
        for edge in range(edges[state], edges[state + 1]):
            unit = units[edge]
            if work.present[unit] > 0.0 and work.taken[unit] != turn:
                work.edges[count], work.taken[unit] = edge, turn
                count += 1
        state = fail[state]
    return count


@part
def _keep(work: Workspace, made: int) -> tuple[int, int, float]:
    """Makes the chosen candidates the beam: how many there are, how many nodes by now, and how probable the best is."""
    best, count = 0.0, work.sizes[MAIN] + work.sizes[BEGUN]
    for slot in range(count):
        chosen = work.heap[slot] if slot < work.sizes[MAIN] else work.begun[slot - work.sizes[MAIN]]
        candidate, entry = work.found[chosen], work.entries[slot]
        number = candidate.node
        if number == NONE:
            number = _node(work, made, candidate)
            made = max(made, number + 1)
        work.nodes[number].slot = slot
        entry.node, entry.unit = number, candidate.unit
        entry.blank, entry.spoken = candidate.blank, candidate.spoken
        best = max(best, _total(entry))
    work.sizes[:] = 0
    return count, made, best


@part
def _node(work: Workspace, made: int, candidate: Any) -> int:
    """The number of the node of a candidate: one there is, left by the beam or not, or `made`, which is written now."""
    parent, unit, last = candidate.parent, candidate.unit, len(work.table) - 1
    place = _place(parent, unit, last)
    while work.table[place] != 0:
        number = work.table[place]
        if work.nodes[number].parent == parent and work.nodes[number].unit == unit:
            return number
        place = (place + 1) & last
    work.table[place] = made
    node, above = work.nodes[made], work.nodes[parent]
    node.parent, node.unit, node.hotwords, node.language = parent, unit, candidate.hotwords, candidate.language
    node.language_log_prob = above.language_log_prob + candidate.language_log_prob
    node.prior, node.growth = above.prior + candidate.prior, candidate.growth
    return made


@part
def _search(work: Workspace, log_probs: Array, peaks: Array, trie: Any, language: Any, options: Options) -> None:
    """Goes on through the steps (U, V) from where it stood, to the last."""
    begin, count, made, offset = work.reached[STEPS], work.reached[COUNT], work.reached[MADE], work.offset[0]
    for step in range(begin, len(log_probs)):
        many, lending = _list_tokens(work, log_probs[step], peaks[step], trie, options)
        offset += peaks[step]
        if many == 0:
            _fall_silent(work, count)
        else:
            _link(work, count)
            _stay(work, count, trie.lift)
            _grow(work, count, many, lending, 1 + step * len(work.entries), trie, language, options)
            count, made, best = _keep(work, made)
            offset += math.log(best)
            _divide(work, count, best)
        _forget(work, many)
    work.reached[STEPS], work.reached[COUNT], work.reached[MADE] = len(log_probs), count, made
    work.offset[0] = offset


@part
def _fall_silent(work: Workspace, count: int) -> None:
    """A step at which only the blank is probable enough: its probability, over the highest of the step, is one."""
    for slot in range(count):
        work.entries[slot].blank += work.entries[slot].spoken
        work.entries[slot].spoken = 0.0


@part
def _divide(work: Workspace, count: int, best: float) -> None:
    """Makes the probabilities of the beam relative to the best one."""
    for slot in range(count):
        work.entries[slot].blank /= best
        work.entries[slot].spoken /= best


@part
def _forget(work: Workspace, many: int) -> None:
    """Makes `present` all zeros again."""
    work.present[BLANK_ID] = 0.0
    for index in range(many):
        work.present[work.tokens[index].unit] = 0.0


@part
def _final(work: Workspace, count: int, offset: float, language: Any, options: Options) -> Array:
    """Acoustic, language model and whole scores (R, 3) of the beam.

    The language model says how well the sentence ends.
    """
    scores = np.empty((count, 3))
    for slot in range(count):
        node = work.nodes[work.entries[slot].node]
        reached, end = math.log(_total(work.entries[slot])) + offset, 0.0
        if language is not None:
            end = finish(language, node.language)
        scores[slot, ACOUSTIC] = reached - node.prior
        scores[slot, LANGUAGE] = node.language_log_prob + end
        scores[slot, WHOLE] = reached + options.lm_weight * end
    return scores


@part
def _order(scores: Array, count: int) -> Array:
    """The rows of the highest whole scores (count,), the best first; of equal ones, the first."""
    order, chosen = np.zeros(count, np.int64), np.zeros(len(scores), np.bool_)
    for rank in range(count):
        best = NONE
        for row in range(len(scores)):
            if not chosen[row] and (best == NONE or scores[row, WHOLE] > scores[best, WHOLE]):
                best = row
        order[rank], chosen[best] = best, True
    return order


@part
def _texts(work: Workspace, slots: Array) -> tuple[Array, Array]:
    """The units of some prefixes of the beam (R, longest), and how many each has (R,)."""
    lengths, longest = np.zeros(len(slots), np.int64), 0
    for rank in range(len(slots)):
        number = work.entries[slots[rank]].node
        while number != 0:
            lengths[rank], number = lengths[rank] + 1, work.nodes[number].parent
        longest = max(longest, lengths[rank])
    ids = np.zeros((len(slots), longest), np.int64)
    for rank in range(len(slots)):
        number = work.entries[slots[rank]].node
        for place in range(lengths[rank] - 1, -1, -1):
            ids[rank, place] = work.nodes[number].unit
            number = work.nodes[number].parent
    return ids, lengths


@part
def _columns(ids: Array, lengths: Array, units: int) -> tuple[Array, Array, int]:
    """The units (D,) that texts have, the blank first, the place of each unit (V,) among them, and D."""
    column, found, count = np.zeros(units, np.int64), np.zeros(units, np.int64), 1
    for text in range(len(ids)):
        for place in range(lengths[text]):
            unit = ids[text, place]
            if column[unit] == 0:
                column[unit], found[count] = count, unit
                count += 1
    return found, column, count


@part
def _probabilities(log_probs: Array, peaks: Array, units: Array, count: int) -> Array:
    """Those of some units (U, D), over the highest of their step."""
    table = np.empty((len(log_probs), count))
    for step in range(len(log_probs)):
        for index in range(count):
            table[step, index] = math.exp(log_probs[step, units[index]] - peaks[step])
    return table


@part
def _lanes(ids: Array, lengths: Array) -> tuple[Array, Array]:
    """Where texts part from the first one, and where each has the lanes of what follows, the last of all behind them.

    Returns:
        How many units each has in common with the first text at its beginning (R,), 0 for the first itself.
        Its first lane (R + 1,), which stands for what is in common.
    """
    shared, first = np.zeros(len(ids), np.int64), np.zeros(len(ids) + 1, np.int64)
    for text in range(len(ids)):
        if text > 0:
            while shared[text] < min(lengths[0], lengths[text]) and ids[text, shared[text]] == ids[0, shared[text]]:
                shared[text] += 1
        first[text + 1] = first[text] + 1 + lengths[text] - shared[text]
    return shared, first


@njit(nogil=True, fastmath={"reassoc", "contract"})
def _advance(silence: float, said: Array, skip: Array, blank: Array, spoken: Array) -> float:
    """One step of the forward algorithm in all lanes (P,) but the first, several at a time; returns their sum."""
    total = 0.0
    for lane in range(len(said) - 1, 0, -1):  # downwards: what is read is still that of the step before
        here, before = spoken[lane], blank[lane - 1] + skip[lane] * spoken[lane - 1]
        blank[lane] = (blank[lane] + here) * silence
        spoken[lane] = (here + before) * said[lane]
        total += blank[lane] + spoken[lane]
    blank[0] *= silence
    return total + blank[0]


@part
def _summed(table: Array, ids: Array, lengths: Array, column: Array) -> Array:
    """Log-probabilities (R,) of texts, all paths of each together, by the forward algorithm.

    What a text has in common with the first one is computed once.

    Args:
        table: probabilities (U, D), the blank's first.
        ids: the texts (R, longest).
        lengths: how many units each has (R,).
        column: where those of each unit are (V,).
    """
    shared, first = _lanes(ids, lengths)
    lanes, offset = first[-1], 0.0
    columns, said, skip = np.zeros(lanes, np.int64), np.zeros(lanes), np.ones(lanes)
    blank, spoken = np.zeros(lanes), np.zeros(lanes)  # spoken ends in the unit of a lane, and blank follows it
    for text in range(len(ids)):
        blank[first[text]] = 1.0 if shared[text] == 0 else 0.0
        for place in range(shared[text], lengths[text]):
            lane = first[text] + 1 + place - shared[text]
            columns[lane] = column[ids[text, place]]
            skip[lane] = 1.0 if place == 0 or ids[text, place] != ids[text, place - 1] else 0.0
    for step in range(len(table)):
        for lane in range(lanes):
            said[lane] = table[step, columns[lane]]
        total = _advance(table[step, 0], said, skip, blank, spoken)
        for text in range(1, len(ids)):
            blank[first[text]], spoken[first[text]] = blank[shared[text]], spoken[shared[text]]
        if total == 0.0:
            break
        if total < SMALL:
            offset += math.log(total)
            blank /= total
            spoken /= total
    log_probs = np.empty(len(ids))
    for text in range(len(ids)):
        last = first[text + 1] - 1
        log_probs[text] = offset + math.log(blank[last] + spoken[last])
    return log_probs


@part
def _sum_up(ids: Array, lengths: Array, scores: Array, log_probs: Array, peaks: Array) -> None:
    """Replaces the acoustic part of scores (R, 3), a sum over the paths that the beam kept, by that over all."""
    units, column, count = _columns(ids, lengths, log_probs.shape[1])
    summed = _summed(_probabilities(log_probs, peaks, units, count), ids, lengths, column)
    level = peaks.sum()
    for text in range(len(ids)):
        log_prob = level + summed[text]
        if log_prob > -math.inf:
            scores[text, WHOLE] += log_prob - scores[text, ACOUSTIC]
            scores[text, ACOUSTIC] = log_prob


@part
def _decode(work: Workspace, log_probs: Array, peaks: Array, trie: Any, language: Any, options: Options) -> Any:
    _search(work, log_probs, peaks, trie, language, options)
    count = work.reached[COUNT]
    searched = _final(work, count, work.offset[0], language, options)
    slots = _order(searched, min(count, max(options.nbest, SUMMED)))
    ids, lengths = _texts(work, slots)
    scores = searched[slots]
    _sum_up(ids, lengths, scores, log_probs, peaks)
    order = _order(scores, min(count, options.nbest))
    return scores[order], lengths[order], ids[order]


@lru_cache(maxsize=1)
def searcher() -> Any:
    """The search of one utterance, compiled at its first call or found on disk.

    numba renews what it keeps when the file of a function changes, not when a function of another file does. It also
    tells apart what functions close over; so this one closes over what the other files hold.

    The search takes a :func:`workspace`, log-probabilities (U, V) float32 in C order, the highest of each step (U,)
    float64, a :class:`~dfcnn_ms.decoding.hotwords.HotwordTrie`, a `LanguageScorer`, an `Asked` or None, and
    :class:`Options`. It gives the n-best list (R texts, the best first): acoustic, language model and whole scores
    (R, 3), lengths (R,), and ids (R, longest). Called again with the same workspace and more steps behind the same
    ones, it searches through the new ones alone, and gives what it would give of all of them at once.
    """
    others = tuple(
        hashlib.sha256(Path(str(work.__file__)).read_bytes()).hexdigest() for work in (kernels, language_calls)
    )

    def search(work: Workspace, log_probs: Array, peaks: Array, trie: Any, language: Any, options: Options) -> Any:
        _ = others
        return _decode(work, log_probs, peaks, trie, language, options)

    return compiled(search)
