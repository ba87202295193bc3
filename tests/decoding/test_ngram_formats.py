"""Language models on the disk: what is written is read, and what is broken is named."""

from __future__ import annotations

import gzip
import json
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.decoding.ngram import NgramModel, train
from dfcnn_ms.decoding.ngram.trie import Trie
from dfcnn_ms.errors import DataError

steady = settings(deadline=None, max_examples=30)  # a busy machine is not a fault

TEXT = [["ni3", "hao3"], ["ni3", "men5", "hao3"], ["wo3", "men5", "hao3", "ni3"]]

# By hand; the numbers are no estimate of anything. Words apart by blanks, a missing back-off weight, no <unk>.
BY_HAND = """A remark before the data.

\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-99 <s> -0.5
-0.7\t</s>
-0.3\t你\t-0.25
-0.9\thao3\t-0.125

\\2-grams:
-0.4\t<s> 你
-0.2\t你 hao3\t0
-0.1\thao3 </s>

\\end\\
"""


def same(one: NgramModel, other: NgramModel) -> bool:
    columns = zip(one.trie, other.trie, strict=True)
    return one.words == other.words and all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in columns)


@pytest.fixture
def model() -> NgramModel:
    return train(TEXT, order=3)


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    path = tmp_path / "hand.arpa"
    path.write_text(BY_HAND, encoding="utf-8")
    return path


@steady
@given(
    st.lists(st.lists(st.sampled_from(["ni3", "好", "x'", "\\2-grams:", "1.5"]), max_size=6), min_size=1, max_size=20),
    st.integers(1, 5),
)
def test_every_format_keeps_every_bit(tmp_path_factory, text, order):
    model = train(text, order)
    folder = tmp_path_factory.mktemp("formats")
    for name in ("model.arpa", "model.bin", "model.lmz"):  # the last one as long as there are few numbers
        model.save(folder / name)
        assert same(NgramModel.load(folder / name), model), name


def test_an_arpa_by_hand(by_hand):
    model = NgramModel.load(by_hand)
    assert (model.order, model.counts) == (2, (5, 3))
    assert set(model.words) == {"<unk>", "<s>", "</s>", "你", "hao3"}
    ln10 = math.log(10)
    assert model.log_prob(["你", "hao3"]) == pytest.approx(ln10 * (-0.4 - 0.2 - 0.1))
    assert model.log_prob(["hao3"]) == pytest.approx(ln10 * (-0.5 - 0.9 - 0.1))  # back off from <s>
    assert model.log_prob(["你"]) == pytest.approx(ln10 * (-0.4 - 0.25 - 0.7))  # back off before the end
    assert model.log_prob(["zzz"], eos=False) == pytest.approx(ln10 * (-0.5 - 100))  # as KenLM takes it


def test_gzip_and_windows_line_ends_are_read_as_well(by_hand, tmp_path):
    text = by_hand.read_bytes()
    (tmp_path / "zipped.gz").write_bytes(gzip.compress(text))
    (tmp_path / "windows").write_bytes(text.replace(b"\n", b"\r\n"))
    for name in ("zipped.gz", "windows"):
        assert same(NgramModel.load(tmp_path / name), NgramModel.load(by_hand))


def test_unk_in_capitals_is_unk(by_hand):
    text = BY_HAND.replace("ngram 1=4", "ngram 1=5").replace("-99 <s>", "-2\t<UNK>\n-99 <s>")
    by_hand.write_text(text, encoding="utf-8")
    assert NgramModel.load(by_hand).log_prob(["zzz"], bos=False, eos=False) == pytest.approx(-2 * math.log(10))


def test_an_arpa_without_some_suffixes_is_followed_to_the_shorter_ones(tmp_path):
    """Tools that prune leave 'a b c' and drop 'b c': then the context 'b' is not one of the model's any more."""
    grams = {1: ["<s>", "</s>", "a", "b", "c"], 2: ["a b"], 3: ["a b c"]}
    lines = ["\\data\\", *(f"ngram {order}={len(lines)}" for order, lines in grams.items())]
    for order, section in grams.items():
        lines += ["", f"\\{order}-grams:", *(f"-1\t{gram}" + "\t-0.5" * (order < 3) for gram in section)]
    path = tmp_path / "cut.arpa"
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))
    ln10 = math.log(10)
    model = NgramModel.load(path)
    assert model.log_prob(["a", "b", "c"], bos=False, eos=False) == pytest.approx(-3 * ln10)
    # After `a b c` the longest that the model has is `c`, with one back-off weight.
    assert model.log_prob(["a", "b", "c", "a"], bos=False, eos=False) == pytest.approx((-3 - 0.5 - 1) * ln10)


