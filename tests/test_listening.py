"""A whole test set heard by several decoders, against a language whose sound is known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from tones import PAUSE, TONE, Ear, listener, speak

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding import BeamSearch, Greedy, Hypothesis
from dfcnn_ms.listening import Stopwatch, cores, listen
from dfcnn_ms.metrics import Edits

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


@dataclass(frozen=True)
class Mute:
    """A decoder that hears nothing, and takes its time."""

    seconds: float = 0.02

    def __call__(self, log_probs: np.ndarray, lengths: Sequence[int] | np.ndarray) -> list[list[Hypothesis]]:
        time.sleep(self.seconds)
        return [[Hypothesis((), (), 0.0, ())] for _ in log_probs]


def test_every_decoder_hears_the_same_outputs(utterances: list[Utterance]) -> None:
    recognizer = listener()
    decoders = {"greedy": Greedy(), "mute": Mute(), "beam": BeamSearch()}
    found = listen(recognizer, utterances, decoders, "greedy")
    assert isinstance(recognizer.acoustics, Ear)
    assert recognizer.acoustics.calls == 1  # one batch
    assert [one.utterance.id for one in found.heard] == ["u0", "u1", "u2", "u3", "u4"]
    assert [" ".join(one.syllables) for one in found.heard] == SAID
    assert [one.decoder for one in found.decoders] == ["greedy", "mute", "beam"]
    greedy, mute, beam = (one.edits for one in found.decoders)
    assert greedy == beam == Edits(1, 1, 0, 12, 5)
    assert mute == Edits(0, 12, 0, 12, 5)


def test_the_chosen_decoder_writes(utterances: list[Utterance]) -> None:
    found = listen(listener(), utterances, {"greedy": Greedy(), "mute": Mute()}, "mute")
    assert [one.syllables for one in found.heard] == [()] * 5


def test_each_decoder_has_its_own_time(utterances: list[Utterance]) -> None:
    found = listen(listener(), utterances, {"greedy": Greedy(), "mute": Mute(0.2)}, "greedy")
    greedy, mute = (one.seconds for one in found.decoders)
    assert greedy < 0.2 <= mute < 0.4  # what warms up is not counted
    slow = listen(listener(), utterances, {"greedy": Greedy(), "mute": Mute(0.2)}, "mute")
    assert slow.clock.work > 0.2 > found.clock.work - greedy
    assert found.clock.sound == pytest.approx(sum(one.seconds for one in utterances))
    assert found.clock.real_time_factor == found.clock.work / found.clock.sound
    assert 1 <= found.clock.cores == cores()
    assert found.clock.device == "CPU"


def test_noise_is_estimated(utterances: list[Utterance]) -> None:
    """Tones of amplitude 0.3 in two thirds of the time, over noise of 0.0001."""
    found = listen(listener(), utterances, {"greedy": Greedy()}, "greedy")
    assert all(50 < one.snr_db <= 60 for one in found.heard)


def test_a_stopwatch_adds_up() -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch.running():
            time.sleep(0.05)
    assert 0.1 <= watch.wall < 0.3
    assert watch.processor < watch.wall
