"""What this process may use of the machine."""

from __future__ import annotations

import pytest

from dfcnn_ms import machine


@pytest.mark.parametrize(("wish", "count"), [("1", 1), ("3,2", 3), ("99", 4), ("", 4), ("none", 4), ("0", 4)])
def test_threads_are_those_of_mindspore(wish: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine.THREADS, wish)
    monkeypatch.setattr(machine, "cores", lambda: 4)
    assert machine.threads() == count
