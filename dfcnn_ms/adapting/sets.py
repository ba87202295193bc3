"""The four sets of an adaptation: what teaches the voice, what is held out of it, what is rehearsed, what was known.

All are drawn from a seed. What is held out does not depend on how many minutes of the rest are used, and fewer minutes
are part of more, so that a curve over minutes compares like with like.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dfcnn_ms.corpora.manifest import Utterance, read_labelled, read_manifest, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import is_same
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.wording import many

log = logging.getLogger(__name__)

#: recordings that are held out: this share of them, and at least so many
HELD_OUT, LEAST_HELD_OUT = 0.1, 3
#: fewer recordings than this teach nothing that holds for others
LEAST_TAUGHT = 5
#: of the rehearsal in what is heard in an epoch, and the most that can be asked for
SHARE, MOST_SHARE = 0.5, 0.95
#: most recordings that show how much of what was known is still known
MOST_KNOWN = 200
#: which draw it is, so that one does not depend on another
_HOLDING_OUT, _MINUTES, _REHEARSING, _KNOWN = range(4)


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        manifest: recordings of the voice.
        dev: what is held out of them, where that is a manifest of its own.
        minutes: use at most so much of the manifest's sound; None: all.
        rehearse: other sound that is rehearsed; None: all corpora that the network was trained on and that are still
            there, each by its weight.
        share: of the rehearsal in what is heard in an epoch; 0: none.
        seed: of every draw.
    """

    manifest: Path
    dev: Path | None = None
    minutes: float | None = None
    rehearse: Path | None = None
    share: float = SHARE
    seed: int = 0


@dataclass(frozen=True)
class Sets:
    """Manifests of the four sets, and how much sound they have.

    Attributes:
        taught: recordings of the voice that are learnt.
        held_out: others of them, by which the best epoch is chosen.
        rehearsed: other sound that is heard again meanwhile; None: there is none.
        known: other sound that tells what was forgotten; None: there is none.
        recordings: how many of the voice are learnt.
        minutes, rehearsed_minutes: of sound that is learnt, and rehearsed.
    """

    taught: Path
    held_out: Path
    rehearsed: Path | None
    known: Path | None
    recordings: int
    minutes: float
    rehearsed_minutes: float


@dataclass(frozen=True)
class Drawn:
    """The utterances of the four sets; those that do not exist are empty."""

    taught: Sequence[Utterance]
    held_out: Sequence[Utterance]
    rehearsed: Sequence[Utterance]
    known: Sequence[Utterance]

    def written(self, folder: Path) -> Sets:
        """The same as manifests in a folder."""
        paths = {name: folder / f"{name}.jsonl" for name, found in vars(self).items() if found}
        for name, path in paths.items():
            write_manifest(path, getattr(self, name))
        return Sets(
            paths["taught"], paths["held_out"], paths.get("rehearsed"), paths.get("known"),
            len(self.taught), _minutes(self.taught), _minutes(self.rehearsed),
        )  # fmt: skip


def draw(meta: Meta, wanted: Wanted) -> Drawn:
    """Chooses the recordings of an adaptation.

    Args:
        meta: of the network, which must be able to write what is said in them.
        wanted: what is asked for.

    Raises:
        ConfigError: one manifest is asked to be two of the sets.
        DataError: a manifest is missing or wrong, something in it cannot be learnt, or there is too little.
    """
    _check_different(wanted)
    voice = read_writable(meta, wanted.manifest)
    if wanted.dev is None:
        held_out, rest = split(voice, HELD_OUT, wanted.seed)
    else:
        held_out, rest = read_writable(meta, wanted.dev), voice
    taught = some_minutes(rest, wanted)
    if len(taught) < LEAST_TAUGHT:
        limit = "" if wanted.minutes is None else f" in --minutes {wanted.minutes:g}"
        raise DataError(
            f"{wanted.manifest}: leaves {many(len(taught), 'recording')}{limit} to learn from"
            f"{'' if wanted.dev else f' besides {len(held_out)} that are held out'}, wanted at least {LEAST_TAUGHT}; "
            "record more"
        )
    rehearsed, known = _what_it_knew(meta, wanted, len(taught))
    return Drawn(taught, held_out, rehearsed, known)


def _check_different(wanted: Wanted) -> None:
    named = {"--manifest": wanted.manifest, "--dev": wanted.dev, "--rehearse": wanted.rehearse}
    given = [(flag, path) for flag, path in named.items() if path is not None]
    for place, (flag, path) in enumerate(given):
        for other, its in given[:place]:
            if is_same(path, its):
                raise ConfigError(f"{flag} {path}: is {other} too; give other recordings, or leave {flag} out")


def read_writable(meta: Meta, manifest: Path) -> list[Utterance]:
    """The utterances of a manifest as they stand there, if the network can be taught each of them.

    Raises:
        DataError: as :func:`~dfcnn_ms.corpora.manifest.read_labelled`; for a label or a length that cannot be taught.
    """
    for one in _labelled(meta, manifest):
        if complaint := _complaint(meta, one):
            raise DataError(complaint)
    return read_manifest(manifest)


def _labelled(meta: Meta, manifest: Path) -> list[Utterance]:
    return read_labelled(manifest, meta.config.data.labels, label=meta.config.task.label)


