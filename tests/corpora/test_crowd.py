"""The voices of ttskit: who speaks in which split, symbols, readings that lost their place, and tones as written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from by_ear import Said, pitch_hz

from dfcnn_ms.audio.pitch import OCTAVES, VOICING, Pitch
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora import synth
from dfcnn_ms.corpora.manifest import read_manifest
from dfcnn_ms.corpora.sentences import Sentence
from dfcnn_ms.corpora.voices import crowd, people, table
from dfcnn_ms.corpora.voices.crowd import CrowdVoice
from dfcnn_ms.corpora.voices.praat import Change
from dfcnn_ms.corpora.voices.spoken import Rhythm
from dfcnn_ms.corpora.voices.tacotron import Spoken
from dfcnn_ms.errors import DataError, DeviceError
from dfcnn_ms.text.pinyin import SYLLABLES

STEADY = Rhythm(spread=0.0, hesitations=0.0)
USUAL = Said(rate=180)
SAID = ("ni3", "hao3", "ma5", "zhong1", "guo2")
TONES = (1, 2, 3, 4)


class Tones:
    """Reads ten frames for each syllable, as a pure tone of its own; loses its place in its first readings."""

    def __init__(self, lost: int = 0) -> None:
        self.lost, self.asked = lost, list[np.ndarray]()

    def read(self, symbols: np.ndarray, speaker: np.ndarray, rng: np.random.Generator) -> Spoken:
        self.asked.append(speaker)
        syllables = (len(symbols) - crowd.EACH) // crowd.EACH
        places = np.repeat(np.arange(0, crowd.EACH * (syllables + 1), crowd.EACH), 10)
        if len(self.asked) <= self.lost:
            places = places[:-10]
        return Spoken(places[:, None] * np.ones((1, 80), np.float32), places, ended=True)

    def sound(self, spectrogram: np.ndarray) -> np.ndarray:
        hz = 300 + 50 * np.repeat(np.rint(spectrogram[:, 0]), crowd.FRAME)
        return 0.3 * np.sin(2 * np.pi * np.cumsum(hz) / crowd.RATE)


class Same:
    """A Praat that changes nothing and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = list[Change]()

    def change(self, wave: np.ndarray, rate: int, change: Change) -> np.ndarray:
        self.asked.append(change)
        return wave


def simple_voice(reader: Tones, rhythm: Rhythm = STEADY) -> tuple[CrowdVoice, Same]:
    changer = Same()
    return CrowdVoice(lambda: reader, lambda: changer, rhythm), changer


def asked_for(voice: CrowdVoice, speaker: str, said: Sequence[str] = SAID, seed: int = 3) -> np.ndarray:
    return voice.say(said, speaker, USUAL, np.random.default_rng(seed))


# --- who speaks -----------------------------------------------------------------------------------------------------


def test_nobody_is_in_two_splits():
    for one, other in combinations(people.COUNTS, 2):
        assert not set(crowd.speakers(one)) & set(crowd.speakers(other))
        assert not set(crowd.SPEAKERS[one]) & set(crowd.SPEAKERS[other])


@pytest.mark.parametrize("split", people.COUNTS)
def test_a_third_is_said_by_themselves_and_half_of_it_by_somebody_between_two(split):
    names = crowd.speakers(split)
    assert sum(name.startswith(crowd.THEMSELVES) for name in names) / len(names) == pytest.approx(1 / 3, abs=0.01)
    rng = np.random.default_rng(0)
    drawn = [crowd.somebody(split, rng) for _ in range(400)]
    assert {name for who in drawn for name in who.names} == set(crowd.SPEAKERS[split])
    between = [who for who in drawn if len(who.names) == 2]
    assert 0.4 < len(between) / len(drawn) < 0.6
    for who in between:
        first, second = (crowd.SPEAKERS[split][name] for name in who.names)
        assert who.names[0] != who.names[1] and 0.25 <= who.share <= 0.75
        assert min(first, second) <= who.median_hz <= max(first, second)


def test_a_name_is_the_digits_of_its_sum():
    """md5 of "biaobei" begins with c1f7; a digit d is told as (d - 7) / 10."""
    told = crowd.vector("biaobei")
    assert told.shape == (32,) and told.min() >= -0.7 and told.max() <= 0.8
    halfway = crowd.Speaker(("biaobei", "Aida"), 0.5).vector
    np.testing.assert_allclose(halfway, (told + crowd.vector("Aida")) / 2)
    np.testing.assert_array_equal(crowd.Speaker(("Aida",)).vector, crowd.vector("Aida"))


