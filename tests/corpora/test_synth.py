"""The default corpus: a function of its parameters, complete, its voices kept apart between splits."""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms.audio.wave import SAMPLE_RATE, read_wave
from dfcnn_ms.corpora import synth
from dfcnn_ms.corpora.making import Workers
from dfcnn_ms.corpora.manifest import check_audio, read_manifest
from dfcnn_ms.corpora.own_text import read as read_own_text
from dfcnn_ms.corpora.recipes import prepare as prepare_recipe
from dfcnn_ms.corpora.sentences import ALONE, Sentence, sentences
from dfcnn_ms.corpora.synth import Job, Manner, prepare, speak
from dfcnn_ms.corpora.voices import espeak
from dfcnn_ms.errors import ConfigError, DataError, DeviceError
from dfcnn_ms.prepare import main
from dfcnn_ms.text.pinyin import DIGITS, canonical

pytest.importorskip("espeakng_loader", reason="espeak-ng is optional: pip install dfcnn-ms[synth]")

FEW = {"train": 10, "dev": 3, "test": 4}

# python -c "from tests.test_synth import digests; print(digests())", with espeakng-loader 0.2.4
GOLDEN = {
    "digits train": "43b0c3de249a32317184603c2c9ec5e647a25dee950c62ca49e10765cadd4556",
    "digits dev": "25cadce51270f233cd7a3aef7296fe2d164c36bca7d66d12442e2f0d96a29c4b",
    "mandarin test": "1e4e15768cd3799e1e224595d0dbce63769216d8920028977519bae7f7904e64",
}


def job(task: str, split: str, index: int, seed: int = 0) -> Job:
    *_, sentence = sentences(task, split, index + 1, seed)
    return Job(task, split, index, seed, sentence, folder="")


