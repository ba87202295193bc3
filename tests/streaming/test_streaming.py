"""A stream says what the recording says, however it is cut, whatever decodes it, and soon."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hearers import RATE, near_listener, noise, pieces
from hypothesis import given, settings
from hypothesis import strategies as st
from tones import VOCABULARY, Speller, classifier, listener, wave

from dfcnn_ms.audio.wave import resample
from dfcnn_ms.decoding import BeamSearch, Decoder, Greedy, Hotwords
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer, Transcript
from dfcnn_ms.streaming import Endpointing, StreamingRecognizer, StreamResult, joined
from dfcnn_ms.streaming.hearing import believed
from dfcnn_ms.streaming.recordings import results

SAID = ("yi1 er4 san1", "si4 si4", "er4 yi1 si4 san1 er4")
LANGUAGE = train([["yi1", "er4", "san1"], ["si4", "si4"]], order=2).scorer(VOCABULARY.symbols)
DECODERS: dict[str, Decoder] = {
    "greedy": Greedy(),
    "beam": BeamSearch(),
    "all": BeamSearch(nbest=3, language=LANGUAGE, hotwords=Hotwords.parse(["si4 san1\t5"], VOCABULARY.symbols)),
}
RECOGNIZERS = {
    "steps see all": listener(),
    "steps see a frame": near_listener(),
    "running": near_listener("running"),
    "utterance": near_listener("utterance"),
}
#: those that understand what they hear: their network was made for sound that is not normalised
PLAIN = ("steps see all", "steps see a frame")


def sound(said: tuple[str, ...] = SAID, seed: int = 0) -> np.ndarray:
    """Phrases with pauses of a second and more between them."""
    rng = np.random.default_rng(seed)
    parts = [part for one in said for part in (np.zeros(round(rng.uniform(1, 2) * RATE)), wave(one))]
    whole = np.concatenate([*parts, np.zeros(round(rng.uniform(0, 1) * RATE))]).astype(np.float32)
    return whole + 1e-5 * noise(20, 0)[: len(whole)]


def heard(
    recognizer: Recognizer, samples: np.ndarray, sizes: list[int], rate: int = RATE, **options: object
) -> list[StreamResult]:
    stream = StreamingRecognizer(recognizer, sample_rate=rate, **options)  # type: ignore[arg-type]
    found = [one for piece in pieces(samples, sizes) for one in stream.feed(piece)]
    return found + stream.finish()


def finals(found: list[StreamResult]) -> list[StreamResult]:
    return [one for one in found if one.final and one.syllables]


@pytest.mark.parametrize("name", RECOGNIZERS)
@pytest.mark.parametrize("decoder", DECODERS)
@given(st.lists(st.integers(160, 40_000), min_size=1, max_size=5), st.integers(0, 2))
@settings(deadline=None, max_examples=3)
def test_what_is_final_is_what_the_recording_says(name: str, decoder: str, sizes: list[int], seed: int) -> None:
    """The same texts, times, scores and alternatives, in pieces of 10 ms and more and from the file at once."""
    recognizer, samples = RECOGNIZERS[name], sound(seed=seed)
    recognizer.decoder = DECODERS[decoder]
    offline = list(results(recognizer, [samples]))
    found = heard(recognizer, samples, sizes)
    assert [one.text for one in finals(found)] == [one.text for one in offline]
    for one, other in zip(finals(found), offline, strict=True):
        assert (one.index, one.start, one.end, one.starts) == (other.index, other.start, other.end, other.starts)
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert [some.text for some in one.alternatives] == [some.text for some in other.alternatives]
    if name in PLAIN:
        assert [one.text for one in offline] == list(SAID)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("decoder", DECODERS)
def test_partial_results_grow_into_the_final_one(name: str, decoder: str) -> None:
    recognizer = RECOGNIZERS[name]
    recognizer.decoder = DECODERS[decoder]
    found = heard(recognizer, sound(), [160])
    for index, said in enumerate(SAID):
        texts = [one.text for one in found if one.index == index and not one.final]
        assert texts[-1] == said
        assert len(texts) == len(set(texts)) >= len(said.split()) - 1
        assert all(said.startswith(text) for text in texts)
    assert [one.index for one in found] == sorted(one.index for one in found)
    for one in found:
        assert one.start <= one.end and all(one.start <= start for start in one.starts)


@pytest.mark.parametrize("name", PLAIN)
def test_the_first_word_is_said_soon(name: str) -> None:
    """Within 300 ms of its beginning, and what the network sees of the sound after it: here nothing."""
    recognizer = RECOGNIZERS[name]
    recognizer.decoder = Greedy()
    for shift in range(0, 400, 57):
        stream = StreamingRecognizer(recognizer)
        begins = 1.1 + shift / RATE  # after the silence, and that before the tone
        samples = np.concatenate([np.zeros(RATE + shift, np.float32), wave("er4 er4")])
        first = next(one for piece in pieces(samples, [160]) for one in stream.feed(piece))
        assert first.text == "er4" and not first.final
        assert stream.seconds <= begins + 0.3


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_other_rates_are_resampled(rate: int) -> None:
    samples = resample(sound(), RATE, rate)
    found = finals(heard(near_listener(), samples, [441, 10_000], rate))
    assert [one.text for one in found] == list(SAID)
    for one, other in zip(found, results(near_listener(), [sound()]), strict=True):
        np.testing.assert_allclose(one.starts, other.starts, atol=0.03)


def test_times_count_from_the_beginning_of_the_stream() -> None:
    found = finals(heard(near_listener(), sound(), [1600]))
    assert all(before.end < after.start for before, after in pairwise(found))
    rng, begins = np.random.default_rng(0), 0.0
    for one, said in zip(found, SAID, strict=True):
        begins += round(rng.uniform(1, 2) * RATE) / RATE + 0.1
        np.testing.assert_allclose(one.starts, begins + 0.3 * np.arange(len(said.split())), atol=0.05)
        begins += 0.3 * len(said.split())


def test_a_stream_that_is_reset_is_a_new_one() -> None:
    stream = StreamingRecognizer(near_listener(), partials=False)
    first = [*stream.feed(sound()), *stream.finish()]
    with pytest.raises(ValueError, match="the stream has ended"):
        stream.feed(sound())
    stream.reset()
    assert stream.seconds == 0 and not stream.is_speaking
    assert [*stream.feed(sound()), *stream.finish()] == first


def test_without_endpointing_a_stream_is_one_utterance() -> None:
    recognizer = near_listener()
    found = heard(recognizer, sound(), [5000], endpointing=None)
    (whole,) = recognizer.hear([sound()])
    assert (found[-1].text, found[-1].starts, found[-1].final) == (whole.text, whole.starts, True)
    assert {one.index for one in found} == {0}


def test_noise_says_nothing_and_what_was_said_of_it_is_taken_back() -> None:
    """An ear that hears a syllable everywhere, but is not sure, and then less so."""
    recognizer = near_listener()
    ear = recognizer.acoustics

    def unsure(features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_probs, steps = ear(features, lengths)
        share = 0.9 if lengths.max() < 60 else 0.4
        doubts = np.full(log_probs.shape, np.log((1 - share) / (log_probs.shape[2] - 1)))
        doubts[..., 2] = np.log(share)
        return doubts - np.logaddexp.reduce(doubts, axis=-1, keepdims=True), steps

    recognizer = Recognizer(unsure, recognizer.frontend, VOCABULARY, listener().network)
    samples = np.concatenate([np.zeros(RATE, np.float32), noise(1.5, -30), np.zeros(RATE, np.float32)])
    assert [(one.text, one.final) for one in heard(recognizer, samples, [160])] == [("yi1", False), ("", True)]
    assert heard(recognizer, samples, [10**6], partials=False) == []
    assert list(results(recognizer, [samples])) == []
    trusting = Endpointing(least_confidence=0.2)
    assert [one.text for one in finals(heard(recognizer, samples, [160], endpointing=trusting))] == ["yi1"]


@pytest.mark.parametrize(
    ("error", "count", "least"),
    [(None, 1, 0.7), (None, 64, 0.7), (0.0, 1, 0.7), (0.0, 16, 0.86), (0.1, 64, 0.83), (0.2, 4, 0.56), (1.3, 64, 0.5)],
)
def test_a_network_must_be_nearly_as_sure_as_it_is_right(error: float | None, count: int, least: float) -> None:
    recognizer = near_listener()
    recognizer.meta = SimpleNamespace(dev_error=error, decoding={})  # type: ignore[assignment]
    for sure, is_believed in ((least - 0.001, False), (least + 0.001, True)):
        said = Transcript(("yi1",) * count, 1.0, 0.0, 0.0, (), (), (sure,) * count)
        assert bool(believed(recognizer, said, Endpointing()).syllables) == is_believed
        assert believed(recognizer, said, Endpointing(least_confidence=0.9)).syllables == ()


def test_silence_says_nothing() -> None:
    for samples in (np.zeros(0, np.float32), np.zeros(100, np.float32), np.zeros(5 * RATE, np.float32)):
        assert heard(near_listener(), samples, [160]) == []


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros(10, np.int16), "got samples as int16"),
        (np.zeros((10, 2), np.float32), "of shape (10, 2)"),
        (np.array([0, np.nan], np.float32), "the sample 1.000 s in is nan"),
        (np.array([1e9], np.float32), "where full scale is 1"),
    ],
    ids=["whole numbers", "stereo", "nan", "loud"],
)
def test_samples_that_cannot_be(samples: np.ndarray, sentence: str) -> None:
    stream = StreamingRecognizer(near_listener())
    stream.feed(np.zeros(RATE - 1, np.float32))
    with pytest.raises(DataError) as caught:
        stream.feed(samples)
    assert sentence in str(caught.value)


def test_a_rate_and_a_network_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="both rates must be above 0"):
        StreamingRecognizer(listener(), sample_rate=0)
    with pytest.raises(ConfigError, match="this network names whole clips"):
        StreamingRecognizer(classifier())


def test_characters_come_with_the_stream() -> None:
    recognizer = near_listener()
    recognizer.hanzi = Speller()  # type: ignore[assignment]
    found = heard(recognizer, sound(), [1600])
    assert [one.characters for one in finals(found)] == ["一二三", "四四", "二一四三二"]
    whole = joined(found)
    assert whole.characters == "一二三四四二一四三二"
    assert whole.sentence is not None
    assert whole.sentence.units == tuple("一二三四四二一四三二")
    assert len(whole.syllables) == len(whole.starts) == len(whole.confidences) == 10
    assert whole.confidence == pytest.approx(np.prod(whole.confidences))


def test_characters_of_another_hypothesis_are_nobodys() -> None:
    recognizer = near_listener()
    recognizer.hanzi = Speller()  # type: ignore[assignment]
    first, *others = finals(heard(recognizer, sound(), [1600]))
    assert first.sentence is not None
    longer = replace(first, sentence=replace(first.sentence, units=tuple("一二三四"), text="一二三四"))
    whole = joined([longer, *others])
    assert whole.sentence is not None
    assert whole.characters == "一二三四四四二一四三二"
    assert len(whole.sentence.units) == len(whole.syllables)
    assert whole.sentence.units[:4] == ("yi1", "er4", "san1", "四")


def test_nothing_joined_is_silence() -> None:
    assert joined([]).text == "" and joined([]).confidence == 1.0


def test_memory_does_not_grow_with_the_stream() -> None:
    stream = StreamingRecognizer(near_listener())
    kept = []
    for seed in range(12):
        for piece in pieces(sound(seed=seed), [4000]):
            stream.feed(piece)
        kept.append(stream.frames_kept)
    assert max(kept) < 600
