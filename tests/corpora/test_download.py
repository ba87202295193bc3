"""Downloads from a server on this machine that breaks off, sends wrong bytes and ignores what it is asked."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dfcnn_ms.corpora import download
from dfcnn_ms.corpora.archives import extract
from dfcnn_ms.corpora.download import Transfer, fetch, openslr
from dfcnn_ms.errors import ConfigError, DataError

BODY = random.Random(0).randbytes(3_000_000)
MD5, SHA256 = hashlib.md5(BODY).hexdigest(), hashlib.sha256(BODY).hexdigest()
QUICK = Transfer(tries=3, timeout=2.0, wait=0.001)


@dataclass
class Site:
    """What the server holds, how it behaves, and what it was asked.

    Attributes:
        body: the file; ``etag`` names its version, and None is a server that does not say.
        ranges, length: whether it can send a part of the file, and says how long it is.
        cuts: after so many bytes the connection is dropped, answer by answer; then it behaves.
        statuses: answers to give first, before any file is sent.
        content_range, encoding: headers that lie.
        pause: seconds before each piece of 64 kB.
    """

    body: bytes = BODY
    etag: str | None = '"v1"'
    ranges: bool = True
    length: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    content_range: str = ""
    encoding: str = ""
    pause: float = 0.0
    asked: list[dict[str, str]] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the files of ``server.sites`` by their first folder: /a/file.tgz is that of site ``a``."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        site: Site = self.server.sites[self.path.split("/")[1]]
        site.asked.append(dict(self.headers))
        if site.statuses:
            self.send_error(site.statuses.pop(0))
            return
        start = self.start(site)
        if start is not None and start >= len(site.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.head(site, start)
        self.send(site, site.body[start or 0 :])

    def start(self, site: Site) -> int | None:
        """Where to begin, or None for the whole file."""
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not wanted or not site.ranges or (condition and condition != site.etag):
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def head(self, site: Site, start: int | None) -> None:
        self.send_response(200 if start is None else 206)
        if start is not None:
            honest = f"bytes {start}-{len(site.body) - 1}/{len(site.body)}"
            self.send_header("Content-Range", site.content_range or honest)
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.encoding:
            self.send_header("Content-Encoding", site.encoding)
        if site.length:
            self.send_header("Content-Length", str(len(site.body) - (start or 0)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def send(self, site: Site, data: bytes) -> None:
        if site.cuts:
            data = data[: site.cuts.pop(0)]
            self.close_connection = True
        with contextlib.suppress(ConnectionError):
            for place in range(0, len(data), 65536):
                time.sleep(site.pause)
                self.wfile.write(data[place : place + 65536])


class Web:
    """The running server, its sites, and their addresses."""

    def __init__(self, server: http.server.ThreadingHTTPServer) -> None:
        self._server = server
        self.sites: dict[str, Site] = {}
        server.sites = self.sites

    def site(self, name: str = "a", **behaviour: object) -> Site:
        """Opens a site; its file is at ``url(name)``."""
        self.sites[name] = Site(**behaviour)
        return self.sites[name]

    def url(self, name: str = "a") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}/corpus.tgz"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Web(server)
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "corpus.tgz"


def ranges(site: Site) -> list[str]:
    """The part that each request asked for."""
    return [headers.get("Range", "all") for headers in site.asked]


def is_whole(target: Path) -> bool:
    """The file is right and nothing but the note about it lies beside it."""
    names = sorted(path.name for path in target.parent.iterdir())
    return target.read_bytes() == BODY and names == ["corpus.tgz", "corpus.tgz.verified.json"]


def test_a_file_arrives(web: Web, target: Path) -> None:
    site = web.site()
    assert fetch(web.url(), target, md5=MD5, sha256=SHA256.upper(), size=len(BODY), transfer=QUICK) == target
    assert is_whole(target) and ranges(site) == ["all"]


def test_a_second_call_asks_nobody_and_reads_nothing(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = web.site()
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    monkeypatch.setattr(download, "digest", None)
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert len(site.asked) == 1


@pytest.mark.parametrize("known", [{}, {"md5": MD5}, {"size": len(BODY)}])
def test_dropped_connections_are_resumed(web: Web, target: Path, known: dict[str, str]) -> None:
    site = web.site(cuts=[1_000_000, 500_000, 0, 1_000_000])
    fetch(web.url(), target, transfer=QUICK, **known)
    assert is_whole(target)
    assert ranges(site) == ["all", "bytes=1000000-", "bytes=1500000-", "bytes=1500000-", "bytes=2500000-"]
    assert {headers.get("If-Range") for headers in site.asked[1:]} == {'"v1"'}


def test_progress_is_worth_more_tries(web: Web, target: Path) -> None:
    """A line that drops twenty times is slow, not dead: the three tries begin anew with each new byte."""
    web.site(cuts=[100_000] * 20)
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target)


def test_a_server_that_ignores_ranges_starts_again(web: Web, target: Path) -> None:
    site = web.site(ranges=False, cuts=[1_000_000])
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and ranges(site) == ["all", "bytes=1000000-"]


def test_a_server_that_never_gets_further_is_given_up(web: Web, target: Path) -> None:
    """It ignores ranges and drops each time at the same place: new bytes, but no progress."""
    site = web.site(ranges=False, cuts=[1_000_000] * 99)
    with pytest.raises(DataError, match=r"broke off after 1,000,000 of 3,000,000 bytes\); 1.0 MB are kept, run again"):
        fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert len(site.asked) == 1 + QUICK.tries
    site.cuts.clear()
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target)


@pytest.mark.parametrize("known", [{}, {"md5": MD5}])
def test_a_file_that_changed_meanwhile_is_not_mixed(web: Web, target: Path, known: dict[str, str]) -> None:
    """The part is of another version: If-Range makes the server send the whole new one."""
    site = web.site(body=bytes(len(BODY)), etag='"old"', cuts=[1_000_000, 0, 0, 0])
    with pytest.raises(DataError, match=r"1\.0 MB are kept"):
        fetch(web.url(), target, transfer=QUICK, **known)
    site.body, site.etag = BODY, '"new"'
    fetch(web.url(), target, transfer=QUICK, **known)
    assert is_whole(target)


def test_without_a_version_or_a_hash_nothing_is_resumed(web: Web, target: Path) -> None:
    for etag in (None, 'W/"weak"'):
        site = web.site(etag=etag, cuts=[1_000_000])
        fetch(web.url(), target, transfer=QUICK)
        assert is_whole(target) and ranges(site) == ["all", "all"]
        target.unlink()


def test_with_a_hash_another_mirror_goes_on(web: Web, target: Path) -> None:
    first, second = web.site("a", cuts=[1_000_000], statuses=[]), web.site("b", etag='"other"')
    first.cuts = [1_000_000, 0, 0]
    fetch([web.url("a"), web.url("b")], target, sha256=SHA256, transfer=QUICK)
    assert is_whole(target) and ranges(first) == ["all", "bytes=1000000-"] and ranges(second) == ["bytes=1000000-"]
    assert "If-Range" not in second.asked[0]


def test_mirrors_are_asked_in_order(web: Web, target: Path) -> None:
    sites = [web.site("a", statuses=[404] * 9), web.site("b", statuses=[503]), web.site("c")]
    fetch([web.url(name) for name in "abc"], target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and [len(site.asked) for site in sites] == [1, 1, 1]


def test_what_may_pass_is_tried_again_and_what_may_not_is_not(web: Web, target: Path) -> None:
    site = web.site(statuses=[503, 429])
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and len(site.asked) == 3
    gone = web.site("gone", statuses=[404] * 9)
    with pytest.raises(
        DataError, match=r"other\.tgz could not be downloaded \(http.*/gone/.*: answers 404 Not Found\); check"
    ):
        fetch(web.url("gone"), target.with_name("other.tgz"), transfer=QUICK)
    assert len(gone.asked) == 1


@pytest.mark.parametrize("name", ["md5", "sha256"])
def test_wrong_bytes_are_deleted(web: Web, target: Path, name: str) -> None:
    site = web.site(body=BODY[:-1] + b"!")
    right = {"md5": MD5, "sha256": SHA256}[name]
    with pytest.raises(DataError, match=f"sent a wrong file: it has {name} [0-9a-f]+, wanted {right}; it was deleted"):
        fetch(web.url(), target, transfer=QUICK, **{name: right})
    assert list(target.parent.iterdir()) == [] and len(site.asked) == QUICK.tries


def test_wrong_bytes_from_one_mirror_do_not_matter(web: Web, target: Path) -> None:
    web.site("wrong", body=bytes(len(BODY)))
    web.site("right")
    fetch([web.url("wrong"), web.url("right")], target, md5=MD5, transfer=QUICK)
    assert is_whole(target)


def test_a_part_that_was_wrong_from_the_start(web: Web, target: Path) -> None:
    """The end of the right file behind the beginning of a wrong one is found out, and fetched anew."""
    site = web.site()
    target.parent.mkdir()
    target.with_name("corpus.tgz.part").write_bytes(bytes(1000))
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and ranges(site) == ["bytes=1000-", "all"]


def test_a_page_instead_of_the_file(web: Web, target: Path) -> None:
    """A gateway's login page comes with 200; its size gives it away before it is read."""
    web.site(body=b"<html>please log in</html>")
    with pytest.raises(DataError, match="has 26 bytes, wanted 3,000,000"):
        fetch(web.url(), target, size=len(BODY), transfer=QUICK)


