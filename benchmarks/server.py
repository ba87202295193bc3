"""How many clients a server serves: throughput against one at a time, latency, overload, and memory that must not grow.

Command: ``python benchmarks/server.py --ckpt dfcnn.onnx --sounds data/digits/audio/test`` (about ten minutes).
A server runs in a process of its own; its clients, in this one, send short recordings one after the other over
connections that stay open. What is measured: `--clients` (64) for `--seconds` (60) against a server that joins their
recordings and one that hears one at a time (``serve --batch 1``), in turns; one client alone and `--clients` at once;
`--crowd` (200) clients for `--crowd-seconds` (20), where every answer must be 200 or 503; and the memory of the server
over `--requests` (20,000).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dfcnn_ms.audio.sound_files import in_folder

HOST = "127.0.0.1"
ROUTE = "/v1/audio/transcriptions"
#: requests after which a server has touched all that it needs
WARM = 2000


@dataclass
class Counted:
    """What clients were answered: status -> how often, and the seconds of those that were heard."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def throughput(self) -> float:
        """Recordings heard in a second."""
        return self.statuses[200] / self.seconds

    def __str__(self) -> str:
        shares = np.percentile(self.latencies, [50, 90, 99, 100]) * 1000 if self.latencies else [np.nan] * 4
        latency = "  ".join(f"p{share} {value:7.1f} ms" for share, value in zip((50, 90, 99, 100), shares, strict=True))
        return f"{self.throughput:8.1f} a second   {latency}   {dict(sorted(self.statuses.items()))}"


@contextmanager
def served(ckpt: Path, *flags: str) -> Iterator[int]:
    """The port of a server in a process of its own."""
    command = [sys.executable, "-m", "dfcnn_ms.serve", "--ckpt", str(ckpt), "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r":(\d+) ", process.stdout.readline())
        if found is None:
            raise SystemExit("the server does not start")
        try:
            yield int(found[1])
        finally:
            process.terminate()


def request(sound: bytes) -> bytes:
    """A recording as a form."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
    body = head + sound + b"\r\n--x--\r\n"
    lines = f"POST {ROUTE} HTTP/1.1", f"Host: {HOST}", "Content-Type: multipart/form-data; boundary=x"
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """The status of an answer, whether another one may follow on its connection, and its text."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = re.search(r"content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(" ", 2)[1]), "connection: close" not in head, body


async def client(port: int, requests: Iterator[bytes], end: float, counted: Counted) -> None:
    """Asks again and again, and where it is told to come back later, does so."""
    while time.perf_counter() < end:
        reader, writer = await asyncio.open_connection(HOST, port)
        stays = True
        while stays and time.perf_counter() < end:
            one = next(requests, None)
            if one is None:
                return writer.close()
            began = time.perf_counter()
            writer.write(one)
            status, stays, _ = await answer(reader)
            counted.statuses[status] += 1
            if status == 200:
                counted.latencies.append(time.perf_counter() - began)
            else:
                await asyncio.sleep(1.0)
        writer.close()


async def load(port: int, clients: int, requests: Iterator[bytes], seconds: float) -> Counted:
    """So many clients at a time, for some seconds or until there is nothing more to ask."""
    counted, began = Counted(), time.perf_counter()
    await asyncio.gather(*(client(port, requests, began + seconds, counted) for _ in range(clients)))
    counted.seconds = time.perf_counter() - began
    return counted


async def resident(port: int) -> float:
    """Megabytes of the server."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    _, _, text = await answer(reader)
    writer.close()
    found = re.search(rb"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1]) / 1e6


async def measure(port: int, requests: Sequence[bytes], options: argparse.Namespace) -> None:
    everything = itertools.cycle(requests)
    await load(port, options.clients, itertools.islice(everything, WARM // 4), 600)
    alone = await load(port, 1, everything, options.seconds / 4)
    print(f"1 client           {alone}", flush=True)
    many = await load(port, options.clients, everything, options.seconds)
    print(f"{options.clients} clients         {many}", flush=True)
    print(f"{options.clients} clients are served {many.throughput / alone.throughput:.2f} times as fast as one alone")
    crowd = await load(port, options.crowd, everything, options.crowd_seconds)
    print(f"{options.crowd} clients        {crowd}", flush=True)
    await load(port, 16, itertools.islice(everything, WARM), 3600)
    before = await resident(port)
    growing = await load(port, 16, itertools.islice(everything, options.requests), 3600)
    after = await resident(port)
    print(
        f"{sum(growing.statuses.values())} requests: {before:.1f} MB, then {after:.1f} MB ({after / before - 1:+.2%})"
    )


async def compare(ports: tuple[int, int], requests: Sequence[bytes], options: argparse.Namespace) -> None:
    """The same clients against a server that joins recordings and one that does not, in turns."""
    together, single = Counted(), Counted()
    everything = itertools.cycle(requests)
    for _ in range(4):
        for port, sum_ in zip(ports, (together, single), strict=True):
            one = await load(port, options.clients, everything, options.seconds / 4)
            sum_.statuses += one.statuses
            sum_.latencies += one.latencies
            sum_.seconds += one.seconds
    print(f"in batches         {together}\none at a time      {single}")
    print(f"batches are {together.throughput / single.throughput:.2f} times as fast as one at a time", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ckpt", type=Path, default=Path("dfcnn.ckpt"))
    arguments.add_argument("--sounds", type=Path, default=Path("data/digits/audio/test"), help="a folder")
    arguments.add_argument("--clients", type=int, default=64)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--crowd", type=int, default=200)
    arguments.add_argument("--crowd-seconds", type=float, default=20.0)
    arguments.add_argument("--requests", type=int, default=20_000)
    options = arguments.parse_args()
    requests = [request(path.read_bytes()) for path in in_folder(options.sounds)]
    with served(options.ckpt) as port, served(options.ckpt, "--batch", "1") as single:
        asyncio.run(compare((port, single), requests, options))
    with served(options.ckpt) as port:
        asyncio.run(measure(port, requests, options))


if __name__ == "__main__":
    main()
