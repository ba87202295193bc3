"""Reading and writing sound: every format and rate gives the same numbers, every bad file its own error."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dfcnn_ms.audio.wave import SAMPLE_RATE, duration, read_wave, resample, write_wave
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


def test_writing_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_wave(path, tone(440))
    before = path.read_bytes()

    def killed(file, *_, **__):
        Path(file).write_bytes(b"half")
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


def not_a_number(path: Path) -> None:
    wave = tone(440)
    wave[8000:8003] = np.nan
    soundfile.write(path, wave, SAMPLE_RATE, subtype="FLOAT")


def infinite(path: Path) -> None:
    wave = np.stack([tone(440), tone(440)], axis=1)
    wave[4000, 1] = np.inf
    soundfile.write(path, wave, SAMPLE_RATE, subtype="FLOAT")


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
        (not_a_number, r"3 of 16000 samples are NaN or infinite, the first 0\.500 s in"),
        (infinite, r"1 of 16000 samples are NaN or infinite, the first 0\.250 s in"),
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


def test_resampling_refuses_impossible_rates():
    with pytest.raises(ConfigError, match="both rates must be above 0"):
        resample(tone(440), 16_000, 0)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint8, bool])
def test_resampling_refuses_whole_numbers(kind):
    with pytest.raises(ConfigError, match=rf"cannot resample {np.dtype(kind)} samples; give float32 in \[-1, 1\]"):
        resample(np.ones(100, kind), 8000, 16_000)
    assert resample(np.ones(100, np.float64), 8000, 8000).dtype == np.float32