def digests() -> dict[str, str]:
    """Hashes of the samples of a few utterances; together they have every kind of noise, and a room."""
    chosen = [("digits", "train", 4), ("digits", "dev", 3), ("mandarin", "test", 2)]
    return {
        f"{task} {split}": hashlib.sha256(
            b"".join(speak(job(task, split, index)).tobytes() for index in range(count))
        ).hexdigest()
        for task, split, count in chosen
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "digits"
    prepare(out, "digits", **FEW, workers=1)
    return out


@pytest.mark.slow
def test_the_samples_are_those_of_every_other_machine():
    assert digests() == GOLDEN


def test_manifests_and_audio_agree(corpus):
    for split, count in FEW.items():
        utterances = read_manifest(corpus / f"{split}.jsonl")
        check_audio(utterances)
        assert len(utterances) == count
        for utterance in utterances:
            wave = read_wave(utterance.path)
            assert utterance.seconds == len(wave) / SAMPLE_RATE
            assert 0.01 < np.sqrt(np.mean(wave**2)) < 0.2 and np.abs(wave).max() < 1.0
            assert utterance.split == split and utterance.speaker in espeak.VOICES[split]
            assert set(utterance.pinyin) <= set(DIGITS) and 3 <= len(utterance.pinyin) <= 7
            assert len(utterance.text) == len(utterance.pinyin)


@pytest.mark.slow
def test_two_processes_make_the_same_bytes(corpus, tmp_path):
    prepare(tmp_path, "digits", **FEW, workers=2)
    assert contents(tmp_path) == contents(corpus)


def test_what_is_there_stays_and_what_is_missing_comes_back(corpus, tmp_path):
    first = contents(corpus)
    times = {path: path.stat().st_mtime_ns for path in corpus.rglob("*.flac")}
    prepare(corpus, "digits", **FEW)
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*.flac")} == times

    lost = corpus / "audio/train/00003.flac"
    lost.unlink()
    (corpus / "dev.jsonl").unlink()
    prepare(corpus, "digits", **FEW, workers=1)
    assert contents(corpus) == first
    assert {path: path.stat().st_mtime_ns for path in times if path != lost} == {
        path: time for path, time in times.items() if path != lost
    }


def test_an_interrupted_corpus_is_completed(corpus, tmp_path, monkeypatch):
    made = iter(range(5))

    def interrupted(job: Job) -> None:
        if next(made, None) is None:
            raise KeyboardInterrupt
        synth.write_wave(job.path, speak(job))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(synth, "_write", interrupted)
        prepare(tmp_path, "digits", **FEW, workers=1)
    assert len(list(tmp_path.rglob("*.flac"))) == 5
    assert not json.loads((tmp_path / "corpus.json").read_text())["complete"]
    prepare(tmp_path, "digits", **FEW, workers=1)
    assert contents(tmp_path) == contents(corpus)


def test_an_error_in_a_worker_is_the_error_of_all(tmp_path):
    unspeakable = Job("digits", "train", 0, 0, Sentence(("...",), ""), str(tmp_path))
    with pytest.raises(DataError, match="espeak-ng said nothing"):
        list(Workers(2).apart(synth._write, [unspeakable] * 4))


@pytest.mark.slow
def test_a_worker_that_dies_is_told_in_one_sentence(tmp_path):
    many = [Job("digits", "train", index, 0, Sentence(("ba1",), "八"), str(tmp_path)) for index in range(2000)]
    done = Workers(2).apart(synth._write, many)
    next(done)
    multiprocessing.active_children()[0].kill()
    with pytest.raises(DataError, match="a worker process died or could not start; call prepare\\(\\) below"):
        list(done)
    assert not multiprocessing.active_children()


@pytest.mark.slow
@pytest.mark.parametrize("wait_for", ["corpus.json", "*.flac"])
def test_ctrl_c_ends_all_processes_with_one_word(tmp_path, wait_for):
    """Whether they are about to start or at work."""
    command = [sys.executable, "-m", "dfcnn_ms.prepare", "synth", "--out", str(tmp_path), "--workers", "2"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not any(tmp_path.rglob(wait_for)):
        time.sleep(0.01)
        assert child.poll() is None
    os.killpg(child.pid, signal.SIGINT)
    assert child.communicate(timeout=60)[1] == "stopped\n"
    with pytest.raises(ProcessLookupError):
        for _ in range(500):  # Python's own helper of processes needs a moment to see that nobody needs it
            os.killpg(child.pid, 0)
            time.sleep(0.01)


@pytest.mark.parametrize("change", [{"seed": 1}, {"train": 11}, {"task": "mandarin"}])
def test_another_corpus_in_the_folder_is_an_error(corpus, change):
    with pytest.raises(ConfigError, match=r"holds another corpus .*task digits.*choose another folder"):
        prepare(corpus, **({"task": "digits"} | FEW | change))


def test_foreign_audio_is_not_taken_for_ours(tmp_path):
    (tmp_path / "audio").mkdir()
    with pytest.raises(ConfigError, match="audio of another origin"):
        prepare(tmp_path, "digits", **FEW)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"task": "digit"}, "unknown task 'digit'; choose one of: digits, mandarin"),
        ({"train": 0}, "train: cannot make 0 utterances"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"workers": 0}, "workers must be 1 or more"),
        ({"task": "digits", "text": "mine.txt"}, "text and task: both say what is said; got mine.txt and digits"),
    ],
)
def test_impossible_requests(tmp_path, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        prepare(tmp_path, **options)


def test_a_file_where_the_folder_should_be(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written.*choose another folder"):
        prepare(file, "digits", **FEW)


def test_without_espeak_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(DeviceError, match="pip install"):
        prepare(tmp_path / "new", "digits", **FEW)
    assert not (tmp_path / "new").exists()


def test_another_seed_gives_another_corpus():
    assert job("digits", "train", 0).sentence != job("digits", "train", 0, seed=1).sentence
    same_words = Job("digits", "train", 0, 1, job("digits", "train", 0).sentence, "")
    assert not np.array_equal(speak(job("digits", "train", 0)), speak(same_words))


def test_an_utterance_does_not_depend_on_how_many_there_are():
    assert list(sentences("digits", "dev", 3)) == list(sentences("digits", "dev", 30))[:3]


def test_no_voice_is_in_two_splits():
    names = list(itertools.chain(*espeak.VOICES.values()))
    assert len(names) == len(set(names))
    assert set(espeak.FAST_VOICES) <= set(names)


def test_digits_are_even_and_repeat():
    said = [sentence.pinyin for sentence in sentences("digits", "train", 2000)]
    counts = Counter(itertools.chain(*said))
    assert set(counts) == set(DIGITS)
    assert max(counts.values()) < 1.2 * min(counts.values())
    pairs = [pair for pinyin in said for pair in itertools.pairwise(pinyin)]
    assert 0.08 < np.mean([a == b for a, b in pairs]) < 0.12


def test_numbers_are_even_and_often_one_digit():
    said = [sentence.pinyin for sentence in sentences("numbers", "train", 2000)]
    lengths = np.bincount([len(one) for one in said], minlength=8)
    assert lengths[0] == 0 and len(lengths) == 8
    assert abs(lengths[1] / 2000 - ALONE) < 0.04 and lengths[2:].min() > 0.08 * 2000
    counts = Counter(syllable for one in said for syllable in one)
    assert set(counts) == set(DIGITS) and min(counts.values()) > 0.8 * max(counts.values())


@pytest.mark.slow
def test_mandarin_has_nearly_every_syllable_often():
    """At the default size of the training set, without speaking a word of it."""
    said = list(sentences("mandarin", "train", synth.COUNTS["mandarin"]["train"]))
    counts = Counter(itertools.chain(*(sentence.pinyin for sentence in said)))
    assert len(counts) >= 1200
    assert min(counts.values()) >= 9
    assert all(syllable == canonical(syllable) for syllable in counts)
    assert all(4 <= len(sentence.pinyin) <= 16 for sentence in said)
    assert all(len(sentence.text) == len(sentence.pinyin) for sentence in said)
    assert counts["shi4"] > 1000, "words are drawn by their frequency"


@pytest.mark.long
@pytest.mark.slow
def test_every_syllable_of_a_long_sentence_is_spoken():
    synthesiser = espeak.espeak()
    for index in range(30):
        work = job("mandarin", "test", index)
        manner = Manner.draw(work.rng())
        _, starts = synthesiser.say_words(
            " ".join(work.sentence.pinyin), work.voice, manner.rate, manner.pitch, manner.pitch_range
        )
        assert len(starts) == len(work.sentence.pinyin)


def own_text(folder: Path, lines: list[str]) -> Path:
    (folder / "mine.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder / "mine.txt"


def test_sentences_of_a_file_are_said(tmp_path):
    text = own_text(tmp_path, ["我不是学生，他是。", "", "你好", "今天很冷", "你好", "他们在学校"])
    made = prepare(tmp_path / "corpus", text=text, takes=2, workers=1, progress=False)
    lines = {split: read_manifest(manifest) for split, manifest in made.items()}
    assert {split: len(of) for split, of in lines.items()} == {"train": 4, "dev": 2, "test": 2}
    said = [line for of in lines.values() for line in of]
    assert Counter(line.text for line in said) == dict.fromkeys(["我不是学生他是", "你好", "今天很冷", "他们在学校"], 2)
    assert {" ".join(line.pinyin) for line in said} >= {"jin1 tian1 hen3 leng3", "ni3 hao3"}


def test_what_is_said_of_a_text_has_sandhi_and_its_label_has_none():
    (sentence,) = [one for one in own_text_of("老虎很好", "你好", "一个") if one.text == "你好"]
    assert (sentence.pinyin, sentence.said) == (("ni3", "hao3"), ("ni2", "hao3"))


def own_text_of(*lines: str) -> list[Sentence]:
    with tempfile.TemporaryDirectory() as folder:
        return [one for split in read_own_text(own_text(Path(folder), list(lines))).values() for one in split]


def test_one_sentence_in_twenty_is_held_out_wherever_it_stands(tmp_path):
    lines = ["".join(row) for row in itertools.product("天地人你我他", repeat=2)] + ["今天很冷"] * 9
    there = read_own_text(own_text(tmp_path, lines))
    assert {split: len(of) for split, of in there.items()} == {"dev": 1, "test": 1, "train": 35}
    assert read_own_text(own_text(tmp_path, lines[::-1])) == there
    assert len({one.text for of in there.values() for one in of}) == 37


def test_a_text_may_be_said_more_often_than_it_has_sentences(tmp_path):
    text = own_text(tmp_path, ["你好", "今天", "学校"])
    manifests = prepare(tmp_path / "c", text=text, train=3, dev=1, test=1, workers=1, progress=False)
    assert len({line.text for line in read_manifest(manifests["train"])}) == 1


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], r"mine.txt: different sentences: got 0, wanted 3 or more, a line each"),
        (["你好", "你好", "今天"], r"mine.txt: different sentences: got 2"),
        (["你好", "我有35个"], r"mine.txt:2: .*write figures as they are said"),
        (["hello"], r"mine.txt:1: "),
        (["你好", "嗯"], r"mine.txt:2: no voice says n2; --skip-unreadable leaves such lines out"),
    ],
)
def test_a_text_that_nobody_can_say(tmp_path, lines, complaint):
    with pytest.raises(DataError, match=complaint):
        prepare(tmp_path / "corpus", text=own_text(tmp_path, lines))
    assert not (tmp_path / "corpus").exists()


