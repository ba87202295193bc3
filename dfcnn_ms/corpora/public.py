"""What the recipes for public corpora share: where the corpus is, and how to go about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from dfcnn_ms.corpora.counts import Count
from dfcnn_ms.corpora.gather import MOST_DAMAGED, WORKERS, Gathering
from dfcnn_ms.corpora.obtain import Resource, obtain
from dfcnn_ms.corpora.options import PUBLIC, SOUND

OPTIONS = PUBLIC | SOUND


@dataclass(frozen=True)
class Public:
    """What every recipe for a public corpus is told.

    Attributes:
        root: the folder of the corpus, or the one around it.
        out: folder for the manifests.
        download: fetch the archive if it is not there.
        mirror: address to try first.
        damaged: more damaged files than this are an error.
        workers: threads that look at sound files.
    """

    root: Path
    out: Path
    _: KW_ONLY
    download: bool = False
    mirror: str = ""
    damaged: int = MOST_DAMAGED
    workers: int = WORKERS

    def plan(self, official: Mapping[str, Count], sandhi: str = "yi_bu", *, words: bool = False) -> Gathering:
        """How to gather; made first, so that a wrong option is told before gigabytes are moved."""
        return Gathering(self.out, official, sandhi, self.damaged, self.workers, words)

    def obtain(self, resource: Resource, is_there: Callable[[Path], bool]) -> Path:
        """The folder of the corpus, see :func:`dfcnn_ms.corpora.obtain.obtain`."""
        return obtain(self.root, resource, is_there, download=self.download, mirror=self.mirror)
