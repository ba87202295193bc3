"""Words to be said alone: a file for ``prepare synth --text``, a word a line.

    python benchmarks/words_alone.py > words.txt
    python -m dfcnn_ms.prepare synth --text words.txt --voices neural --takes 3 --out data/words

The most frequent words of two to four characters in jieba's dictionary, each as long as one of its syllables has been
in fewer than twelve before, and then a character for every toned syllable that a single character is read as.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jieba

from dfcnn_ms.corpora.sentences import UNSPOKEN, read_aloud
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.characters import is_hanzi

#: how many words of each length
WANTED = {2: 2300, 3: 300, 4: 300}
#: a word is of use as long as a syllable of it has been in fewer words than this
OFTEN = 12
#: jieba's tags of people and places, which would be most of the long words
NAMES = ("nr", "ns", "nt", "nz")
#: characters that are rarer than this may have another reading
LEAST_FREQUENT = 4


def main() -> None:
    """Prints them, the words before the characters."""
    found: Counter[int] = Counter()
    heard: Counter[str] = Counter()
    alone: dict[str, str] = {}
    for frequency, word in dictionary():
        syllables = syllables_of(word)
        if len(word) == 1 and syllables and frequency >= LEAST_FREQUENT:
            alone.setdefault(syllables[0], word)
        elif syllables and found[len(word)] < WANTED.get(len(word), 0) and min(heard[one] for one in syllables) < OFTEN:
            found[len(word)] += 1
            heard.update(syllables)
            print(word)
    print(*alone.values(), sep="\n")


def dictionary() -> Iterator[tuple[int, str]]:
    """Words of Chinese characters alone and how often each is used, the most frequent first."""
    rows = (line.split() for line in Path(jieba.__file__).with_name("dict.txt").read_text("utf-8").splitlines())
    known = ((int(count), word, tag) for word, count, tag in rows if is_hanzi(word))
    yield from ((count, word) for count, word, tag in sorted(known, reverse=True) if not tag.startswith(NAMES))


def syllables_of(word: str) -> tuple[str, ...]:
    """Of a word that every voice can say; else none."""
    try:
        said = read_aloud(word, word).pinyin
    except DataError:
        return ()
    return () if len(said) != len(word) or any(one[:-1] in UNSPOKEN for one in said) else tuple(said)


if __name__ == "__main__":
    main()
