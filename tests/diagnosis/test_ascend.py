"""What an Ascend NPU needs: versions read from the files that CANN writes, and each sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfcnn_ms.diagnosis import ascend

TOOLKIT = "usr/local/Ascend/ascend-toolkit/latest"

NPU_SMI = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc3                 Version: 24.1.rc3                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 90.2        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3358 / 65536         |
+===========================+===============+====================================================+
| 1     910B3               | OK            | 88.0        37                0    / 0             |
| 0                         | 0000:01:00.0  | 0           0    / 0          3354 / 65536         |
+===========================+===============+====================================================+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 330312        | python                   | 1024                    |
+===========================+===============+====================================================+
"""


def written(root: Path, name: str, text: str) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("file", "text", "version"),
    [
        ("version.cfg", "# version: 1.0\nruntime_running_version=[7.6.0.1.220:8.0.0]\n", "8.0.0"),
        ("version.cfg", "# version: 1.0\nruntime_running_version=[8.3]\n", "8.3"),
        ("compiler/version.info", "Version=7.6.0.1.220\nversion_dir=8.0.0\n", "8.0.0"),
        ("compiler/version.info", "Version=8.5.0.1.100\n", "8.5.0.1.100"),
        ("x86_64-linux/ascend_toolkit_install.info", "package_name=Ascend-cann-toolkit\nversion=8.2.RC1\n", "8.2.RC1"),
        ("aarch64-linux/ascend_toolkit_install.info", "version=[8.5.0]\n", "8.5.0"),
        ("version.cfg", "nothing that we know\n", ""),
        ("other.txt", "", ""),
    ],
)
def test_the_version_in_the_files_of_cann(tmp_path: Path, file: str, text: str, version: str) -> None:
    for folder in ascend.FOLDERS:
        root = written(tmp_path / folder.rpartition("/")[2], f"{folder}/{file}", text)
        assert ascend.cann_version({}, root) == version
    home = written(tmp_path / "home", file, text)
    assert ascend.cann_version({"ASCEND_HOME_PATH": str(home)}, tmp_path / "empty") == version


def test_the_environment_comes_first(tmp_path: Path) -> None:
    root = written(tmp_path, f"{TOOLKIT}/version.cfg", "runtime_running_version=[7.6.0.1.220:8.0.0]")
    mine = written(tmp_path / "mine", "version.cfg", "runtime_running_version=[8.5.0.1:8.5.0]")
    assert ascend.cann_version({"ASCEND_HOME_PATH": str(mine)}, root) == "8.5.0"
    assert ascend.cann_version({"ASCEND_HOME_PATH": str(tmp_path / "gone")}, root) == "8.0.0"


def test_without_cann(tmp_path: Path) -> None:
    assert ascend.cann_version({}, tmp_path) is None


FAULT = "computes CTCLoss inaccurately"

PAIRED = {
    ("2.7.0", "8.2.RC1"): "ok",
    ("2.7.0", "8.3.RC1"): "MindSpore 2.7.0 goes with 8.2",
    ("2.7.0", "8.1.RC1"): "8.1.RC1; MindSpore 2.7.0 goes with 8.2",
    ("2.7.1", "8.3.RC1"): "ok",
    ("2.7.1", "8.2.RC1"): "goes with 8.3",
    ("2.7.2", "8.5.0"): "ok",
    ("2.7.2", "8.3.RC1"): "goes with 8.5",
    # MindSpore's own list of questions names these three
    ("2.7.2", "8.0.0"): FAULT,
    ("2.7.2", "8.1.RC1"): FAULT,
    ("2.7.2", "8.2.RC1"): FAULT,
    ("2.8.0", "8.2.RC1"): "ok",
    ("2.8.0", "8.3.RC1"): "ok",
    ("2.8.0", "8.5.0"): "ok",
    ("2.9.0", "9.0.0"): "ok",
    ("2.8.0", "8.1.RC1"): "goes with 8.2 or later",
    ("2.8.0", "7.6.0.1.220"): "goes with 8.2 or later",
    ("2.8.0", ""): "it does not say its version",
    ("2.8.0", None): "there is no CANN; MindSpore 2.8.0 goes with 8.2 or later",
}


@pytest.mark.parametrize(("mindspore", "cann"), PAIRED)
def test_cann_against_mindspore(mindspore: str, cann: str | None) -> None:
    said, found = PAIRED[mindspore, cann], ascend.judge_cann(mindspore, cann)
    if said == "ok":
        assert (found.mark, found.cure) == ("ok", "")
    else:
        assert found.mark == "warn" and said in found.says
        assert found.cure.startswith("install CANN 8.") and "set_env.sh" in found.cure
    assert (FAULT in found.says) == (said == FAULT)


def test_the_cure_names_a_cann_that_is_right() -> None:
    for pair in ascend.PAIRS:
        version = ".".join(map(str, pair.mindspore))
        assert ascend.judge_cann(version, pair.name).mark == "ok"


def test_what_npu_smi_says() -> None:
    assert str(ascend.judge_npus(NPU_SMI)) == "ok    npu-smi      910B3 OK, 910B3 OK"
    ill = ascend.judge_npus(NPU_SMI.replace("| OK ", "| Alarm ", 1))
    assert (ill.mark, ill.says) == ("warn", "910B3 Alarm, 910B3 OK")
    assert ascend.judge_npus("").says == "it lists no NPU"
    assert ascend.judge_npus(None).says == "there is none"
    assert all(ascend.judge_npus(told).cure for told in ("", None))


def test_a_machine_without_any_of_it_hears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ascend, "npu_smi", lambda: None)
    assert list(ascend.examine("2.8.0", {}, tmp_path)) == []


def test_a_machine_with_some_of_it_hears_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ascend, "npu_smi", lambda: NPU_SMI)
    root = written(tmp_path, f"{TOOLKIT}/version.cfg", "runtime_running_version=[8.5.0.1:8.5.0]")
    assert [one.mark for one in ascend.examine("2.8.0", {}, root)] == ["ok", "ok"]
    monkeypatch.setattr(ascend, "npu_smi", lambda: None)
    card = written(tmp_path / "card", "dev/davinci0", "")
    assert [one.check for one in ascend.examine("2.8.0", {}, card)] == ["npu-smi", "cann"]
    assert {one.mark for one in ascend.examine("2.8.0", {}, card)} == {"warn"}


def test_npu_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails, as in a container without the devices, is there and lists nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ascend.npu_smi() is None
    for script, told in (('test "$1" = info && echo listed', "listed\n"), ("echo no device; exit 255", "")):
        (tmp_path / "npu-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "npu-smi").chmod(0o755)
        assert ascend.npu_smi() == told
