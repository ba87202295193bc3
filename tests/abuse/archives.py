"""Archives of a corpus as formats that can be damaged: whatever is in them, nothing lands outside its folder."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random

from mutate import damaged
from reading import Format

from dfcnn_ms.corpora.archives import Limits, extract
from dfcnn_ms.errors import DfcnnError

FILES = {"corpus/a.txt": b"ba1 qi1\n", "corpus/wav/b.bin": bytes(700), "corpus/wav/c.txt": b"c" * 90}
LINK = ("corpus/d.txt", "wav/c.txt")
#: what a wicked archive calls its members, and where its links lead
NAMES = (
    *("../x", "/tmp/dfcnn_x", "a/../../x", "corpus/../../x", "", ".", "..", "corpus", "corpus/a.txt", "corpus/a.txt/b"),
    *("C:\\x", "..\\x", "a\nb", "\x1b[2Jx", "x" * 300, "corpus/" * 200, "CON", "corpus/wav", ".extracted.json", "a\0b"),
)
TYPES = b"0123456789LKxgSVD\0"
MOST_BYTES = 1 << 20
_BLOCK = 512


def _tar() -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(LINK[0])
        link.type, link.linkname = tarfile.SYMTYPE, LINK[1]
        archive.addfile(link)
    return memory.getvalue()


def _zip() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return memory.getvalue()


def _tar_gz(data: bytes, random: Random) -> bytes:
    """Damaged as it is, or inside, or in a header whose checksum is then made right."""
    if random.random() < 0.2:
        return damaged(data, random)
    content = gzip.decompress(data)
    content = damaged(content, random) if random.random() < 0.3 else _header(content, random)
    return gzip.compress(content, mtime=0)


def _header(content: bytes, random: Random) -> bytes:
    heads = [place for place in range(0, len(content), _BLOCK) if content[place + 257 : place + 262] == b"ustar"]
    start = random.choice(heads)
    head = bytearray(content[start : start + _BLOCK])
    field = random.choice(("name", "link", "type", "size", "size", "bytes"))
    if field == "name":
        head[:100] = random.choice(NAMES).encode()[:100].ljust(100, b"\0")
    elif field == "link":
        head[156], head[157:257] = random.choice(b"12"), random.choice(NAMES).encode()[:100].ljust(100, b"\0")
    elif field == "type":
        head[156] = random.choice(TYPES)
    elif field == "size":
        sizes = (b"0" * 11, b"7" * 11, b"00000001000", b"-0000000001", b"\x80" + b"\xff" * 10, b"\xff" * 11, b"x" * 11)
        head[124:135] = random.choice(sizes)
    else:
        head = bytearray(damaged(bytes(head), random)[:_BLOCK].ljust(_BLOCK, b"\0"))
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return content[:start] + bytes(head) + content[start + _BLOCK :]


def _zipped(data: bytes, random: Random) -> bytes:
    """Damaged anywhere, or where sizes, names and places stand."""
    kind = random.random()
    if kind < 0.4:
        return damaged(data, random)
    signs = [place for place in range(len(data) - 4) if data[place : place + 4] in (b"PK\1\2", b"PK\3\4", b"PK\5\6")]
    start = random.choice(signs)
    if kind < 0.7:
        place = start + 4 + 2 * random.randrange(20)
        number = random.choice((0, 1, 0xFFFF, 0x7FFF, 8, 9, 0xA1FF))
        return data[:place] + struct.pack("<H", number) + data[place + 2 :]
    old = random.choice([*map(str.encode, FILES)])
    new = random.choice(NAMES).encode()[: len(old)].ljust(len(old), random.choice((b"/", b"x", b"\0")))
    return data.replace(old, new, random.choice((1, 2)))


def _use(path: Path) -> None:
    """The folder is there, whole; or it is not, and neither is anything else."""
    room = path.with_name("room")
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    (room / "a.txt").write_text("mine")
    folder = room / "corpus"
    try:
        extract(path, folder, limits=Limits(lenient=MOST_BYTES))
    except DfcnnError:
        assert [one.name for one in room.iterdir()] == ["a.txt"], "something is left"
        raise
    finally:
        assert (room / "a.txt").read_text() == "mine"
        assert {one.name for one in path.parent.iterdir()} <= {path.name, "room"}, "something lies outside"
        assert not Path("/tmp/dfcnn_x").exists()
    assert {one.name for one in room.iterdir()} == {"a.txt", "corpus"}
    inside = list(folder.rglob("*"))
    assert sum(one.lstat().st_size for one in inside) <= 2 * MOST_BYTES
    assert all(one.resolve().is_relative_to(folder.resolve()) for one in inside)
    assert all(one.is_symlink() or one.is_dir() or one.is_file() for one in inside)


FORMATS = {
    "tar_gz": Format(lambda: gzip.compress(_tar(), mtime=0), _tar_gz, _use, ".tar.gz"),
    "zip": Format(_zip, _zipped, _use, ".zip"),
}
