"""Sound files in and out: any file becomes one float32 row of samples at 16 kHz.

>>> wave = read_wave("a.wav")  # doctest: +SKIP
>>> wave.shape, wave.dtype     # doctest: +SKIP
((48000,), dtype('float32'))
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import replacing

Array = NDArray[np.float32]

SAMPLE_RATE = 16_000

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")

# libsndfile repairs what was cut short silently, and only notes it in its log.
_SHORT_CHUNK = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")
_SHORT_OGG = re.compile(r"End-Of-Stream flag set|lacks an end-of-stream bit|Junk after the last page")
# A program that writes to a pipe cannot know the size and fills in one near 2 or 4 GiB.
_STREAMED_BYTES = 0x7FFF0000
# MP3 headers count whole frames; decoders may lose a few of them at the ends.
_MP3_SLACK = 3 * 1152


def read_wave(
    path: str | os.PathLike[str],
    *,
    sample_rate: int = SAMPLE_RATE,
    start: float = 0.0,
    seconds: float | None = None,
) -> Array:
    """Read a sound file, or a part of it, as one channel.

    Args:
        path: A wav, flac, ogg or mp3 file (or whatever else libsndfile reads).
        sample_rate: The rate of the result; other rates are resampled.
        start: Where to begin, in seconds.
        seconds: How much to read; to the end of the file if not given or if the file ends earlier.

    Returns:
        Samples (N,), float32, contiguous, full scale 1.0; channels are averaged.

    Raises:
        DataError: The file is missing, not audio, damaged, without samples, or not finite.
    """
    path = Path(path)
    with _open(path) as sound:
        rate = sound.samplerate
        samples = _read_segment(path, sound, start, seconds)  # (N, C)
    wave = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)  # (N, C) -> (N,)
    _check_finite(path, wave, rate)
    wave = resample(wave, rate, sample_rate)
    if not len(wave):
        raise DataError(f"{path}: too short to give one sample at {sample_rate} Hz; remove the file")
    return wave


def write_wave(path: str | os.PathLike[str], wave: Array | NDArray[np.int16], sample_rate: int = SAMPLE_RATE) -> None:
    """Write samples (N,) as 16 bit; the suffix, .wav or .flac, chooses the format.

    Float samples beyond full scale are clipped; int16 samples are written as they are. The file appears whole
    or not at all, and reading it gives back exactly what 16 bit can hold.
    """
    path = Path(path)
    format_name = FORMATS.get(path.suffix.lower())
    if format_name is None:
        raise ConfigError(f"{path}: cannot write {path.suffix or 'a file without suffix'}; use .wav or .flac")
    pcm = _to_int16(path, wave)
    with replacing(path, durable=False) as temporary:
        soundfile.write(temporary, pcm, sample_rate, format=format_name, subtype="PCM_16")


def resample(wave: Array, from_rate: float, to_rate: float) -> Array:
    """Change the sample rate of (N,) to give about N * to_rate / from_rate samples, float32.

    Raises:
        ConfigError: a rate of 0 or less, or samples that are whole numbers: their full scale is not 1.0.
    """
    if not (from_rate > 0 and to_rate > 0):
        raise ConfigError(f"cannot resample from {from_rate} Hz to {to_rate} Hz; both rates must be above 0")
    if not np.issubdtype(np.asarray(wave).dtype, np.floating):
        kind = np.asarray(wave).dtype
        raise ConfigError(f"cannot resample {kind} samples; give float32 in [-1, 1], such as pcm / np.float32(32768)")
    wave = np.ascontiguousarray(wave, dtype=np.float32)
    if from_rate == to_rate:
        return wave
    import soxr

    return np.asarray(soxr.resample(wave, from_rate, to_rate, quality="HQ"), np.float32)


def duration(path: str | os.PathLike[str]) -> float:
    """Seconds of sound in a file, from its header alone."""
    with _open(Path(path)) as sound:
        return float(sound.frames / sound.samplerate)


def _open(path: Path) -> soundfile.SoundFile:
    """Open a file that libsndfile understands and whose header tells the truth."""
    head = _first_bytes(path)
    try:
        sound = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: `.raw` has no header
        raise DataError(f"{path}: {_why_not_audio(head, error)}; give a wav, flac, ogg or mp3 file") from None
    problem = _header_problem(sound)
    if problem:
        sound.close()
        raise DataError(f"{path}: {problem}")
    return sound


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"{path}: is a directory; give one sound file")
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not head:
        raise DataError(f"{path}: empty file (0 bytes); copy or download it again")
    return head


def _why_not_audio(head: bytes, error: Exception) -> str:
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "not an audio file (it starts with text)"
    reason = str(getattr(error, "error_string", "it has no header")).rstrip(".")
    if head[:4] in (b"RIFF", b"RIFX", b"fLaC", b"OggS", b"FORM") or head[:3] == b"ID3":
        return f"a damaged or truncated audio file ({reason})"
    return f"not an audio file ({reason})"


def _header_problem(sound: soundfile.SoundFile) -> str:
    log = sound.extra_info
    chunk = _SHORT_CHUNK.search(log)
    if chunk and int(chunk[2]) < int(chunk[1]) < _STREAMED_BYTES:
        return f"truncated: its header claims {chunk[1]} bytes of sound, it has {chunk[2]}; copy it again"
    if _SHORT_OGG.search(log):
        return "truncated: the end of the stream is missing; copy it again"
    if not sound.frames:
        return "holds no samples; remove it or record it again"
    return ""


def _read_segment(path: Path, sound: soundfile.SoundFile, start: float, seconds: float | None) -> Array:
    """Samples (N, C) of the part asked for; seeks, and never reads what lies before or after."""
    first, stop = _segment_bounds(path, sound, start, seconds)
    try:
        if first:
            sound.seek(first)
        samples = sound.read(stop - first, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: damaged or truncated ({error.error_string}); copy it again") from None
    missing = stop - first - len(samples)
    if missing > (_MP3_SLACK if sound.format == "MP3" else 0):
        raise DataError(f"{path}: truncated: {missing / sound.samplerate:.3f} s of sound are missing; copy it again")
    return np.asarray(samples, np.float32)


def _segment_bounds(path: Path, sound: soundfile.SoundFile, start: float, seconds: float | None) -> tuple[int, int]:
    rate, frames = sound.samplerate, sound.frames
    if not 0 <= start < float("inf"):
        raise DataError(f"{path}: start is {start}; give seconds from 0")
    if seconds is not None and not seconds > 0:
        raise DataError(f"{path}: seconds is {seconds}; give more than 0, or nothing to read to the end")
    first = round(start * rate)
    if first >= frames:
        raise DataError(f"{path}: start {start} s is beyond the end of the file ({frames / rate:.3f} s)")
    if seconds is None or (start + seconds) * rate >= frames:
        return first, frames
    return first, max(first + 1, round((start + seconds) * rate))


def _check_finite(path: Path, wave: Array, rate: int) -> None:
    finite = np.isfinite(wave)
    if not finite.all():
        where = int(np.argmin(finite)) / rate
        count = len(wave) - int(finite.sum())
        raise DataError(
            f"{path}: {count} of {len(wave)} samples are NaN or infinite, the first {where:.3f} s in; export it again"
        )


def _to_int16(path: Path, wave: NDArray[Any]) -> NDArray[np.int16]:
    wave = np.asarray(wave)
    if wave.ndim != 1 or not len(wave):
        raise DataError(f"{path}: cannot write samples of shape {wave.shape}; give one row (N,), not empty")
    if wave.dtype == np.int16:
        return wave
    if not np.issubdtype(wave.dtype, np.floating):
        raise DataError(f"{path}: cannot write {wave.dtype} samples; give float32 in [-1, 1] or int16")
    if not np.isfinite(wave).all():
        raise DataError(f"{path}: refusing to write samples that are NaN or infinite")
    return np.asarray(np.clip(np.rint(wave * 32768.0), -32768, 32767), np.int16)
