"""Measures every voice of espeak-ng, so that the ones for the default corpus can be chosen.

    python benchmarks/voices.py

One line per voice: `seconds` for six digits at one rate; `f0`, the median pitch in Hz; `voiced`, the share
of the sound that has a pitch; `tones`, the semitones between the rise of tone 2 and the fall of tone 4 at a
wide pitch range; `right`, the share of 36 syllables that sound most like the same syllable of the others
(median over them); `again`, whether saying it again gives the same samples; the nearest other voice and its
distance; and the split, or why the voice is in none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.wave import SAMPLE_RATE, resample
from dfcnn_ms.corpora.espeak import Espeak
from dfcnn_ms.corpora.voices.espeak import FAST_VOICES, VOICES

SYLLABLES = (
    *("ling2", "yi1", "er4", "san1", "si4", "wu3", "liu4", "qi1", "ba1", "jiu3", "ma1", "ma2", "ma3", "ma4"),
    *("shi4", "de5", "ni3", "hao3", "zhong1", "guo2", "ren2", "xue2", "chuang2", "nv3", "ge4", "xiang3"),
    *("dou1", "tai4", "wen4", "feng1", "kuai4", "yue4", "hua1", "pei2", "dian4", "qian2"),
)
TONAL = ("ma", "mi", "lou", "yan", "wei", "nao")
WIDE = 75
SENTENCE = "san1 wu3 yi1 yi1 jiu3 ling2"
FRAMES = 16

# espeak-ng crashes when a voice falls below 28 Hz, as this one does at a low pitch and a wide range.
TOO_DEEP = "rob"
LEAST_VOICED = 0.75
LEAST_TONES = 2.0
LEAST_RIGHT = 0.70
MOST_PACE = 1.35
LEAST_DISTANCE = 1.2


@dataclass(frozen=True)
class Measured:
    """One voice.

    Attributes:
        spectra: log mel spectra of the syllables, each stretched to the same length (S, FRAMES, F).
    """

    name: str
    seconds: float
    f0: float
    voiced: float
    tones: float
    again: bool
    spectra: np.ndarray


def measure(espeak: Espeak, name: str) -> Measured:
    """Lets a voice speak."""
    waves = [speech(espeak, syllable, name) for syllable in SYLLABLES]
    first, second = (espeak.say(SENTENCE, name) for _ in range(2))
    heard = np.concatenate([pitch(wave) for wave in waves])
    f0 = float(np.nanmedian(heard))
    return Measured(
        name,
        seconds=len(first) / espeak.sample_rate,
        f0=f0,
        voiced=float(np.isfinite(heard).mean()),
        tones=typical_rise(espeak, name, 2, f0) - typical_rise(espeak, name, 4, f0),
        again=np.array_equal(first, second),
        spectra=np.stack([spectrum(wave) for wave in waves]),
    )


def speech(espeak: Espeak, text: str, name: str, pitch_range: int = 50) -> np.ndarray:
    """A wave (N,) at 16 kHz."""
    samples = espeak.say(text, name, pitch_range=pitch_range)
    return resample(samples / np.float32(32768), espeak.sample_rate, SAMPLE_RATE)


def pitch(wave: np.ndarray, lowest_hz: float = 55, highest_hz: float = 500, window: int = 1024) -> np.ndarray:
    """The pitch (T,) in Hz of the louder frames, by autocorrelation; NaN where there is none."""
    frames = np.lib.stride_tricks.sliding_window_view(wave - wave.mean(), window)[::160]
    energy = np.sum(frames**2, axis=1)
    taper = np.hanning(window)
    power = np.abs(np.fft.rfft(frames[energy > 0.02 * energy.max()] * taper, 2 * window)) ** 2
    bias = np.fft.irfft(np.abs(np.fft.rfft(taper, 2 * window)) ** 2)
    shortest, longest = int(SAMPLE_RATE / highest_hz), int(SAMPLE_RATE / lowest_hz)
    likeness = np.fft.irfft(power)[:, :longest] / bias[:longest]
    likeness /= likeness[:, :1] + 1e-12
    lags = shortest + likeness[:, shortest:].argmax(axis=1)
    return np.where(likeness[:, shortest:].max(axis=1) > 0.5, SAMPLE_RATE / lags, np.nan)


def typical_rise(espeak: Espeak, name: str, tone: int, f0: float) -> float:
    """The median rise of several syllables in one tone; looked for near f0: farther off are octaves."""
    waves = [speech(espeak, f"{syllable}{tone}", name, WIDE) for syllable in TONAL]
    return float(np.median([rise(pitch(wave, f0 / 1.6, f0 * 1.6)) for wave in waves]))


def rise(hz: np.ndarray) -> float:
    """Semitones from the first third of a syllable to the last, (T,) -> ."""
    hz = hz[np.isfinite(hz)]
    third = max(1, len(hz) // 3)
    return float(12 * np.log2(np.median(hz[-third:]) / np.median(hz[:third]))) if len(hz) else 0.0


def spectrum(wave: np.ndarray) -> np.ndarray:
    """Log mel spectrum of what is not silence, stretched to (FRAMES, F)."""
    features = LogMel(n_mels=40, floor=1e-6)(wave)
    loud = np.flatnonzero(features.mean(axis=1) > features.mean(axis=1).max() - 6)
    features = features[loud[0] : loud[-1] + 1]
    places = np.linspace(0, len(features) - 1, FRAMES)
    before = places.astype(int)
    share = (places - before)[:, None]
    return features[before] * (1 - share) + features[np.minimum(before + 1, len(features) - 1)] * share


def shares_right(voices: list[Measured]) -> np.ndarray:
    """The share of syllables of each voice that are nearest to the same syllable of the others, (voices,)."""
    spectra = np.stack([voice.spectra - voice.spectra.mean(axis=(0, 1)) for voice in voices])
    shares = []
    for place, own in enumerate(spectra):
        others = np.median(np.delete(spectra, place, axis=0), axis=0)  # (S, FRAMES, F)
        distances = np.sum((own[:, None] - others) ** 2, axis=(2, 3))  # (S, S)
        shares.append(np.mean(distances.argmin(axis=1) == np.arange(len(own))))
    return np.array(shares)


def distances(voices: list[Measured]) -> np.ndarray:
    """Root mean square difference of the log mel spectra of each two voices, (voices, voices)."""
    flat = np.stack([voice.spectra.ravel() for voice in voices])
    between = np.array([np.sqrt(np.mean((flat - own) ** 2, axis=1)) for own in flat])
    np.fill_diagonal(between, np.inf)
    return between


def verdict(voice: Measured, right: float) -> str:
    """Why a voice is not fit for the corpus, or nothing."""
    if voice.name == TOO_DEEP:
        return "crashes"
    if not voice.again:
        return "never the same twice"
    if voice.voiced < LEAST_VOICED:
        return "whispers or croaks"
    if voice.tones < LEAST_TONES:
        return "monotonous"
    if right < LEAST_RIGHT:
        return "garbled"
    return ""


def main() -> None:
    """Prints the table, and whatever in the lists of the corpus does not follow from it."""
    espeak = Espeak()
    voices = [measure(espeak, name) for name in espeak.variants()]
    right, between = shares_right(voices), distances(voices)
    splits = {name: split for split, names in VOICES.items() for name in names}
    usual = np.median([voice.seconds for voice in voices])
    print(f"{'voice':14}{'seconds':>8}{'f0':>6}{'voiced':>8}{'tones':>7}{'right':>7}{'again':>7}  nearest")
    for place, voice in enumerate(voices):
        nearest = int(between[place].argmin())
        complaint = verdict(voice, right[place])
        print(
            f"{voice.name:14}{voice.seconds:8.2f}{voice.f0:6.0f}{voice.voiced:8.2f}{voice.tones:7.1f}"
            f"{right[place]:7.2f}{voice.again!s:>7}  {voices[nearest].name:13}{between[place, nearest]:5.2f}"
            f"  {splits.get(voice.name, '-'):6}{complaint}"
        )
        if bool(complaint) == (voice.name in splits):
            print(f"  ! {voice.name}: measurement and corpus disagree")
        if (usual / voice.seconds > MOST_PACE) != (voice.name in FAST_VOICES) and not complaint:
            print(f"  ! {voice.name}: FAST_VOICES is wrong about it")
        for other in np.flatnonzero(between[place] < LEAST_DISTANCE):
            pair = {splits.get(voice.name), splits.get(voices[other].name)} - {None}
            if len(pair) > 1:
                print(f"  ! {voice.name} and {voices[other].name} are near copies in different splits")


if __name__ == "__main__":
    main()
