"""What the flags of decoding mean, and what is refused."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tones

from dfcnn_ms import calibrate, cli
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding import DECODERS, BaseDecoder, BeamSearch, Greedy, Hypothesis, Ranking
from dfcnn_ms.decoding.beam import BEAM, LENGTH_BONUS, LM_WEIGHT, NBEST_MIN_LOG_PROB
from dfcnn_ms.decoding.choice import OVER, SEARCH, Choice
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.decoding.options import add_flags, check_heard, choice_of, decoders, kind_of
from dfcnn_ms.decoding.tune import Grid, tune
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.evaluate import evaluate
from dfcnn_ms.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("ba1", "er4", "san1"))


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    train([["ba1", "er4"], ["er4", "san1"]], order=2).save(path)
    return path


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text("ba1 er4\n")
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
        (["--hotwords", "WORDS"], "beam"),
        (["--length-bonus", "0"], "beam"),
        (["--lm", "LM"], "beam + lm"),
        (["--lm", "LM", "--decoder", "beam"], "beam + lm"),
        (["--lm", "LM", "--decoder", "greedy"], "greedy"),
        (["--nbest", "2"], "beam"),
    ],
)
def test_the_decoder_that_is_meant(lm: Path, words: Path, flags: list[str], name: str) -> None:
    files = {"LM": str(lm), "WORDS": str(words)}
    choice = parsed(*(files.get(flag, flag) for flag in flags))
    assert kind_of(choice) == name.split(" ")[0]
    found = decoders(choice, VOCABULARY, {})
    assert found.name == name
    assert found.decoder is found.decoders[name]


@pytest.mark.parametrize(("flags", "nbest"), [([], 1), (["--decoder", "classes"], 1), (["--nbest", "3"], 3)])
def test_the_decoder_that_is_meant_for_classes(flags: list[str], nbest: int) -> None:
    found = decoders(parsed(*flags), VOCABULARY, {"lm_weight": 0.3}, "classes")
    assert (found.name, found.decoders) == ("classes", {"classes": Ranking(nbest)})


@pytest.mark.parametrize(
    ("choice", "outputs", "sentence"),
    [
        (Choice(decoder="classes"), "ctc", "--decoder classes: does not read what this network writes; "
         "use --decoder greedy or beam"),
        (Choice(decoder="beam"), "classes", "--decoder beam: does not read what this network writes; "
         "use --decoder classes"),
        (Choice(beam=3, length_bonus=0.0), "classes", "--beam, --length-bonus: means nothing to what this network "
         "writes; use --decoder classes"),
        (Choice(), "pictures", "means nothing to what this network writes; no decoder does; a plugin may add one"),
    ],
)  # fmt: skip
def test_a_decoder_of_other_outputs_is_refused(choice: Choice, outputs: str, sentence: str) -> None:
    for refused in (
        lambda: kind_of(choice, outputs),
        lambda: decoders(choice, VOCABULARY, {}, outputs),
    ):
        with pytest.raises(ConfigError, match=re.escape(sentence)):
            refused()


def test_who_names_a_model_of_characters_wants_them() -> None:
    assert not parsed().wants_characters
    assert parsed("--hanzi").wants_characters
    assert parsed("--hanzi-model", __file__).wants_characters
    assert kind_of(parsed("--hanzi-model", __file__)) == "beam"  # which leaves them a choice
    assert kind_of(replace(parsed("--hanzi"), over=1)) == kind_of(parsed("--hanzi", "--decoder", "greedy")) == "greedy"
    assert Choice().load_hanzi() is None


def test_a_list_of_alternatives_is_a_search() -> None:
    assert kind_of(Choice(nbest=2)) == "beam"


@pytest.mark.parametrize(
    ("choice", "beam", "nbest"),
    [
        (Choice(), BEAM, 1),
        (Choice(hanzi=True), BEAM, OVER),
        (Choice(hanzi=True, nbest=50), 50, 50),
        (Choice(hanzi=True, beam=4), 4, 4),
        (Choice(hanzi=True, over=1), BEAM, 1),
        (Choice(hanzi=True, over=30), 30, 30),
        (Choice(over=30), BEAM, 1),
    ],
)
def test_characters_are_chosen_over_several_hypotheses(choice: Choice, beam: int, nbest: int) -> None:
    found: Any = decoders(replace(choice, decoder="beam"), VOCABULARY, {}).decoder
    assert (found.beam, found.nbest) == (beam, nbest)
    assert (found.min_log_prob == NBEST_MIN_LOG_PROB) == (choice.nbest > 1)  # wider where a list is asked for


def test_what_was_given_is_what_differs_from_silence() -> None:
    assert Choice().given == parsed().given == frozenset()
    assert Choice(decoder="beam", hanzi=True).given == frozenset()  # no flags of the search
    assert Choice(beam=10, length_bonus=0.0, nbest=2).given == {"beam", "length_bonus", "nbest"}
    everything = Choice(beam=1, lm=Path(), lm_weight=0.0, length_bonus=0.0, hotwords=Path(), nbest=2)
    assert everything.given == SEARCH.keys() == BeamSearch.hears


def test_without_a_language_model_there_are_two() -> None:
    found = decoders(Choice(), VOCABULARY, {"lm_weight": 0.3, "length_bonus": 1.5})
    assert (found.decoders, found.name) == ({"greedy": Greedy(), "beam": BeamSearch()}, "greedy")


def test_flags_reach_the_search() -> None:
    found = decoders(Choice(beam=7, length_bonus=0.4, nbest=3), VOCABULARY, {})
    assert found.decoder == BeamSearch(beam=7, length_bonus=0.4, nbest=3, min_log_prob=NBEST_MIN_LOG_PROB)


def test_a_long_list_widens_the_beam() -> None:
    found: Any = decoders(Choice(nbest=50), VOCABULARY, {}).decoder
    assert (found.beam, found.nbest) == (50, 50)


def test_the_checkpoint_says_how_much_the_model_counts_and_flags_say_it_better(lm: Path) -> None:
    stored = {"lm_weight": 0.3, "length_bonus": 1.5, "temperature": 2.0}
    found: Any = decoders(Choice(lm=lm), VOCABULARY, stored)
    assert list(found.decoders) == ["greedy", "beam", "beam + lm"]
    assert (found.decoder.lm_weight, found.decoder.length_bonus) == (0.3, 1.5)
    assert found.decoder.language.units == len(VOCABULARY)
    plain = found.decoders["beam"]
    assert (plain.language, plain.length_bonus) == (None, 0.0)
    found = decoders(Choice(lm=lm, lm_weight=0.0, length_bonus=-1.0), VOCABULARY, stored)
    assert (found.decoder.lm_weight, found.decoder.length_bonus) == (0.0, -1.0)
    found = decoders(Choice(lm=lm), VOCABULARY, {})
    assert (found.decoder.lm_weight, found.decoder.length_bonus) == (LM_WEIGHT, LENGTH_BONUS)


def test_a_search_is_as_wide_as_it_was_tuned_with_the_model_and_flags_say_it_better(lm: Path) -> None:
    stored = {"beam": 30, "min_log_prob": -8.0}

    def width(of: str = "beam + lm", **flags: Any) -> tuple[int, float]:
        search: Any = decoders(Choice(lm=lm, **flags), VOCABULARY, stored).decoders[of]
        return search.beam, search.min_log_prob

    assert width() == (30, -8.0)
    assert width("beam") == (BeamSearch().beam, BeamSearch().min_log_prob)
    assert width(beam=4) == (4, -8.0)
    assert width(nbest=20) == (30, NBEST_MIN_LOG_PROB)
    assert width(nbest=50) == (50, NBEST_MIN_LOG_PROB)
    stored = {"min_log_prob": -20.0}
    assert width(nbest=3) == (BeamSearch().beam, -20.0)
    for damaged in ({"beam": 1e30}, {"min_log_prob": 1.0}):
        stored = damaged
        with pytest.raises(ConfigError, match=next(iter(damaged))):
            width()


def test_hotwords_are_for_this_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("ba1 er4\n")
    found: Any = decoders(Choice(hotwords=tmp_path / "words.txt"), VOCABULARY, {}).decoder
    assert [phrase.syllables for phrase in found.hotwords.phrases] == [("ba1", "er4")]
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
    sentence = "--decoder greedy takes no --beam; leave it out, or say --decoder beam"
    with pytest.raises(ConfigError, match=rf"^{sentence}$"):
        check_heard(Choice(decoder="greedy", beam=3))
    with pytest.raises(ConfigError, match=r"^--decoder greedy takes no --beam, --length-bonus; "):
        check_heard(Choice(decoder="greedy", length_bonus=0.0, beam=3))
    with pytest.raises(ConfigError, match=r"^--decoder classes takes no --hotwords; "):
        check_heard(Choice(decoder="classes", hotwords=Path(__file__), nbest=2))
    for choice in (Choice(), Choice(beam=3), Choice(decoder="greedy"), Choice(decoder="beam", beam=3)):
        check_heard(choice)
    check_heard(Choice(decoder="classes", nbest=2))


# --- a decoder from outside -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parrot(BaseDecoder):
    """Says one unit whatever it hears, the more often the longer its language model; a third row of the registry."""

    hears: ClassVar[frozenset[str]] = frozenset({"lm", "lm_weight", "length_bonus", "beam"})

    unit: int = 2
    language: int | None = None
    lm_weight: float = 0.0
    length_bonus: float = 0.0

    @classmethod
    def chosen(cls, choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float]) -> dict[str, Parrot]:
        loud = cls(len(vocabulary) - 1)
        weight = stored.get("lm_weight", 0.25) if choice.lm_weight is None else choice.lm_weight
        return {"": loud} | ({"book": replace(loud, language=3, lm_weight=weight)} if choice.lm else {})

    def __call__(self, log_probs: np.ndarray, lengths: Sequence[int] | np.ndarray) -> list[list[Hypothesis]]:
        times = 1 if self.language is None else round(self.language * self.lm_weight + self.length_bonus)
        return [[Hypothesis((self.unit,) * times, 0.0)] for _ in log_probs]


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DECODERS, "parrot", Parrot)


@pytest.mark.usefixtures("parrot")
def test_a_decoder_from_outside_is_one_like_any_other(lm: Path) -> None:
    assert kind_of(parsed("--decoder", "parrot")) == "parrot"
    found = decoders(parsed("--decoder", "parrot"), VOCABULARY, {})
    assert (list(found.decoders), found.name) == (["greedy", "beam", "parrot"], "parrot")
    assert found.decoder == Parrot(unit=4)
    found = decoders(parsed("--decoder", "parrot", "--lm", str(lm)), VOCABULARY, {"lm_weight": 1.0})
    assert list(found.decoders) == ["greedy", "beam", "beam + lm", "parrot", "parrot + book"]
    assert (found.name, found.decoder) == ("parrot + book", Parrot(4, 3, 1.0))
    assert [found.decoder(np.zeros((1, 2, 5)), [2])[0][0].ids] == [(4, 4, 4)]


@pytest.mark.usefixtures("parrot")
def test_a_decoder_from_outside_does_not_take_the_place_of_another(lm: Path) -> None:
    """The first that hears the flags is meant, unless somebody says otherwise."""
    assert decoders(parsed(), VOCABULARY, {}).name == "greedy"
    assert decoders(parsed("--lm", str(lm)), VOCABULARY, {}).name == "beam + lm"
    assert list(decoders(parsed(), VOCABULARY, {}, "classes").decoders) == ["classes"]
    with pytest.raises(ConfigError, match="--decoder parrot takes no --nbest; leave it out, or say --decoder beam"):
        check_heard(parsed("--decoder", "parrot", "--nbest", "2"))


@pytest.mark.usefixtures("parrot")
def test_a_decoder_from_outside_is_heard_on_a_test_set_and_writes_transcripts(tmp_path: Path) -> None:
    """What eval and transcribe do with the decoders that they get."""
    recognizer = tones.listener()
    found = decoders(Choice(decoder="parrot"), recognizer.vocabulary, {}, recognizer.task.outputs)
    utterance = Utterance("a", str(tones.speak(tmp_path / "a.wav", "yi1 si4")), 0.7, ("yi1", "si4"))
    listened = evaluate(recognizer, [utterance], found.decoders, found.name)
    assert [one.syllables for one in listened.heard] == [("si4",)]
    assert [one.decoder for one in listened.decoders] == ["greedy", "beam", "parrot"]
    assert [one.edits.total for one in listened.decoders] == [0, 0, 1]
    recognizer.decoder = found.decoder
    transcript = recognizer.transcribe(utterance.path)
    assert (transcript.text, len(transcript.starts)) == ("si4", 1)


@pytest.mark.usefixtures("parrot")
def test_a_decoder_from_outside_is_tuned(lm: Path) -> None:
    """Three times its weight, and the bonus, make the four syllables that were said: what ngram tune does."""
    search = decoders(Choice(decoder="parrot", lm=lm), VOCABULARY, {}).decoder
    best = tune(search, [np.zeros((6, 5))], [[4] * 4], Grid((0.0, 1.0), (0.0, 1.0), halvings=0))
    assert (best.lm_weight, best.length_bonus, best.edits.total) == (1.0, 1.0, 0)


@pytest.mark.usefixtures("parrot")
def test_a_decoder_from_outside_is_calibrated() -> None:
    """What calibrate counts: the syllables of the decoder, at their peaks."""
    recognizer = tones.listener()
    recognizer.decoder = decoders(Choice(decoder="parrot"), recognizer.vocabulary, {}).decoder
    outputs = recognizer.outputs([recognizer.frontend(tones.wave("yi1 si4"))])
    peaks = calibrate.peaks_of(recognizer, outputs.of(0), ("yi1", "si4"))
    assert (peaks.ids.tolist(), peaks.correct.tolist()) == ([5], [True])
    assert peaks.confidences()[0] > 0.9


@pytest.mark.parametrize("command", ["eval", "transcribe", "calibrate"])
def test_every_command_has_the_same_flags(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):  # noqa: N818 (not an error)
        pass

    def stop(parser: argparse.ArgumentParser, message: str) -> None:
        raise Stop({action.dest for action in parser._actions})

    monkeypatch.setattr(cli._Parser, "error", stop)
    with pytest.raises(Stop) as caught:
        importlib.import_module(f"dfcnn_ms.{command}").main(["--no-such-flag"])
    characters = {"hanzi", "hanzi_model"} if command != "calibrate" else set()
    assert {"decoder", "beam", "lm", "lm_weight", "length_bonus", "hotwords"} | characters <= caught.value.args[0]