# --- symbols --------------------------------------------------------------------------------------------------------


def test_syllables_as_symbols():
    named = np.array(crowd.SYMBOLS)
    numbers = crowd.symbols(["zhi1", "wo3", "yue4", "liu2", "er4", "jun1"])
    assert " ".join(named[numbers[:24]]) == "zh ix 1 - uu uo 3 - vv ve 4 - l iu 2 - ee er 4 - j vn 1 -"
    assert numbers[24] == crowd.STOP and " ".join(named[numbers[25:]]) == "- ~ _"


def test_every_syllable_has_symbols():
    for initial, rhymes in SYLLABLES.items():
        for rhyme in rhymes.split():
            assert len(crowd.symbols([f"{initial}{rhyme}1"])) == 2 * crowd.EACH


# --- readings -------------------------------------------------------------------------------------------------------


def test_a_syllable_begins_where_its_symbols_are_first_looked_at():
    looked_at = np.array([0, 0, 1, 2, 4, 3, 5, 6, 6, 8, 9, 11])  # a look back changes nothing
    found = crowd.starts_of(Spoken(np.zeros((12, 80), np.float32), looked_at, ended=True), 2)
    assert found is not None and found.tolist() == [0, 4, 9]
    looked_at[:1] = 11  # at the silence of the end, before it speaks
    found = crowd.starts_of(Spoken(np.zeros((12, 80), np.float32), looked_at, ended=True), 2)
    assert found is not None and found.tolist() == [0, 4, 9]


@pytest.mark.parametrize(
    ("looked_at", "ended"),
    [
        ([0] * 5 + [4] * 5, True),  # the end was never reached
        ([0] * 5 + [4] * 5 + [8] * 2, False),  # it did not stop
        ([0] * 5 + [8] * 5, True),  # the second syllable was passed over
        ([0] * 5 + [4] * 61 + [8] * 2, True),  # and was drawn out for nearly a second
    ],
)
def test_a_reading_that_lost_its_place_is_noticed(looked_at, ended):
    spoken = Spoken(np.zeros((len(looked_at), 80), np.float32), np.array(looked_at), ended)
    assert crowd.starts_of(spoken, 2) is None


def test_it_is_read_again_then_by_somebody_else_and_given_up_in_the_end():
    reader = Tones(lost=crowd.EACH_TRIES)
    voice, _ = simple_voice(reader)
    asked_for(voice, "ttskit-train")
    assert len(reader.asked) == crowd.EACH_TRIES + 1
    assert all(np.array_equal(one, reader.asked[0]) for one in reader.asked[:-1])
    assert not np.array_equal(reader.asked[-1], reader.asked[0])
    voice, _ = simple_voice(Tones(lost=10**6))
    with pytest.raises(DataError, match="cannot say 'ni3 hao3 ma5 zhong1 guo2'; leave it out, or use another seed"):
        asked_for(voice, "ttskit-train")


@pytest.mark.parametrize("rhythm", [STEADY, Rhythm()], ids=["steady", "varied"])
def test_every_syllable_is_heard_where_its_times_say(rhythm):
    voice, _ = simple_voice(Tones(), rhythm)
    wave = asked_for(voice, "ttskit-test")
    edges = voice.edges(SAID, "ttskit-test", USUAL, np.random.default_rng(3))
    assert len(edges) == len(SAID) + 1 and edges == sorted(edges)
    for number, (start, end) in enumerate(pairwise(edges)):
        heard = wave[round((start + 0.02) * SAMPLE_RATE) : round((end - 0.02) * SAMPLE_RATE)]
        assert pitch_hz(heard) == pytest.approx(300 + 200 * number, abs=12)


def test_a_slower_manner_takes_longer():
    voice, _ = simple_voice(Tones())
    lengths = [voice.edges(SAID, "ttskit-train", Said(rate), np.random.default_rng(1))[-1] for rate in (120, 180, 225)]
    assert lengths[0] / lengths[1] == pytest.approx(1.5, rel=0.05)
    assert lengths[2] / lengths[1] == pytest.approx(0.8, rel=0.05)


