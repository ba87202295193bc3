"""The routes of the server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

import dfcnn_ms
from dfcnn_ms.decoding.hypothesis import Hypothesis
from dfcnn_ms.machine import cores
from dfcnn_ms.recognizer import Recognizer, Transcript
from dfcnn_ms.serving import description, errors, openai, own, sounds
from dfcnn_ms.serving.access import PROTOCOL, Access
from dfcnn_ms.serving.engine import Engine
from dfcnn_ms.serving.errors import Refused, busy, described
from dfcnn_ms.serving.forms import Form, form_of
from dfcnn_ms.serving.limits import Guard, Limits
from dfcnn_ms.serving.models import Model, Options
from dfcnn_ms.serving.realtime import Session
from dfcnn_ms.serving.said import Said, whole
from dfcnn_ms.serving.sounds import Stored
from dfcnn_ms.serving.wyoming import Bridge
from dfcnn_ms.streaming import StreamResult, recordings

T = TypeVar("T")

#: the page with the microphone; where it is not, its route is not either
PAGE = Path(__file__).parent / "page"


class State(BaseModel):
    """Whether a server is well."""

    status: str


class ModelPage(BaseModel):
    """A model, as OpenAI describes one."""

    id: str
    object: str = "model"
    created: int
    owned_by: str = "dfcnn_ms"


class ModelList(BaseModel):
    """All models."""

    object: str = "list"
    data: list[ModelPage]


class Desk:
    """Takes requests, has them heard, and hands out the answers.

    Args:
        engine: what hears.
        limits: of a recording.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine, self.limits = engine, limits
        self.sessions = 0
        self.began = int(time.time())
        self._readers = ThreadPoolExecutor(cores(), thread_name_prefix="reader")

    async def hear(self, form: Form, model: Model, options: Options) -> Said:
        """What is said in a recording.

        Raises:
            DataError, Refused: it cannot be heard.
        """
        return whole([one async for one in self.parts(form, model, options)])

    async def parts(self, form: Form, model: Model, options: Options) -> AsyncIterator[Said]:
        """What is said in a recording; in a long one from pause to pause, as soon as it is known.

        Raises:
            DataError, Refused: it cannot be heard.
        """
        with self.engine.place(), TemporaryDirectory(prefix="dfcnn_ms-", ignore_cleanup_errors=True) as folder:
            listener = await self._reading(model.listener, options)
            sound = await self._reading(sounds.stored, form.file, form.name, Path(folder), self.limits.seconds)
            if recordings.is_long(listener, sound.seconds):
                heard = self._long(listener, sound)
            else:
                heard = self._short(model, options, sound)
            async with contextlib.aclosing(heard):
                async for transcript in heard:
                    yield Said(sound.name, sound.seconds, transcript)
            self.engine.metrics.heard(model.name, sound.seconds)

    async def _short(self, model: Model, options: Options, sound: Stored) -> AsyncGenerator[Transcript, None]:
        features = await self._reading(sound.features, model.recognizer.frontend)
        with sound.named():
            yield await asyncio.wrap_future(self.engine.hear(model, options, features, sound.seconds))

    async def _long(self, listener: Recognizer, sound: Stored) -> AsyncGenerator[Transcript, None]:
        """Some minutes at a time, between the recordings of others."""
        results = recordings.results(listener, recordings.blocks_of(listener, sound.path))
        try:
            yield StreamResult((), 1.0, 0.0, 0.0, (), (), (), listener.sentence(Hypothesis((), 0.0)))  # nothing yet
            with sound.named():
                while (result := await self._hearing(lambda: next(results, None))) is not None:
                    yield result
        finally:
            with contextlib.suppress(Refused):  # a server that stops reads no further anyway
                self.engine.call(lambda: _closed(results))

    async def _hearing(self, function: Callable[[], T]) -> T:
        """Runs something in the thread of the models."""
        return await asyncio.wrap_future(self.engine.call(function))

    async def _reading(self, function: Callable[..., T], *arguments: Any) -> T:
        """Runs something in a thread that reads for clients."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *arguments)

    async def words(self, model: Model, lines: tuple[str, ...]) -> tuple[str, ...]:
        """The phrases among some that a model can listen for."""
        return await self._reading(model.words, lines) if lines else ()

    async def wish(self, form: Form) -> own.Wish:
        """What a request of our own kind asks for."""
        return await self._reading(own.wish, form, self.engine)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Holds a place for one WebSocket.

        Raises:
            Refused: all are taken.
        """
        if self.sessions >= self.limits.sessions or not self.engine.is_ready:
            raise busy(f"{self.sessions} sessions are open, no more are taken; try again later", 5)
        self.sessions += 1
        self.engine.metrics.sessions.set(self.sessions)
        try:
            yield
        finally:
            self.sessions -= 1
            self.engine.metrics.sessions.set(self.sessions)

    def models(self) -> list[ModelPage]:
        """All models."""
        return [ModelPage(id=name, created=self.began) for name in self.engine.models]

    def close(self) -> None:
        """Hears what still waits, and ends."""
        self.engine.close()
        self._readers.shutdown(cancel_futures=True)


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of some work, which is given up when the client leaves."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_departure(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _departure(request: Request) -> None:
    """Ends when the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _closed(results: Iterator[StreamResult]) -> None:
    """Lets the file go that is being read."""
    if isinstance(results, Generator):
        results.close()


def create_app(
    engine: Engine, limits: Limits | None = None, access: Access | None = None, wyoming: socket | None = None
) -> FastAPI:
    """The server as an application of ASGI; the engine has been started.

    Args:
        engine: what hears.
        limits: of requests.
        access: who may ask.
        wyoming: where clients of the Wyoming protocol come, if they do.
    """
    limits, access = limits or Limits(), access or Access()
    desk = Desk(engine, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with Bridge(engine, limits).listening(wyoming) if wyoming else contextlib.nullcontext():
            yield
        await asyncio.to_thread(desk.close)

    app = FastAPI(
        title="dfcnn_ms",
        summary="Mandarin speech to syllables and characters",
        version=dfcnn_ms.__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(Guard, limits=limits, metrics=engine.metrics)
    errors.add_handlers(app)
    app.include_router(_open_routes(app, desk))
    app.include_router(_routes(desk, access))
    _add_realtime(app, desk, access)
    _add_page(app)
    return app


def _open_routes(app: FastAPI, desk: Desk) -> APIRouter:
    """What anybody may ask."""
    router = APIRouter()

    @router.get("/health", summary="Whether the server runs")
    async def health() -> State:
        return State(status="ok")

    @router.get("/ready", summary="Whether a recording would be heard", responses=described(503))
    async def ready() -> State:
        if not desk.engine.is_ready:
            raise busy("the server is stopping", 1)
        return State(status="ok")

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(description.page(app.openapi()))

    return router


def _routes(desk: Desk, access: Access) -> APIRouter:
    """What a key opens, where there is one."""

    async def check(request: Request) -> None:
        access.check(request)

    router = APIRouter(dependencies=[Depends(check)], responses=described(401))
    engine = desk.engine

    @router.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(engine.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/v1/models", summary="The models of this server")
    async def models() -> ModelList:
        return ModelList(data=desk.models())

    @router.get("/v1/models/{name}", summary="One of them", responses=described(404))
    async def model(name: str) -> ModelPage:
        found = [page for page in desk.models() if page.id == name]
        if not found:
            raise Refused(404, f"model {name[:80]!r}: not here", code="model_not_found", param="model")
        return found[0]

    @router.post(
        "/v1/audio/transcriptions",
        summary="What is said in a recording, as OpenAI's server says it",
        responses={**described(400, 408, 413, 422, 503), 200: description.OPENAI_ANSWER},
        openapi_extra=description.OPENAI_REQUEST,
    )
    async def transcriptions(request: Request) -> Response:
        async with form_of(request) as form:
            asked = openai.asked(form)
            model = engine.model(asked.model)
            options = Options(hotwords=await desk.words(model, asked.hotwords))
            if asked.stream:
                parts = desk.parts(form, model, options)
                first = await _unless_gone(request, anext(parts))  # what is wrong shows before the answer begins
                return openai.stream(asked, first, parts)
            said = await _unless_gone(request, desk.hear(form, model, options))
        return openai.answer(asked, said, model.recognizer.vocabulary)

    @router.post(
        "/v1/transcribe",
        summary="All that is known about a recording",
        responses=described(400, 404, 408, 413, 422, 503),
        response_model_exclude_none=True,
        openapi_extra=description.OWN_REQUEST,
    )
    async def transcribe(request: Request) -> own.Answer:
        async with form_of(request) as form:
            wish = await desk.wish(form)
            said = await _unless_gone(request, desk.hear(form, wish.model, wish.options))
        return own.answer(wish, said)

    return router


def _add_realtime(app: FastAPI, desk: Desk, access: Access) -> None:
    @app.websocket("/v1/realtime")
    async def realtime(client: WebSocket) -> None:
        async def send(event: dict[str, Any]) -> None:
            await client.send_json(event)

        try:
            access.check(client)
            async with desk.session():
                await client.accept(PROTOCOL if PROTOCOL in client.scope.get("subprotocols", ()) else None)
                name = client.query_params.get("model")
                await Session(desk.engine, desk.limits, name, send).serve(client)
        except Refused as refused:
            await client.send_denial_response(errors.answer(refused))


def _add_page(app: FastAPI) -> None:
    """The page with the microphone at `/`, and the files that it needs."""
    if not (PAGE / "index.html").is_file():

        @app.get("/", include_in_schema=False)
        async def nothing() -> JSONResponse:
            return JSONResponse({"description": "/docs", "models": "/v1/models"})

        return
    for entry in sorted(PAGE.iterdir()):
        if entry.is_dir() and not entry.name.startswith("_"):
            app.mount(f"/{entry.name}", StaticFiles(directory=entry))
        elif entry.suffix != ".py" and entry.is_file():
            _add_file(app, "/" if entry.name == "index.html" else f"/{entry.name}", entry)


def _add_file(app: FastAPI, route: str, file: Path) -> None:
    @app.get(route, include_in_schema=False, name=file.name)
    async def page() -> FileResponse:
        return FileResponse(file)