def _complaint(meta: Meta, utterance: Utterance) -> str:
    """Why the network cannot be taught an utterance that is labelled as it writes, or nothing."""
    most = meta.config.data.max_seconds
    if utterance.seconds > most:
        return f"{utterance.where}: {utterance.seconds:g} s is longer than the {most:g} s of its training; cut it"
    try:
        meta.config.task.target(utterance.pinyin, meta.vocabulary, utterance.where)
    except DataError as error:
        return f"{error}; it learns no new units: correct the label or leave the recording out"
    return ""


def split(utterances: Sequence[Utterance], share: float, seed: int) -> tuple[list[Utterance], list[Utterance]]:
    """A share of utterances, at least a few, and the others; both in the order of the manifest."""
    count = max(LEAST_HELD_OUT, round(share * len(utterances)))
    order = np.random.default_rng((seed, _HOLDING_OUT)).permutation(len(utterances))
    return _in_order(utterances, order[:count]), _in_order(utterances, order[count:])


def some_minutes(utterances: Sequence[Utterance], wanted: Wanted) -> list[Utterance]:
    """As many utterances as last no longer than ``wanted.minutes``; of fewer minutes they are part of those of more."""
    if wanted.minutes is None:
        return list(utterances)
    if _minutes(utterances) < wanted.minutes:
        log.warning("%s: has %.1f minutes to learn from, all are used", wanted.manifest, _minutes(utterances))
    order = np.random.default_rng((wanted.seed, _MINUTES)).permutation(len(utterances))
    ends = np.cumsum([utterances[index].seconds for index in order])
    return _in_order(utterances, order[: int(np.searchsorted(ends, 60 * wanted.minutes, side="right"))])


def _what_it_knew(meta: Meta, wanted: Wanted, taught: int) -> tuple[list[Utterance], list[Utterance]]:
    """What is rehearsed besides so many recordings of the voice, and what tells how much was forgotten."""
    known = _remembered(meta, Path(meta.manifests.get("dev", "")), wanted)
    pools = _heard_before(meta, wanted) if wanted.share or wanted.rehearse or not known else []
    if pools and not known:
        parted = [(*split(pool, HELD_OUT, wanted.seed), weight) for pool, weight in pools]
        known = _together([held_out for held_out, _, _ in parted])
        pools = [(rest, weight) for _, rest, weight in parted]
    count = round(taught * wanted.share / (1 - wanted.share))
    rehearsed = [
        _some(pool, so_many, (wanted.seed, _REHEARSING, place))
        for place, (pool, so_many) in enumerate(_shared_out(pools, count))
    ]
    return _together(rehearsed), _some(known, MOST_KNOWN, (wanted.seed, _KNOWN))


def _heard_before(meta: Meta, wanted: Wanted) -> list[tuple[list[Utterance], float]]:
    """What can be rehearsed of each corpus that has anything, and the weight of it."""
    if wanted.rehearse is not None:
        pool = _usable(meta, wanted.rehearse)
        if not pool:
            raise DataError(f"{wanted.rehearse}: holds nothing that this network writes; rehearse something else")
        return [(pool, 1.0)]
    found = [(_remembered(meta, path, wanted), weight) for path, weight in meta.learnt.items()]
    return [(pool, weight) for pool, weight in found if pool]


def _shared_out(pools: Sequence[tuple[list[Utterance], float]], count: int) -> list[tuple[list[Utterance], int]]:
    """How many of each pool make up so many by the weights; what a small one lacks the others give."""
    found = []
    left = sum(weight for _, weight in pools)
    for pool, weight in sorted(pools, key=lambda one: len(one[0]) / one[1]):
        so_many = min(len(pool), round(count * weight / left))
        found.append((pool, so_many))
        count, left = count - so_many, left - weight
    return found


def _together(pools: Sequence[Sequence[Utterance]]) -> list[Utterance]:
    """The utterances of several corpora, which may have named them alike."""
    if len(pools) == 1:
        return list(pools[0])
    return [replace(one, id=f"{place}-{one.id}") for place, pool in enumerate(pools, start=1) for one in pool]


def _remembered(meta: Meta, path: Path, wanted: Wanted) -> list[Utterance]:
    """What can be used of a set that the network remembers; nothing where it is gone, or is asked to be another set."""
    others = [other for other in (wanted.manifest, wanted.dev, wanted.rehearse) if other is not None]
    if not path.is_file() or any(is_same(path, other) for other in others):
        return []
    try:
        return _usable(meta, path)
    except DataError as error:
        log.warning("%s, which the network remembers, cannot be used: %s", path, error)
        return []


def _usable(meta: Meta, manifest: Path) -> list[Utterance]:
    """The utterances of a manifest, as they stand there, that the network can be taught."""
    every = zip(read_manifest(manifest), _labelled(meta, manifest), strict=True)
    return [utterance for utterance, labelled in every if not _complaint(meta, labelled)]


def _some(utterances: Sequence[Utterance], count: int, seed: tuple[int, ...]) -> list[Utterance]:
    """So many utterances, or all if there are fewer."""
    return _in_order(utterances, np.random.default_rng(seed).permutation(len(utterances))[:count])


def _in_order(utterances: Sequence[Utterance], places: np.ndarray) -> list[Utterance]:
    return [utterances[place] for place in sorted(places)]


def _minutes(utterances: Sequence[Utterance]) -> float:
    return sum(utterance.seconds for utterance in utterances) / 60
