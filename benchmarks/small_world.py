r"""Sentences of few syllables: a file for ``prepare synth --text``, for comparisons that a core trains in minutes.

    python benchmarks/small_world.py > small.txt
    python -m dfcnn_ms.prepare synth --text small.txt --voices espeak,neural,crowd --takes 3 \
        --train 4000 --dev 200 --test 400 --seed 31 --out data/small

One to four words a line, of words in jieba's dictionary that need no syllables but these: the digits', and those
that make the most words of a course for beginners out of so few. All their tones are among them, so that what
networks do about tones shows as it does with twelve hundred units.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from words_alone import dictionary, syllables_of

DIGITS = frozenset(("ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu"))
OTHERS = ("bu", "fa", "hui", "ji", "jian", "jie", "jin", "li", "qing", "sheng", "shi", "shu", "xi", "xian", "xiang")
BASES = DIGITS.union(OTHERS, ("yan", "yu", "zheng", "zhi", "zhu"))
LINES = 4000
#: words of a line, and how often there are so many
LENGTHS = (1, 2, 3, 4)
SHARES = (0.35, 0.25, 0.2, 0.2)
#: a word is of use as long as a syllable of it has been in fewer words than this
OFTEN = 60
LONGEST = 4


def main() -> None:
    """Prints the lines, all different, the same ones each time."""
    words, rng = _words(), np.random.default_rng(0)
    lines: dict[str, None] = {}
    while len(lines) < LINES:
        drawn = rng.choice(len(words), size=int(rng.choice(LENGTHS, p=SHARES)))
        lines["".join(words[index] for index in drawn)] = None
    print(*lines, sep="\n")


def _words() -> list[str]:
    heard: Counter[str] = Counter()
    found = []
    for _, word in dictionary():
        syllables = syllables_of(word) if len(word) <= LONGEST else ()
        if not syllables or any(one[:-1] not in BASES for one in syllables):
            continue
        if min(heard[one] for one in syllables) < OFTEN:
            heard.update(syllables)
            found.append(word)
    return found


if __name__ == "__main__":
    main()
