"""espeak-ng: exact, repeatable, and able to say every syllable that the corpus asks of it."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from dfcnn_ms.corpora.espeak import Espeak
from dfcnn_ms.corpora.sentences import UNSPOKEN
from dfcnn_ms.corpora.voices.espeak import VOICES
from dfcnn_ms.errors import DataError, DeviceError
from dfcnn_ms.text.pinyin import SYLLABLES

pytest.importorskip("espeakng_loader", reason="espeak-ng is optional: pip install dfcnn-ms[synth]")

ALL_VOICES = [voice for voices in VOICES.values() for voice in voices]
BASES = [initial + rhyme for initial, rhymes in SYLLABLES.items() for rhyme in rhymes.split()]


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak()


def test_says_a_syllable_with_sound_in_it(espeak):
    wave = espeak.say("ma1", "m1")
    assert wave.dtype == np.int16
    assert 0.1 < len(wave) / espeak.sample_rate < 0.6
    assert np.abs(wave).max() > 3000


def test_nothing_to_say_is_a_moment_of_silence(espeak):
    wave = espeak.say("", "m1")
    assert len(wave) < 0.02 * espeak.sample_rate and not wave.any()


@pytest.mark.parametrize("voice", ALL_VOICES)
def test_the_same_whatever_was_said_before(espeak, voice):
    first = espeak.say("yi1 er4 san1", voice, rate=190, pitch=40)
    espeak.say("si4 jiu3", "f3", rate=300, pitch=90, pitch_range=90)
    assert np.array_equal(first, espeak.say("yi1 er4 san1", voice, rate=190, pitch=40))


def test_the_same_in_another_process(espeak):
    program = (
        "import hashlib; from dfcnn_ms.corpora.espeak import Espeak;"
        "print(hashlib.sha256(Espeak().say('ba1 qi1 jiu3', 'Annie').tobytes()).hexdigest())"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == hashlib.sha256(espeak.say("ba1 qi1 jiu3", "Annie").tobytes()).hexdigest()


def test_no_voice_crashes_where_the_corpus_goes_lowest():
    """Below 28 Hz espeak-ng writes beyond its tables; a crash must not take the tests with it."""
    program = (
        "from dfcnn_ms.corpora.espeak import Espeak; from dfcnn_ms.corpora import synth;"
        "from dfcnn_ms.corpora.voices import espeak;"
        "low = dict(rate=synth.RATES[0], pitch=synth.PITCHES[0], pitch_range=synth.PITCH_RANGES[1]);"
        "[Espeak().say(text, voice, **low)"
        " for voices in espeak.VOICES.values() for voice in voices"
        " for text in ('wo3 hen3 lao4 da4', 'liu4 jiu3 er4 si4')]"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("option", [{"rate": 220}, {"pitch": 70}, {"pitch_range": 90}, {"volume": 50}])
def test_each_parameter_is_heard(espeak, option):
    assert not np.array_equal(espeak.say("ma1 ma4", "m1"), espeak.say("ma1 ma4", "m1", **option))


def test_an_unknown_voice_is_an_error_and_not_another_voice(espeak):
    with pytest.raises(DataError, match="no voice 'nobody'"):
        espeak.say("ma1", "nobody")
    with pytest.raises(DataError, match="no voice ''"):
        espeak.say("ma1", "")


def test_words_begin_where_the_syllables_do(espeak):
    text = "zhong1 xiong2 lv4 er2 de5 qiong2 nve4"
    wave, starts = espeak.say_words(text, "f3")
    assert len(starts) == len(text.split())
    assert all(0.1 < seconds < 0.7 for seconds in np.diff([*starts, len(wave)]) / espeak.sample_rate)


def test_every_syllable_is_read_as_pinyin(espeak):
    """What espeak-ng cannot say as pinyin it spells out in English."""
    spelt = {base for base in BASES if "(en)" in espeak.phonemes(f"{base}4") or espeak.phonemes(f"{base}4") == "n_|"}
    respelt = {"jiong", "qiong", "xiong"}
    assert spelt == respelt | UNSPOKEN


@pytest.mark.parametrize("tone", "12345")
def test_the_rhyme_iong_lasts_as_long_as_others(espeak, tone):
    """It is given in phonemes, because the rules of espeak-ng lack it."""
    for missing, known in (("jiong", "jiang"), ("qiong", "qiang"), ("xiong", "xiang")):
        ratio = len(espeak.say(missing + tone, "m1")) / len(espeak.say(known + tone, "m1"))
        assert 0.8 < ratio < 1.3


def test_its_absence_is_one_sentence_with_a_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(DeviceError, match=r'pip install "dfcnn-ms\[synth\]"') as error:
        Espeak()
    assert "\n" not in str(error.value)
