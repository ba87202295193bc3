"""``python -m dfcnn_ms.doctor data``: whether training can start with a corpus, and what would spoil its result."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.config import Config, load_config
from dfcnn_ms.corpora.doctor import can_start, examine, gather, verdict
from dfcnn_ms.corpora.findings import WARNING, Finding, Material, Split
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import replacing, write_text
from dfcnn_ms.wording import many

EXAMPLE = "python -m dfcnn_ms.doctor data data/digits/*.jsonl --config digits --report data.html"
EXIT_FINE, EXIT_PROBLEM = 0, 1
PICTURES = (".png", ".svg", ".pdf")
#: examples printed of each finding; the page and the figures have more
PRINTED = 2

DESCRIPTION = """\
Examine manifests, their audio, and what the splits have in common.

exit code:
  0 training can start
  1 it cannot; with --strict also: there are warnings
  2 a flag, the page or a manifest cannot be used"""


def main(argv: Sequence[str]) -> int:
    """Examines what the arguments name, prints what was found, and returns the exit code."""
    options = _parser().parse_intermixed_args(argv)
    cli.check_output("--report", options.report, (".html", ".htm"))
    cli.check_output("--picture", options.picture, PICTURES)
    cli.check_output("--json", options.json, (".json",))
    cli.check_inputs(options, ["--report", "--picture", "--json"])
    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: wanted 1 or more")

    overrides = [text for text in options.manifests if "=" in text and not Path(text).exists()]
    manifests = [Path(text) for text in options.manifests if text not in overrides]
    config = _config(options.config, overrides)
    jobs = 0 if options.no_audio else options.jobs or os.cpu_count() or 1
    material = gather(manifests or _named_in(config), config, jobs=jobs)
    findings = examine(material)
    for line in _lines(material, findings, listened=jobs > 0):
        print(line)
    _write(options.json, options.picture, options.report, material, findings, listened=jobs > 0)
    spoilt = any(one.severity == WARNING for one in findings) and options.strict
    return EXIT_FINE if can_start(findings) and not spoilt else EXIT_PROBLEM


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("doctor data", DESCRIPTION, EXAMPLE)
    arguments.add_argument(
        "manifests", nargs="*", metavar="MANIFEST", help="default: those that the page names; also section.key=value"
    )
    arguments.add_argument("--config", help="the page to be trained: checks that its network has enough output steps")
    arguments.add_argument("--no-audio", action="store_true", help="check the text alone: quick, and without the files")
    arguments.add_argument("--jobs", type=int, metavar="N", help="files to listen to at a time (default: one per core)")
    arguments.add_argument("--strict", action="store_true", help="exit with 1 on warnings too")
    arguments.add_argument("--report", type=Path, help="write a page for the browser here, such as data.html")
    arguments.add_argument("--picture", type=Path, help="draw lengths, speed and frequencies here, such as data.png")
    arguments.add_argument("--json", type=Path, help="write the findings here")
    return arguments


def _config(page: str | None, overrides: Sequence[str]) -> Config | None:
    if overrides and page is None:
        raise ConfigError(f"doctor data: {overrides[0]} changes a page, but none is given with --config")
    return load_config(page, overrides) if page is not None else None


def _named_in(config: Config | None) -> list[Path]:
    """The manifests of a page that are there."""
    if config is None:
        raise ConfigError("doctor data: give manifests, or a page that names them with --config")
    named = [config.data.train, config.data.dev, *filter(None, [config.data.test])]
    if not named[0].is_file():
        raise ConfigError(f"doctor data: {named[0]} of page {config.name} is not there; prepare it, or give manifests")
    return [path for path in named if path.is_file()]


def _lines(material: Material, findings: Sequence[Finding], *, listened: bool) -> Iterator[str]:
    """What is printed: the splits, the findings, the verdict."""
    width = max(len(split.name) for split in material.splits)
    for split in material.splits:
        yield f"{split.name:{width}}  {_contents(split, material.unit)}"
    for finding in findings:
        yield f"\n{finding.severity:7}  {finding.sentence}"
        yield from (f"         {example}" for example in finding.examples[:PRINTED])
        yield f"         -> {finding.cure}"
    yield ""
    yield "audio: listened to" if listened else "audio: not listened to (--no-audio)"
    yield verdict(findings)


def _contents(split: Split, unit: str) -> str:
    told = [
        many(len(split.utterances), "utterance"),
        f"{split.seconds / 3600:.2f} h",
        many(len(split.speakers), "speaker"),
        many(len(split.sentences), "distinct sentence"),
        f"{len(split.units):,} different {unit}s",
    ]
    return ", ".join(told)


def _write(
    figures: Path | None,
    picture: Path | None,
    report: Path | None,
    material: Material,
    findings: Sequence[Finding],
    *,
    listened: bool,
) -> None:
    """Writes what was asked for, and says where."""
    if figures:
        write_text(figures, json.dumps([one.to_dict() for one in findings], ensure_ascii=False, indent=2) + "\n")
        print(f"findings: {figures}")
    if picture:
        from dfcnn_ms.reporting.data_plots import draw_data

        with replacing(picture) as temporary:
            draw_data(material).savefig(temporary, dpi=110)
        print(f"picture: {picture}")
    if report:
        from dfcnn_ms.reporting.data_page import data_page

        write_text(report, data_page(material, findings, listened=listened))
        print(f"report: {report}")
