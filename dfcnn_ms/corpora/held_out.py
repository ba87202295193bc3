"""What the recipes for public corpora without official splits share: some speakers are held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dfcnn_ms.corpora.counts import Count
from dfcnn_ms.corpora.gather import Item, LeftOut, check_shares, gather, hold_out
from dfcnn_ms.corpora.obtain import Resource
from dfcnn_ms.corpora.options import READING, held_out, with_options
from dfcnn_ms.corpora.public import OPTIONS as COMMON
from dfcnn_ms.corpora.public import Public

DEV = TEST = 0.02
OPTIONS = COMMON | READING | held_out(DEV, TEST)


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

    @with_options(Public)
    def prepare(public: Public, *, sandhi: str = "yi_bu", dev: float = DEV, test: float = TEST) -> dict[str, Path]:
        """Writes the manifests of the corpus; its characters are read.

        Args:
            public: where it is.
            sandhi: tone sandhi to write.
            dev, test: shares of the speakers held out; 0 for none.
        """
        plan = public.plan(official, sandhi)
        check_shares(dev, test)
        home = public.obtain(resource, is_there)
        return gather(hold_out(items(home), dev, test, person), plan)

    return prepare
