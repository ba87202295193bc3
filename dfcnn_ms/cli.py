"""The frame around every command: arguments in, one clear sentence out.

``run`` is the only place that turns an error into an exit code, and the only place that prints to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from dfcnn_ms import extras, files, plugins, stopping
from dfcnn_ms.errors import ConfigError, DataError, DfcnnError, Interrupted

USER_ERROR = 2
INTERRUPTED = stopping.INTERRUPTED

DEVICES = ("auto", "CPU", "GPU", "Ascend")

_PERMISSIONS = "check the permissions of the file and of the folders above it"
_ROOM = "make room on the disk, or choose another place"
#: what the machine says when it is in the way of a command, and what helps; anything else is a bug of ours
_CURES = {
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "allow larger files, or choose another place",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ELOOP: "mend the symbolic link",
    errno.EIO: "the disk or the network may be failing",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "close other programs",
}
#: how libraries that know no MemoryError say the same
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|out of memory|cannot allocate memory(?! in static)|allocate memory failed|memory .*not enough"
    r"|failed to map segment|can't start new thread|thread constructor failed",
    re.IGNORECASE,
)


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence in the family of ours."""

    _words: Iterable[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As usual; an error may want to see the words again."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        dashed = [word for word in self._words if word.startswith("-") and os.path.isfile(word)]
        hint = f"; a file whose name begins with a dash is written ./{dashed[0]}" if dashed else ""
        raise ConfigError(f"{self.prog}: {message}{hint}; see {self.prog} --help")


def parser(module: str, description: str, example: str) -> argparse.ArgumentParser:
    """Returns a parser for ``python -m dfcnn_ms.<module>`` whose help ends with one example."""
    arguments = _Parser(
        prog=f"python -m dfcnn_ms.{module}",
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # Only for the help: `with_plugins` has taken it away before arguments are parsed.
    arguments.add_argument(plugins.FLAG, metavar="FILE", help="Python file that adds networks, tasks, decoders, ...")
    return arguments


def with_plugins(argv: list[str] | None) -> list[str]:
    """The arguments of a command without ``--plugin FILE``, after those files were loaded; first thing it does."""
    return plugins.load(sys.argv[1:] if argv is None else argv)


def add_device_target(arguments: argparse.ArgumentParser) -> None:
    """Adds ``--device_target``, spelt as MindSpore users spell it."""
    arguments.add_argument(
        "--device_target",
        choices=DEVICES,
        default="auto",
        help="where the network runs; auto takes Ascend, else GPU, else CPU (default: auto)",
    )


def add_summary_base_dir(arguments: argparse.ArgumentParser) -> None:
    """Declares ``--summary-base-dir``, of commands that train."""
    arguments.add_argument(
        "--summary-base-dir",
        type=Path,
        default=Path("summary"),
        help="where run folders are made (default: summary)",
    )


def check_output(flag: str, path: Path | None, suffixes: tuple[str, ...] = ()) -> None:
    """Finds out before the work that its result has nowhere to go; None is no output."""
    if path is None:
        return
    if os.path.isdir(path):
        raise ConfigError(f"{flag} {path}: is a directory, wanted a file name")
    if suffixes and path.suffix not in suffixes:
        raise ConfigError(f"{flag} {path}: wanted a name that ends in {' or '.join(suffixes)}")
    folder = path.absolute().parent
    try:
        there = stat.S_ISDIR(os.stat(folder).st_mode)
    except PermissionError as error:
        raise ConfigError(f"{flag} {path}: {error.strerror}; {_PERMISSIONS}") from None
    except OSError:
        there = False
    if not there:
        raise ConfigError(f"{flag} {path}: the folder {path.parent} does not exist; make it first")
    if not os.access(folder, os.W_OK | os.X_OK) and not files.is_device(path):
        raise ConfigError(f"{flag} {path}: {path.parent} gives no permission to write into it; choose another folder")


def check_inputs(options: argparse.Namespace, flags: Iterable[str], *others: str | Path | None) -> None:
    """Makes sure before the work that no output would be written over an input, or over another output.

    Args:
        options: of the command; every path among them that is not the value of one of the flags is an input.
        flags: of outputs, such as ``--json``.
        others: further inputs.
    """
    values = dict(vars(options))
    outputs = [(flag, values.pop(flag.lstrip("-").replace("-", "_"))) for flag in flags]
    inputs = [value for value in _flat(values.values()) if isinstance(value, Path)]
    inputs += [Path(other) for other in others if other]
    files.check_outputs([(flag, path) for flag, path in outputs if path is not None], inputs)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list | tuple) else (value,)


def short(path: Path) -> Path:
    """The path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def run(main: Callable[[list[str] | None], None]) -> NoReturn:
    """Runs a command and leaves the process: 0 when done, 2 on an error that the user can cure, 130 when stopped."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _open_streams()
    with stopping.stopped_by_signals():
        sys.exit(_outcome(main))


def _open_streams() -> None:
    """A stream closed before the start is nowhere, and its number no file's; what one cannot say is escaped."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115 (it stays)
            setattr(sys, name, nowhere)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _outcome(main: Callable[[list[str] | None], None]) -> int:
    try:
        _check_folder()
        main(None)
        _flush()
    except Interrupted as stop:
        print(f"stopped: {stop}", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        stopping.leave()
    except BrokenPipeError as error:
        # The reader of our output (head, less) has left: that is not an error of ours.
        _silence(error)
    except Exception as error:
        if stopping.is_asked():  # MindSpore makes an error of its own of what stopped it
            stopping.leave()
        sentence = _sentence(error)
        if not sentence:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        _silence(error)
        return USER_ERROR
    return 0


def _sentence(error: Exception) -> str:
    """What the user can do about an error; nothing about one that is ours."""
    if isinstance(error, DfcnnError):
        return str(error)
    if isinstance(error, ImportError) and (what := extras.missing(error)):
        return what
    lines = str(error).strip().splitlines() or [""]
    if isinstance(error, MemoryError) or any(map(_OUT_OF_MEMORY.search, lines)):
        what = lines[0] and f": {lines[0]}"
        return f"not enough memory{what}; close other programs, or give the work in smaller pieces"
    if isinstance(error, OSError) and error.errno in _CURES:
        what = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "what is read or written"
        return f"{what}: {os.strerror(error.errno)}; {_CURES[error.errno]}"
    return ""


def _check_folder() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise ConfigError("the folder that this command runs in was deleted; change into another one") from None


def _flush() -> None:
    """What was printed may only now meet a full disk."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"standard output: cannot be written: {error.strerror}; send it somewhere else") from None


def _silence(error: BaseException) -> None:
    """All is said: what the way out can neither print nor throw away because of the same error is not told again."""
    if isinstance(error.__context__, OSError):
        sys.unraisablehook = lambda _: None
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if stopping.is_the_command():  # until `run` begins, while modules are imported
    stopping.stop_at_once()