def test_several_people_are_made_of_one_reading():
    """Their throats as they are wanted, beside that of who read it, and never beyond what a voice bears."""
    reader = Tones()
    voice, changer = simple_voice(reader)
    for speaker in crowd.speakers("train")[:9]:
        asked_for(voice, speaker, seed=11)
    assert len(reader.asked) == 1 and len(changer.asked) == 6
    who = crowd.somebody("train", _after_rhythm(11))
    source = people.Source.of(who.median_hz)
    made = [name for name in crowd.speakers("train")[:9] if not name.startswith(crowd.THEMSELVES)]
    for name, change in zip(made, changer.asked, strict=True):
        wanted = np.clip(people.by_name()[name].formants / source.formants, *people.FORMANTS)
        assert change.formants == pytest.approx(wanted, rel=0.006)
        assert people.FORMANTS[0] * 0.994 <= change.formants <= people.FORMANTS[1] * 1.006


def _after_rhythm(seed: int) -> np.random.Generator:
    """The generator that chooses who reads, where an utterance has this seed."""
    rng = np.random.default_rng(seed)
    STEADY.draw(len(SAID), rng)
    return np.random.default_rng(int(rng.integers(2**32)))


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(crowd, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"run: pip install --no-deps ttskit==0\.3\.8"):
        CrowdVoice().check()


# --- ttskit itself --------------------------------------------------------------------------------------------------

needs_ttskit = pytest.mark.skipif(
    not all(crowd.find_spec(name) for name in ("ttskit", "parselmouth")),
    reason="the voices of ttskit are optional: pip install dfcnn-ms[voices]; pip install --no-deps ttskit",
)


@needs_ttskit
@pytest.mark.slow
def test_the_pitch_follows_the_written_tone():
    """In the second of three syllables, after a high one: it stays there, falls and rises, falls low, falls at last."""
    said = {
        tone: [_pitch_of_the_second(("ta1", f"{one}{tone}", "ma5")) for one in ("ma", "lan", "wu")] for tone in TONES
    }
    high = np.median(np.concatenate(said[1]))
    assert all(np.std(semitones) < 1 for semitones in said[1])
    assert all(semitones.min() < high - 7 and semitones[-1] > semitones.min() + 0.5 for semitones in said[2])
    assert all(semitones.min() < high - 11 and semitones[-1] < semitones.min() + 0.5 for semitones in said[3])
    assert all(abs(semitones.max() - high) < 2 and semitones[-1] < semitones.max() - 1.5 for semitones in said[4])


def _pitch_of_the_second(said: Sequence[str]) -> np.ndarray:
    """Semitones in the frames of the second syllable that have a pitch, said by one woman."""
    spoken = crowd.ttskit().read(crowd.symbols(said), crowd.vector("Aijia"), np.random.default_rng(1))
    starts = crowd.starts_of(spoken, len(said))
    assert starts is not None
    wave = crowd.at_16_khz(crowd.ttskit().sound(spoken.spectrogram), crowd.RATE)
    start, end = (round(frame / crowd.FRAMES_PER_SECOND * SAMPLE_RATE) for frame in starts[1:3])
    pitch = Pitch()(wave[start:end].astype(np.float32))
    voiced = pitch[pitch[:, VOICING] > 0.5, OCTAVES]
    assert len(voiced) >= 3
    return 12 * voiced


@needs_ttskit
@pytest.mark.slow
def test_a_corpus_is_the_same_bytes_again(tmp_path, monkeypatch):
    def few(task: str, split: str, count: int, seed: int) -> list[Sentence]:
        return [Sentence(("ni3", "hao3"), "\u4f60\u597d", ("ni2", "hao3"))] * count

    monkeypatch.setattr(synth, "sentences", few)
    made = []
    for name in ("one", "two"):
        asked = {"voices": "crowd", "train": 2, "dev": 1, "test": 1, "takes": 2, "workers": 1, "progress": False}
        paths = synth.prepare(tmp_path / name, "everyday", **asked)
        made.append([one.path.read_bytes() for path in paths.values() for one in read_manifest(path)])
        assert [one.pinyin for one in read_manifest(paths["train"])] == [("ni3", "hao3")] * 2
    assert made[0] == made[1]
    assert table.named("crowd") == ("crowd",)
