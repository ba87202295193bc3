"""The error family: everything a user can cause, said in one sentence.

A message says what happened, what was got, what was wanted and what to do about it. The commands print
that sentence to stderr and exit with 2 (see :func:`dfcnn_ms.cli.run`). Anything else that escapes is a
bug in this package and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: characters of a sentence; a longer one quotes something at full length
LONGEST_SENTENCE = 1000


class DfcnnError(Exception):
    """Base of every error that a user can cause and cure: one printable line, whatever it quotes."""

    def __str__(self) -> str:
        said = super().__str__()
        line = said if said.isprintable() else "".join(map(_printable, said))
        half = LONGEST_SENTENCE // 2 - 3
        return line if len(line) <= LONGEST_SENTENCE else f"{line[:half]} ... {line[-half:]}"


class ConfigError(DfcnnError):
    """A configuration file, an override or an argument that cannot be used."""


class DataError(DfcnnError):
    """Audio, a manifest or a label that cannot be used; names the file and the line."""


class CheckpointError(DfcnnError):
    """A checkpoint that is missing, truncated, corrupt or made for something else."""


class DeviceError(DfcnnError):
    """A device or a package that this machine does not have."""


class Interrupted(DfcnnError):  # noqa: N818 (not an error)
    """Work that was stopped on request; says what was saved and how to go on."""


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def suggestion(name: str, known: Iterable[str]) -> str:
    """The cure for a misspelt name: ``did you mean 'epochs'?``, or the list of what is known."""
    names = sorted(known)
    if not names:
        return "it has none"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
