"""A model of the characters in a thirtieth of the room: for a model that travels.

Words and readings are not in it if they are those of jieba's dictionary, which everybody has who has the package. What
texts taught about pairs of words and of characters stands in 255 steps of its logarithm, and all of it is compressed.
"""

from __future__ import annotations

import hashlib
import io
import lzma
from pathlib import Path

import numpy as np

from dfcnn_ms.decoding.hanzi.checks import fault
from dfcnn_ms.decoding.hanzi.lexicon import UNREADABLE, Lexicon, arrays_in
from dfcnn_ms.decoding.hanzi.model import HanziModel
from dfcnn_ms.decoding.hanzi.word_model import Statistics
from dfcnn_ms.decoding.ngram.compact import in_steps
from dfcnn_ms.decoding.ngram.sealed import damaged

#: the name of the hash of the words that are not in it
WORDS_OF = "words_of"
_DAMAGED = (*UNREADABLE, lzma.LZMAError, IndexError)


def packed(model: HanziModel) -> bytes:
    """A model as it travels: the same bytes for the same model."""
    words = _hash(model.lexicon)
    is_jieba = words == _hash(HanziModel.default().lexicon)
    arrays = {WORDS_OF: np.array(words)} if is_jieba else model.lexicon.arrays()
    taught = model.statistics
    follow = np.bincount(taught.firsts, minlength=len(taught.given))
    arrays |= {
        "class_counts": taught.class_counts,
        "follow": follow.astype(np.int32),
        "seconds": taught.seconds.astype(np.int32),
    }
    for source, seen in enumerate(taught.seen.T):
        steps, codes = in_steps(np.log(seen[seen > 0]).astype(np.float32))
        arrays |= {f"has_{source}": np.packbits(seen > 0), f"steps_{source}": steps, f"codes_{source}": codes}
    memory = io.BytesIO()
    np.savez(memory, **arrays)
    return lzma.compress(memory.getvalue(), preset=6)


def unpacked(content: bytes, where: str) -> HanziModel | None:
    """The model, or None if it is about the words of another jieba than the one that is installed.

    Raises:
        DataError: the content is damaged, or something else.
    """
    path, wrong, lexicon = Path(where), "content", None
    try:
        arrays = arrays_in(io.BytesIO(lzma.decompress(content)))
        words = str(arrays.pop(WORDS_OF, ""))
    except _DAMAGED:
        raise damaged(path, f"its {wrong} cannot be so") from None
    if words:
        lexicon = HanziModel.default().lexicon
        if _hash(lexicon) != words:
            return None
    try:
        taught = _statistics(arrays)
        model = HanziModel(lexicon or Lexicon.of(arrays), taught)
        wrong = fault(model.lexicon, model.statistics)
    except _DAMAGED:
        raise damaged(path, f"its {wrong} cannot be so") from None
    if wrong:
        raise damaged(path, f"its {wrong} cannot be so")
    return model


def _statistics(arrays: dict[str, np.ndarray]) -> Statistics:
    """Takes what texts taught out of the arrays."""
    follow, seconds = _taken(arrays, "follow", np.int32), _taken(arrays, "seconds", np.int32)
    if (follow < 0).any() or follow.sum(dtype=np.int64) != len(seconds):
        raise ValueError
    firsts = np.repeat(np.arange(len(follow)), follow)
    seen = np.zeros((len(seconds), 2))
    for source in range(2):
        has = np.unpackbits(_taken(arrays, f"has_{source}", np.uint8), count=len(seconds)).astype(bool)
        steps, codes = _taken(arrays, f"steps_{source}", np.float32), _taken(arrays, f"codes_{source}", np.uint8)
        seen[has, source] = np.exp(np.minimum(steps, 0.0).astype(np.float64))[codes]
    given = [np.bincount(firsts, weights=column, minlength=len(follow)) for column in seen.T]
    return Statistics(
        arrays.pop("class_counts"), firsts, seconds.astype(np.int64), seen, np.minimum(np.stack(given, axis=1), 1.0)
    )


def _taken(arrays: dict[str, np.ndarray], name: str, kind: type[np.generic]) -> np.ndarray:
    array = arrays.pop(name)
    if array.dtype != kind or array.ndim != 1:
        raise ValueError
    return array


def _hash(lexicon: Lexicon) -> str:
    """Of the words in their order."""
    return hashlib.sha256(lexicon.arrays()["words"].tobytes(), usedforsecurity=False).hexdigest()
