"""What training reads: from files or packs, from one manifest or several, each utterance once or by weight."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.config import Config, parse_config
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.callbacks import Bookkeeper
from dfcnn_ms.training.datasets import load_datasets, load_training
from dfcnn_ms.training.history import History
from dfcnn_ms.training.pack import write_pack


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Three manifests: a large one, a small one, and one for dev."""
    monkeypatch.chdir(tmp_path)
    write_wave("all.wav", 0.3 * np.random.default_rng(0).uniform(-1, 1, 80_000).astype(np.float32))
    for name, count in (("large", 40), ("small", 10), ("dev", 6)):
        said = [("er4", "ba1") if n % 10 == 9 else ("yi1", "ba1") for n in range(count)]
        utterances = [Utterance(f"u{n}", "all.wav", 0.2 + n % 4 / 5, said[n], start=n / 10) for n in range(count)]
        write_manifest(f"{name}.jsonl", utterances)
    return tmp_path


def page(**data: object) -> Config:
    sections = {
        "data": {"train": "large.jsonl", "dev": "dev.jsonl", **data},
        "features": {"kind": "log_mel", "n_mels": 20},
        "train": {"batch_size": 4, "buckets": 2},
    }
    return parse_config(sections, "page")


def came(config: Config, epochs: int = 40) -> tuple[Counter[int], int]:
    """How often each utterance came in some epochs, and how many in all."""
    plan = load_training(config)[2].plan
    total = Counter(index for epoch in range(epochs) for batch in plan(epoch) for index in batch.indices)
    return total, total.total()


def test_alone_and_unbalanced_each_comes_once():
    assert came(page(), 3)[0] == Counter(dict.fromkeys(range(40), 3))


@pytest.mark.parametrize(("weight", "share"), [(1.0, 1 / 2), (3.0, 3 / 4), (0.25, 1 / 5)])
def test_mixed_corpora_come_by_their_weights_whatever_their_sizes(weight, share):
    total, all_of_them = came(page(mix={"small.jsonl": weight}))
    assert all_of_them == 40 * 50
    assert sum(total[index] for index in range(40, 50)) / all_of_them == pytest.approx(share, abs=0.02)


def test_class_balance_lets_rare_syllables_come_more_often():
    total, _ = came(page(balance="class"), 200)
    rare, common = (np.mean([total[n] for n in range(40) if (n % 10 == 9) == is_rare]) for is_rare in (True, False))
    # "er4" is in 4 of 40, "yi1" in 36, "ba1" in all: the weights are in the ratio of sqrt(36) and sqrt(4).
    assert rare / common == pytest.approx(3, rel=0.1)


def test_length_balance_lets_each_bucket_come_equally_often():
    source = load_training(page(balance="length", mix={"small.jsonl": 1.0}))[2]
    assert source.plan.draws == [25, 25]


@pytest.mark.parametrize("data", [{}, {"mix": {"small.jsonl": 3.0}}, {"balance": "class"}, {"balance": "length"}])
def test_what_is_known_of_the_labels_is_that_of_the_utterances_as_they_come(folder, data):
    lines = (folder / "large.jsonl").read_text().splitlines()
    longer = [line.replace("yi1 ba1", "yi1 ba1 er4") if n % 3 == 0 else line for n, line in enumerate(lines)]
    (folder / "large.jsonl").write_text("\n".join(longer) + "\n")
    source = load_training(page(**data))[2]
    book = Bookkeeper(History(), None, source, 0)
    came = [
        source.corpus.labels[index] for epoch in range(60) for batch in source.plan(epoch) for index in batch.indices
    ]
    assert book.units == pytest.approx(np.mean([len(label) for label in came]), rel=0.01)
    assert book.label_entropy == pytest.approx(scipy.stats.entropy(np.bincount(np.concatenate(came))), rel=0.01)


