"""The error family: everything a user can cause, said in one sentence.

A message says what happened, what was got, what was wanted and what to do about it. The commands print
that sentence to stderr and exit with 2 (see :func:`dfcnn_ms.cli.run`). Anything else that escapes is a
bug in this package and keeps its traceback.
"""

from __future__ import annotations


class DfcnnError(Exception):
    """Base of every error that a user can cause and cure."""


class ConfigError(DfcnnError):
    """A configuration file, an override or an argument that cannot be used."""


class DataError(DfcnnError):
    """Audio, a manifest or a label that cannot be used; names the file and the line."""


class CheckpointError(DfcnnError):
    """A checkpoint that is missing, truncated, corrupt or made for something else."""


class DeviceError(DfcnnError):
    """A device or a package that this machine does not have."""
