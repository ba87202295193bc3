"""The page about extending, run as it stands: a network, a task, a decoder, a loader and a corpus from outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tones import HERTZ, speak

from dfcnn_ms import plugins
from dfcnn_ms.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
FILES = {
    code.split("\n", 1)[0].removeprefix("# "): code
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
}
MOST_LINES = 60
CONFIG = """\
name: mine
task: {kind: toneless}
data: {train: data/train.jsonl, dev: data/dev.jsonl, test: data/test.jsonl}
features: {kind: log_mel, n_mels: 20}
cmvn: none
model: {kind: time_delay, channels: 16}
train: {epochs: 25, batch_size: 8, buckets: 1, rate: 0.01, optimizer: adam}
"""
#: what none of the commands may need when another loader is used
BLOCKED = "import sys; sys.modules['mindspore'] = None; "


def run(folder: Path, module: str, *arguments: str, blocked: bool = False) -> subprocess.CompletedProcess[str]:
    start = f"{BLOCKED if blocked else ''}from dfcnn_ms import cli; from dfcnn_ms.{module} import main; cli.run(main)"
    command = [sys.executable, "-c", start, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def done(folder: Path, module: str, *arguments: str, blocked: bool = False) -> str:
    """What a command prints that must succeed."""
    finished = run(folder, module, *arguments, blocked=blocked)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, all of them together in one more, and sounds that are named by what they say."""
    folder = tmp_path_factory.mktemp("extending")
    for name, code in FILES.items():
        (folder / name).write_text(code, encoding="utf-8")
    (folder / "single.py").write_text("\n".join(FILES.values()), encoding="utf-8")
    (folder / "mine.yaml").write_text(CONFIG)
    rng = np.random.default_rng(0)
    for number in range(80):
        said = rng.choice(list(HERTZ), size=rng.integers(1, 5)).tolist()
        speak(folder / "sounds" / f"{'_'.join(said)}.{number}.wav", " ".join(said))
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    made = done(folder, "prepare", "--plugin", "named.py", "named", "--root", "sounds", "--out", "data", "--dev", "0.2")
    assert made == ""
    done(folder, "train", "--plugin", "time_delay.py", "--plugin=toneless.py", "--config", "mine.yaml")
    return folder


def test_each_file_of_the_page_is_short_and_registers_one_thing() -> None:
    assert set(FILES) == {"time_delay.py", "toneless.py", "cautious.py", "linear.py", "named.py"}
    for name, code in FILES.items():
        assert len(code.splitlines()) < MOST_LINES, name
        assert len(re.findall(r"^[A-Z]+\[\"[.\w]+\"\] = ", code, re.MULTILINE)) == 1, name


