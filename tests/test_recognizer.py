"""The whole chain from sound to transcript, on a language whose sound is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tones import VOCABULARY, Speller, begins, listener, speak, wave

from dfcnn_ms.decoding import BeamSearch, Hotwords
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.recognizer import BATCH_SECONDS, BATCH_SIZE, Recognizer, by_length

SAID = ["yi1 er4 san1", "si4", "er4 er4", "san1 yi1 si4 yi1", "yi1"]


def test_transcripts_have_times_and_confidences() -> None:
    recognizer = listener()
    (one,) = recognizer.hear([wave("yi1 er4 san1")])
    assert one.text == "yi1 er4 san1"
    np.testing.assert_allclose(one.seconds, begins(one.syllables), atol=0.05)
    assert all(start < stop for start, stop in zip(one.seconds, one.ends, strict=True))
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


def test_nothing_heard_is_a_transcript() -> None:
    (one,) = listener().hear([wave("")])
    assert (one.text, one.seconds, one.ends, one.confidence) == ("", (), (), 1.0)


def test_a_batch_is_its_recordings(tmp_path: Path) -> None:
    recognizer = listener()
    together = recognizer.hear([wave(said) for said in SAID])
    for said, one in zip(SAID, together, strict=True):
        alone = recognizer.transcribe(speak(tmp_path / "a.wav", said))
        assert (alone.syllables, alone.seconds, alone.ends) == (one.syllables, one.seconds, one.ends)


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
    assert (sure.syllables, sure.seconds, sure.log_prob) == (less.syllables, less.seconds, less.log_prob)
    odds = sure.confidences[0] / (1 - sure.confidences[0])
    assert less.confidences[0] / (1 - less.confidences[0]) == pytest.approx(np.sqrt(odds), rel=0.5)


def test_characters_of_the_best_hypothesis() -> None:
    recognizer = listener()
    recognizer.hanzi = Speller()  # type: ignore[assignment]
    recognizer.decoder = BeamSearch(nbest=3, min_log_prob=-60.0)
    spoken, silent = recognizer.hear([wave("yi1 er4 si4"), wave("")])
    assert (spoken.text, spoken.characters) == ("yi1 er4 si4", "一二四")
    assert spoken.sentence is not None
    assert spoken.sentence.score == spoken.score
    assert [one.characters for one in spoken.alternatives] == [None, None]
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
        sentence = recognizer.sentence(nbest)
        assert sentence is not None
        assert sentence.text == characters


def test_any_decoder_will_do() -> None:
    greedy = listener()
    beam = Recognizer(greedy.acoustics, greedy.frontend, greedy.vocabulary, decoder=BeamSearch())
    for one, other in zip(greedy.hear([*map(wave, SAID)]), beam.hear([*map(wave, SAID)]), strict=True):
        assert (one.syllables, one.seconds, one.ends) == (other.syllables, other.seconds, other.ends)
        assert one.log_prob < other.log_prob  # one path, and the sum over many
