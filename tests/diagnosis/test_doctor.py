"""The doctor: what it makes of machines of every sort, on a broken one too; and what it reads out of MindSpore."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dfcnn_ms import cli, doctor, doctor_data
from dfcnn_ms.config import load_config
from dfcnn_ms.diagnosis import checks, kernels, operators, probe
from dfcnn_ms.diagnosis.checks import Cards, Limits
from dfcnn_ms.diagnosis.kernels import Kernels
from dfcnn_ms.diagnosis.operators import Graph
from dfcnn_ms.diagnosis.result import CheckResult
from dfcnn_ms.errors import DeviceError
from dfcnn_ms.models import NETWORKS
from dfcnn_ms.tasks import TASKS

ROOT = Path(doctor.__file__).parent.parent
INF = math.inf


def finding(mark: str, cure: str = "") -> CheckResult:
    return CheckResult(mark, "x", "y", cure)  # type: ignore[arg-type]


# What is made of what was found out. Each line: the machine, the mark, a word of the cure.

JUDGED = {
    "python too old": (checks.judge_python((3, 9, 18), True), "fail", "python3.11"),
    "python too new": (checks.judge_python((3, 13, 0), True), "fail", "python3.11"),
    "python of 32 bit": (checks.judge_python((3, 11, 4), False), "fail", "64-bit"),
    "python 3.10": (checks.judge_python((3, 10, 0), True), "ok", ""),
    "python 3.12": (checks.judge_python((3, 12, 9), True), "ok", ""),
    "no mindspore": (checks.judge_mindspore(None), "fail", "pip install mindspore==2.8.0"),
    "mindspore 2.6": (checks.judge_mindspore("2.6.0"), "fail", "2.8.0"),
    "mindspore 2.10, which sorts before 2.9": (checks.judge_mindspore("2.10.0"), "fail", "2.8.0"),
    "mindspore 2.7": (checks.judge_mindspore("2.7.0"), "ok", ""),
    "mindspore 2.9rc": (checks.judge_mindspore("2.9.0rc1"), "ok", ""),
    "import without libgomp": (
        checks.judge_failed_import(1, "ImportError: libgomp.so.1: cannot open shared object file"),
        "fail",
        "apt install libgomp1",
    ),
    "import with numpy 2": (checks.judge_failed_import(1, "AttributeError: _ARRAY_API not found"), "fail", "numpy<2"),
    "import without attrs": (
        checks.judge_failed_import(1, "No module named 'astunparse'"),
        "fail",
        "install astunparse",
    ),
    "import that is killed": (checks.judge_failed_import(-4, ""), "fail", "processor"),
    "import of unknown sorrow": (checks.judge_failed_import(1, "KeyError: 3"), "fail", "--force-reinstall"),
    "a gpu in use": (checks.judge_device(["GPU", "CPU"], Cards(nvidia=True)), "ok", ""),
    "an ascend in use": (checks.judge_device(["Ascend", "CPU"], Cards()), "ok", ""),
    "no card": (checks.judge_device(["CPU"], Cards()), "ok", ""),
    "a card that is not used": (checks.judge_device(["CPU"], Cards(nvidia=True)), "warn", "lines on the GPU"),
    "an ascend without cann": (checks.judge_device(["CPU"], Cards(ascend=True)), "warn", "CANN"),
    "an ascend not set up": (checks.judge_device(["CPU"], Cards(ascend=True, cann=True)), "warn", "set_env.sh"),
    "no answer about devices": (checks.judge_device([], Cards(), -11, ""), "fail", ""),
    # milliseconds of MindSpore 2.8.0, and of 2.9.0 on AVX-512 with and without the guard
    "2.8": (checks.judge_convolution(72, 80, None), "ok", ""),
    "2.9 with the guard": (checks.judge_convolution(87, 81, "AVX2"), "ok", ""),
    "2.9 without": (checks.judge_convolution(4768, 42, "AVX512_CORE"), "warn", "ONEDNN_MAX_CPU_ISA=AVX2"),
    "fast code": (checks.judge_fast_code(""), "ok", ""),
    "another processor": (checks.judge_fast_code("known for Linux on x86-64 only"), "ok", ""),
    "no code among temporary files": (checks.judge_fast_code("", "a library can't be loaded"), "warn", "TMPDIR"),
    "threads": (checks.judge_threads(8, INF, None), "ok", ""),
    "as many threads as cores": (checks.judge_threads(8, INF, "8"), "ok", ""),
    "too many threads": (checks.judge_threads(2, INF, "8"), "warn", "OMP_NUM_THREADS=2"),
    "too few threads": (checks.judge_threads(8, INF, "1"), "warn", "unset"),
    "threads by level": (checks.judge_threads(4, INF, "4,2"), "ok", ""),
    "threads that are no number": (checks.judge_threads(4, INF, "all"), "warn", "unset"),
    "no threads": (checks.judge_threads(4, INF, "0"), "warn", "unset"),
    "a container of two cores": (checks.judge_threads(64, 2.0, None), "warn", "OMP_NUM_THREADS=2"),
    "a container of half a core": (checks.judge_threads(4, 0.5, None), "warn", "OMP_NUM_THREADS=1"),
    "a container that is known": (checks.judge_threads(64, 2.0, "2"), "ok", ""),
    "a busy machine": (checks.judge_threads(2, INF, None, load=3.0), "warn", "top"),
    "memory": (checks.judge_memory(16e9, INF), "ok", ""),
    "memory of a small container": (checks.judge_memory(64e9, 1e9), "warn", "close"),
    "hardly any memory": (checks.judge_memory(0.5e9, INF), "fail", "close"),
    "memory that is not told": (checks.judge_memory(INF, INF), "ok", ""),
    "room": (checks.judge_disk(Path("/x"), 50e9, True), "ok", ""),
    "little room": (checks.judge_disk(Path("/x"), 1e9, True), "warn", "room"),
    "no room": (checks.judge_disk(Path("/x"), 1e6, True), "fail", "room"),
    "somebody else's folder": (checks.judge_disk(Path("/x"), 50e9, False), "fail", "cd"),
    "all formats": (checks.judge_formats({"WAV", "FLAC", "OGG", "MP3", "AIFF"}, "1.2"), "ok", ""),
    "no mp3": (checks.judge_formats({"WAV", "FLAC", "OGG"}, "1.0.31"), "warn", "--upgrade soundfile"),
    "espeak": (checks.judge_speech(True), "ok", ""),
    "no espeak": (checks.judge_speech(False), "warn", "[synth]"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_what_is_made_of_a_machine(name: str) -> None:
    found, mark, cure = JUDGED[name]
    assert found.mark == mark
    assert cure in found.cure
    assert "\n" not in str(found)
    assert found.cure or mark == "ok" or name == "no answer about devices"


def test_cards_and_their_software(tmp_path: Path) -> None:
    assert checks.cards({}, tmp_path) == Cards()
    for name in ("dev/nvidia0", "dev/davinci0", "usr/local/Ascend/cann/version.cfg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert checks.cards({}, tmp_path) == Cards(nvidia=True, ascend=True, cann=True)
    driver = tmp_path / "other" / "proc" / "driver" / "nvidia" / "version"
    driver.parent.mkdir(parents=True)
    driver.touch()
    assert checks.cards({}, tmp_path / "other") == Cards(nvidia=True)


class Device:
    """A device of MindSpore's, with so many cards; an error instead of a number is raised."""

    def __init__(self, cards: int | Exception, available: bool = True) -> None:
        self.cards, self.available = cards, available

    def is_available(self) -> bool:
        return self.available

    def device_count(self) -> int:
        if isinstance(self.cards, Exception):
            raise self.cards
        return self.cards


