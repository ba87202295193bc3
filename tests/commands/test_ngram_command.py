"""`python -m dfcnn_ms.ngram` and the texts it reads, as a stranger uses them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms import cli, ngram
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.config import load_config
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.ngram import NgramModel, train
from dfcnn_ms.decoding.ngram.sentences import read_sentences
from dfcnn_ms.decoding.options import decoders
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

TEXT = "ni3 hao3\nNǐ men5 hao3!\n\nlü4 nv3'er2\nwo3 men5 hao3 wanr2\n"
SENTENCES = [["ni3", "hao3"], ["ni3", "men5", "hao3"], ["lv4", "nv3", "er2"], ["wo3", "men5", "hao3", "wan2", "er5"]]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to stand in, with a text and a model."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    train(SENTENCES, order=2).save("lm.bin")
    Path("empty.txt").touch()
    Path("blank.txt").write_text("\n \n")
    Path("wrong.txt").write_text("ni3 hao3\nni3 hello3\n")
    Path("latin.txt").write_text("你好\n你好abc\n", encoding="utf-8")
    Path("gb.txt").write_bytes("你好\n".encode("gb18030"))
    Path("table.tsv").write_text("id\tpinyin\ttext\na\tni3 hao3\t你好\nb\two3\t我\n", encoding="utf-8")
    Path("ragged.tsv").write_text("id\tpinyin\na\n")
    Path("other.tsv").write_text("id\tname\na\tb\n")
    Path("a_folder").mkdir()
    line = '{"id": "%s", "audio": "a.wav", "seconds": 1, "pinyin": "%s", "text": "%s"}\n'
    Path("said.jsonl").write_text(line % ("a", "ni3 hao3", "你好") + line % ("b", "wǒ", "我"), encoding="utf-8")
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: ngram.main([str(argument) for argument in arguments]))
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


def sentences(*names: str, written: str = "pinyin") -> list[list[str]]:
    return list(read_sentences([Path(name) for name in names], written))


def test_text_is_made_canonical_line_by_line(folder):
    assert sentences("text.txt") == SENTENCES


def test_characters_are_read_aloud(folder):
    Path("hanzi.txt").write_text("你好，我们。\n\n银行\n", encoding="utf-8")
    assert sentences("hanzi.txt", written="hanzi") == [["ni3", "hao3", "wo3", "men5"], ["yin2", "hang2"]]


def test_any_tokens_are_taken_as_written(folder):
    Path("words.txt").write_text("你好 世界\nHello, world 3%\n", encoding="utf-8")
    assert sentences("words.txt", written="as_written") == [["你好", "世界"], ["Hello,", "world", "3%"]]


def test_tables_and_manifests(folder):
    expected = [["ni3", "hao3"], ["wo3"]]
    for name in ("table.tsv", "said.jsonl"):
        assert sentences(name) == sentences(name, written="hanzi") == expected
    assert sentences("table.tsv", "said.jsonl") == 2 * expected


def test_a_byte_order_mark_is_no_part_of_the_text(folder):
    Path("bom.txt").write_text("ni3\n", encoding="utf-8-sig")
    Path("bom.tsv").write_text("pinyin\nni3\n", encoding="utf-8-sig")
    assert sentences("bom.txt") == sentences("bom.tsv") == [["ni3"]]


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("empty.txt", "pinyin", r"empty\.txt: holds no sentence"),
        ("blank.txt", "pinyin", r"blank\.txt: holds no sentence"),
        ("wrong.txt", "pinyin", r"wrong\.txt:2: 'hello3' is not a pinyin syllable"),
        ("latin.txt", "pinyin", r"latin\.txt:1: '你好' is in Chinese characters, wanted pinyin; --hanzi"),
        ("latin.txt", "hanzi", r"latin\.txt:2: no Mandarin reading for 'abc'"),
        ("gb.txt", "as_written", r"gb\.txt:1: not UTF-8"),
        ("nowhere.txt", "pinyin", r"nowhere\.txt: cannot be read: No such file"),
        ("a_folder", "pinyin", "a_folder: is a directory"),
        ("ragged.tsv", "pinyin", r"ragged\.tsv:2: 1 columns, the header has 2"),
        ("other.tsv", "pinyin", "wanted a header with a column pinyin; got id, name"),
        ("empty.tsv", "pinyin", "wanted a header with a column pinyin; got nothing"),
    ],
)
def test_texts_that_cannot_be_read_are_named(folder, name, written, message):
    Path("empty.tsv").touch()
    with pytest.raises(DataError, match=message):
        sentences(name, written=written)


def test_special_tokens_are_named_with_their_line(folder):
    Path("special.txt").write_text("a b\na </s> b\n")
    with pytest.raises(DataError, match=r"special\.txt:2: '</s>' belongs to every language model"):
        sentences("special.txt", written="as_written")


def test_an_unknown_way_of_writing_is_refused():
    with pytest.raises(ConfigError, match="pinyin, hanzi, as_written; got 'words'"):
        list(read_sentences([], "words"))


def test_unreadable_lines_can_be_left_out(folder):
    skipped: list[DataError] = []
    assert list(read_sentences([Path("wrong.txt")], skip=skipped.append)) == [["ni3", "hao3"]]
    assert len(skipped) == 1 and "wrong.txt:2" in str(skipped[0])
    with pytest.raises(DataError, match=r"wrong\.txt:2: .*; --skip-unreadable leaves such lines out"):
        list(read_sentences([Path("wrong.txt")]))


@pytest.mark.parametrize("out", ["new.arpa", "new.bin"])
def test_train_makes_the_model_of_the_library(folder, capsys, out):
    code, printed, _ = run(capsys, "train", "--text", "text.txt", "--order", 2, "--out", out)
    assert code == 0
    assert printed.startswith(f"{out}: order 2, 12 + ") and " MB in " in printed
    assert NgramModel.load(out).log_prob(["ni3", "hao3"]) == train(SENTENCES, order=2).log_prob(["ni3", "hao3"])


def test_train_takes_text_and_manifests_together(folder, capsys):
    run(capsys, "train", "--text", "text.txt", "--manifest", "said.jsonl", "--out", "both.bin")
    expected = train([*SENTENCES, ["ni3", "hao3"], ["wo3"]])
    assert NgramModel.load("both.bin").log_prob(["wo3"]) == expected.log_prob(["wo3"])


def test_train_leaves_out_the_rare_and_the_unimportant(folder, capsys):
    run(capsys, "train", "--text", "text.txt", "--min-count", 1, 2, "--out", "rare.bin")
    assert NgramModel.load("rare.bin").counts == train(SENTENCES, 3, (1, 2)).counts
    run(capsys, "train", "--text", "text.txt", "--prune", 0.01, "--out", "pruned.bin")
    assert NgramModel.load("pruned.bin").counts == train(SENTENCES).pruned(0.01).counts


def test_train_reads_characters_and_says_what_it_left_out(folder, capsys):
    arguments = ("train", "--text", "latin.txt", "--hanzi", "--skip-unreadable", "--out", "hanzi.bin")
    code, printed, _ = run(capsys, *arguments)
    assert code == 0
    assert "lines left out because they cannot be read: 1; the first: latin.txt:2" in printed
    assert set(NgramModel.load("hanzi.bin").words[3:]) == {"ni3", "hao3"}


def test_perplexity_prints_the_figures_of_the_library(folder, capsys):
    Path("test.txt").write_text("ni3 hao3 ma5\nwo3 men5\n")
    _, printed, _ = run(capsys, "perplexity", "--lm", "lm.bin", "--text", "test.txt")
    score = NgramModel.load("lm.bin").score([["ni3", "hao3", "ma5"], ["wo3", "men5"]])
    numbers = [float(number) for number in re.findall(r"\d+\.\d+", printed)]
    assert numbers == [pytest.approx(score.perplexity, abs=1e-3), pytest.approx(score.perplexity_of_known, abs=1e-3)]
    assert "7 in 2 sentences" in printed and "1 tokens that the model does not know" in printed


def test_prune_and_convert_write_what_the_library_makes(folder, capsys):
    code, printed, _ = run(capsys, "prune", "--lm", "lm.bin", "--threshold", 0.01, "--out", "small.arpa")
    assert code == 0 and f"of {sum(train(SENTENCES, order=2).counts)} before" in printed
    code, _, _ = run(capsys, "convert", "--lm", "small.arpa", "--out", "small.bin")
    expected = NgramModel.load("lm.bin").pruned(0.01)
    for name in ("small.arpa", "small.bin"):
        assert NgramModel.load(name).counts == expected.counts


BAD = {
    "no action": ((), "the following arguments are required: ACTION"),
    "unknown action": (("traim",), "invalid choice: 'traim'"),
    "no text": (("train", "--out", "x.bin"), "nothing to train on; give --text"),
    "no out": (("train", "--text", "text.txt"), "the following arguments are required: --out"),
    "unknown flag": (("train", "--ordre", "3", "--out", "x.bin"), "unrecognized arguments: --ordre"),
    "order no number": (("train", "--text", "text.txt", "--order", "x", "--out", "x.bin"), "invalid int value: 'x'"),
    "order 9": (("train", "--text", "text.txt", "--order", "9", "--out", "x.bin"), "is 1 to 5; got 9"),
    "two kinds": (("train", "--text", "text.txt", "--hanzi", "--as-written", "--out", "x.bin"), "not allowed with"),
    "name of the model": (("train", "--text", "text.txt", "--out", "x.lm"), "ends in .arpa or .bin"),
    "folder of the model": (("train", "--text", "text.txt", "--out", "no/x.bin"), "the folder no does not exist"),
    "missing text": (("train", "--text", "no.txt", "--out", "x.bin"), "no.txt: cannot be read"),
    "empty text": (("train", "--text", "empty.txt", "--out", "x.bin"), "empty.txt: holds no sentence"),
    "wrong text": (("train", "--text", "wrong.txt", "--out", "x.bin"), "wrong.txt:2: 'hello3' is not"),
    "counts": (("train", "--text", "text.txt", "--min-count", "3", "1", "--out", "x.bin"), "not fall"),
    "threshold": (("prune", "--lm", "lm.bin", "--threshold", "-1", "--out", "x.bin"), "0 or a small positive number"),
    "missing model": (("perplexity", "--lm", "no.bin", "--text", "text.txt"), "no.bin: no such language model"),
    "text as model": (("perplexity", "--lm", "text.txt", "--text", "text.txt"), "text.txt: not a language model"),
    "missing test text": (("perplexity", "--lm", "lm.bin", "--text", "no.txt"), "no.txt: cannot be read"),
    "model for a folder": (("convert", "--lm", "a_folder", "--out", "x.bin"), "a_folder: is a directory"),
    "missing checkpoint": (("tune", "--lm", "lm.bin", "--ckpt", "no.ckpt"), "no.ckpt: no such checkpoint"),
    "tune without model": (("tune", "--ckpt", "no.ckpt"), "the following arguments are required: --lm"),
    "tune with a missing model": (("tune", "--lm", "no.bin", "--ckpt", "no.ckpt"), "--lm no.bin: no such file"),
    "tune with a text": (("tune", "--lm", "text.txt", "--ckpt", "no.ckpt"), "text.txt: not a language model"),
    "tune with no decoder": (("tune", "--lm", "lm.bin", "--decoder", "x"), "invalid choice: 'x'"),
    "tune with a probability above 1": (
        ("tune", "--lm", "lm.bin", "--ckpt", "no.ckpt", "--min-log-prob", "1"),
        "--min-log-prob 1: wanted the logarithm of a probability, 0 or less",
    ),
    "tune no beam": (("tune", "--lm", "lm.bin", "--beam", "0"), "--beam 0: wanted 1 or more"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(folder, capsys, name):
    arguments, message = BAD[name]
    code, printed, complaint = run(capsys, *arguments)
    assert (code, printed) == (2, "")
    assert message in complaint and complaint.startswith("error: ") and complaint.count("\n") == 1
    assert not Path("x.bin").exists()


@pytest.mark.parametrize("action", ngram.ACTIONS)
def test_every_action_has_help_with_an_example(capsys, action):
    code, printed, _ = run(capsys, action, "--help")
    assert code == 0
    assert printed.rstrip().splitlines()[-1].strip().startswith(f"python -m dfcnn_ms.ngram {action} ")


@pytest.fixture
def checkpoint_file(folder, cpu) -> Path:
    """A small untrained network, a dev set, and the checkpoint that remembers it."""
    from dfcnn_ms.runtime import checkpoint

    rng = np.random.default_rng(0)
    lines = []
    for name, pinyin in (("a", "ni3 hao3"), ("b", "ni3 men5 hao3")):
        write_wave(f"{name}.wav", (0.1 * rng.standard_normal(16_000)).astype(np.float32))
        lines.append(f'{{"id": "{name}", "audio": "{name}.wav", "seconds": 1, "pinyin": "{pinyin}"}}\n')
    Path("dev.jsonl").write_text("".join(lines))
    config = load_config("digits", ["model.hidden=[4]"])
    vocabulary = Vocabulary(("hao3", "men5", "ni3"))
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(vocabulary))
    manifests = {"dev": str(folder / "dev.jsonl")}
    checkpoint.save("dfcnn.ckpt", network, Meta(config, vocabulary, manifests=manifests))
    return folder / "dfcnn.ckpt"


def test_tune_writes_the_best_trial_into_the_checkpoint(checkpoint_file, capsys):
    weights = ("--weights", 0, 1, "--bonuses", 0, 3)
    code, printed, _ = run(capsys, "tune", "--ckpt", checkpoint_file, "--lm", "lm.bin", *weights)
    assert code == 0
    trials = re.findall(r"weight (\S+), length bonus (\S+), error rate (\S+) %\n", printed)
    assert {("0", "0"), ("0", "3"), ("1", "0"), ("1", "3")} <= {trial[:2] for trial in trials}
    last = re.search(r"weight (\S+), length bonus (\S+), error rate (\S+) %: the best on 2 utterances", printed)
    assert float(last[3]) == min(float(rate) for _, _, rate in trials)
    stored = Recognizer.load(checkpoint_file, "CPU").meta.decoding
    wide = {"beam": 10, "min_log_prob": -5.0}
    assert stored == {"lm_weight": float(last[1]), "length_bonus": float(last[2])} | wide


def test_who_listens_later_searches_as_wide_as_it_was_tuned(checkpoint_file, capsys):
    wide = ("--beam", 30, "--min-log-prob", -8, "--weights", 1, "--bonuses", 0)
    assert run(capsys, "tune", "--ckpt", checkpoint_file, "--lm", "lm.bin", *wide)[0] == 0
    meta = Recognizer.load(checkpoint_file, "CPU").meta
    search = decoders(Choice(lm=Path("lm.bin")), meta.vocabulary, meta.decoding).decoder
    assert (search.beam, search.min_log_prob) == (30, -8.0)
    # Tuned again as it is by default, it is as wide as that.
    assert run(capsys, "tune", "--ckpt", checkpoint_file, "--lm", "lm.bin")[0] == 0
    stored = Recognizer.load(checkpoint_file, "CPU").meta.decoding
    assert (stored["beam"], stored["min_log_prob"]) == (10, -5.0)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ("greedy", "Greedy has nothing to tune: it takes no lm_weight and no length_bonus"),
        ("classes", "--decoder classes: does not read what this network writes; use --decoder greedy or beam"),
    ],
)
def test_tune_refuses_a_decoder_that_cannot_be_tuned(checkpoint_file, capsys, decoder, message):
    code, printed, complaint = run(capsys, "tune", "--ckpt", checkpoint_file, "--lm", "lm.bin", "--decoder", decoder)
    assert (code, printed) == (2, "") and message in complaint
    assert Recognizer.load(checkpoint_file, "CPU").meta.decoding == {}


def test_tune_says_which_dev_set_is_missing(checkpoint_file, capsys):
    Path("dev.jsonl").unlink()
    code, _, complaint = run(capsys, "tune", "--ckpt", checkpoint_file, "--lm", "lm.bin")
    assert code == 2 and "dev.jsonl, is not there; give one with --manifest" in complaint


def test_tune_refuses_a_model_of_other_units(checkpoint_file, capsys):
    train([["你", "好"]]).save("hanzi.bin")
    code, _, complaint = run(capsys, "tune", "--ckpt", checkpoint_file, "--lm", "hanzi.bin")
    assert code == 2 and "the language model knows no unit of the network" in complaint


def test_importing_the_command_loads_neither_mindspore_nor_numba():
    program = "import sys, dfcnn_ms.ngram; print({'mindspore', 'numba', 'jieba', 'pypinyin'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
