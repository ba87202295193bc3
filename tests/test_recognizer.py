"""The whole chain from sound to transcript, on a language whose sound is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tones import VOCABULARY, Speller, Strided, Tones, begins, classifier, listener, speak, wave

from dfcnn_ms.decoding import BeamSearch, Greedy, Hotwords, Ranking
from dfcnn_ms.decoding.align import align_ctc
from dfcnn_ms.decoding.boundaries import boundaries
from dfcnn_ms.decoding.hanzi import Sentence
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import BATCH_SECONDS, BATCH_SIZE, PAD_FRAMES, Alternative, Recognizer, by_length
from dfcnn_ms.tasks import Ctc

SAID = ["yi1 er4 san1", "si4", "er4 er4", "san1 yi1 si4 yi1", "yi1"]


def test_transcripts_have_times_and_confidences() -> None:
    recognizer = listener()
    (one,) = recognizer.hear([wave("yi1 er4 san1")])
    assert one.text == "yi1 er4 san1"
    np.testing.assert_allclose(one.starts, begins(one.syllables), atol=0.05)
    assert all(start < stop for start, stop in zip(one.starts, one.ends, strict=True))
    assert all(0.9 < confidence <= 1 for confidence in one.confidences)
    assert one.confidence == pytest.approx(np.prod(one.confidences))
    assert (one.characters, one.alternatives) == (None, ())


def test_alternatives_come_best_first() -> None:
    recognizer = listener()
    recognizer.decoder = BeamSearch(nbest=4, min_log_prob=-60.0)
    (one,) = recognizer.hear([wave("yi1 er4")])
    assert one.text == "yi1 er4"
    assert len(one.alternatives) == 3
    scores = [one.score, *(other.score for other in one.alternatives)]
    assert scores == sorted(scores, reverse=True)
    assert len({one.text, *(other.text for other in one.alternatives)}) == 4
    assert {type(other) for other in one.alternatives} == {Alternative}


def test_an_alternative_is_as_sure_as_its_syllables_where_they_would_lie() -> None:
    recognizer = listener()
    recognizer.decoder = BeamSearch(nbest=4, min_log_prob=-60.0)
    features = [recognizer.frontend(wave("yi1 er4"))]
    (one,), outputs = recognizer.read(features), recognizer.outputs(features)
    found = recognizer.decoder(outputs.log_probs, outputs.steps)[0]
    for hypothesis, other in zip(found[1:], one.alternatives, strict=True):
        assert other.syllables == tuple(VOCABULARY.decode(hypothesis.ids))
        assert other.text == " ".join(other.syllables)
        assert (other.log_prob, other.score) == (hypothesis.log_prob, hypothesis.score)
        assert other.confidence == pytest.approx(np.prod(align_ctc(outputs.of(0), hypothesis.ids).scores))
        assert 0 <= other.confidence <= one.confidence


def test_nothing_heard_is_a_transcript() -> None:
    (one,) = listener().hear([wave("")])
    assert (one.text, one.starts, one.ends, one.confidences, one.confidence) == ("", (), (), (), 1.0)


def test_a_batch_is_its_recordings(tmp_path: Path) -> None:
    recognizer = listener()
    together = recognizer.hear([wave(said) for said in SAID])
    for said, one in zip(SAID, together, strict=True):
        alone = recognizer.transcribe(speak(tmp_path / "a.wav", said))
        assert (alone.syllables, alone.starts, alone.ends) == (one.syllables, one.starts, one.ends)


def test_batches_hold_every_recording_once_and_not_too_much() -> None:
    rng = np.random.default_rng(0)
    for lengths in (rng.uniform(0.5, 20, 100), rng.uniform(1, 600, 50), np.array([2000.0, 1.0])):
        batches = list(by_length(lengths.tolist()))
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        for batch in batches:
            assert len(batch) <= BATCH_SIZE
            assert len(batch) == 1 or len(batch) * max(lengths[batch]) <= BATCH_SECONDS
    assert list(by_length([])) == []


def test_the_checkpoint_calibrates_confidences() -> None:
    """Twice the temperature is the square root of the odds between two units."""
    plain, warm = listener(), listener()
    warm.meta = SimpleNamespace(decoding={"temperature": 2.0})  # type: ignore[assignment]
    assert (plain.temperature, warm.temperature) == (1.0, 2.0)
    (sure,), (less,) = plain.hear([wave("er4")]), warm.hear([wave("er4")])
    assert (sure.syllables, sure.starts, sure.log_prob) == (less.syllables, less.starts, less.log_prob)
    odds = sure.confidences[0] / (1 - sure.confidences[0])
    assert less.confidences[0] / (1 - less.confidences[0]) == pytest.approx(np.sqrt(odds), rel=0.5)


def test_characters_of_the_best_hypothesis() -> None:
    recognizer = listener()
    recognizer.hanzi = Speller()  # type: ignore[assignment]
    recognizer.decoder = BeamSearch(nbest=3, min_log_prob=-60.0)
    spoken, silent = recognizer.hear([wave("yi1 er4 si4"), wave("")])
    assert (spoken.text, spoken.characters) == ("yi1 er4 si4", "一二四")
    assert len(spoken.alternatives) == 2
    assert silent.characters == ""


def test_the_language_model_of_the_decoder_counts_half_for_the_characters_and_hotwords_count_whole() -> None:
    """The sound is for yi1 by three quarters of what the decoder's language model is for er4; the speller is for none.

    So the decoder hears er4, but half of what it had for that does not outweigh the sound. A hotword does.
    """
    recognizer, model = listener(), train([["er4"]] * 9 + [["yi1"]], order=2)
    recognizer.hanzi = Speller()  # type: ignore[assignment]
    odds = 0.75 * 0.5 * (model.log_prob(["er4"]) - model.log_prob(["yi1"]))
    log_probs = np.full((1, 1, len(VOCABULARY)), -9.0)
    log_probs[0, 0, VOCABULARY.encode(["yi1", "er4"])] = -1.0, -1.0 - odds
    for line, characters in (("si4", "一"), ("er4", "二")):
        hotwords = Hotwords.parse([line], VOCABULARY.symbols)
        language = model.scorer(VOCABULARY.symbols)
        search = BeamSearch(nbest=5, min_log_prob=-9.5, language=language, length_bonus=1.0, hotwords=hotwords)
        nbest = search(log_probs, [1])[0]
        assert VOCABULARY.decode(nbest[0].ids) == ["er4"]
        sentence = recognizer.written(nbest)[0][1]
        assert sentence is not None
        assert sentence.text == characters


@pytest.mark.parametrize(("odds", "heard"), [(-0.99, "er4"), (-1.01, "yi1"), (0.0, "yi1")])
def test_characters_have_a_say_in_what_is_heard(odds: float, heard: str) -> None:
    """一 is 2 less probable than 二, of which half counts: the sound must outweigh 1, where it leaves a choice."""

    class Choosy(Speller):
        def decode(self, nbest: Sequence[tuple[Sequence[str], float]], n: int = 1) -> list[Sentence]:
            (sentence,) = super().decode(nbest, n)
            return [replace(sentence, score=sentence.score - 2 * sentence.text.count("一"))]

    log_probs = np.full((1, len(VOCABULARY)), -20.0)
    log_probs[0, VOCABULARY.encode(["yi1", "er4"])] = -1.0, -1.0 + odds if odds else -20.0
    recognizer = listener()
    recognizer.acoustics = lambda *_: (log_probs[None], np.ones(1, int))
    recognizer.hanzi, recognizer.decoder = Choosy(), BeamSearch(nbest=2, min_log_prob=-9.0)  # type: ignore[assignment]
    (one,) = recognizer.hear([wave("yi1")])
    written = {"yi1": "一", "er4": "二"}
    assert (one.text, one.characters) == (heard, written[heard])
    ids = VOCABULARY.encode([heard])
    assert one.log_prob == pytest.approx(log_probs[0, ids[0]], abs=1e-6)
    assert all(other.score < one.score for other in one.alternatives)


def test_no_more_hypotheses_are_shown_than_were_asked_for() -> None:
    recognizer = listener()
    recognizer.decoder = BeamSearch(nbest=3, min_log_prob=-60.0)
    (every,) = recognizer.hear([wave("yi1 er4")])
    for shown in (1, 2, 3):
        recognizer.shown = shown
        assert recognizer.hear([wave("yi1 er4")])[0].alternatives == every.alternatives[: shown - 1]


def test_any_decoder_will_do() -> None:
    greedy = listener()
    beam = Recognizer(greedy.acoustics, greedy.frontend, greedy.vocabulary, greedy.network, decoder=BeamSearch())
    for one, other in zip(greedy.hear([*map(wave, SAID)]), beam.hear([*map(wave, SAID)]), strict=True):
        assert (one.syllables, one.starts, one.ends) == (other.syllables, other.starts, other.ends)
        assert one.log_prob < other.log_prob  # one path, and the sum over many


# --- what the network as a value says ---------------------------------------------------------------------------------


def test_times_are_the_boundaries_of_the_alignment_by_the_clock_of_the_network() -> None:
    recognizer = listener()
    features = [recognizer.frontend(wave("yi1 er4 er4"))]
    (one,), outputs = recognizer.read(features), recognizer.outputs(features)
    sound = recognizer.sound(features[0])
    assert (sound.step_frames, sound.first_frame, len(sound.features)) == (2, 0.0, len(features[0]))
    starts, ends = boundaries(align_ctc(outputs.of(0), VOCABULARY.encode(one.syllables)), sound)
    assert one.starts == pytest.approx(starts, abs=5.1e-4) and one.ends == pytest.approx(ends, abs=5.1e-4)


def test_a_network_that_looks_ahead_hears_the_same_earlier() -> None:
    class Ahead(Tones):
        first_frame = -4.0

    usual, ahead = listener(), listener()
    ahead.network = Ahead()
    hop_seconds = usual.frontend.features.hop_ms / 1000
    assert ahead.sound(np.zeros((9, 20))).step_begins(np.zeros(1)) == pytest.approx(
        usual.sound(np.zeros((9, 20))).step_begins(np.zeros(1)) - 4 * hop_seconds
    )
    (one,), (earlier,) = usual.hear([wave("yi1 er4 san1")]), ahead.hear([wave("yi1 er4 san1")])
    assert earlier.syllables == one.syllables
    assert all(a < b for a, b in zip(earlier.starts[1:], one.starts[1:], strict=True))


class Squeezing(Strided):
    """Its steps need what comes after them too: so many frames make none."""

    def output_lengths(self, frames: int) -> int:
        return (frames - 70) // self.frames_per_step


def test_a_short_sound_is_padded_until_the_network_has_a_step() -> None:
    recognizer = listener()
    assert recognizer.least_frames == PAD_FRAMES
    recognizer = Recognizer(recognizer.acoustics, recognizer.frontend, VOCABULARY, Squeezing(4))
    assert recognizer.least_frames == 96
    outputs = recognizer.outputs([np.zeros((10, 20), np.float32)])
    assert outputs.log_probs.shape[1] == 48  # of the network of tones, at every second frame


def test_a_network_that_never_has_a_step_is_refused() -> None:
    class Deaf(Strided):
        def output_lengths(self, frames: int) -> int:
            return 0

    recognizer = Recognizer(listener().acoustics, listener().frontend, VOCABULARY, Deaf())
    with pytest.raises(ConfigError, match="Deaf: has no output step however long the input is"):
        recognizer.hear([wave("yi1")])


# --- classes ----------------------------------------------------------------------------------------------------------


def test_the_decoder_fits_the_task() -> None:
    assert (listener().decoder, listener().task, listener().unit) == (Greedy(), Ctc(), "syllable")
    assert (classifier().decoder, classifier().unit) == (Ranking(), "class")


def test_a_class_is_said_from_end_to_end() -> None:
    recognizer = classifier()
    for said in VOCABULARY.units:
        (one,) = recognizer.hear([wave(said)])
        sound = recognizer.sound(recognizer.frontend(wave(said)))
        assert sound.step_frames == len(sound.features)
        assert (one.text, one.starts) == (said, (0.0,))
        assert one.ends == pytest.approx((sound.seconds,), abs=5.1e-4)
        assert one.confidence == one.confidences[0] == pytest.approx(np.exp(one.log_prob))


def test_other_classes_are_alternatives() -> None:
    recognizer = classifier()
    recognizer.decoder = Ranking(4)
    (one,) = recognizer.hear([0.6 * wave("er4") + 0.4 * wave("san1")])
    assert {one.text, *(other.text for other in one.alternatives)} == set(VOCABULARY.units)
    assert (one.text, one.alternatives[0].text) == ("er4", "san1")
    confidences = [one.confidence, *(other.confidence for other in one.alternatives)]
    assert confidences == sorted(confidences, reverse=True) and sum(confidences) <= 1
    assert confidences[1] == pytest.approx(np.exp(one.alternatives[0].log_prob))


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, 1e18])
def test_sound_that_no_recording_has_is_refused_and_not_heard_as_silence(value: float) -> None:
    samples = wave("yi1 er4")
    samples[100] = value
    with pytest.raises(DataError, match=r"sample 100 is .*, where full scale is 1"):
        listener().hear([samples])


@pytest.mark.parametrize(("share", "characters"), [(1.05, "一"), (0.95, "二")])
def test_half_of_the_language_model_outweighs_what_is_less_than_half(share: float, characters: str) -> None:
    """The sound is for yi1 by a share of half of what the decoder's language model is for er4."""
    recognizer, model = listener(), train([["er4"]] * 9 + [["yi1"]], order=2)
    recognizer.hanzi = Speller()  # type: ignore[assignment]
    search = BeamSearch(nbest=5, min_log_prob=-9.5, language=model.scorer(VOCABULARY.symbols), length_bonus=1.0)
    odds = share * 0.5 * 0.5 * (model.log_prob(["er4"]) - model.log_prob(["yi1"]))
    log_probs = np.full((1, 1, len(VOCABULARY)), -9.0)
    log_probs[0, 0, VOCABULARY.encode(["yi1", "er4"])] = -1.0, -1.0 - odds
    sentence = recognizer.written(search(log_probs, [1])[0])[0][1]
    assert sentence is not None and sentence.text == characters
