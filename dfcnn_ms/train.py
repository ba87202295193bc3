"""``python -m dfcnn_ms.train``: trains a network from a configuration page."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.config import DEFAULT_CONFIG, Config, load_config
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import is_same, replacing
from dfcnn_ms.runtime.in_the_box import choose

log = logging.getLogger(__name__)

EXAMPLE = "python -m dfcnn_ms.train --config configs/digits.yaml --device_target auto train.epochs=3"

AUTO = "auto: network, optimiser, schedule, batch, rate and decay"
#: how long other workers wait for the first one to make a corpus
PREPARATION_SECONDS = 3600


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, makes sure that there is data, trains, and says what was made."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("train", "Train a network from a configuration page.", EXAMPLE)
    arguments.add_argument("--config", help=f"a YAML page or the name of a shipped one (default: {DEFAULT_CONFIG})")
    cli.add_device_target(arguments)
    arguments.add_argument("--run", help=f"name of the run's folder (default: the name in the page; {AUTO}), numbered")
    cli.add_summary_base_dir(arguments)
    arguments.add_argument(
        "--ckpt",
        type=Path,
        default=Path("dfcnn.ckpt"),
        help="where the best network goes (default: dfcnn.ckpt)",
    )
    arguments.add_argument(
        "--init", type=Path, metavar="CKPT", help="begin with the weights of another network; box: of that in the box"
    )
    arguments.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run, such as summary/digits")
    arguments.add_argument("overrides", nargs="*", metavar="section.key=value", help="change one value of the page")
    options = arguments.parse_intermixed_args(argv)
    cli.check_output("--ckpt", options.ckpt, (".ckpt",))
    if options.resume and (options.config or options.run or options.init or options.overrides):
        raise ConfigError("--resume goes on with the run's own page: leave out --config, --run, --init and overrides")
    if options.init:
        options.init = choose(options.init).network
    config = None if options.resume else load_config(options.config or DEFAULT_CONFIG, options.overrides)
    cli.check_inputs(options, ["--ckpt"], *(() if config is None else manifests_of(config)))

    from dfcnn_ms.runtime.device import use_device
    from dfcnn_ms.training import run_folder, trainer, workers

    use_device(options.device_target)
    if workers.only_arranges():
        workers.join()
        return
    me = workers.expected()
    if config is None:
        with run_folder.resumed(options.resume, is_first=me.is_first):
            result = trainer.resume(options.resume, device_target=options.device_target)
    else:
        name = run_folder.name_of(options.run, config)
        with run_folder.begun(options.summary_base_dir, name, is_first=me.is_first) as folder:
            check_sets(config)
            prepare_missing(config, me.is_first)
            result = trainer.train(config, device_target=options.device_target, run=folder, init=options.init)
    if not me.is_first:
        return
    if not result.trained and options.ckpt.is_file():
        log.info("nothing was trained: %s stays as it is", options.ckpt)
        return
    copy_checkpoint(result.best, options.ckpt)
    log.info(
        "best dev %s error %.2f %% after %.0f s: %s; curves: mindinsight start --summary-base-dir %s",
        result.unit, 100 * result.dev_error, result.seconds, options.ckpt, result.run.parent,
    )  # fmt: skip


def manifests_of(config: Config) -> list[Path]:
    """All manifests of a page."""
    data = config.data
    return [data.train, data.dev, *([data.test] if data.test else []), *data.mix]


def check_sets(config: Config) -> None:
    """Refuses to choose the best network by sentences that it has learnt."""
    dev = config.data.dev
    for learnt in (config.data.train, *config.data.mix):
        if is_same(learnt, dev):
            raise ConfigError(
                f"data.dev {dev}: is what is trained on, so its error would say nothing about other sentences; hold "
                "some of them out, or record others, and name their manifest"
            )


def prepare_missing(config: Config, is_first: bool = True) -> None:
    """Makes the corpus of a page whose manifests are missing, if the page says how; of several workers, the first."""
    wanted = {"train": config.data.train, "dev": config.data.dev}
    missing = {split: manifest for split, manifest in wanted.items() if not manifest.is_file()}
    if not missing:
        return
    for split, manifest in missing.items():
        check_missing(split, manifest, None if config.data.recipe is None else config.data.train.parent)
    if not is_first:
        wait_for(config.data.train, config.data.dev)
        return
    from dfcnn_ms.corpora.recipes import prepare

    assert config.data.recipe is not None
    prepare(config.data.recipe, config.data.train.parent)


def check_missing(split: str, manifest: Path, out: Path | None) -> None:
    """Refuses a missing manifest that no recipe would make; ``out``: the folder of the one that there is."""
    if manifest.is_dir():
        raise DataError(f"{manifest}: is a directory; give a manifest file, such as {manifest / split}.jsonl")
    if out is None:
        raise DataError(f"{manifest}: no such manifest, and the page has no data.recipe to make it; prepare it first")
    if manifest != out / f"{split}.jsonl":
        raise DataError(
            f"{manifest}: no such manifest, and data.recipe would make {out / split}.jsonl; prepare this one first, or "
            "name that one"
        )


def wait_for(*manifests: Path) -> None:
    """Waits until another worker has made the manifests."""
    deadline = time.monotonic() + PREPARATION_SECONDS
    while not all(manifest.is_file() for manifest in manifests):
        if time.monotonic() > deadline:
            raise DataError(f"{manifests[0]}: the first worker has not made it; prepare the corpus before training")
        time.sleep(1)


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copies the best checkpoint to where the user wants it; what was there stays until the new one is whole."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


if __name__ == "__main__":
    cli.run(main)
