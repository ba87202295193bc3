"""Reads damaged inputs in a process of its own: a crash of the interpreter is seen there, and the seed of it is known.

    python tests/abuse/reading.py language_models binary 17 1

reads mutant 17 of the format `binary` of the module `language_models` again. Each has to be used, or refused in one
sentence of this package; everything else ends the process.
"""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

#: what one mutant may take
SECONDS, BYTES = 30, 4 * 2**30
#: of one format, before its reading is given up
MOST_COMPLAINTS = 100


@dataclass(frozen=True)
class Format:
    """One kind of input.

    Attributes:
        original: makes a sound one.
        mutant: damages it.
        use: reads a file and does with it what it is for; asserts that the answers can be answers.
        suffix: of the file.
    """

    original: Callable[[], bytes]
    mutant: Callable[[bytes, Random], bytes]
    use: Callable[[Path], None]
    suffix: str


@dataclass
class Reading:
    """What became of the mutants of one format: how many were used and how many refused, and what else happened."""

    used: int = 0
    refused: int = 0
    complaints: list[str] = field(default_factory=list)


def read_apart(module: str, name: str, first: int, count: int) -> Reading:
    """Reads mutants of a format in a process, and goes on in another one behind each that ends it."""
    reading, end = Reading(), first + count
    while first < end and len(reading.complaints) < MOST_COMPLAINTS:
        command = [sys.executable, __file__, module, name, str(first), str(end - first)]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace")
        lines = process.stdout.splitlines()
        reading.used += lines.count("used")
        reading.refused += lines.count("refused")
        seeds = [int(line) for line in lines if line.isdigit()]
        if process.returncode == 0 and lines[-1:] == ["done"]:
            break
        told = process.stderr[-2000:]
        seed = seeds[-1] if seeds else "none"
        again = f"again: python tests/abuse/reading.py {module} {name} {seed} 1"
        reading.complaints.append(f"seed {seed} ended with {process.returncode}: {told}\n{again}")
        first = seeds[-1] + 1 if seeds else end
    return reading


def read_all(format: Format, first: int, count: int) -> None:
    """Uses the original, and mutants one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mutant{format.suffix}"
        original = format.original()
        path.write_bytes(original)
        format.use(path)
        for seed in range(first, first + count):
            print(seed, flush=True)
            path.write_bytes(format.mutant(original, Random(seed)))
            _within_limits()
            print("used" if _is_used(format, path) else "refused", flush=True)
    print("done")


def _is_used(format: Format, path: Path) -> bool:
    """Whether the file is used, and not refused.

    Raises:
        AssertionError: it is refused in something else than one sentence.
    """
    from dfcnn_ms.errors import LONGEST_SENTENCE, DfcnnError

    try:
        format.use(path)
    except DfcnnError as error:
        sentence = str(error)
        if "\n" in sentence or not sentence.isprintable() or not 0 < len(sentence) <= LONGEST_SENTENCE:
            raise AssertionError(f"not one sentence: {sentence[: 2 * LONGEST_SENTENCE]!r}") from error
        return False
    return True


def _within_limits() -> None:
    """From now on a mutant may take so much time and memory; a system without such limits has none."""
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        import resource
        import signal

        resource.setrlimit(resource.RLIMIT_AS, (BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
        signal.alarm(SECONDS)


if __name__ == "__main__":
    warnings.simplefilter("error", RuntimeWarning)
    module, name, first, count = sys.argv[1:]
    read_all(importlib.import_module(module).FORMATS[name], int(first), int(count))
