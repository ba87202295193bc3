"""The thread that hears for everybody: batches, wishes, broken ones, and its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack

import numpy as np
import pytest
from running import PATIENCE, Gate, gated
from tones import listener, wave

from dfcnn_ms.errors import CheckpointError, DataError
from dfcnn_ms.recognizer import BATCH_SECONDS, Transcript
from dfcnn_ms.serving.engine import Engine
from dfcnn_ms.serving.errors import Refused
from dfcnn_ms.serving.models import Model, Options

SAID = ["yi1 er4 san1", "si4", "er4 er4", "san1 yi1 si4 yi1", ""]


@pytest.fixture
def gate_and_engine() -> Iterator[tuple[Gate, Engine]]:
    model, gate = gated()
    engine = Engine(lambda: [model], places=4)
    engine.start()
    gate.shut()
    yield gate, engine
    gate.open.set()
    engine.close()


def hear(engine: Engine, said: str, options: Options = Options(), seconds: float = 1.0) -> Future[Transcript]:  # noqa: B008
    model = engine.model(None)
    return engine.hear(model, options, model.recognizer.frontend(wave(said)), seconds)


def occupied(gate: Gate, engine: Engine) -> Future[Transcript]:
    """Lets the engine be busy, so that what comes now waits together."""
    first = hear(engine, "yi1")
    gate.wait()
    return first


def test_recordings_that_wait_are_one_batch_and_each_is_heard_as_if_alone(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    first = occupied(gate, engine)
    rest = [hear(engine, said) for said in SAID]
    gate.open.set()
    assert first.result(PATIENCE).text == "yi1"
    alone = [listener().hear([wave(said)])[0] for said in SAID]
    assert [one.result(PATIENCE) for one in rest] == alone
    assert gate.batches == [1, len(SAID)]


def test_those_with_other_wishes_are_heard_by_themselves(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    occupied(gate, engine)
    wishes = [Options(), Options(nbest=3), Options(), Options(nbest=3), Options(hotwords=("si4",))]
    rest = [hear(engine, "er4 san1", wish) for wish in wishes]
    gate.open.set()
    assert [1 + len(one.result(PATIENCE).alternatives) for one in rest] == [1, 3, 1, 3, 1]
    assert gate.batches == [1, 2, 2, 1]


def test_a_batch_holds_no_more_sound_than_memory_has_room_for(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    occupied(gate, engine)
    third = BATCH_SECONDS / 3
    rest = [hear(engine, "si4", seconds=seconds) for seconds in (third, 1, 2 * third, third, 1, 2 * BATCH_SECONDS)]
    gate.open.set()
    assert [one.result(PATIENCE).text for one in rest] == ["si4"] * 6
    assert gate.batches == [1, 3, 1, 1, 1]


def test_one_that_cannot_be_heard_spoils_no_other(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    inner = gate.inner

    def picky(features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if (features > 1e6).any():
            raise DataError("far too loud")
        return inner(features, lengths)

    gate.inner = picky
    occupied(gate, engine)
    model = engine.model(None)
    loud = np.full((50, 20), 1e7, np.float32)
    rest = [hear(engine, "er4"), engine.hear(model, Options(), loud, 1.0), hear(engine, "san1")]
    gate.open.set()
    assert [rest[0].result(PATIENCE).text, rest[2].result(PATIENCE).text] == ["er4", "san1"]
    with pytest.raises(DataError, match="far too loud"):
        rest[1].result(PATIENCE)


def test_an_error_of_ours_reaches_who_waits_and_the_next_is_heard(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    gate.open.set()
    inner, gate.inner = gate.inner, lambda *_: 1 / 0  # type: ignore[assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        hear(engine, "er4").result(PATIENCE)
    gate.inner = inner
    assert hear(engine, "er4").result(PATIENCE).text == "er4"


def test_nobody_listens_for_who_has_left(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    occupied(gate, engine)
    left, stays = hear(engine, "er4"), hear(engine, "san1")
    assert left.cancel()
    gate.open.set()
    assert stays.result(PATIENCE).text == "san1"
    assert gate.batches == [1, 1]


def test_places_are_as_many_as_were_said_and_come_back(gate_and_engine: tuple[Gate, Engine]) -> None:
    _, engine = gate_and_engine
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(engine.place())
        with pytest.raises(Refused, match="4 recordings wait") as refused, engine.place():
            raise AssertionError
        assert refused.value.status == 503
        assert int((refused.value.headers or {})["Retry-After"]) >= 1
    for _ in range(9):
        with pytest.raises(KeyError), engine.place():
            raise KeyError
    with engine.place():
        pass


def test_what_waits_is_heard_before_the_end(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    occupied(gate, engine)
    rest = [hear(engine, "er4") for _ in range(3)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    gate.open.set()
    closing.join(PATIENCE)
    assert [one.result(0).text for one in rest] == ["er4"] * 3
    assert not engine.is_ready
    with pytest.raises(Refused, match="stopping"):
        hear(engine, "er4")


def test_pieces_of_streams_come_before_the_next_batch(gate_and_engine: tuple[Gate, Engine]) -> None:
    gate, engine = gate_and_engine
    order: list[str] = []
    occupied(gate, engine)
    hear(engine, "er4").add_done_callback(lambda _: order.append("recording"))
    call = engine.call(lambda: order.append("piece"))
    gate.open.set()
    call.result(PATIENCE)
    hear(engine, "er4").result(PATIENCE)
    assert order == ["piece", "recording"]


def test_models_live_in_one_thread() -> None:
    threads: list[int] = []

    def load() -> list[Model]:
        threads.append(threading.get_ident())
        return [gated()[0]]

    engine = Engine(load)
    engine.start()
    threads.append(engine.call(threading.get_ident).result(PATIENCE))
    engine.close()
    assert threads[0] == threads[1] != threading.get_ident()


def test_a_model_that_cannot_be_loaded_is_told_at_once() -> None:
    def load() -> list[Model]:
        raise CheckpointError("a.ckpt: no such checkpoint")

    engine = Engine(load)
    with pytest.raises(CheckpointError, match=r"a\.ckpt"):
        engine.start()
    engine.close()


def test_names_of_others_mean_the_first_model() -> None:
    engine = Engine(lambda: [Model("a", listener()), Model("b", listener())])
    engine.start()
    assert [engine.model(name).name for name in ("a", "b", "whisper-1", None)] == ["a", "b", "a", "a"]
    engine.close()
