"""``python -m dfcnn_ms.serve`` as a process: its sentences, its signals, and a server without MindSpore."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from running import PATIENCE, running, wait_until, wav

from dfcnn_ms.errors import ConfigError, DeviceError
from dfcnn_ms.serve import check_installed, named_paths
from dfcnn_ms.serving.access import KEY_VARIABLE, check_exposed, is_loopback, load_key

TESTS = Path(__file__).parents[1]
#: a kind of stored network that hears the language of tones, but nothing as long as a file is there
PLUGIN = """
import os, sys, time
sys.path.append({tests!r})
from tones import HERTZ, listener
from dfcnn_ms.config import parse_config
from dfcnn_ms.runtime import LOADERS, Loaded, Loader
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

PAGE = {{"data": {{"train": "a", "dev": "b"}}, "features": {{"kind": "log_mel", "n_mels": 20}}, "cmvn": "none",
        "model": {{"blocks": [{{"channels": 1, "convs": 1, "pool": [2, 1]}}], "hidden": []}}}}


def load(path, device):
    ear = listener().acoustics

    def patiently(features, lengths):
        while os.path.exists("hold"):
            time.sleep(0.01)
        return ear(features, lengths)

    return Loaded(patiently, Meta(parse_config(PAGE, "page"), Vocabulary(tuple(HERTZ))))


LOADERS[".tones"] = Loader(load, lambda path, values: None)
"""
START = "import sys; sys.modules['mindspore'] = None; from dfcnn_ms import cli; from dfcnn_ms.serve import main; "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    (folder / "ears.py").write_text(PLUGIN.format(tests=str(TESTS)))
    (folder / "a.tones").write_text("")
    return folder


@contextmanager
def process(folder: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, in which MindSpore cannot be imported."""
    command = [sys.executable, "-c", f"{START}cli.run(main)", "--plugin", "ears.py", "--port", "0", *arguments]
    kept = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**kept, **environment}
    ) as one:
        try:
            yield one
        finally:
            one.kill()


def url_of(one: subprocess.Popen[str]) -> str:
    assert one.stdout is not None and one.stderr is not None
    found = re.fullmatch(r"listening: (http://\S+) \((.*)\)\n", one.stdout.readline())
    assert found, one.stderr.read()
    return found[1]


def test_sigterm_lets_what_runs_be_answered(folder: Path) -> None:
    hold = folder / "hold"
    with process(folder, "--ckpt", "a.tones") as one:
        url = url_of(one)
        hold.write_text("")
        answers: list[httpx.Response] = []
        thread = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/v1/transcribe", content=wav("er4 si4"), timeout=PATIENCE))
        )
        thread.start()
        wait_until(lambda: "dfcnn_places 1.0" in httpx.get(f"{url}/metrics").text)
        idle = httpx.Client()
        assert idle.get(f"{url}/ready").json() == {"status": "ok"}
        one.send_signal(signal.SIGTERM)
        threading.Timer(0.5, hold.unlink).start()
        thread.join(PATIENCE)
        out, err = one.communicate(timeout=PATIENCE)
        assert answers[0].json()["text"] == "er4 si4"
        assert (one.returncode, out, err) == (0, "stopped\n", "")
        with pytest.raises(httpx.TransportError):
            idle.get(f"{url}/ready")


def test_several_models_a_key_and_every_interface(folder: Path) -> None:
    (folder / "key.txt").write_text("geheim\n")
    models = ["--ckpt", "a.tones", "--ckpt", "second=a.tones", "--key-file", "key.txt", "--host", "0.0.0.0"]
    with process(folder, *models) as one:
        url = url_of(one).replace("0.0.0.0", "127.0.0.1")
        client = httpx.Client(headers={"Authorization": "Bearer geheim"})
        assert [page["id"] for page in client.get(f"{url}/v1/models").json()["data"]] == ["a", "second"]
        found = client.post(f"{url}/v1/transcribe?model=second", content=wav("si4")).json()
        assert (found["model"], found["text"]) == ("second", "si4")
        missing = client.post(f"{url}/v1/transcribe?model=seconds", content=wav("si4"))
        assert missing.status_code == 404 and "did you mean 'second'?" in missing.text
        assert httpx.get(f"{url}/v1/models").status_code == 401
        one.send_signal(signal.SIGINT)
        assert one.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ckpt", "b.tones"], "b.tones: no such checkpoint"),
        (["--ckpt", "a.tones", "--ckpt", "a.tones"], "--ckpt a.tones: there is a network named a already"),
        (["--ckpt", "a.tones", "--host", "0.0.0.0"], "--host 0.0.0.0: anybody who reaches this machine"),
        (["--ckpt", "a.tones", "--host", "256.0.0.1"], "--host 256.0.0.1"),
        (["--ckpt", "a.tones", "--queue", "0"], "--queue 0: wanted more than 0"),
        (["--ckpt", "a.tones", "--lm", "none.npz"], "--lm none.npz: no such file"),
        (["--ckpt", "a.tones", "--key-file", "none.txt"], "none.txt"),
    ],
)
def test_mistakes_are_one_sentence(
    folder: Path,
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from dfcnn_ms import cli, plugins
    from dfcnn_ms.serve import main

    monkeypatch.chdir(folder)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    plugins.load_file(Path("ears.py"))
    monkeypatch.setattr(sys, "argv", ["serve", "--port", "0", *arguments])
    gc.collect()  # what other tests left open complains now, and not in between
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        cli.run(main)
    err = capsys.readouterr().err
    assert left.value.code == 2 and sentence in err and len(err.splitlines()) == 1, err


def test_a_port_that_is_taken(folder: Path) -> None:
    from dfcnn_ms.serving.server import bound

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match=r"--port \d+: Address already in use; give another one"):
            bound("127.0.0.1", other.getsockname()[1])
    for port in (-1, 65_536):
        with pytest.raises(ConfigError, match="--port"):
            bound("127.0.0.1", port)


