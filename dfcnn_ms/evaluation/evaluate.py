"""Listening to a whole set of utterances: which one, what the network says about it, and what decoders make of that.

The network listens once; every decoder gets the same outputs, and the time of each is taken.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfcnn_ms.audio.snr import estimate_snr
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.manifest import Utterance, read_labelled, read_utterance
from dfcnn_ms.decoding import Decoder, Hypothesis
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.results import Heard, total
from dfcnn_ms.evaluation.runs import Clock, Decoded
from dfcnn_ms.machine import cores
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.recognizer import Outputs, Recognizer, batches

log = logging.getLogger(__name__)

#: a decoder may lose a few frames of an mp3, and a table may round
SLACK_SECONDS = 0.5


def remembered(recognizer: Recognizer, ckpt: Path, *splits: str) -> Path:
    """The manifest of the training that made a checkpoint: of the first of these splits that it had.

    Raises:
        ConfigError: it had none of them.
        DataError: the manifest is no longer there.
    """
    manifests = recognizer.meta.manifests if recognizer.meta else {}
    split = next((split for split in splits if manifests.get(split)), None)
    if split is None:
        raise ConfigError(f"{ckpt}: remembers no {splits[0]} set; give one with --manifest {splits[0]}.jsonl")
    path = Path(manifests[split])
    if not path.is_file():
        raise DataError(f"{ckpt}: the {split} set it remembers, {path}, is not there; give one with --manifest")
    return path


def read_set(recognizer: Recognizer, manifest: Path) -> list[Utterance]:
    """The utterances of a manifest, labelled as the network writes.

    Raises:
        DataError: as :func:`~dfcnn_ms.corpora.manifest.read_labelled`, for a label that the task cannot have, and for a
            set in which nothing is said.
    """
    utterances = read_labelled(manifest, recognizer.labels, label=recognizer.task.label)
    for utterance in utterances:
        recognizer.task.require(utterance.pinyin, utterance.where)
    if not any(utterance.pinyin for utterance in utterances):
        raise DataError(f"{manifest}: nothing is said in it, every 'pinyin' is empty; a rate of errors needs labels")
    _tell_repeats(manifest, utterances)
    return utterances


def _tell_repeats(manifest: Path, utterances: Sequence[Utterance]) -> None:
    """Warns of recordings that count more than once: an interval over them is narrower than it should be."""
    times = Counter((utterance.path, utterance.start, utterance.seconds) for utterance in utterances)
    repeated = [(path, count) for (path, _, _), count in times.items() if count > 1]
    if repeated:
        path, count = max(repeated, key=lambda one: one[1])
        more = f", and {len(repeated) - 1} more like it" if len(repeated) > 1 else ""
        log.warning(
            "%s: %d utterances are the same sound, %s%s; each counts, so the intervals are too narrow",
            manifest, count, path, more,
        )  # fmt: skip


def read_sound(utterance: Utterance) -> np.ndarray:
    """The samples (N,) of an utterance, which are as many as its manifest says.

    Raises:
        DataError: they are not, or cannot be read.
    """
    wave = read_utterance(utterance)
    seconds = len(wave) / SAMPLE_RATE
    if utterance.seconds - seconds > SLACK_SECONDS:
        where = f"{utterance.where}: " if utterance.where else ""
        raise DataError(
            f"{where}'seconds' is {utterance.seconds:g}, and {utterance.path} has {seconds:.2f} s from there; correct "
            "the manifest, or prepare it again"
        )
    return wave


def each_output(
    recognizer: Recognizer, utterances: Sequence[Utterance], name: str | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """The position of each utterance and what the network says about it (U, V), short ones first.

    Args:
        recognizer: the network.
        utterances: to be heard.
        name: stands before the progress bar.
    """
    for batch in batches([utterance.seconds for utterance in utterances], name=name):
        outputs = recognizer.outputs([recognizer.frontend(read_sound(utterances[index])) for index in batch])
        for row, index in enumerate(batch):
            yield index, outputs.of(row)


@dataclass
class Stopwatch:
    """Seconds on the wall, and of all cores together, that were spent inside `running`."""

    wall: float = 0.0
    processor: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs until the block ends."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor


@dataclass(frozen=True)
class Evaluated:
    """What came of a test set.

    Attributes:
        heard: every utterance as the chosen decoder wrote it, in the order of the manifest.
        decoder: what it is called; with characters that chose among its hypotheses, those too.
        decoders: the edits and the time of each decoder.
        clock: from the files to what was heard.
    """

    heard: tuple[Heard, ...]
    decoder: str
    decoders: tuple[Decoded, ...]
    clock: Clock


def evaluate(
    recognizer: Recognizer, utterances: Sequence[Utterance], decoders: Mapping[str, Decoder], chosen: str
) -> Evaluated:
    """Recognises every utterance by every decoder; all of them get the same outputs of the network.

    Args:
        recognizer: the network; its own decoder is not asked.
        utterances: of the test set.
        decoders: those to try, by name.
        chosen: the one that `heard` and `clock` are about.
    """
    _warm_up(recognizer, decoders)
    network, writing, watches = Stopwatch(), Stopwatch(), {name: Stopwatch() for name in decoders}
    counted = dict.fromkeys(decoders, Edits())
    heard: dict[int, Heard] = {}
    choice = False
    sound, ordered = 0.0, recognizer.task.ordered
    for batch in batches([utterance.seconds for utterance in utterances]):
        with network.running():
            waves = [read_sound(utterances[index]) for index in batch]
            sound += sum(map(len, waves)) / SAMPLE_RATE
            outputs = recognizer.outputs([recognizer.frontend(wave) for wave in waves])
        for name, nbest in _decoded(outputs, decoders, watches):
            for row, (index, hypotheses) in enumerate(zip(batch, nbest, strict=True)):
                one = utterances[index]
                first = recognizer.vocabulary.decode(hypotheses[0].ids)
                counted[name] += edits(one.pinyin, first, ordered=ordered)
                if name == chosen:
                    with writing.running():
                        best, sentence = recognizer.written(hypotheses)[0]
                    choice |= sentence is not None and len(hypotheses) > 1
                    syllables = tuple(recognizer.vocabulary.decode(best.ids))
                    starts, _ = recognizer.times(outputs, row, recognizer.aligned(outputs, row, best.ids))
                    text = sentence.text if sentence else None
                    chances = recognizer.task.chances(outputs.of(row), recognizer.vocabulary)
                    heard[index] = Heard(one, syllables, text, estimate_snr(waves[row]), starts, ordered, chances)
    decoded = [Decoded(name, counted[name], watches[name].wall) for name in decoders]
    work = [network, watches[chosen], writing]
    said = tuple(heard[index] for index in range(len(utterances)))
    if choice:
        seconds = watches[chosen].wall + writing.wall
        chosen = f"{chosen} + characters"
        decoded.append(Decoded(chosen, total(said), seconds))
    return Evaluated(said, chosen, tuple(decoded), _clock(sound, work, recognizer.device))


def _warm_up(recognizer: Recognizer, decoders: Mapping[str, Decoder]) -> None:
    """Lets the decoders and the characters compile what they compile before the clock runs."""
    units = len(recognizer.vocabulary)
    noise = np.full((1, 4, units), -np.log(units), np.float32)
    for decoder in decoders.values():
        decoder(noise, np.array([4]))
    recognizer.sentence(Hypothesis((units - 1,), 0.0))


def _decoded(
    outputs: Outputs, decoders: Mapping[str, Decoder], watches: Mapping[str, Stopwatch]
) -> Iterator[tuple[str, list[list[Hypothesis]]]]:
    for name, decoder in decoders.items():
        with watches[name].running():
            nbest = decoder(outputs.log_probs, outputs.steps)
        yield name, nbest


def _clock(sound: float, watches: Sequence[Stopwatch], device: str) -> Clock:
    return Clock(
        sound=sound,
        work=sum(watch.wall for watch in watches),
        processor=sum(watch.processor for watch in watches),
        cores=cores(),
        device=device,
    )
