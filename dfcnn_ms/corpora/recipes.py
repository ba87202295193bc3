"""Recipes: the name of a corpus and its options -> manifests on disk. ``CORPORA`` is the list of all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dfcnn_ms.corpora import synth
from dfcnn_ms.errors import ConfigError, suggestion

log = logging.getLogger(__name__)

# Each takes the folder and then options by name, and returns the manifest of each split.
CORPORA: dict[str, Callable[..., dict[str, Path]]] = {"synth": synth.prepare}
OPTIONS: dict[str, dict[str, type]] = {
    "synth": {"task": str, "seed": int, "train": int, "dev": int, "test": int, "workers": int},
}


def prepare(recipe: Mapping[str, Any], out: Path) -> dict[str, Path]:
    """Makes a corpus, or what is missing of it, as a recipe says.

    Args:
        recipe: the name of the corpus and its options: ``{"corpus": "synth", "task": "digits"}``.
        out: the folder for manifests and audio.

    Returns:
        The manifest of each split.

    Raises:
        ConfigError: the recipe names a corpus or an option that there is not.
    """
    options = dict(recipe)
    corpus = options.pop("corpus", None)
    if corpus not in CORPORA:
        raise ConfigError(f"recipe: unknown corpus {corpus!r}; choose one of: {', '.join(CORPORA)}")
    for name, value in options.items():
        _check(name, value, OPTIONS[corpus])
    manifests = CORPORA[corpus](out, **options)
    log.info("%s corpus: %s", corpus, ", ".join(f"{split} {path}" for split, path in manifests.items()))
    return manifests


def _check(name: str, value: object, known: dict[str, type]) -> None:
    if name not in known:
        raise ConfigError(f"recipe: unknown option {name!r}; {suggestion(name, known)}")
    wanted = known[name]
    if type(value) is not wanted:
        kind = "a whole number" if wanted is int else "text"
        raise ConfigError(f"recipe: {name} must be {kind}; got {value!r}")
