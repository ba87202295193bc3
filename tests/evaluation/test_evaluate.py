"""A whole test set heard by several decoders, against a language whose sound is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tones import PAUSE, TONE, Ear, Speller, begins, classifier, listener, speak

from dfcnn_ms.audio.wave import read_wave
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.decoding import BeamSearch, Greedy, Hypothesis
from dfcnn_ms.decoding.hanzi import Sentence
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.evaluate import Stopwatch, each_output, evaluate, read_set, remembered
from dfcnn_ms.evaluation.results import total
from dfcnn_ms.machine import cores
from dfcnn_ms.metrics import Edits
from dfcnn_ms.recognizer import Outputs

SAID = ["yi1 er4 san1", "si4", "er4 er4", "san1 yi1 si4 yi1", "yi1"]


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """What is said, and what the manifest claims: the second is not what is said."""
    folder = tmp_path_factory.mktemp("tones")
    found = []
    for index, said in enumerate(SAID):
        path = speak(folder / f"{index}.wav", said)
        seconds = len(said.split()) * (TONE + PAUSE) + PAUSE
        found.append(Utterance(f"u{index}", str(path), seconds, tuple(said.split())))
    return [found[0], replace(found[1], pinyin=("san1", "yi1")), *found[2:]]


class FakeClock:
    """A clock that stands still until somebody spends time: seconds on the wall, and of all cores together."""

    def __init__(self) -> None:
        self.wall, self.processor = 100.0, 7.0

    def spend(self, wall: float, processor: float) -> None:
        self.wall += wall
        self.processor += processor

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.processor


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock that a Stopwatch looks at."""
    fake = FakeClock()
    monkeypatch.setattr("dfcnn_ms.evaluation.evaluate.time", fake)
    return fake


@dataclass(frozen=True)
class Mute:
    """A decoder that hears nothing, and may take its time."""

    work: Callable[[], None] = lambda: None

    def __call__(self, log_probs: np.ndarray, lengths: Sequence[int] | np.ndarray) -> list[list[Hypothesis]]:
        self.work()
        return [[Hypothesis((), 0.0)] for _ in log_probs]


def test_every_decoder_hears_the_same_outputs(utterances: list[Utterance]) -> None:
    recognizer = listener()
    decoders = {"greedy": Greedy(), "mute": Mute(), "beam": BeamSearch()}
    found = evaluate(recognizer, utterances, decoders, "greedy")
    assert isinstance(recognizer.acoustics, Ear)
    assert recognizer.acoustics.calls == 1  # one batch
    assert [one.utterance.id for one in found.heard] == ["u0", "u1", "u2", "u3", "u4"]
    assert [" ".join(one.syllables) for one in found.heard] == SAID
    assert [one.decoder for one in found.decoders] == ["greedy", "mute", "beam"]
    greedy, mute, beam = (one.edits for one in found.decoders)
    assert greedy == beam == Edits(1, 1, 0, 12, 5)
    assert mute == Edits(0, 12, 0, 12, 5)


def test_the_chosen_decoder_writes(utterances: list[Utterance]) -> None:
    found = evaluate(listener(), utterances, {"greedy": Greedy(), "mute": Mute()}, "mute")
    assert [(one.syllables, one.starts) for one in found.heard] == [((), ())] * 5


def test_characters_that_choose_are_a_decoder_of_their_own(utterances: list[Utterance]) -> None:
    """Here they believe in long sentences alone, so that the decoder and they disagree."""

    class Wordy(Speller):
        def decode(self, nbest: Sequence[tuple[Sequence[str], float]], n: int = 1) -> list[Sentence]:
            return [replace(one, score=1e4 * len(one.units)) for one in super().decode(nbest, n)]

    recognizer = listener()
    recognizer.hanzi = Wordy()  # type: ignore[assignment]
    recognizer.decoder = BeamSearch(nbest=4, min_log_prob=-60.0)
    found = evaluate(recognizer, utterances, {"greedy": Greedy(), "beam": recognizer.decoder}, "beam")
    plain, _, written = found.decoders
    assert (found.decoder, written.decoder) == ("beam + characters", "beam + characters")
    assert written.edits == total(found.heard) and written.edits.insertions > plain.edits.insertions
    for one in found.heard:
        transcript = recognizer.transcribe(one.utterance.path)
        assert (one.syllables, one.characters, one.starts) == (
            transcript.syllables, transcript.characters, transcript.starts
        )  # fmt: skip
    alone = evaluate(recognizer, utterances, {"greedy": Greedy(), "beam": recognizer.decoder}, "greedy")
    assert (alone.decoder, len(alone.decoders)) == ("greedy", 2)  # greedy decoding leaves nothing to choose


