"""Sound files in and out: any file becomes one float32 row of samples at 16 kHz.

>>> wave = read_wave("a.wav")  # doctest: +SKIP
>>> wave.shape, wave.dtype     # doctest: +SKIP
((48000,), dtype('float32'))
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import replacing
from dfcnn_ms.places import check_file

Array = NDArray[np.float32]

SAMPLE_RATE = 16_000

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
#: what is read: formats that say how long they are, so that a file that was cut short is noticed
READ_FORMATS = frozenset(["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "OGG", "MP3"])

#: a recording that is heard in one piece; half an hour takes 2 GB, and memory grows faster than length
LONGEST_SECONDS = 1800.0
#: no recording is so loud, 60 dB beyond full scale; whole numbers that somebody stored as floats are
LOUDEST = 1000.0
#: Hz; from the slowest coders of speech to the fastest converters
RATES = (1000, 768_000)

# Samples, all channels together, that are read in one go: 16 MB.
_AT_ONCE = 1 << 22
# And of a file that is heard while it is read, so that its length costs no memory: 1 MB.
_STREAMED_AT_ONCE = 1 << 18
# Sound that comes in pieces is resampled in pieces of this length, whatever those are.
_RESAMPLED_SECONDS = 0.02
# Silence is what takes the fewest bytes; no coder says more than about 5,000 samples in one of them.
_MOST_PER_BYTE = 8192
# libsndfile repairs what was cut short silently, and only notes it in its log.
_SHORT_CHUNK = re.compile(r"(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)")
_NIST_COUNT = re.compile(rb"\nsample_count -i (\d{1,18})\n")
_SHORT_OGG = re.compile(r"End-Of-Stream flag set|lacks an end-of-stream bit|Junk after the last page")
# A program that writes to a pipe cannot know the size and fills in one near 2 or 4 GiB, where 32 bits hold it.
_STREAMED_BYTES = 0x7FFF0000
_SIZE_OF_64_BITS = frozenset(["RF64", "W64", "CAF"])
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
        path: A wav, flac, ogg or mp3 file (or another of `READ_FORMATS`).
        sample_rate: The rate of the result; other rates are resampled.
        start: Where to begin, in seconds.
        seconds: How much to read; to the end of the file if not given or if the file ends earlier.

    Returns:
        Samples (N,), float32, contiguous, full scale 1.0; channels are averaged.

    Raises:
        DataError: The file is missing, not audio, damaged, without samples, too long, or not finite.
    """
    path = Path(path)
    with opened(path) as sound:
        rate = sound.samplerate
        wave = _read_segment(path, sound, start, seconds)  # (N,)
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
        try:
            soundfile.write(_as_written(temporary), pcm, sample_rate, format=format_name, subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise DataError(f"{path}: cannot be written: {error.error_string}; what was there is untouched") from None


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


class Resampler:
    """Changes the sample rate of sound that comes in pieces; however it is cut, the result is the same.

    Args:
        from_rate: of the samples that come.
        to_rate: of those that are given.
    """

    def __init__(self, from_rate: float, to_rate: float) -> None:
        if not (from_rate > 0 and to_rate > 0):
            raise ConfigError(f"cannot resample from {from_rate} Hz to {to_rate} Hz; both rates must be above 0")
        self._stream: Any = None
        if from_rate != to_rate:
            import soxr

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
        self._waiting = np.zeros(0, np.float32)
        self._at_once = max(1, round(from_rate * _RESAMPLED_SECONDS))

    def feed(self, wave: Array) -> Array:
        """Takes samples (N,) float32 and gives what can be known by now."""
        if self._stream is None:
            return wave
        waiting = np.concatenate([self._waiting, wave])
        whole = len(waiting) // self._at_once * self._at_once
        self._waiting = waiting[whole:]
        made = [self._stream.resample_chunk(part) for part in waiting[:whole].reshape(-1, self._at_once)]
        return np.concatenate([*made, np.zeros(0, np.float32)])

    def finish(self) -> Array:
        """What is left when the sound ends."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        waiting, self._waiting = self._waiting, np.zeros(0, np.float32)
        return np.asarray(self._stream.resample_chunk(waiting, last=True), np.float32)


def read_blocks(path: str | os.PathLike[str], *, sample_rate: int = SAMPLE_RATE) -> Iterator[Array]:
    """Read a sound file of any length as one channel, some seconds at a time: samples (n,) as of :func:`read_wave`.

    Raises:
        DataError: as of :func:`read_wave`, but no file is too long.
    """
    path = Path(path)
    with opened(path) as sound:
        resampler = Resampler(sound.samplerate, sample_rate)
        for block in _mono(path, sound, 0, sound.frames, _STREAMED_AT_ONCE):
            yield resampler.feed(block)
        yield resampler.finish()


def duration(path: str | os.PathLike[str]) -> float:
    """Seconds of sound in a file, from its header alone."""
    with opened(Path(path)) as sound:
        return float(sound.frames / sound.samplerate)


def check_length(path: str | os.PathLike[str], seconds: float) -> None:
    """Makes sure that so much of a file can be heard in one piece.

    Raises:
        DataError: it is too long; says how to cut it.
    """
    if seconds > LONGEST_SECONDS:
        cure = "`ffmpeg -i talk.wav -f segment -segment_time 600 part%03d.wav` cuts a file into parts of ten"
        raise DataError(
            f"{path}: {seconds / 60:.1f} minutes are too long to be heard in one piece, at most"
            f" {LONGEST_SECONDS / 60:.0f} are read; {cure}"
        )


def unsound_sample(samples: NDArray[Any]) -> int | None:
    """Where the first sample of (N,) or (N, C) lies, row by row, that is no number or beyond all loudness."""
    if samples.min() >= -LOUDEST and samples.max() <= LOUDEST:  # false for NaN
        return None
    return int(np.argmin(np.abs(samples) <= LOUDEST))


def opened(path: Path) -> soundfile.SoundFile:
    """Open a file that libsndfile understands and whose header tells the truth."""
    head, size = _first_bytes(path)
    try:
        sound = _Onwards(_as_written(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: `.raw` has no header
        raise DataError(f"{path}: {_why_not_audio(head, error)}; give a wav, flac, ogg or mp3 file") from None
    problem = _untrue(sound, size) or _header_problem(sound, head)
    if problem:
        sound.close()
        raise DataError(f"{path}: {problem}")
    return sound


class _Onwards(soundfile.SoundFile):
    """A file that is read from one place on: soundfile seeks after each read, and decoders of MP3 stumble over that."""

    def seekable(self) -> bool:
        return False


def _as_written(path: Path) -> str | bytes:
    """The name as the file system has it: soundfile cannot spell one that is not UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _first_bytes(path: Path) -> tuple[bytes, int]:
    """The beginning of a file, and how many bytes it has."""
    check_file(path, "one sound file")
    try:
        with path.open("rb") as stream:
            head, size = stream.read(1024), os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not head:
        raise DataError(f"{path}: empty file (0 bytes); copy or download it again")
    return head, size


def _why_not_audio(head: bytes, error: Exception) -> str:
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "not an audio file (it starts with text)"
    reason = str(getattr(error, "error_string", "it has no header")).rstrip(".")
    if head[:4] in (b"RIFF", b"RIFX", b"fLaC", b"OggS", b"FORM") or head[:3] == b"ID3":
        return f"a damaged or truncated audio file ({reason})"
    return f"not an audio file ({reason})"


def _untrue(sound: soundfile.SoundFile, size: int) -> str:
    """What a header says that no recording has; memory would be asked for on its word."""
    low, high = RATES
    if sound.format not in READ_FORMATS:
        return f"{sound.format} files do not tell when they were cut short; convert it to wav or flac"
    if not low <= sound.samplerate <= high:
        return f"its header claims {sound.samplerate} Hz, wanted {low} to {high}; export it again"
    if sound.frames > size * _MOST_PER_BYTE:
        return f"damaged: its header claims {sound.frames} samples in {size} bytes; copy it again"
    return ""


def _header_problem(sound: soundfile.SoundFile, head: bytes) -> str:
    log = sound.extra_info
    chunk = _SHORT_CHUNK.search(log)
    streamed = chunk and int(chunk[1]) >= _STREAMED_BYTES and sound.format not in _SIZE_OF_64_BITS
    if chunk and int(chunk[2]) < int(chunk[1]) and not streamed:
        return f"truncated: its header claims {chunk[1]} bytes of sound, it has {chunk[2]}; copy it again"
    count = _NIST_COUNT.search(head) if sound.format == "NIST" else None
    if count and sound.frames < int(count[1]):
        return f"truncated: its header claims {int(count[1])} samples, it has {sound.frames}; copy it again"
    if _SHORT_OGG.search(log):
        return "truncated: the end of the stream is missing; copy it again"
    if not sound.frames:
        return "holds no samples; remove it or record it again"
    return ""


def _read_segment(path: Path, sound: soundfile.SoundFile, start: float, seconds: float | None) -> Array:
    """Samples (N,) of the part asked for; seeks, and never reads what lies before or after."""
    first, stop = _segment_bounds(path, sound, start, seconds)
    check_length(path, (stop - first) / sound.samplerate)
    wave, done = np.empty(stop - first, np.float32), 0  # memory is taken as it is filled
    for block in _mono(path, sound, first, stop, _AT_ONCE):  # (n,)
        wave[done : done + len(block)] = block
        done += len(block)
    return wave[:done]


def _mono(path: Path, sound: soundfile.SoundFile, first: int, stop: int, at_once: int) -> Iterator[Array]:
    """The samples (n,) of a part as one channel, so many of all channels at once; refuses those that cannot be."""
    done = first
    for block in _blocks(path, sound, first, stop, at_once):  # (n, C)
        _check_samples(path, block, done / sound.samplerate, sound.samplerate)
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        done += len(block)
    if stop - done > (_MP3_SLACK if sound.format == "MP3" else 0):
        missing = (stop - done) / sound.samplerate
        raise DataError(f"{path}: truncated: {missing:.3f} s of sound are missing; copy it again")


def _blocks(path: Path, sound: soundfile.SoundFile, first: int, stop: int, at_once: int) -> Iterator[Array]:
    """The samples (n, C) of a part, some seconds at once; they end where the file does."""
    most = max(1, at_once // sound.channels)
    try:
        if first:
            sound.seek(first)
        while first < stop:
            block = sound.read(min(most, stop - first), dtype="float32", always_2d=True)
            if not len(block):
                return
            if sound.tell() > sound.frames:
                raise _damaged(path, "it goes on after its end")
            yield block
            first += len(block)
    except soundfile.LibsndfileError as error:
        raise _damaged(path, error.error_string) from None


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: damaged or truncated ({reason}); copy it again")


def _segment_bounds(path: Path, sound: soundfile.SoundFile, start: float, seconds: float | None) -> tuple[int, int]:
    rate, frames = sound.samplerate, sound.frames
    if not 0 <= start < float("inf"):
        raise DataError(f"{path}: start is {start}; give seconds from 0")
    if seconds is not None and not seconds > 0:
        raise DataError(f"{path}: seconds is {seconds}; give more than 0, or nothing to read to the end")
    first = round(min(start * rate, frames))
    if first >= frames:
        raise DataError(f"{path}: start {start} s is beyond the end of the file ({frames / rate:.3f} s)")
    if seconds is None or (start + seconds) * rate >= frames:
        return first, frames
    return first, max(first + 1, round((start + seconds) * rate))


def _check_samples(path: Path, block: Array, start: float, rate: int) -> None:
    """Refuses samples (n, C), ``start`` seconds into the file, that no recording has."""
    where = unsound_sample(block)
    if where is not None:
        seconds = start + where // block.shape[1] / rate
        raise DataError(
            f"{path}: the sample {seconds:.3f} s in is {block.flat[where]:g}, where full scale is 1; export it again"
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