def test_without_a_length(web: Web, target: Path) -> None:
    """The end of the line is the end of the file, so the size or the hash has to say whether it is whole."""
    web.site(length=False)
    fetch(web.url(), target, transfer=QUICK)
    assert is_whole(target)
    target.unlink()
    web.site(length=False, cuts=[1_000_000])
    fetch(web.url(), target, size=len(BODY), transfer=QUICK)
    assert is_whole(target)


@pytest.mark.parametrize("lie", ["bytes 0-9/10", "bytes 5-2999999/3000000", "nonsense"])
def test_another_range_than_asked_for(web: Web, target: Path, lie: str) -> None:
    site = web.site("liar", content_range=lie, cuts=[1_000_000])
    with pytest.raises(DataError, match="instead of the bytes from 1,000,000"):
        fetch(web.url("liar"), target, md5=MD5, transfer=QUICK)
    site.content_range = ""
    fetch(web.url("liar"), target, md5=MD5, transfer=QUICK)
    assert is_whole(target)


def test_a_part_that_is_whole_already(web: Web, target: Path) -> None:
    """The process died after the last byte and before the file had its name."""
    site = web.site()
    target.parent.mkdir()
    target.with_name("corpus.tgz.part").write_bytes(BODY)
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and ranges(site) == ["bytes=3000000-"]


