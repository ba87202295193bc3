"""``python -m dfcnn_ms.hanzi``: Chinese characters for toned or toneless pinyin."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from dfcnn_ms import cli
from dfcnn_ms.corpora.manifest import iter_manifest
from dfcnn_ms.decoding.hanzi import HanziModel
from dfcnn_ms.decoding.hanzi.lexicon import read_user_words
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import read_text
from dfcnn_ms.metrics import Edits, edits

EXAMPLE = "python -m dfcnn_ms.hanzi convert shang4 hai3 zhi2 wu4 yuan2"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments and does what the first of them says."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("hanzi", "Chinese characters for toned or toneless pinyin.", EXAMPLE)
    pages = arguments.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    for name, (about, example, add_flags, _) in ACTIONS.items():
        page = pages.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=f"example:\n  python -m dfcnn_ms.hanzi {name} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_flags(page)
    options = arguments.parse_args(argv)
    ACTIONS[options.action][-1](options)


def _add_train(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--text",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="a sentence a line; a .tsv with a column hanzi or text; or a .jsonl manifest",
    )
    arguments.add_argument("--out", type=Path, required=True, metavar="FILE", help="the model, such as hanzi.bin")


def _add_model(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--model", type=Path, metavar="FILE", help="of train (default: jieba's dictionary alone)")
    arguments.add_argument(
        "--lexicon", type=Path, metavar="FILE", help="words of your own, a line each: word<TAB>pinyin[<TAB>count]"
    )
    arguments.add_argument("--toneless", action="store_true", help="the tones are unknown, whatever the input says")


def _add_convert(arguments: argparse.ArgumentParser) -> None:
    _add_model(arguments)
    arguments.add_argument("--nbest", type=int, default=1, metavar="N", help="sentences to print (default: 1)")
    arguments.add_argument(
        "syllables",
        nargs="+",
        metavar="SYLLABLE",
        help="one sentence, or - for the lines of standard input",
    )


def _add_eval(arguments: argparse.ArgumentParser) -> None:
    _add_model(arguments)
    source = arguments.add_mutually_exclusive_group(required=True)
    source.add_argument("--tsv", type=Path, metavar="FILE", help="a table with columns pinyin, and hanzi or text")
    source.add_argument("--manifest", type=Path, metavar="FILE", help="a .jsonl manifest with pinyin and text")


def _train(options: argparse.Namespace) -> None:
    cli.check_output("--out", options.out)
    cli.check_inputs(options, ["--out"])
    # Several speakers read the same sentence: the language has it once.
    texts = list(dict.fromkeys(line for path in options.text for line in _texts(path)))
    model = HanziModel.train(tqdm(texts, "sentences", disable=None, leave=False))
    model.save(options.out)
    print(f"read {len(texts):,} different sentences; the model is {cli.short(options.out)}")


def _convert(options: argparse.Namespace) -> None:
    if options.nbest < 1:
        raise ConfigError(f"--nbest {options.nbest}: wanted 1 or more")
    model = _model(options)
    lines = sys.stdin if options.syllables == ["-"] else [" ".join(options.syllables)]
    for line in lines:
        for sentence in model.decode([(line.split(), 0.0)], options.nbest):
            print(
                f"{sentence.text}\ttotal {sentence.score:.2f}\taverage {sentence.average:.2f}"
                f"\tperplexity {sentence.perplexity:.1f}",
                flush=True,
            )


def _eval(options: argparse.Namespace) -> None:
    path = options.tsv or options.manifest
    pairs = _pairs_of_table(path) if options.tsv else _pairs_of_manifest(path)
    model = _model(options)
    model.decode([(["a1"], 0.0)])  # what happens once is not part of the time
    counted, same, began = Edits(), 0, time.perf_counter()
    for syllables, text in tqdm(pairs, "sentences", disable=None, leave=False):
        found = model.decode([(syllables, 0.0)])[0]
        counted += edits(list(text), list(found.units))
        same += found.text == text
    milliseconds = 1000 * (time.perf_counter() - began) / len(pairs)
    right = counted.reference_length - counted.substitutions - counted.deletions
    print(
        f"{path}: {100 * right / counted.reference_length:.2f} % of {counted.reference_length:,} characters right, "
        f"{100 * same / len(pairs):.2f} % of {len(pairs):,} sentences; {milliseconds:.2f} ms a sentence"
    )


def _model(options: argparse.Namespace) -> HanziModel:
    words = read_user_words(options.lexicon) if options.lexicon else []
    model = HanziModel.load(options.model) if options.model else HanziModel.default()
    return replace(model.with_words(words), toneless=options.toneless)


def _texts(path: Path) -> list[str]:
    """The sentences of a file in characters."""
    if path.suffix == ".jsonl":
        return [utterance.text for utterance in iter_manifest(path) if utterance.text]
    if path.suffix == ".tsv":
        return [text for _, text in _rows(path, ("hanzi", "text"))]
    return [line for line in read_text(path).splitlines() if line.strip()]


def _pairs_of_table(path: Path) -> list[tuple[list[str], str]]:
    # Not made canonical: a table of others may hold what is no syllable, which then counts as an error.
    syllables = [text.split() for _, text in _rows(path, ("pinyin",))]
    texts = [text for _, text in _rows(path, ("hanzi", "text"))]
    return _checked(path, list(zip(syllables, texts, strict=True)))


def _pairs_of_manifest(path: Path) -> list[tuple[list[str], str]]:
    return _checked(path, [(list(each.pinyin), each.text) for each in iter_manifest(path) if each.text])


def _checked(path: Path, pairs: Sequence[tuple[list[str], str]]) -> list[tuple[list[str], str]]:
    """Pairs of syllables and characters, blanks and punctuation left out."""
    spoken = [(syllables, "".join(c for c in text if c.isalnum())) for syllables, text in pairs]
    found = [(syllables, text) for syllables, text in spoken if text]
    if not found:
        raise DataError(f"{path}: holds no sentence with its characters; wanted pinyin and text")
    return found


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Place and content of the first of `columns` that a table has."""
    header, *lines = read_text(path).splitlines() or [""]
    names = header.split("\t")
    column = next((names.index(name) for name in columns if name in names), None)
    if column is None:
        wanted = " or ".join(columns)
        raise DataError(f"{path}:1: wanted a header with a column {wanted}; got {header[:80] or 'nothing'!r}")
    for number, line in enumerate(lines, start=2):
        fields = line.split("\t")
        if len(fields) != len(names):
            raise DataError(f"{path}:{number}: {len(fields)} columns, the header has {len(names)}")
        yield f"{path}:{number}", fields[column]


#: what it does, an example, its flags, and the doing
ACTIONS: dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]]] = {
    "train": ("learn from a text in characters", "--text news.txt --out hanzi.bin", _add_train, _train),
    "convert": ("print characters for syllables", "shang4 hai3 zhi2 wu4 yuan2", _add_convert, _convert),
    "eval": ("count how many characters are right", "--tsv dev.tsv --model hanzi.bin", _add_eval, _eval),
}

if __name__ == "__main__":
    cli.run(main)
