"""The wire format against MindSpore's own protobuf, and against itself for anything at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore.train import checkpoint_pb2

from dfcnn_ms.runtime import protobuf
from dfcnn_ms.runtime.protobuf import WireError, fields

NUMBERS = st.integers(1, 1 << 20)
WHOLE = st.integers(-(1 << 63), (1 << 64) - 1)


@given(st.lists(st.tuples(NUMBERS, st.one_of(WHOLE, st.binary(max_size=300)))))
def test_fields_come_back_in_their_order(row: list[tuple[int, int | bytes]]) -> None:
    message = b"".join(
        protobuf.raw(number, value) if isinstance(value, bytes) else protobuf.whole(number, value)
        for number, value in row
    )
    wanted = [(number, value if isinstance(value, bytes) else value % (1 << 64)) for number, value in row]
    assert list(fields(message)) == wanted


@given(st.text(max_size=40), st.lists(st.integers(0, 1 << 40), max_size=5), st.binary(max_size=200))
def test_another_library_reads_what_is_written(tag: str, dims: list[int], content: bytes) -> None:
    tensor = protobuf.each(1, dims) + protobuf.text(2, "Float32") + protobuf.raw(3, content)
    message = protobuf.raw(1, protobuf.text(1, tag) + protobuf.raw(2, tensor))
    stored = checkpoint_pb2.Checkpoint()
    stored.ParseFromString(message)
    (value,) = stored.value
    assert (value.tag, list(value.tensor.dims), value.tensor.tensor_content) == (tag, dims, content)


@given(st.binary(max_size=100))
def test_anything_is_a_message_or_refused(message: bytes) -> None:
    try:
        for number, value in fields(message):
            assert number > 0 and isinstance(value, int | bytes)
    except WireError:
        pass


@pytest.mark.parametrize("message", [b"\x0a\x05abc", b"\x08", b"\x80" * 11, b"\x0b", b"\x00\x00", b"\x0d\x00\x00"])
def test_what_is_cut_short_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        list(fields(message))
