"""The networks of a server, by name, and what of their decoding a single request may change."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.decoding import Decoder, Hotwords
from dfcnn_ms.decoding.beam import NBEST_MIN_LOG_PROB
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.options import kind_of
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer

#: most hypotheses of one recording, and phrases to listen for in it
MOST_NBEST, MOST_HOTWORDS = 100, 1000
#: of phrases that are taken from a text which may mean anything: characters that can be one, and how many are looked at
LONGEST_WORD, MOST_WORDS = 40, 200
#: listeners of requests that are kept for the next one that asks for the same
_KEPT = 64


@dataclass(frozen=True)
class Options:
    """What a request asks for; those that ask for the same are heard together.

    Attributes:
        nbest: hypotheses.
        hotwords: phrases to listen for, besides those of the server.
        language_model: whether the language model counts, where the server has one.
        characters: whether Chinese text is wanted, where the server can write it.
    """

    nbest: int = 1
    hotwords: tuple[str, ...] = ()
    language_model: bool = True
    characters: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.nbest <= MOST_NBEST:
            raise ConfigError(f"nbest {self.nbest}: wanted 1 to {MOST_NBEST}")
        if len(self.hotwords) > MOST_HOTWORDS:
            raise ConfigError(f"{len(self.hotwords)} hotwords: at most {MOST_HOTWORDS} are listened for; give fewer")


class Model:
    """A network of a server.

    Args:
        name: by which clients ask for it.
        recognizer: what listens.
        choice: the flags of the server.
    """

    def __init__(self, name: str, recognizer: Recognizer, choice: Choice | None = None) -> None:
        self.name, self.recognizer = name, recognizer
        self._chosen = recognizer.decoders(choice or Choice())
        recognizer.decoder = self._chosen.decoder
        self.listener = lru_cache(_KEPT)(self._listener)

    def warm_up(self) -> None:
        """Hears a second of silence in every way, so that no client waits while code is compiled."""
        features = self.recognizer.frontend(np.zeros(SAMPLE_RATE, np.float32))
        for options in (Options(), Options(nbest=2)):
            try:
                self.listener(options).read([features])
            except (ConfigError, DataError):  # not every network can do everything, or hear silence
                continue

    def words(self, lines: Iterable[str]) -> tuple[str, ...]:
        """Those phrases that this network can listen for; none where it cannot listen for any."""
        try:
            self._searching(Options(hotwords=("",)))
        except ConfigError:
            return ()
        found = [line.strip() for line in lines if 0 < len(line.strip()) <= LONGEST_WORD][:MOST_WORDS]
        words = tuple(word for word in dict.fromkeys(found) if self._can_hear(word))
        return words if words and self._can_hear(*words) else ()

    def _can_hear(self, *words: str) -> bool:
        try:
            self._hotwords(words)
        except DataError:
            return False
        return True

    def _listener(self, options: Options) -> Recognizer:
        """The recognizer as a request wants it; it shares the network with all others.

        Raises:
            ConfigError, DataError: the request cannot be meant.
        """
        listener = copy.copy(self.recognizer)
        listener.decoder = self._decoder(options)
        listener.shown = options.nbest
        if not options.characters:
            listener.hanzi = None
        return listener

    def _decoder(self, options: Options) -> Decoder:
        name = self._chosen.name
        if options.nbest > 1 or options.hotwords:
            name = self._searching(options)
        if not options.language_model:
            name = name.partition(" + ")[0]
        decoder = self._chosen.decoders[name]
        return _changed(decoder, self._changes(decoder, options))

    def _searching(self, options: Options) -> str:
        """The decoder that hears what a request says: the last of its kind, which has the language model."""
        said = Choice(nbest=options.nbest, hotwords=Path() if options.hotwords else None)
        try:
            kind = kind_of(said, self.recognizer.task.outputs)
        except ConfigError:
            raise ConfigError("hotwords: this network cannot listen for them; leave them out") from None
        return [name for name in self._chosen.decoders if name.partition(" + ")[0] == kind][-1]

    def _changes(self, decoder: Any, options: Options) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if options.nbest > 1:
            changes = {name: max(options.nbest, getattr(decoder, name, 1)) for name in ("nbest", "beam")}
            changes["min_log_prob"] = min(NBEST_MIN_LOG_PROB, getattr(decoder, "min_log_prob", 0.0))
        if options.hotwords:
            changes["hotwords"] = self._hotwords(options.hotwords)
        return changes

    def _hotwords(self, lines: tuple[str, ...]) -> Hotwords:
        """The phrases of a request beside those of the server; what is wrong with them is found here already."""
        symbols = self.recognizer.vocabulary.symbols
        others: Hotwords | None = getattr(self._chosen.decoder, "hotwords", None)
        asked = Hotwords.parse(lines, symbols)
        both = Hotwords((*(others.phrases if others else ()), *asked.phrases), symbols)
        _ = both.trie
        return both


def _changed(decoder: Any, changes: Mapping[str, Any]) -> Decoder:
    """The decoder with those of the changes that mean something to it."""
    if not changes:
        return decoder
    known = {field.name for field in dataclasses.fields(decoder)}
    return dataclasses.replace(decoder, **{name: value for name, value in changes.items() if name in known})