def test_a_part_that_is_too_long(web: Web, target: Path) -> None:
    web.site()
    target.parent.mkdir()
    target.with_name("corpus.tgz.part").write_bytes(BODY + b"more")
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target)


def test_another_encoding_is_refused(web: Web, target: Path) -> None:
    site = web.site(encoding="gzip")
    with pytest.raises(DataError, match="in another encoding"):
        fetch(web.url(), target, transfer=QUICK)
    assert site.asked[0]["Accept-Encoding"] == "identity"


def test_a_server_that_hangs(web: Web, target: Path) -> None:
    web.site(pause=9.0)
    with pytest.raises(DataError, match=r"broke off: .*timed out"):
        fetch(web.url(), target, transfer=Transfer(tries=1, timeout=0.2, wait=0.0))


def test_nobody_there(target: Path) -> None:
    with pytest.raises(DataError, match=r"corpus\.tgz could not be downloaded \(http://127\.0\.0\.1:9/x: .*refused\)"):
        fetch("http://127.0.0.1:9/x", target, transfer=QUICK)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "corpus.tgz", "http://", "http://host/a b"])
def test_other_addresses(target: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="not an address to download from; it must begin with https:// or http://"):
        fetch(url, target)


def test_a_file_of_the_user_is_checked_and_never_deleted(web: Web, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"is there already but has 4 bytes, wanted 3,000,000; delete it"):
        fetch(web.url(), target, size=len(BODY))
    with pytest.raises(DataError, match=r"is there already but has md5"):
        fetch(web.url(), target, md5=MD5)
    assert target.read_bytes() == b"mine"
    target.write_bytes(BODY)  # the user's own copy of the right file
    assert fetch(web.url(), target, md5=MD5) == target
    assert is_whole(target)


def test_too_little_room(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "free_bytes", lambda folder: 2_500_000)
    site = web.site()
    with pytest.raises(DataError, match=r"3.0 MB are to come, 2.5 MB are free on that disk; make room"):
        fetch(web.url(), target, transfer=QUICK)
    target.with_name("corpus.tgz.part").write_bytes(BODY[:1_000_000])  # what is here need not come again
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and len(site.asked) == 2


