"""``python -m dfcnn_ms.pack MANIFEST``: puts the sound or the features of a manifest into a few large files."""

from __future__ import annotations

from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import DEFAULT_CONFIG, load_config
from dfcnn_ms.errors import ConfigError

EXAMPLE = "python -m dfcnn_ms.pack data/digits/train.jsonl data/digits/dev.jsonl --what audio"


def main(argv: list[str] | None = None) -> None:
    """Packs each manifest into a folder beside it, and says where."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("pack", "Pack the sound or the features of manifests into MindRecord files.", EXAMPLE)
    arguments.add_argument(
        "manifests", nargs="+", type=Path, metavar="MANIFEST", help="such as data/digits/train.jsonl"
    )
    arguments.add_argument(
        "--what",
        choices=("audio", "features"),
        default="audio",
        help="16-bit sound at 16 kHz, or what the network receives, float32 (default: audio)",
    )
    arguments.add_argument("--config", default=DEFAULT_CONFIG, help=f"whose features (default: {DEFAULT_CONFIG})")
    arguments.add_argument("--shard-megabytes", type=int, default=256, help="size of a file, about (default: 256)")
    options = arguments.parse_args(argv)
    if options.shard_megabytes < 1:
        raise ConfigError(f"--shard-megabytes {options.shard_megabytes}: wanted at least 1")
    config = load_config(options.config)

    from dfcnn_ms.training.pack import write_pack

    frontend = Frontend(config.features, config.cmvn)
    for manifest in options.manifests:
        folder = write_pack(manifest, options.what, frontend, shard_bytes=options.shard_megabytes * 2**20)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{options.what} of {manifest}: {folder}, {size / 2**20:.0f} MB; train with data.packed=true")


if __name__ == "__main__":
    cli.run(main)
