"""``python -m dfcnn_ms.adapt``: a trained network learns one person's own voice, and says what that gained and cost."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.adapting.adaptation import Adaptation, adapt, check_can_learn, save
from dfcnn_ms.adapting.page import EPOCHS, LAYERS, RATE, Course, out_beside
from dfcnn_ms.adapting.sets import MOST_SHARE, SHARE, Wanted
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.comparison import Comparison
from dfcnn_ms.evaluation.results import rate_name, total
from dfcnn_ms.evaluation.runs import Run, interval
from dfcnn_ms.reporting.comparison import CHANCE
from dfcnn_ms.runtime.in_the_box import choose
from dfcnn_ms.wording import many

EXAMPLE = "python -m dfcnn_ms.adapt --ckpt dfcnn.ckpt --manifest mine/train.jsonl"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, adapts, prints before and after, and writes the new network if it is better."""
    argv = cli.with_plugins(argv)
    options = _parser().parse_args(argv)
    chosen = choose(options.ckpt)
    options.ckpt = chosen.network
    options.out = options.out or out_beside(Path(chosen.network.name) if chosen.box else chosen.network)
    check(options)
    chosen.say()

    from dfcnn_ms.training import run_folder

    held = run_folder.resumed(options.resume) if options.resume else run_folder.begun(*place(options))
    with held as begun:
        job = job_of(options, begun or options.resume)
        adapted = adapt(job)
        print(table(adapted.comparisons))
        if not adapted.is_better:
            raise DataError(
                f"{options.out}: not written, no epoch has fewer errors in what is held out than {options.ckpt}; "
                "record more, or try another --rate, --epochs or --layers"
            )
        save(job, adapted, options.out)
    print(f"adapted to {adapted.about['minutes']:g} minutes: {options.out}")


def check(options: argparse.Namespace) -> None:
    """Refuses what cannot be meant, before anything is loaded.

    Raises:
        DfcnnError: see above.
    """
    check_can_learn(options.ckpt)
    check_numbers(options)
    cli.check_output("--out", options.out, (".ckpt",))
    cli.check_inputs(options, ["--out"])
    if os.path.exists(options.out) and not options.force:
        raise ConfigError(f"--out {options.out}: is there already; give another name, or say --force")


def place(options: argparse.Namespace) -> tuple[Path, str]:
    """Where the folder of the run is made, and what it is called."""
    return options.summary_base_dir, options.out.stem


def job_of(options: argparse.Namespace, run: Path) -> Adaptation:
    """What the flags ask for."""
    share, seed = options.share, options.seed
    wanted = Wanted(options.manifest, options.dev, options.minutes, options.rehearse, share=share, seed=seed)
    course = Course(options.epochs, options.rate, share=share, seed=seed)
    return Adaptation(
        options.ckpt, wanted, course, options.layers, options.device_target, run, resumes=options.resume is not None
    )


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("adapt", "Let a trained network learn one person's own voice.", EXAMPLE)
    arguments.add_argument(
        "--ckpt", type=Path, help="default: dfcnn.ckpt; else, or for box, the network in the box; it is not changed"
    )
    arguments.add_argument(
        "--manifest", type=Path, required=True, help="recordings of the voice, as prepare writes them"
    )
    arguments.add_argument("--out", type=Path, help="default: NAME-adapted.ckpt beside the checkpoint")
    arguments.add_argument("--force", action="store_true", help="write over what is there")
    arguments.add_argument(
        "--dev", type=Path, metavar="MANIFEST", help="held out recordings (default: some of --manifest)"
    )
    arguments.add_argument("--minutes", type=float, metavar="X", help="learn no more than this of the manifest's sound")
    arguments.add_argument(
        "--rehearse", type=Path, metavar="MANIFEST",
        help="other sound to hear again, so that it is not forgotten (default: the checkpoint's own training set)",
    )  # fmt: skip
    arguments.add_argument(
        "--share", type=float, default=SHARE, help=f"of it in each epoch; 0: none (default: {SHARE})"
    )
    arguments.add_argument(
        "--layers", choices=LAYERS, help="that learn (default: all; upper where there is nothing to rehearse)"
    )
    arguments.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help=f"default: {EPOCHS}")
    arguments.add_argument(
        "--rate", type=float, help=f"peak learning rate (default: {RATE:g} times that of the checkpoint's training)"
    )
    arguments.add_argument("--seed", type=int, default=0, help="of all draws and of the training (default: 0)")
    cli.add_summary_base_dir(arguments)
    arguments.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped; same flags")
    cli.add_device_target(arguments)
    return arguments


def check_numbers(options: argparse.Namespace) -> None:
    """Refuses numbers that cannot be meant, in the words of the command line.

    Raises:
        ConfigError: see above.
    """
    above_zero = {"--minutes": options.minutes, "--rate": options.rate}
    for flag, number in above_zero.items():
        if number is not None and not 0 < number < math.inf:
            raise ConfigError(f"{flag} {number:g}: wanted a number above 0")
    if options.epochs < 1:
        raise ConfigError(f"--epochs {options.epochs}: wanted 1 or more")
    if options.seed < 0:
        raise ConfigError(f"--seed {options.seed}: wanted 0 or more")
    if not 0 <= options.share <= MOST_SHARE:
        raise ConfigError(f"--share {options.share:g}: wanted 0 to {MOST_SHARE:g}")


def table(comparisons: Mapping[str, Comparison]) -> str:
    """Before and after for people, with 95 % intervals over utterances."""
    return "\n".join(line for name, found in comparisons.items() for line in _rows(name, found))


def _rows(name: str, found: Comparison) -> Iterator[str]:
    difference = found.rows[0].difference
    sides = {"before": found.first, "after": found.second}
    count = many(len(found.first.heard), "recording")
    yield f"{name}: {rate_name(found.first.unit)} in {count}"
    yield from (f"  {side:<8}{_rate(run)}" for side, run in sides.items())
    if difference.rate and difference.p_value >= CHANCE:
        yield f"  the difference may be chance (p {difference.p_value:.2f})"


def _rate(run: Run) -> str:
    low, high = interval([one.edits for one in run.heard])
    return f"{100 * total(run.heard).rate:6.2f} %  (95 % interval {100 * low:.2f} to {100 * high:.2f})"


if __name__ == "__main__":
    cli.run(main)