def test_a_disk_that_fills_up(web: Web, target: Path) -> None:
    """The system itself refuses to write more than a megabyte into one file."""
    site = web.site()
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, previous[1]))
        with pytest.raises(DataError, match=r"corpus\.tgz\.part: cannot be written: .*; make room and run again"):
            fetch(web.url(), target, md5=MD5, transfer=QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
        signal.signal(signal.SIGXFSZ, handler)
    kept = target.with_name("corpus.tgz.part").stat().st_size
    assert 0 < kept <= 1_000_000
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and ranges(site) == ["all", f"bytes={kept}-"]


def test_ctrl_c_leaves_a_part_to_go_on_from(web: Web, target: Path) -> None:
    site = web.site(pause=0.05)
    program = f"""
from pathlib import Path
from dfcnn_ms.corpora.download import fetch
fetch({web.url()!r}, Path({str(target)!r}), md5={MD5!r})
"""
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, env={**os.environ})
    part = target.with_name("corpus.tgz.part")
    wait_for(lambda: part.is_file() and part.stat().st_size > 100_000)
    child.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in child.communicate(timeout=10)[1]
    kept = part.stat().st_size
    assert 100_000 < kept < len(BODY) and part.read_bytes() == BODY[:kept] and not target.exists()
    site.pause = 0.0
    fetch(web.url(), target, md5=MD5, transfer=QUICK)
    assert is_whole(target) and ranges(site) == ["all", f"bytes={kept}-"]


def test_two_at_once(web: Web, target: Path) -> None:
    """The second waits for the first and finds the file there."""
    site = web.site(pause=0.02)
    threads = [threading.Thread(target=fetch, args=(web.url(), target), kwargs={"md5": MD5}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert is_whole(target) and len(site.asked) == 1


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_waiting_doubles(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    web.site(statuses=[503] * 99)
    with pytest.raises(DataError, match="answers 503"):
        fetch(web.url(), target, transfer=Transfer(tries=9, timeout=2.0, wait=1.0))
    assert [pause for pause in waited if pause >= 1] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_read_only_folder(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note that saves the second check cannot be written there; the file is right all the same."""

    def refuse(path: Path, text: str) -> None:
        raise DataError(f"{path}: cannot be written")

    target.parent.mkdir()
    target.write_bytes(BODY)
    monkeypatch.setattr(download, "write_text", refuse)
    assert fetch(web.url(), target, md5=MD5) == target


def test_a_target_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a directory, wanted the name of a file"):
        fetch("http://127.0.0.1:9/x", tmp_path)


def test_openslr() -> None:
    assert openslr("33/data_aishell.tgz", ["https://example.org/resources/", "http://here"]) == (
        "https://example.org/resources/33/data_aishell.tgz",
        "http://here/33/data_aishell.tgz",
    )
    assert all(url.startswith("https://") and url.endswith("/18/x.tgz") for url in openslr("18/x.tgz"))


def test_words_for_bytes() -> None:
    assert [download.in_words(count) for count in (999, 1_000, 2_500_000, 15_582_913_665)] == [
        "999 bytes",
        "1.0 kB",
        "2.5 MB",
        "15.6 GB",
    ]


def test_free_room_is_known_before_the_folder_is_there(tmp_path: Path) -> None:
    assert abs(download.free_bytes(tmp_path / "not/yet") - download.free_bytes(tmp_path)) < 1 << 30


def test_from_the_web_to_a_folder(web: Web, tmp_path: Path) -> None:
    """What a recipe does: fetch, extract; and again, which asks nobody."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as file:
        info = tarfile.TarInfo("corpus/a.txt")
        info.size = 3
        file.addfile(info, io.BytesIO(b"lv4"))
    site = web.site(body=memory.getvalue(), cuts=[50])
    for _ in range(2):
        archive = fetch(web.url(), tmp_path / "corpus.tgz", transfer=QUICK)
        assert (extract(archive, tmp_path / "corpus") / "a.txt").read_bytes() == b"lv4"
    assert ranges(site) == ["all", "bytes=50-"]
    assert json.loads((tmp_path / "corpus/.extracted.json").read_text())["archive"] == "corpus.tgz"
