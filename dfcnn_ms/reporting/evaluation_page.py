"""A page about a test set: how many units are wrong, whose, which, and how the worst sentences sound.

The page is one file: pictures, sounds, style and script are inside it, and nothing is fetched from anywhere.
The same evaluation gives the same page.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from dfcnn_ms.errors import DataError
from dfcnn_ms.evaluation.results import Heard, counts, rate_name, total
from dfcnn_ms.evaluation.runs import Clock, Run, interval
from dfcnn_ms.metrics import Edits, Scatter, score_interval
from dfcnn_ms.reporting.confusions import confusions
from dfcnn_ms.reporting.markup import SPACE, Html, bar, facts, page, section, table, tag
from dfcnn_ms.reporting.sentences import sentences
from dfcnn_ms.reporting.words import NOTHING, many, percent
from dfcnn_ms.wording import plural

if TYPE_CHECKING:
    from dfcnn_ms.recognizer import Recognizer
    from dfcnn_ms.runtime.meta import Meta

#: rows of the tables by speaker and by length
SPEAKERS, LENGTHS = 15, 10
#: width of the ranges of signal-to-noise ratios
SNR_DB = 5
#: how far intervals may reach, relative to the longest bar; longer ones are cut off
BEYOND = 4
#: two speakers say nothing about a third one
LEAST_SPEAKERS = 3

ARROW = " \N{RIGHTWARDS ARROW} "
RATE_HEADS = ["", "rate", "95 % interval", "S", "D", "I"]
PACKAGES = {"dfcnn-ms": "dfcnn_ms", "mindspore": "MindSpore", "numpy": "NumPy"}


def report(recognizer: Recognizer, run: Run) -> str:
    """The page as text.

    Args:
        recognizer: the network that listened; it draws what it received.
        run: what it heard.

    Raises:
        DataError: nothing was heard, or a sound file of one of the worst sentences is gone.
    """
    heard = run.heard
    if not heard:
        raise DataError(f"{run.manifest}: a report needs at least one utterance; got none")
    chapters = [
        _rates_and_time(run),
        _where(run),
        confusions(heard, run.unit),
        sentences(recognizer, heard, run.unit),
    ]
    title = f"{run.name}: {percent(total(heard).rate)} of the {plural(run.unit)} wrong"
    return page(title, _opening(run), _headline(run), *filter(None, chapters), _network(recognizer))


def _opening(run: Run) -> Html:
    speakers = {one.utterance.speaker for one in run.heard} - {""}
    minutes, seconds = divmod(round(sum(one.utterance.seconds for one in run.heard)), 60)
    words = [many(len(run.heard), "sentence"), f"{minutes}:{seconds:02d}{SPACE}min of sound"]
    words += [many(len(speakers), "speaker")] if speakers else []
    about = f"on {Path(*run.manifest.absolute().parts[-2:])}: {', '.join(words)}"
    return tag(
        "header",
        tag("p", f"{run.unit.capitalize()} errors of", class_="kicker"),
        tag("h1", run.name),
        tag("p", about, class_="about"),
    )


def _headline(run: Run) -> Html:
    heard = run.heard
    edits = total(heard)
    figure, unit = percent(edits.rate).split(SPACE)
    rate = tag("div", figure, tag("small", f"{SPACE}{unit}"), class_="rate")
    said = f"{many(edits.total, 'error')} in {many(edits.reference_length, run.unit)}"
    left = tag("div", rate, tag("p", said, class_="meta"), *_interval(heard))
    return tag("div", left, tag("div", *_kinds(edits), *_sentences_right(heard), *_also(run)), class_="headline")


def _interval(heard: Sequence[Heard]) -> Iterator[Html]:
    """Where the rate would lie on other sentences of this kind, as a line and in words."""
    low, high = interval([one.edits for one in heard])
    rate = total(heard).rate
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


def _sentences_right(heard: Sequence[Heard]) -> Iterator[Html]:
    right = sum(one.edits.total == 0 for one in heard)
    yield _division({"right": right, "rest": len(heard) - right})
    yield facts({f"of {many(len(heard), 'sentence')} without an error": f"{right:,}"})


def _also(run: Run) -> Iterator[Html]:
    if run.also:
        yield facts({name: percent(share) for name, share in run.also.items()})


def _division(shares: Mapping[str, int]) -> Html:
    """One bar, divided in proportion; each part has the colour of its class."""
    shown = {name: share for name, share in shares.items() if share} or {"rest": 1}
    pieces = (tag("div", class_=name, style=f"flex:{share}") for name, share in shown.items())
    return tag("div", *pieces, class_="division", aria_hidden="true")


def _rates_and_time(run: Run) -> Html:
    """Every rate with its interval, every decoder with its time, and how fast the whole was."""
    left = [
        tag("h3", "Rates"),
        table("wnnnnn", RATE_HEADS, map(_rate, *zip(*counts(run.heard, run.unit).items(), strict=True))),
    ]
    right = []
    if run.decoders:
        right += [tag("h3", "Decoders"), _decoders(run)]
    if run.clock:
        right += [tag("h3", "Time"), tag("p", _time(run.clock))]
    columns = [tag("div", *column) for column in (left, right) if column]
    note = "S substituted, D deleted, I inserted; the interval is where 95 of 100 such test sets would lie."
    return section("Every rate", tag("div", *columns, class_="columns"), note=note)


def _rate(name: str, edits: Sequence[Edits]) -> Sequence[str]:
    whole = sum(edits, Edits())
    low, high = interval(edits)
    kinds = (whole.substitutions, whole.deletions, whole.insertions)
    return (
        rate_name(name),
        percent(whole.rate),
        f"{percent(low)} to {percent(high)}",
        *(f"{kind:,}" for kind in kinds),
    )


def _decoders(run: Run) -> Html:
    """A row for each decoder; the one that the page is about is marked."""
    rows = [
        (
            tag("b", one.decoder) if one.decoder == run.decoder else one.decoder,
            percent(one.edits.rate),
            f"{one.edits.total:,}",
            f"{1000 * one.seconds / len(run.heard):.2f}{SPACE}ms",
        )
        for one in run.decoders
    ]
    return table("wnnn", ["decoder", "error rate", "edits", "per sentence"], rows)


def _time(clock: Clock) -> str:
    took = f"{clock.work:.1f}{SPACE}s of work for {clock.sound:.0f}{SPACE}s of sound"
    where = f"{clock.device} with {many(clock.cores, 'core')}, of which {clock.busy:.1f} were busy"
    return f"Real-time factor {clock.real_time_factor:.3g}: {took}, on {where}."


def _where(run: Run) -> Html:
    heard = run.heard
    lengths = _lengths(heard, plural(run.unit))
    columns = [tag("div", *column) for column in (_speakers(heard), [*lengths, *_noise(heard)]) if column]
    note = (
        f"A line over a bar is its 95{SPACE}% interval: where the rate would lie with other sentences of the same kind."
    )
    return section("Where the errors are", tag("div", *columns, class_="columns"), note=note)


def _speakers(heard: Sequence[Heard]) -> list[Html]:
    """A row for each of the worst speakers, one for all the others; nothing where no speaker is known."""
    speakers: dict[str, Edits] = {}
    for one in heard:
        if name := one.utterance.speaker:
            speakers[name] = speakers.get(name, Edits()) + one.edits
    if not speakers:
        return []
    order = sorted(speakers, key=lambda name: (-speakers[name].rate, name))
    rows = [(name, speakers[name]) for name in order[:SPEAKERS]]
    if others := order[SPEAKERS:]:
        rows.append((f"the other {len(others)}", sum((speakers[name] for name in others), Edits())))
    return [tag("h3", "By speaker"), _rates("speaker", rows, heard), *_speaker_interval(speakers)]


def _speaker_interval(speakers: Mapping[str, Edits]) -> Iterator[Html]:
    if len(speakers) >= LEAST_SPEAKERS:
        each = list(speakers.values())
        low, high = score_interval(sum(each, Edits()), Scatter.of(each))
        text = f"For other people like these {len(each)} speakers: {percent(low)} to {percent(high)} "
        yield tag("p", text + f"(95{SPACE}% interval, by how much the speakers differ).", class_="about")


def _lengths(heard: Sequence[Heard], units: str) -> list[Html]:
    """A row for each length, or for each range of lengths where they are many."""
    lengths = [one.edits.reference_length for one in heard]
    low, width = min(lengths), math.ceil((max(lengths) - min(lengths) + 1) / LENGTHS)
    groups = _grouped(heard, [low + (length - low) // width * width for length in lengths])
    last = {start: min(start + width - 1, max(lengths)) for start in groups}
    names = {start: f"{start}" + (f"{NOTHING}{last[start]}" if last[start] > start else "") for start in groups}
    return [tag("h3", "By length"), _rates(units, [(names[start], groups[start]) for start in groups], heard)]


def _noise(heard: Sequence[Heard]) -> list[Html]:
    """A row for each range of signal-to-noise ratios, where these are known."""
    known = [one for one in heard if math.isfinite(one.snr_db)]
    if not known:
        return []
    groups = _grouped(known, [math.floor(one.snr_db / SNR_DB) * SNR_DB for one in known])
    rows = [(f"{start} to {start + SNR_DB}", edits) for start, edits in groups.items()]
    note = "Estimated from the sound: the quietest tenth of a recording is taken for its noise."
    return [tag("h3", "By signal-to-noise ratio"), _rates("dB", rows, known), tag("p", note, class_="about")]


def _grouped(heard: Sequence[Heard], starts: Sequence[int]) -> dict[int, Edits]:
    """Edits by the start of the range that each utterance belongs to, in order."""
    groups: dict[int, Edits] = {}
    for start, one in zip(starts, heard, strict=True):
        groups[start] = groups.get(start, Edits()) + one.edits
    return dict(sorted(groups.items()))


def _rates(name: str, groups: Sequence[tuple[str, Edits]], heard: Sequence[Heard]) -> Html:
    """A row for each group of sentences; a line over its bar is the interval."""
    scatter = Scatter.of([one.edits for one in heard])  # few sentences tell little about it, so all are asked
    ends = [score_interval(counts, scatter) for _, counts in groups]
    highest = max((counts.rate for _, counts in groups if math.isfinite(counts.rate)), default=0.0)
    widest = min(max(high for _, high in ends), BEYOND * highest or 1.0)
    rows = [
        (
            group,
            f"{counts.utterances:,}",
            f"{counts.total:,}",
            percent(counts.rate),
            _bar(counts, around, widest),
        )
        for (group, counts), around in zip(groups, ends, strict=True)
    ]
    return table("wnnnb", [name, "sentences", "errors", "rate", ""], rows)


def _bar(counts: Edits, ends: tuple[float, float], widest: float) -> Html:
    told = f"95{SPACE}% interval {percent(ends[0])} to {percent(ends[1])}"
    return bar(counts.rate / widest, (ends[0] / widest, ends[1] / widest), told)


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
    cmvn = {
        "utterance": "each utterance normalised by itself",
        "global": "normalised over the training set",
        "running": "each frame normalised by what came before it",
    }
    kind = f"{type(features).__name__}, {features.num_bins} bins every {features.hop_ms:g}{SPACE}ms"
    return ", ".join(filter(None, [kind, cmvn.get(recognizer.frontend.cmvn)]))


def _parameters(recognizer: Recognizer) -> int:
    """Trainable numbers; 0 where whatever runs the network does not say."""
    network = recognizer.network
    sizes = {"num_bins": recognizer.frontend.features.num_bins, "num_units": len(recognizer.vocabulary)}
    return network.parameters(**sizes) if recognizer.meta else 0


def _training(meta: Meta) -> dict[str, str]:
    train, augment = meta.config.train, meta.config.augment
    schedule = type(train.schedule).__name__
    dev = meta.dev_error
    return {
        "Layers": ARROW.join(meta.config.model.layers()),
        "Trained": f"to epoch {meta.epoch} of {train.epochs}, step {meta.step:,}",
        "Error on dev": "" if dev is None else percent(dev),
        "Optimiser": f"{train.optimizer}, rate {train.rate:g}, {schedule}, batches of {train.batch_size}",
        "Augmentation": ", ".join(type(one).__name__ for one in (*augment.wave, *augment.features)),
    }


def _versions() -> Iterator[str]:
    for package, name in PACKAGES.items():
        try:
            yield f"{name} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    yield f"Python {platform.python_version()}"
