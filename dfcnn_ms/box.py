"""``python -m dfcnn_ms.box``: puts a network with its language model and its characters into the package."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.exporting import boxed
from dfcnn_ms.exporting.formats import FORMATS, Job
from dfcnn_ms.runtime import half
from dfcnn_ms.runtime.in_the_box import ASSETS

EXAMPLE = "python -m dfcnn_ms.box --ckpt dfcnn.ckpt --lm syllables.lmz --hanzi-model hanzi.bin"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, exports a checkpoint, writes the folder, and says how long each file is."""
    argv = cli.with_plugins(argv)
    options = _parser().parse_args(argv)
    if options.ckpt.suffix == half.SUFFIX and options.manifest:
        raise ConfigError(f"--ckpt {options.ckpt}: is in half precision already; leave out --manifest")
    with tempfile.TemporaryDirectory() as folder:
        network, said = exported(options, Path(folder))
        parts = boxed.Parts(network, options.lm, options.hanzi_model)
        files = boxed.files_of(parts, options.license)
        boxed.write_files(files, options.out, parts)
    if said:
        print(f"{options.ckpt}: {said}")
    total = sum(map(len, files.values())) / 1e6
    print(f"{cli.short(options.out)}: {total:.2f} MB; {boxed.in_words(files)}")


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("box", "Put a network into the package, for everybody who names none with --ckpt.", EXAMPLE)
    arguments.add_argument(
        "--ckpt", type=Path, required=True, help="a checkpoint, or what export --format half made of it"
    )
    arguments.add_argument(
        "--lm", type=Path, required=True, metavar="FILE", help="the n-gram model that it was tuned with"
    )
    arguments.add_argument(
        "--hanzi-model", type=Path, metavar="FILE", help="model of the characters (default: jieba's dictionary)"
    )
    arguments.add_argument(
        "--manifest", type=Path, help="recordings to check with (default: the dev set that the checkpoint remembers)"
    )
    arguments.add_argument("--license", default="", metavar="TEXT", help=f"of the network (default: {boxed.LICENCE})")
    arguments.add_argument(
        "--out", type=Path, default=ASSETS, metavar="FOLDER", help="default: dfcnn_ms/assets of this installation"
    )
    return arguments


def exported(options: argparse.Namespace, folder: Path) -> tuple[Path, str]:
    """The network in half precision, and what there is to say about it; a checkpoint becomes one in the folder."""
    if options.ckpt.suffix == half.SUFFIX:
        return options.ckpt, ""
    from dfcnn_ms.exporting import mindspore_side

    network = folder / f"network{half.SUFFIX}"
    job = Job(options.ckpt, mindspore_side.read(options.ckpt), licence=options.license, manifest=options.manifest)
    said = FORMATS["half"].write(job, network, str(options.out))
    return network, said


if __name__ == "__main__":
    cli.run(main)
