"""A page about a test set: how many syllables are wrong, whose, which, and how the worst sentences sound.

The page is one file: pictures, sounds, style and script are inside it, and nothing is fetched from anywhere.
The same checkpoint and the same test set give the same page.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dfcnn_ms.errors import DataError
from dfcnn_ms.metrics import Edits, bootstrap_interval
from dfcnn_ms.reporting.confusions import confusions
from dfcnn_ms.reporting.markup import SPACE, Html, bar, facts, page, section, table, tag
from dfcnn_ms.reporting.results import NOTHING, Heard, Result, many, percent, total
from dfcnn_ms.reporting.sentences import sentences

if TYPE_CHECKING:
    from dfcnn_ms.recognizer import Recognizer
    from dfcnn_ms.training.checkpoint import Meta

#: rows of the tables by speaker and by length
SPEAKERS, LENGTHS = 15, 10
#: an interval over fewer speakers says nothing
LEAST_SPEAKERS = 5

TIMES = "\N{MULTIPLICATION SIGN}"
ARROW = " \N{RIGHTWARDS ARROW} "
PACKAGES = {"dfcnn-ms": "dfcnn_ms", "mindspore": "MindSpore", "numpy": "NumPy"}


def report(recognizer: Recognizer, heard: Sequence[Heard], manifest: Path) -> str:
    """The page as text.

    Args:
        recognizer: the network that listened; it draws what it received and says again when it heard what.
        heard: every utterance of the test set.
        manifest: the test set.

    Raises:
        DataError: nothing was heard, or a sound file of one of the worst sentences is gone.
    """
    if not heard:
        raise DataError(f"{manifest}: a report needs at least one utterance; got none")
    results = [Result.of(one) for one in heard]
    name = recognizer.meta.config.name if recognizer.meta else "network"
    chapters = [_where(results), confusions(results), sentences(recognizer, results), _network(recognizer)]
    title = f"{name}: {percent(total(results).rate)} of the syllables wrong"
    return page(title, _opening(name, results, manifest), _headline(results), *filter(None, chapters))


def _opening(name: str, results: Sequence[Result], manifest: Path) -> Html:
    speakers = {result.utterance.speaker for result in results} - {""}
    minutes, seconds = divmod(round(sum(result.utterance.seconds for result in results)), 60)
    words = [many(len(results), "sentence"), f"{minutes}:{seconds:02d}{SPACE}min of sound"]
    words += [many(len(speakers), "speaker")] if speakers else []
    about = f"on {Path(*manifest.absolute().parts[-2:])}: {', '.join(words)}"
    return tag(
        "header",
        tag("p", "Syllable errors of", class_="kicker"),
        tag("h1", name),
        tag("p", about, class_="about"),
    )


def _headline(results: Sequence[Result]) -> Html:
    counts = total(results)
    figure, unit = percent(counts.rate).split(SPACE)
    rate = tag("div", figure, tag("small", f"{SPACE}{unit}"), class_="rate")
    said = f"{many(counts.total, 'error')} in {many(counts.reference_length, 'syllable')}"
    left = tag("div", rate, tag("p", said, class_="meta"), *_interval(results))
    return tag("div", left, tag("div", *_kinds(counts), *_sentences_right(results)), class_="headline")


def _interval(results: Sequence[Result]) -> Iterator[Html]:
    """Where the rate would lie on other sentences of this kind, as a line and in words."""
    low, high = bootstrap_interval([result.edits for result in results], rng=np.random.default_rng(0))
    rate = total(results).rate
    if math.isfinite(high) and high > 0:
        scale = 100 / (1.25 * high)
        span = tag("i", style=f"left:{low * scale:.2f}%;width:{(high - low) * scale:.2f}%")
        point = tag("b", style=f"left:{rate * scale:.2f}%")
        yield tag("div", span, point, class_="interval", aria_hidden="true")
    yield tag("p", f"95{SPACE}% interval {percent(low)} to {percent(high)}", class_="meta")


def _kinds(counts: Edits) -> Iterator[Html]:
    figures = {"S": counts.substitutions, "D": counts.deletions, "I": counts.insertions}
    words = {"S": "substituted", "D": "deleted", "I": "inserted"}
    yield _division(figures)
    yield facts({words[kind]: f"{count:,}" for kind, count in figures.items()}, keys=words)


def _sentences_right(results: Sequence[Result]) -> Iterator[Html]:
    right = sum(result.edits.total == 0 for result in results)
    yield _division({"right": right, "rest": len(results) - right})
    yield facts({f"of {many(len(results), 'sentence')} without an error": f"{right:,}"})


def _division(shares: Mapping[str, int]) -> Html:
    """One bar, divided in proportion; each part has the colour of its class."""
    shown = {name: share for name, share in shares.items() if share} or {"rest": 1}
    pieces = (tag("div", class_=name, style=f"flex:{share}") for name, share in shown.items())
    return tag("div", *pieces, class_="division", aria_hidden="true")


def _where(results: Sequence[Result]) -> Html:
    columns = [tag("div", *column) for column in (_speakers(results), _lengths(results)) if column]
    return section("Where the errors are", tag("div", *columns, class_="columns"))


def _speakers(results: Sequence[Result]) -> list[Html]:
    """A row for each of the worst speakers, one for all the others; nothing where no speaker is known."""
    speakers: dict[str, Edits] = {}
    for result in results:
        if name := result.utterance.speaker:
            speakers[name] = speakers.get(name, Edits()) + result.edits
    if not speakers:
        return []
    order = sorted(speakers, key=lambda name: (-speakers[name].rate, name))
    rows = [(name, speakers[name]) for name in order[:SPEAKERS]]
    if others := order[SPEAKERS:]:
        rows.append((f"the other {len(others)}", sum((speakers[name] for name in others), Edits())))
    return [tag("h3", "By speaker"), _rates("speaker", rows), *_speaker_interval(speakers)]


def _speaker_interval(speakers: Mapping[str, Edits]) -> Iterator[Html]:
    if len(speakers) >= LEAST_SPEAKERS:
        counts = [speakers[name] for name in sorted(speakers)]
        low, high = bootstrap_interval(counts, rng=np.random.default_rng(0))
        text = f"With other speakers drawn like these: {percent(low)} to {percent(high)} (95{SPACE}% interval)."
        yield tag("p", text, class_="about")


def _lengths(results: Sequence[Result]) -> list[Html]:
    """A row for each length, or for each range of lengths where they are many."""
    lengths = [result.edits.reference_length for result in results]
    low, width = min(lengths), math.ceil((max(lengths) - min(lengths) + 1) / LENGTHS)
    groups: dict[int, Edits] = {}
    for length, result in zip(lengths, results, strict=True):
        start = low + (length - low) // width * width
        groups[start] = groups.get(start, Edits()) + result.edits
    last = {start: min(start + width - 1, max(lengths)) for start in groups}
    names = {start: f"{start}" + (f"{NOTHING}{last[start]}" if last[start] > start else "") for start in groups}
    rows = [(names[start], groups[start]) for start in sorted(groups)]
    return [tag("h3", "By length"), _rates("syllables", rows)]


def _rates(name: str, groups: Sequence[tuple[str, Edits]]) -> Html:
    highest = max((counts.rate for _, counts in groups if math.isfinite(counts.rate)), default=0.0) or 1.0
    rows = [
        (
            group,
            f"{counts.utterances:,}",
            f"{counts.total:,}",
            percent(counts.rate),
            bar(counts.rate / highest),
        )
        for group, counts in groups
    ]
    return table("wnnnb", [name, "sentences", "errors", "rate", ""], rows)


def _network(recognizer: Recognizer) -> Html:
    told = {
        "Input": _input(recognizer),
        "Output": many(len(recognizer.vocabulary.units), "unit") + ", the blank and the unknown",
    }
    if parameters := _parameters(recognizer):
        told["Parameters"] = f"{parameters:,}"
    config = []
    if recognizer.meta:
        told |= _training(recognizer.meta)
        text = tag("pre", recognizer.meta.config.to_yaml())
        config = [tag("details", tag("summary", "The whole configuration"), text)]
    told["Measured with"] = ", ".join(_versions())
    rows = chain.from_iterable((tag("dt", name), tag("dd", fact)) for name, fact in told.items() if fact)
    return section("The network", tag("dl", *rows, class_="list"), *config)


def _input(recognizer: Recognizer) -> str:
    features = recognizer.frontend.features
    cmvn = {"utterance": "each utterance normalised by itself", "global": "normalised over the training set"}
    kind = f"{type(features).__name__}, {features.num_bins} bins every {features.hop_ms:g}{SPACE}ms"
    return ", ".join(filter(None, [kind, cmvn.get(recognizer.frontend.cmvn)]))


def _parameters(recognizer: Recognizer) -> int:
    """Trainable numbers; 0 where whatever runs the network does not say."""
    network: Any = getattr(recognizer.acoustics, "network", None)
    weights = network.trainable_params() if hasattr(network, "trainable_params") else ()
    return sum(math.prod(weight.shape) for weight in weights)


def _training(meta: Meta) -> dict[str, str]:
    train, augment = meta.config.train, meta.config.augment
    schedule = type(train.schedule).__name__
    dev = meta.metrics.get("dev_syllable_error_rate")
    return {
        "Layers": ARROW.join(_layers(meta.config.model)),
        "Trained": f"to epoch {meta.epoch} of {train.epochs}, step {meta.step:,}",
        "Error on dev": "" if dev is None else percent(dev),
        "Optimiser": f"{train.optimizer}, rate {train.rate:g}, {schedule}, batches of {train.batch_size}",
        "Augmentation": ", ".join(type(one).__name__ for one in (*augment.wave, *augment.features)),
    }


def _layers(model: Any) -> Iterator[str]:
    """Each block of the table in a few words, then the dense layers."""
    for block in model.blocks:
        size = f"{block.kernel}{TIMES}{block.kernel}"
        shrinks = {"stride": block.stride, "pool": block.pool}
        extras = [f"{how} {by[0]}{TIMES}{by[1]}" for how, by in shrinks.items() if tuple(by) != (1, 1)]
        convs = f"{block.convs}{SPACE}{TIMES}{SPACE}" if block.convs > 1 else ""
        yield f"{convs}{block.channels} ({', '.join([size, *extras])})"
    if model.hidden:
        yield "dense " + ", ".join(map(str, model.hidden))


def _versions() -> Iterator[str]:
    for package, name in PACKAGES.items():
        try:
            yield f"{name} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    yield f"Python {platform.python_version()}"
