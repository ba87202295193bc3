"""Times what preparing a large corpus consists of, and the memory of a long manifest.

    python benchmarks/prepare.py [--files 20000] [--lines 1000000]

Sound files of the layout of AISHELL-1 are made in a temporary folder: headers read as the recipes do, with one thread
and with eight, beside reading all samples with soundfile; characters read as pinyin, beside pypinyin alone; the recipe
as a whole. Then a manifest is streamed, beside the same loop that keeps its ids in a dictionary.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from pypinyin import Style, lazy_pinyin

from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora import aishell
from dfcnn_ms.corpora.gather import Gathering, Item, _measured
from dfcnn_ms.text.pinyin import from_hanzi

SENTENCES = (
    "广州市房地产中介协会分析",
    "而对楼市成交抑制作用最大的限购",
    "一千多万元的贷款不会马上到",
    "他们都觉得很快乐",
)
SECONDS = 4.0

#: run in a process of its own, whose largest size is measured (on Linux)
STREAM = """
import json, sys
from dfcnn_ms.corpora.manifest import iter_manifest
size = lambda: next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = size()
if sys.argv[2] == "stream":
    count = sum(1 for _ in iter_manifest(sys.argv[1]))
else:
    count = len({json.loads(line)["id"]: number for number, line in enumerate(open(sys.argv[1], encoding="utf-8"))})
print(count, size() - before)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--files", type=int, default=20_000)
    arguments.add_argument("--lines", type=int, default=1_000_000)
    options = arguments.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files = make_corpus(root / "data_aishell", options.files)
        time_headers(files, root)
        time_text(options.files)
        seconds = timed(lambda: aishell.prepare(root, root / "out"))
        print(f"the recipe as a whole          {seconds:6.1f} s, {1e6 * seconds / len(files):5.0f} us a file")
        measure_memory(root / "long.jsonl", options.lines)


def make_corpus(home: Path, count: int) -> list[Path]:
    """Files of four seconds, 350 a speaker, and their transcripts."""
    first = home / "wav" / "train" / "S0000" / "BAC009S0000W00000.wav"
    first.parent.mkdir(parents=True)
    write_wave(first, np.random.default_rng(0).normal(0, 0.05, int(SECONDS * 16_000)).astype(np.float32))
    content = first.read_bytes()
    files, rows = [], []
    for number in range(count):
        speaker, split = f"S{number // 350:04d}", ("train", "dev", "test")[number // 350 % 3]
        path = home / "wav" / split / speaker / f"BAC009{speaker}W{number:05d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files.append(path)
        rows.append(f"{path.stem} {SENTENCES[number % len(SENTENCES)]}\n")
    (home / aishell.TRANSCRIPT).parent.mkdir()
    (home / aishell.TRANSCRIPT).write_text("".join(rows), encoding="utf-8")
    return files


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_headers(files: list[Path], root: Path) -> None:
    items = [Item(path.stem, path) for path in files]
    whole = timed(lambda: [soundfile.read(path) for path in files])
    for workers in (1, 8):
        seconds = timed(lambda workers=workers: _measured(list(items), Gathering(root, {}, workers=workers)))
        print(
            f"headers, {workers} thread(s)           {seconds:6.1f} s, {1e6 * seconds / len(files):5.0f} us a file, "
            f"{whole / seconds:4.1f} times as fast as reading the samples"
        )


def time_text(count: int) -> None:
    texts = [SENTENCES[number % len(SENTENCES)] for number in range(count)]
    from_hanzi(texts[0])  # the dictionaries are loaded
    alone = timed(lambda: [lazy_pinyin(text, style=Style.TONE3) for text in texts])
    seconds = timed(lambda: [from_hanzi(text, sandhi="yi_bu") for text in texts])
    print(
        f"characters to pinyin           {seconds:6.1f} s, {1e6 * seconds / count:5.0f} us a sentence, "
        f"{seconds / alone:4.1f} times as long as pypinyin alone"
    )


def measure_memory(path: Path, count: int) -> None:
    entry = {
        "audio": "wav/a.wav",
        "seconds": SECONDS,
        "pinyin": "guang3 zhou1 shi4 fang2 di4 chan3",
        "speaker": "S0002",
    }
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(json.dumps({"id": f"BAC009S{number:08d}W0{number % 1000:03d}", **entry}) + "\n")
    for kind in ("stream", "dictionary"):
        command = [sys.executable, "-c", STREAM, str(path), kind]
        start = time.perf_counter()
        lines, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        seconds = time.perf_counter() - start
        print(f"{int(lines):,d} lines, {kind:<10}  {seconds:6.1f} s, {float(grown):6.1f} MB more than at the start")


if __name__ == "__main__":
    main()
