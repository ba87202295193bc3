"""The frame around every command: arguments in, one clear sentence out.

``run`` is the only place that turns an error into an exit code, and the only place that prints to stderr.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from dfcnn_ms import plugins
from dfcnn_ms.errors import ConfigError, DfcnnError, Interrupted

USER_ERROR = 2
INTERRUPTED = 130

DEVICES = ("auto", "CPU", "GPU", "Ascend")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence in the family of ours."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help")


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


def check_output(flag: str, path: Path | None, suffixes: tuple[str, ...] = ()) -> None:
    """Finds out before the work that its result has nowhere to go; None is no output."""
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{flag} {path}: is a directory, wanted a file name")
    if suffixes and path.suffix not in suffixes:
        raise ConfigError(f"{flag} {path}: wanted a name that ends in {' or '.join(suffixes)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{flag} {path}: the folder {path.parent} does not exist; make it first")


def short(path: Path) -> Path:
    """The path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def run(main: Callable[[list[str] | None], None]) -> NoReturn:
    """Runs a command and leaves the process: 0 when done, 2 on an error that the user can cure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(None)
    except Interrupted as stop:
        print(f"stopped: {stop}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except DfcnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output (head, less) has left: that is not an error of ours.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(0)
