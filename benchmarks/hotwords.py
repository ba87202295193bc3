"""Hotwords on a real network: how many more of them are heard, how often one is heard that nobody said, and the rest.

    python benchmarks/hotwords.py --ckpt mandarin.ckpt [--manifest test.jsonl] [--lm lm.bin]

The words are 200 of two to four characters that are said in one or two utterances of the test set, in pinyin as they
are said there; to every other utterance they are a distraction. The network listens once, and the same beam decodes
its outputs with the list at several boosts and without it. With ``--lm`` the language model decodes too, with the
weight and the length bonus that `ngram tune` stored in the checkpoint.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding import Hotwords
from dfcnn_ms.decoding.beam import BeamSearch
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.options import decoders
from dfcnn_ms.evaluation.evaluate import each_output, read_set, remembered
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.recognizer import Recognizer

WORDS = 200
#: a word said in more utterances is no rare one
MOST_UTTERANCES = 2
#: of each syllable; 0 is without the list
BOOSTS = (0.0, 1.0, 2.0, 3.0)

Phrase = tuple[str, ...]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ckpt", type=Path, required=True)
    arguments.add_argument("--manifest", type=Path, help="default: the test set that the checkpoint remembers")
    arguments.add_argument("--lm", type=Path, help="n-gram model of syllables")
    arguments.add_argument("--beam", type=int, default=100)
    options = arguments.parse_args()
    recognizer = Recognizer.load(options.ckpt)
    utterances = read_set(recognizer, options.manifest or remembered(recognizer, options.ckpt, "test"))
    phrases = rare_words(utterances)
    outputs = {index: log_probs.copy() for index, log_probs in each_output(recognizer, utterances)}
    choice = Choice(decoder="beam", beam=options.beam, lm=options.lm)
    tried = decoders(choice, recognizer.vocabulary, recognizer.meta.decoding if recognizer.meta else {})
    print(f"{len(utterances)} utterances, {len(phrases)} words; of these: found, and found where nobody said them")
    for name, search in tried.decoders.items():
        if isinstance(search, BeamSearch):
            for boost in BOOSTS:
                heard = decode(replace(search, hotwords=listed(phrases, boost, recognizer)), outputs, recognizer)
                print(f"{name:10} boost {boost:g}  {row(utterances, heard, phrases)}", flush=True)


def rare_words(utterances: Sequence[Utterance]) -> list[Phrase]:
    """Words by jieba, each as it is said, spread over the test set."""
    import jieba

    jieba.setLogLevel("ERROR")
    said: dict[Phrase, int] = {}
    for one in utterances:
        if len(one.text) == len(one.pinyin):  # a syllable for each character
            for _, start, end in set(jieba.tokenize(one.text)):
                said[one.pinyin[start:end]] = said.get(one.pinyin[start:end], 0) + 1
    rare = sorted(word for word, count in said.items() if count <= MOST_UTTERANCES and 2 <= len(word) <= 4)
    return rare[:: max(1, len(rare) // WORDS)][:WORDS]


def listed(phrases: Sequence[Phrase], boost: float, recognizer: Recognizer) -> Hotwords | None:
    """The list that the search is given."""
    lines = [" ".join(one) for one in phrases]
    return Hotwords.parse(lines, recognizer.vocabulary.symbols, boost=boost) if boost else None


def decode(search: BeamSearch, outputs: Mapping[int, np.ndarray], recognizer: Recognizer) -> list[Phrase]:
    """What the search hears in each utterance (U, V)."""
    nbest = (search(outputs[index][None], [len(outputs[index])])[0] for index in range(len(outputs)))
    return [tuple(recognizer.vocabulary.decode(one[0].ids)) for one in nbest]


def row(utterances: Sequence[Utterance], heard: Sequence[Phrase], phrases: Sequence[Phrase]) -> str:
    """The figures of one way to decode."""
    said = found = false = 0
    counted = Edits()
    for one, written in zip(utterances, heard, strict=True):
        counted += edits(one.pinyin, written)
        for phrase in phrases:
            there, here = occurrences(phrase, one.pinyin), occurrences(phrase, written)
            said, found, false = said + there, found + min(there, here), false + max(0, here - there)
    share = f"{found:4} of {said} ({100 * found / said:4.1f} %)"
    return f"found {share}, falsely {false:3}; error rate of all syllables {100 * counted.rate:.2f} %"


def occurrences(phrase: Phrase, syllables: Sequence[str]) -> int:
    """How often a phrase stands in a row of syllables."""
    return sum(1 for piece in _windows(syllables, len(phrase)) if piece == phrase)


def _windows(syllables: Sequence[str], width: int) -> Iterator[Phrase]:
    return (tuple(syllables[start : start + width]) for start in range(len(syllables) - width + 1))


if __name__ == "__main__":
    main()
