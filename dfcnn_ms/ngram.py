"""``python -m dfcnn_ms.ngram``: trains, measures, prunes, converts and tunes n-gram language models."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dfcnn_ms import cli
from dfcnn_ms.decoding import DECODERS, Decoder
from dfcnn_ms.decoding.beam import BEAM
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.ngram import NgramModel, train
from dfcnn_ms.decoding.ngram.pruning import check_threshold
from dfcnn_ms.decoding.ngram.sentences import read_sentences
from dfcnn_ms.decoding.options import decoders
from dfcnn_ms.decoding.tune import Grid, Trial, tune
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.evaluate import each_output, read_set, remembered
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime.loaders import loader_of
from dfcnn_ms.wording import unread

EXAMPLE = "python -m dfcnn_ms.ngram train --text train.txt --order 3 --out lm.bin"

SUFFIXES = (".arpa", ".bin", ".lmz")
#: utterances that tuning listens to, when the development set is larger
MOST_UTTERANCES = 1000


def main(argv: list[str] | None = None) -> None:
    """Does what the first argument says."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("ngram", "Language models: n-grams of syllables, or of any other tokens.", EXAMPLE)
    pages = arguments.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    for name, action in ACTIONS.items():
        page = pages.add_parser(
            name,
            help=action.about,
            description=action.about[0].upper() + action.about[1:] + ".",
            epilog=f"example:\n  python -m dfcnn_ms.ngram {name} {action.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        action.add_flags(page)
    options = arguments.parse_args(argv)
    ACTIONS[options.action].run(options)


@dataclass(frozen=True)
class Action:
    """One thing that the command does."""

    about: str
    example: str
    add_flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def _add_text(arguments: argparse.ArgumentParser, *, required: bool) -> None:
    arguments.add_argument(
        "--text",
        nargs="+",
        type=Path,
        required=required,
        metavar="FILE",
        help="one sentence a line, syllables between blanks; .tsv: the column pinyin; .jsonl: a manifest",
    )
    kinds = arguments.add_mutually_exclusive_group()
    kinds.add_argument("--hanzi", action="store_true", help="the text is in Chinese characters; read it as syllables")
    kinds.add_argument("--as-written", action="store_true", help="take what stands between blanks as it is")
    arguments.add_argument("--skip-unreadable", action="store_true", help="leave out lines that are not of this kind")


def _add_model(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--lm", type=Path, required=True, metavar="FILE", help="a model, .arpa (also .gz), .bin, .lmz"
    )


def _add_out(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=".arpa is text, .bin is mapped into memory, .lmz is a sixth as long, in 255 steps of probability",
    )


def _add_train(arguments: argparse.ArgumentParser) -> None:
    _add_text(arguments, required=False)
    arguments.add_argument("--manifest", nargs="+", type=Path, metavar="FILE", help="the labels of manifests as well")
    arguments.add_argument("--order", type=int, default=3, metavar="N", help="longest n-gram, 1 to 5 (default: 3)")
    arguments.add_argument(
        "--min-count",
        nargs="+",
        type=int,
        default=[1],
        metavar="N",
        help="leave out rarer n-grams; one number for each length, the last for all longer ones (default: 1)",
    )
    arguments.add_argument(
        "--prune", type=float, metavar="X", help="leave out n-grams that change the perplexity by less, such as 1e-7"
    )
    _add_out(arguments)


def _add_perplexity(arguments: argparse.ArgumentParser) -> None:
    _add_model(arguments)
    _add_text(arguments, required=True)


def _add_prune(arguments: argparse.ArgumentParser) -> None:
    _add_model(arguments)
    arguments.add_argument(
        "--threshold",
        type=float,
        required=True,
        metavar="X",
        help="leave out n-grams that change the perplexity by less, relative to before; such as 1e-7",
    )
    _add_out(arguments)


def _add_convert(arguments: argparse.ArgumentParser) -> None:
    _add_model(arguments)
    _add_out(arguments)


def _add_tune(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--ckpt", type=Path, default=Path("dfcnn.ckpt"), help="the result is written into it (default: dfcnn.ckpt)"
    )
    _add_model(arguments)
    arguments.add_argument(
        "--manifest", type=Path, metavar="FILE", help="default: the dev set that the checkpoint remembers"
    )
    arguments.add_argument("--decoder", choices=tuple(DECODERS), default="beam", help="default: beam")
    arguments.add_argument("--beam", type=int, metavar="N", help=f"width of the search (default: {BEAM}), kept too")
    arguments.add_argument(
        "--min-log-prob", type=float, metavar="X", help="leave out syllables less probable, such as -8; kept too"
    )
    arguments.add_argument(
        "--weights", nargs="+", type=float, default=Grid().lm_weights, metavar="X", help="weights to try first"
    )
    arguments.add_argument(
        "--bonuses", nargs="+", type=float, default=Grid().length_bonuses, metavar="X", help="bonuses to try first"
    )
    cli.add_device_target(arguments)


def train_model(options: argparse.Namespace) -> None:
    """Estimates a model."""
    cli.check_output("--out", options.out, SUFFIXES)
    cli.check_inputs(options, ["--out"])
    files = [*(options.text or []), *(options.manifest or [])]
    if not files:
        raise ConfigError("nothing to train on; give --text train.txt or --manifest train.jsonl")
    if options.prune is not None:
        check_threshold(options.prune)
    start = time.perf_counter()
    model = train(_sentences(files, options), options.order, options.min_count)
    if options.prune is not None:
        model = model.pruned(options.prune)
    model.save(options.out)
    print(f"{_described(model, options.out)} in {time.perf_counter() - start:.1f} s")


def print_perplexity(options: argparse.Namespace) -> None:
    """Measures a model."""
    found = NgramModel.load(options.lm).score(_sentences(options.text, options))
    print(f"perplexity              {found.perplexity:.3f}")
    print(f"perplexity without OOV  {found.perplexity_of_known:.3f}")
    print(f"tokens                  {found.tokens} in {found.sentences} sentences, their ends included")
    print(f"OOV                     {found.unknown} tokens that the model does not know")


def prune_model(options: argparse.Namespace) -> None:
    """Makes a model smaller."""
    cli.check_output("--out", options.out, SUFFIXES)
    cli.check_inputs(options, ["--out"])
    check_threshold(options.threshold)
    model = NgramModel.load(options.lm)
    pruned = model.pruned(options.threshold)
    pruned.save(options.out)
    print(f"{_described(pruned, options.out)}, of {sum(model.counts):,} before")


def convert_model(options: argparse.Namespace) -> None:
    """Writes a model in another format."""
    cli.check_output("--out", options.out, SUFFIXES)
    cli.check_inputs(options, ["--out"])
    model = NgramModel.load(options.lm)
    model.save(options.out)
    print(_described(model, options.out))


def tune_model(options: argparse.Namespace) -> None:
    """Fits weight and length bonus, and writes them into the checkpoint."""
    choice = Choice(decoder=options.decoder, beam=options.beam, lm=options.lm)
    choice.check()
    if options.min_log_prob is not None and not options.min_log_prob <= 0:
        raise ConfigError(
            f"--min-log-prob {options.min_log_prob:g}: wanted the logarithm of a probability, 0 or less, such as -8"
        )
    NgramModel.load(options.lm)  # what is wrong with it is told before the network loads
    grid = Grid(tuple(options.weights), tuple(options.bonuses))
    recognizer = Recognizer.load(options.ckpt, options.device_target)
    manifest = options.manifest or remembered(recognizer, options.ckpt, "dev")
    utterances = read_set(recognizer, manifest)
    utterances = utterances[:: -(-len(utterances) // MOST_UTTERANCES)]
    references = [recognizer.vocabulary.encode(one.pinyin, where=one.where, allow_unknown=True) for one in utterances]
    wide = {} if options.min_log_prob is None else {"min_log_prob": options.min_log_prob}
    search = decoders(choice, recognizer.vocabulary, wide, recognizer.task.outputs).decoder
    outputs = {index: log_probs.copy() for index, log_probs in each_output(recognizer, utterances)}
    log_probs = [outputs[index] for index in range(len(utterances))]
    best = tune(search, log_probs, references, grid, watch=_print_trial)
    _store(options.ckpt, best, search)
    print(f"{_row(best)}: the best on {len(utterances)} utterances of {manifest}, now in {options.ckpt}")


ACTIONS = {
    "train": Action("estimate a model from text", "--text train.txt --order 3 --out lm.bin", _add_train, train_model),
    "perplexity": Action("measure a model on text", "--lm lm.bin --text test.txt", _add_perplexity, print_perplexity),
    "prune": Action("make a model smaller", "--lm lm.bin --threshold 1e-7 --out small.bin", _add_prune, prune_model),
    "convert": Action("write a model in another format", "--lm lm.arpa --out lm.bin", _add_convert, convert_model),
    "tune": Action(
        "fit weight and length bonus to a checkpoint", "--ckpt dfcnn.ckpt --lm lm.bin", _add_tune, tune_model
    ),
}


def _sentences(files: Sequence[Path], options: argparse.Namespace) -> Iterator[list[str]]:
    written = "hanzi" if options.hanzi else "as_written" if options.as_written else "pinyin"
    skipped: list[DataError] = []
    found = read_sentences(files, written, skip=skipped.append if options.skip_unreadable else None)
    yield from tqdm(found, unit=" sentences", disable=None, leave=False, delay=2)
    if skipped:
        print(unread(skipped))


def _described(model: NgramModel, path: Path) -> str:
    counts = " + ".join(f"{count:,}" for count in model.counts)
    return f"{path}: order {model.order}, {counts} n-grams, {path.stat().st_size / 1e6:.1f} MB"


def _row(trial: Trial) -> str:
    values = f"weight {trial.lm_weight:.3g}, length bonus {trial.length_bonus:.3g}"
    return f"{values}, error rate {100 * trial.edits.rate:.2f} %"


def _print_trial(trial: Trial) -> None:
    tqdm.write(_row(trial))


def _store(ckpt: Path, best: Trial, search: Decoder) -> None:
    """The two weights, and how wide the search was for which they are the best."""
    wide = {name: getattr(search, name) for name in ("beam", "min_log_prob") if hasattr(search, name)}
    found = {"lm_weight": best.lm_weight, "length_bonus": best.length_bonus, **wide}
    loader_of(ckpt).update_decoding(ckpt, found)


if __name__ == "__main__":
    cli.run(main)