def test_the_binary_is_mapped_and_not_copied(model, tmp_path):
    model.save(tmp_path / "model.bin")
    loaded = NgramModel.load(tmp_path / "model.bin")
    for column in loaded.trie:
        bases = []
        while column is not None:
            bases.append(type(column).__name__)
            column = getattr(column, "base", None)
        assert "mmap" in bases
    with pytest.raises(ValueError, match="read-only"):
        loaded.trie.word[0] = 1


def test_the_binary_begins_with_its_name(model, tmp_path):
    """Told by content: the name of the file may be anything."""
    model.save(tmp_path / "model.bin")
    assert (tmp_path / "model.bin").read_bytes()[:8] == b"DFCNN-LM"
    (tmp_path / "model.bin").rename(tmp_path / "model.arpa")
    assert same(NgramModel.load(tmp_path / "model.arpa"), model)


@pytest.mark.parametrize("cut", [9, 31, 40, 100, -1, -60])
def test_a_truncated_binary_is_named(model, tmp_path, cut):
    path = tmp_path / "model.bin"
    model.save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"model\.bin: truncated"):
        NgramModel.load(path)


@pytest.mark.parametrize("place", [16, 40, 120, 300, -70])
def test_one_wrong_bit_is_found(model, tmp_path, place):
    path = tmp_path / "model.bin"
    model.save(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"model\.bin: truncated or corrupt"):
        NgramModel.load(path)


def test_another_version_is_named(model, tmp_path):
    path = tmp_path / "model.bin"
    model.save(path)
    data = bytearray(path.read_bytes())
    data[8] = 7
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="version 7 of the format, wanted 1"):
        NgramModel.load(path)


def sealed(data: bytearray) -> bytes:
    """A binary with the checksum that its content has."""
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