@pytest.mark.parametrize("what", ["audio", "features"])
def test_packed_batches_are_those_of_the_files(what):
    plain = load_datasets(page(mix={"small.jsonl": 1.0}))
    for name in ("large", "small", "dev"):
        write_pack(Path(f"{name}.jsonl"), what, Frontend(page().features))
    read = [list(plain.train), list(plain.dev)]
    Path("all.wav").unlink()
    packed = load_datasets(page(mix={"small.jsonl": 1.0}, packed=True))
    for ours, theirs in zip(read, (packed.train, packed.dev), strict=True):
        for left, right in zip(ours, theirs, strict=True):
            for one, other in zip(left, right, strict=True):
                np.testing.assert_array_equal(one, other)


def test_global_statistics_are_the_same_from_a_pack():
    config = page().model_copy(update={"cmvn": "global"})
    write_pack(Path("large.jsonl"), "audio", Frontend(config.features, "global"))
    files, packed = (
        load_training(config.model_copy(update={"data": page(packed=flag).data}))[1] for flag in (False, True)
    )
    assert files.statistics.to_dict() == packed.statistics.to_dict()


def test_a_network_that_begins_with_another_has_its_statistics_and_its_own_units():
    config, statistics = page().model_copy(update={"cmvn": "global"}), GlobalCmvn(np.full(20, 7.0), np.full(20, 3.0))
    own, found = load_datasets(config), load_datasets(config, statistics=statistics)
    assert found.vocabulary == own.vocabulary and found.frontend.statistics is statistics
    for ours, theirs in zip(found.train, own.train, strict=True):
        assert not np.array_equal(ours[0], theirs[0])


def test_a_network_that_goes_on_learning_keeps_its_units_and_its_normalisation():
    """Whatever the set has: fewer units, other statistics. One unit that it does not know is refused."""
    config = page().model_copy(update={"cmvn": "global"})
    statistics = GlobalCmvn(np.full(20, 7.0), np.full(20, 3.0))
    known = Meta(config, Vocabulary(("si4", "yi1", "er4", "ba1")), statistics)
    found = load_datasets(config, like=known)
    assert found.vocabulary == known.vocabulary and found.frontend.statistics == statistics
    assert found.train.corpus.labels[9] == [4, 5]  # er4 ba1, after the two special ones
    with pytest.raises(DataError, match=r"large\.jsonl:1: unit 'yi1' is not one of the 2"):
        load_datasets(config, like=replace(known, vocabulary=Vocabulary(("er4", "ba1"))))


def test_what_excludes_each_other_or_is_missing_is_told():
    with pytest.raises(DataError, match=r"large\.pack: no such pack; make it with: .* large\.jsonl"):
        load_training(page(packed=True))
    write_pack(Path("large.jsonl"), "features", Frontend(page().features))
    with pytest.raises(ConfigError, match=r"data\.cache and data\.packed exclude"):
        load_training(page(packed=True, cache=True))
    augment = {"augment": {"wave": [{"kind": "gain"}]}}
    noisy = parse_config({**page(packed=True).model_dump(mode="json"), **augment}, "page")
    with pytest.raises(ConfigError, match=r"packed features and augment\.wave exclude"):
        load_training(noisy)
    with pytest.raises(DataError, match=r"none\.jsonl: no such manifest"):
        load_training(page(mix={"none.jsonl": 1}))
    with pytest.raises(ConfigError, match=r"data\.mix\.small\.jsonl"):
        page(mix={"small.jsonl": 0})
    write_manifest("mute.jsonl", [Utterance("u0", "all.wav", 0.5, ())])
    with pytest.raises(DataError, match=r"mute\.jsonl: no utterance says anything"):
        load_training(page(train="mute.jsonl"))
    with pytest.raises(DataError, match="no sound file is there"):
        load_training(
            parse_config(
                {**page().model_dump(mode="json"), "augment": {"wave": [{"kind": "noise", "recordings": ["gone"]}]}},
                "page",
            )
        )
