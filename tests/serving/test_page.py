"""The page in a real browser, once with a server and once as a folder that listens by itself."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, needs_chromium
from running import Running, running
from tone_model import export
from tones import RATE, listener, speak, wave

from dfcnn_ms import Recognizer
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.recognizer import Transcript
from dfcnn_ms.serving.access import Access
from dfcnn_ms.serving.limits import Limits
from dfcnn_ms.serving.static_page import FOLDER_VARIABLE, write_page
from dfcnn_ms.streaming import recordings

pytestmark = [pytest.mark.slow, needs_chromium]

SAID = "yi1 er4 si4 san1"
#: the order in which syllables follow each other where the microphone plays them again and again
LOOP = "yi1 er4 si4 si4 san1"
#: what a page writes into a file, as text: downloads are caught before the browser stores them
DOWNLOAD = """(async format => {
    const real = URL.createObjectURL;
    const saved = new Promise(done => (URL.createObjectURL = blob => { done(blob); return "#"; }));
    const buttons = [...document.querySelectorAll(".downloads button")];
    buttons[["txt", "srt", "json"].indexOf(format)].click();
    URL.createObjectURL = real;
    return (await saved).text();
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    write_wave(folder / "microphone.wav", wave(LOOP))
    one = Browser(folder, microphone=folder / "microphone.wav")
    yield one
    one.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running() as one:
        yield one


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The simplest server there is."""

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def handed_out(folder: Path) -> Iterator[str]:
    """The address of a folder in the simplest server there is."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("model") / "tones.onnx", decoding={"temperature": 1.5})


@pytest.fixture(scope="module")
def folder(exported: Path) -> Path:
    if FOLDER_VARIABLE not in os.environ:
        pytest.skip(f"onnxruntime-web is missing, {FOLDER_VARIABLE} names its folder: make test-browser fetches it")
    write_page(exported, exported.parent / "site")
    return exported.parent / "site"


@pytest.fixture(params=["server", "folder"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the page is, in each of the two ways."""
    if request.param == "server":
        yield request.getfixturevalue("served").url
        return
    with handed_out(request.getfixturevalue("folder")) as url:
        yield url


@pytest.fixture(autouse=True)
def calm(browser: Browser) -> Iterator[None]:
    """A wide bright window; and whatever a page throws, or its policy forbids, is an error of the test."""
    browser.look(1100, 900)
    browser.language("en-US")
    browser.errors.clear()
    yield
    assert browser.errors == []


def open_page(browser: Browser, url: str) -> None:
    """Opens the page as somebody who has never been here."""
    browser.visit(url)
    if browser.evaluate("localStorage.length + sessionStorage.length"):
        browser.evaluate("localStorage.clear(); sessionStorage.clear()")
        browser.visit(url)


def heard(browser: Browser, count: int = 1) -> dict[str, Any]:
    """What the newest of so many results says about its recording, from the file that can be downloaded."""
    browser.wait(f"document.querySelectorAll('.result').length === {count}")
    return dict(json.loads(browser.evaluate(f"{DOWNLOAD}('json')")))


def labels(browser: Browser) -> list[str]:
    """The syllables as they stand below the picture."""
    script = "[...document.querySelectorAll('.result:first-child .chip .label .unit')].map(one => one.textContent)"
    return list(browser.evaluate(script))


def assert_same(known: dict[str, Any], transcript: Transcript) -> None:
    """What the page says is what the recognizer says in Python."""
    syllables = known["syllables"]
    assert [one["text"] for one in syllables] == list(transcript.syllables)
    np.testing.assert_allclose([one["start"] for one in syllables], transcript.starts, atol=0.0011)
    np.testing.assert_allclose([one["end"] for one in syllables], transcript.ends, atol=0.0011)
    np.testing.assert_allclose([one["score"] for one in syllables], transcript.confidences, atol=1e-3)
    assert known["confidence"] == pytest.approx(transcript.confidence, abs=2e-3)


def test_a_file_is_heard_by_the_server(browser: Browser, served: Running, tmp_path: Path) -> None:
    open_page(browser, served.url)
    browser.choose(speak(tmp_path / "four.wav", SAID))
    known = heard(browser)
    assert known["name"] == "four" and labels(browser) == SAID.split()
    assert_same(known, listener().transcribe(tmp_path / "four.wav"))
    assert known["alternatives"], "other readings come with it"


def test_a_file_is_heard_by_the_browser_alone(browser: Browser, folder: Path, exported: Path, tmp_path: Path) -> None:
    """As by onnxruntime in Python; and when the page is open, the network may be cut."""
    with handed_out(folder) as url:
        open_page(browser, url)
        browser.choose(speak(tmp_path / "four.wav", SAID))
        assert_same(heard(browser), Recognizer.load(exported).transcribe(tmp_path / "four.wav"))
    browser.choose(speak(tmp_path / "five.wav", LOOP))
    known = heard(browser, 2)
    assert_same(known, Recognizer.load(exported).transcribe(tmp_path / "five.wav"))
    assert known["text"] == LOOP


def test_a_long_file_is_cut_at_its_pauses_as_by_python(
    browser: Browser, folder: Path, exported: Path, tmp_path: Path
) -> None:
    said = np.random.default_rng(8).choice(LOOP.split(), (13, 20)).tolist()
    pause = (1e-4 * np.random.default_rng(9).standard_normal(RATE)).astype(np.float32)
    clean = np.concatenate([part for row in said for part in (wave(" ".join(row)), pause)])
    write_wave(tmp_path / "long.wav", clean)
    with handed_out(folder) as url:
        open_page(browser, url)
        browser.choose(tmp_path / "long.wav")
        known = heard(browser)
    assert known["seconds"] == pytest.approx(len(clean) / RATE, abs=0.001) and known["seconds"] > 75
    assert known["text"] == " ".join(unit for row in said for unit in row)
    assert_same(known, recordings.transcript(Recognizer.load(exported), tmp_path / "long.wav"))


def test_long_noise_says_nothing(browser: Browser, folder: Path, tmp_path: Path) -> None:
    noise = 0.2 * np.random.default_rng(10).standard_normal(35 * RATE)
    write_wave(tmp_path / "noise.wav", noise.astype(np.float32))
    with handed_out(folder) as url:
        open_page(browser, url)
        browser.choose(tmp_path / "noise.wav")
        assert heard(browser)["text"] == ""


def test_what_is_said_is_written_while_it_is_said(browser: Browser, address: str) -> None:
    """The microphone plays the same syllables again and again; the page may begin to listen at any of them."""
    open_page(browser, address)
    browser.click("#speak")
    browser.wait("document.querySelector('#said').textContent.split(' ').length >= 4")
    assert browser.evaluate("document.querySelector('#speak').textContent.trim()") == "Stop"
    browser.click("#speak")
    text = heard(browser)["text"]
    assert text.replace(" ", "") in f"{LOOP} ".replace(" ", "") * 20 and len(text.split()) >= 4
    assert browser.evaluate("document.querySelector('#live').hidden")


def test_noise_in_the_microphone_says_nothing(address: str, tmp_path: Path) -> None:
    """Although the network, asked about such a sound as a file, hears something in it."""
    noise = (0.2 * np.random.default_rng(11).standard_normal(20 * RATE)).astype(np.float32)
    write_wave(tmp_path / "noise.wav", noise)
    assert listener().transcribe(tmp_path / "noise.wav").syllables
    one = Browser(tmp_path / "browser", microphone=tmp_path / "noise.wav")
    try:
        one.visit(address)
        one.click("#speak")
        one.wait("Number(document.querySelector('#clock').textContent.split(':')[1]) >= 2")
        one.click("#speak")
        assert heard(one)["syllables"] == [] and "No syllable was heard" in one.text()
        assert one.errors == []
    finally:
        one.close()


def test_the_other_model_writes_characters(browser: Browser, served: Running, tmp_path: Path) -> None:
    open_page(browser, served.url)
    browser.wait("document.querySelector('#model').options.length === 2")
    browser.evaluate("document.querySelector('#model').value = 'written'")
    browser.choose(speak(tmp_path / "four.wav", SAID))
    known = heard(browser)
    assert known["characters"] == {"text": "一二四三"}
    assert [one["characters"] for one in known["syllables"]] == list("一二四三")
    assert browser.evaluate("document.querySelector('.sentence').textContent") == "一二四三"
    assert browser.evaluate(f"{DOWNLOAD}('txt')") == f"{SAID}\n一二四三\n"
    assert "一二四三" in browser.evaluate(f"{DOWNLOAD}('srt')")


def test_everything_can_be_done_with_the_keyboard(browser: Browser, address: str, tmp_path: Path) -> None:
    """Tab goes through the page in its order, arrows through the syllables, and space plays."""
    open_page(browser, address)
    browser.choose(speak(tmp_path / "four.wav", SAID))
    heard(browser)
    browser.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    seen = []
    for _ in range(12):
        browser.key("Tab")
        seen += browser.evaluate("[document.activeElement.id, ...document.activeElement.classList]")
    order = [seen.index(one) for one in ("language", "speak", "file", "close", "chip", "play")]
    assert order == sorted(order)
    assert seen.count("chip") == 1, "one stop for all syllables"

    browser.evaluate("document.querySelector('.chip').focus()")
    chip = "[...document.querySelectorAll('.chip')].indexOf(document.activeElement)"
    for key, place in (("ArrowRight", 1), ("End", 3), ("ArrowRight", 3), ("ArrowLeft", 2), ("Home", 0)):
        browser.key(key)
        assert browser.evaluate(chip) == place
    browser.key(" ")
    browser.wait("document.querySelector('.chip').classList.contains('now')")
    browser.wait("!document.querySelector('.chip.now')")
    browser.evaluate("document.activeElement.blur()")
    browser.key(" ")
    browser.wait("document.querySelector('.play').textContent.trim() === 'Stop'")
    browser.key("Escape")
    browser.wait("document.querySelector('.play').textContent.trim() === 'Play'")


LAID_OUT = "[...document.querySelectorAll('.chip')].at(-1).getBoundingClientRect().x > 200"


def test_a_click_plays_a_syllable_and_says_all_about_it(browser: Browser, served: Running, tmp_path: Path) -> None:
    open_page(browser, served.url)
    browser.choose(speak(tmp_path / "four.wav", SAID))
    known = heard(browser)["syllables"][1]
    browser.wait(LAID_OUT)
    # The page notes which syllables are played: one lasts some tenths of a second, in which nobody may come to look.
    browser.evaluate(
        "window.played = []; new MutationObserver(changes => changes.forEach(({target}) => {"
        " if (target.matches('.chip.now')) played.push([...document.querySelectorAll('.chip')].indexOf(target)) }))"
        ".observe(document.body, {subtree: true, attributes: true, attributeFilter: ['class']})"
    )
    browser.click(".chip:nth-child(2) .label")
    assert browser.wait("played.length && [...new Set(played)]") == [1]
    detail = browser.evaluate("document.querySelector('.detail').textContent")
    assert detail.startswith("er4") and f"{known['start']:.2f} – {known['end']:.2f} s" in detail
    shown = browser.evaluate("document.querySelector('.chip:nth-child(2)').style.getPropertyValue('--sure')")
    assert float(shown) == pytest.approx(known["score"], abs=1e-3)
    browser.wait("!document.querySelector('.chip.now')")


def test_each_syllable_stands_over_its_time(browser: Browser, served: Running, tmp_path: Path) -> None:
    """Pixels from the left are seconds times one factor; and where a tone is, the spectrogram is dark at its height."""
    open_page(browser, served.url)
    browser.choose(speak(tmp_path / "four.wav", SAID))
    known = heard(browser)
    browser.wait(LAID_OUT)
    places = browser.evaluate(
        "(() => { const track = document.querySelector('.track').getBoundingClientRect();"
        " return [track.width, [...document.querySelectorAll('.chip')].map(one =>"
        " one.getBoundingClientRect().x - track.x)]; })()"
    )
    factor = places[0] / known["seconds"]
    np.testing.assert_allclose(np.array(places[1]) / factor, [one["start"] for one in known["syllables"]], atol=0.005)
    drawn = "rows => new Set(rows).size === rows.length && rows"
    rows = browser.wait(f"({drawn})(({DARKEST})({json.dumps([0.2, 0.5, 0.8, 1.1])}))")
    assert np.argsort(rows).tolist() == [2, 3, 1, 0], "3200 Hz is above 1600, above 800, above 400"


#: the row of the spectrogram, from above, that is darkest at some seconds
DARKEST = """seconds => {
    const canvas = document.querySelector(".track canvas"), track = document.querySelector(".track").clientWidth;
    const context = canvas.getContext("2d"), last = Number(JSON.stringify(1.3));
    return seconds.map(second => {
        const x = Math.round(second / last * track), data = context.getImageData(x, 64, 1, 136).data;
        const light = Array.from({ length: 136 }, (_, row) => data[4 * row] + data[4 * row + 1] + data[4 * row + 2]);
        return light.indexOf(Math.min(...light));
    });
}"""


#: lets go of a file with some bytes over the page
DROP = """bytes => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([Uint8Array.from(bytes)], "a.wav"));
    for (const kind of ["dragover", "drop"]) {
        document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    }
}"""


def test_a_result_that_was_closed_is_gone(browser: Browser, served: Running, tmp_path: Path) -> None:
    """Space plays the newest of those that are left."""
    open_page(browser, served.url)
    browser.choose(speak(tmp_path / "first.wav", "yi1"), speak(tmp_path / "second.wav", "er4"))
    assert heard(browser, 2)["name"] == "second"
    browser.click(".result:first-child .close")
    assert heard(browser)["name"] == "first"
    browser.evaluate("document.activeElement.blur()")
    browser.key(" ")
    browser.wait("document.querySelector('.play').textContent.trim() === 'Stop'")
    browser.key("Escape")


def test_a_dropped_file_is_heard(browser: Browser, address: str, tmp_path: Path) -> None:
    open_page(browser, address)
    content = json.dumps([*speak(tmp_path / "a.wav", "yi1 san1").read_bytes()])
    browser.evaluate(f"({DROP})({content})")
    assert heard(browser)["text"] == "yi1 san1"


def test_several_files_are_heard_and_bad_ones_are_told(browser: Browser, address: str, tmp_path: Path) -> None:
    open_page(browser, address)
    (tmp_path / "no.wav").write_text("not a sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    browser.choose(tmp_path / "no.wav")
    problem = "document.querySelector('#problem').textContent"
    assert re.match("no.wav: .*sound", browser.wait(problem))
    browser.choose(tmp_path / "empty.wav")
    browser.wait(f"{problem}.startsWith('empty.wav: There is no sound')")
    browser.choose(speak(tmp_path / "a.wav", "yi1"), speak(tmp_path / "b.wav", "er4 er4"))
    assert heard(browser, 2)["text"] == "er4 er4"
    assert browser.evaluate(problem) == "", "what is over is not told any more"
    browser.errors[:] = [one for one in browser.errors if "422" not in one]  # the browser notes such answers itself


def test_silence_is_no_syllable(browser: Browser, address: str, tmp_path: Path) -> None:
    open_page(browser, address)
    write_wave(tmp_path / "silence.wav", np.zeros(RATE, np.float32))
    browser.choose(tmp_path / "silence.wav")
    known = heard(browser)
    assert known["syllables"] == [] and known["text"] == ""
    assert "No syllable was heard" in browser.text()
    assert browser.evaluate(f"{DOWNLOAD}('srt')") == ""


def test_the_page_speaks_the_language_of_its_reader(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.language("zh-CN")
    open_page(browser, address)
    browser.choose(speak(tmp_path / "a.wav", "yi1 er4"))
    heard(browser)
    assert "选择文件" in browser.text() and "2 个音节" in browser.text()
    assert browser.evaluate("document.documentElement.lang") == "zh-CN"
    browser.click("#language")
    assert "Choose a file" in browser.text() and "2 syllables" in browser.text()
    assert not re.search(r"[一-鿿]", browser.text().replace("中文", "")), "nothing stays behind"
    browser.visit(address)
    assert "Choose a file" in browser.text(), "the choice is remembered"


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(
    browser: Browser, address: str, tmp_path: Path, language: str, width: int
) -> None:
    browser.language(language)
    browser.look(width, 780, sharp=2, phone=True)
    open_page(browser, address)
    browser.choose(speak(tmp_path / "a-recording-with-a-rather-long-name-of-many-words.wav", f"{LOOP} {SAID}"))
    heard(browser)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    buttons = json.dumps(["#speak", ".ways .button", ".play"])
    heights = browser.evaluate(f"{buttons}.map(one => document.querySelector(one).offsetHeight)")
    assert min(heights) >= 44, "a thumb finds them"


def test_the_dark_is_dark(browser: Browser, served: Running) -> None:
    lights = []
    for dark in (False, True):
        browser.look(1100, 900, dark=dark)
        open_page(browser, served.url)
        colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        lights.append(sum(map(int, re.findall(r"\d+", colour)[:3])))
    assert lights[0] > 650 and lights[1] < 120


def test_a_server_that_has_gone_is_told(browser: Browser, tmp_path: Path) -> None:
    with running() as one:
        open_page(browser, one.url)
        browser.wait("document.querySelector('#model').options.length === 2")
    browser.choose(speak(tmp_path / "a.wav", "yi1"))
    browser.wait("document.querySelector('#problem').textContent.includes('does not answer')")
    browser.errors.clear()


def test_too_much_for_the_server_is_told(browser: Browser, tmp_path: Path) -> None:
    with running(limits=Limits(seconds=0.5)) as one:
        open_page(browser, one.url)
        browser.choose(speak(tmp_path / "a.wav", SAID))
        browser.wait("document.querySelector('#problem').textContent.includes('so much sound')")
    browser.errors.clear()


def test_a_key_is_asked_for_and_kept(browser: Browser, tmp_path: Path) -> None:
    """With a wrong one the sentence stays; with the right one everything goes on, the stream of the microphone too."""
    with running(access=Access("open-sesame")) as one:
        open_page(browser, one.url)
        browser.wait("!document.querySelector('#key_field').hidden")
        assert "wants a key" in browser.text()
        type_key = "(key => { const field = document.querySelector('#key'); field.value = key; field.onchange(); })"
        browser.evaluate(f"{type_key}('open-sesame')")
        browser.wait("document.querySelector('#model').options.length === 2")
        browser.choose(speak(tmp_path / "a.wav", "yi1 er4"))
        assert heard(browser)["text"] == "yi1 er4"
        browser.click("#speak")
        browser.wait("document.querySelector('#said').textContent.length > 3")
        browser.click("#speak")
        heard(browser, 2)
    browser.errors.clear()


def test_the_page_asks_nobody_else(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.asked.clear()
    open_page(browser, address)
    browser.choose(speak(tmp_path / "a.wav", "yi1 er4"))
    heard(browser)
    time.sleep(0.2)
    assert browser.asked
    assert [url for url in browser.asked if not url.startswith((address, "data:", "blob:"))] == []