def test_a_device_without_a_card_is_none() -> None:
    assert probe.is_usable(Device(1))
    assert not probe.is_usable(Device(0))
    assert not probe.is_usable(Device(1, available=False))
    assert not probe.is_usable(Device(RuntimeError("CUDA driver version is insufficient")))


def test_what_the_linker_has_against_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(probe.cuda, "in_package", lambda *_: Path("plugin.so"))
    assert probe.complaint_of_plugin(refuse) == "libcuda.so.1: cannot open shared object file"
    assert probe.complaint_of_plugin(lambda path: None) == ""
    monkeypatch.setattr(probe.cuda, "in_package", lambda *_: None)
    assert probe.complaint_of_plugin(refuse) == ""


def test_versions_that_clash() -> None:
    good = {"numpy": "1.26.4", "marshmallow": "3.26.2", "pandas": "1.5.3", "protobuf": "3.20.1"}
    assert [one.mark for one in checks.judge_versions(good, (3, 11))] == ["ok"]
    bad = {"numpy": "2.1.0", "marshmallow": "4.0.0", "pandas": "2.2.3", "protobuf": "3.20.2"}
    assert [one.cure for one in checks.judge_versions(bad, (3, 11))] == [
        "pip install 'numpy<2'",
        "pip install 'marshmallow<4'",
        "pip install 'pandas<2'",
        "pip install 'protobuf<=3.20.1'",
    ]
    assert [one.mark for one in checks.judge_versions({"pandas": "2.2.3"}, (3, 12))] == [
        "ok"
    ]  # no wheels to go back to


