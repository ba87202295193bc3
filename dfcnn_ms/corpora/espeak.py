"""espeak-ng, the speech synthesiser, called through ctypes.

The library and its data come from the pip package `espeakng-loader`; espeak-ng is GPL-3 and therefore
stays optional and is loaded only when something is to be said.

    speech = Espeak().say("ni3 hao3", "f3")  # (N,) int16 at 22,050 Hz

espeak-ng keeps its state in global variables, and not all of it (the phase of the pitch flutter, for
one) is reset by its own functions, so that a request would sound different after another one. Here
each request gets a freshly loaded library: the same words give the same samples whatever was said
before and in whichever process, for about 1 ms more.
"""

from __future__ import annotations

import _ctypes
import ctypes
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dfcnn_ms.errors import DataError, DeviceError

# Mandarin by the path of its file: by its name, espeak-ng first reads the files of all its voices. It reads
# toned pinyin exactly as the voice `cmn-latn-pinyin` does.
_MANDARIN = "sit/cmn"

_SYNCHRONOUS = 2
_PHONEME_EVENTS_AND_NO_EXIT = 0x8001
_UTF8_AND_PHONEMES = 0x101
_RATE, _VOLUME, _PITCH, _PITCH_RANGE = 1, 2, 3, 4
_EVENT_LIST_END, _EVENT_WORD = 0, 1
_RANDOM_SEED = 1

# The rhyme iong is missing from espeak-ng's rules, which spell xiong2 out in English; in its own phonemes,
# between double brackets, it can say it.
_IONG = re.compile(r"\b([jqx])iong([1-5])")
_INITIALS = {"j": "tS;", "q": "tS;h", "x": "S;"}
_TONES = {"1": "55", "2": "35", "3": "214", "4": "51", "5": "11"}

# espeak-ng lives in global variables: one request at a time.
_lock = threading.Lock()


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The synthesiser, found once and loaded afresh for each request.

    Raises:
        DeviceError: the package `espeakng-loader` is not installed or its library cannot be loaded.
    """

    def __init__(self) -> None:
        self._library, self._data = _locate()
        with _lock, self._loaded() as (_, sample_rate):
            self.sample_rate = sample_rate

    def variants(self) -> list[str]:
        """The names of the voices; espeak-ng calls them variants."""
        return sorted(path.name for path in (self._data / "voices" / "!v").iterdir())

    def say(self, text: str, voice: str, **manner: int) -> np.ndarray:
        """Speaks a text as `say_words` does: its samples (N,), int16 at `sample_rate`."""
        return self.say_words(text, voice, **manner)[0]

    def say_words(
        self,
        text: str,
        voice: str,
        rate: int = 175,
        pitch: int = 50,
        pitch_range: int = 50,
        volume: int = 100,
    ) -> tuple[np.ndarray, list[int]]:
        """Speaks a text.

        Args:
            text: toned pinyin divided by blanks (`lv4 se4 de5`), or characters.
            voice: one of `variants()`.
            rate: words per minute, 80 to 450; a word here is about two syllables.
            pitch: 0 to 99, 50 is the natural pitch of the voice.
            pitch_range: 0 (monotone) to 99. A deep voice with a low pitch and a wide range can fall below
                28 Hz, where espeak-ng writes beyond its tables and may crash.
            volume: 0 to 200; above 100 loud voices are clipped.

        Returns:
            Samples (N,) int16 at `sample_rate`, a moment of silence when there is nothing to say; and the sample at
            which each word begins. A syllable of pinyin between blanks is a word; it ends where the next one begins.
        """
        parameters = {_RATE: rate, _VOLUME: volume, _PITCH: pitch, _PITCH_RANGE: pitch_range}
        with _lock, self._loaded() as (library, _):
            self._set_voice(library, voice)
            for parameter, value in parameters.items():
                library.espeak_SetParameter(parameter, value, 0)
            return _synthesise(library, text)

    def phonemes(self, text: str) -> str:
        """What espeak-ng makes of a text; `(en)` in it marks what it reads as if it were English."""
        encoded = ctypes.create_string_buffer(text.encode())
        with _lock, self._loaded() as (library, _):
            library.espeak_SetVoiceByName(_MANDARIN.encode())
            library.espeak_TextToPhonemes.restype = ctypes.c_char_p
            rest = ctypes.c_void_p(ctypes.addressof(encoded))
            return (library.espeak_TextToPhonemes(ctypes.byref(rest), 1, 0) or b"").decode()

    def _set_voice(self, library: ctypes.CDLL, voice: str) -> None:
        # espeak-ng itself takes its plain voice for one that it does not know, without a word.
        known = (self._data / "voices" / "!v" / voice).is_file()
        if not known or library.espeak_SetVoiceByName(f"{_MANDARIN}+{voice}".encode()) != 0:
            raise DataError(f"espeak-ng has no voice {voice!r}; Espeak().variants() lists them, f3 is one")

    @contextmanager
    def _loaded(self) -> Iterator[tuple[ctypes.CDLL, int]]:
        library = _load(self._library)
        try:
            sample_rate = library.espeak_Initialize(
                _SYNCHRONOUS, 0, str(self._data).encode(), _PHONEME_EVENTS_AND_NO_EXIT
            )
            if sample_rate <= 0:
                raise DeviceError(f"{self._data}: espeak-ng cannot read its data; reinstall espeakng-loader")
            library.espeak_ng_SetRandSeed(ctypes.c_long(_RANDOM_SEED))
            yield library, sample_rate
            library.espeak_Terminate()
        finally:
            _unload(library)


def _synthesise(library: ctypes.CDLL, text: str) -> tuple[np.ndarray, list[int]]:
    chunks: list[np.ndarray] = []
    starts: list[int] = []

    @_SynthCallback
    def receive(wave, count, events):  # type: ignore[no-untyped-def]
        if wave and count > 0:
            chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        starts.extend(event.sample for event in _until_end(events) if event.type == _EVENT_WORD)
        return 0

    library.espeak_SetSynthCallback(receive)
    encoded = _respelt(text)
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8_AND_PHONEMES, None, None)
    return np.concatenate([np.zeros(0, np.int16), *chunks]), starts


def _respelt(text: str) -> bytes:
    return _IONG.sub(lambda match: f"[[{_INITIALS[match[1]]}'ong{_TONES[match[2]]}]]", text).encode()


def _until_end(events) -> Iterator[_Event]:  # type: ignore[no-untyped-def]
    index = 0
    while events and events[index].type != _EVENT_LIST_END:
        yield events[index]
        index += 1


def _locate() -> tuple[str, Path]:
    try:
        import espeakng_loader
    except ImportError:
        raise DeviceError(
            'speech synthesis needs espeak-ng, which is not installed; run: pip install "dfcnn-ms[synth]"'
        ) from None
    return espeakng_loader.get_library_path(), Path(espeakng_loader.get_data_path())


def _load(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise DeviceError(f"{path}: espeak-ng cannot be loaded: {error}; reinstall espeakng-loader") from None


def _unload(library: ctypes.CDLL) -> None:
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)
