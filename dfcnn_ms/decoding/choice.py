"""What the command line says about decoding, before anybody knows what it means to which decoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfcnn_ms.errors import ConfigError

if TYPE_CHECKING:
    from dfcnn_ms.decoding.hanzi import HanziModel

#: how many hypotheses characters are chosen over, unless it is said
OVER = 10
#: flags of a search, and what is the same as not giving them
SEARCH = {"beam": None, "lm": None, "lm_weight": None, "length_bonus": None, "hotwords": None, "nbest": 1}


@dataclass(frozen=True)
class Choice:
    """What the flags say; None is what nobody asked for.

    Attributes:
        nbest: hypotheses that are asked for.
        over: those that characters are chosen over.
    """

    decoder: str | None = None
    beam: int | None = None
    lm: Path | None = None
    lm_weight: float | None = None
    length_bonus: float | None = None
    hotwords: Path | None = None
    hanzi: bool = False
    hanzi_model: Path | None = None
    nbest: int = 1
    over: int | None = None

    @property
    def given(self) -> frozenset[str]:
        """The flags of a search that somebody gave."""
        return frozenset(flag for flag, unsaid in SEARCH.items() if getattr(self, flag) != unsaid)

    @property
    def wished(self) -> frozenset[str]:
        """Those, and what would serve what else was asked for, where a decoder hears it: characters like to choose."""
        return self.given | {"nbest"} if self.hypotheses > 1 else self.given

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

    @property
    def hypotheses(self) -> int:
        """How many a search gives: those that are asked for, and those that characters are chosen over."""
        if not self.wants_characters:
            return self.nbest
        return max(self.nbest, self.over or min(OVER, self.beam or OVER))

    def load_hanzi(self) -> HanziModel | None:
        """The model of the characters, where they are asked for."""
        if not self.wants_characters:
            return None
        from dfcnn_ms.decoding.hanzi import HanziModel

        return HanziModel.load(self.hanzi_model) if self.hanzi_model else HanziModel.default()
