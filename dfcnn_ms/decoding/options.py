"""The flags that choose a decoder, the same ones for every command, and the decoders that they mean."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfcnn_ms.decoding import DECODERS, Decoder, Hotwords
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from dfcnn_ms.decoding.hanzi import HanziModel

#: name of the search with a language model, besides those of `DECODERS`
WITH_LANGUAGE_MODEL = "beam + lm"
BEAM = 10
#: used where neither a flag nor the checkpoint says how much a language model counts
LM_WEIGHT, LENGTH_BONUS = 0.5, 0.0
#: a list of alternatives needs units that the search for the best text may leave out
NBEST_MIN_LOG_PROB = -15.0


def add_flags(arguments: argparse.ArgumentParser) -> None:
    """Adds the flags that :func:`choice_of` reads; ``--nbest`` means another thing to each command, which adds it."""
    group = arguments.add_argument_group("decoding")
    group.add_argument(
        "--decoder", choices=tuple(DECODERS), help="default: beam where a flag of the search is given, else greedy"
    )
    group.add_argument("--beam", type=int, metavar="N", help=f"hypotheses that the search keeps (default: {BEAM})")
    group.add_argument("--lm", type=Path, metavar="FILE", help="n-gram model of syllables, for the beam search")
    group.add_argument(
        "--lm-weight", type=float, metavar="X", help=f"of the model (default: the checkpoint's, else {LM_WEIGHT})"
    )
    group.add_argument(
        "--length-bonus",
        type=float,
        metavar="X",
        help=f"added for each syllable (default: the checkpoint's with --lm, else {LENGTH_BONUS:g})",
    )
    group.add_argument("--hotwords", type=Path, metavar="FILE", help="words to listen for, one on a line")
    group.add_argument("--hanzi", action="store_true", help="Chinese characters too")
    group.add_argument(
        "--hanzi-model", type=Path, metavar="FILE", help="model of the characters (default: jieba's dictionary)"
    )


@dataclass(frozen=True)
class Choice:
    """What the flags say; None is what nobody asked for."""

    decoder: str | None = None
    beam: int | None = None
    lm: Path | None = None
    lm_weight: float | None = None
    length_bonus: float | None = None
    hotwords: Path | None = None
    hanzi: bool = False
    hanzi_model: Path | None = None
    nbest: int = 1

    @property
    def wants_search(self) -> bool:
        """Whether some flag means nothing to greedy decoding."""
        given = (self.beam, self.lm, self.lm_weight, self.length_bonus, self.hotwords)
        return self.nbest > 1 or any(flag is not None for flag in given)

    @property
    def name(self) -> str:
        """The decoder that is meant, by its name in :func:`decoders`."""
        kind = self.decoder or ("beam" if self.wants_search else "greedy")
        return WITH_LANGUAGE_MODEL if kind == "beam" and self.lm else kind

    def check(self) -> None:
        """Refuses what cannot be meant, before anything is loaded.

        Raises:
            ConfigError: numbers out of range, files that are not there, a weight without a model.
        """
        for flag, number in (("--beam", self.beam), ("--nbest", self.nbest)):
            if number is not None and number < 1:
                raise ConfigError(f"{flag} {number}: wanted 1 or more")
        files = {"--lm": self.lm, "--hotwords": self.hotwords, "--hanzi-model": self.hanzi_model}
        for flag, path in files.items():
            if path is not None and not path.is_file():
                raise ConfigError(f"{flag} {path}: {'is a directory' if path.is_dir() else 'no such file'}")
        if self.beam is not None and self.nbest > self.beam:
            raise ConfigError(f"--nbest {self.nbest}: more than --beam {self.beam} keeps; make the beam wider")
        if self.lm is None and self.lm_weight is not None:
            raise ConfigError("--lm-weight says how much a language model counts; give one with --lm FILE")
        if self.lm_weight is not None and not self.lm_weight >= 0:
            raise ConfigError(f"--lm-weight {self.lm_weight:g}: wanted 0 or more")

    @property
    def wants_characters(self) -> bool:
        """Whether Chinese characters are asked for; who names a model wants it used."""
        return self.hanzi or self.hanzi_model is not None

    def load_hanzi(self) -> HanziModel | None:
        """The model of the characters, where they are asked for."""
        if not self.wants_characters:
            return None
        from dfcnn_ms.decoding.hanzi import HanziModel

        return HanziModel.load(self.hanzi_model) if self.hanzi_model else HanziModel.default()

    def check_heard(self) -> None:
        """Refuses flags that the decoder, being greedy, would not hear.

        Raises:
            ConfigError: see above.
        """
        if self.decoder == "greedy" and self.wants_search:
            raise ConfigError("--decoder greedy takes no other flag of the search; leave it out, or say --decoder beam")


def choice_of(options: argparse.Namespace) -> Choice:
    """What the flags say; what cannot be meant is refused.

    Raises:
        ConfigError: see :meth:`Choice.check`.
    """
    choice = Choice(
        decoder=options.decoder,
        beam=options.beam,
        lm=options.lm,
        lm_weight=options.lm_weight,
        length_bonus=options.length_bonus,
        hotwords=options.hotwords,
        hanzi=options.hanzi,
        hanzi_model=options.hanzi_model,
        nbest=options.nbest,
    )
    choice.check()
    return choice


def decoders(choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float]) -> dict[str, Decoder]:
    """Every decoder that the flags allow: greedy, beam, and with a language model where there is one.

    Args:
        choice: the flags.
        vocabulary: of the network.
        stored: what the checkpoint says about decoding.
    """
    symbols, bonus = vocabulary.symbols, choice.length_bonus
    hotwords = Hotwords.load(choice.hotwords, symbols) if choice.hotwords else None
    search: dict[str, Any] = {
        "beam": choice.beam or max(BEAM, choice.nbest),
        "nbest": choice.nbest,
        "hotwords": hotwords,
    }
    if choice.nbest > 1:
        search["min_log_prob"] = NBEST_MIN_LOG_PROB
    # The checkpoint's length bonus was tuned beside a language model and means nothing without one.
    plain = LENGTH_BONUS if bonus is None or choice.lm else bonus
    found = {"greedy": DECODERS["greedy"](), "beam": DECODERS["beam"](**search, length_bonus=plain)}
    if choice.lm:
        from dfcnn_ms.decoding.ngram import NgramModel

        found[WITH_LANGUAGE_MODEL] = DECODERS["beam"](
            **search,
            language=NgramModel.load(choice.lm).scorer(symbols),
            lm_weight=_first(choice.lm_weight, stored.get("lm_weight"), LM_WEIGHT),
            length_bonus=_first(bonus, stored.get("length_bonus"), LENGTH_BONUS),
        )
    return found


def _first(*values: float | None) -> float:
    """The first that somebody gave."""
    return next(value for value in values if value is not None)
