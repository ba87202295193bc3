"""Archives: what is in them arrives byte by byte, and nothing of them lands outside of its folder."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import stat
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dfcnn_ms.corpora import archives, download
from dfcnn_ms.corpora.archives import MARKER, Limits, extract, is_extracted
from dfcnn_ms.errors import DataError

CONTENT = {
    "readme.txt": b"hello",
    "wav/S01/a.wav": bytes(range(256)) * 9,
    "wav/S01/empty.wav": b"",
    "wav/名字.wav": b"x" * 512,
    "long/" + "n" * 150 + ".txt": b"long name",
}
COMPRESSIONS = {".tar": bytes, ".tar.gz": gzip.compress, ".tar.bz2": bz2.compress, ".tar.xz": lzma.compress}


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644):
    """A member of a tar archive, as wicked as one likes."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def tar(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=format) as file:
        for info, content in entries:
            file.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def tar_of(content: Mapping[str, bytes]) -> bytes:
    return tar(*(entry(name, data) for name, data in content.items()))


def zip_of(content: Mapping[str | zipfile.ZipInfo, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return memory.getvalue()


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def save(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, without the markers."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """An empty folder whose neighbourhood is looked at afterwards: nothing may appear there."""
    (tmp_path / "outside.txt").write_text("untouched")
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


def refused(archive: Path, message: str, limits: Limits | None = None) -> None:
    """An archive is refused with this message, and leaves nothing anywhere."""
    room = archive.parent
    with pytest.raises(DataError, match=message) as caught:
        extract(archive, room / "out", limits=limits or Limits())
    assert str(archive) in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in room.iterdir()] == [archive.name]
    assert sorted(path.name for path in room.parent.iterdir()) == ["outside.txt", "room"]
    assert (room.parent / "outside.txt").read_text() == "untouched"


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_tar(room: Path, suffix: str, format: int) -> None:
    data = tar(*(entry(name, content) for name, content in CONTENT.items()), format=format)
    archive = save(room / f"a{suffix}", COMPRESSIONS[suffix](data))
    assert extract(archive, room / "new" / "out") == room / "new" / "out"
    assert files(room / "new" / "out") == CONTENT
    assert [path.name for path in (room / "new").iterdir()] == ["out"]


def test_zip(room: Path) -> None:
    archive = save(room / "a.zip", zip_of(CONTENT))
    assert files(extract(archive, room / "out")) == CONTENT


def test_a_folder_of_the_same_name_is_not_nested_twice(room: Path) -> None:
    archive = save(room / "corpus.tgz", gzip.compress(tar_of({"corpus/a.txt": b"a", "corpus/b/c.txt": b"c"})))
    assert files(extract(archive, room / "corpus")) == {"a.txt": b"a", "b/c.txt": b"c"}
    assert files(extract(archive, room / "other")) == {"corpus/a.txt": b"a", "corpus/b/c.txt": b"c"}


def test_the_marker_names_the_archive(room: Path) -> None:
    archive = save(room / "a.tar", tar_of(CONTENT))
    marker = json.loads((extract(archive, room / "out") / MARKER).read_text())
    assert marker == {
        "archive": "a.tar",
        "size": archive.stat().st_size,
        "modified_ns": archive.stat().st_mtime_ns,
        "sha256": download.digest(archive, "sha256"),
    }


def test_a_second_call_does_nothing(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = save(room / "a.tar", tar_of(CONTENT))
    extract(archive, room / "out")
    monkeypatch.setattr(archives, "_unpack", None)
    (room / "out/readme.txt").write_text("mine now")
    extract(archive, room / "out")
    assert (room / "out/readme.txt").read_text() == "mine now"
    os.utime(archive, (1, 1))  # a copy with another date
    extract(archive, room / "out")
    archive.unlink()
    extract(archive, room / "out")
    assert is_extracted(archive, room / "out")


def test_another_archive_of_the_same_name_and_size(room: Path) -> None:
    archive = save(room / "a.tar", tar_of({"a": b"1"}))
    extract(archive, room / "out")
    save(archive, tar_of({"a": b"2"}))
    os.utime(archive, (1, 1))
    assert not is_extracted(archive, room / "out")
    with pytest.raises(DataError, match=r"out: was unpacked from another archive; delete it"):
        extract(archive, room / "out")
    assert (room / "out/a").read_bytes() == b"1"


def test_a_half_finished_extraction_is_done_again(room: Path) -> None:
    archive = save(room / "a.tar", tar_of(CONTENT))
    (room / ".out.extracting").mkdir()
    (room / ".out.extracting/half.wav").write_bytes(b"ha")
    assert files(extract(archive, room / "out")) == CONTENT
    assert sorted(path.name for path in room.iterdir()) == ["a.tar", "out"]


def test_an_interrupted_extraction_leaves_nothing(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    archive = save(room / "a.tar", tar_of(CONTENT))
    monkeypatch.setattr(archives._Target, "finish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        extract(archive, room / "out")
    assert [path.name for path in room.iterdir()] == ["a.tar"]


def test_two_at_once(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first and finds its work done."""
    unpack, times = archives._unpack, []

    def slowly(archive: Path, target: archives._Target) -> None:
        times.append(archive)
        time.sleep(0.2)
        unpack(archive, target)

    monkeypatch.setattr(archives, "_unpack", slowly)
    archive = save(room / "a.tar", tar_of(CONTENT))
    threads = [threading.Thread(target=extract, args=(archive, room / "out")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert files(room / "out") == CONTENT and len(times) == 1
    assert sorted(path.name for path in room.iterdir()) == ["a.tar", "out"]


def test_what_is_there_is_never_lost(room: Path) -> None:
    archive = save(room / "a.tar", tar_of(CONTENT))
    (room / "out").mkdir()
    extract(archive, room / "out")  # an empty folder is nothing to lose
    (room / "mine").mkdir()
    (room / "mine/notes.txt").write_text("years of work")
    for folder in ("mine", "mine/notes.txt"):
        with pytest.raises(DataError, match="exists already; delete it, or move it away"):
            extract(archive, room / folder)
    assert (room / "mine/notes.txt").read_text() == "years of work"


CLIMBERS = ("../outside.txt", "a/../../outside.txt", "/outside.txt", "..\\outside.txt", "C:\\outside.txt", "c:x", "\\x")


@pytest.mark.parametrize("name", CLIMBERS)
def test_names_that_climb_out(room: Path, name: str) -> None:
    refused(save(room / "a.tar", tar_of({"fine.txt": b"", name: b"evil"})), "would be written outside of its folder")


@pytest.mark.parametrize("name", CLIMBERS)
def test_names_that_climb_out_of_a_zip(room: Path, name: str) -> None:
    refused(save(room / "a.zip", zip_of({"fine.txt": b"", name: b"evil"})), "would be written outside of its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("to", ["../outside.txt", "/etc/passwd", "d/../../outside.txt"])
def test_links_that_lead_out(room: Path, kind: bytes, to: str) -> None:
    wicked = tar(entry("d/fine.txt"), entry("link", kind=kind, link=to))
    refused(save(room / "a.tar", wicked), "'link' is a link to|'../outside.txt' would be|'/etc/passwd' would|'d/../..")


def test_links_that_lead_out_together(room: Path) -> None:
    """Each of the two looks harmless by its name: `up` is the folder itself, `out` a neighbour of `up`."""
    wicked = tar(entry("a/b/c", b""), entry("a/up", kind=tarfile.SYMTYPE, link=".."))
    assert extract(save(room / "fine.tar", wicked), room / "fine")
    both = [entry("d/up", kind=tarfile.SYMTYPE, link=".."), entry("out", kind=tarfile.SYMTYPE, link="d/up/../..")]
    (room / "fine.tar").unlink()
    archives._remove(room / "fine")
    for order in (both, both[::-1]):
        refused(save(room / "a.tar", tar(*order)), "'out' is a link to 'd/up/../..', outside of its folder")
        (room / "a.tar").unlink()


def test_links_to_what_will_not_be_there(room: Path) -> None:
    """The only folder at the top takes the archive's place: what lay beside it is then outside."""
    wicked = tar(entry("out/a", b""), entry("out/up", kind=tarfile.SYMTYPE, link="../other"))
    refused(save(room / "a.tar", wicked), "'out/up' is a link to '../other', outside of its folder")


def test_members_without_a_name(room: Path) -> None:
    refused(save(room / "a.zip", zip_of({zip_entry("", stat.S_IFREG | 0o644): b"x"})), "a member has no name")


def test_nothing_is_written_through_a_link(room: Path) -> None:
    """A link to a folder outside, then a file inside of that link."""
    for to in ("..", "../..", "/tmp"):
        wicked = tar(entry("door", kind=tarfile.SYMTYPE, link=to), entry("door/outside.txt", b"evil"))
        refused(save(room / "a.tar", wicked), "'door' is a link|File exists")


def test_links_inside_are_kept(room: Path) -> None:
    archive = save(
        room / "a.tar",
        tar(
            entry("train/a.trn", kind=tarfile.SYMTYPE, link="../data/a.trn"),
            entry("data/a.trn", b"lv4"),
            entry("data/same.trn", kind=tarfile.LNKTYPE, link="data/a.trn"),
            entry("latest", kind=tarfile.SYMTYPE, link="data"),
        ),
    )
    out = extract(archive, room / "out")
    assert (out / "train/a.trn").read_bytes() == (out / "data/same.trn").read_bytes() == b"lv4"
    assert (out / "latest/a.trn").is_file() and os.readlink(out / "train/a.trn") == "../data/a.trn"


def test_without_links_the_file_is_copied(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where links need a privilege, and on memory cards, which have none."""

    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", no_links)
    monkeypatch.setattr(os, "link", no_links)
    data = tar(
        entry("b", b"bb"), entry("s", kind=tarfile.SYMTYPE, link="b"), entry("h", kind=tarfile.LNKTYPE, link="b")
    )
    assert files(extract(save(room / "a.tar", data), room / "out")) == {"b": b"bb", "s": b"bb", "h": b"bb"}


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_devices(room: Path, kind: bytes) -> None:
    archive = save(room / "a.tar", tar(entry("fine.txt"), entry("dev/null", kind=kind)))
    refused(archive, "'dev/null' is a device, a pipe or the like")


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_setuid(room: Path, mode: int) -> None:
    refused(save(room / "a.tar", tar(entry("sh", b"x", mode=mode))), "'sh' is a program that runs as another user")
    (room / "a.tar").unlink()
    refused(save(room / "a.zip", zip_of({zip_entry("sh", stat.S_IFREG | mode): b""})), "'sh' is a program")


def test_shared_folders_are_harmless(room: Path) -> None:
    """A folder of a group has the same bit; neither it nor any other mode is taken over."""
    data = tar(entry("d", kind=tarfile.DIRTYPE, mode=0o2777), entry("d/a", b"x", mode=0o777))
    out = extract(save(room / "a.tar", data), room / "out")
    assert not stat.S_IMODE((out / "d").stat().st_mode) & 0o2002
    assert not stat.S_IMODE((out / "d/a").stat().st_mode) & 0o113


def test_zip_with_a_device_or_a_link(room: Path) -> None:
    refused(save(room / "a.zip", zip_of({zip_entry("null", stat.S_IFCHR | 0o666): b""})), "'null' is a device")
    (room / "a.zip").unlink()
    refused(save(room / "b.zip", zip_of({zip_entry("l", stat.S_IFLNK | 0o777): b"../outside.txt"})), "'l' is a link to")
    (room / "b.zip").unlink()
    fine = save(room / "c.zip", zip_of({"b": b"bb", zip_entry("l", stat.S_IFLNK | 0o777): b"b"}))
    assert files(extract(fine, room / "out")) == {"b": b"bb", "l": b"bb"}


ZEROS = bytes(30_000_000)
TIGHT = Limits(ratio=100, lenient=1_000_000)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_bombs(room: Path, suffix: str) -> None:
    bomb = save(room / f"bomb{suffix}", COMPRESSIONS[suffix](tar_of({"small": b"", "big": ZEROS})))
    refused(bomb, "with member 'big' it unpacks to more than .* 100 times its own size: .* archive bomb", TIGHT)


def test_zip_bombs(room: Path) -> None:
    refused(save(room / "bomb.zip", zip_of({"big": ZEROS})), "'big' .* archive bomb", TIGHT)


def test_a_bomb_behind_the_end_of_the_archive(room: Path) -> None:
    """Bytes after the end mark are read for their checksum, but not without end."""
    refused(save(room / "bomb.tgz", gzip.compress(tar_of({"a": b""}) + ZEROS)), "archive bomb", TIGHT)


def test_a_header_that_lies_about_its_size(room: Path) -> None:
    """A header of a header of 4 GB would be read into memory as a whole; a sparse file has no bytes at all."""
    pax = entry("header", kind=tarfile.XHDTYPE)[0]
    pax.size = 4 << 30
    data = pax.tobuf() + bytes(1024)
    refused(save(room / "a.tgz", gzip.compress(data)), "a header of 4,294,967,296 bytes")


def test_too_many_members(room: Path) -> None:
    data = tar_of({f"{number}": b"" for number in range(11)})
    refused(save(room / "a.tar", data), "'10' is one of more than 10;", Limits(members=10))


def test_more_than_was_declared(room: Path) -> None:
    archive = save(room / "a.tar", tar_of({"a": bytes(900), "b": bytes(200)}))
    refused(archive, r"'b' it unpacks to more than 1.0 kB, which are what it was said to hold", Limits(total=1000))
    assert extract(archive, room / "out", limits=Limits(total=1100))


def test_more_than_the_disk_holds(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "free_bytes", lambda folder: 1000)
    refused(save(room / "a.tar", tar_of({"a": bytes(2000)})), "more than 1.0 kB, which are free on that disk")


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "cut at the very end": lambda data: data[:-1],
    "a wrong byte": lambda data: flip(data, len(data) // 2),
    "empty": lambda data: b"",
    "a page": lambda data: b"<html>404 not found</html>" * 40,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_damage_is_told(room: Path, suffix: str, way: str) -> None:
    content = {f"{number}": os.urandom(3000) for number in range(9)}
    whole = zip_of(content) if suffix == ".zip" else COMPRESSIONS[suffix](tar_of(content))
    refused(
        save(room / f"a{suffix}", WAYS[way](whole)), "damaged, cut short or no archive at all .*; download it again"
    )


def test_a_damaged_header_is_not_the_end(room: Path) -> None:
    """A plain tar has no checksum; `tarfile` alone takes a wrong header for the end and says nothing."""
    data = tar_of({"a": b"1", "b": b"2", "c": b"3"})
    refused(save(room / "a.tar", flip(data, 1024)), "it has no end mark")
    (room / "a.tar").unlink()
    refused(save(room / "a.tar", data[:2048]), "it has no end mark")


def test_an_encrypted_zip(room: Path) -> None:
    data = bytearray(zip_of({"a": b"secret"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(save(room / "a.zip", bytes(data)), "'a' is encrypted")


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tgz: no such file; wanted an archive"):
        extract(tmp_path / "none.tgz", tmp_path / "out")
    with pytest.raises(DataError, match="is a directory; wanted an archive"):
        extract(tmp_path, tmp_path / "out")
