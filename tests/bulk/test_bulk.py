"""Many recordings into one file: nothing twice, nothing lost, whatever ends a run and however many do the work."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tones import HERTZ, PAUSE, RATE, TONE, listener, speak, wave

from dfcnn_ms import transcribe
from dfcnn_ms.audio.sound_files import in_folder
from dfcnn_ms.audio.wave import read_wave, write_wave
from dfcnn_ms.bulk import command, items, workers
from dfcnn_ms.bulk.items import Files, Item, chunks
from dfcnn_ms.bulk.listening import Heard, Setup
from dfcnn_ms.bulk.output import Names
from dfcnn_ms.bulk.workers import in_processes
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError, DeviceError, DfcnnError
from dfcnn_ms.recognizer import Recognizer, Transcript

PLUGIN = Path(__file__).with_name("tones_loader.py")
#: a name that is no text
ODD = os.fsdecode(b"set/odd\xff.wav")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings, a stored network that may be heard by it, and a random order of lengths."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    for number in range(14):
        said = " ".join(rng.choices([unit for unit in HERTZ if unit != "si4"], k=rng.randint(0, 4)))
        speak(Path(f"set/{'deep/' if number % 3 else ''}{number:02}.wav"), said)
    speak(Path("set/deep/er.FLAC"), "er4 er4")
    speak(Path("odd.wav"), "yi1").rename(ODD)
    Path("set/notes.txt").write_text("no sound\n")
    Path("net.tones").write_text("{}")
    return tmp_path


def in_this_process(setup: Setup, count: int, wanted: Iterable[Sequence[Item]]) -> Iterator[list[Heard]]:
    """An engine without processes."""
    hear = setup.listener()
    yield from map(hear, wanted)


@pytest.fixture
def inline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, heard without processes and in chunks of four."""
    monkeypatch.setitem(command.ENGINES, "local", in_this_process)
    monkeypatch.setattr(Recognizer, "load", lambda *_: listener())
    monkeypatch.setattr(items, "CHUNK", 4)
    return folder


def hear(*arguments: str) -> None:
    transcribe.main(["--plugin", str(PLUGIN), "--ckpt", "net.tones", "--out", "out.jsonl", *arguments])


