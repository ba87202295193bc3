"""Packs: what comes out is what went in, at any place; what does not fit is told in one sentence."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms import pack as command
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, read_utterance, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.training.corpus import open_corpus
from dfcnn_ms.training.pack import Records, open_pack, pack_of, write_pack

FRONTEND = Frontend(LogMel(n_mels=20))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Seventy short utterances of noise, each from its own part of one of two files."""
    rng = np.random.default_rng(0)
    made = []
    for file in ("a.wav", "b.flac"):
        write_wave(tmp_path / file, 0.3 * rng.uniform(-1, 1, 80_000).astype(np.float32))
        made += [
            Utterance(f"{file}-{n}", file, 0.1 + 0.01 * (n % 7), ("yi1", "er4")[: n % 3], start=0.1 * n)
            for n in range(35)
        ]
    write_manifest(tmp_path / "train.jsonl", made)
    return tmp_path / "train.jsonl"


def opened(manifest: Path, frontend: Frontend = FRONTEND) -> tuple[list[Utterance], Records]:
    utterances = read_manifest(manifest)
    return utterances, open_pack(manifest, utterances, frontend)


def test_packed_sound_is_the_sound_of_the_files_in_any_order_and_number(manifest):
    folder = write_pack(manifest, "audio", FRONTEND, shard_bytes=2000)
    assert folder == pack_of(manifest) and len(list(folder.glob("*.mindrecord"))) == 2
    utterances, records = opened(manifest)
    for index in [69, 0, 5, 5, 68, 33, *range(70)]:
        np.testing.assert_array_equal(records[index], read_utterance(utterances[index]))
    chosen = utterances[40:10:-7]
    some = open_pack(manifest, chosen, FRONTEND)
    for index, utterance in enumerate(chosen):
        np.testing.assert_array_equal(some[index], read_utterance(utterance))


def test_packed_features_are_those_of_the_front_end(manifest):
    write_pack(manifest, "features", FRONTEND)
    utterances, records = opened(manifest)
    plain, packed = (open_corpus(utterances, [()] * 70, FRONTEND, packed=one) for one in (None, records))
    for index in (3, 69, 0, 34):
        np.testing.assert_array_equal(packed.features(index), plain.features(index))
    picture = records[7]
    picture[:] = 0
    assert records[7].any()


def test_mindspore_reads_the_same_records(manifest):
    import mindspore.dataset as ds

    write_pack(manifest, "audio", FRONTEND, shard_bytes=2000)
    utterances, records = opened(manifest)
    shards = [str(path) for path in records.files]
    rows = list(ds.MindDataset(shards, shuffle=False).create_dict_iterator(num_epochs=1, output_numpy=True))
    by_id = {str(row["id"]): row for row in rows}
    assert by_id.keys() == {utterance.id for utterance in utterances}
    for index, utterance in enumerate(utterances):
        row = by_id[utterance.id]
        samples = np.frombuffer(row["audio"].tobytes(), "<i2") / np.float32(32768)
        np.testing.assert_array_equal(samples, records[index])
        assert str(row["pinyin"]) == " ".join(utterance.pinyin)


def test_an_utterance_larger_than_a_page_is_packed(tmp_path):
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, 2_400_000).astype(np.float32)
    write_wave(tmp_path / "long.wav", wave)
    write_manifest(tmp_path / "m.jsonl", [Utterance("long", "long.wav", 150.0, ("yi1",))])
    write_pack(tmp_path / "m.jsonl", "audio", FRONTEND)
    utterances, records = opened(tmp_path / "m.jsonl")
    np.testing.assert_array_equal(records[0], read_utterance(utterances[0]))


def test_sound_of_another_rate_and_two_channels_is_packed_as_it_is_heard(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2)), 8000, subtype="FLOAT")
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", "a.wav", 1.0, ("yi1",))])
    write_pack(tmp_path / "m.jsonl", "audio", FRONTEND)
    utterances, records = opened(tmp_path / "m.jsonl")
    np.testing.assert_allclose(records[0], read_utterance(utterances[0]), atol=0.5 / 32768 + 1e-7)


def test_several_packs_are_one(manifest, tmp_path):
    write_pack(manifest, "audio", FRONTEND)
    other = tmp_path / "other.jsonl"
    write_manifest(other, read_manifest(manifest)[10:20])
    write_pack(other, "audio", FRONTEND)
    (utterances, first), (more, second) = opened(manifest), opened(other)
    both = Records.joined([first, second])
    assert len(both) == 80
    for index, utterance in enumerate([*utterances, *more]):
        np.testing.assert_array_equal(both[index], read_utterance(utterance))


