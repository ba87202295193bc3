"""What the page computes by itself, against what Python says of the same numbers."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from javascript import PAGE, JavaScript, needs_node
from tone_model import PAGE as PAGE_OF_TONES
from tones import VOCABULARY, listener

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.config import parse_config
from dfcnn_ms.decoding.align import Alignment, align_ctc
from dfcnn_ms.decoding.boundaries import Sound, boundaries
from dfcnn_ms.decoding.confidence import confidences, tempered
from dfcnn_ms.decoding.greedy import decode_greedy
from dfcnn_ms.decoding.ranking import ranked
from dfcnn_ms.recognizer import Transcript
from dfcnn_ms.reporting import timings
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.serving.page_model import activity_of, endpointing_of
from dfcnn_ms.streaming import Endpointing
from dfcnn_ms.streaming.activity import Activity
from dfcnn_ms.streaming.hearing import believed
from dfcnn_ms.streaming.segmenter import Segmenter

RATE = 16_000


@pytest.fixture(scope="module")
def js(tmp_path_factory: pytest.TempPathFactory) -> JavaScript:
    return JavaScript(tmp_path_factory.mktemp("page"))


def log_probs(rng: np.random.Generator, steps: int, units: int) -> np.ndarray:
    """Rows (U, V) of a network that is rather sure, and says most units for several steps."""
    ids = np.repeat(rng.integers(0, units, steps), rng.integers(1, 4, steps))[:steps]
    logits = rng.standard_normal((steps, units)) + 4 * np.eye(units)[ids]
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


@needs_node
def test_power_spectra_of_any_length(js: JavaScript) -> None:
    rng = np.random.default_rng(1)
    frames = [rng.standard_normal(size).tolist() for size in (1, 2, 3, 7, 30, 97, 400, 480, 512)]
    body = "return frames.map(one => new Fourier(one.length).power(one, new Float64Array((one.length >> 1) + 1)))"
    for frame, power in zip(frames, js("fft.js", body, frames=frames), strict=True):
        np.testing.assert_allclose(power, np.abs(np.fft.rfft(frame)) ** 2, rtol=1e-9, atol=1e-9)


@needs_node
def test_greedy_decoding_is_that_of_python(js: JavaScript) -> None:
    """Units, the probability of the path, where each unit lies, how sure it is, and what else may stand there."""
    rng = np.random.default_rng(2)
    all_scores = [log_probs(rng, steps, units) for steps, units in [(0, 5), (1, 5), (40, 3), (60, 12), (200, 30)] * 4]
    body = """return scores.map(({ rows, units, own }) =>
        greedy(Float32Array.from(rows.flat()), own, units, 1.7))"""
    given = [
        {"rows": [*one.tolist(), [0.0] * one.shape[1]], "units": one.shape[1], "own": len(one)} for one in all_scores
    ]
    for scores, found in zip(all_scores, js("greedy.js", body, scores=given), strict=True):
        expected = decode_greedy(scores)
        alignment = align_ctc(scores, expected.ids)
        assert tuple(found["ids"]) == expected.ids
        assert found["logProb"] == pytest.approx(expected.log_prob, rel=1e-6)
        assert (found["first"], found["last"], found["peaks"]) == tuple(
            map(list, (alignment.first, alignment.last, alignment.peaks))
        )
        assert found["confidences"] == pytest.approx(confidences(scores, alignment, 1.7), rel=1e-5)
        for others, peak, id in zip(found["others"], alignment.peaks, alignment.ids, strict=True):
            row = np.exp(tempered(scores[peak], 1.7))
            rest = [other for other in np.argsort(-row) if other not in (0, 1, id)][:3]
            assert [other["id"] for other in others] == rest
            assert [other["confidence"] for other in others] == pytest.approx(row[rest], rel=1e-5)


@needs_node
def test_the_class_of_a_clip_is_that_of_python(js: JavaScript) -> None:
    rng = np.random.default_rng(3)
    clips = [log_probs(rng, 1, 8) for _ in range(20)]
    body = "return clips.map(one => classOf(Float32Array.from(one[0]), 1, 8, 0.8))"
    for clip, found in zip(clips, js("greedy.js", body, clips=[one.tolist() for one in clips]), strict=True):
        assert tuple(found["ids"]) == ranked(clip, 1)
        assert found["confidences"][0] == pytest.approx(np.exp(tempered(clip[0], 0.8))[found["ids"][0]], rel=1e-5)


@needs_node
def test_a_network_that_has_diverged_is_told(js: JavaScript) -> None:
    body = "try { greedy(Float32Array.of(NaN, 0), 1, 2) } catch (error) { return error.key }"
    assert js("greedy.js", body) == "diverged"


@needs_node
def test_times_are_those_of_python(js: JavaScript) -> None:
    rng = np.random.default_rng(4)
    sounds: list[tuple[Alignment, Sound]] = []
    for frames, units in [(1, 1), (40, 1), (60, 4), (300, 12), (500, 9), (30, 0)] * 3:
        steps = max(1, frames // 4)
        places = np.sort(rng.choice(np.arange(steps), min(units, steps), replace=False))
        last = np.minimum(places + rng.integers(0, 2, len(places)), np.append(places[1:] - 1, steps - 1))
        ids, blank = tuple(range(1, len(places) + 1)), (0.0,) * len(places)
        alignment = Alignment(ids, tuple(places.tolist()), tuple(last.tolist()), tuple(places.tolist()), blank, 0.0)
        features = np.cumsum(rng.standard_normal((frames, 6)), axis=0).astype(np.float32)
        sounds.append((alignment, Sound(features, 0.01, 0.025, 4, -0.5)))
    model = {"hop_seconds": 0.01, "window_seconds": 0.025, "frames_per_step": 4, "first_frame": -0.5}
    given = [{"first": a.first, "last": a.last, "features": s.features.tolist()} for a, s in sounds]
    body = """return sounds.map(({ first, last, features }) => boundaries(
        { first, last }, new Clock(model, features.length), Float32Array.from(features.flat())))"""
    for (alignment, sound), found in zip(sounds, js("boundaries.js", body, sounds=given, model=model), strict=True):
        expected = np.stack(boundaries(alignment, sound), axis=1)  # (L, 2)
        np.testing.assert_allclose(np.reshape(found, (-1, 2)), expected, atol=1e-9)


SYLLABLES = [
    ("ba1", 0.31, 0.52, 0.98765, "八"), ("qi1", 0.52, 0.80049, 0.3, "七"), ("jiu3", 1.4, 1.9, 1.0, "九"),
    ("er4", 3599.9996, 3600.5, 0.5, "二"),
]  # fmt: skip


def spoken(characters: bool) -> tuple[timings.Recording, dict[str, Any]]:
    """One recording as Python and as the page know it."""
    timed = [timings.Timed(t, a, b, c, characters=h if characters else "") for t, a, b, c, h in SYLLABLES]
    page: dict[str, Any] = {"name": "talk", "seconds": 3601.23456, "confidence": 0.14815, "alternatives": []}
    page["characters"] = "八七九二" if characters else None
    page["syllables"] = [
        {"text": t, "start": a, "end": b, "confidence": c, "characters": h if characters else ""}
        for t, a, b, c, h in SYLLABLES
    ]
    return timings.Recording("talk", 3601.23456, tuple(timed), 0.14815), page


@needs_node
@pytest.mark.parametrize("characters", [False, True])
def test_downloads_are_what_the_command_line_writes(js: JavaScript, characters: bool) -> None:
    recording, page = spoken(characters)
    written = js("formats.js", "return [txt(heard), srt(heard), json(heard)]", heard=page)
    assert written[0] == "ba1 qi1 jiu3 er4\n" + ("八七九二\n" if characters else "")
    assert written[1] == timings.srt(timings.in_phrases(recording))
    known = json.loads(written[2])
    assert known.pop("characters", None) == ({"text": "八七九二"} if characters else None)
    assert known == timings.to_dict(recording)


@needs_node
@pytest.mark.parametrize("characters", [False, True])
def test_subtitles_are_broken_as_by_python(js: JavaScript, characters: bool) -> None:
    """Long and short syllables, waits of any length, and where the server says the lines, those."""
    rng, recordings = np.random.default_rng(7), []
    for count in (0, 1, 2, 9, 40, 150, 150):
        edges = np.cumsum(rng.choice([0.0, 0.05, 0.2, 0.3, 0.5, 0.9], 2 * count)).round(3) + 0.1
        units = rng.choice(
            ["a1", "er4", "jiu3", "zhuang4", "a-very-long-word-that-fits-into-no-line-of-any-subtitle"], count
        )
        timed = [
            timings.Timed(str(unit), start, end, 0.5, characters="八" if characters else "")
            for unit, start, end in zip(units, edges[::2], edges[1::2], strict=True)
        ]
        recordings.append(timings.Recording("a", float(edges[-1]) + 0.4 if count else 1.0, tuple(timed), 0.5))
    told = [
        {
            "seconds": one.seconds,
            "syllables": [
                {"text": t.text, "characters": t.characters, "start": t.start_seconds, "end": t.end_seconds}
                for t in one.syllables
            ],
        }
        for one in recordings
    ]
    assert js("formats.js", "return told.map(srt)", told=told) == [
        timings.srt(timings.in_phrases(one)) for one in recordings
    ]
    for one, page in zip(recordings, told, strict=True):
        lines = timings.phrases(one.syllables)
        page["lines"] = [timings.entry(line) for line in lines]
        page["syllables"] = []
    assert js("formats.js", "return told.map(srt)", told=told) == [
        timings.srt(timings.in_phrases(one)) for one in recordings
    ]


@needs_node
def test_nothing_heard_can_be_downloaded(js: JavaScript) -> None:
    heard = {"name": "a", "seconds": 1, "confidence": 1, "syllables": [], "characters": None, "alternatives": []}
    assert js("formats.js", "return [txt(heard), srt(heard)]", heard=heard) == ["\n", ""]


@needs_node
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 8_000])
def test_another_rate_is_the_same_sound_however_it_is_cut(js: JavaScript, rate: int) -> None:
    """A chord below 3 kHz comes through as it is; and soxr agrees about noise that leaves out the highest tones."""
    time = np.arange(rate // 2) / rate
    chord = sum(0.2 * np.sin(2 * np.pi * hertz * time) for hertz in (120, 950, 2700))
    noise = soxr.resample(np.random.default_rng(5).standard_normal(2000) * 0.2, 6_000, rate)[: rate // 3]
    cuts = [[1, 7, 300, 128, 4096], [20_000_000]]
    body = """const whole = Float32Array.from(wave);
        return cuts.map(sizes => {
            const made = new Rate(rate, 16000), found = [];
            for (let at = 0, k = 0; at < whole.length; at += sizes[k++ % sizes.length])
                found.push(...made.push(whole.subarray(at, at + sizes[k % sizes.length])));
            return [...found, ...made.end()];
        });"""
    wanted = np.arange(RATE // 2) / RATE
    exact = sum(0.2 * np.sin(2 * np.pi * hertz * wanted) for hertz in (120, 950, 2700))
    for wave, expected in ((chord, exact), (noise, soxr.resample(noise, rate, RATE))):
        pieces, once = js("rate.js", body, wave=wave.tolist(), rate=rate, cuts=cuts)
        assert pieces == once
        assert abs(len(once) - len(wave) * RATE / rate) <= 1
        inner = slice(400, min(len(once), len(expected)) - 400)  # the ends depend on what one believes lies beyond
        np.testing.assert_allclose(once[inner], expected[inner], atol=0.004)


def spoken_and_silent(seed: int) -> np.ndarray:
    """Noise, over which a voice of a kind comes and goes, loud and quiet; some of it goes on for very long."""
    rng, parts = np.random.default_rng(seed), []
    for length in (0.3, 1.4, 0.2, 2.0, 0.9, 3.0, 0.05, 0.5, 25.0, 1.0, 0.4):
        time = np.arange(round(length * RATE)) / RATE
        swell = 0.4 + 0.6 * np.sin(2 * np.pi * 3 * time) ** 2
        voice = sum(np.sin(2 * np.pi * hertz * time) for hertz in (150, 300, 450, 1200, 2500)) * swell
        parts.append(voice * rng.choice([0.0, 0.003, 0.05, 0.2]))
    wave = np.concatenate(parts)
    return (wave + 10 ** rng.uniform(-4, -2) * rng.standard_normal(len(wave))).astype(np.float32)


@needs_node
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_speech_is_found_where_python_finds_it(js: JavaScript, seed: int) -> None:
    """The same loudness of every frame, and the same segments with the same samples, however the sound is cut."""
    kind, wave = LogMel(n_mels=20), spoken_and_silent(seed)
    meta = Meta(parse_config(PAGE_OF_TONES, where="tones"), VOCABULARY)
    model = json.loads(json.dumps({"activity": activity_of(kind), "endpointing": endpointing_of(meta)}))
    python = Activity(kind)
    levels = np.concatenate([python.feed(wave), python.finish()])
    segmenter = Segmenter(kind, Endpointing())
    segments = [*segmenter.feed(wave), *segmenter.finish()]
    assert segments or seed != 1, "there is something to be found"
    body = """const sound = Float32Array.from(wave), activity = new Activity(model.activity);
        const levels = [...activity.feed(sound), ...activity.finish()];
        const found = cuts.map(size => {
            const segmenter = new Segmenter(model), segments = [];
            for (let at = 0; at < sound.length; at += size) {
                segments.push(...segmenter.feed(sound.subarray(at, at + size)));
            }
            return [...segments, ...segmenter.finish()].map(one => [one.first, one.wave.length, one.wave[100]]);
        });
        return { levels, found };"""
    body = "const { Activity } = await import('./activity.js');" + body
    found = js("endpoints.js", body, wave=wave.tolist(), model=model, cuts=[1600, 4801, len(wave)])
    np.testing.assert_allclose(found["levels"], levels, atol=1e-4)
    expected = [(one.first, (len(one.features) - 1) * 160 + 400) for one in segments]
    for one in found["found"]:
        assert [(first, samples) for first, samples, _ in one] == expected
        assert [sample for *_, sample in one] == [pytest.approx(wave[first * 160 + 100]) for first, _ in expected]


@needs_node
@pytest.mark.parametrize("metrics", [{}, {"dev_syllable_error_rate": 0.08}])
def test_unsure_segments_are_silence_as_for_python(js: JavaScript, metrics: dict[str, float]) -> None:
    rng, recognizer = np.random.default_rng(12), listener()
    recognizer.meta = Meta(parse_config(PAGE_OF_TONES, where="tones"), VOCABULARY, metrics=metrics)
    rows = [rng.uniform(low, 1, count).tolist() for count in (0, 1, 2, 3, 8, 20, 150) for low in (0.1, 0.4, 0.6, 0.8)]
    segments = [{"syllables": [{"text": "yi1", "confidence": sure} for sure in row]} for row in rows]
    body = "return segments.map(one => believed(one, { endpointing }).syllables.length)"
    kept = js("listening.js", body, segments=segments, endpointing=endpointing_of(recognizer.meta))
    silent = (0.0,) * 200
    for row, count in zip(rows, kept, strict=True):
        said = Transcript(("yi1",) * len(row), 1.0, 0.0, 0.0, silent, silent, tuple(row))
        assert count == len(believed(recognizer, said, Endpointing()).syllables)
    assert len(set(kept)) > 3, "some are, and some are not"


@needs_node
def test_a_wav_of_the_page_is_read_as_it_was(js: JavaScript) -> None:
    wave = np.clip(np.random.default_rng(6).standard_normal(500) * 0.6, -1.2, 1.2)
    body = "return new Uint8Array(await wav(Float32Array.from(samples)).arrayBuffer())"
    read, rate = soundfile.read(io.BytesIO(bytes(js("sound.js", body, samples=wave.tolist()))))
    assert rate == RATE
    np.testing.assert_allclose(read, np.clip(wave, -1, 1), atol=1e-4)


@needs_node
def test_pieces_come_together_with_their_times_and_other_readings(js: JavaScript) -> None:
    one = {"text": "ba1", "start": 0.5, "end": 0.7, "confidence": 0.8, "others": [{"text": "pa1", "confidence": 0.2}]}
    two = {"text": "qi1", "start": 0.25, "end": 0.5, "confidence": 0.5, "others": [{"text": "xi1", "confidence": 0.4}]}
    given = [{"from": 0, "syllables": [one]}, {"from": 20, "syllables": [two]}]
    heard = js("listening.js", "return together(given, 22.5)", given=given)
    assert heard["seconds"] == 22.5
    assert [(one["start"], one["end"]) for one in heard["syllables"]] == [(0.5, 0.7), (20.25, 20.5)]
    assert heard["confidence"] == pytest.approx(0.4)
    assert [one["text"] for one in heard["alternatives"]] == ["ba1 xi1", "pa1 qi1"]
    assert [one["confidence"] for one in heard["alternatives"]] == pytest.approx([0.8 * 0.4, 0.2 * 0.5])
    assert [one["score"] for one in heard["alternatives"]] == pytest.approx(np.log([0.8 * 0.4, 0.2 * 0.5]))


# What the page says and looks like.


@needs_node
def test_both_languages_say_the_same_things(js: JavaScript) -> None:
    words = js("words.js", "return ALL")
    assert list(words["en"]) == list(words["zh"])
    for key, sentence in words["en"].items():
        holes = [sorted(re.findall(r"\{\w+\}", one)) for one in (sentence, words["zh"][key])]
        assert holes[0] == holes[1], key
        assert re.search(r"[一-鿿]", words["zh"][key]) or key in ("other_language", "json", "done"), key


@needs_node
def test_every_word_that_is_used_is_there_and_none_is_idle(js: JavaScript) -> None:
    known = set(js("words.js", "return ALL")["en"])
    sources = "\n".join(file.read_text(encoding="utf-8") for file in PAGE.iterdir() if file.name != "words.js")
    asked = set(re.findall(r'(?:data-text|data-label)="(\w+)"|(?:say|Fault)\("(\w+)"', sources))
    assert {one for pair in asked for one in pair if one} <= known
    quoted = set(re.findall(r'"(\w+)"', sources)) | set(js("formats.js", "return Object.keys(FORMATS)"))
    assert known - quoted == {"syllables_one"}  # asked for by `many`


def colours(file: Path) -> list[dict[str, str]]:
    """The names that a style gives values to, in bright light and in the dark."""
    blocks = re.findall(r":root \{(.*?)\}", file.read_text(encoding="utf-8"), re.DOTALL)
    return [dict(re.findall(r"(--\w+): ([^;]+);", block)) for block in blocks]


def test_the_page_has_the_colours_of_the_reports() -> None:
    reports = colours(PAGE.parent.parent / "reporting" / "page.css")
    for ours, theirs in zip(colours(PAGE / "style.css"), reports, strict=True):
        assert theirs.items() <= ours.items()


def test_the_page_fetches_nothing_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        assert not re.search(r"(?:https?|wss?)://|//cdn|@import", file.read_text(encoding="utf-8")), file
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', (PAGE / "index.html").read_text(encoding="utf-8"))
    assert policy
    sources = {source for rule in policy[1].split("; ") for source in rule.split()[1:]}
    assert sources <= {"'none'", "'self'", "'wasm-unsafe-eval'", "data:"}
