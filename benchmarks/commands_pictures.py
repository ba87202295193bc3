"""Draws what each of the nine steps does to a spoken word, for docs/speech_commands.md.

Command: ``python benchmarks/commands_pictures.py`` writes ``docs/images/commands_*.png`` (needs the extra ``synth``:
the word is spoken by a synthesiser). Each random step is drawn at its limit, so that it can be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np

from dfcnn_ms.audio import SAMPLE_RATE, ClipMel, resample
from dfcnn_ms.audio.augment_commands import FixLength, FixSpectrum, ShiftSpectrum, SpectrumNoise
from dfcnn_ms.audio.clip_mel import stretched
from dfcnn_ms.corpora.espeak import Espeak

mpl.use("Agg")

import matplotlib.pyplot as plt

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WORD, VOICE = "jiu3", "f3"
#: what is drawn of a spectrum: bins of 8 Hz up to 4 kHz, and decibels below the loudest
BINS, RANGE_DB = 512, 60.0
SIZE, DPI = (7.2, 2.0), 80

Picture = tuple[str, str, np.ndarray, np.ndarray]


class Always:
    """A source of numbers that are the lowest or the highest possible; what cannot be so is drawn as usual."""

    def __init__(self, *, highest: bool) -> None:
        self.highest, self.rest = highest, np.random.default_rng(0)

    def random(self) -> float:
        return 0.0

    def uniform(self, low: float, high: float) -> float:
        return high if self.highest else low

    def integers(self, low: int, high: int | None = None, *, endpoint: bool = False) -> int:
        if endpoint and high is not None:
            return high if self.highest else low
        return int(self.rest.integers(low, high))


def spoken() -> np.ndarray:
    """One word (N,) at 16 kHz, between silences."""
    speech = Espeak()
    wave = resample(speech.say(WORD, VOICE).astype(np.float32) / 32768, speech.sample_rate, SAMPLE_RATE)
    quiet = np.random.default_rng(0).normal(size=SAMPLE_RATE // 5).astype(np.float32) * 0.001
    return np.concatenate([quiet, wave / np.abs(wave).max() * 0.6, quiet])


def steps(wave: np.ndarray) -> Iterator[Picture]:
    """File name, title, before and after of each step, in the order in which they are done."""
    most, features = Always(highest=True), ClipMel()
    yield "1_amplitude", "1. amplitude: x 0.7", wave, 0.7 * wave
    slower = resample(wave, SAMPLE_RATE, SAMPLE_RATE * 1.2)
    yield "2_speed_and_pitch", "2. speed and pitch: 20 % longer, and lower", wave, slower
    clip = FixLength()(slower, most)
    yield "3_fix_length", "3. length: one second", slower, clip
    spectrum = features.spectrum(clip)
    yield "4_stft", "4. spectrum: 2,048 points every 512 samples", clip, spectrum
    longer = stretched(spectrum, 1 / 1.2, features.hop_samples)
    yield "5_stretch", "5. stretch: 20 % longer, the pitch stays", spectrum, longer
    moved = ShiftSpectrum(probability=1.0)(longer, most)
    yield "6_shift", "6. shift: 8 frames to the right", longer, moved
    fixed = FixSpectrum()(moved, most)
    yield "7_fix_frames", "7. frames: 32 again", moved, fixed
    noisy = SpectrumNoise(colours=("pink",), probability=1.0)(fixed, most)
    yield "8_noise", "8. noise: a share of 0.45", fixed, noisy
    yield (
        "9_mel",
        "9. mel: 32 bands in decibels, the picture that the network sees",
        noisy,
        features.from_spectrum(noisy),
    )


def draw(axis: plt.Axes, x: np.ndarray) -> None:
    """A wave over seconds, or a picture over frames."""
    if x.ndim == 1:
        axis.plot(np.arange(len(x)) / SAMPLE_RATE, x, linewidth=0.4)
        axis.set(xlim=(0, 1.3), ylim=(-0.7, 0.7), xlabel="seconds", yticks=[-0.5, 0, 0.5])
        return
    if np.iscomplexobj(x):
        power = np.square(np.abs(x[:, :BINS]))
        x = 10 * np.log10(np.maximum(power, 1e-9) / power.max())
        axis.set_ylabel("bins of 8 Hz")
    else:
        axis.set_ylabel("mel band")
    axis.imshow(x.T, origin="lower", aspect="auto", cmap="magma", vmin=-RANGE_DB, vmax=0)
    axis.set(xlim=(-0.5, 46.5), xlabel="frames of 32 ms")


def main() -> None:
    """Writes one picture for each step."""
    IMAGES.mkdir(exist_ok=True)
    plt.rcParams.update({"font.size": 8, "figure.constrained_layout.use": True, "axes.titlelocation": "left"})
    for name, title, before, after in steps(spoken()):
        figure, axes = plt.subplots(1, 2, figsize=SIZE, dpi=DPI)
        for axis, x in zip(axes, (before, after), strict=True):
            draw(axis, x)
        axes[0].set_title(title)
        figure.savefig(IMAGES / f"commands_{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    main()
