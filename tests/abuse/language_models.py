"""Language models of syllables and of characters as formats that can be damaged."""

from __future__ import annotations

import gzip
import io
import lzma
import math
import struct
import tempfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from mutate import damaged, damaged_array, damaged_text
from reading import Format

from dfcnn_ms.decoding.hanzi import HanziModel
from dfcnn_ms.decoding.hanzi.compact import packed, unpacked
from dfcnn_ms.decoding.hanzi.lexicon import build_lexicon
from dfcnn_ms.decoding.ngram import NgramModel, train
from dfcnn_ms.errors import ConfigError

TEXT = ["wo3 ai4 ni3", "wo3 ai4 bei3 jing1", "ni3 ai4 wo3 ma5", "wo3 ai4 ni3", "bei3 jing1 hao3"]
SENTENCES = [["wo3", "ai4", "ni3"], ["jing1", "wo3", "zzz", "hao3"], []]
UNITS = ("<blank>", "<unk>", "wo3", "ai4", "ni3", "bei3", "jing1", "ma5")

#: word, count, tag, reading
WORDS = (
    *(("上", 900, "f", "shang4"), ("伤", 100, "v", "shang1"), ("海", 300, "n", "hai3")),
    *(("上海", 400, "ns", "shang4 hai3"), ("植物", 150, "n", "zhi2 wu4"), ("职务", 140, "n", "zhi2 wu4")),
    *(("园", 60, "n", "yuan2"), ("元", 300, "q", "yuan2"), ("一", 900, "m", "yi1")),
    *(("张伟", 30, "nr", "zhang1 wei3"), ("张", 100, "q", "zhang1"), ("伟", 10, "a", "wei3")),
)
TEXTS = ("上海植物园", "上海一元", "张伟")
SAID = [["shang4", "hai3", "zhi2", "wu4", "yuan2"], ["yi4", "zhang1", "wei3", "xyz", "hai1"], []]


def _saved(model: NgramModel | HanziModel, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        model.save(path)
        return path.read_bytes()


@lru_cache
def ngrams() -> NgramModel:
    return train([line.split() for line in TEXT], order=3)


def _zipped() -> bytes:
    return gzip.compress(_saved(ngrams(), ".arpa"), mtime=0)


def _binary(data: bytes, random: Random) -> bytes:
    """Damaged anywhere; or behind the checksum, which is then made right."""
    if random.random() < 0.2:
        return damaged(data, random)
    (table,) = struct.unpack_from("<Q", data, 16)
    if random.random() < 0.3:
        written = damaged_text(data[32 : 32 + table], random)
        head = data[:16] + struct.pack("<Q", len(written)) + bytes(8)
        data = head + written + bytes(-len(head + written) % 64) + data[-(-(32 + table) // 64) * 64 :]
    else:
        begin = random.choice((16, -(-(32 + table) // 64) * 64))
        data = data[:begin] + damaged(data[begin:], random)
    return data[:12] + struct.pack("<I", zlib.crc32(data[16:])) + data[16:]


def _compact(data: bytes, random: Random) -> bytes:
    """Damaged anywhere; or behind the checksum; or what is compressed, and compressed again."""
    if random.random() < 0.2:
        return damaged(data, random)
    (table,) = struct.unpack_from("<Q", data, 16)
    said, packed = data[32 : 32 + table], data[32 + table :]
    part = random.choice(("table", "packed", "content", "content"))
    if part == "table":
        said = damaged_text(said, random)
    elif part == "packed":
        packed = damaged(packed, random)
    else:
        packed = zlib.compress(damaged(zlib.decompress(packed), random))
    checked = struct.pack("<Q8x", len(said)) + said + packed
    return data[:12] + struct.pack("<I", zlib.crc32(checked)) + checked


def _use_ngrams(path: Path) -> None:
    model = NgramModel.load(path)
    for sentence in SENTENCES:
        log_prob = model.log_prob(sentence)
        assert math.isfinite(log_prob) and log_prob <= 0, log_prob
    assert model.perplexity(SENTENCES) >= 1
    assert sum(model.counts) == len(model.trie.word) - 1
    try:
        scorer = model.scorer(UNITS)
    except ConfigError:  # it knows none of them any more
        return
    state = scorer.start
    for unit in (2, 3, 4, 1, 7):
        assert np.isfinite(scorer.score(state)).all()
        state = scorer.next(state, unit)
    model.pruned(1e-3).save(path.with_name("pruned.arpa"))


def characters() -> HanziModel:
    spelt = {word: [(0.0, tuple(reading.split()))] for word, _, _, reading in WORDS}
    lexicon = build_lexicon([(word, count, tag) for word, count, tag, _ in WORDS], lambda word: spelt.get(word, []))
    return HanziModel.train(TEXTS, lexicon)


def _archive(data: bytes, random: Random) -> bytes:
    """Damaged anywhere; or one array in it, or the bytes that say what the array is."""
    if random.random() < 0.2:
        return damaged(data, random)
    memory = io.BytesIO()
    if random.random() < 0.7:
        with np.load(io.BytesIO(data)) as stored:
            arrays = {name: stored[name] for name in stored.files}
        name = random.choice(sorted(arrays))
        np.savez(memory, **{**arrays, name: damaged_array(arrays[name], random)})
        return memory.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as stored, zipfile.ZipFile(memory, "w") as changed:
        chosen = random.choice(stored.namelist())
        for part in stored.namelist():
            content = stored.read(part)
            head = damaged_text(content[:128], random) if part == chosen else content[:128]
            changed.writestr(part, head + content[128:])
    return memory.getvalue()


def _travelling(data: bytes, random: Random) -> bytes:
    """Damaged anywhere; or what is compressed, and compressed again."""
    if random.random() < 0.2:
        return damaged(data, random)
    return lzma.compress(_archive(lzma.decompress(data), random))


def _use_characters(path: Path) -> None:
    _use_model(HanziModel.load(path))


def _use_travelled(path: Path) -> None:
    model = unpacked(path.read_bytes(), str(path))
    if model:
        _use_model(model)


def _use_model(model: HanziModel) -> None:
    for syllables in SAID:
        for count in (1, 4):
            found = model.decode([(syllables, 0.0)], count)
            assert found and all(math.isfinite(sentence.score) for sentence in found)
            assert all(sentence.perplexity >= 0 for sentence in found)


FORMATS = {
    "arpa": Format(lambda: _saved(ngrams(), ".arpa"), damaged_text, _use_ngrams, ".arpa"),
    "arpa_gz": Format(_zipped, damaged, _use_ngrams, ".arpa.gz"),
    "binary": Format(lambda: _saved(ngrams(), ".bin"), _binary, _use_ngrams, ".bin"),
    "compact": Format(lambda: _saved(ngrams(), ".lmz"), _compact, _use_ngrams, ".lmz"),
    "characters": Format(lambda: _saved(characters(), ".bin"), _archive, _use_characters, ".bin"),
    "characters_compact": Format(lambda: packed(characters()), _travelling, _use_travelled, ".xz"),
}
