"""A Transformer that writes, from its page to a text: trained on tones, evaluated, transcribed, calibrated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tones import HERTZ, speak, wave

from dfcnn_ms import eval as eval_command
from dfcnn_ms import transcribe
from dfcnn_ms.config import parse_config
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.decoding import AttentionBeam, Rescoring
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.training import trainer

pytestmark = pytest.mark.usefixtures("cpu")

CONV = {"channels": 8, "convs": 1, "stride": [2, 2], "pool": [1, 1]}
PAGE = {
    "name": "tones",
    "task": {"kind": "attention"},
    "data": {split: f"{split}.jsonl" for split in ("train", "dev", "test")},
    "features": {"kind": "log_mel", "n_mels": 20},
    "model": {
        "kind": "transformer", "blocks": [CONV, CONV], "depth": 1, "width": 32, "heads": 2, "feed_forward": 32,
        "decoder_depth": 1, "dropout": 0.0,
    },
    "train": {"epochs": 8, "batch_size": 16, "buckets": 1, "rate": 0.01, "schedule": {"kind": "noam"}},
}  # fmt: skip


def said_in(folder: Path, split: str, count: int) -> None:
    rng = np.random.default_rng(len(split))
    lines = []
    for number in range(count):
        units = tuple(rng.choice(list(HERTZ), size=rng.integers(1, 5)).tolist())
        path = speak(folder / split / f"{number}.wav", " ".join(units))
        lines.append(Utterance(f"{split}{number}", str(path), len(wave(" ".join(units))) / 16_000, units))
    write_manifest(f"{split}.jsonl", lines)


@pytest.mark.long
@pytest.mark.slow
def test_trained_evaluated_and_transcribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a hundred steps CTC knows the tones, and the decoder begins to write; together they are right."""
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 200), ("dev", 24), ("test", 24)):
        said_in(tmp_path, split, count)
    result = trainer.train(parse_config(PAGE, where="page"), device_target="CPU", run=tmp_path / "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert result.unit == "syllable" and result.dev_error < records[0]["dev_syllable_error_rate"]

    ckpt = ["--ckpt", str(result.best), "--device_target", "CPU"]
    eval_command.main([*ckpt, "--json", "figures.json"])
    capsys.readouterr()
    figures = json.loads(Path("figures.json").read_text())
    rates = {one["decoder"]: one["error_rate"] for one in figures["decoders"]}
    assert [*rates] == ["attention", "rescoring"] and rates["rescoring"] <= 0.1

    speak(tmp_path / "a.wav", "yi1 er4 san1 si4")
    recognizer = Recognizer.load(result.best, "CPU")
    for decoder in (AttentionBeam(), Rescoring()):
        recognizer.decoder = decoder
        heard = recognizer.transcribe("a.wav")
        assert all(start < end for start, end in zip(heard.starts, heard.ends, strict=True))
        together = recognizer.hear([wave("yi1 er4 san1 si4"), wave("si4 yi1 er4 san1 san1 er4 yi1")])
        assert together[0].syllables == heard.syllables
    assert heard.syllables == ("yi1", "er4", "san1", "si4")

    transcribe.main([*ckpt, "--decoder", "rescoring", "--nbest", "3", "a.wav"])
    first, *others = capsys.readouterr().out.splitlines()
    assert first.endswith("yi1 er4 san1 si4") and len(others) == 2
    with pytest.raises(ConfigError, match="does not read what this network writes; use --decoder attention or resco"):
        transcribe.main([*ckpt, "--decoder", "beam", "a.wav"])
