"""What a request may change about decoding, against recognizers that were told so themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import chord, searching
from tones import VOCABULARY, classifier, listener, wave

from dfcnn_ms.decoding import BeamSearch, Greedy, Hotwords
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Transcript
from dfcnn_ms.serving.models import Model, Options


def heard(model: Model, options: Options, said: str = "yi1 er4") -> Transcript:
    return model.listener(options).hear([wave(said)])[0]


def test_who_asks_for_nothing_gets_the_decoder_of_the_flags() -> None:
    assert isinstance(searching().listener(Options()).decoder, Greedy)
    assert searching(beam=7).listener(Options()).decoder.beam == 7  # type: ignore[attr-defined]


def test_more_hypotheses_are_those_of_the_beam() -> None:
    recognizer = listener()
    recognizer.decoder = BeamSearch(beam=12, nbest=12, min_log_prob=-15.0)
    assert heard(searching(), Options(nbest=12)) == recognizer.hear([wave("yi1 er4")])[0]


def test_hotwords_are_listened_for() -> None:
    model, both = searching(), chord("yi1", "er4")
    assert model.listener(Options()).hear([both])[0].text == "yi1"
    assert "er4" in model.listener(Options(hotwords=("er4",))).hear([both])[0].syllables


def test_hotwords_of_the_server_stay(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("yi1 er4\t3\n")
    model = searching(hotwords=tmp_path / "words.txt")
    decoder = model.listener(Options(hotwords=("san1",))).decoder
    wanted = Hotwords.parse(["yi1 er4\t3", "san1"], VOCABULARY.symbols)
    assert decoder.hotwords == wanted  # type: ignore[attr-defined]


def test_a_language_model_counts_unless_somebody_says_no(tmp_path: Path) -> None:
    train([["yi1", "er4"]] * 20, order=2).save(tmp_path / "a.npz")
    model = searching(lm=tmp_path / "a.npz")
    for options in (Options(), Options(nbest=2), Options(hotwords=("si4",))):
        assert model.listener(options).decoder.language is not None  # type: ignore[attr-defined]
    without = model.listener(Options(language_model=False, nbest=2)).decoder
    assert without.language is None and without.nbest == 2  # type: ignore[attr-defined]


def test_phrases_are_those_that_the_network_can_write() -> None:
    model = searching()
    lines = ["yi1 er4", "hello", "一二", "ba1", "一二", "你好", " ", "x" * 1000, "\0"]
    assert model.words(lines) == ("yi1 er4", "一二")
    assert model.words(["hello"]) == ()


def test_phrases_that_together_are_too_much_are_left_out() -> None:
    assert searching().words([" ".join(["yi1"] * n) + "\t20" for n in (8, 9)]) == ()
    assert len(searching().words([" ".join(["yi1"] * n) for n in (8, 9)])) == 2


def test_a_network_of_classes_ranks_and_listens_for_nothing() -> None:
    model = Model("classes", classifier())
    assert len(model.listener(Options(nbest=3)).hear([wave("er4")])[0].alternatives) == 2
    assert model.words(["er4"]) == ()
    with pytest.raises(ConfigError, match="hotwords: this network cannot listen for them"):
        model.listener(Options(hotwords=("er4",)))


@pytest.mark.parametrize("nbest", [0, -1, 101])
def test_impossible_wishes_are_refused(nbest: int) -> None:
    with pytest.raises(ConfigError, match="wanted 1 to 100"):
        Options(nbest=nbest)


def test_a_phrase_without_syllables_of_the_network_is_an_error_where_it_was_meant() -> None:
    with pytest.raises(DataError, match="no phrase can be heard"):
        searching().listener(Options(hotwords=("ba1",)))


def test_listeners_share_the_network() -> None:
    model = searching()
    assert model.listener(Options(nbest=2)).acoustics is model.recognizer.acoustics
    assert model.listener(Options(nbest=2)) is model.listener(Options(nbest=2))
