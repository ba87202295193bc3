"""What a machine does to a program: it kills it, fills the disk, takes files away, has no home and no language.

What is read here is whole or refused, and what is written is there whole or not at all. Killing at any moment takes
long and is done by `make abuse` only.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import importlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from language_models import characters, ngrams
from miniatures import put, sound

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.corpora import tables
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.errors import DataError
from dfcnn_ms.files import write_text
from dfcnn_ms.training import pack
from dfcnn_ms.training.cache import FeatureCache

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "data" / "kept_0.1.0.ckpt"
for_hours = pytest.mark.skipif("DFCNN_ABUSE" not in os.environ, reason="make abuse runs it")

START = "import sys; from dfcnn_ms import cli; from dfcnn_ms.{0} import main; cli.run(main)"
#: dies where a file that is written whole would take its name
KILLED = "import os; os.replace = lambda *_: os.kill(os.getpid(), 9); " + START


def command(folder: Path, *words: str, code: str = START, **options: Any) -> subprocess.Popen[bytes]:
    """A command of the package in a process of its own."""
    begin = [sys.executable, "-c", code.format(words[0]), *words[1:]]
    return subprocess.Popen(begin, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def done(folder: Path, *words: str, **options: Any) -> None:
    """Runs a command to its end, which has to be a good one."""
    process = command(folder, *words, **options)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, b"Traceback" in err) == (0, False), err


def left(folder: Path) -> dict[str, bytes]:
    """Name -> content of the files that somebody would look at."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    seen = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in seen}


def remove(folder: Path, names: Iterable[str]) -> None:
    """Removes files, and the folders that are empty then."""
    for path in [folder / name for name in names]:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with something for each command to do, and a place for its result."""
    put(tmp_path / "text.txt", "wo3 ai4 ni3\nni3 ai4 wo3 ma5\n" * 20)
    put(tmp_path / "音.txt", "wǒ ài nǐ\nnǐ ài wǒ ma\n")
    put(tmp_path / "字.txt", "我爱你\n你爱我吗\n" * 20)
    rows = [f"u{number}\t{number}.wav\tba1 qi1" for number in range(5)]
    put(tmp_path / "table.tsv", "\n".join(["id\taudio\tpinyin", *rows]))
    for number in range(5):
        sound(tmp_path / f"{number}.wav")
    utterances = [Utterance(f"u{number}", f"{number}.wav", 0.1, ("ba1",)) for number in range(5)]
    (tmp_path / "made").mkdir()
    write_manifest(tmp_path / "made" / "m.jsonl", [Utterance("a", "../0.wav", 0.1, ("ba1",))])
    write_manifest(tmp_path / "m.jsonl", utterances)
    for name in ("one.ckpt", "two.ckpt"):
        put(tmp_path / name, KEPT.read_bytes())
    return tmp_path


#: what is killed; each makes files in the folder `made`
COMMANDS: dict[str, tuple[str, ...]] = {
    "train a language model": ("ngram", "train", "--text", "text.txt", "--out", "made/lm.arpa"),
    "prepare": ("prepare", "tsv", "--root", "table.tsv", "--out", "made/prepared", "--dev", "0", "--test", "0"),
    "train a model of characters": ("hanzi", "train", "--text", "字.txt", "--out", "made/h.bin"),
    "average": ("average", "one.ckpt", "two.ckpt", "--out", "made/mean.ckpt"),
    "pack": ("pack", "made/m.jsonl"),
}
QUICK = "prepare"


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == QUICK else for_hours) for name in COMMANDS])
def test_who_is_killed_before_a_file_has_its_name_leaves_nothing_in_the_way(name: str, room: Path) -> None:
    before = left(room / "made")
    process = command(room, *COMMANDS[name], code=KILLED)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert left(room / "made") == before
    done(room, *COMMANDS[name])
    assert len(left(room / "made")) > len(before)


@for_hours
@pytest.mark.parametrize("name", COMMANDS)
def test_who_is_killed_at_any_moment_leaves_the_old_or_the_new(name: str, room: Path) -> None:
    """Killed at twelve moments from the first to the last, where nothing was and where the old one lies."""
    before, began = left(room / "made"), time.monotonic()
    done(room, *COMMANDS[name])
    whole, seconds = left(room / "made"), time.monotonic() - began
    random = Random(name)
    for number in range(12):
        if number % 2:
            remove(room / "made", whole.keys() - before.keys())
        process = command(room, *COMMANDS[name])
        time.sleep(random.uniform(0.2, 1.1) * seconds)
        process.kill()
        process.communicate()
        assert left(room / "made").items() <= whole.items()
    done(room, *COMMANDS[name])
    assert left(room / "made") == whole


SETTINGS = (
    *("data.train=learn.jsonl", "data.dev=m.jsonl", "data.test=null", "model.hidden=[8]", "model.dropout=0.3"),
    *("model.blocks=[{channels: 4, convs: 1, stride: [2, 2], pool: [2, 2]}]", "train.mode=pynative"),
    *("train.epochs=30", "train.batch_size=2", "train.save_steps=2", "train.coach=off"),
)


@for_hours
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(room: Path) -> None:
    """Killed when its first state is there, then at five moments of being resumed."""
    write_manifest(room / "learn.jsonl", [Utterance(f"l{number}", f"{number}.wav", 0.1, ("ba1",)) for number in (0, 1)])
    begin = ("train", "--device_target", "CPU", "--run", "run", "--ckpt", "made/n.ckpt", *SETTINGS)
    began = time.monotonic()
    done(room, *begin, "--summary-base-dir", "whole")
    seconds = time.monotonic() - began
    process = command(room, *begin)
    while not (room / "summary" / "run" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    again, random = ("train", "--device_target", "CPU", "--resume", "summary/run", "--ckpt", "made/n.ckpt"), Random(0)
    for _ in range(5):
        process = command(room, *again)
        time.sleep(random.uniform(0.3, 0.9) * seconds)
        process.kill()
        process.communicate()
    done(room, *again)
    for name in ("metrics.jsonl", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        ours, theirs = (room / base / "run" / name for base in ("summary", "whole"))
        assert same_weights(ours, theirs) if name.endswith(".ckpt") else ours.read_bytes() == theirs.read_bytes(), name


def same_weights(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same bits."""
    from dfcnn_ms.runtime import checkpoint

    first, second = checkpoint.load(one).parameters, checkpoint.load(other).parameters
    same = [first[name].asnumpy().tobytes() == second[name].asnumpy().tobytes() for name in first]
    return first.keys() == second.keys() and all(same)


