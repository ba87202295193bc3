"""What the recipes for public corpora without official splits share: some speakers are held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dfcnn_ms.corpora.counts import Count
from dfcnn_ms.corpora.gather import MOST_DAMAGED, WORKERS, Gathering, Item, LeftOut, check_shares, gather, hold_out
from dfcnn_ms.corpora.options import PUBLIC, READING, SOUND, held_out
from dfcnn_ms.corpora.places import Resource, obtain

DEV = TEST = 0.02
OPTIONS = PUBLIC | SOUND | READING | held_out(DEV, TEST)


def recipe(
    resource: Resource,
    is_there: Callable[[Path], bool],
    official: Mapping[str, Count],
    items: Callable[[Path], Iterable[Item | LeftOut]],
    person: Callable[[Item], str],
) -> Callable[..., dict[str, Path]]:
    """A recipe as the others are: a function of the folders and of its options.

    Args:
        resource: the archive of the corpus.
        is_there: whether a folder is that of the corpus.
        official: what its publisher says there is.
        items: the utterances in its folder.
        person: who must not be in two splits, of an utterance.
    """

    def prepare(
        root: Path,
        out: Path,
        *,
        download: bool = False,
        mirror: str = "",
        sandhi: str = "yi_bu",
        dev: float = DEV,
        test: float = TEST,
        damaged: int = MOST_DAMAGED,
        workers: int = WORKERS,
    ) -> dict[str, Path]:
        """Writes the manifests of the corpus; its characters are read.

        Args:
            root: the folder of the corpus, or the one around it.
            out: folder for the manifests.
            download: fetch the archive if it is not there.
            mirror: address to try first.
            sandhi: tone sandhi to write.
            dev, test: shares of the speakers held out; 0 for none.
            damaged: more damaged files than this are an error.
            workers: threads that look at sound files.
        """
        plan = Gathering(out, official, sandhi, damaged, workers)
        check_shares(dev, test)
        home = obtain(root, resource, is_there, download=download, mirror=mirror)
        return gather(hold_out(items(home), dev, test, person), plan)

    return prepare
