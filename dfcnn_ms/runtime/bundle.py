"""The file of an exported network: an ONNX model that says about itself what a checkpoint says, with a checksum.

Any program that runs ONNX can use it. What this package adds stands in the model's metadata: ``dfcnn_ms`` (as
:class:`~dfcnn_ms.runtime.meta.Meta` writes itself), ``format``, ``input`` (``features`` or ``wave``), ``precision``,
``task``, ``license`` where one was given, and ``crc32``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.runtime import protobuf

#: of these files; a program reads its own and older ones
FORMAT = 1
META, SUM = "dfcnn_ms", "crc32"
#: what the parts that turn sound into features are called begins with this
SOUND = "sound/"
#: what those parts give, and the network behind them takes
FEATURES, FRAMES = "features", "frames"
#: what the arrays of a decoder are called begins with this; what it looks at is a third result
DECODER, MEMORY = "decoder/", "memory"
#: numbers of the fields of a model, and of a graph
_GRAPH, _METADATA = 7, 14
_NODE, _INITIALIZER, _INPUT, _VALUE_INFO = 1, 5, 11, 13

_EXPORT = "export it again: python -m dfcnn_ms.export --ckpt dfcnn.ckpt --format onnx"


@dataclass(frozen=True)
class Bundle:
    """An exported network as it is stored.

    Attributes:
        head: the fields of the model besides the two others: versions and operators.
        graph: the graph.
        metadata: what the file says about itself, without the checksum.
    """

    head: bytes
    graph: bytes
    metadata: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """The whole file."""
        entries = {**self.metadata, SUM: self._sum()}
        written = [protobuf.raw(_METADATA, protobuf.text(1, key) + protobuf.text(2, entries[key])) for key in entries]
        return self.head + protobuf.raw(_GRAPH, self.graph) + b"".join(written)

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Bundle:
        """Reads back what :meth:`to_bytes` wrote; ``where`` names the file in errors.

        Raises:
            CheckpointError: no ONNX model, one of another program, damaged, or of a newer version.
        """
        try:
            head, graph, metadata = _parts(content)
        except ValueError as error:
            raise CheckpointError(
                f"{where}: cannot be read, it is truncated, corrupt or no ONNX model ({error}); {_EXPORT}"
            ) from None
        if META not in metadata:
            raise CheckpointError(f"{where}: an ONNX model, but not one that dfcnn_ms.export wrote; {_EXPORT}")
        if metadata.get("format") != str(FORMAT):
            raise CheckpointError(
                f"{where}: exported in format {metadata.get('format')}, this version of dfcnn_ms reads format "
                f"{FORMAT}; use the version that wrote it, or {_EXPORT}"
            )
        stored = metadata.pop(SUM, "")
        bundle = cls(head, graph, metadata)
        if stored != bundle._sum():
            raise CheckpointError(f"{where}: is damaged, its checksum is wrong; {_EXPORT}")
        return bundle

    def _sum(self) -> str:
        """Of everything but itself."""
        words = "\0".join(word for key in sorted(self.metadata) for word in (key, self.metadata[key]))
        return f"{zlib.crc32(words.encode(), zlib.crc32(self.graph, zlib.crc32(self.head))):08x}"

    def saying(self, **metadata: str) -> Bundle:
        """The same network with other words about itself."""
        return replace(self, metadata={**self.metadata, **metadata})

    def arrays(self, begins: str) -> dict[str, np.ndarray]:
        """The float32 arrays of the graph whose names begin so, by the rest of their names."""
        stored = (content for number, content in protobuf.fields(self.graph) if number == _INITIALIZER)
        named = (_array(content) for content in stored if isinstance(content, bytes))
        return {name[len(begins) :]: array for name, array in named if name.startswith(begins) and array is not None}

    def of_features(self) -> Bundle:
        """The same network without the part that turns sound into features, where it has one."""
        if self.metadata.get("input") != "wave":
            return self
        kept = b"".join(protobuf.raw(number, content) for number, content in _without_sound(self.graph))
        return replace(self, graph=kept, metadata={**self.metadata, "input": "features"})


def _parts(content: bytes) -> tuple[bytes, bytes, dict[str, str]]:
    """Head, graph and metadata of a model.

    Raises:
        ValueError: it is none.
    """
    head, graph, metadata = b"", b"", {}
    for number, value in protobuf.fields(content):
        if number == _GRAPH and isinstance(value, bytes):
            graph = value
        elif number == _METADATA and isinstance(value, bytes):
            entry = dict(protobuf.fields(value))
            metadata[_text(entry.get(1))] = _text(entry.get(2))
        else:
            head += protobuf.raw(number, value) if isinstance(value, bytes) else protobuf.whole(number, value)
    if not graph:
        raise ValueError("it has no graph")
    return head, graph, metadata


def _text(value: int | bytes | None) -> str:
    if not isinstance(value, bytes):
        raise ValueError("its metadata is no text")
    return value.decode()


def _array(tensor: bytes) -> tuple[str, np.ndarray | None]:
    """Name and numbers of a constant; None where they are no float32."""
    shape, kind, name, raw = [], 0, "", b""
    for number, value in protobuf.fields(tensor):
        if number == 1 and isinstance(value, int):
            shape.append(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == 9 and isinstance(value, bytes):
            raw = value
    return name, np.frombuffer(raw, "<f4").reshape(shape) if kind == 1 else None


def _without_sound(graph: bytes) -> list[tuple[int, bytes]]:
    """The fields of a graph whose inputs are what the part for sound would have given."""
    kept = []
    for number, content in protobuf.fields(graph):
        assert isinstance(content, bytes), "a graph holds messages and its name"
        if number == _VALUE_INFO:
            kept.append((_INPUT, content))
        elif number != _INPUT and not (number in (_NODE, _INITIALIZER) and _is_of_sound(number, content)):
            kept.append((number, content))
    return kept


def _is_of_sound(number: int, content: bytes) -> bool:
    names = {_NODE: 2, _INITIALIZER: 8}  # what a node gives, and what a constant is called
    own = [value for field, value in protobuf.fields(content) if field == names[number] and isinstance(value, bytes)]
    return any(one.startswith(SOUND.encode()) or one in (FEATURES.encode(), FRAMES.encode()) for one in own)
