"""``python -m dfcnn_ms.average``: the mean of several networks of one run, often better than each of them."""

from __future__ import annotations

from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import check_outputs

EXAMPLE = "python -m dfcnn_ms.average --run summary/mandarin --best 5 --out dfcnn.ckpt"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, averages, and says of what."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("average", "Average the weights of several checkpoints.", EXAMPLE)
    arguments.add_argument("ckpts", nargs="*", type=Path, metavar="CKPT", help="the checkpoints")
    arguments.add_argument("--run", type=Path, help="instead: the best ones that this run has kept (train.keep_best)")
    arguments.add_argument("--best", type=int, default=5, metavar="K", help="how many of them (default: 5)")
    arguments.add_argument("--out", type=Path, default=Path("dfcnn.ckpt"), help="default: dfcnn.ckpt")
    options = arguments.parse_args(argv)
    cli.check_output("--out", options.out, (".ckpt",))
    cli.check_inputs(options, ["--out"])
    if bool(options.ckpts) == bool(options.run):
        raise ConfigError("average: give either checkpoints or --run")

    from dfcnn_ms.training import averaging

    paths = options.ckpts or averaging.best_of(options.run, options.best)
    check_outputs([("--out", options.out)], paths)
    averaging.save_mean(options.out, paths)
    print(f"mean of {', '.join(path.name for path in paths)}: {options.out}")


if __name__ == "__main__":
    cli.run(main)