def test_lines_that_nobody_can_say_are_left_out_where_that_is_asked_for(tmp_path, caplog):
    sayable = ["你好", "今天", "学校", "老虎"]
    text = own_text(tmp_path, [*sayable[:2], "我有35个", "嗯", *sayable[2:], "hello"])
    made = prepare(tmp_path / "corpus", text=text, skip_unreadable=True, workers=1, progress=False)
    assert sorted(line.text for manifest in made.values() for line in read_manifest(manifest)) == sorted(sayable)
    assert any("left out" in one.message and ": 3; " in one.message for one in caplog.records)


def test_noise_is_as_loud_as_asked():
    rng = np.random.default_rng(0)
    wave, noise = rng.standard_normal(16_000), rng.standard_normal(16_000)
    added = synth._mixed(wave, noise, 12.0) - wave
    assert 10 * np.log10(np.mean(wave**2) / np.mean(added**2)) == pytest.approx(12.0)


@pytest.mark.parametrize("kind", synth.NOISE_SHARES)
def test_every_noise_fills_the_utterance(kind):
    noise = synth._noise(kind, 16_001, job("digits", "train", 0), np.random.default_rng(0))
    assert noise.shape == (16_001,) and np.isfinite(noise).all() and noise.std() > 0


def test_a_room_adds_an_echo_and_keeps_the_direct_sound():
    click = np.zeros(16_000)
    click[100] = 1.0
    heard = synth._in_room(click, 0.3, np.random.default_rng(0))
    assert heard.shape == click.shape
    assert heard[100] == pytest.approx(1.0) and np.allclose(heard[:100], 0.0)
    assert np.std(heard[101:1000]) > 10 * np.std(heard[4000:4900])


def test_the_sound_is_never_clipped():
    loud = Job("digits", "train", 0, 0, Sentence(("ba1",) * 5, "八八八八八"), "")
    assert np.abs(speak(loud).astype(int)).max() <= 0.99 * 32767 + 1


def test_the_command(tmp_path, caplog):
    caplog.set_level("INFO")
    main(["synth", "--out", str(tmp_path), "--train", "2", "--dev", "1", "--test", "1", "--workers", "1"])
    assert len(read_manifest(tmp_path / "train.jsonl")) == 2
    assert str(tmp_path / "test.jsonl") in caplog.messages[-1]


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        ({"corpus": "sinth"}, "unknown corpus 'sinth'; choose one of: synth"),
        ({"task": "digits"}, "unknown corpus None"),
        ({"corpus": "synth", "tests": 3}, "unknown option 'tests'; did you mean 'test'?"),
        ({"corpus": "synth", "train": "many"}, "train must be a whole number; got 'many'"),
    ],
)
def test_recipes_are_checked(tmp_path, recipe, complaint):
    with pytest.raises(ConfigError, match=complaint.replace("?", r"\?")):
        prepare_recipe(recipe, tmp_path)