def test_requirements_of_extras_are_not_required() -> None:
    lines = ["numpy<2,>=1.23", "pandas<2; python_version < '3.12'", "pandas>=2; python_version >= '3.12'", "PyYAML>=6"]
    assert checks.required([*lines, "pytest>=8; extra == 'dev'"]) == ["numpy", "pandas", "pyyaml"]


def group(root: Path, own: str, files: dict[str, str]) -> Limits:
    """The limits where `/proc/self/cgroup` says `own` and `/sys/fs/cgroup` holds `files`."""
    for name, text in {
        "proc/self/cgroup": own,
        **{f"sys/fs/cgroup/{key}": text for key, text in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return checks.cgroup_limits(root)


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    files = {
        "a/cpu.max": "400000 100000\n",
        "a/b/cpu.max": "max 100000\n",
        "memory.max": "max\n",
        "a/b/memory.max": "9\n",
    }
    assert group(tmp_path, "0::/a/b\n", files) == Limits(4.0, 9.0)


def test_groups_of_the_first_version(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "memory/docker/memory.limit_in_bytes": "1000000000\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    own = "4:memory:/docker\n3:cpu,cpuacct:/docker\n1:name=systemd:/docker\n"
    assert group(tmp_path, own, files) == Limits(1.5, 1e9)


def test_without_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert checks.cgroup_limits(tmp_path) == Limits()
    assert group(tmp_path, "0::/a\n", {"cpu.max": "max 100000", "a/cpu.max": "-1 100000"}) == Limits()


def test_a_check_that_breaks_ends_no_other() -> None:
    def broken() -> None:
        raise PermissionError("not for you")

    (only,) = checks.guarded("disk", broken)  # type: ignore[arg-type]
    assert (only.mark, only.says) == ("warn", "could not be looked at: PermissionError: not for you")


# The command.


def test_exit_code_and_last_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for marks, code, last in (
        (("ok", "ok"), 0, "training can start"),
        (("ok", "warn"), 0, "training can start (1 warning)"),
        (("fail", "warn", "fail"), 1, "training cannot start: cure the 2 things marked fail"),
    ):
        monkeypatch.setattr(doctor, "examine", lambda marks=marks: map(finding, marks))
        with pytest.raises(SystemExit) as left:
            cli.run(lambda _: doctor.main([]))
        assert left.value.code == code
        *lines, verdict = capsys.readouterr().out.splitlines()
        assert verdict == last
        assert [line.split()[0] for line in lines] == list(marks)


def test_data_is_examined_by_its_own_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(doctor_data, "main", lambda argv: given.append(argv) or 1)
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: doctor.main(["data", "a.jsonl", "--strict"]))
    assert left.value.code == 1 and given == [["a.jsonl", "--strict"]]


@pytest.mark.parametrize("arguments", [["--operator"], ["dta"], ["x.wav"], ["--strict"]])
def test_what_it_does_not_know_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: doctor.main(arguments))
    assert left.value.code == cli.USER_ERROR
    assert capsys.readouterr().err.startswith("error: python -m dfcnn_ms.doctor: unrecognized arguments")


def run(folder: Path, *arguments: str, python: tuple[str, ...] = ()) -> tuple[int, str]:
    """The doctor in a process of its own, with `folder` before all other packages."""
    environment = {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, *python, "-m", "dfcnn_ms.doctor", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_where_nothing_at_all_is_installed(tmp_path: Path) -> None:
    """`-S`: the interpreter finds no package but the standard library."""
    code, said = run(tmp_path, python=("-S",))
    assert code == 1
    assert "fail  mindspore    is not installed; cure: pip install mindspore==2.8.0" in said
    assert "fail  audio        soundfile: No module named 'soundfile'" in said
    assert "ok    disk" in said and "Traceback" not in said
    assert run(tmp_path, "--operators", python=("-S",))[0] == cli.USER_ERROR


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ImportError('libgomp.so.1: cannot open shared object file')", "cure: apt install libgomp1"),
        ("import os; os.kill(os.getpid(), 4)", "signal SIGILL"),
        ("raise SystemExit(3)", "exit code 3"),
    ],
)
def test_a_mindspore_that_cannot_be_imported(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "mindspore").mkdir()
    (tmp_path / "mindspore" / "__init__.py").write_text(source)
    code, lines = run(tmp_path)
    assert code == 1
    (line,) = (line for line in lines.splitlines() if " import " in line)
    assert line.startswith("fail") and said in line


