"""What ``transcribe`` does with many recordings: the flags, and the whole way from a source to a file."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dfcnn_ms import cli
from dfcnn_ms.bulk.items import Files, Item, Manifest, Source, chunks
from dfcnn_ms.bulk.listening import Heard, Setup
from dfcnn_ms.bulk.output import Before, appending, forget, look
from dfcnn_ms.bulk.ray_engine import in_ray
from dfcnn_ms.bulk.workers import in_processes
from dfcnn_ms.corpora.locks import alone
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import check_outputs
from dfcnn_ms.machine import cores
from dfcnn_ms.reporting.transcripts import layout_of
from dfcnn_ms.streaming.command import endpointing_of
from dfcnn_ms.wording import many

SUFFIX = ".jsonl"
Engine = Callable[[Setup, int, Iterable[Sequence[Item]]], Generator[list[Heard], None, None]]
#: who hears the chunks
ENGINES: dict[str, Engine] = {"local": in_processes, "ray": in_ray}
#: formats that somebody who asks for many recordings may name: a line of JSON is what there is
_FORMATS = ("txt", "json")
HOUR = 3600.0


def add_bulk_flags(arguments: argparse.ArgumentParser) -> None:
    """Adds the flags that :func:`hear_all` reads."""
    group = arguments.add_argument_group("many recordings, with --out FILE.jsonl: a line each, and what is there stays")
    group.add_argument("--manifest", type=Path, metavar="FILE", help="hear the utterances of a manifest")
    group.add_argument("--workers", type=int, metavar="N", help="processes, each on one core (default: all cores)")
    group.add_argument("--engine", choices=tuple(ENGINES), help="who runs them (default: local, this machine)")
    group.add_argument("--retry", action="store_true", help="hear again what could not be heard the last time")


def is_bulk(options: argparse.Namespace) -> bool:
    """Whether many recordings are to be written into one file.

    Raises:
        ConfigError: a flag of that is given, and no such file.
    """
    if options.out is not None and options.out.suffix == SUFFIX:
        return True
    flags = {"manifest": options.manifest, "workers": options.workers, "engine": options.engine}
    given = [flag for flag, value in flags.items() if value is not None] + ["retry"] * options.retry
    if given:
        raise ConfigError(f"--{given[0]}: is for many recordings in one file of lines; give --out FILE{SUFFIX} too")
    return False


@dataclass(frozen=True)
class Summary:
    """What a run has done, and what is in its file.

    Attributes:
        out: the file.
        lines: in it.
        failed: those among them of recordings that could not be heard, and folders that could not be looked into.
        sound, wall: hours that were heard by this run, and that it took.
        workers: how many there were.
    """

    out: Path
    lines: int
    failed: int
    sound: float
    wall: float
    workers: int

    def __str__(self) -> str:
        pace = f"{self.sound / self.wall:.0f}" if self.wall else "0"
        took = f"{self.sound:.2f} hours of sound in {self.wall:.2f} hours, {pace} hours an hour"
        return f"transcripts: {self.lines:,} in {self.out}\nheard: {took} with {many(self.workers, 'worker')}"

    def check(self) -> None:
        """Makes an error of what could not be heard.

        Raises:
            DataError: see above.
        """
        if self.failed:
            raise DataError(
                f"{self.failed:,} of {many(self.lines, 'recording')} could not be heard; the 'error' of their lines in "
                f"{self.out} says why, and --retry hears them again"
            )


def hear_all(options: argparse.Namespace, choice: Choice, words: Sequence[str]) -> Summary:
    """Hears what has no line in the file yet, and writes it there.

    Args:
        options: of the command.
        choice: the decoder.
        words: the command line, for its plugins.

    Raises:
        DfcnnError: something that is given cannot be used; what was written stays.
    """
    if options.format not in _FORMATS:
        raise ConfigError(f"--format {options.format}: --out FILE{SUFFIX} holds JSON, a line each; leave --format out")
    cli.check_output("--out", options.out)
    inputs = [options.ckpt, options.manifest, choice.lm, choice.hotwords, choice.hanzi_model, *options.files]
    check_outputs([("--out", options.out)], filter(None, inputs))
    source = source_of(options.files, options.manifest)
    setup = Setup(
        options.ckpt,
        options.device_target,
        choice,
        endpointing_of(options),
        layout_of(options),
        tuple(words),
        os.getcwd(),
    )
    workers = workers_of(options.workers)
    with alone(options.out):
        before = look(options.out, setup.made_with)
        if options.retry and before.failed:
            again = source.rest(lambda name: name not in before.failed)
            forget(options.out, {item.id for item in again})
            before = look(options.out, setup.made_with)
        return write_rest(setup, source, options.out, before, workers, ENGINES[options.engine or "local"])


def source_of(names: Sequence[str], manifest: Path | None) -> Source:
    """The recordings that were named.

    Raises:
        ConfigError: none, or in two ways.
    """
    if manifest is None:
        if not names:
            raise ConfigError("no recordings; name files or folders, or a manifest with --manifest FILE")
        return Files(names)
    if names:
        raise ConfigError(f"--manifest {manifest}: and {names[0]} as well; give the one or the other")
    return Manifest(manifest)


def workers_of(number: int | None) -> int:
    """How many there are: as many as cores, unless somebody says so.

    Raises:
        ConfigError: fewer than one.
    """
    if number is not None and number < 1:
        raise ConfigError(f"--workers {number}: wanted 1 or more")
    return number or cores()


def write_rest(
    setup: Setup,
    source: Source,
    out: Path,
    before: Before,
    workers: int,
    engine: Engine,
) -> Summary:
    """Hears the recordings of a source that have no line, in their order, and adds their lines."""
    started, sound, lines, failed = time.monotonic(), 0.0, len(before.done), len(before.failed)
    with (
        tqdm(total=max(source.count(), lines), initial=lines, unit="rec", disable=None, leave=False) as bar,
        appending(out) as append,
        closing(engine(setup, workers, chunks(source.rest(before.done.__contains__)))) as found,
    ):
        for heard in found:
            append(b"".join(one.line for one in heard))
            lines += len(heard)
            failed += sum(one.failed for one in heard)
            sound += sum(one.seconds for one in heard) / HOUR
            hours = (time.monotonic() - started) / HOUR
            bar.set_postfix_str(f"{sound:.2f} h, {sound / hours:.0f} h/h, {failed} failed", refresh=False)
            bar.update(len(heard))
    closed = len(source.closed) if isinstance(source, Files) else 0
    return Summary(out, lines, failed + closed, sound, (time.monotonic() - started) / HOUR, workers)
