"""The voices by name, as `prepare synth --voices` takes them."""

from __future__ import annotations

from dfcnn_ms.corpora.voices.crowd import CrowdVoice
from dfcnn_ms.corpora.voices.espeak import EspeakVoice
from dfcnn_ms.corpora.voices.neural import NeuralVoice
from dfcnn_ms.corpora.voices.spoken import Voice
from dfcnn_ms.errors import ConfigError, suggestion

VOICES: dict[str, Voice] = {"espeak": EspeakVoice(), "neural": NeuralVoice(), "crowd": CrowdVoice()}


def named(voices: str) -> tuple[str, ...]:
    """The names in a list such as `espeak,neural`; one that stands there twice speaks twice as often.

    Raises:
        ConfigError: there is no such voice, or none at all.
    """
    names = tuple(name.strip() for name in voices.split(",") if name.strip())
    for name in names:
        if name not in VOICES:
            raise ConfigError(f"voices: there is no {name!r}; {suggestion(name, VOICES)}")
    if not names:
        raise ConfigError(f"voices: none in {voices!r}; give some of: {', '.join(VOICES)}")
    return names
