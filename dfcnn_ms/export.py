"""``python -m dfcnn_ms.export``: a checkpoint as a file that needs no MindSpore."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.exporting.formats import FORMATS, Job
from dfcnn_ms.files import replacing

EXAMPLE = "python -m dfcnn_ms.export --ckpt dfcnn.ckpt --format onnx"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, writes the file, lets it listen, and says how far it is from the checkpoint."""
    argv = cli.with_plugins(argv)
    options = _parser().parse_args(argv)
    chosen = FORMATS[options.format]
    waveform = options.waveform or options.page is not None
    if waveform and not chosen.for_waves:
        raise ConfigError(f"--format {options.format}: its graph begins with features; leave out --waveform and --page")
    if options.page and options.out:
        raise ConfigError("--page makes a folder with the network in it; leave out --out")
    out = options.out or options.ckpt.with_suffix(("" if options.format != "onnx-int8" else ".int8") + chosen.suffix)
    cli.check_output("--out", out, (chosen.suffix,))
    cli.check_inputs(options, ["--out"])

    from dfcnn_ms.exporting import mindspore_side

    original = mindspore_side.read(options.ckpt)
    job = Job(options.ckpt, original, waveform, options.license, options.manifest)
    if options.page:
        write_folder(job, options.format, options.page)
        return
    with replacing(out) as temporary:
        said = chosen.write(job, temporary, str(out))
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB; {said}")


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("export", "Write a checkpoint as a file that needs no MindSpore.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, default=Path("dfcnn.ckpt"), help="default: dfcnn.ckpt")
    arguments.add_argument("--format", choices=FORMATS, default="onnx", help="default: onnx")
    arguments.add_argument("--out", type=Path, help="default: the name of the checkpoint with another ending")
    arguments.add_argument(
        "--waveform", action="store_true", help="the graph begins with samples and makes the features itself"
    )
    arguments.add_argument(
        "--page", type=Path, metavar="FOLDER", help="write a folder that recognises in a browser, offline"
    )
    arguments.add_argument(
        "--manifest", type=Path, help="recordings to check with (default: the dev set that the checkpoint remembers)"
    )
    arguments.add_argument("--license", default="", metavar="TEXT", help="of the network, kept in the file")
    return arguments


def write_folder(job: Job, name: str, folder: Path) -> None:
    """Writes a static page and the network that it runs."""
    from dfcnn_ms.serving.static_page import write_page

    with tempfile.TemporaryDirectory() as place:
        model = Path(place, "model.onnx")
        said = FORMATS[name].write(job, model, str(folder))
        write_page(model, folder)
    print(f"{folder}: a page that recognises offline; {said}")


if __name__ == "__main__":
    cli.run(main)
