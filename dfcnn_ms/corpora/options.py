"""What a recipe can be told: each option once, for the command line and for the configuration page alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, TypeVar

from dfcnn_ms.errors import ConfigError, suggestion
from dfcnn_ms.text.sandhi import KINDS

Told = TypeVar("Told")
#: split -> its manifest
Manifests = dict[str, Path]

_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}


@dataclass(frozen=True)
class Option:
    """One option of a recipe; its name is the key under which it is kept.

    Attributes:
        kind: the type of its value.
        help: what it does and what happens without it.
        choices: the values that it may have; any of its type, if empty.
        required: whether the recipe cannot do without it.
    """

    kind: type
    help: str
    choices: tuple[str, ...] = ()
    required: bool = False

    def value(self, name: str, given: object) -> object:
        """The value of the option, from a configuration page.

        Raises:
            ConfigError: it has the wrong type, or is none of the choices.
        """
        wanted = {Path: (str, Path), float: (int, float)}.get(self.kind, (self.kind,))
        if not isinstance(given, wanted) or (isinstance(given, bool) and self.kind is not bool):
            raise ConfigError(f"recipe: {name} must be {_KINDS[self.kind]}; got {given!r}")
        if self.choices and given not in self.choices:
            raise ConfigError(f"recipe: {name} cannot be {given!r}; {suggestion(str(given), self.choices)}")
        return self.kind(given)


def with_options(
    kind: Callable[..., Told],
) -> Callable[[Callable[Concatenate[Told, ...], Manifests]], Callable[..., Manifests]]:
    """Lets a recipe that takes a value be called with what the value holds, beside its own options.

    >>> @with_options(Public)                   # doctest: +SKIP
    ... def prepare(public: Public, *, dev: int = 5): ...
    >>> prepare(root, out, workers=4, dev=9)    # doctest: +SKIP

    Args:
        kind: makes the value; its parameters come first.
    """

    def decorate(prepare: Callable[Concatenate[Told, ...], Manifests]) -> Callable[..., Manifests]:
        signature, shared = inspect.signature(prepare), inspect.signature(kind).parameters
        _, *own = signature.parameters.values()

        @wraps(prepare)
        def recipe(*folders: Path, **options: Any) -> Manifests:
            fields = {name: options.pop(name) for name in shared if name in options}
            return prepare(kind(*folders, **fields), **options)

        recipe.__signature__ = signature.replace(parameters=[*shared.values(), *own])  # type: ignore[attr-defined]
        return recipe

    return decorate


LABELS = ("pinyin", "characters", "as_written")

PUBLIC = {
    "root": Option(Path, "folder that holds the corpus, its archive, or nothing yet (with --download)", required=True),
    "download": Option(bool, "download what is missing, and go on where an earlier download broke off"),
    "mirror": Option(str, "address to try first, such as https://openslr.elda.org/resources"),
}
SOUND = {
    "damaged": Option(int, "give up when more sound files than this are damaged (default: 100)"),
    "workers": Option(int, "threads that look at sound files (default: 8)"),
}
READING = {"sandhi": Option(str, "tone sandhi to write when characters are read (default: yi_bu)", KINDS)}
HELD_OUT = {
    "dev": Option(float, "share of the speakers for dev (default: {dev})"),
    "test": Option(float, "share of the speakers for test (default: {test})"),
}


def held_out(dev: float, test: float) -> dict[str, Option]:
    """The options of a corpus that its publisher did not split."""
    defaults = {"dev": dev, "test": test}
    return {name: Option(float, one.help.format(**defaults)) for name, one in HELD_OUT.items()}
