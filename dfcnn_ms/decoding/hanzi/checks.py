"""What a model that was read must keep to: compiled code, which looks at no bounds, relies on it."""

from __future__ import annotations

import numpy as np

from dfcnn_ms.decoding.hanzi.lexicon import BASES, LONGEST_WORD, MOST_COUNT, RAREST, SPECIAL_CLASSES, TONE_BITS, Lexicon
from dfcnn_ms.decoding.hanzi.word_model import Statistics

#: what no logarithm of a share is below
LEAST_LOG_SHARE = -1e6
#: how far a probability may come out above 1, or the logarithm of one above 0
ROUNDING = 1e-3


def fault(lexicon: Lexicon, statistics: Statistics) -> str:
    """The name of an array that cannot be so, or nothing."""
    words, classes, entries = len(lexicon.words), len(lexicon.class_names), len(lexicon.entry_words)
    pairs, taught = len(statistics.firsts), len(statistics.given) - 1
    tones = 2 ** (TONE_BITS * LONGEST_WORD) - 1
    right = {
        "words": bool((lexicon.words != "").all()),
        "counts": _are_numbers(lexicon.counts, (words,), RAREST, MOST_COUNT),
        "classes": _are_whole(lexicon.classes, (words,), classes - 1),
        "class_names": _are_classes(lexicon.class_names),
        "entry_words": _are_whole(lexicon.entry_words, (entries,), words - 1),
        "entry_log_shares": _are_numbers(lexicon.entry_log_shares, (entries,), LEAST_LOG_SHARE, ROUNDING),
        "entry_bases": _are_whole(lexicon.entry_bases, (entries, LONGEST_WORD), len(BASES))
        and _begin_at_once(lexicon.entry_bases),
        "entry_tones": _are_whole(lexicon.entry_tones, (entries,), tones),
        "class_counts": _are_numbers(statistics.class_counts, (classes + 2, classes + 2), 0.0, MOST_COUNT),
        "firsts": _are_whole(statistics.firsts, (pairs,), taught),
        "seconds": _are_whole(statistics.seconds, (pairs,), taught - 1)
        and _rise(statistics.firsts, statistics.seconds, taught + 1),
        "seen": _are_numbers(statistics.seen, (pairs, 2), 0.0, 1.0 + ROUNDING),
        "given": 0 < taught <= words and _are_numbers(statistics.given, (taught + 1, 2), 0.0, 1.0 + ROUNDING),
    }
    return next((name for name, is_right in right.items() if not is_right), "")


def _are_classes(names: np.ndarray) -> bool:
    return names.ndim == 1 and names.dtype.kind == "U" and set(SPECIAL_CLASSES) <= set(names.tolist())


def _are_numbers(values: np.ndarray, shape: tuple[int, ...], least: float, most: float) -> bool:
    """Floating point, of a shape, within bounds."""
    is_float = values.dtype.kind == "f" and values.dtype.itemsize in (4, 8)
    return is_float and values.shape == shape and bool(((values >= least) & (values <= most)).all())


def _are_whole(values: np.ndarray, shape: tuple[int, ...], most: int) -> bool:
    """Whole numbers of a shape, from 0 to the highest."""
    is_whole = values.dtype.kind in "iu" and np.can_cast(values.dtype, np.int64)
    return is_whole and values.shape == shape and bool(((values >= 0) & (values <= most)).all())


def _begin_at_once(bases: np.ndarray) -> bool:
    """Every row has something, and nothing but zeros after the first zero (E, LONGEST_WORD)."""
    said = bases > 0
    return bool(said[:, 0].all() and (said[:, :-1] >= said[:, 1:]).all())


def _rise(firsts: np.ndarray, seconds: np.ndarray, count: int) -> bool:
    """Pairs are sorted, each there once."""
    if len(firsts) != len(seconds):
        return False
    keys = firsts.astype(np.int64) * count + seconds.astype(np.int64)
    return bool((keys[1:] > keys[:-1]).all())
