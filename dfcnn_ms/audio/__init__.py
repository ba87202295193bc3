"""Sound: files to samples, samples to features, and ways to vary both."""

from dfcnn_ms.audio.augment import (
    FEATURE_AUGMENTATIONS,
    WAVE_AUGMENTATIONS,
    AddNoise,
    Augmentation,
    BandLimit,
    Clip,
    Colour,
    FreqWarp,
    Gain,
    Room,
    SpecAugment,
    Speed,
    TimeStretch,
    add_noise_at_snr,
    coloured_noise,
    convolve,
    room_response,
)
from dfcnn_ms.audio.augment_commands import COMMAND_WAVE_AUGMENTATIONS, SPECTRUM_AUGMENTATIONS
from dfcnn_ms.audio.cepstrogram import Cepstrogram
from dfcnn_ms.audio.clip_mel import ClipMel
from dfcnn_ms.audio.features import (
    FEATURES,
    Features,
    GlobalCmvn,
    LinearSpectrogram,
    LogMel,
    Mfcc,
    RunningCmvn,
    utterance_cmvn,
)
from dfcnn_ms.audio.pitch import Pitch
from dfcnn_ms.audio.preprocess import PREPROCESS, HighPass, NoiseReduction, PreEmphasis
from dfcnn_ms.audio.stack import Stack
from dfcnn_ms.audio.wave import SAMPLE_RATE, duration, read_wave, resample, write_wave

WAVE_AUGMENTATIONS |= COMMAND_WAVE_AUGMENTATIONS
FEATURES |= {"clip_mel": ClipMel, "stack": Stack, "pitch": Pitch, "cepstrogram": Cepstrogram}

__all__ = [
    "FEATURES",
    "FEATURE_AUGMENTATIONS",
    "PREPROCESS",
    "SAMPLE_RATE",
    "SPECTRUM_AUGMENTATIONS",
    "WAVE_AUGMENTATIONS",
    "AddNoise",
    "Augmentation",
    "BandLimit",
    "Cepstrogram",
    "Clip",
    "ClipMel",
    "Colour",
    "Features",
    "FreqWarp",
    "Gain",
    "GlobalCmvn",
    "HighPass",
    "LinearSpectrogram",
    "LogMel",
    "Mfcc",
    "NoiseReduction",
    "Pitch",
    "PreEmphasis",
    "Room",
    "RunningCmvn",
    "SpecAugment",
    "Speed",
    "Stack",
    "TimeStretch",
    "add_noise_at_snr",
    "coloured_noise",
    "convolve",
    "duration",
    "read_wave",
    "resample",
    "room_response",
    "utterance_cmvn",
    "write_wave",
]
