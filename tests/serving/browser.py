"""A browser without a window, steered through a pipe by the protocol of Chrome's developer tools."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: make test-browser installs it")

PATIENCE_SECONDS = 60.0
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
]


class Browser:
    """One page in a browser of its own.

    Args:
        folder: where the browser keeps what it keeps; empty.
        microphone: a wav that the microphone hears, again and again.

    Attributes:
        errors: what pages threw, and what the browser would not let them do.
        asked: the addresses that they asked for.
    """

    def __init__(self, folder: Path, microphone: Path | None = None) -> None:
        assert CHROMIUM is not None
        flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}"]
        if microphone:
            flags.append(f"--use-file-for-fake-audio-capture={microphone}")
        self.errors: list[str] = []
        self.asked: list[str] = []
        self._open(folder, [CHROMIUM, *flags, "about:blank"])
        self._count = 0
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
            self.call(f"{domain}.enable")
        self._agent = self.evaluate("navigator.userAgent")

    def _open(self, folder: Path, command: list[str]) -> None:
        """Starts it with its two pipes, which it looks for as files 3 and 4."""
        folder.mkdir(parents=True, exist_ok=True)
        ways = [folder / "to", folder / "from"]
        for way in ways:
            os.mkfifo(way)
        shell = 'exec "$@" 3< "$TO" 4> "$FROM"'
        self._process = subprocess.Popen(
            ["sh", "-c", shell, "sh", *command],
            env={**os.environ, "TO": str(ways[0]), "FROM": str(ways[1])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._to, self._from = ways[0].open("wb", buffering=0), ways[1].open("rb", buffering=0)
        self._rest = b""

    def close(self) -> None:
        """Ends the browser."""
        try:
            self._session = ""
            self._send("Browser.close")
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._to.close()
        self._from.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Asks the browser for something and waits for its answer."""
        number = self._send(method, **parameters)
        while (message := self._receive()).get("id") != number:
            self._note(message)
        assert "error" not in message, f"{method}: {message['error']}"
        return dict(message["result"])

    def _send(self, method: str, **parameters: Any) -> int:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        return self._count

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._from.fileno(), 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, message: dict[str, Any]) -> None:
        """Keeps what the page complains about, and what it asks for."""
        parameters = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"].get("exception", parameters))[:500])
        if message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")

    def visit(self, url: str) -> None:
        """Opens a page and waits until its scripts have run."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && document.querySelector('#where')?.textContent")

    def evaluate(self, expression: str) -> Any:
        """What an expression, or the promise that it is, says in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """What an expression says once it says something."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"{expression} stays {value}; {self.errors}; {self.text()}"
            time.sleep(0.05)
        return value

    def text(self) -> str:
        """All that can be read on the page."""
        return str(self.evaluate("document.body.innerText"))

    def click(self, selector: str) -> None:
        """Presses the middle of an element, as a person would."""
        place = self.evaluate(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            " one.scrollIntoView({block: 'center', behavior: 'instant'}); const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def key(self, name: str) -> None:
        """Presses a key."""
        text = {" ": " ", "Enter": "\r"}.get(name, "")
        code = {" ": "Space"}.get(name, name)
        number = {
            "Tab": 9,
            "Enter": 13,
            "Escape": 27,
            " ": 32,
            "End": 35,
            "Home": 36,
            "ArrowLeft": 37,
            "ArrowRight": 39,
        }
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=code,
                windowsVirtualKeyCode=number[name],
                text=text if kind == "keyDown" else "",
            )

    def choose(self, *files: Path) -> None:
        """Gives files to the page as somebody who chooses them would."""
        document = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def look(self, width: int, height: int, *, sharp: float = 1.0, dark: bool = False, phone: bool = False) -> None:
        """Gives the page a size, and its viewer a taste."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=sharp, mobile=phone
        )
        taste = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[taste])

    def language(self, name: str) -> None:
        """Lets the next page that is opened be read by somebody who speaks a language."""
        self.call("Network.setUserAgentOverride", userAgent=self._agent, acceptLanguage=name)

    def photograph(self, path: Path) -> None:
        """Writes a picture of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))
