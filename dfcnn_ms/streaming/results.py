"""What a stream says: a transcript of each segment, again and again while it is spoken, then once for good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dfcnn_ms.recognizer import Transcript

if TYPE_CHECKING:
    from dfcnn_ms.decoding.hanzi import Sentence


@dataclass(frozen=True)
class StreamResult(Transcript):
    """What was heard in one segment of a stream: a transcript whose times count from the beginning of the stream.

    Attributes:
        index: number of the segment, from 0.
        start, end: of the segment, in seconds; a pause lies before and after it. Of one that is still spoken, `end` is
            how far it has been heard.
        final: whether this is the last word about the segment. Before it, each result replaces the one before of the
            same index. A final one without a syllable takes back what was said of its segment: it was noise.
    """

    index: int = 0
    start: float = 0.0
    end: float = 0.0
    final: bool = True


def joined(results: Sequence[StreamResult]) -> Transcript:
    """The final results of a whole stream as one transcript; those that are not final are left out."""
    finals = [one for one in results if one.final]
    return Transcript(
        syllables=tuple(unit for one in finals for unit in one.syllables),
        confidence=math.prod(one.confidence for one in finals),
        log_prob=math.fsum(one.log_prob for one in finals),
        score=math.fsum(one.score for one in finals),
        starts=tuple(second for one in finals for second in one.starts),
        ends=tuple(second for one in finals for second in one.ends),
        confidences=tuple(sure for one in finals for sure in one.confidences),
        sentence=_one_sentence([sentence for one in finals if (sentence := _unit_by_unit(one))]),
    )


def _unit_by_unit(result: StreamResult) -> Sentence | None:
    """The characters of a segment, one for each syllable.

    Where they are those of another hypothesis, with more syllables or fewer, nobody knows whose they are; then only the
    text as a whole is theirs.
    """
    sentence = result.sentence
    if sentence is None or len(sentence.units) == len(result.syllables):
        return sentence
    return replace(sentence, units=result.syllables, words=result.syllables)


def _one_sentence(sentences: Sequence[Sentence]) -> Sentence | None:
    if not sentences:
        return None
    return replace(
        sentences[0],
        text="".join(one.text for one in sentences),
        units=tuple(unit for one in sentences for unit in one.units),
        words=tuple(word for one in sentences for word in one.words),
        score=math.fsum(one.score for one in sentences),
    )
