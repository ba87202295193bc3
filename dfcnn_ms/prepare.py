"""``python -m dfcnn_ms.prepare CORPUS``: puts a corpus where training finds it, as manifests and audio."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import DEFAULT_CONFIG, load_config
from dfcnn_ms.corpora.options import Option
from dfcnn_ms.corpora.recipes import RECIPES, Recipe, prepare
from dfcnn_ms.errors import ConfigError, suggestion

EXAMPLE = "python -m dfcnn_ms.prepare synth --task digits --out data/digits"


def main(argv: list[str] | None = None) -> None:
    """Prepares the corpus that the arguments name, and says what was made."""
    argv = cli.with_plugins(argv)
    known, unknown = parser().parse_known_args(argv)
    options = vars(known)
    if unknown:
        cure = suggestion(unknown[0].lstrip("-"), options.keys() - {"corpus"})
        raise ConfigError(f"prepare {options['corpus']}: there is no {unknown[0]}; {cure}")
    out = options.pop("out") or options["root"]
    if out.is_file():
        flag = "--root" if out == options.get("root") else "--out"
        raise ConfigError(f"{flag} {out}: is a file; give a folder")
    what, page = options.pop("pack"), options.pop("config")
    config = load_config(page) if what else None  # what is wrong with it is told before the work
    manifests = prepare({name: value for name, value in options.items() if value is not None}, out)
    if config:
        pack(manifests, what, Frontend(config.features, config.cmvn))


def pack(manifests: Mapping[str, Path], what: str, frontend: Frontend) -> None:
    """Packs each manifest that training reads into a folder beside it: its sound, or the features of a front end."""
    from dfcnn_ms.training.pack import write_pack

    packs = [write_pack(manifest, what, frontend) for split, manifest in manifests.items() if split != "test"]
    if packs:
        print(f"packed: {', '.join(map(str, packs))}; train with data.packed=true")


def parser() -> argparse.ArgumentParser:
    """The arguments: one page for each corpus, with its own options and the layout that it expects."""
    arguments = cli.parser("prepare", "Prepare a corpus: audio, and one manifest for each split.", EXAMPLE)
    pages = arguments.add_subparsers(
        dest="corpus", required=True, metavar="CORPUS", title="corpora, each with its own --help"
    )
    for name, recipe in RECIPES.items():
        page = pages.add_parser(
            name,
            help=recipe.about,
            description=recipe.about,
            epilog=_epilog(name, recipe),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _add_options(page, recipe)
    return arguments


def _epilog(name: str, recipe: Recipe) -> str:
    example = f"example:\n  python -m dfcnn_ms.prepare {name} {recipe.example}"
    return f"on disk:\n{_indented(recipe.layout)}\n\n{example}" if recipe.layout else example


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _add_options(page: argparse.ArgumentParser, recipe: Recipe) -> None:
    for name, option in recipe.options.items():
        _add_option(page, name, option)
    # A corpus that was downloaded may keep its manifests; your own folder is not written into unasked.
    keeps = "download" in recipe.options
    default = " (default: the folder given as --root)" if keeps else ""
    page.add_argument("--out", type=Path, metavar="PATH", required=not keeps, help=f"folder for the manifests{default}")
    page.add_argument("--pack", choices=("audio", "features"), help="also pack it for training with data.packed=true")
    page.add_argument("--config", default=DEFAULT_CONFIG, help=f"--pack: whose features (default: {DEFAULT_CONFIG})")


def _add_option(page: argparse.ArgumentParser, name: str, option: Option) -> None:
    flag = f"--{name.replace('_', '-')}"
    if option.kind is bool:
        page.add_argument(flag, action="store_const", const=True, help=option.help)
        return
    metavar = None if option.choices else {int: "N", float: "X", Path: "PATH"}.get(option.kind, "TEXT")
    page.add_argument(
        flag,
        type=option.kind,
        choices=option.choices or None,
        required=option.required,
        metavar=metavar,
        help=option.help,
    )


if __name__ == "__main__":
    cli.run(main)
