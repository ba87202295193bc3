"""What stands at a path: a file that can be opened, or a sentence that says what is there instead."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from dfcnn_ms.errors import DataError

_NO_FILES: dict[str, Callable[[int], bool]] = {
    "a pipe": stat.S_ISFIFO,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    "a socket": stat.S_ISSOCK,
}


def check_file(path: Path, wanted: str, missing: str = "no such file; check the path") -> None:
    """Makes sure, without opening it, that a path is a file: to open a pipe would wait for ever.

    Args:
        path: what somebody named.
        wanted: what should be there, such as `one sound file`.
        missing: what a message says where nothing is.

    Raises:
        DataError: there is nothing, a folder, something that is no file, or no permission to look.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: {missing}") from None
    except PermissionError:
        raise DataError(f"{path}: cannot be reached; check the permissions of its folder") from None
    except (OSError, ValueError) as error:  # a ValueError is about the name, such as a zero byte in it
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{path}: is a directory; give {wanted}")
    for name, found in _NO_FILES.items():
        if found(mode):
            raise DataError(f"{path}: is {name}, not a file; write what comes from it into a file and give that")