def _cache(path: Path) -> None:
    manifest = path.with_name("m.jsonl")
    FeatureCache.open(path.parent, read_manifest(manifest), Frontend(LogMel()))


#: what writes a file, and what the file is called
WRITERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a text": (lambda path: write_text(path, "new"), "a.txt"),
    "a manifest": (lambda path: write_manifest(path, [Utterance("a", "a.wav", 1.0, ("ba1",))]), "n.jsonl"),
    "a language model": (lambda path: ngrams().save(path), "lm.bin"),
    "a language model as text": (lambda path: ngrams().save(path), "lm.arpa"),
    "a model of characters": (lambda path: characters().save(path), "h.bin"),
    "features": (_cache, "cache"),
}
FAULTS = {
    "full, found out when it is flushed": ("fsync", errno.ENOSPC),
    "fails, found out when it is flushed": ("fsync", errno.EIO),
    "no longer to be written to": ("replace", errno.EROFS),
    "closed to us": ("replace", errno.EACCES),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_gives_up_costs_nothing_that_was_there(
    fault: str, writer: str, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, name = WRITERS[writer]
    put(room / name, "old")
    before = {path: path.read_bytes() for path in room.rglob("*") if path.is_file()}
    call, number = FAULTS[fault]

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch, pytest.raises(DataError, match=f"cannot be written: {os.strerror(number)}"):
        patch.setattr(os, call, refuse)
        write(room / name)
    assert {path: path.read_bytes() for path in room.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_cannot_even_be_begun(
    writer: str, number: int, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, name = WRITERS[writer]
    before = left(room)
    opened = io.open

    def refusing(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode and ".part" in str(file):
            raise OSError(number, os.strerror(number), file)
        return opened(file, mode, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(DataError, match=os.strerror(number)):
        patch.setattr(io, "open", refusing)
        patch.setattr("builtins.open", refusing)
        write(room / name)
    assert left(room) == before


def test_two_processes_that_make_one_cache(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes while the first computes, and is through before it."""
    utterances, frontend = read_manifest(room / "m.jsonl"), Frontend(LogMel())
    second: list[FeatureCache] = []

    class First(Frontend):
        def __call__(self, wave: np.ndarray) -> np.ndarray:
            if not second:
                other = os.getpid() + 1
                with monkeypatch.context() as patch:
                    patch.setattr(os, "getpid", lambda: other)
                    second.append(FeatureCache.open(room / "cache", utterances, frontend))
            return super().__call__(wave)

    first = FeatureCache.open(room / "cache", utterances, First(LogMel()))
    assert first.path == second[0].path and len(list((room / "cache").iterdir())) == 2
    for index, utterance in enumerate(utterances):
        expected = frontend(np.zeros(round(utterance.seconds * 16_000), np.float32))
        np.testing.assert_array_equal(first[index], expected)
        np.testing.assert_array_equal(second[0][index], expected)


@pytest.mark.parametrize("kind", ["tsv", "features"])
def test_files_that_vanish_between_two_looks(kind: str, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table leaves them out, and the features of a corpus cannot be without one."""
    utterances = read_manifest(room / "m.jsonl")

    def vanishing(one: Any) -> Iterator[Any]:
        (room / "3.wav").unlink(missing_ok=True)
        yield from one

    if kind == "tsv":
        read = tables.READERS["tsv"]
        monkeypatch.setitem(tables.READERS, "tsv", lambda path: vanishing(read(path)))
        made = tables.recipe("tsv")(room / "table.tsv", room / "out", dev=0, test=0)
        assert [one.id for one in read_manifest(made["train"])] == ["u0", "u1", "u2", "u4"]
        return
    monkeypatch.setattr("dfcnn_ms.training.cache.tqdm", lambda every, **_: vanishing(every))
    with pytest.raises(DataError, match=r"m\.jsonl:4: .*3\.wav: no such file"):
        FeatureCache.open(room / "cache", utterances, Frontend(LogMel()))
    assert not list((room / "cache").iterdir())


@pytest.mark.parametrize("damage", [b"", b"{}", b"[0]", b'[0, 1, "a"]', b"[0, 8, 16,", None])
def test_a_damaged_cache_is_made_again(damage: bytes | None, room: Path) -> None:
    """Its index is damaged, or its values are cut short."""
    utterances, frontend = read_manifest(room / "m.jsonl"), Frontend(LogMel())
    expected = [FeatureCache.open(room / "cache", utterances, frontend)[index] for index in range(len(utterances))]
    (index,), (values,) = (room / "cache").glob("*.json"), (room / "cache").glob("*.f32")
    if damage is None:
        os.truncate(values, values.stat().st_size - 100)
    else:
        index.write_bytes(damage)
    again = FeatureCache.open(room / "cache", utterances, frontend)
    for number, features in enumerate(expected):
        np.testing.assert_array_equal(again[number], features)


def test_a_file_that_vanished_before_its_features_were_looked_for(room: Path) -> None:
    utterances = read_manifest(room / "m.jsonl")
    (room / "3.wav").unlink()
    with pytest.raises(DataError, match=r"m\.jsonl:4: .*3\.wav"):
        FeatureCache.open(room / "cache", utterances, Frontend(LogMel()))


@for_hours
def test_a_pack_stays_until_the_new_one_has_its_name(room: Path) -> None:
    done(room, *COMMANDS["pack"])
    before = left(room / "made")
    command(room, *COMMANDS["pack"], code=KILLED).communicate(timeout=300)
    assert left(room / "made") == before


@for_hours
def test_what_a_killed_process_of_the_same_number_has_left_is_not_in_the_way(room: Path) -> None:
    """In a container every process may have the number of the one before."""
    folder = pack.pack_of(room / "m.jsonl")
    put(folder.with_name(f".{folder.name}.{os.getpid()}.part") / "0000.mindrecord", "half")
    pack.write_pack(room / "m.jsonl", "audio", Frontend(LogMel()))
    assert sorted(path.name for path in room.glob("*pack*")) == [folder.name]


def test_nothing_asks_the_calendar() -> None:
    """A clock that jumps changes nothing: seconds are counted by clocks that only go forward, and names have none."""
    told = {ROOT / "dfcnn_ms/serving/app.py"}  # OpenAI's API wants to know since when a model is there
    calendar = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "today"), ("date", "today")}
    for path in sorted({*(ROOT / "dfcnn_ms").rglob("*.py")} - told):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = getattr(node.value, "id", getattr(node.value, "attr", ""))
                assert (owner, node.attr) not in calendar, f"{path}:{node.lineno}"
            if isinstance(node, ast.ImportFrom):
                taken = {(node.module, one.name) for one in node.names}
                assert not taken & calendar, f"{path}:{node.lineno}"


#: where the machine can be told so; all machines can be told about memory but that of Windows
ONE_CORE = "import os; hasattr(os, 'sched_setaffinity') and os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
#: address space, of which a process takes several times what it uses
FOUR_GB = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); "

#: what a process may have to do without: its first lines, what the shell does to its streams, its environment, the
#: command, its result
POOR: dict[str, tuple[str, str, dict[str, str], tuple[str, ...], str]] = {
    "no home, a POSIX locale": (
        "",
        "",
        {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        ("ngram", "train", "--text", "音.txt", "--out", "模.arpa"),
        "模.arpa",
    ),
    "closed streams": ("", "<&- >&-", dict(os.environ), COMMANDS["prepare"], "made/prepared/train.jsonl"),
    "one core": (ONE_CORE, "", dict(os.environ), COMMANDS["prepare"], "made/prepared/train.jsonl"),
    "four gigabytes": (FOUR_GB, "", dict(os.environ), COMMANDS["average"], "made/mean.ckpt"),
}


@pytest.mark.parametrize("case", POOR)
def test_a_poor_process_makes_the_same(case: str, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed streams leave the numbers 0 and 1 to the next files that are opened: nothing may be printed into them."""
    before, streams, environment, words, made = POOR[case]
    line = f'exec "$0" -c "$1" "${{@:2}}" 2>err.txt {streams}'
    begin = ["bash", "-c", line, sys.executable, before + START.format(words[0]), *words[1:]]
    finished = subprocess.run(begin, cwd=room, env=environment, capture_output=True)
    told = (room / "err.txt").read_text()
    assert (finished.returncode, "Error" in told) == (0, False), told
    poor = (room / made).read_bytes()
    monkeypatch.chdir(room)
    importlib.import_module(f"dfcnn_ms.{words[0]}").main(list(words[1:]))
    assert (room / made).read_bytes() == poor
