"""Sentences of one's own, for the voices to say: ``prepare synth --text mine.txt``.

A sentence a line, in Chinese characters. Which split a sentence is in depends on what else is in the file, not on its
place: one in twenty is for dev and one in twenty for test, and a sentence that stands there twice is said once.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from dfcnn_ms.corpora.sentences import UNSPOKEN, Sentence, read_aloud
from dfcnn_ms.errors import DataError
from dfcnn_ms.files import read_text
from dfcnn_ms.text.characters import hanzi_runs
from dfcnn_ms.wording import SKIPPING, unread

logger = logging.getLogger(__name__)

#: of the sentences, for dev and as many for test; at least one each
HELD_OUT = 1 / 20
LEAST = 3


def read(path: Path, *, skip_unreadable: bool = False) -> dict[str, list[Sentence]]:
    """The sentences of a file, by split.

    Args:
        path: the file.
        skip_unreadable: leave out what cannot be read, and say how much that was; else it is an error.

    Raises:
        DataError: there are fewer than three, or somebody who only knows Chinese characters cannot read one.
    """
    lines = read_text(path).splitlines()
    known: dict[str, Sentence] = {}
    skipped: list[DataError] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            sentence = _sentence(line, f"{path}:{number}")
        except DataError as error:
            if not skip_unreadable:
                raise DataError(f"{error}; {SKIPPING}") from None
            skipped.append(error)
        else:
            known.setdefault(sentence.text, sentence)
    if skipped:
        logger.warning("%s", unread(skipped))
    if len(known) < LEAST:
        raise DataError(f"{path}: different sentences: got {len(known)}, wanted {LEAST} or more, a line each")
    mixed = [known[text] for text in sorted(known, key=lambda text: hashlib.sha256(text.encode()).digest())]
    held = max(1, int(len(mixed) * HELD_OUT))
    return {"dev": mixed[:held], "test": mixed[held : 2 * held], "train": mixed[2 * held :]}


def _sentence(line: str, where: str) -> Sentence:
    said = read_aloud(line, where)
    characters = "".join(hanzi_runs(line))
    if len(characters) != len(said.pinyin):
        raise DataError(f"{where}: {line.strip()!r} has more than characters; write figures as they are said (三十五)")
    if silent := sorted({syllable for syllable in said.pinyin if syllable[:-1] in UNSPOKEN}):
        raise DataError(f"{where}: no voice says {', '.join(silent)}")
    return Sentence(said.pinyin, characters, said.spoken)