def test_records_are_sent_to_other_processes_without_their_content(manifest):
    write_pack(manifest, "audio", FRONTEND)
    _, records = opened(manifest)
    sent = pickle.dumps(records)
    assert len(sent) < 4000
    np.testing.assert_array_equal(pickle.loads(sent)[3], records[3])


def test_reading_needs_no_mindspore(manifest):
    write_pack(manifest, "audio", FRONTEND)
    program = (
        "import sys; from pathlib import Path; from dfcnn_ms.training.pack import open_pack\n"
        "from dfcnn_ms.audio.features import LogMel; from dfcnn_ms.audio.frontend import Frontend\n"
        "from dfcnn_ms.corpora.manifest import read_manifest; path = Path(sys.argv[1])\n"
        "print(len(open_pack(path, read_manifest(path), Frontend(LogMel()))[3]), 'mindspore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(manifest)], capture_output=True, text=True)
    assert done.stdout.split() == ["2080", "False"], done.stderr


def test_packing_again_replaces_and_a_failure_leaves_what_was_there(manifest):
    folder = write_pack(manifest, "audio", FRONTEND)
    write_pack(manifest, "features", FRONTEND)
    assert json.loads((folder / "pack.json").read_text())["what"] == "features"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (manifest.parent / "b.flac").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"train\.jsonl:36: .*b\.flac"):
        write_pack(manifest, "audio", FRONTEND)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(manifest.parent.glob(".*part*"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 2**20 + 100_000])  # in the middle of the first page


SPOILT = {
    "no pack": (lambda folder: folder.rename(folder.with_name("away")), "no such pack; make it with: python -m"),
    "no shard": (lambda folder: (folder / "0000.mindrecord").unlink(), "not a whole MindRecord file"),
    "no index": (lambda folder: (folder / "0000.mindrecord.db").unlink(), "not a whole MindRecord file"),
    "no record": (lambda folder: (folder / "0000.mindrecord").write_bytes(b"12345678{}"), "not a whole MindRecord"),
    "a cut json": (lambda folder: (folder / "pack.json").write_text('{"wh'), "pack.json cannot be read"),
    "a cut shard": (lambda folder: cut(folder / "0000.mindrecord"), "damaged at byte"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_pack_is_told_in_one_sentence(manifest, name):
    spoil, sentence = SPOILT[name]
    spoil(write_pack(manifest, "audio", FRONTEND))
    with pytest.raises(DataError, match=sentence):
        _, records = opened(manifest)
        for index in range(len(records)):
            _ = records[index]


def test_a_pack_of_other_utterances_or_features_is_refused(manifest, tmp_path):
    write_pack(manifest, "features", FRONTEND)
    with pytest.raises(DataError, match=r"holds LogMel\(.*n_mels=20.*the page asks for LogMel\(.*n_mels=80"):
        opened(manifest, Frontend(LogMel()))
    utterances = read_manifest(manifest)
    with pytest.raises(DataError, match="'new' is not in"):
        open_pack(manifest, [Utterance("new", "a.wav", 1.0, ())], FRONTEND)
    with pytest.raises(DataError, match=r"'a\.wav-0' has another length in"):
        open_pack(manifest, [Utterance(utterances[0].id, "a.wav", 1.0, ())], FRONTEND)


def test_what_cannot_be_packed(manifest):
    with pytest.raises(ConfigError, match="cmvn=global are not known before training"):
        write_pack(manifest, "features", Frontend(LogMel(), "global"))
    with pytest.raises(ConfigError, match="wanted one of: audio, features"):
        write_pack(manifest, "video", FRONTEND)
    pack_of(manifest).mkdir()
    (pack_of(manifest) / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is there and is no pack"):
        write_pack(manifest, "audio", FRONTEND)
    assert (pack_of(manifest) / "thesis.txt").read_text() == "mine"


def test_the_command_says_what_it_made(manifest, capsys):
    command.main([str(manifest), "--what", "audio"])
    assert "train with data.packed=true" in capsys.readouterr().out
    assert len(opened(manifest)[1]) == 70
    with pytest.raises(ConfigError, match="wanted at least 1"):
        command.main([str(manifest), "--shard-megabytes", "0"])