@pytest.mark.slow
def test_this_machine_can_train(tmp_path: Path) -> None:
    """Here are the tests' own packages, so nothing may be missing; a warning (load, threads) is no fault."""
    code, said = run(tmp_path)
    assert code == 0, said
    assert "ok    import" in said and " convolution " in said
    assert said.splitlines()[-1].startswith("training can start")


# The kernels that MindSpore's libraries register. Measured by loading the GPU plugin of 2.8.0 over stubs of CUDA: 587
# kernels in the newer of its two registries.

PRESENT = (
    "Conv2D",
    "Conv2DBackpropFilter",
    "BatchNorm",
    "BatchNormGrad",
    "MaxPool",
    "CTCLossV2",
    "CTCLossV2Grad",
    "Adam",
)
NOT_ON_GPU = ("DynamicRNN", "DynamicGRUV2", "STFT", "RFFT", "SyncBatchNorm", "NoSuchOperator")


@pytest.fixture(scope="module")
def installed() -> tuple[Kernels, Kernels]:
    return kernels.installed_kernels()


@pytest.mark.parametrize("primitive", PRESENT)
def test_kernels_that_are_there_are_found(installed: tuple[Kernels, Kernels], primitive: str) -> None:
    assert all(device.evidence(primitive) for device in installed)


@pytest.mark.parametrize("primitive", NOT_ON_GPU)
def test_kernels_that_are_not_there_are_not_found(installed: tuple[Kernels, Kernels], primitive: str) -> None:
    """The plugin mentions all but the last by name, hundreds of times, without registering a kernel."""
    gpu, ascend = installed
    assert not gpu.evidence(primitive)
    assert not ascend.evidence("NoSuchOperator")


def test_both_registries_of_the_gpu_are_read(installed: tuple[Kernels, Kernels]) -> None:
    assert len(installed[0].sources["kernel"]) >= 587


def test_what_is_no_library_registers_nothing(tmp_path: Path) -> None:
    for content in (b"", b"text", b"\x7fELF\x01\x01" + bytes(60), bytes(range(256))):
        (tmp_path / "x.so").write_bytes(content)
        kernels.registered_names.cache_clear()
        assert kernels.registered_names(tmp_path / "x.so") == frozenset()


def test_a_wheel_without_plugins_says_that_nothing_is_known(tmp_path: Path) -> None:
    gpu, ascend = kernels.installed_kernels(tmp_path)
    assert operators.evidence("Conv2D", gpu, decomposed=False) == "unknown"
    assert "GPU: unknown; Ascend: unknown" in operators.verdict([], gpu, ascend, 0)


def test_without_mindspore_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match="is not installed"):
        kernels.installed_kernels()


# The graphs.

WRITTEN = """
subgraph @construct(%para1_x, %para2_w) {
  %0(loss) = PrimFunc_Mul(%para1_x, Tensor(shape=[], dtype=Float32, value=2))
      : (<Tensor[Float32], (2)>, <Tensor[Float32], ()>) -> (<Tensor[Float32], (2)>)
      # In file cells.py:3, 4~5, 6-7/        loss = Sub(x)/
  %1(CNode_7) = Conv2D(%0, %para2_w) {instance name: conv2d} primitive_attrs: {kernel: I64(3)}
  %2([CNode]8) = $(@other)(%1)
  Return(%1)
}
"""


def test_the_primitives_of_a_written_graph() -> None:
    assert operators.primitives(WRITTEN) == {"Mul": 1, "Conv2D": 1}
    assert operators.primitives(WRITTEN + WRITTEN) == {"Mul": 2, "Conv2D": 2}


def test_what_is_launched_is_what_has_a_kernel() -> None:
    nodes = operators.primitives(WRITTEN + "  %3(x) = Depend(%1, %2)\n  %4(x) = Switch(%1)\n" + WRITTEN)
    assert nodes["Depend"] == nodes["Switch"] == 1
    assert operators.launches(nodes) == 4


GPU = Kernels("GPU", {"kernel": frozenset({"Conv2D", "Mul"})})
ASCEND = Kernels("Ascend", {"CANN": frozenset({"Conv2D", "Mul", "GRU"}), "AiCPU": frozenset({"Mul"})})


