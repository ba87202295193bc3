"""Forced alignment of recordings with their texts: when each syllable is said, and how well."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.decoding.confidence import confidences, sentence_confidence
from dfcnn_ms.decoding.pronunciation import Pronunciation, pronunciation_of
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Outputs, Recognizer, batches
from dfcnn_ms.reporting.timings import Recording, Timed
from dfcnn_ms.text.characters import has_hanzi, normalized
from dfcnn_ms.text.pinyin import from_hanzi, parse


def check_alignable(recognizer: Recognizer) -> None:
    """Refuses a network whose outputs are no steps of a text.

    Raises:
        ConfigError: see above.
    """
    if not recognizer.task.has_blank:
        raise ConfigError("align: this network says what a whole clip is, not where; align with one of task.kind=ctc")
    if not recognizer.task.id_is_unit:
        raise ConfigError(
            "align: this network writes parts of syllables, whose goodness is not that of syllables; align with one of"
            " task.kind=ctc"
        )


def align_file(recognizer: Recognizer, audio: str, seconds: float, text: str) -> Recording:
    """One recording with the times of its text.

    Raises:
        DataError: the text cannot be written by this network, or is too long for the sound.
    """
    units = to_units(text, recognizer.labels)
    recognizer.vocabulary.encode(units, where="--text")
    path = Path(audio).absolute()
    utterance = Utterance(path.stem, str(path), seconds, tuple(units), text=text, where=audio)
    found = aligned(recognizer, [utterance])[0]
    if isinstance(found, DataError):
        raise DataError(f"{audio}: {found}")
    return found


def align_all(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Recording | DataError]]:
    """The position of each utterance, and its times or why it has none, short ones first.

    Raises:
        DataError: a label holds what the network cannot write.
    """
    for utterance in utterances:
        recognizer.vocabulary.encode(utterance.pinyin, where=utterance.where)
    for batch in batches([utterance.seconds for utterance in utterances]):
        yield from zip(batch, aligned(recognizer, [utterances[index] for index in batch]), strict=True)


def to_units(text: str, labels: str) -> list[str]:
    """A text as the network writes it: characters are read, pinyin is made canonical; ``as_written`` is split only."""
    if labels == "as_written":
        units = text.split()
    else:
        units = from_hanzi(text, where="--text") if has_hanzi(text) else parse(text, where="--text")
    if not units:
        raise ConfigError('--text: holds nothing that is said; give it such as "ni3 hao3" or 你好')
    return units


def characters_of(text: str, count: int) -> list[str]:
    """The characters of a text, one for each of its `count` syllables; empty ones where they do not match."""
    plain = normalized("NFKC", text)
    spoken = [one for one in plain if not one.isspace() and not unicodedata.category(one).startswith("P")]
    return spoken if has_hanzi(text) and len(spoken) == count else [""] * count


def aligned(recognizer: Recognizer, utterances: Sequence[Utterance]) -> list[Recording | DataError]:
    """Each utterance with its times, or why it has none: its text is too long for its sound."""
    waves = [read_utterance(utterance) for utterance in utterances]
    features = [recognizer.frontend(wave) for wave in waves]
    outputs = recognizer.outputs(features)
    found: list[Recording | DataError] = []
    for row, (utterance, wave) in enumerate(zip(utterances, waves, strict=True)):
        seconds = len(wave) / SAMPLE_RATE
        try:
            syllables = timed(recognizer, outputs, row, utterance, seconds)
        except DataError as error:
            found.append(error)
            continue
        found.append(Recording(utterance.id, seconds, syllables, sentence_confidence([one.score for one in syllables])))
    return found


def timed(
    recognizer: Recognizer, outputs: Outputs, row: int, utterance: Utterance, seconds: float
) -> tuple[Timed, ...]:
    """The syllables of an utterance with their times and scores, by the outputs of the network in a row."""
    units, log_probs = utterance.pinyin, outputs.of(row)
    alignment = recognizer.aligned(outputs, row, recognizer.vocabulary.encode(units))
    starts, ends = recognizer.task.times(alignment, recognizer.sound(outputs.features[row]))
    scores = confidences(log_probs, alignment, recognizer.temperature)
    judged = pronunciation_of(log_probs, alignment)
    characters = characters_of(utterance.text, len(units))
    return tuple(
        Timed(unit, min(start, seconds), min(end, seconds), score, one.goodness, heard(recognizer, one, unit), written)
        for unit, start, end, score, one, written in zip(
            units, starts.tolist(), ends.tolist(), scores, judged, characters, strict=True
        )
    )


def heard(recognizer: Recognizer, judged: Pronunciation, unit: str) -> str | None:
    """What the network would rather write in the place of a unit: None where it agrees, "" for nothing at all."""
    if judged.heard is None:
        return ""
    best = recognizer.vocabulary.symbols[judged.heard]
    return None if best == unit else best