@pytest.mark.slow
def test_a_corpus_a_network_and_a_task_from_outside_are_trained(trained: Path) -> None:
    lines = (trained / "data" / "train.jsonl").read_text().splitlines()
    assert {syllable for line in lines for syllable in json.loads(line)["pinyin"].split()} == set(HERTZ)
    records = [json.loads(line) for line in (trained / "summary" / "mine" / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["dev_base_error_rate"] <= 0.1 < records[0]["dev_base_error_rate"]
    assert {"loss_per_base", "blank_fraction"} <= set(records[-1])
    log = (trained / "summary" / "mine" / "log.txt").read_text()
    assert "dev base error" in log


@pytest.mark.slow
def test_a_decoder_from_outside_reaches_eval_transcribe_and_calibrate(trained: Path) -> None:
    """With a single file that holds everything."""
    use = ["--plugin", "single.py", "--ckpt", "dfcnn.ckpt", "--decoder", "cautious"]
    table = done(trained, "eval", *use, "--json", "figures.json", "--report", "report.html")
    assert "base error rate" in table and "cautious *" in table
    figures = json.loads((trained / "figures.json").read_text())
    assert figures["base_error_rate"] <= 0.1
    assert [one["decoder"] for one in figures["decoders"]] == ["greedy", "beam", "cautious"]
    assert "Base errors of" in (trained / "report.html").read_text(encoding="utf-8")
    said = json.loads((trained / "data" / "test.jsonl").read_text().splitlines()[0])
    heard = done(trained, "transcribe", *use, said["audio"].removeprefix("../"))
    assert set(heard.split("\t")[1].split()) <= {syllable[:-1] for syllable in HERTZ}
    assert "temperature" in done(trained, "calibrate", *use)


@pytest.mark.slow
def test_without_its_plugin_a_checkpoint_says_what_is_missing(trained: Path) -> None:
    finished = run(trained, "eval", "--ckpt", "dfcnn.ckpt")
    assert finished.returncode == 2
    assert "unknown kind 'toneless'" in finished.stderr and "--plugin FILE adds kinds" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_loader_from_outside_works_where_mindspore_cannot_be_imported(trained: Path) -> None:
    """One matrix, fitted to tones whose places are known; every command that listens, with MindSpore blocked."""
    program = """
import numpy as np
import linear, tones
from dfcnn_ms.config import parse_config
from dfcnn_ms.runtime.meta import Meta
from pathlib import Path

config = parse_config({
    "data": {"train": "data/train.jsonl", "dev": "data/dev.jsonl"},
    "features": {"kind": "log_mel", "n_mels": 20}, "cmvn": "none",
    "model": {"blocks": [{"channels": 1, "convs": 1, "pool": [2, 1]}], "hidden": []},
}, "page")
frontend = tones.listener().frontend
rows, targets = [], []
for unit in tones.HERTZ:
    features = frontend(tones.wave(unit))
    times = np.arange(len(features)) * 0.01 + 0.0125
    loud = (times > tones.PAUSE) & (times < tones.PAUSE + tones.TONE)
    rows.append(features)
    wanted = np.zeros((len(features), len(tones.VOCABULARY)))
    wanted[np.arange(len(features)), np.where(loud, tones.VOCABULARY.encode([unit])[0], 0)] = 12.0
    targets.append(wanted)
matrix = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
manifests = {split: str(Path(f"data/{split}.jsonl").absolute()) for split in ("train", "dev", "test")}
linear.save(Path("tones.linear"), matrix, Meta(config, tones.VOCABULARY, manifests=manifests))
"""
    paths = f"import sys; sys.path += ['.', {str(Path(__file__).parents[1])!r}]; "
    made = subprocess.run(
        [sys.executable, "-c", BLOCKED + paths + program], cwd=trained, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    use = ["--plugin", "linear.py", "--ckpt", "tones.linear"]
    speak(trained / "a.wav", "yi1 er4 san1 si4")
    assert done(trained, "transcribe", *use, "a.wav", blocked=True) == "a.wav\tyi1 er4 san1 si4\n"
    done(trained, "eval", *use, "--json", "linear.json", "--report", "linear.html", blocked=True)
    assert json.loads((trained / "linear.json").read_text())["syllable_error_rate"] <= 0.1
    aligned = done(trained, "align", *use, "--audio", "a.wav", "--text", "yi1 er4 san1 si4", blocked=True)
    assert aligned.count("\n") == 6
    done(trained, "calibrate", *use, blocked=True)
    assert "temperature" in json.loads(str(np.load(trained / "tones.linear")["meta"]))["decoding"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.py", None, "no such file; wanted a file such as mine.py"),
        ("plugin.txt", "", "is no Python file"),
        ("broken.py", "1 / 0", "cannot be loaded: ZeroDivisionError: division by zero; mend it"),
        ("half.py", "def (", "cannot be loaded: SyntaxError"),
        ("json.py", "", "'json' is the name of another module; give the file another name"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_one_sentence(
    tmp_path: Path, name: str, content: str | None, complaint: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=complaint):
        plugins.load_file(tmp_path / name)
    assert name.removesuffix(".py") in ("json",) or name.removesuffix(".py") not in sys.modules


def test_a_plugin_is_loaded_once_and_its_flag_is_taken_from_the_arguments(tmp_path: Path) -> None:
    counter = tmp_path / "count.txt"
    name = "plugin_that_counts"
    (tmp_path / f"{name}.py").write_text(f"open({str(counter)!r}, 'a').write('x')")
    file = str(tmp_path / f"{name}.py")
    try:
        assert plugins.load(["--plugin", file, "a", f"--plugin={file}", "--", "--plugin", "b"]) == [
            "a", "--", "--plugin", "b",
        ]  # fmt: skip
        assert counter.read_text() == "x"
        with pytest.raises(ConfigError, match="wanted a Python file"):
            plugins.load(["a", "--plugin"])
    finally:
        sys.modules.pop(name, None)
        sys.path.remove(str(tmp_path))


def test_installed_plugins_are_found_by_their_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name, value = "mine", "mine.plugin"

        def __init__(self, error: Exception | None) -> None:
            self.error, self.loaded = error, 0

        def load(self) -> None:
            self.loaded += 1
            if self.error:
                raise self.error

    entries = [Entry(None)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: entries if group == "dfcnn_ms" else [])
    plugins.load_installed.cache_clear()
    try:
        plugins.load_installed()
        plugins.load_installed()
        assert entries[0].loaded == 1
        plugins.load_installed.cache_clear()
        entries[:] = [Entry(ImportError("no module named x"))]
        with pytest.raises(ConfigError, match=r"plugin mine \(mine.plugin\) cannot be loaded: ImportError: no module"):
            plugins.load_installed()
    finally:
        monkeypatch.undo()
        plugins.load_installed.cache_clear()
        plugins.load_installed()
