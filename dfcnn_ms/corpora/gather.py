"""From what a corpus says to manifests: look at the sound, read the characters, leave out what cannot be used.

A recipe understands one corpus and yields an :class:`Item` for each utterance, or :class:`LeftOut` for one that it
cannot use. :func:`gather` does the rest, the same for all of them.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from dfcnn_ms.audio.wave import duration
from dfcnn_ms.corpora.counts import Count, compare, table
from dfcnn_ms.corpora.manifest import Utterance, relative, write_manifest
from dfcnn_ms.errors import ConfigError, DataError, suggestion
from dfcnn_ms.files import write_text
from dfcnn_ms.text.pinyin import from_hanzi
from dfcnn_ms.text.quoting import printable
from dfcnn_ms.text.sandhi import KINDS

log = logging.getLogger(__name__)

SPLITS = ("train", "dev", "test")
#: other names that people give to the three splits
SPLIT_NAMES = {"valid": "dev", "validation": "dev", "val": "dev", "cv": "dev", "eval": "test", "testing": "test"}
SPLIT_NAMES |= {"development": "dev", "training": "train"} | {split: split for split in SPLITS}

LEFT_OUT = "left_out.tsv"
DAMAGED = "damaged sound"
#: headers are small, so a thread mostly waits for the disk
WORKERS = 8
MOST_DAMAGED = 100
SHOWN = 5
#: a table may round the end of a segment
SLACK_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """An utterance as its corpus describes it, before anybody looked at its sound.

    Attributes:
        pinyin: its labels; None if they have to be read from `text`.
        split: `train`, `dev` or `test`; empty if the corpus does not say.
        seconds: how long it is; None is to the end of the file.
        where: the file and line that say so, for an error.
    """

    id: str
    audio: Path
    split: str = ""
    pinyin: tuple[str, ...] | None = None
    text: str = ""
    speaker: str = ""
    start: float = 0.0
    seconds: float | None = None
    where: str = ""


@dataclass(frozen=True)
class LeftOut:
    """An utterance that does not get into a manifest, and why."""

    id: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Gathering:
    """How to go about it.

    Attributes:
        out: folder for the manifests.
        official: split -> what its publisher says there is.
        sandhi: tone sandhi to write where characters are read, see :func:`dfcnn_ms.text.pinyin.from_hanzi`.
        damaged: more damaged files than this are an error.
        workers: threads that look at sound files.
        words: the labels are words or characters, and no pinyin.
    """

    out: Path
    official: Mapping[str, Count]
    sandhi: str = "yi_bu"
    damaged: int = MOST_DAMAGED
    workers: int = WORKERS
    words: bool = False

    def __post_init__(self) -> None:
        there = next(place for place in (self.out.absolute(), *self.out.absolute().parents) if os.path.exists(place))
        if not there.is_dir():
            raise ConfigError(f"{self.out}: cannot be made a folder, {there} is a file; choose another with --out")
        if self.sandhi not in KINDS:
            raise ConfigError(f"sandhi cannot be {self.sandhi!r}; {suggestion(self.sandhi, KINDS)}")
        for name, least in (("damaged", 0), ("workers", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be {least} or more; got {getattr(self, name)}")


def gather(found: Iterable[Item | LeftOut], plan: Gathering) -> dict[str, Path]:
    """Writes the manifests of a corpus, and says how much of it is there.

    Returns:
        The manifest of each split that has utterances.

    Raises:
        DataError: nothing can be used, or too much is damaged.
    """
    done = list(_without_repeats(found))
    done = _measured(done, plan)
    ready = [_utterance(one, plan.out) if isinstance(one, Item) else one for one in _read(done, plan.sandhi)]
    left = [one for one in ready if isinstance(one, LeftOut)]
    splits: dict[str, list[Utterance]] = {}
    for utterance in ready:
        if isinstance(utterance, Utterance):
            splits.setdefault(utterance.split, []).append(utterance)
    if not done:
        raise DataError("no utterance was found; compare the folder with what --help of this recipe expects")
    _tell_left_out(left, plan.out)
    if not splits:
        raise DataError(f"{plan.out}: no utterance can be used; {len(left)} were left out{_example(left)}")
    log.info("%s", table(compare(_ordered(splits), plan.official)))
    manifests = _write(_ordered(splits), plan.out)
    tell_old(plan.out, manifests)
    if plan.words:
        log.info("the labels are no pinyin: set data.labels=as_written wherever you use these manifests")
    return manifests


def hold_out(
    found: Iterable[Item | LeftOut], dev: float, test: float, group: Callable[[Item], str]
) -> list[Item | LeftOut]:
    """Splits a corpus that has no splits, whole groups at a time, always in the same way.

    Groups, usually speakers, are put in the order of a hash of their names; the first become dev, the next test. With
    fewer than three groups the utterances themselves are drawn.

    Args:
        found: the utterances; what is left out stays as it is.
        dev, test: shares of the groups, from 0 to 1; a share above 0 is one group at least.
        group: what must not be in two splits, of an utterance.

    Raises:
        ConfigError: shares that are none, or that leave nothing for training.
    """
    check_shares(dev, test)
    every = list(found)
    names = {group(one) for one in every if isinstance(one, Item)}
    if 0 < len(names) < 3:
        log.info("too few speakers to hold some out: utterances are, and every split has the same voices")
        group, names = _own_id, {one.id for one in every if isinstance(one, Item)}
    split = _shared_out(sorted(names, key=_hash), dev, test)
    return [replace(one, split=split[group(one)]) if isinstance(one, Item) else one for one in every]


def check_shares(dev: float, test: float) -> None:
    """Makes sure that two shares can be held out.

    Raises:
        ConfigError: they cannot.
    """
    if not (0 <= dev < 1 and 0 <= test < 1 and dev + test < 1):
        raise ConfigError(f"dev and test are shares from 0 to 1, less than 1 in all; got {dev} and {test}")


def _shared_out(names: Sequence[str], dev: float, test: float) -> dict[str, str]:
    for_dev, for_test = (math.ceil(share * len(names)) for share in (dev, test))
    if names and for_dev + for_test >= len(names):
        raise ConfigError(
            f"dev {dev} and test {test} of {len(names)} leave none for training; give smaller shares or 0"
        )
    split = dict.fromkeys(names, "train") | dict.fromkeys(names[:for_dev], "dev")
    return split | dict.fromkeys(names[for_dev : for_dev + for_test], "test")


def split_named(name: str) -> str:
    """`dev` of `validation`, `valid`, `dev` ...; empty of any other name."""
    return SPLIT_NAMES.get(name.lower(), "")


def _own_id(item: Item) -> str:
    return item.id


def _hash(name: str) -> str:
    return hashlib.sha1(name.encode(errors="surrogatepass")).hexdigest()


def _without_repeats(found: Iterable[Item | LeftOut]) -> Iterator[Item | LeftOut]:
    seen: dict[str, Path] = {}
    for one in found:
        if isinstance(one, Item) and one.id in seen:
            yield LeftOut(one.id, "same id again", f"{one.audio} beside {seen[one.id]}")
            continue
        if isinstance(one, Item):
            seen[one.id] = one.audio
        yield one


def _measured(found: list[Item | LeftOut], plan: Gathering) -> list[Item | LeftOut]:
    """The same with the seconds of each item; an item whose sound is damaged is left out."""
    files = list(dict.fromkeys(one.audio for one in found if isinstance(one, Item)))
    with ThreadPoolExecutor(plan.workers) as pool:
        lengths = dict(zip(files, _progress(pool.map(_length, files), len(files), "sound"), strict=True))
    damaged = [str(length) for length in lengths.values() if isinstance(length, DataError)]
    if len(damaged) > plan.damaged:
        raise DataError(
            f"{len(damaged)} of {len(files)} sound files are damaged or missing, and --damaged allows {plan.damaged};"
            f" the first: {damaged[0]}"
        )
    return [_with_seconds(one, lengths[one.audio]) if isinstance(one, Item) else one for one in found]


def _length(path: Path) -> float | DataError:
    try:
        return duration(path)
    except DataError as error:
        return error


def _with_seconds(item: Item, length: float | DataError) -> Item | LeftOut:
    if isinstance(length, DataError):
        return LeftOut(item.id, DAMAGED if os.path.exists(item.audio) else "no sound file", str(length))
    end = length if item.seconds is None else item.start + item.seconds
    if not (0 <= item.start < min(end, length) and end <= length + SLACK_SECONDS):
        span = f"{item.start:g} to {end:g} s of a file of {length:g} s"
        return LeftOut(item.id, "not inside its file", f"{item.audio}: {span}")
    return replace(item, seconds=round(min(end, length) - item.start, 6))


def _read(found: list[Item | LeftOut], sandhi: str) -> Iterator[Item | LeftOut]:
    """The same with the pinyin of each item; characters that have no reading leave an item out."""
    needed = any(isinstance(one, Item) and one.pinyin is None for one in found)
    for one in _progress(found, len(found), "text") if needed else found:
        yield _with_pinyin(one, sandhi) if isinstance(one, Item) else one


def _with_pinyin(item: Item, sandhi: str) -> Item | LeftOut:
    if item.pinyin is not None:
        return item if item.pinyin else LeftOut(item.id, "no text", item.where)
    try:
        pinyin = tuple(from_hanzi(item.text, sandhi=sandhi))
    except DataError as error:
        return LeftOut(item.id, "no Mandarin reading", str(error))
    return replace(item, pinyin=pinyin) if pinyin else LeftOut(item.id, "no text", item.where)


def _progress(things: Iterable[T], total: int, unit: str) -> Iterable[T]:
    return tqdm(things, total=total, unit=unit, unit_scale=True, disable=None, leave=False, delay=2)


def _utterance(item: Item, out: Path) -> Utterance | LeftOut:
    try:
        return Utterance(
            id=item.id,
            audio=relative(item.audio, out),
            seconds=item.seconds or 0.0,
            pinyin=item.pinyin or (),
            text=item.text,
            speaker=item.speaker,
            split=item.split or "train",
            start=item.start,
        )
    except DataError as error:  # a name that is not UTF-8, for example
        return LeftOut(item.id, "cannot stand in a manifest", str(error))


def _ordered(splits: dict[str, list[Utterance]]) -> dict[str, list[Utterance]]:
    return {name: sorted(splits[name], key=lambda one: one.id) for name in SPLITS if name in splits}


def _write(splits: dict[str, list[Utterance]], out: Path) -> dict[str, Path]:
    manifests = {split: out / f"{split}.jsonl" for split in splits}
    for split, manifest in manifests.items():
        write_manifest(manifest, splits[split])
    return manifests


def tell_old(out: Path, manifests: Mapping[str, Path]) -> None:
    """Names manifests that an earlier run has left, for what is in them may be in another split now."""
    for split in SPLITS:
        if split not in manifests and (out / f"{split}.jsonl").exists():
            log.info("%s: is not of this run; delete it if an earlier one has made it", out / f"{split}.jsonl")


def _tell_left_out(left: list[LeftOut], out: Path) -> None:
    """One line for each reason, and a file with all of them."""
    if not left:
        with suppress(OSError):
            (out / LEFT_OUT).unlink()
        return
    lines = ["\t".join(" ".join(cell.split()) for cell in (one.id, one.reason, one.detail)) for one in left]
    write_text(out / LEFT_OUT, printable("\n".join(["id\treason\tdetail", *lines])) + "\n")
    for reason, count in Counter(one.reason for one in left).most_common():
        names = [printable(one.id) for one in left if one.reason == reason]
        more = " ..." if count > SHOWN else ""
        shown = ", ".join(names[:SHOWN])
        log.info("left out, %s: %d (%s%s); see %s", printable(reason), count, shown, more, out / LEFT_OUT)


def _example(left: list[LeftOut]) -> str:
    return f", such as {left[0].id}: {left[0].reason} ({left[0].detail})" if left else ""
