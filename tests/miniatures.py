"""Small copies of the real corpora, as their publishers pack them, with what is odd about them."""

from __future__ import annotations

import io
import json
import tarfile
import wave
from collections.abc import Mapping
from pathlib import Path

RATE = 16_000


def wav_bytes(seconds: float = 0.1, rate: int = RATE) -> bytes:
    """A sound file of silence, 16 bit, one channel."""
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * round(seconds * rate)))
    return memory.getvalue()


def sound(path: Path, seconds: float = 0.1, rate: int = RATE) -> Path:
    """Writes a sound file, and the folders above it."""
    return put(path, wav_bytes(seconds, rate))


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tar_bytes(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A .tar.gz of files and symbolic links."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return memory.getvalue()


def lines(manifest: Path) -> list[dict[str, object]]:
    """The objects of a manifest, read by nothing but JSON."""
    return [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]


def ids(manifests: Mapping[str, Path]) -> dict[str, list[object]]:
    return {split: [line["id"] for line in lines(path)] for split, path in manifests.items()}


def left_out(out: Path) -> dict[str, str]:
    """Id -> reason, as the recipe wrote them down."""
    rows = (out / "left_out.tsv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "id\treason\tdetail"
    return {name: reason for name, reason, _ in (row.split("\t") for row in rows[1:])}


THCHS30 = {
    "A11_0": "绿 是 阳春 \nlv4 shi4 yang2 chun1\nl v4 sh ix4 ii iang2 ch un1\n",
    "A11_1": "他 仅 凭\nta1 jin3 ping2 \nt a1 j in3 p ing2\n",
    "B2_3": "女儿 的 花儿\nnv3 er2 de5 hua1 er5\nn v3 ee er2 d e5 h ua1 ee er5\n",
    "D4_750": "一些 雨伞\nyi1 xie1 yu3 san3\nii i1 x ie1 vv v3 s an3\n",
}
THCHS30_SPLITS = {"A11_0": "train", "B2_3": "train", "A11_1": "dev", "D4_750": "test"}


def thchs30_archive() -> bytes:
    """data_thchs30.tgz: sound in train is a link, transcripts are text that names the real one, as published."""
    files: dict[str, str | bytes] = {
        "data_thchs30/README.TXT": "THCHS30\n",
        "data_thchs30/lm_word/lexicon.txt": "绿 l v4\n",
    }
    links = {}
    for name, transcript in THCHS30.items():
        files[f"data_thchs30/data/{name}.wav"] = wav_bytes(0.25)
        files[f"data_thchs30/data/{name}.wav.trn"] = transcript
        links[f"data_thchs30/{THCHS30_SPLITS[name]}/{name}.wav"] = f"../data/{name}.wav"
        files[f"data_thchs30/{THCHS30_SPLITS[name]}/{name}.wav.trn"] = f"../data/{name}.wav.trn\n"
    return tar_bytes(files, links)


AISHELL_TRANSCRIPT = """\
BAC009S0002W0122 而 对 楼市 成交
BAC009S0002W0123 绿色  的   战略
BAC009S0724W0121 广州市 房地产
BAC009S0724W0408 蔡卓妍 穿 着 黑色 ｔ恤
BAC009S0764W0121 甚至 出现
BAC009S0764W0999 没有 录音
"""
AISHELL = {"S0002": "train", "S0724": "dev", "S0764": "test"}


def aishell_archive() -> bytes:
    """data_aishell.tgz: an archive for each speaker inside; W0124 has no transcript, W0999 no recording."""
    spoken = {
        "S0002": ("BAC009S0002W0122", "BAC009S0002W0123", "BAC009S0002W0124"),
        "S0724": ("BAC009S0724W0121", "BAC009S0724W0408"),
        "S0764": ("BAC009S0764W0121",),
    }
    files: dict[str, str | bytes] = {"data_aishell/transcript/aishell_transcript_v0.8.txt": AISHELL_TRANSCRIPT}
    for speaker, names in spoken.items():
        inner = {f"./{AISHELL[speaker]}/{speaker}/{name}.wav": wav_bytes(0.5) for name in names}
        files[f"data_aishell/wav/{speaker}.tar.gz"] = tar_bytes(inner)
    return tar_bytes(files)
