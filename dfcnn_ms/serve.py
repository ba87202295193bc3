"""``python -m dfcnn_ms.serve``: a server that writes down what is said, for OpenAI's clients and for browsers."""

from __future__ import annotations

import argparse
import importlib.util
import os.path
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dfcnn_ms import cli, extras
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.options import add_flags, check_heard, search_of
from dfcnn_ms.errors import ConfigError, DeviceError
from dfcnn_ms.recognizer import BATCH_SIZE, Recognizer
from dfcnn_ms.runtime.in_the_box import fill_in

if TYPE_CHECKING:
    from dfcnn_ms.serving.models import Model

EXAMPLE = "python -m dfcnn_ms.serve --ckpt dfcnn.ckpt --port 8000"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, loads the models, and answers until it is stopped."""
    argv = cli.with_plugins(argv)
    options = _parser().parse_args(argv)
    given = options.ckpt
    chosen = fill_in(options)
    choice = replace(search_of(options), hanzi=options.hanzi, hanzi_model=options.hanzi_model)
    choice.check()
    check_heard(choice)
    named = named_paths(given or [str(chosen.network)])
    check_installed()
    chosen.say()
    serve(options, named, choice)
    print("stopped")


def serve(options: argparse.Namespace, named: dict[str, Path], choice: Choice) -> None:
    """Loads the models, says where the server listens, and answers until it is stopped."""
    from dfcnn_ms.serving import access, server
    from dfcnn_ms.serving.app import create_app
    from dfcnn_ms.serving.engine import Engine
    from dfcnn_ms.serving.limits import Limits

    limits = Limits(options.max_mb, options.max_seconds, options.queue, options.sessions, options.batch)
    key = access.load_key(options.key_file)
    access.check_exposed(options.host, key, no_key=options.no_key)
    if options.wyoming_port is not None and key is not None:
        raise ConfigError("--wyoming-port: its protocol knows no key; leave the key out, or this")
    with ExitStack() as stack:
        ports = [port for port in (options.port, options.wyoming_port) if port is not None]
        sockets = [stack.enter_context(server.bound(options.host, port)) for port in ports]
        engine = Engine(
            lambda: load(named, choice, options.device_target), places=limits.queue, batch_size=limits.batch
        )
        engine.start()
        server.allow_many_connections()
        for socket, protocol in zip(sockets, ("http", "tcp"), strict=False):
            socket.listen()
            print(f"listening: {server.address(socket, protocol)} ({', '.join(named)})", flush=True)
        app = create_app(engine, limits, access.Access(key), *sockets[1:])
        server.server(app).run(sockets[:1])


def _parser() -> argparse.ArgumentParser:
    arguments = cli.parser("serve", "Write down what is said, for OpenAI's clients and for browsers.", EXAMPLE)
    arguments.add_argument(
        "--ckpt",
        action="append",
        metavar="[NAME=]FILE",
        help="a network, by its name for clients or that of its file; again for another one (default: dfcnn.ckpt; "
        "where there is none, the network in the box)",
    )
    cli.add_device_target(arguments)
    arguments.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    arguments.add_argument("--port", type=int, default=8000, help="default: 8000; 0 takes a free one")
    arguments.add_argument("--wyoming-port", type=int, metavar="N", help="speak to Home Assistant there, by Wyoming")
    arguments.add_argument(
        "--key-file", type=Path, metavar="FILE", help="the key that clients need (default: $DFCNN_MS_KEY, else none)"
    )
    arguments.add_argument("--no-key", action="store_true", help="let other machines ask without a key")
    arguments.add_argument("--max-mb", type=int, default=64, metavar="N", help="of one request (default: 64)")
    arguments.add_argument(
        "--max-seconds", type=float, default=3600.0, metavar="S", help="of one recording (default: 3600)"
    )
    arguments.add_argument(
        "--queue", type=int, default=64, metavar="N", help="recordings that may wait; more get a 503 (default: 64)"
    )
    arguments.add_argument(
        "--batch", type=int, default=BATCH_SIZE, metavar="N", help=f"recordings heard at once (default: {BATCH_SIZE})"
    )
    arguments.add_argument("--sessions", type=int, default=32, metavar="N", help="WebSockets at a time (default: 32)")
    add_flags(arguments)
    return arguments


def named_paths(given: Sequence[str]) -> dict[str, Path]:
    """Name -> file of each network that was named.

    Raises:
        ConfigError: two have one name, or one has none.
    """
    found: dict[str, Path] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not equals or os.path.isfile(one):
            name, path = Path(one).stem, one
        if not name or not path:
            raise ConfigError(f"--ckpt {one}: wanted FILE or NAME=FILE")
        if name in found:
            raise ConfigError(f"--ckpt {one}: there is a network named {name} already; write NAME=FILE")
        found[name] = Path(path)
    return found


def check_installed() -> None:
    """Refuses to go on without the packages of a server.

    Raises:
        DeviceError: says how to install them.
    """
    for module, extra in extras.EXTRAS.items():
        if extra == "serve" and importlib.util.find_spec(module) is None:
            raise DeviceError(f"serve: {extras.missing(ModuleNotFoundError(name=module))}")


def load(named: dict[str, Path], choice: Choice, device_target: str) -> list[Model]:
    """The models; they share one model of the characters."""
    from dfcnn_ms.serving.models import Model

    hanzi, models = choice.load_hanzi(), []
    for name, path in named.items():
        recognizer = Recognizer.load(path, device_target)
        recognizer.hanzi = hanzi
        models.append(Model(name, recognizer, choice))
    return models


if __name__ == "__main__":
    cli.run(main)
