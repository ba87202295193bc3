"""The page about a test set: its figures against counts made by hand, its form, and what it does with odd input."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from scipy.stats import t
from tones import Strided

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import read_wave, write_wave
from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding import Greedy
from dfcnn_ms.errors import DataError
from dfcnn_ms.evaluation.evaluate import evaluate
from dfcnn_ms.evaluation.results import Heard
from dfcnn_ms.evaluation.runs import Clock, Decoded, Run
from dfcnn_ms.metrics import Edits, bootstrap_interval
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.reporting import confusions, sentences
from dfcnn_ms.reporting.evaluation_page import report
from dfcnn_ms.reporting.markup import VOID, Html, tag
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.pinyin import DIGITS
from dfcnn_ms.text.vocabulary import Vocabulary

SECONDS = 0.4
MANIFEST = Path("corpus/test.jsonl")
VOCABULARY = Vocabulary(tuple(sorted(DIGITS)))


@dataclass
class Acoustics:
    """Hears `says` in everything, one syllable every third step."""

    says: Sequence[str] = ()
    calls: int = 0

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        batch, _, frames, _ = features.shape
        scores = np.full((batch, frames // 2, len(VOCABULARY)), -9.0)
        scores[..., 0] = -1.0
        for position, id in enumerate(VOCABULARY.encode(self.says)):
            scores[:, 3 * position + 2, id] = 0.0
        return scores, lengths // 2


class Counted(Strided):
    """A network that has a weight for each bin and unit."""

    def parameters(self, *, num_bins: int, num_units: int) -> int:
        return num_bins * num_units


def recognizer(says: Sequence[str] = (), meta: Any = None) -> Recognizer:
    return Recognizer(Acoustics(says), Frontend(LogMel(n_mels=20)), VOCABULARY, Counted(), meta=meta)


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "a.wav"
    rng = np.random.default_rng(0)
    write_wave(path, 0.1 * rng.standard_normal(round(16_000 * SECONDS)).astype(np.float32))
    return path


def page_of(heard: Sequence[Heard], listening: Recognizer | None = None, **rest: Any) -> str:
    """The page about what a recognizer heard."""
    return report(listening or recognizer(), Run("digits", MANIFEST, tuple(heard), **rest))


Hear = Callable[..., Heard]


@pytest.fixture(scope="module")
def hear(wav: Path) -> Hear:
    def heard(said: str, written: str, id: str = "", **rest: Any) -> Heard:
        utterance = Utterance(id or f"{said}/{written}", str(wav), SECONDS, tuple(said.split()), **rest)
        return Heard(utterance, tuple(written.split()))

    return heard


@dataclass
class Page(HTMLParser):
    """Reads a page, insists that its elements nest, and remembers what it saw."""

    source: str
    open: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    last_figure: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        entry = name, {key: value or "" for key, value in attributes}
        self.seen.append(entry)
        if name in VOID:
            return
        self.open.append(entry)
        if name == "tr":
            self.rows.append([])
        if name in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, name: str) -> None:
        assert self.open and self.open.pop()[0] == name, f"</{name}> closes nothing"

    def handle_data(self, data: str) -> None:
        around = [name for name, _ in self.open]
        if "style" in around or "script" in around:
            return
        self.words.append(data)
        if around:
            self.texts.append((around[-1], data))
        if "td" in around or "th" in around:
            self.rows[-1][-1] += data
        # In the source the words stand before their figure.
        if "dt" in around:
            self.last_figure = data
        if "dd" in around:
            self.figures[self.last_figure] = self.figures.get(self.last_figure, "") + data

    @property
    def text(self) -> str:
        return "".join(self.words).replace("\N{NO-BREAK SPACE}", " ")

    def elements(self, name: str, class_: str = "") -> list[dict[str, str]]:
        return [
            attributes
            for found, attributes in self.seen
            if found == name and class_ in ("", *attributes.get("class", "").split())
        ]

    def figure(self, words: str) -> str:
        return next(value for key, value in self.figures.items() if key.replace("\xa0", " ").strip() == words)

    def row(self, *starts: str) -> list[str]:
        rows = [[cell.replace("\xa0", " ") for cell in row] for row in self.rows]
        return next(row for row in rows if row[: len(starts)] == list(starts))


@pytest.fixture(scope="module")
def by_hand(hear: Hear) -> Page:
    """Seven syllables, of which one is substituted, one deleted, and to which one is added."""
    heard = [
        hear("ba1 er4 san1", "er4 er4 san1", speaker="Annie"),
        hear("yi1 qi1", "yi1", speaker="Annie"),
        hear("wu3", "wu3 wu3", speaker="boris"),
        hear("liu4", "liu4", speaker="boris"),
    ]
    return Page(page_of(heard))


def test_headline_is_the_count_by_hand(by_hand: Page) -> None:
    assert "42.86 %" in by_hand.text
    assert "3 errors in 7 syllables" in by_hand.text
    figures = [by_hand.figure(words) for words in ("substituted", "deleted", "inserted")]
    assert figures == ["1", "1", "1"]
    assert by_hand.figure("of 4 sentences without an error") == "1"


def test_interval_is_the_one_that_eval_prints(by_hand: Page, hear: Hear) -> None:
    counts = [Edits(1, 0, 0, 3, 1), Edits(0, 1, 0, 2, 1), Edits(0, 0, 1, 1, 1), Edits(0, 0, 0, 1, 1)]
    low, high = bootstrap_interval(counts, rng=np.random.default_rng(0))
    assert f"95 % interval {100 * low:.2f} % to {100 * high:.2f} %" in by_hand.text


def ends(errors: int, units: int, degrees: int) -> str:
    """Where the rate lies, in percent, if errors are independent: (errors / units - r)^2 = t^2 r / units."""
    square = t.ppf(0.975, degrees) ** 2 / units
    rate = errors / units
    low, high = sorted(100 * np.roots([1, -2 * rate - square, rate**2]).real)
    return f"{low:.2f}\xa0% to {high:.2f}\xa0%"


def test_tables_are_the_counts_by_hand(by_hand: Page) -> None:
    assert by_hand.row("Annie") == ["Annie", "2", "2", "40.00 %", ""]
    assert by_hand.row("boris") == ["boris", "2", "1", "50.00 %", ""]
    assert by_hand.row("1") == ["1", "2", "1", "50.00 %", ""]
    assert by_hand.row("2") == ["2", "1", "1", "50.00 %", ""]
    assert by_hand.row("3") == ["3", "1", "1", "33.33 %", ""]
    assert by_hand.row("ba1", "er4") == ["ba1", "er4", "1", "1", "all parts", ""]
    assert by_hand.row("qi1", "–")[2:4] == ["1", "1"]
    assert by_hand.row("–", "wu3")[2:4] == ["1", ""]


def test_a_line_over_each_bar_is_its_interval(by_hand: Page) -> None:
    lines = re.findall(r'title="95\xa0% interval ([^"]*)"', by_hand.source)
    found = [ends(errors, units, degrees=3) for errors, units in ((1, 2), (2, 5), (1, 2), (1, 2), (1, 3))]
    assert lines[:5] == found  # boris, Annie, and one, two and three syllables


def test_parts_of_the_syllable(hear: Hear) -> None:
    heard = [hear("ba1 da1 shi4 ma5", "ba4 ta1 shi2 ma5"), hear("ma1", "")]
    page = Page(page_of(heard))
    assert page.row("initial") == ["initial", "1", "25.00 %", ""]
    assert page.row("final") == ["final", "0", "0.00 %", ""]
    assert page.row("tone") == ["tone", "2", "50.00 %", ""]
    assert page.row("syllable error rate")[1] == "80.00 %"
    assert page.row("tones left out")[1] == "40.00 %"


def test_every_rate_with_its_counts_and_interval(hear: Hear) -> None:
    heard = [
        replace(hear("ba1 da1 ma1", "ba4 da1", text="八，大妈。"), characters="八打妈"),
        replace(hear("ba1", "ba1 ba1", text="八"), characters="八 八"),
        replace(hear("yi1", ""), characters=""),  # no text: not counted in characters
    ]
    page = Page(page_of(heard))
    for name, counts in {
        "syllable error rate": [Edits(1, 1, 0, 3, 1), Edits(0, 0, 1, 1, 1), Edits(0, 1, 0, 1, 1)],
        "tones left out": [Edits(0, 1, 0, 3, 1), Edits(0, 0, 1, 1, 1), Edits(0, 1, 0, 1, 1)],
        "character error rate": [Edits(1, 0, 0, 3, 1), Edits(0, 0, 1, 1, 1)],
    }.items():
        whole = sum(counts, Edits())
        low, high = bootstrap_interval(counts, rng=np.random.default_rng(0))
        kinds = [str(whole.substitutions), str(whole.deletions), str(whole.insertions)]
        interval = f"{100 * low:.2f} % to {100 * high:.2f} %"
        assert page.row(name) == [name, f"{100 * whole.rate:.2f} %", interval, *kinds]
    assert "heard: 八打妈" in page.text


def test_no_characters_and_no_tones_where_there_are_none(hear: Hear) -> None:
    text = Page(page_of([hear("hello", "hallo", text="八")])).text
    assert "character error rate" not in text
    assert "tones left out" not in text


def test_decoders_and_time(hear: Hear) -> None:
    decoders = (Decoded("greedy", Edits(1, 0, 0, 4, 2), 0.001), Decoded("beam", Edits(0, 0, 0, 4, 2), 0.01))
    clock = Clock(sound=200.0, work=1.0, processor=1.5, cores=2, device="CPU")
    heard = [hear("ba1 er4", "ba1 er4", id="1"), hear("ba1 er4", "ba1 er4", id="2")]
    page = Page(page_of(heard, decoder="beam", decoders=decoders, clock=clock))
    assert page.row("greedy") == ["greedy", "25.00 %", "1", "0.50 ms"]
    assert page.row("beam") == ["beam", "0.00 %", "0", "5.00 ms"]
    assert ("b", "beam") in page.texts  # the one that the page is about
    assert "Real-time factor 0.005: 1.0 s of work for 200 s of sound" in page.text
    assert "on CPU with 2 cores, of which 1.5 were busy" in page.text


def test_errors_by_signal_to_noise_ratio(hear: Hear) -> None:
    levels = {"quiet": 27.3, "fair": 14.9, "fairer": 10.0, "loud": -0.5, "silent": math.nan}
    heard = [replace(hear("ba1", "" if level < 12 else "ba1", id=id), snr_db=level) for id, level in levels.items()]
    page = Page(page_of(heard))
    assert page.row("-5 to 0")[1:4] == ["1", "1", "100.00 %"]
    assert page.row("10 to 15")[1:4] == ["2", "1", "50.00 %"]
    assert page.row("25 to 30")[1:4] == ["1", "0", "0.00 %"]
    assert "0.4 s, 10 dB over the noise, 1 error in 1 syllable" in page.text
    assert "By signal-to-noise ratio" not in Page(page_of([hear("ba1", "er4")])).text


def matrices(page: Page) -> dict[str, str]:
    """What each picture is of, and all its text, squares by their titles."""
    found: dict[str, str] = {}
    for source in page.source.split("<svg")[1:]:
        picture = Page("<div><svg" + source.split("</svg>")[0] + "</svg></div>")
        found[picture.elements("svg")[0]["aria-label"].removeprefix("confusion matrix of ")] = picture.text
    return found


def test_initials_finals_and_tones_are_pictures(hear: Hear) -> None:
    pictures = matrices(Page(page_of([hear("ba1 da1 shi4 yi1 ma5", "ba4 ta1 shi2 qi1 ma5"), hear("ma1 ai4", "ma1")])))
    assert pictures.keys() == {"syllables", "initials", "tones"}  # no final is wrong
    assert "4 heard as 2: 1" in pictures["tones"] and "5 heard as 5: 1" in pictures["tones"]
    assert "d heard as t: 1" in pictures["initials"] and "∅ heard as q: 1" in pictures["initials"]
    assert "m heard as m: 2" in pictures["initials"]
    assert "–" not in pictures["tones"]  # ai4 was not heard as anything


def test_parts_of_many_syllables_are_still_pictures(hear: Hear) -> None:
    said = [f"{base}{tone}" for base in ("ba", "ma", "da", "ta", "na", "la", "ga", "ka") for tone in "1234"]
    said += [f"{base}{tone}" for base in ("bo", "mo", "po", "fo", "wo", "ai", "ei", "an", "ang") for tone in "1234"]
    heard = [hear(unit, f"{unit[:-1]}{5 - int(unit[-1])}") for unit in said]
    pictures = matrices(Page(page_of(heard)))
    assert pictures.keys() == {"tones"}
    assert "1 heard as 4: 17" in pictures["tones"]


def test_matrix_holds_every_pair(by_hand: Page) -> None:
    titles = {data for name, data in by_hand.texts if name == "title"}
    assert {"ba1 heard as er4: 1", "qi1 heard as –: 1", "– heard as wu3: 1", "er4 heard as er4: 1"} <= titles


def test_many_units_have_a_table_and_no_matrix(hear: Hear) -> None:
    syllables = [f"{base}{tone}" for base in ("ba", "ma", "da", "ta", "na", "la") for tone in "1234"]
    assert 2 * len(syllables) <= confusions.MATRIX_UNITS
    small = Page(page_of([hear(" ".join(syllables), "ba1")]))
    assert small.elements("svg")
    more = [f"{base}{tone}" for base in ("bo", "mo", "po", "fo", "wo", "o", "e", "a", "ai", "ei") for tone in "1234"]
    page = Page(page_of([hear(" ".join(syllables + more), "ba1")]))
    assert not page.elements("svg")
    assert page.row("ba2", "–")


def test_units_that_are_no_syllables(hear: Hear) -> None:
    page = Page(page_of([hear("hello wu3", "hallo wu3")]))
    assert page.row("hello", "hallo") == ["hello", "hallo", "1", "1", "", ""]
    assert "Parts of the syllable" not in page.text


def test_nothing_is_fetched_from_anywhere(by_hand: Page) -> None:
    assert "://" not in by_hand.source
    assert "@import" not in by_hand.source
    links = [value for _, attributes in by_hand.seen for key, value in attributes.items() if key in ("src", "href")]
    assert links
    assert all(link.startswith("data:") for link in links)
    assert by_hand.elements("meta")[1]["content"].startswith("default-src 'none'")


def test_what_data_says_is_text(hear: Hear) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    heard = [hear("ba1", "<unk>", id=evil, speaker=evil, text=evil)]
    page = Page(report(recognizer(), Run(evil, Path(f"{evil.replace('/', '')}.jsonl"), tuple(heard))))
    assert len(page.elements("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.seen for key in attributes)
    assert page.text.count("alert(1)") >= 3
    assert page.row("ba1", "<unk>")


def test_no_errors_gives_examples(hear: Hear) -> None:
    heard = [hear("ba1 er4", "ba1 er4", id=f"{number}") for number in range(5)]
    page = Page(page_of(heard))
    assert "0.00 %" in page.text
    assert "Which syllables" not in page.text
    assert "No sentence has an error" in page.text
    assert len(page.elements("article")) == sentences.EXAMPLES


def test_empty_hypothesis(hear: Hear) -> None:
    page = Page(page_of([hear("ba1 er4", "")]))
    assert "100.00 %" in page.text
    assert page.figure("deleted") == "2"
    assert len(page.elements("li", "D")) == 2


def test_nothing_said_and_something_heard(hear: Hear) -> None:
    page = Page(page_of([hear("", "ba1"), hear("", "")]))
    assert "∞ %" in page.text
    assert page.figure("inserted") == "1"


def test_nothing_at_all(hear: Hear) -> None:
    assert "0.00 %" in Page(page_of([hear("", "", id="silence")])).text
    with pytest.raises(DataError, match=r"test\.jsonl: a report needs at least one utterance"):
        page_of([])


def test_alignment_is_readable_without_colour(by_hand: Page) -> None:
    marks = [data for name, data in by_hand.texts if name == "span" and data in ("S", "D", "I")]
    assert sorted(marks) == ["D", "I", "S"]
    assert [attributes["title"] for attributes in by_hand.elements("span", "mark")] == [
        "inserted",
        "deleted",
        "substituted",
    ]


def test_worst_sentences_come_first(hear: Hear) -> None:
    heard = [hear("ba1", "ba1"), hear("er4 er4 er4", "er4 er4"), hear("wu3", "yi1"), hear("qi1 yi1", "yi1 qi1")]
    page = Page(page_of(heard))
    ids = [data for name, data in page.texts if name == "h3" and "/" in data]
    assert ids == ["qi1 yi1/yi1 qi1", "wu3/yi1", "er4 er4 er4/er4 er4"]


def test_sentences_are_limited_and_said_to_be(hear: Hear) -> None:
    heard = [hear("ba1", "er4", id=f"{number}") for number in range(sentences.SENTENCES + 3)]
    page = Page(page_of(heard))
    assert len(page.elements("audio")) == sentences.SENTENCES
    assert f"the worst {sentences.SENTENCES} of {sentences.SENTENCES + 3}" in page.text


def test_player_holds_the_sound(by_hand: Page, wav: Path) -> None:
    sound = base64.b64decode(by_hand.elements("audio")[0]["src"].removeprefix("data:audio/wav;base64,"))
    samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32")
    assert rate == 16_000
    assert soundfile.info(io.BytesIO(sound)).subtype == "PCM_16"
    assert np.abs(samples - read_wave(wav)).max() <= 1 / 32768


def test_sound_beyond_the_limit_is_left_out(hear: Hear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "SOUND_BYTES", round(2 * 16_000 * SECONDS * 1.5))
    page = Page(page_of([hear("ba1", "er4", id="1"), hear("ba1", "er4", id="2")]))
    assert len(page.elements("audio")) == 1
    assert len(page.elements("article")) == 2
    assert "no more sound" in page.text


def test_picture_is_the_input_upright() -> None:
    features = np.zeros((30, 12), np.float32)
    features[:, 0] = 5.0  # the lowest bin is loud
    pixels = imread(io.BytesIO(sentences.picture(features)))  # (F, T, RGBA)
    assert pixels.shape[:2] == (12, 30)
    assert pixels[-1, :, :3].min() > pixels[:-1, :, :3].max()


def test_long_input_is_thinned_out() -> None:
    features = np.random.default_rng(0).standard_normal((5 * sentences.PICTURE_FRAMES + 1, 4), np.float32)
    assert imread(io.BytesIO(sentences.picture(features))).shape[1] <= sentences.PICTURE_FRAMES


def test_constant_input_is_a_picture() -> None:
    assert imread(io.BytesIO(sentences.picture(np.zeros((3, 4), np.float32)))).shape[:2] == (4, 3)


def test_syllables_stand_where_they_were_heard(hear: Hear) -> None:
    listening = recognizer(["er4", "san1"])
    said = hear("ba1 san1", "er4 san1")
    (one,) = evaluate(listening, [said.utterance], {"greedy": Greedy()}, "greedy").heard
    # Step 2 of 2 frames of 10 ms is at 40 ms of 400 ms, step 5 at 100 ms: the second syllable begins in between.
    assert 0 <= one.starts[0] < 0.06 <= one.starts[1] < 0.11
    assert one.starts == listening.hear([read_wave(one.utterance.path)])[0].starts
    places = [attributes for attributes in Page(page_of([one], listening)).elements("li") if "style" in attributes]
    assert [place["style"] for place in places] == [f"left:{250 * second:.2f}%" for second in one.starts]
    assert places[0]["class"].split()[0] == "S"


def test_places_are_those_of_the_evaluation_and_nothing_is_heard_again(hear: Hear) -> None:
    """The network would hear something else; a time beyond the sound, as padding makes it, is its end."""
    listening = recognizer(["wu3"])
    one = replace(hear("ba1 san1 yi1", "er4 san1"), starts=(0.1, 0.5))
    places = [attributes for attributes in Page(page_of([one], listening)).elements("li") if "style" in attributes]
    assert [place["style"] for place in places] == ["left:25.00%", "left:100.00%"]
    assert [place["class"] for place in places] == ["S", ""]
    assert listening.acoustics.calls == 0  # type: ignore[attr-defined]


def test_no_places_where_nobody_knows_them(hear: Hear) -> None:
    page = Page(page_of([hear("ba1 san1", "er4 san1")], recognizer(["er4", "san1"])))
    assert not [attributes for attributes in page.elements("li") if "style" in attributes]
    assert not page.elements("ol", "at")


def stored(name: str) -> Any:
    metrics = {"dev_syllable_error_rate": 0.0119}
    return Meta(load_config(name), VOCABULARY, epoch=11, step=1045, metrics=metrics)


def test_network_is_described(hear: Hear) -> None:
    page = Page(page_of([hear("ba1", "er4")], recognizer(meta=stored("digits"))))
    assert page.figure("Parameters") == f"{20 * len(VOCABULARY)}" == "240"
    assert page.figure("Error on dev") == "1.19\xa0%"
    assert "epoch 11" in page.figure("Trained")
    assert page.figure("Input").startswith("LogMel, 20 bins every 10\xa0ms")
    assert "kind: log_mel" in page.text  # the whole configuration


def test_the_parameters_of_a_real_network(hear: Hear, cpu: None) -> None:
    """As many as MindSpore would train."""
    meta = stored("digits")
    listening = recognizer(meta=meta)
    listening.network = meta.config.model
    cell = meta.config.model.build(num_bins=20, num_units=len(VOCABULARY))
    weights = sum(int(np.prod(weight.shape)) for weight in cell.trainable_params())
    assert Page(page_of([hear("ba1", "er4")], listening)).figure("Parameters") == f"{weights:,}"


def test_a_network_that_does_not_count_its_parameters(hear: Hear) -> None:
    listening = recognizer(meta=stored("digits"))
    listening.network = Strided()
    assert "Parameters" not in Page(page_of([hear("ba1", "er4")], listening)).text


def test_classes_are_called_classes_and_have_an_accuracy(hear: Hear) -> None:
    heard = [hear("yes", "yes"), hear("no", "yes"), hear("stop", "stop")]
    page = Page(page_of(heard, unit="class", also={"accuracy": 2 / 3}, decoder="classes"))
    assert "33.33 % of the classes wrong" in page.text
    assert "Class errors of" in page.text and "1 error in 3 classes" in page.text
    assert page.figure("accuracy") == "66.67\xa0%"
    assert page.row("class error rate")[1] == "33.33 %"
    assert "1 error in 1 class" in page.text
    assert "syllable" not in page.text


def test_many_speakers_and_lengths_are_gathered(hear: Hear) -> None:
    heard = [hear("ba1 " * length, "", id=f"{length}", speaker=f"s{length:02d}") for length in range(1, 31)]
    page = Page(page_of(heard))
    assert page.row("the other 15")[1] == "15"
    assert page.row("1–3")[1] == "3"
    assert page.row("28–30")[1] == "3"


def test_two_speakers_say_nothing_about_a_third(hear: Hear) -> None:
    heard = [
        hear("ba1 er4 san1 si4", written, speaker=name) for name, written in zip("abc", ["", "ba1", "ba1"], strict=True)
    ]
    assert "For other people" not in Page(page_of(heard[:2])).text
    interval = ends(10, 12, degrees=2).replace("\xa0", " ")  # they differ less than chance makes them
    assert f"For other people like these 3 speakers: {interval}" in Page(page_of(heard)).text


def test_no_error_does_not_mean_that_there_are_none(hear: Hear) -> None:
    heard = [hear("ba1 er4", "ba1 er4", id=str(index)) for index in range(20)]
    interval = ends(0, 40, degrees=19).replace("\xa0", " ")
    assert f"95 % interval {interval}" in Page(page_of(heard)).text


def test_no_speakers_no_table_of_them(hear: Hear) -> None:
    assert "By speaker" not in Page(page_of([hear("ba1", "er4")])).text


def test_same_input_same_page(hear: Hear) -> None:
    heard = [hear("ba1 er4", "er4", speaker="Annie"), hear("wu3", "wu3 yi1", speaker="boris")]
    assert page_of(heard) == page_of(heard)


def test_sound_that_is_gone_is_named(tmp_path: Path) -> None:
    utterance = Utterance("a", str(tmp_path / "gone.wav"), 1.0, ("ba1",))
    with pytest.raises(DataError, match=r"gone\.wav: no such file"):
        page_of([Heard(utterance, ())])


labels = st.lists(st.sampled_from(["ba1", "ba4", "<unk>", "ma5", "&amp;", "x'\""]), max_size=5)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(labels, labels, st.text(min_size=1), st.text()), min_size=1, max_size=4))
def test_any_page_is_well_formed(wav: Path, found: list[tuple[list[str], list[str], str, str]]) -> None:
    heard = [
        Heard(Utterance(id, str(wav), SECONDS, tuple(said), speaker=name), tuple(written))
        for said, written, id, name in found
    ]
    page = Page(page_of(heard))
    assert len(page.elements("article")) <= len(heard)
    assert len(page.elements("script")) == 1


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "1 < 2 ", tag("b", "yes"), title='"') == '<p title="&quot;">1 &lt; 2 <b>yes</b></p>'
    assert tag("br") == "<br>"
    assert isinstance(tag("p"), Html)
