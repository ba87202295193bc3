"""What the server says about itself is so: each route, each field, each answer, each counter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from running import PATIENCE, Running, running, wait_until, wav

from dfcnn_ms.serving import own
from dfcnn_ms.serving.app import PAGE

#: one for all: each by itself would read the certificates of the web anew
HTTP = httpx.Client(timeout=PATIENCE)


def description(served: Running) -> dict[str, Any]:
    return dict(HTTP.get(f"{served.url}/openapi.json").json())


def test_every_route_that_is_described_is_there(served: Running) -> None:
    for path, methods in description(served)["paths"].items():
        for method in methods:
            answer = HTTP.request(method, served.url + path.replace("{name}", "tones"))
            assert answer.status_code == (422 if method == "post" else 200), (path, answer.text)
            wrong = HTTP.request("DELETE", served.url + path.replace("{name}", "tones"))
            assert wrong.status_code == 405 and wrong.json()["error"]["message"]


def test_every_field_of_a_form_is_read(served: Running) -> None:
    """A value that cannot be meant is refused, or changes the answer; the fields that are ignored say so."""
    forms = description(served)["paths"]
    fields = forms["/v1/transcribe"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    usual = HTTP.post(f"{served.api}/transcribe?model=written", content=wav("er4")).json()
    for name in set(fields) - {"file"}:
        value = "false" if name in ("characters", "language_model") else "2" if name == "nbest" else "tones"
        told = HTTP.post(f"{served.api}/transcribe?model=written&{name}={value}", content=wav("er4")).json()
        assert told != usual or name == "language_model", name  # there is none here


def test_answers_are_as_described(served: Running) -> None:
    page = HTTP.post(f"{served.api}/transcribe?model=written&nbest=3&hotwords=si4,ba1", content=wav("er4 san1")).json()
    own.Answer.model_validate(page, strict=True)
    assert own.Answer(**page).model_dump(exclude_none=True) == page
    assert page["characters"]["text"] == "二三" and page["hotwords"] == {"heard": ["si4"], "left_out": ["ba1"]}
    assert len(page["alternatives"]) == 2


def test_the_answer_is_that_of_the_command(served: Running, tmp_path: Path) -> None:
    from tones import listener, wave

    from dfcnn_ms.audio.sound_files import SoundFile
    from dfcnn_ms.reporting.transcripts import page

    known = page(SoundFile("a.wav", Path("a.wav"), 0.7), listener().hear([wave("er4 san1")])[0])
    answer = HTTP.post(f"{served.api}/transcribe", files={"file": ("a.wav", wav("er4 san1"))}).json()
    assert answer == {"model": "tones", **known}


def test_the_page_for_people_is_whole_and_asks_nobody_else(served: Running) -> None:
    class Reader(HTMLParser):
        links: list[str] = []  # noqa: RUF012
        words = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "img", "link", "iframe")
            self.links += [value or "" for name, value in attrs if name in ("href", "src")]

        def handle_data(self, data: str) -> None:
            self.words += data

    reader = Reader()
    reader.feed(HTTP.get(f"{served.url}/docs").text)
    assert reader.links == ["openapi.json"]
    for path, methods in description(served)["paths"].items():
        assert all(f"{method.upper()} {path}" in reader.words for method in methods)


def test_the_page_is_handed_out_as_it_lies_and_nothing_around_it(served: Running) -> None:
    for file in (file for file in PAGE.iterdir() if file.is_file()):
        answer = HTTP.get(f"{served.url}/{'' if file.name == 'index.html' else file.name}")
        assert (answer.status_code, answer.content) == (200, file.read_bytes()), file.name
    for path in ("/app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/../app.py", "/page/index.html"):
        assert HTTP.get(served.url + path).status_code == 404, path


def counters(url: str) -> dict[tuple[str, ...], float]:
    """Each sample of the page of metrics: its name and its labels' values in order, and the number."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(HTTP.get(f"{url}/metrics").text)
        for sample in family.samples
    }


def requests(found: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {tuple(labels): number for (name, *labels), number in found.items() if name == "dfcnn_requests_total"}


def test_counters_count() -> None:
    with running() as one:
        for said in ("er4", "san1 si4"):
            HTTP.post(f"{one.api}/transcribe", content=wav(said))
        HTTP.post(f"{one.api}/transcribe", content=b"hello")
        HTTP.get(f"{one.url}/no/such/{'x' * 50}")
        # A request counts when its answer has gone out, which a client may know before the server does.
        asked = {("/v1/transcribe", "200"): 2, ("/v1/transcribe", "422"): 1, ("404", "other"): 1}
        wait_until(lambda: asked.items() <= requests(counters(one.url)).items())
        found = counters(one.url)
    assert found["dfcnn_request_seconds_count", "/v1/transcribe"] == 3
    assert found["dfcnn_audio_seconds_total", "tones"] == pytest.approx(0.4 + 0.7)
    assert found["dfcnn_batch_recordings_sum",] == 2
    assert found["dfcnn_places",] == found["dfcnn_sessions",] == 0
    assert found["process_resident_memory_bytes",] > 1e7


def test_nothing_is_said_to_other_sites(served: Running) -> None:
    asked = {"Origin": "https://example.org"}
    for path in ("/health", "/v1/models"):
        answer = HTTP.get(served.url + path, headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert HTTP.post(f"{served.api}/transcribe", content=wav("er4"), headers=asked).status_code == 403
    own_page = {"Origin": served.url}
    assert HTTP.post(f"{served.api}/transcribe", content=wav("er4"), headers=own_page).status_code == 200


def test_no_answer_names_the_software_behind_it(served: Running) -> None:
    assert "server" not in HTTP.get(f"{served.url}/health").headers


@pytest.mark.long
@pytest.mark.slow
def test_schemathesis_finds_nothing(served: Running, tmp_path: Path) -> None:
    """Requests that the description allows, and many that it does not: no 5xx, no answer that is not described."""
    found = Path(sys.executable).with_name("schemathesis")
    command = str(found) if found.exists() else shutil.which("schemathesis")
    if command is None:
        pytest.skip("schemathesis is not installed; pip install schemathesis")
    done = subprocess.run(
        [command, "run", f"{served.url}/openapi.json", "--max-examples", "5", "--seed", "1", "--no-color",
         "--exclude-checks", "positive_data_acceptance"],
        capture_output=True, text=True, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
