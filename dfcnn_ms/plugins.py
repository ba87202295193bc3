"""Extensions from outside: a Python file, or an installed package, that adds rows to the registries.

A plugin is imported and does the rest itself, such as ``NETWORKS["mine"] = Mine``; see ``docs/extending.md``. A file is
named on the command line (``--plugin mine.py``); an installed package names a module in its entry-point group
``dfcnn_ms``. What is in a plugin is run: load only what you trust. A checkpoint never names one.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from dfcnn_ms.environment import prepare_for_mindspore
from dfcnn_ms.errors import ConfigError, DfcnnError

FLAG = "--plugin"
GROUP = "dfcnn_ms"


def load(argv: Sequence[str]) -> list[str]:
    """Loads the installed plugins and those that the arguments of a command name; returns the other arguments."""
    load_installed()
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            return [*rest, word, *words]
        if name != FLAG:
            rest.append(word)
            continue
        file = value if equals else next(words, "")
        if not file:
            raise ConfigError(f"{FLAG}: wanted a Python file, such as {FLAG} mine.py")
        load_file(Path(file))
    return rest


@functools.cache
def load_installed() -> None:
    """Loads the plugins of installed packages, once."""
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            entry.load()
        except DfcnnError:
            raise
        except Exception as error:
            raise ConfigError(
                f"plugin {entry.name} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}; "
                "mend it or uninstall it"
            ) from error


def load_file(path: Path) -> None:
    """Loads a plugin file under the name of the file, once; loader processes find it by that name too.

    Raises:
        ConfigError: there is no such file, it cannot be run, or its name is that of another module.
    """
    path = path.absolute()
    if not path.is_file() or path.suffix != ".py":
        state = "is a directory" if path.is_dir() else "no such file" if not path.exists() else "is no Python file"
        raise ConfigError(f"{FLAG} {path}: {state}; wanted a file such as mine.py")
    name = path.stem
    other = sys.modules.get(name) or importlib.util.find_spec(name)
    origin = getattr(other, "__file__", None) or getattr(other, "origin", None)
    if name in sys.modules and origin == str(path):
        return
    if other is not None and origin != str(path):
        raise ConfigError(f"{FLAG} {path}: {name!r} is the name of another module; give the file another name")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    prepare_for_mindspore()  # the plugin may import MindSpore
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except DfcnnError:
        sys.modules.pop(name)
        raise
    except Exception as error:
        sys.modules.pop(name)
        raise ConfigError(f"{FLAG} {path}: cannot be loaded: {type(error).__name__}: {error}; mend it") from error
