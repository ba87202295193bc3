"""Reading and writing sound: every format and rate gives the same numbers, every bad file its own error."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.audio.sound_files import find
from dfcnn_ms.audio.wave import (
    LOUDEST,
    SAMPLE_RATE,
    Resampler,
    duration,
    read_blocks,
    read_wave,
    resample,
    write_wave,
)
from dfcnn_ms.errors import ConfigError, DataError


def tone(hz: float, seconds: float = 1.0, rate: int = SAMPLE_RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-0.5, 0.5, n).astype(np.float32)


def strongest_hz(wave: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave)))) * SAMPLE_RATE / len(wave)


def cut(path: Path, keep: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_gives_the_same_sound(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(440), SAMPLE_RATE)
    wave = read_wave(path)
    assert wave.dtype == np.float32 and wave.ndim == 1 and wave.flags.c_contiguous
    assert strongest_hz(wave) == pytest.approx(440, abs=1)
    assert np.abs(wave).max() == pytest.approx(0.5, abs=0.05)
    assert duration(path) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_every_rate_becomes_16_khz(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(440, 1.0, rate), rate, subtype="FLOAT")
    wave = read_wave(tmp_path / "a.wav")
    assert len(wave) == SAMPLE_RATE
    inner = slice(800, -800)  # the filter rings at the ends
    np.testing.assert_allclose(wave[inner], tone(440)[inner], atol=2e-3)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    assert np.abs(resample(tone(10_000, 1.0, 48_000), 48_000, 16_000))[800:-800].max() < 1e-3


def test_channels_are_averaged(tmp_path):
    left, right = tone(300), tone(700)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right, left], axis=1), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_wave(tmp_path / "a.wav"), (2 * left + right) / 3, atol=1e-6)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_sixteen_bit_samples_survive_writing_and_reading(tmp_path, suffix):
    wave = np.arange(-32768, 32768, 7, dtype=np.float32) / 32768
    path = tmp_path / f"new folder/a.{suffix}"
    write_wave(path, wave)
    assert np.array_equal(read_wave(path), wave)
    write_wave(path, (wave * 32768).astype(np.int16))
    assert np.array_equal(read_wave(path), wave)
    assert soundfile.info(path).subtype == "PCM_16"


def test_writing_clips_instead_of_wrapping_around(tmp_path):
    write_wave(tmp_path / "a.wav", np.array([2.0, -2.0, 1.0], np.float32))
    assert read_wave(tmp_path / "a.wav").tolist() == [32767 / 32768, -1.0, 32767 / 32768]


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_, **__):
        raise soundfile.LibsndfileError(2)  # "System error."

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(DataError, match=r"a\.wav: cannot be written: .+; what was there is untouched"):
        write_wave(tmp_path / "a.wav", tone(440))
    assert not list(tmp_path.iterdir())


def test_writing_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_wave(path, tone(440))
    before = path.read_bytes()

    def killed(file, *_, **__):
        Path(os.fsdecode(file)).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(soundfile, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        write_wave(path, tone(880))
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    ("name", "wave", "error"),
    [
        ("a.mp3", np.zeros(10, np.float32), ConfigError),
        ("a", np.zeros(10, np.float32), ConfigError),
        ("a.wav", np.zeros((10, 2), np.float32), DataError),
        ("a.wav", np.zeros(0, np.float32), DataError),
        ("a.wav", np.zeros(10, np.int32), DataError),
        ("a.wav", np.array([0, np.nan]), DataError),
    ],
)
def test_writing_refuses_what_it_cannot_hold(tmp_path, name, wave, error):
    with pytest.raises(error, match="a"):
        write_wave(tmp_path / name, wave)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_segment_is_that_part_of_the_whole(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(48_000), SAMPLE_RATE)
    whole = read_wave(path)
    np.testing.assert_allclose(read_wave(path, start=0.5, seconds=1.25), whole[8000:28_000], atol=1e-6)
    np.testing.assert_allclose(read_wave(path, start=2.5), whole[40_000:], atol=1e-6)
    np.testing.assert_allclose(read_wave(path, start=2.5, seconds=99), whole[40_000:], atol=1e-6)
    assert len(read_wave(path, seconds=1e-9)) == 1


def test_neighbouring_segments_tile_the_whole(tmp_path):
    path = tmp_path / "a.wav"
    write_wave(path, noise(16_000))
    parts = [read_wave(path, start=k / 7, seconds=1 / 7) for k in range(7)]
    assert np.array_equal(np.concatenate(parts), read_wave(path))


def test_a_segment_seeks(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_wave(path, noise(160_000))
    counts = []
    read = soundfile.SoundFile.read

    def counting(self, frames=-1, *args, **kwargs):
        counts.append(frames)
        return read(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    read_wave(path, start=9.0, seconds=0.1)
    assert counts == [1600]


def missing(path: Path) -> None:
    pass


def directory(path: Path) -> None:
    path.mkdir()


def empty(path: Path) -> None:
    path.touch()


def renamed_text(path: Path) -> None:
    path.write_text("<html>404: 没有这个文件</html>\n" * 20, encoding="utf-8")


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(4000))


def header_cut_short(path: Path) -> None:
    write_wave(path, noise(1000))
    path.write_bytes(path.read_bytes()[:30])


def wav_cut_short(path: Path) -> None:
    write_wave(path, noise(16_000))
    cut(path, 0.5)


def wav_cut_after_header(path: Path) -> None:
    write_wave(path, noise(16_000))
    path.write_bytes(path.read_bytes()[:44])


def no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0, np.float32), SAMPLE_RATE)


def with_a_sample(path: Path, where: int, value: float) -> None:
    wave = tone(440)
    wave[where] = value
    soundfile.write(path, wave, SAMPLE_RATE, subtype="FLOAT")


def not_a_number(path: Path) -> None:
    with_a_sample(path, 8000, np.nan)


def too_loud(path: Path) -> None:
    with_a_sample(path, 12_000, 3e38)


def whole_numbers_as_floats(path: Path) -> None:
    soundfile.write(path, tone(440) * np.float32(1e18), SAMPLE_RATE, subtype="FLOAT")


def infinite(path: Path) -> None:
    wave = np.stack([tone(440), tone(440)], axis=1)
    wave[4000, 1] = np.inf
    soundfile.write(path, wave, SAMPLE_RATE, subtype="FLOAT")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def socket_there(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(os.path.relpath(path))  # a long absolute name has no room in an address


def one_hertz(path: Path) -> None:
    soundfile.write(path, noise(1000), 1)


def false_count(path: Path) -> None:
    soundfile.write(path, noise(16_000), SAMPLE_RATE, format="FLAC")
    whole = bytearray(path.read_bytes())
    whole[21] |= 0x0F  # the count of samples: the last 36 bits of bytes 18 to 25
    whole[22:26] = b"\xff" * 4
    path.write_bytes(whole)


def half_an_hour_and_more(path: Path) -> None:
    soundfile.write(path, np.zeros(1830 * 1000, np.int16), 1000, format="FLAC")


def without_a_length(path: Path) -> None:
    soundfile.write(path, noise(1000), SAMPLE_RATE, format="PVF")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (missing, "no such file"),
        (directory, "is a directory"),
        (empty, r"empty file \(0 bytes\)"),
        (renamed_text, r"not an audio file \(it starts with text\)"),
        (random_bytes, "not an audio file .*; give a wav, flac, ogg or mp3"),
        (header_cut_short, "damaged or truncated audio file"),
        (wav_cut_short, r"truncated: its header claims 32000 bytes of sound, it has \d+"),
        (wav_cut_after_header, "truncated: its header claims 32000 bytes of sound, it has 0"),
        (no_samples, "holds no samples"),
        (not_a_number, r"the sample 0\.500 s in is nan, where full scale is 1; export it again"),
        (infinite, r"the sample 0\.250 s in is inf, where full scale is 1"),
        (too_loud, r"the sample 0\.750 s in is 3e\+38, where full scale is 1"),
        (whole_numbers_as_floats, r"the sample 0\.000 s in is \d\.\d+e\+1[67], where full scale is 1"),
        (pipe, "is a pipe, not a file; write what comes from it into a file"),
        (socket_there, "is a socket, not a file"),
        (one_hertz, "its header claims 1 Hz, wanted 1000 to 768000; export it again"),
        (false_count, r"damaged: its header claims 68719476735 samples in \d+ bytes; copy it again"),
        (half_an_hour_and_more, r"30\.5 minutes are too long to be heard in one piece, at most 30 are read; .*ffmpeg"),
        (without_a_length, "PVF files do not tell when they were cut short; convert it to wav or flac"),
    ],
)
def test_every_bad_file_has_its_own_sentence(tmp_path, make, says):
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(DataError, match=says) as caught:
        read_wave(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_files_that_were_cut_are_refused(tmp_path, suffix, keep):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(96_000), SAMPLE_RATE)
    cut(path, keep)
    with pytest.raises(DataError, match="truncated"):
        read_wave(path)


@pytest.mark.parametrize("format_name", ["WAV", "RF64", "W64", "AIFF", "AU", "NIST"])
def test_no_format_is_read_shorter_wherever_it_was_cut(tmp_path, format_name):
    path = tmp_path / "a.sound"
    soundfile.write(path, noise(40), SAMPLE_RATE, format=format_name, subtype="PCM_16")
    whole = path.read_bytes()
    assert len(read_wave(path)) == 40
    for size in range(0, len(whole), 1 if len(whole) < 500 else 7):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"a\.sound: "):
            read_wave(path)


def test_a_long_file_is_read_in_parts_and_its_length_is_known(tmp_path):
    half_an_hour_and_more(tmp_path / "a.flac")
    assert duration(tmp_path / "a.flac") == 1830
    assert len(read_wave(tmp_path / "a.flac", start=1700, seconds=10, sample_rate=1000)) == 10_000
    assert [sound.seconds for sound in find([str(tmp_path)])] == [1830]
    with pytest.raises(DataError, match="too long"):
        read_wave(tmp_path / "a.flac")


def test_blocks_are_the_whole(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.stack([noise(5000), -2 * noise(5000)], axis=1), SAMPLE_RATE)
    expected = read_wave(tmp_path / "a.wav", start=0.01)
    assert len(expected) == 4840
    monkeypatch.setattr("dfcnn_ms.audio.wave._AT_ONCE", 999)
    assert np.array_equal(read_wave(tmp_path / "a.wav", start=0.01), expected)


def test_the_loudest_that_is_read(tmp_path):
    for value, sound in ((LOUDEST, True), (-LOUDEST, True), (LOUDEST * 1.01, False), (-LOUDEST * 1.01, False)):
        with_a_sample(tmp_path / "a.wav", 0, value)
        with nullcontext() if sound else pytest.raises(DataError, match="full scale is 1"):
            read_wave(tmp_path / "a.wav")


def test_names_that_are_not_utf8_and_names_that_are_too_long(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")
    write_wave(f"{folder}/a.wav", tone(440))
    assert duration(f"{folder}/a.wav") == 1
    assert np.array_equal(read_wave(f"{folder}/a.wav"), np.rint(tone(440) * 32768) / np.float32(32768))
    for name, says in (("a" * 300, "File name too long"), ("a\0b", "null byte")):
        with pytest.raises(DataError, match=rf"cannot be read \(.*{says}.*\); check the path"):
            read_wave(tmp_path / name)
        with pytest.raises(DataError, match="cannot be read"):
            find([str(tmp_path / name)])


def test_a_file_that_goes_on_after_its_end_is_damaged(tmp_path, monkeypatch):
    """As some MP3 files with a false header do: the decoder stands behind the last of the samples that it counted."""
    write_wave(tmp_path / "a.wav", noise(16_000))
    monkeypatch.setattr(soundfile.SoundFile, "tell", lambda self: 16_001)
    with pytest.raises(DataError, match="damaged or truncated"):
        read_wave(tmp_path / "a.wav")


def test_a_wav_from_a_pipe_has_no_true_size_and_is_read(tmp_path):
    path = tmp_path / "a.wav"
    write_wave(path, noise(16_000))
    whole, expected = path.read_bytes(), read_wave(path)
    for size in (0xFFFFFFFF, 0x7FFFF000):
        path.write_bytes(whole[:40] + struct.pack("<I", size) + whole[44:])
        assert np.array_equal(read_wave(path), expected)


@pytest.mark.parametrize(
    ("segment", "says"),
    [
        ({"start": 1.0}, r"start 1\.0 s is beyond the end of the file \(1\.000 s\)"),
        ({"start": 7.5, "seconds": 1.0}, "beyond the end"),
        ({"start": 1e308}, r"start 1e\+308 s is beyond the end"),
        ({"start": -1.0}, "start is -1.0"),
        ({"start": float("nan")}, "start is nan"),
        ({"seconds": 0.0}, "seconds is 0.0"),
        ({"seconds": float("nan")}, "seconds is nan"),
    ],
)
def test_segments_outside_the_file_are_refused(tmp_path, segment, says):
    write_wave(tmp_path / "a.wav", tone(440))
    with pytest.raises(DataError, match=says):
        read_wave(tmp_path / "a.wav", **segment)


def test_a_file_too_short_for_the_new_rate_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.ones(1), 192_000)
    with pytest.raises(DataError, match="too short"):
        read_wave(tmp_path / "a.wav")


def test_headerless_and_unreadable_files_are_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(DataError, match="it has no header"):
        duration(tmp_path / "a.raw")


@pytest.mark.parametrize("rates", [(16_000, 0), (0, 16_000), (-1, 16_000), (16_000, float("nan"))])
def test_resampling_refuses_impossible_rates(rates):
    with pytest.raises(ConfigError, match="both rates must be above 0"):
        resample(tone(440), *rates)


@pytest.mark.parametrize("scale", [16_000, 1, 0.01])
def test_only_the_ratio_of_two_rates_counts(scale):
    assert np.array_equal(resample(tone(440), 2 * scale, scale), resample(tone(440), 32_000, 16_000))
    assert len(resample(tone(440), scale, 2 * scale)) == 2 * len(tone(440))


@pytest.mark.parametrize(("suffix", "lost", "noticed"), [("wav", 1, True), ("flac", 1, True), ("mp3", 3000, False)])
def test_one_sample_that_a_decoder_loses_is_noticed_but_for_mp3(tmp_path, monkeypatch, suffix, lost, noticed):
    soundfile.write(tmp_path / f"a.{suffix}", noise(16_000), SAMPLE_RATE)
    read, ended = soundfile.SoundFile.read, []

    def losing(self, frames=-1, *args, **kwargs):
        samples = read(self, frames, *args, **kwargs)
        ended.append(len(samples))
        return samples[: len(samples) - lost] if len(ended) == 1 else samples[:0]

    monkeypatch.setattr(soundfile.SoundFile, "read", losing)
    with pytest.raises(DataError, match=r"truncated: 0\.000 s of sound are missing") if noticed else nullcontext():
        assert len(read_wave(tmp_path / f"a.{suffix}")) == 16_000 - lost


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint8, bool])
def test_resampling_refuses_whole_numbers(kind):
    with pytest.raises(ConfigError, match=rf"cannot resample {np.dtype(kind)} samples; give float32 in \[-1, 1\]"):
        resample(np.ones(100, kind), 8000, 16_000)
    assert resample(np.ones(100, np.float64), 8000, 8000).dtype == np.float32


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=4))
@settings(deadline=None, max_examples=10)
def test_sound_in_pieces_is_resampled_as_a_whole(rate, sizes):
    wave, stream, parts, at = noise(8000), Resampler(rate, SAMPLE_RATE), [], 0
    for size in [*sizes, 8000]:
        parts.append(stream.feed(wave[at : at + size]))
        at += size
    np.testing.assert_array_equal(np.concatenate([*parts, stream.finish()]), resample(wave, rate, SAMPLE_RATE))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_a_file_in_blocks_is_the_file(tmp_path, monkeypatch, name):
    soundfile.write(tmp_path / name, 0.1 * np.stack([noise(22_050), noise(22_050)], axis=1), 22_050)
    monkeypatch.setattr("dfcnn_ms.audio.wave._STREAMED_AT_ONCE", 5000)
    blocks = list(read_blocks(tmp_path / name))
    assert len(blocks) > 8 and max(map(len, blocks)) < 2500
    np.testing.assert_allclose(np.concatenate(blocks), read_wave(tmp_path / name), atol=1e-6)


def test_a_file_in_blocks_is_refused_where_it_is_wrong(tmp_path):
    with_a_sample(tmp_path / "a.wav", 0, np.nan)
    with pytest.raises(DataError, match="full scale is 1"):
        list(read_blocks(tmp_path / "a.wav"))
    with pytest.raises(DataError, match="no such file"):
        list(read_blocks(tmp_path / "b.wav"))
    with pytest.raises(ConfigError, match="both rates must be above 0"):
        Resampler(0, 16_000)
