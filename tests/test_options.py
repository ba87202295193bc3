"""What the flags of decoding mean, and what is refused."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

import pytest

from dfcnn_ms import cli
from dfcnn_ms.decoding import BeamSearch, Greedy
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.decoding.options import NBEST_MIN_LOG_PROB, WITH_LANGUAGE_MODEL, Choice, add_flags, choice_of, decoders
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("ba1", "er4", "san1"))


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    train([["ba1", "er4"], ["er4", "san1"]], order=2).save(path)
    return path


def parsed(*flags: str) -> Choice:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--nbest", type=int, default=1)
    add_flags(arguments)
    return choice_of(arguments.parse_args(flags))


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "greedy"),
        (["--decoder", "greedy"], "greedy"),
        (["--decoder", "beam"], "beam"),
        (["--beam", "5"], "beam"),
        (["--hotwords", __file__], "beam"),
        (["--length-bonus", "0"], "beam"),
        (["--lm", __file__], WITH_LANGUAGE_MODEL),
        (["--lm", __file__, "--decoder", "beam"], WITH_LANGUAGE_MODEL),
        (["--lm", __file__, "--decoder", "greedy"], "greedy"),
        (["--nbest", "2"], "beam"),
    ],
)
def test_the_decoder_that_is_meant(flags: list[str], name: str) -> None:
    assert parsed(*flags).name == name


def test_who_names_a_model_of_characters_wants_them() -> None:
    assert not parsed().wants_characters
    assert parsed("--hanzi").wants_characters
    assert parsed("--hanzi-model", __file__).wants_characters
    assert parsed("--hanzi-model", __file__).name == "greedy"
    assert Choice().load_hanzi() is None


def test_a_list_of_alternatives_is_a_search() -> None:
    assert Choice(nbest=2).name == "beam"


def test_without_a_language_model_there_are_two() -> None:
    found = decoders(Choice(), VOCABULARY, {"lm_weight": 0.3, "length_bonus": 1.5})
    assert found == {"greedy": Greedy(), "beam": BeamSearch()}


def test_flags_reach_the_search() -> None:
    found = decoders(Choice(beam=7, length_bonus=0.4, nbest=3), VOCABULARY, {})
    assert found["beam"] == BeamSearch(beam=7, length_bonus=0.4, nbest=3, min_log_prob=NBEST_MIN_LOG_PROB)


def test_a_long_list_widens_the_beam() -> None:
    found: Any = decoders(Choice(nbest=50), VOCABULARY, {})
    assert (found["beam"].beam, found["beam"].nbest) == (50, 50)


def test_the_checkpoint_says_how_much_the_model_counts_and_flags_say_it_better(lm: Path) -> None:
    stored = {"lm_weight": 0.3, "length_bonus": 1.5, "temperature": 2.0}
    found: Any = decoders(Choice(lm=lm), VOCABULARY, stored)
    assert list(found) == ["greedy", "beam", WITH_LANGUAGE_MODEL]
    assert (found[WITH_LANGUAGE_MODEL].lm_weight, found[WITH_LANGUAGE_MODEL].length_bonus) == (0.3, 1.5)
    assert found[WITH_LANGUAGE_MODEL].language is not None
    assert (found["beam"].language, found["beam"].length_bonus) == (None, 0.0)
    found = decoders(Choice(lm=lm, lm_weight=0.0, length_bonus=-1.0), VOCABULARY, stored)
    assert (found[WITH_LANGUAGE_MODEL].lm_weight, found[WITH_LANGUAGE_MODEL].length_bonus) == (0.0, -1.0)


def test_hotwords_are_for_this_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("ba1 er4\n")
    found: Any = decoders(Choice(hotwords=tmp_path / "words.txt"), VOCABULARY, {})
    assert [phrase.syllables for phrase in found["beam"].hotwords.phrases] == [("ba1", "er4")]
    (tmp_path / "words.txt").write_text("ni3 hao3\n")
    with pytest.raises(DataError, match=r"words\.txt: no phrase can be heard"):
        decoders(Choice(hotwords=tmp_path / "words.txt"), VOCABULARY, {})


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (Choice(beam=0), "--beam 0: wanted 1 or more"),
        (Choice(nbest=0), "--nbest 0: wanted 1 or more"),
        (Choice(beam=2, nbest=3), "--nbest 3: more than --beam 2 keeps"),
        (Choice(lm=Path("no.arpa")), "--lm no.arpa: no such file"),
        (Choice(lm=Path()), "--lm .: is a directory"),
        (Choice(hotwords=Path("no.txt")), "--hotwords no.txt: no such file"),
        (Choice(hanzi_model=Path("no.bin")), "--hanzi-model no.bin: no such file"),
        (Choice(lm_weight=0.5), "give one with --lm FILE"),
        (Choice(lm=Path(__file__), lm_weight=-1.0), "--lm-weight -1: wanted 0 or more"),
    ],
)
def test_what_cannot_be_meant(choice: Choice, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        choice.check()


def test_greedy_decoding_hears_no_flag_of_the_search() -> None:
    with pytest.raises(ConfigError, match="say --decoder beam"):
        Choice(decoder="greedy", beam=3).check_heard()
    Choice(decoder="greedy").check_heard()
    Choice(decoder="beam", beam=3).check_heard()


@pytest.mark.parametrize("command", ["eval", "transcribe"])
def test_every_command_has_the_same_flags(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):  # noqa: N818 (not an error)
        pass

    def stop(parser: argparse.ArgumentParser, message: str) -> None:
        raise Stop({action.dest for action in parser._actions})

    monkeypatch.setattr(cli._Parser, "error", stop)
    with pytest.raises(Stop) as caught:
        importlib.import_module(f"dfcnn_ms.{command}").main(["--no-such-flag"])
    assert {
        "decoder",
        "beam",
        "lm",
        "lm_weight",
        "length_bonus",
        "hotwords",
        "hanzi",
        "hanzi_model",
    } <= caught.value.args[0]
