"""Several Mandarin corpora as one: each prepared by its own recipe, then their manifests put together.

Every id and every speaker begins with the name of its corpus, such as `thchs30-A11_0`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from dfcnn_ms.corpora import aishell, primewords, stcmds, thchs30
from dfcnn_ms.corpora.gather import SPLITS, tell_old
from dfcnn_ms.corpora.manifest import Utterance, iter_manifest, write_manifest
from dfcnn_ms.corpora.obtain import is_at_hand
from dfcnn_ms.corpora.options import READING, Option, with_options
from dfcnn_ms.corpora.public import OPTIONS as COMMON
from dfcnn_ms.corpora.public import Public
from dfcnn_ms.errors import ConfigError, DataError, suggestion

LAYOUT = """\
data/thchs30/ data/aishell/ data/stcmds/ data/primewords/     each as its own recipe expects it, or
data/data_thchs30/ data/data_aishell/ ...                     all unpacked into one folder"""

MODULES: dict[str, ModuleType] = {
    "thchs30": thchs30, "aishell": aishell, "stcmds": stcmds, "primewords": primewords,
}  # fmt: skip
OPTIONS = COMMON | READING | {"pinyin": thchs30.OPTIONS["pinyin"]}
OPTIONS |= {"corpora": Option(str, f"which, with commas between them (default: those there of {', '.join(MODULES)})")}

log = logging.getLogger(__name__)


@with_options(Public)
def prepare(public: Public, *, corpora: str = "", pinyin: str = "published", sandhi: str = "yi_bu") -> dict[str, Path]:
    """Writes the manifests of several corpora, each in a folder of its own, and those of all together.

    Args:
        public: where they are: the folder that holds the corpora; what else it says holds for each of them.
        corpora: names with commas between them; without them whatever is there is taken.
        pinyin: `read` reads the characters of THCHS-30 too, so that all labels are of one making.
        sandhi: tone sandhi to write where characters are read.
    """
    root, out = public.root, public.out
    prepared: dict[str, dict[str, Path]] = {}
    for name in _chosen(root, corpora, public.download):
        log.info("%s:", name)
        options = vars(public) | {"root": _home(root, name), "out": out / name, "pinyin": pinyin, "sandhi": sandhi}
        known = {"out", *MODULES[name].OPTIONS}
        prepared[name] = MODULES[name].prepare(**{key: value for key, value in options.items() if key in known})
    manifests = {}
    for split in SPLITS:
        parts = {name: made[split] for name, made in prepared.items() if split in made}
        if parts:
            manifests[split] = out / f"{split}.jsonl"
            write_manifest(manifests[split], _together(parts))
    tell_old(out, manifests)
    return manifests


def _chosen(root: Path, corpora: str, download: bool) -> list[str]:
    names = [name.strip() for name in corpora.split(",") if name.strip()]
    for name in names:
        if name not in MODULES:
            raise ConfigError(f"corpora: there is no {name!r} to merge; {suggestion(name, MODULES)}")
    if names:
        return list(dict.fromkeys(names))
    if download:
        raise ConfigError("--download: all corpora are 40 GB; say which with --corpora thchs30,aishell")
    there = [name for name, one in MODULES.items() if is_at_hand(_home(root, name), one.RESOURCE, one.is_there)]
    if not there:
        raise DataError(f"{root}: holds none of {', '.join(MODULES)}; see python -m dfcnn_ms.prepare all --help")
    return there


def _home(root: Path, name: str) -> Path:
    return root / name if (root / name).is_dir() else root


def _together(parts: dict[str, Path]) -> Iterator[Utterance]:
    for name, manifest in parts.items():
        for one in iter_manifest(manifest):
            speaker = f"{name}-{one.speaker}" if one.speaker else ""
            yield replace(one, id=f"{name}-{one.id}", speaker=speaker)
