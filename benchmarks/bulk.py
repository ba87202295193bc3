"""How fast many recordings are written down, and what a manifest of a million lines costs before the first is heard.

    python benchmarks/bulk.py --ckpt dfcnn.ckpt --manifest data/digits/test.jsonl

The first table hears the manifest, repeated to last some seconds, by the command itself with one worker, two, and so on
up to the cores; the seconds include starting Python and loading the network, and `processor` are those that all its
processes computed together. The second part writes a manifest of a million lines and a file in which most of them are
done already, and takes the time until the command has written its next line, and the most memory that it has used by
then, its workers apart.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from dfcnn_ms.corpora.manifest import read_manifest
from dfcnn_ms.machine import cores

MEGABYTE = 1 << 20
HOUR = 3600


def command(options: argparse.Namespace, manifest: Path, out: Path, workers: int) -> list[str]:
    start = [sys.executable, "-m", "dfcnn_ms.transcribe", "--ckpt", str(options.ckpt), "--manifest", str(manifest)]
    return [*start, "--out", str(out), "--workers", str(workers)]


def repeated(manifest: Path, count: int) -> Iterator[str]:
    """Lines of a manifest, again and again under other names, as many as wanted."""
    utterances = read_manifest(manifest)
    for number in range(count):
        one = utterances[number % len(utterances)]
        entry = {"id": f"r{number:08}", "audio": str(one.path), "seconds": one.seconds, "pinyin": ""}
        yield json.dumps(entry | ({"start": one.start} if one.start else {})) + "\n"


def pace(options: argparse.Namespace, folder: Path, workers: int) -> str:
    """One row of the table."""
    manifest, out = folder / "some.jsonl", folder / f"out{workers}.jsonl"
    manifest.write_text("".join(repeated(options.manifest, options.recordings)))
    started, computed = time.perf_counter(), processor_seconds()
    done = subprocess.run(command(options, manifest, out, workers), capture_output=True, text=True, check=True)
    seconds, computed = time.perf_counter() - started, processor_seconds() - computed
    hours = float(re.findall(r"heard: ([\d.]+) hours", done.stdout)[0])
    pace = hours / seconds * HOUR
    return f"{workers:7} {options.recordings:10,} {hours:8.2f} {seconds:8.1f} {computed:10.1f} {pace:14.0f}"


def processor_seconds() -> float:
    """Of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first_line(options: argparse.Namespace, folder: Path, done: int) -> str:
    """What a million lines cost until one of those that are left is heard, so many being done already."""
    manifest, out = folder / "million.jsonl", folder / "million_out.jsonl"
    line = next(iter((folder / "out1.jsonl").open()))
    entry = json.loads(line)
    with out.open("w") as file:
        file.writelines(json.dumps(entry | {"id": f"r{number:08}"}) + "\n" for number in range(done))
    size, started = out.stat().st_size, time.perf_counter()
    process = subprocess.Popen(command(options, manifest, out, 1), stderr=subprocess.DEVNULL)
    most, computed = 0, 0.0
    while out.stat().st_size == size and process.poll() is None:
        watched = psutil.Process(process.pid)
        most, computed = max(most, watched.memory_info().rss), sum(watched.cpu_times()[:2])
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    process.kill()
    process.wait()
    took = f"{seconds:6.1f} s to the next line, {computed:5.1f} s of processor, {most / MEGABYTE:4.0f} MB"
    return f"{done:9,} of 1,000,000 done: {took}"


def main() -> None:
    """Prints a line for each number of workers, and two for the million."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--recordings", type=int, default=2000, help="how many are heard (default: 2000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("workers recordings    hours  seconds  processor  hours an hour")
        for workers in range(1, cores() + 1):
            print(pace(options, folder, workers), flush=True)
        with (folder / "million.jsonl").open("w") as file:
            file.writelines(repeated(options.manifest, 1_000_000))
        for done in (0, 900_000):
            print(first_line(options, folder, done), flush=True)


if __name__ == "__main__":
    main()
