"""How long a language model of ten million syllables takes, and how much memory: beside KenLM in the same run.

Command: ``python benchmarks/ngram.py [--tokens 10000000] [--kenlm FOLDER]`` (some minutes). ``FOLDER`` holds KenLM's
``lmplz`` and ``query``; without it only our own figures are printed. Each is a process of its own: seconds by the
clock, highest resident memory, perplexity on the same 2,000 other sentences. KenLM may use 1 GB for sorting. The text
is drawn word by word from jieba's dictionary, by frequency: it repeats itself less than people do, so it has more
n-grams than real text of this length.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dfcnn_ms.errors import DataError
from dfcnn_ms.text.pinyin import from_hanzi

WORDS = 20_000
WORDS_PER_SENTENCE = (4, 16)
TEST_SENTENCES = 2_000


def lexicon() -> tuple[list[str], np.ndarray]:
    """Readings of the most frequent words, and how probable each is."""
    lines = Path(find_spec("jieba").origin).with_name("dict.txt").read_text(encoding="utf-8").splitlines()
    entries = sorted((line.split() for line in lines), key=lambda entry: -int(entry[1]))[:WORDS]
    readings, counts = [], []
    for word, frequency, *_ in entries:
        try:
            readings.append(" ".join(from_hanzi(word)))
            counts.append(int(frequency))
        except DataError:
            continue
    return readings, np.array(counts) / sum(counts)


def write_text(path: Path, tokens: int, words: tuple[list[str], np.ndarray], rng: np.random.Generator) -> None:
    readings, probabilities = words
    with path.open("w", encoding="utf-8") as file:
        while tokens > 0:
            lengths = rng.integers(*WORDS_PER_SENTENCE, endpoint=True, size=10_000)
            drawn = [readings[index] for index in rng.choice(len(readings), size=lengths.sum(), p=probabilities)]
            ends = np.cumsum(lengths)
            for end, length in zip(ends, lengths, strict=True):
                sentence = " ".join(drawn[end - length : end])
                file.write(sentence + "\n")
                tokens -= sentence.count(" ") + 1
                if tokens <= 0:
                    break


def measured(*command: str | Path) -> tuple[float, float]:
    """Seconds and megabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def printed(pattern: str, *command: str | Path, stdin: Path | None = None) -> float:
    """A number that a process prints."""
    with open(stdin or os.devnull, "rb") as file:
        done = subprocess.run([str(part) for part in command], stdin=file, capture_output=True, text=True, check=True)
    return float(re.search(pattern, done.stdout).group(1))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tokens", type=int, default=10_000_000)
    arguments.add_argument("--orders", type=int, nargs="+", default=[3, 5])
    arguments.add_argument("--kenlm", type=Path, help="folder of lmplz and query")
    options = arguments.parse_args()
    words, rng = lexicon(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        text, test = Path(folder, "train.txt"), Path(folder, "test.txt")
        write_text(text, options.tokens, words, rng)
        write_text(test, 12 * TEST_SENTENCES, words, rng)
        print(f"{'':<22}{'seconds':>9}{'memory':>10}{'file':>10}{'perplexity':>13}")
        for order in options.orders:
            for name, row in rows(order, Path(folder), options.kenlm):
                print(f"order {order}, {name:<13}{row[0]:>9.1f}{row[1]:>7,.0f} MB{row[2]:>7,.0f} MB{row[3]:>13.4f}")


def rows(order: int, folder: Path, kenlm: Path | None):
    text, test = folder / "train.txt", folder / "test.txt"
    ngram = (sys.executable, "-m", "dfcnn_ms.ngram")
    for suffix in (".bin", ".arpa"):
        out = folder / f"ours{suffix}"
        cost = measured(*ngram, "train", "--text", text, "--order", str(order), "--out", out)
        perplexity = printed(r"perplexity +([\d.]+)", *ngram, "perplexity", "--lm", out, "--text", test)
        yield f"ours {suffix}", (*cost, out.stat().st_size / 1e6, perplexity)
        out.unlink()
    if kenlm:
        out = folder / "theirs.arpa"
        cost = measured(
            kenlm / "lmplz", "-o", str(order), "-S", "1G", "-T", folder, "--text", text, "--arpa", out,
            "--discount_fallback",
        )  # fmt: skip
        perplexity = printed(r"including OOVs:\s+([\d.]+)", kenlm / "query", "-v", "summary", out, stdin=test)
        yield "KenLM .arpa", (*cost, out.stat().st_size / 1e6, perplexity)
        out.unlink()


if __name__ == "__main__":
    main()
