"""The flags that choose a decoder, the same ones for every command, and the decoders that they mean."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dfcnn_ms.decoding import DECODERS, Decoder
from dfcnn_ms.decoding.beam import BEAM, LENGTH_BONUS, LM_WEIGHT
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text.vocabulary import Vocabulary


def add_flags(arguments: argparse.ArgumentParser, *, characters: bool = True) -> None:
    """Adds the flags that :func:`choice_of` reads; ``--nbest`` means another thing to each command, which adds it.

    Args:
        arguments: of a command.
        characters: whether it can write Chinese characters.
    """
    group = arguments.add_argument_group("decoding")
    group.add_argument(
        "--decoder",
        choices=tuple(DECODERS),
        help="default: the plainest one that hears the flags of the search",
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
    if not characters:
        return
    group.add_argument("--hanzi", action="store_true", help="Chinese characters too")
    group.add_argument(
        "--hanzi-model", type=Path, metavar="FILE", help="model of the characters (default: jieba's dictionary)"
    )


def kind_of(choice: Choice, outputs: str = "ctc") -> str:
    """The decoder that is meant for outputs of this kind, by its name in :data:`~dfcnn_ms.decoding.DECODERS`.

    Raises:
        ConfigError: it does not read such outputs, or nothing that does hears the flags.
    """
    fitting = [name for name, kind in DECODERS.items() if kind.reads == outputs]
    if choice.decoder is not None and choice.decoder not in fitting:
        raise ConfigError(f"--decoder {choice.decoder}: does not read what this network writes; {_use(fitting)}")
    hearing = [name for name in fitting if choice.given <= DECODERS[name].hears]
    if choice.decoder is None and not hearing:
        what = _flags(choice.given) or "decoding"
        raise ConfigError(f"{what}: means nothing to what this network writes; {_use(fitting)}")
    wished = [name for name in hearing if choice.wished <= DECODERS[name].hears]
    return choice.decoder or [*wished, *hearing][0]


def check_heard(choice: Choice) -> None:
    """Refuses flags that the decoder which was asked for would not hear.

    Raises:
        ConfigError: see above.
    """
    deaf_to = choice.given - DECODERS[choice.decoder].hears if choice.decoder else frozenset()
    if deaf_to:
        hearing = [name for name, kind in DECODERS.items() if choice.given <= kind.hears]
        instead = f", or say --decoder {hearing[0]}" if hearing else ""
        raise ConfigError(f"--decoder {choice.decoder} takes no {_flags(deaf_to)}; leave it out{instead}")


def _flags(names: Iterable[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in sorted(names))


def _use(names: Sequence[str]) -> str:
    return f"use --decoder {' or '.join(names)}" if names else "no decoder does; a plugin may add one"


def choice_of(options: argparse.Namespace) -> Choice:
    """What the flags of a command say that writes texts; what cannot be meant is refused.

    Raises:
        ConfigError: see :meth:`Choice.check`.
    """
    search = search_of(options)
    nbest = 1 if options.nbest is None else options.nbest
    choice = replace(search, hanzi=options.hanzi, hanzi_model=options.hanzi_model, nbest=nbest)
    choice.check()
    return choice


def search_of(options: argparse.Namespace) -> Choice:
    """What the flags say about the decoder alone; what cannot be meant is refused.

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
    )
    choice.check()
    return choice


@dataclass(frozen=True)
class Chosen:
    """Every decoder that the flags allow.

    Attributes:
        decoders: by name: greedy, beam, and with a language model where there is one.
        name: of the one that is meant.
    """

    decoders: Mapping[str, Decoder]
    name: str

    @property
    def decoder(self) -> Decoder:
        """The one that is meant."""
        return self.decoders[self.name]


def decoders(choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float], outputs: str = "ctc") -> Chosen:
    """Every decoder that the flags allow and that reads such outputs.

    Args:
        choice: the flags.
        vocabulary: of the network.
        stored: what the checkpoint says about decoding.
        outputs: what a task says of the outputs of its networks.
    """
    found: dict[str, Decoder] = {}
    meant, name = kind_of(choice, outputs), ""
    for kind, row in DECODERS.items():
        if row.reads == outputs:
            variants = row.chosen(choice, vocabulary, stored)
            named = {f"{kind} + {variant}" if variant else kind: decoder for variant, decoder in variants.items()}
            found |= named
            name = [*named][-1] if kind == meant else name
    return Chosen(found, name)
