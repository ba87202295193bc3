"""The worst sentences one by one: what was said over what was heard, the picture, and the sound."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from dfcnn_ms.audio.wave import SAMPLE_RATE, read_wave
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.evaluation.results import Heard, Pair
from dfcnn_ms.reporting.markup import SPACE, Html, section, tag
from dfcnn_ms.reporting.words import NOTHING, kind_of, many, written

if TYPE_CHECKING:
    from dfcnn_ms.recognizer import Recognizer

#: sentences that can be looked at and listened to, and the bytes of sound that all of them may take
SENTENCES = 20
SOUND_BYTES = 4_500_000
#: sentences that are shown when none has an error
EXAMPLES = 3
#: columns of the widest picture; longer sentences are thinned out
PICTURE_FRAMES = 2000
#: least width of a picture; narrower screens scroll
PIXELS_PER_SECOND = 170
#: names that would stand closer than this take turns on two lines
CROWDED_PIXELS = 34

KINDS = {"S": "substituted", "D": "deleted", "I": "inserted"}


def worst(heard: Sequence[Heard]) -> list[Heard]:
    """The sentences with most errors, worst first; a few of the others where none has an error."""
    order = sorted(heard, key=lambda one: (-one.edits.total, -one.edits.rate))
    return [one for one in order[:SENTENCES] if one.edits.total] or order[:EXAMPLES]


def sentences(recognizer: Recognizer, heard: Sequence[Heard], unit: str) -> Html:
    """The chapter."""
    shown, left, cards = worst(heard), SOUND_BYTES, []
    for one in shown:
        wave = _wave(one.utterance)
        fits = 2 * len(wave) <= left
        left -= 2 * len(wave) if fits else 0
        cards.append(_card(recognizer, one, wave, unit, fits=fits))
    return section("Sentences to listen to", *cards, note=_note(heard, len(shown)))


def _note(heard: Sequence[Heard], shown: int) -> str:
    wrong = sum(one.edits.total > 0 for one in heard)
    if not wrong:
        return "No sentence has an error; these are examples."
    note = "What was said over what was heard; S is substituted, D deleted, I inserted."
    if wrong > shown:
        note += f" These are the worst {shown} of {wrong:,}; python -m dfcnn_ms.eval prints them all."
    return note


def _wave(utterance: Utterance) -> np.ndarray:
    return read_wave(utterance.path, start=utterance.start, seconds=utterance.seconds)


def _card(recognizer: Recognizer, one: Heard, wave: np.ndarray, unit: str, *, fits: bool) -> Html:
    """One sentence with everything that there is to see and to hear of it."""
    features = recognizer.frontend(wave)
    seconds = len(wave) / SAMPLE_RATE
    image = _data("image/png", picture(features))
    moments = list(_moments(one, seconds))
    sound = tag(
        "div",
        tag("img", src=image, alt="the features that the network received"),
        tag("div", class_="cursor"),
        *([tag("ol", *moments, class_="at", aria_hidden="true")] if moments else []),
        class_="sound",
        style=f"min-width:{seconds * PIXELS_PER_SECOND:.0f}px",
    )
    pieces = [_header(one, seconds, unit), alignment(one.pairs), tag("div", sound, class_="scroll")]
    return tag("article", *pieces, _player(wave, fits=fits))


def _header(one: Heard, seconds: float, unit: str) -> Html:
    utterance, counts = one.utterance, one.edits
    words = [utterance.speaker, f"{seconds:.1f}{SPACE}s"]
    words += [f"{one.snr_db:.0f}{SPACE}dB over the noise"] if math.isfinite(one.snr_db) else []
    words.append(f"{many(counts.total, 'error')} in {many(counts.reference_length, unit)}")
    pieces = [tag("h3", utterance.id), tag("p", ", ".join(filter(None, words)), class_="meta")]
    pieces += [tag("p", text, class_="meta", lang="zh") for text in _texts(one)]
    return tag("header", *pieces)


def _texts(one: Heard) -> Iterator[str]:
    """The sentence in characters, and what was written of it where anything was."""
    if one.utterance.text:
        yield one.utterance.text
    if one.characters is not None and one.characters != one.utterance.text:
        yield f"heard: {one.characters or NOTHING}"


def alignment(pairs: Sequence[Pair]) -> Html:
    """Said over heard, an error framed and marked with its letter."""
    names = tag("li", tag("span", "said"), tag("span", "heard"), class_="name", aria_hidden="true")
    return tag("ol", names, *map(_pair, pairs), class_="pairs")


def _pair(pair: Pair) -> Html:
    kind = kind_of(pair)
    if not kind:
        return tag("li", *map(written, pair))
    mark = tag("span", kind, class_="mark", title=KINDS[kind])
    return tag("li", written(pair[0]), tag("span", written(pair[1]), class_="wrong"), mark, class_=kind)


def _moments(one: Heard, seconds: float) -> Iterator[Html]:
    """What was heard, where it was heard; nothing where that is not known."""
    kinds = [kind_of(pair) for pair in one.pairs if pair[1] is not None]
    moments = zip(one.syllables, one.starts, kinds, strict=True) if one.starts else ()
    previous, low = -math.inf, False
    for syllable, second, kind in moments:
        low = not low and (second - previous) * PIXELS_PER_SECOND < CROWDED_PIXELS
        previous = second
        place = f"left:{100 * min(second / seconds, 1):.2f}%"
        yield tag("li", written(syllable), class_=f"{kind} low" if low else kind, style=place)


def picture(features: np.ndarray) -> bytes:
    """Features (T, F) as a PNG of T x F pixels: time to the right, low bins at the bottom."""
    from matplotlib.image import imsave

    image = features[:: math.ceil(len(features) / PICTURE_FRAMES)].T  # (T, F) -> (F, T)
    low, high = np.percentile(image, (1, 99.8))
    file = io.BytesIO()
    colours = {"cmap": "magma", "vmin": low, "vmax": max(high, low + 1e-6)}
    # Without the name of the software the bytes do not depend on its version's number.
    imsave(file, image, origin="lower", format="png", metadata={"Software": ""}, **colours)
    return file.getvalue()


def _player(wave: np.ndarray, *, fits: bool) -> Html:
    if not fits:
        return tag("p", "Left out: the page holds no more sound than this.", class_="meta")
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return tag("audio", controls="", preload="metadata", src=_data("audio/wav", file.getvalue()))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
