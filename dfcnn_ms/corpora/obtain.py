"""Where a corpus is: unpacked already, in its archive, or still on the web."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dfcnn_ms.corpora.archives import extract, is_extracted
from dfcnn_ms.corpora.download import MIRRORS, fetch, openslr
from dfcnn_ms.errors import DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resource:
    """An archive that somebody publishes.

    Attributes:
        name: the file, as OpenSLR knows it (`18/data_thchs30.tgz`), or its whole address.
        folder: what it becomes when it is unpacked.
        size: bytes, as published.
        md5, sha256: as published, where they are.
    """

    name: str
    folder: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None

    @property
    def file(self) -> str:
        """The name of the archive on disk."""
        return self.name.rsplit("/", 1)[-1]

    def urls(self, mirror: str = "") -> tuple[str, ...]:
        """Where to get it, the mirror asked for first."""
        if "://" in self.name:
            return ((f"{mirror.rstrip('/')}/{self.file}",) if mirror else ()) + (self.name,)
        return openslr(self.name, mirrors=((mirror,) if mirror else ()) + MIRRORS)


def is_at_hand(root: Path, resource: Resource, is_there: Callable[[Path], bool]) -> bool:
    """Whether a corpus needs no download."""
    return is_there(root) or is_there(root / resource.folder) or (root / resource.file).is_file()


def obtain(
    root: Path, resource: Resource, is_there: Callable[[Path], bool], *, download: bool = False, mirror: str = ""
) -> Path:
    """The folder of a corpus: where it is, or unpacked from its archive, which is downloaded if wanted.

    Args:
        root: the folder of the corpus itself, or the folder around it.
        resource: its archive.
        is_there: whether a folder is that of the corpus.
        download: fetch the archive when it is not in `root`.
        mirror: address to try first.

    Raises:
        DataError: it is nowhere, and not to be downloaded; or the archive cannot be had or unpacked.
    """
    if root.is_file():
        raise DataError(f"{root}: is a file; give the folder that holds {resource.folder} or {resource.file}")
    for place in (root, root / resource.folder):
        if is_there(place):
            return place
    for place in root.absolute().parents:
        if place.name == resource.folder and is_there(place):
            raise DataError(f"{root}: lies inside the corpus; give {place}")
    archive, folder = root / resource.file, root / resource.folder
    if folder.is_dir() and not is_extracted(archive, folder):
        raise DataError(f"{folder}: is there, but not the whole corpus; delete it or move it away, and try again")
    if not archive.is_file():
        if not download:
            what = f"no {resource.folder} in it" if root.exists() else "no such folder"
            raise DataError(f"{root}: {what}; unpack {resource.file} there, or add --download")
        fetch(resource.urls(mirror), archive, md5=resource.md5, sha256=resource.sha256, size=resource.size)
    log.info("unpacking %s", archive)
    folder = extract(archive, folder)
    if not is_there(folder):
        raise DataError(f"{folder}: unpacked from {archive.name}, but its content is not that of the corpus")
    return folder