def test_the_table_of_the_audit() -> None:
    one = Graph("one", front=frozenset({"Conv2D", "SumExt", "Depend"}), built=frozenset({"Conv2D", "Mul", "Depend"}))
    two = Graph("two", front=frozenset({"GRU"}), built=frozenset({"GRU"}))
    rows = operators.table([one, two], GPU, ASCEND)
    assert [(row.primitive, row.gpu, row.ascend, row.graphs) for row in rows] == [
        ("Conv2D", "kernel", "CANN", ("one",)),
        ("GRU", "-", "CANN", ("two",)),
        ("Mul", "kernel", "CANN, AiCPU", ("one",)),
        ("SumExt", "decomposed", "decomposed", ("one",)),
    ]
    assert [row.primitive for row in rows if row.lacks] == ["GRU"]
    assert operators.markdown(rows).splitlines()[3] == "| GRU       | -            | CANN            |"
    assert operators.explanation([one, two]).startswith("needs no kernel: Depend")


def test_an_audit_that_finds_a_lack_exits_with_1(
    cpu: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(operators, "pages", lambda: [("a page", None)])
    graph = Graph("a page", frozenset({"Conv2D", "DynamicRNN"}), frozenset({"Conv2D", "DynamicRNN"}))
    monkeypatch.setattr(operators, "compiled", lambda title, config: graph)
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: doctor.main(["--operators"]))
    assert left.value.code == 1
    assert "no evidence of a kernel for DynamicRNN, which is in a page" in capsys.readouterr().out


def test_every_network_and_every_task_is_audited() -> None:
    pages = [config for _, config in operators.pages()]
    assert {type(page.model) for page in pages} == set(NETWORKS.values())
    assert {type(page.task) for page in pages} == set(TASKS.values())


def test_a_narrow_page_is_the_same_page() -> None:
    config = load_config("reference")
    narrow = operators.narrow(config)
    assert [block.convs for block in narrow.model.blocks] == [block.convs for block in config.model.blocks]
    assert {block.channels for block in narrow.model.blocks} | set(narrow.model.hidden) == {4}
    assert narrow.train == config.train and narrow.features == config.features


def test_the_collectives_of_several_workers_are_audited_too(installed: tuple[Kernels, Kernels]) -> None:
    """One process alone compiles none of them, so they are listed by hand."""
    sources = "".join(path.read_text() for path in (ROOT / "dfcnn_ms").rglob("*.py"))
    used = set(re.findall(r"\bops\.(All\w+|Broadcast|Reduce|ReduceScatter)\(", sources))
    assert used == operators.SEVERAL_WORKERS.built
    assert not [row for row in operators.table([operators.SEVERAL_WORKERS], *installed) if row.lacks]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_a_compiled_step_has_kernels_everywhere(installed: tuple[Kernels, Kernels]) -> None:
    """The oracle is the CPU, which runs this graph: what is left when it is built, it must be found to have."""
    config = load_config("digits", ["model.blocks=[{channels: 4, convs: 1, pool: [2, 2]}]", "train.amp=auto"])
    graph = operators.compiled("tiny", operators.narrow(config))
    assert {"Conv2D", "Conv2DBackpropFilter", "BatchNormGrad", "MaxPoolGrad", "CTCLossV2Grad", "Adam"} <= graph.built
    (library,) = kernels.mindspore_folder().glob("lib/plugin/libmindspore_ops_cpu.so")
    on_cpu = Kernels("CPU", {"kernel": kernels.registered_names(library)})
    needed = graph.built - operators.NEEDS_NO_KERNEL.keys()
    assert graph.choices >= 1  # are the gradients finite?
    assert len(graph.launches) > graph.choices and sum(graph.launches) >= len(needed)
    assert [primitive for primitive in needed if not on_cpu.evidence(primitive)] == []
    assert [row.primitive for row in operators.table([graph], *installed) if row.lacks] == []
    assert "decomposed" in {row.gpu for row in operators.table([graph], *installed)}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_a_deep_network_compiles_with_everything_on() -> None:
    """MindSpore allows a thousand calls within each other, of which a loop over weights took some a round."""
    deep = [*operators.EVERYTHING, "model.depth=3", "model.decoder_depth=3"]
    graph = operators.compiled("deep", operators.narrow(load_config("digits_attention", deep)))
    assert {"Conv2DBackpropFilter", "AssignAdd"} <= graph.built
