"""Recipes: the name of a corpus and its options -> manifests on disk. ``RECIPES`` is the list of all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfcnn_ms.corpora import (
    aishell,
    folder,
    fsdd,
    kaldi,
    keywords,
    lhotse,
    merged,
    primewords,
    speech_commands,
    stcmds,
    strings,
    synth,
    tables,
    thchs30,
)  # fmt: skip
from dfcnn_ms.corpora.options import Option
from dfcnn_ms.corpora.sentences import TASKS
from dfcnn_ms.errors import ConfigError, suggestion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What there is to know about one way to make manifests.

    Attributes:
        prepare: takes `out`, the folder for the manifests, and the options by name; returns the manifest of each split.
        options: their names, types and help.
        about: the corpus in a few words.
        layout: what it looks like on disk; empty if nothing has to be there before.
        example: options for an example.
    """

    prepare: Callable[..., dict[str, Path]]
    options: Mapping[str, Option]
    about: str
    layout: str = ""
    example: str = ""


def _synth_count(split: str) -> Option:
    counts = ", ".join(f"{task} {synth.COUNTS[task][split]}" for task in TASKS)
    return Option(int, f"utterances (default: {counts})")


SYNTH = {
    "task": Option(str, "what is said; digits, where no text is", tuple(TASKS)),
    "text": Option(Path, "file of sentences to say instead, a line each, in characters"),
    "skip_unreadable": Option(bool, "leave out lines of it that cannot be read or that no voice says"),
    "voices": Option(str, "who speaks, divided by commas: espeak, neural, crowd (default: espeak)"),
    "seed": Option(int, "another seed says other things (default: 0)"),
    **{split: _synth_count(split) for split in ("train", "dev", "test")},
    "takes": Option(int, "people who say each sentence, in one rhythm; the neural voice speaks it once (default: 1)"),
    "words": Option(bool, "a line for each word, cut out of its utterance; for digits"),
    "workers": Option(int, "processes (default: one per core)"),
}


def _table(kind: str, about: str) -> Recipe:
    example = f"--root mine.{kind} --out data/mine"
    return Recipe(tables.recipe(kind), tables.OPTIONS, about, tables.LAYOUT.format(kind), example)


def _of(module: Any, about: str, example: str) -> Recipe:
    return Recipe(module.prepare, module.OPTIONS, about, module.LAYOUT, example)


RECIPES: dict[str, Recipe] = {
    "synth": Recipe(
        synth.prepare, SYNTH, "Mandarin spoken by espeak-ng, nothing to download",
        example="--task digits --out data/digits",
    ),
    "thchs30": _of(thchs30, "THCHS-30: 34 h of read Mandarin, with pinyin", "--root data/thchs30 --download"),
    "aishell": _of(aishell, "AISHELL-1: 179 h of read Mandarin, 400 speakers", "--root data/aishell --download"),
    "stcmds": _of(stcmds, "ST-CMDS: 110 h of Mandarin by phone, 855 speakers", "--root data/stcmds --download"),
    "primewords": _of(
        primewords, "Primewords set 1: 99 h of Mandarin by phone", "--root data/primewords --download"
    ),
    "speech_commands": _of(
        speech_commands, "Google Speech Commands 1 and 2: English words",
        "--root data/commands --download --version 1 --classes 12",
    ),
    "fsdd": _of(fsdd, "Free Spoken Digits: English digits, six speakers", "--root data/fsdd --download"),
    "keywords": _of(keywords, "single words as windows of long streams, for spotting", "--out data/keywords"),
    "strings": _of(
        strings, "strings of recorded words, as said by many people",
        "--root data/fsdd --least 3 --most 7 --out data/strings",
    ),
    "all": _of(merged, "several of the Mandarin corpora as one", "--root data --corpora thchs30,aishell"),
    "folder": _of(folder, "your own: sound files with texts beside them", "--root mine --out data/mine"),
    "tsv": _table("tsv", "your own: a table with tabs and a header"),
    "csv": _table("csv", "your own: a table with commas and a header"),
    "json": _table("json", "your own: a list of objects"),
    "jsonl": _table("jsonl", "your own: an object a line, such as NeMo's"),
    "kaldi": _of(kaldi, "your own: a Kaldi directory", "--root data/train --out data/mine"),
    "lhotse": _of(lhotse, "your own: lhotse's cuts, or recordings and supervisions", "--root mine --out data/mine"),
}  # fmt: skip


def prepare(recipe: Mapping[str, Any], out: Path) -> dict[str, Path]:
    """Makes the manifests of a corpus, and the corpus itself if a recipe can.

    Args:
        recipe: the name of the corpus and its options: ``{"corpus": "thchs30", "root": "data/thchs30"}``.
        out: the folder for manifests (and for the audio of a corpus that is made).

    Returns:
        The manifest of each split.

    Raises:
        ConfigError: the recipe names a corpus or an option that there is not, or lacks one that it needs.
        DataError: the corpus is not there, or cannot be used.
    """
    options = dict(recipe)
    corpus = options.pop("corpus", None)
    if corpus not in RECIPES:
        raise ConfigError(f"recipe: unknown corpus {corpus!r}; choose one of: {', '.join(RECIPES)}")
    known = RECIPES[corpus].options
    for name in options:
        if name not in known:
            raise ConfigError(f"recipe: unknown option {name!r}; {suggestion(name, known)}")
    for name, option in known.items():
        if option.required and name not in options:
            raise ConfigError(f"recipe: {corpus} needs {name!r}: {option.help}")
    values = {name: known[name].value(name, value) for name, value in options.items()}
    manifests = RECIPES[corpus].prepare(out=out, **values)
    log.info("%s corpus: %s", corpus, ", ".join(f"{split} {path}" for split, path in manifests.items()))
    return manifests
