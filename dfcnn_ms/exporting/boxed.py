"""From a network, its language model and its characters to the folder of the network in the box.

What goes in is refused here where it would not do for everybody: a network without weights of its language model, one
that knows where the data of its training lay, more bytes than an installation should take.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dfcnn_ms.decoding import BeamSearch
from dfcnn_ms.decoding.hanzi import HanziModel
from dfcnn_ms.decoding.hanzi.compact import packed
from dfcnn_ms.decoding.ngram import NgramModel
from dfcnn_ms.decoding.tune import TUNED
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import check_outputs, replacing
from dfcnn_ms.runtime import half
from dfcnn_ms.runtime.in_the_box import (
    CHARACTERS,
    CONTENTS,
    LANGUAGE,
    MOST_BYTES,
    NETWORK,
    contents_of,
)
from dfcnn_ms.runtime.meta import Meta

#: what the network says about its licence, unless it is told more
LICENCE = "see LICENSE.md beside this file"


@dataclass(frozen=True)
class Parts:
    """What the box is made of.

    Attributes:
        network: the file of a network in half precision.
        language: the file of an n-gram model of its syllables.
        characters: the file of a model of the characters; None: everybody has jieba's dictionary.
    """

    network: Path
    language: Path
    characters: Path | None = None


def files_of(parts: Parts, licence: str = "") -> dict[str, bytes]:
    """The files of the box by name, the table of contents last: the same bytes for the same parts.

    Raises:
        DfcnnError: a part cannot be used, or all together are too long.
    """
    files = {NETWORK: _network(parts, licence), LANGUAGE: _language(parts.language)}
    if parts.characters:
        files[CHARACTERS] = packed(HanziModel.load(parts.characters))
    files[CONTENTS] = contents_of(files)
    if (total := sum(map(len, files.values()))) > MOST_BYTES:
        raise ConfigError(
            f"the box would have {total / 1e6:.1f} MB ({in_words(files)}), at most {MOST_BYTES / 1e6:g} are allowed; "
            "prune the language model (python -m dfcnn_ms.ngram prune), or leave --hanzi-model out"
        )
    return files


def write_files(files: Mapping[str, bytes], folder: Path, parts: Parts) -> None:
    """Writes the box over what was in the folder; the table of contents, which names the others, last.

    Raises:
        ConfigError: a part would be written over.
    """
    check_outputs(
        [("--out", folder / name) for name in files], filter(None, (parts.network, parts.language, parts.characters))
    )
    if CHARACTERS not in files:
        (folder / CHARACTERS).unlink(missing_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)


def in_words(files: Mapping[str, bytes]) -> str:
    """How long each file is."""
    return ", ".join(f"{name} {len(content) / 1e6:.2f} MB" for name, content in files.items() if name != CONTENTS)


def _network(parts: Parts, licence: str) -> bytes:
    stored = half.read(parts.network)
    _check(stored.meta, parts)
    page = json.loads(replace(stored.meta, manifests={}).to_json())
    public = Meta.from_json(json.dumps(_without_folders(page)), where=str(parts.network))
    return replace(stored, meta=public, licence=licence or LICENCE).to_bytes()


def _check(meta: Meta, parts: Parts) -> None:
    """Refuses what would not write sentences in pinyin, with its language model and weights for it."""
    where = parts.network
    if meta.config.task.outputs != BeamSearch.reads or meta.config.data.labels != "pinyin":
        raise ConfigError(f"{where}: the network in the box writes sentences in pinyin, by CTC; this one does not")
    if missing := sorted(TUNED - set(meta.decoding)):
        raise ConfigError(
            f"{where}: has no {' and no '.join(missing)} for its language model; find them with python -m "
            f"dfcnn_ms.ngram tune --ckpt {where} --lm {parts.language}"
        )
    NgramModel.load(parts.language).scorer(meta.vocabulary.symbols)


def _language(path: Path) -> bytes:
    """The binary of a model, of whatever kind its file is."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder, LANGUAGE)
        NgramModel.load(path).save(binary)
        return binary.read_bytes()


def _without_folders(value: Any) -> Any:
    """A page in which every absolute path is its last part: what lay on one machine means nothing on another."""
    if isinstance(value, dict):
        return {_without_folders(key): _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value
