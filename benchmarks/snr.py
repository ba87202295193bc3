"""How well the report's signal-to-noise ratio holds: mixtures that were made to have one, against a usual estimate.

Command: ``python benchmarks/snr.py`` (about ten seconds). espeak-ng says eight syllables, as in the synthetic corpus;
noise of three colours is added at a known ratio. Ours takes the quietest tenth of the frames for the noise. The peer
is WADA (Kim and Stern 2008): it asks which mixture of gamma distributed speech and normal noise has amplitudes as
these. Mean error and its deviation, in decibels; a negative error says that the sound seemed noisier than it is.
"""

from __future__ import annotations

import numpy as np

from dfcnn_ms.audio.augment import add_noise_at_snr, coloured_noise
from dfcnn_ms.audio.snr import estimate_snr
from dfcnn_ms.audio.wave import SAMPLE_RATE, resample
from dfcnn_ms.corpora.espeak import Espeak

ROUNDS = 40
RATIOS = (0, 5, 10, 15, 20, 30)
COLOURS = ("white", "pink", "brown")
VOICES = ("Annie", "boris", "linda", "m2", "f3", "travis")
SYLLABLES = ("ni3", "hao3", "jin1", "tian1", "qi4", "bei3", "shang4", "wo3", "men5", "qu4", "kan4", "shu1")


def sharpness(wave: np.ndarray) -> float:
    """What WADA measures: the logarithm of the mean amplitude over the mean of the logarithm."""
    amplitude = np.abs(wave[wave != 0]).astype(np.float64)
    return float(np.log(amplitude.mean()) - np.log(amplitude).mean())


def wada_table(decibels: np.ndarray, draws: int = 400_000) -> np.ndarray:
    """The same of many draws of gamma distributed speech in normal noise at each ratio."""
    rng = np.random.default_rng(0)
    speech = rng.gamma(0.4, size=draws) * rng.choice((-1, 1), draws)
    noise = rng.standard_normal(draws)
    speech /= np.sqrt(np.mean(speech**2))
    return np.array([sharpness(speech + noise * 10 ** (-ratio / 20)) for ratio in decibels])


def main() -> None:
    """Prints a row for each colour and ratio."""
    rng, espeak = np.random.default_rng(0), Espeak()
    decibels = np.arange(-20.0, 61.0)
    table = wada_table(decibels)
    print(f"{'noise':8}{'SNR dB':>8}{'ours':>18}{'WADA':>18}")
    for colour in COLOURS:
        for ratio in RATIOS:
            errors = []
            for _ in range(ROUNDS):
                speech = spoken(espeak, rng)
                mixture = add_noise_at_snr(speech, coloured_noise(rng, len(speech), colour), ratio)
                wada = float(np.interp(sharpness(mixture), table, decibels))
                errors.append((estimate_snr(mixture) - ratio, wada - ratio))
            (ours, wada), (spread, wada_spread) = np.mean(errors, axis=0), np.std(errors, axis=0)
            print(f"{colour:8}{ratio:8}{ours:+11.1f} ± {spread:4.1f}{wada:+11.1f} ± {wada_spread:4.1f}")


def spoken(espeak: Espeak, rng: np.random.Generator) -> np.ndarray:
    """Samples (N,) of eight syllables in a random voice, with 0.15 s of silence before and after."""
    samples = espeak.say(" ".join(rng.choice(SYLLABLES, 8)), str(rng.choice(VOICES)), pitch=int(rng.integers(35, 65)))
    wave = resample(samples.astype(np.float32) / 32768, espeak.sample_rate, SAMPLE_RATE)
    return np.pad(wave, round(0.15 * SAMPLE_RATE))


if __name__ == "__main__":
    main()