def entries(path: str = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def everything(*names: str) -> Iterator[Item]:
    return Files(names).rest(lambda name: False)


def without_origin(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("id", "made_with")}


# What a line says, and in which order lines come.


def test_a_line_is_the_json_of_transcribe_in_the_order_of_the_names(
    inline: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hear("set")
    assert capfd.readouterr().out.startswith("transcripts: 16 in out.jsonl\nheard: 0.0")
    Path(ODD).unlink()  # a terminal cannot show it
    transcribe.main(["--ckpt", "net.tones", "--format", "json", "set"])
    single = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [without_origin(one) for one in entries() if one["id"] != ODD] == single
    assert [one["id"] for one in entries()] == sorted([one["file"] for one in single] + [ODD], key=Path)


def test_a_manifest_names_its_recordings_and_parts_of_them(inline: Path) -> None:
    speak(Path("both.wav"), "yi1 er4")
    half = TONE + 0.1
    rows = [("a", 0.0, "yi1"), ("b", half, "er4")]
    write_manifest("m.jsonl", [Utterance(id, "both.wav", half, ("x",), start=start) for id, start, _ in rows])
    hear("--manifest", "m.jsonl")
    assert [(one["id"], one.get("start", 0), one["text"]) for one in entries()] == rows
    assert {one["file"] for one in entries()} == {str(inline / "both.wav")}


def test_what_is_long_is_heard_from_pause_to_pause(inline: Path) -> None:
    """A file of 40 s, the same as a line of a manifest, and its last 32 s, whose times begin there."""
    pieces = [np.concatenate([wave(said), np.zeros(2 * RATE - len(wave(said)), np.float32)]) for said in 20 * ["er4"]]
    samples = np.concatenate(pieces) + 1e-4 * np.random.default_rng(0).standard_normal(40 * RATE)
    write_wave("long.wav", samples)
    hear("long.wav")
    rows = [("whole", 40.0, 0.0), ("part", 32.0, 8.0)]
    write_manifest("m.jsonl", [Utterance(id, "long.wav", seconds, (), start=start) for id, seconds, start in rows])
    hear("--manifest", "m.jsonl")
    long, whole, part = entries()
    assert whole["text"] == " ".join(20 * ["er4"]) and part["text"] == " ".join(16 * ["er4"])
    assert long["syllables"] == whole["syllables"] and part["start"] == 8.0
    for place, one in enumerate(part["syllables"]):
        assert one["start"] == pytest.approx(2 * place + PAUSE, abs=0.1)


def test_folders_are_read_in_the_order_of_their_names(folder: Path) -> None:
    assert [item.file for item in everything("set")] == [str(file) for file in in_folder(Path("set"))]
    assert Files(["set"]).count() == 16


def test_nothing_is_named_twice(folder: Path) -> None:
    names = ["set/00.wav", "set", "./set/deep", "other.wav", "other.wav"]
    found = [item.file for item in everything(*names)]
    assert found == [*(str(file) for file in in_folder(Path("set"))), "other.wav"]


def test_chunks_are_the_recordings_in_their_order() -> None:
    rng = random.Random(0)
    for longest in (1.0, 100.0, 2000.0):
        wanted = [
            Item(str(number), "a", Utterance(str(number), "a", rng.uniform(0.1, longest), ())) for number in range(500)
        ]
        found = list(chunks(wanted))
        assert [one for chunk in found for one in chunk] == wanted
        for chunk in found:
            seconds = [one.rough_seconds for one in chunk]
            assert 1 <= len(chunk) <= items.CHUNK and (len(chunk) == 1 or sum(seconds) <= items.CHUNK_SECONDS)


def test_names_are_a_set() -> None:
    rng = random.Random(0)
    inside = {os.fsdecode(rng.randbytes(rng.randint(1, 3))) for _ in range(5000)}
    names = Names(inside)
    others = [os.fsdecode(rng.randbytes(rng.randint(1, 3))) for _ in range(5000)]
    assert len(names) == len(inside) and all(one in names for one in inside)
    assert [one in names for one in others] == [one in inside for one in others]
    assert "a" not in Names()
    assert names.add("a new name") and not names.add("a new name") and "a new name" in names


# Going on.


def test_whatever_is_left_of_a_file_the_next_run_makes_it_whole(inline: Path) -> None:
    """Cut at the ends of lines and at random places in between: the same bytes as without a cut."""
    Path("set/bad.wav").write_text("text")
    with pytest.raises(DataError):
        hear("set")
    whole = Path("out.jsonl").read_bytes()
    rng = random.Random(0)
    ends = rng.sample([place + 1 for place, byte in enumerate(whole) if byte == ord("\n")], 5)
    cuts = {end + near for end in ends for near in (-1, 0, 1)} | set(rng.sample(range(len(whole)), 10))
    for cut in sorted(cut for cut in cuts | {0} if cut <= len(whole)):
        Path("out.jsonl").write_bytes(whole[:cut])
        with pytest.raises(DataError, match="1 of 17 recordings could not be heard"):
            hear("set")
        assert Path("out.jsonl").read_bytes() == whole, cut


def test_lines_that_somebody_has_written_anew_are_understood(inline: Path) -> None:
    """Compact, with sorted keys and escapes, as other programs write JSON."""
    with pytest.raises(DataError):
        hear("set", "gone.wav")
    anew = [json.dumps(one, sort_keys=True, separators=(",", ":")) + "\n" for one in entries()]
    Path("out.jsonl").write_text("".join(anew))
    with pytest.raises(DataError, match=r"^1 of 17"):
        hear("set", "gone.wav")
    assert Path("out.jsonl").read_text() == "".join(anew)
    speak(Path("gone.wav"), "er4")
    hear("--retry", "set", "gone.wav")
    assert [*anew[:-1], *Path("out.jsonl").read_text().splitlines(keepends=True)[-1:]] == Path(
        "out.jsonl"
    ).read_text().splitlines(keepends=True)
    assert entries()[-1]["text"] == "er4"


def test_an_id_that_is_used_twice_is_refused(inline: Path) -> None:
    line = {"audio": "set/00.wav", "seconds": 0.1, "pinyin": ""}
    Path("m.jsonl").write_text("".join(json.dumps({"id": name} | line) + "\n" for name in ("a", 'b"', "c", 'b"')))
    with pytest.raises(DataError, match=r"^m\.jsonl:4: id 'b\"' was used above already; ids must differ"):
        hear("--manifest", "m.jsonl")


def test_only_what_is_new_is_heard(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hear("set/deep")
    before = Path("out.jsonl").read_bytes()
    heard: list[str] = []
    read = Item.read
    monkeypatch.setattr(Item, "read", lambda item: heard.append(item.id) or read(item))
    hear("set")
    assert Path("out.jsonl").read_bytes().startswith(before)
    assert Counter(one["id"] for one in entries()) == Counter(item.id for item in everything("set"))
    assert heard and not any(name.startswith("set/deep") for name in heard)


def test_what_cannot_be_heard_has_a_line_and_retry_hears_only_that(
    inline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("set/06.wav").write_bytes(b"")
    cut = Path("set/deep/04.wav")
    sound = cut.read_bytes()
    cut.write_bytes(sound[:-100])
    for _ in range(2):  # the second time nothing is heard, and it is said all the same
        with pytest.raises(
            DataError, match=r"^3 of 17 recordings could not be heard; the 'error' of their lines in out"
        ):
            hear("set", "gone.wav")
    bad = {one["id"]: one["error"] for one in entries() if "error" in one}
    assert set(bad) == {"set/06.wav", "set/deep/04.wav", "gone.wav"}
    for name, sentence in bad.items():  # what the command says of it alone
        with pytest.raises(DataError) as said:
            transcribe.main(["--ckpt", "net.tones", name])
        assert str(said.value) == sentence

    cut.write_bytes(sound)
    heard: list[str] = []
    read = Item.sound
    monkeypatch.setattr(Item, "sound", lambda item: heard.append(item.id) or read(item))
    with pytest.raises(DataError, match=r"^2 of 17 recordings could not be heard"):
        hear("--retry", "set", "gone.wav")
    assert sorted(heard) == sorted(bad)
    speak(Path("set/06.wav"), "er4")
    with pytest.raises(DataError, match=r"^1 of 17"):  # who does not name a recording keeps its line
        hear("--retry", "set")
    assert {one["id"]: one.get("text") for one in entries()}["set/06.wav"] == "er4"
    assert Counter(one["id"] for one in entries()) == Counter([item.id for item in everything("set")] + ["gone.wav"])


def test_a_batch_of_which_one_cannot_be_heard(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(Recognizer):
        def hear(self, waves: Sequence[Any]) -> list[Transcript]:
            if any(len(wave) == length for wave in waves):
                raise DataError("it is beyond all loudness")
            return super().hear(waves)

    def deaf(*_: Any) -> Recognizer:
        recognizer = listener()
        recognizer.__class__ = Deaf
        return recognizer

    hear("set")
    before = {one["id"]: one for one in entries()}
    speak(Path("set/long.wav"), 6 * "yi1 ")
    length = len(read_wave("set/long.wav"))
    monkeypatch.setattr(Recognizer, "load", deaf)
    Path("out.jsonl").unlink()
    with pytest.raises(DataError, match=r"^1 of 17"):
        hear("set")
    after = {one["id"]: one for one in entries()}
    assert after.pop("set/long.wav")["error"] == "set/long.wav: it is beyond all loudness"
    assert after == before


def test_what_the_system_says_of_a_file_is_one_sentence_of_its_line(
    inline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(item: Item) -> Any:
        raise PermissionError(13, "Permission denied", item.file)

    monkeypatch.setattr(Item, "read", closed)
    with pytest.raises(DataError, match=r"^1 of 1 recording could"):
        hear("set/00.wav")
    assert entries()[0]["error"] == (
        "set/00.wav: cannot be read: Permission denied; check its permissions and those above it"
    )


def test_a_file_of_another_run_is_left_as_it_is(inline: Path) -> None:
    hear("set")
    whole = Path("out.jsonl").read_bytes()
    Path("words.txt").write_text("er4\n")
    Path("two.tones").write_text("{ }")
    cases = {
        (
            "--ckpt",
            "two.tones",
        ): r"^--out out\.jsonl: line 1 was made with another network \(\w{12}, and --ckpt",
        (
            "--beam",
            "4",
        ): r"line 1 was made with other flags \(default, and now beam=4\); give the same",
        ("--hotwords", "words.txt"): r"and now hotwords=\w{12}\)",
        ("--nbest", "2"): r"and now nbest=2\)",
        ("--pause", "0.4", "--line-characters", "9"): r"and now pause=0.4 line_characters=9\)",
    }
    for flags, sentence in cases.items():
        with pytest.raises(ConfigError, match=sentence):
            hear(*flags, "set")
        assert Path("out.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    "content", ["text\n", "text", "[1]\n", '{"id": 3}\n', '{"file": "a", "text": "b"}\n', "\0" * 9]
)
def test_a_file_of_somebody_else_is_left_as_it_is(inline: Path, content: str) -> None:
    Path("out.jsonl").write_text(content)
    with pytest.raises(DataError, match=r"^--out out\.jsonl: .*; give another"):
        hear("set")
    assert Path("out.jsonl").read_text() == content


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--workers", "2", "a.wav"],
            r"^--workers: is for many recordings in one file of lines; give --out FILE\.jsonl too",
        ),
        (["--manifest", "m.jsonl"], r"^--manifest: is for many"),
        (["--retry", "a.wav"], r"^--retry: is for many"),
        (["--out", "o.jsonl"], r"^no recordings; name files or folders, or a manifest with --manifest FILE"),
        (["--out", "o.jsonl", "--manifest", "m.jsonl", "a.wav"], r"^--manifest m\.jsonl: and a\.wav as well"),
        (["--out", "o.jsonl", "--workers", "0", "a.wav"], r"^--workers 0: wanted 1 or more"),
        (["--out", "o.jsonl", "--format", "srt", "a.wav"], r"^--format srt: --out FILE\.jsonl holds JSON, a line each"),
        (["--out", "no/o.jsonl", "a.wav"], r"^--out no/o\.jsonl: the folder no does not exist"),
        (
            ["--out", "m.jsonl", "--manifest", "m.jsonl"],
            r"^--out m\.jsonl: would be written over m\.jsonl",
        ),
        (["--out", "o.jsonl", "--manifest", "no.jsonl"], r"^no\.jsonl: no such manifest"),
        (["--out", "o.jsonl", "empty"], r"^empty: is a directory without a sound file"),
        (["--out", "o.jsonl", "--ckpt", "no.ckpt", "set"], r"^no\.ckpt: no such checkpoint"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(inline: Path, arguments: list[str], sentence: str) -> None:
    Path("empty").mkdir()
    write_manifest("m.jsonl", [Utterance("a", "set/00.wav", 1.0, ())])
    with pytest.raises(DfcnnError, match=sentence):
        transcribe.main(["--ckpt", "net.tones", *arguments])
    assert not Path("o.jsonl").exists() or not Path("o.jsonl").read_bytes()


def test_a_folder_that_may_not_be_looked_into_counts(
    inline: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"^1 of \d recordings could not be heard"):
        hear("set")
    assert caplog.messages == ["left out: set/deep: cannot be read: Permission denied; check its permissions"]


def test_a_line_of_a_manifest_that_is_wrong_stops_there_and_what_was_heard_stays(inline: Path) -> None:
    write_manifest("m.jsonl", [Utterance(str(number), "set/00.wav", 0.1, ()) for number in range(9)])
    lines = Path("m.jsonl").read_text().splitlines()
    Path("m.jsonl").write_text("\n".join([*lines[:6], "broken", *lines[6:]]))
    with pytest.raises(DataError, match=r"^m\.jsonl:7: not JSON"):
        hear("--manifest", "m.jsonl")
    assert [one["id"] for one in entries()] == ["0", "1", "2", "3"]  # whole chunks
    Path("m.jsonl").write_text("\n".join(lines))
    hear("--manifest", "m.jsonl")
    assert [one["id"] for one in entries()] == [str(number) for number in range(9)]


# Processes.


class Hasty(workers.Staff):
    """Gives an empty answer at once, but for the first chunk."""

    def hear(self, items: Sequence[Item]) -> list[Heard]:
        if items[0].id == "0":
            gate.wait(60)
        return [Heard(items[0].id.encode(), 0.0, failed=False)]


gate = threading.Event()


def test_a_source_is_read_no_further_than_the_work_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the first chunk takes; and the order stays."""
    monkeypatch.setattr(workers, "Staff", Hasty)
    taken = 0

    def endless() -> Iterator[list[Item]]:
        nonlocal taken
        while True:
            yield [Item(str(taken), "a")]
            taken += 1

    gate.clear()
    found = in_processes(Setup(Path("x"), "auto", Choice()), 3, endless())
    threading.Timer(0.2, gate.set).start()
    order = [int(next(found)[0].line) for _ in range(100)]
    assert order == list(range(100))
    assert taken <= 100 + 3 * (workers.AHEAD + 1)
    found.close()


def command_line(*arguments: str) -> list[str]:
    """The command in a process of its own, with chunks of a single recording."""
    start = f"import sys; sys.path.append({str(PLUGIN.parents[1])!r}); from dfcnn_ms.bulk import items; items.CHUNK = 1"
    start += "; from dfcnn_ms import cli, transcribe; cli.run(transcribe.main)"
    given = ["--plugin", str(PLUGIN), "--ckpt", "net.tones", "--out", "out.jsonl", *arguments]
    return [sys.executable, "-c", start, *given]


@pytest.mark.slow
def test_as_many_workers_as_you_like_write_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "CHUNK", 4)
    Path("set/bad.wav").write_text("text")
    written = set()
    for count in ("1", "2"):
        Path("out.jsonl").unlink(missing_ok=True)
        with pytest.raises(DataError, match=r"^1 of 17"):
            hear("set", "--workers", count)
        written.add(Path("out.jsonl").read_bytes())
    assert len(written) == 1


@pytest.mark.slow
def test_a_recording_that_kills_twice_is_bad_and_the_others_are_heard(
    inline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear("set")
    before = {one["id"]: without_origin(one) for one in entries()}
    Path("out.jsonl").unlink()
    monkeypatch.setitem(command.ENGINES, "local", in_processes)
    Path("net.tones").write_text('{"deadly": "si4"}')
    speak(Path("set/deep/05a.wav"), "er4 si4")
    with pytest.raises(DataError, match=r"^1 of 17"):
        hear("set", "--workers", "1")
    after = {one["id"]: without_origin(one) for one in entries()}
    assert after.pop("set/deep/05a.wav")["error"] == (
        "set/deep/05a.wav: the process that heard it was killed (SIGKILL, perhaps for want of memory), twice; look at "
        "it, or try fewer --workers"
    )
    assert after == before


@pytest.mark.slow
def test_a_network_that_cannot_be_used_is_one_sentence(folder: Path) -> None:
    Path("bad.onnx").write_text("nothing")
    with pytest.raises(CheckpointError, match=r"^bad\.onnx: "):
        hear("set", "--workers", "1", "--ckpt", "bad.onnx")
    assert Path("out.jsonl").read_bytes() == b""


@pytest.mark.long
@pytest.mark.slow
def test_a_command_that_is_killed_is_gone_on_with_and_leaves_nobody_behind(folder: Path) -> None:
    """By SIGKILL, with a worker that was killed before it, and by Ctrl-C; each as soon as more lines are there."""
    Path("net.tones").write_text('{"pause": 0.1}')
    wanted = [str(file) for file in in_folder(Path("set"))]
    lines = 0
    for end in (signal.SIGKILL, signal.SIGINT):
        process = begun()
        wait_for_lines(lines, process)
        children = psutil.Process(process.pid).children()
        if end == signal.SIGKILL:
            children[0].kill()
            wait_for_lines(count_lines(), process)
            children = psutil.Process(process.pid).children()
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == ((130, "stopped\n") if end == signal.SIGINT else (-9, ""))
        assert not psutil.wait_procs(children, timeout=10)[1]
        lines = count_lines()
        assert 0 < lines < len(wanted)
    process = begun()
    _, errors = process.communicate(timeout=60)
    assert errors.startswith("error: 1 of 17 recordings could not be heard") and len(errors.splitlines()) == 1
    assert process.returncode == 2
    assert [one["id"] for one in entries()] == [*wanted, "gone.wav"]


def begun() -> subprocess.Popen[str]:
    arguments = command_line("set", "gone.wav", "--workers", "1")
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(more_than: int, process: subprocess.Popen[str]) -> None:
    """Until there are some more."""
    until = time.monotonic() + 60
    while count_lines() <= more_than and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def count_lines() -> int:
    return Path("out.jsonl").read_bytes().count(b"\n") if Path("out.jsonl").exists() else 0


def test_without_ray_the_flag_says_what_to_install(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DeviceError, match=r"^--engine ray: Ray is not installed; pip install 'dfcnn-ms\[ray\]'"):
        hear("--engine", "ray", "set")