def test_an_answer_is_sent_at_once() -> None:
    """Otherwise its last part waits for the client's acknowledgement, which comes 40 ms late."""
    from dfcnn_ms.serving.server import bound

    async def asked() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        at = bound("127.0.0.1", 0)
        async with await asyncio.start_server(serve, sock=at):
            _, client = await asyncio.open_connection(*at.getsockname())
            result = await found
            client.close()
        return result

    assert asyncio.run(asked())


def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else find(name))
    with pytest.raises(DeviceError, match=r"serve: this needs uvicorn.*pip install 'dfcnn-ms\[serve\]'"):
        check_installed()


def test_names_of_networks(tmp_path: Path) -> None:
    odd = tmp_path / "a=b.ckpt"
    odd.write_text("")
    assert named_paths(["x.ckpt", "y=z/x.ckpt", str(odd)]) == {
        "x": Path("x.ckpt"), "y": Path("z/x.ckpt"), "a=b": odd,
    }  # fmt: skip
    for wrong in ("=a.ckpt", "a=", ""):
        with pytest.raises(ConfigError, match="wanted FILE or NAME=FILE"):
            named_paths([wrong])


def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert load_key(None) is None
    monkeypatch.setenv(KEY_VARIABLE, "of-the-environment")
    assert load_key(None) == "of-the-environment"
    (tmp_path / "key").write_text("of-the-file\n")
    assert load_key(tmp_path / "key") == "of-the-file"
    for wrong in ("", "two words", "schlüssel", "a\x00b"):
        (tmp_path / "key").write_text(wrong)
        with pytest.raises(ConfigError, match="wanted one word"):
            load_key(tmp_path / "key")


def test_who_is_exposed() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.1.1", "example.org", ""]))
    check_exposed("0.0.0.0", "key", no_key=False)
    check_exposed("0.0.0.0", None, no_key=True)
    for host, key, no_key in (("::", None, False), ("127.0.0.1", "key", True)):
        with pytest.raises(ConfigError, match="--no-key"):
            check_exposed(host, key, no_key=no_key)


@pytest.mark.slow
def test_a_checkpoint_of_mindspore_is_heard_in_the_thread_of_the_engine(cpu: None, tmp_path: Path) -> None:
    """As the recognizer hears it in the main thread."""
    import numpy as np
    from tones import VOCABULARY, wave

    from dfcnn_ms.config import load_config
    from dfcnn_ms.decoding.choice import Choice
    from dfcnn_ms.recognizer import Recognizer
    from dfcnn_ms.runtime import checkpoint
    from dfcnn_ms.runtime.meta import Meta
    from dfcnn_ms.serve import load

    config = load_config("digits", ["model.hidden=[8]", "cmvn=utterance"])
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(VOCABULARY))
    checkpoint.save(tmp_path / "a.ckpt", network, Meta(config, VOCABULARY))
    said = ["yi1 er4 san1", "si4", "er4 er4 yi1 san1"]
    wanted = [one.text for one in Recognizer.load(tmp_path / "a.ckpt", "CPU").hear([wave(one) for one in said])]
    with running(lambda: load({"a": tmp_path / "a.ckpt"}, Choice(), "CPU")) as served:
        found = [httpx.post(f"{served.api}/transcribe", content=wav(one), timeout=60).json() for one in said]
    assert [one["text"] for one in found] == wanted
    assert np.isfinite([one["log_prob"] for one in found]).all()
