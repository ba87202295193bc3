"""The task of parts: syllables outside, parts inside, and what it refuses."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfcnn_ms.config import parse_config
from dfcnn_ms.decoding import DECODERS
from dfcnn_ms.decoding.align import align_ctc
from dfcnn_ms.decoding.boundaries import Sound
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.options import check_heard, decoders, kind_of
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.metrics import edits
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.tasks import Ctc, Parts
from dfcnn_ms.text.parts import SyllableParts

VOCABULARY = SyllableParts()
SENTENCE = ["zhong1", "guo2", "an4", "an4", "lv4"]


def said(sentence: list[str], steps: int = 24, sure: float = 0.9) -> np.ndarray:
    """Log-probabilities (U, V) that say a sentence, each part in a step and a blank after it."""
    ids = VOCABULARY.encode(sentence)
    probabilities = np.full((steps, len(VOCABULARY)), (1 - sure) / (len(VOCABULARY) - 1))
    path = np.zeros(steps, int)
    path[1 : 2 * len(ids) : 2] = ids
    probabilities[np.arange(steps), path] = sure
    return np.log(probabilities)


def test_the_steps_that_a_label_needs_are_those_of_its_parts() -> None:
    """As strings and as ids; `an4 an4` are equal parts, which a blank has to part, `ba1 ba1` are not."""
    for label in (SENTENCE, ["an4", "an4"], ["ba1", "ba1"], []):
        assert Parts().needed_steps(label) == Ctc().needed_steps(VOCABULARY.encode(label))
    assert [Parts().needed_steps(one) for one in (["an4", "an4"], ["ba1", "ba1"])] == [3, 4]
    log_probs = said([], steps=4)
    assert align_ctc(log_probs, VOCABULARY.encode(["ba1", "ba1"])).ids  # which is possible in so many steps, not in 3


def test_what_is_counted_is_syllables() -> None:
    """One wrong final is one wrong syllable, whatever its initial."""
    counted = Parts().count(said(SENTENCE), ["zhong1", "guo3", "an4", "an4", "lv4"], VOCABULARY)
    assert counted[:5] == list(edits(["a", "b", "c", "c", "d"], ["a", "x", "c", "c", "d"]).numbers)
    figures = Parts().figures(counted, Parts().unit_of("pinyin"))
    assert figures["dev_syllable_error_rate"] == pytest.approx(1 / 5)
    assert figures["emitted_ratio"] == 1


def test_times_and_confidences_are_those_of_syllables() -> None:
    """Each syllable between its parts' steps, its confidence the product of theirs: 0.9 for each part."""
    task, log_probs = Parts(), said(SENTENCE)
    alignment = task.align(log_probs, task.spell(log_probs))
    sure = task.confidences(log_probs, alignment)
    assert sure == pytest.approx([0.81, 0.81, 0.9, 0.9, 0.81])
    starts, ends = task.times(alignment, Sound(np.zeros((24 * 8, 4)), 0.01, 0.025, 8))
    assert len(starts) == len(ends) == len(SENTENCE)
    middles = [2.0, 6.0, 9.0, 11.0, 14.0]  # of the steps, by hand
    for start, end, middle in zip(starts, ends, middles, strict=True):
        assert start < (middle + 0.5) * 0.08 < end
    assert (starts[1:] >= ends[:-1] - 1e-9).all()


def test_the_recognizer_speaks_of_syllables() -> None:
    """From outputs to a transcript, an initial at the end that nothing follows left out of all of it."""
    log_probs = said(SENTENCE)
    log_probs[20] = said(["ba1"], 24)[1]  # `b`, and no final
    network: Any = SimpleNamespace(frames_per_step=8, first_frame=0.0, output_lengths=lambda frames: frames // 8)
    frontend: Any = SimpleNamespace(features=SimpleNamespace(hop_ms=10, window_ms=25))
    acoustics = lambda batch, lengths: (log_probs[None], np.array([24]))  # noqa: E731
    recognizer = Recognizer(acoustics, frontend, VOCABULARY, network, task=Parts())
    heard = recognizer.read([np.zeros((192, 4), np.float32)])[0]
    assert list(heard.syllables) == SENTENCE
    assert len(heard.starts) == len(heard.ends) == len(heard.confidences) == len(SENTENCE)
    assert heard.confidence == pytest.approx(0.9**8)


def test_the_beam_over_parts_is_that_of_all_paths() -> None:
    """Against enumeration, with a vocabulary that has three parts that matter."""
    rng = np.random.default_rng(0)
    few = VOCABULARY.encode(["zhong1", "an4"])
    log_probs = np.full((4, len(VOCABULARY)), -60.0)
    log_probs[:, [0, *few]] = np.log(rng.dirichlet(np.ones(1 + len(few)), 4))
    texts: dict[tuple[int, ...], float] = {}
    for path in product([0, *few], repeat=4):
        text = tuple(id for place, id in enumerate(path) if id and (not place or path[place - 1] != id))
        chance = float(np.exp(log_probs[range(4), path].sum()))
        texts[text] = texts.get(text, 0.0) + chance
    search = decoders(Choice(beam=200, nbest=3), VOCABULARY, {}, "parts").decoder
    found = search(log_probs[None], [4])[0]
    best = sorted(texts, key=lambda text: -texts[text])[:3]
    assert [one.ids for one in found] == best
    assert [one.log_prob for one in found] == pytest.approx([np.log(texts[text]) for text in best], abs=1e-4)


def test_the_decoders_that_fit(tmp_path: Path) -> None:
    model = tmp_path / "lm.npz"
    model.touch()
    assert [name for name, kind in DECODERS.items() if kind.reads == Parts().outputs] == ["parts", "parts_beam"]
    assert kind_of(Choice(), "parts") == "parts" and kind_of(Choice(beam=5), "parts") == "parts_beam"
    with pytest.raises(ConfigError, match=r"^--lm: means nothing to what this network writes; use --decoder parts or"):
        kind_of(Choice(lm=model), "parts")
    with pytest.raises(ConfigError, match=r"^--decoder parts_beam takes no --lm; leave it out"):
        check_heard(Choice(decoder="parts_beam", lm=model))
    with pytest.raises(ConfigError, match=r"^--decoder beam: does not read what this network writes"):
        kind_of(Choice(decoder="beam"), "parts")


def test_the_page() -> None:
    task = {"kind": "parts", "tone_weight": 0.3, "ace_weight": 0.1}
    config = parse_config({"data": {"train": "a", "dev": "b"}, "task": task}, "page")
    assert config.task == Parts(tone_weight=0.3, ace_weight=0.1)
    assert config.unit == "syllable" and config.target == "dev_syllable_error_rate"
    assert config.task.vocabulary([["ba1"]]) == VOCABULARY
    with pytest.raises(
        DataError, match=r"a\.jsonl:3: unit 'yes' is no toned pinyin such as 'zhong1'; set task\.kind=ctc"
    ):
        Parts().target(["yes"], SyllableParts(), "a.jsonl:3")


def test_alignment_is_refused_in_one_sentence() -> None:
    from types import SimpleNamespace

    from dfcnn_ms.aligner import check_alignable

    with pytest.raises(ConfigError, match="align: this network writes parts of syllables"):
        check_alignable(SimpleNamespace(task=Parts()))  # type: ignore[arg-type]