@pytest.mark.parametrize("chosen", ["greedy", "beam"])
def test_when_each_syllable_begins_is_what_a_transcript_says(utterances: list[Utterance], chosen: str) -> None:
    """Whichever decoder wrote it, and in a batch as alone."""
    recognizer = listener()
    found = evaluate(recognizer, utterances, {"greedy": Greedy(), "beam": BeamSearch()}, chosen)
    for one in found.heard:
        transcript = recognizer.transcribe(one.utterance.path)
        assert (one.syllables, one.starts) == (transcript.syllables, transcript.starts)
        assert one.starts == pytest.approx(begins(one.syllables), abs=0.05)


def test_each_output_is_that_of_its_utterance(utterances: list[Utterance]) -> None:
    recognizer = listener()
    found = list(each_output(recognizer, utterances))
    lengths = [utterances[index].seconds for index, _ in found]
    assert lengths == sorted(lengths) and sorted(index for index, _ in found) == [0, 1, 2, 3, 4]
    for index, log_probs in found:
        alone = recognizer.outputs([recognizer.frontend(read_wave(utterances[index].path))])
        np.testing.assert_array_equal(log_probs, alone.of(0))


def test_the_set_that_a_checkpoint_remembers(tmp_path: Path) -> None:
    recognizer, ckpt, test = listener(), Path("dfcnn.ckpt"), tmp_path / "test.jsonl"
    with pytest.raises(ConfigError, match=r"dfcnn\.ckpt: remembers no test set; give one with --manifest test\.jsonl"):
        remembered(recognizer, ckpt, "test", "dev")
    recognizer.meta = SimpleNamespace(manifests={"dev": str(tmp_path / "dev.jsonl"), "test": str(test)})  # type: ignore[assignment]
    with pytest.raises(DataError, match=r"dfcnn\.ckpt: the test set it remembers, .*, is not there"):
        remembered(recognizer, ckpt, "test", "dev")
    for name in ("dev", "test"):
        (tmp_path / f"{name}.jsonl").touch()
    assert remembered(recognizer, ckpt, "test", "dev") == test
    assert remembered(recognizer, ckpt, "none", "dev") == tmp_path / "dev.jsonl"


@pytest.mark.parametrize(("chosen", "work", "processor"), [("slow", 1.25, 2.5), ("quick", 0.75, 2.25)])
def test_the_network_and_each_decoder_have_their_own_time(
    utterances: list[Utterance],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    work: float,
    processor: float,
) -> None:
    """The network takes half a second of four cores; what decoders do before the first batch is not counted."""
    recognizer = listener()
    outputs = recognizer.outputs

    def slow_outputs(batch: Sequence[np.ndarray]) -> Outputs:
        clock.spend(0.5, 2.0)
        return outputs(batch)

    monkeypatch.setattr(recognizer, "outputs", slow_outputs)
    decoders = {"slow": Mute(lambda: clock.spend(0.75, 0.5)), "quick": Mute(lambda: clock.spend(0.25, 0.25))}
    found = evaluate(recognizer, utterances, decoders, chosen)
    assert [one.seconds for one in found.decoders] == [0.75, 0.25]
    assert (found.clock.work, found.clock.processor) == (work, processor)
    assert found.clock.sound == pytest.approx(sum(one.seconds for one in utterances))
    assert found.clock.real_time_factor == work / found.clock.sound
    assert 1 <= found.clock.cores == cores()
    assert found.clock.device == "CPU"


def test_noise_is_estimated(utterances: list[Utterance]) -> None:
    """Tones of amplitude 0.3 in two thirds of the time, over noise of 0.0001."""
    found = evaluate(listener(), utterances, {"greedy": Greedy()}, "greedy")
    assert all(50 < one.snr_db <= 60 for one in found.heard)


def test_a_stopwatch_adds_up_what_passes_while_it_runs(clock: FakeClock) -> None:
    watch = Stopwatch()
    for seconds in (0.5, 0.25):
        clock.spend(8.0, 8.0)
        with watch.running():
            clock.spend(seconds, 4 * seconds)
    assert (watch.wall, watch.processor) == (0.75, 3.0)


def test_two_labels_are_refused_where_a_clip_has_one(tmp_path: Path) -> None:
    recognizer = classifier()
    one, other = recognizer.vocabulary.units[:2]
    for name, label in (("fine", (one,)), ("two", (one, other))):
        path = speak(tmp_path / f"{name}.wav", one)
        write_manifest(tmp_path / f"{name}.jsonl", [Utterance(name, str(path), len(read_wave(path)) / 16_000, label)])
    assert [utterance.pinyin for utterance in read_set(recognizer, tmp_path / "fine.jsonl")] == [(one,)]
    with pytest.raises(DataError, match=rf"two\.jsonl:1: .* wants one label a clip; got 2 \({one} {other}\)"):
        read_set(recognizer, tmp_path / "two.jsonl")