def with_table(data: bytes, **changes: Any) -> bytes:
    """A binary whose table says something else, with a right checksum."""
    (length,) = struct.unpack_from("<Q", data, 16)
    table = json.dumps({**json.loads(data[32 : 32 + length]), **changes}).encode()
    head = bytearray(data[:32])
    struct.pack_into("<Q", head, 16, len(table))
    rest = data[-(-(32 + length) // 64) * 64 :]
    return sealed(head + table + bytes(-(32 + len(table)) % 64) + rest)


@pytest.mark.parametrize("name", ["words", "first_child", "word", "log10_prob", "log10_backoff", "link"])
@pytest.mark.parametrize("value", [0, -1, 1, 10**12, 1e12, 10**400, True, None, "5", [5]])
def test_a_table_that_says_something_else_is_found(model, tmp_path, name, value):
    path = tmp_path / "model.bin"
    model.save(path)
    path.write_bytes(with_table(path.read_bytes(), **{name: value}))
    with pytest.raises(DataError, match=r"model\.bin: damaged: its .*; copy or make it again") as caught:
        NgramModel.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", [b"", b"{", b"[]", b"7", b"null", b"{}", b"[" * 100_000, b"\xff\xfe{}"])
def test_a_table_that_is_none_is_found(model, tmp_path, table):
    path = tmp_path / "model.bin"
    model.save(path)
    data = path.read_bytes()
    head = bytearray(data[:32])
    struct.pack_into("<Q", head, 16, len(table))
    path.write_bytes(sealed(head + table + bytes(-(32 + len(table)) % 64) + data[256:]))
    with pytest.raises(DataError, match="damaged: its table does not say what is in it"):
        NgramModel.load(path)


def test_a_table_without_an_end_is_found(model, tmp_path):
    path = tmp_path / "model.bin"
    model.save(path)
    for length in (2**64 - 1, 2**63, 10**6):
        data = bytearray(path.read_bytes())
        struct.pack_into("<Q", data, 16, length)
        path.write_bytes(sealed(data))
        with pytest.raises(DataError, match="damaged: its table does not say"):
            NgramModel.load(path)


def stepped(column: str, place: int, value: float) -> Callable[[NgramModel], Trie]:
    """A trie with one other number."""

    def change(model: NgramModel) -> Trie:
        values = getattr(model.trie, column).copy()
        values[place] = value
        return model.trie._replace(**{column: values})

    return change


#: one number of a model, and what is said of it; the words are <unk> <s> </s> ni3 hao3 men5 wo3
CRAFTED = {
    "first child far away": (stepped("first_child", 3, 2**31 - 1), "no tree"),
    "first child before its parent": (stepped("first_child", 3, 0), "no tree"),
    "no node 0": (stepped("first_child", 0, 0), "no tree"),
    "more children than nodes": (stepped("first_child", -1, 10**6), "no tree"),
    "another first word": (stepped("word", 0, 0), "no tree"),
    "words out of order": (stepped("word", 2, 5), "no tree"),
    "a word that is none": (stepped("word", -1, 7), "no tree"),
    "a negative word": (stepped("word", -1, -2), "no tree"),
    "children out of order": (stepped("word", 8, 6), "no tree"),
    "a link to itself": (stepped("link", 9, 9), "do not lead to shorter ones"),
    "a link far away": (stepped("link", -1, 2**31 - 1), "do not lead to shorter ones"),
    "a negative link": (stepped("link", -1, -1), "do not lead to shorter ones"),
    "a link of a word": (stepped("link", 4, 3), "do not lead to shorter ones"),
    "a link to another word": (stepped("link", -1, 1), "do not lead to shorter ones"),
    "a probability above 1": (stepped("log10_prob", 5, 0.5), "log10-probabilities lie between -1e+30 and 0; got 0.5"),
    "a probability that is none": (stepped("log10_prob", -1, math.nan), "log10-probabilities lie .* got nan"),
    "a back-off that is none": (stepped("log10_backoff", 1, math.nan), "back-off weights lie .* got nan"),
    "an infinite back-off": (stepped("log10_backoff", 1, -math.inf), "back-off weights lie .* got -inf"),
    "a back-off out of all bounds": (stepped("log10_backoff", 1, -1e38), r"got -1e\+38"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_binary_that_compiled_code_could_not_follow_is_refused(model, tmp_path, name):
    change, message = CRAFTED[name]
    path = tmp_path / "model.bin"
    NgramModel(model.words, change(model)).save(path)
    with pytest.raises(DataError, match=rf"model\.bin: damaged: .*{message.replace('1e+30', '1e.30')}"):
        NgramModel.load(path)


@pytest.mark.parametrize("words", ["", "\n" * 5000, "<s>\n<unk>\n</s>\nni3\nhao3\nmen5\nwo3"])
def test_a_binary_with_other_words_is_refused(model, tmp_path, words):
    path = tmp_path / "model.bin"
    NgramModel(tuple(words.split("\n")), model.trie).save(path)
    with pytest.raises(DataError, match="damaged: its words do not begin with <unk>, <s>, </s>"):
        NgramModel.load(path)


def test_a_binary_with_fewer_or_more_words_is_refused(model, tmp_path):
    path = tmp_path / "model.bin"
    for words in (model.words[:-1], (*model.words, "more")):
        NgramModel(words, model.trie).save(path)
        with pytest.raises(DataError, match="damaged: its n-grams are no tree of its words"):
            NgramModel.load(path)


BAD_FILES = {
    "empty": (b"", "empty file"),
    "text": (b"ni3 hao3\n" * 5, "not a language model"),
    "noise": (bytes(range(256)) * 20, "not a language model"),
    "KenLM's binary": (b"mmap lm http://kheafield.com/code format version 5\n\0", "a binary of KenLM.*give the ARPA"),
    "broken gzip": (gzip.compress(BY_HAND.encode())[:60], "cannot be read as a language model"),
    "gzip of nothing": (b"\x1f\x8b", "cannot be read as a language model"),
    "gzip of another method": (b"\x1f\x8b\x07" + bytes(20), "cannot be read as a language model"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_model(tmp_path, name):
    content, message = BAD_FILES[name]
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(DataError, match=message):
        NgramModel.load(tmp_path / "bad")


@pytest.mark.parametrize("place", range(2, 80))
def test_a_damaged_gzip_is_said_in_one_line(tmp_path, place):
    """A wrong byte in the head, in the data or in the checksum is found at different places by different errors."""
    data = bytearray(gzip.compress(BY_HAND.encode(), mtime=0))
    data[place] ^= 0xFF
    (tmp_path / "bad.gz").write_bytes(data)
    try:
        NgramModel.load(tmp_path / "bad.gz")
    except DataError as error:
        assert "\n" not in str(error) and "bad.gz" in str(error)


def test_places_that_are_no_model(tmp_path):
    with pytest.raises(DataError, match="no such language model"):
        NgramModel.load(tmp_path / "nowhere.bin")
    with pytest.raises(DataError, match="is a directory"):
        NgramModel.load(tmp_path)


BAD_ARPAS = {
    "cut in the header": (("ngram 2=3", "\\end\\"), r"wanted a line '\\\\1-grams:'"),
    "no counts": (("ngram 1=4\nngram 2=3\n", ""), "says no number of n-grams"),
    "counts out of order": (("ngram 1=4\n", ""), "'ngram 2=' stands where 'ngram 1=' belongs"),
    "too few lines": (("ngram 2=3", "ngram 2=4"), "2-grams: fewer lines than the 4"),
    "too many lines": (("ngram 2=3", "ngram 2=2"), r"wanted a line '\\\\end\\\\', got '-0.1"),
    "missing section": (("\\2-grams:", "\\3-grams:"), r"wanted a line '\\\\2-grams:'"),
    "no end": (("\n\\end\\\n", ""), r"wanted a line '\\\\end\\\\', got ''"),
    "unknown word": (("hao3 </s>", "hao4 </s>"), "the word 'hao4' is no 1-gram"),
    "too many words": (("hao3 </s>", "hao3 hao3 hao3 </s>"), "wanted a probability, 2 words"),
    "no word": (("-0.9\thao3\t-0.125", "-0.9\t\t"), "1-grams: wanted a probability, 1 words"),
    "no number": (("-0.2\t你", "x\t你"), "2-grams: could not convert"),
    "above 0": (("-0.2\t你", "0.2\t你"), "lie between .* and 0; got 0.2"),
    "not finite": (("-0.125", "nan"), r"back-off weights lie between -1e\+30 and 100; got nan"),
    "out of all bounds": (("-0.125", "-1e38"), r"back-off weights lie between -1e\+30 and 100; got -1e\+38"),
    "more than a float": (("-0.9\t", "-1e999\t"), r"log10-probabilities lie between -1e\+30 and 0; got -inf"),
    "a back-off that adds": (("-0.125", "300"), r"back-off weights lie between -1e\+30 and 100; got 300"),
    "a count of 5,000 digits": (("ngram 1=4", "ngram 1=" + "9" * 5000), r"'ngram 1=9999999999\.\.\.' is more than"),
    "an order of 5,000 digits": (("ngram 2=3", "ngram " + "9" * 5000 + "=3"), "'ngram 9999999999=' stands where"),
    "a count in thousands of millions": (("ngram 1=4", "ngram 1=4000000000"), "fewer lines than the 4000000000"),
    "a number of 5,000 digits": (("-0.9\t", "-0.9" * 5000 + "\t"), "1-grams: could not convert string to float"),
    "word twice": (("-0.9\thao3", "-0.9\t你"), "a word stands there twice"),
    "n-gram twice": (("hao3 </s>", "你 hao3"), "2-grams: one stands there twice"),
    "no sentence start": (("-99 <s>", "-99 xxx"), "no '<s>' among them"),
    "no sentence end": (("</s>\n-0.3", "<end>\n-0.3"), "no '</s>' among them"),
}


@pytest.mark.parametrize("name", BAD_ARPAS)
def test_broken_arpas_are_named_with_their_section(by_hand, name):
    (old, new), message = BAD_ARPAS[name]
    assert old in BY_HAND
    by_hand.write_text(BY_HAND.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        NgramModel.load(by_hand)
    assert "\n" not in str(caught.value) and "hand.arpa" in str(caught.value)


def test_a_text_that_is_next_to_impossible_has_a_perplexity(by_hand):
    """A back-off weight may be a hundred thousand, or more, below 0; e to that power is more than a float."""
    by_hand.write_text(BY_HAND.replace("-0.125", "-1e5").replace("-0.9", "-1e29"), encoding="utf-8")
    model = NgramModel.load(by_hand)
    assert math.isfinite(model.log_prob(["hao3", "hao3"])) and model.perplexity([["hao3", "hao3"]]) == math.inf


def test_an_arpa_in_another_encoding_is_named(by_hand):
    by_hand.write_bytes(BY_HAND.encode("gb18030"))
    with pytest.raises(DataError, match="not UTF-8"):
        NgramModel.load(by_hand)


def test_an_ngram_whose_context_is_missing_is_named(tmp_path, model):
    path = tmp_path / "model.arpa"
    model.save(path)
    lines = path.read_text().splitlines(keepends=True)
    gone = next(line for line in lines if "\tni3 men5\t" in line)
    count = f"ngram 2={model.counts[1]}"
    text = "".join(line for line in lines if line != gone).replace(count, f"ngram 2={model.counts[1] - 1}")
    path.write_text(text)
    with pytest.raises(DataError, match="3-grams: the first words of one are no n-gram"):
        NgramModel.load(path)


def test_a_model_that_cannot_be_written_leaves_the_old_one(model, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        model.save(tmp_path / "taken")
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]
