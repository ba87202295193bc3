"""The threads that oneDNN computes with."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from dfcnn_ms.native import threads


@pytest.mark.parametrize(("count", "members"), [(0, 2), (1, 4), (7, 3), (32, 2), (5, 5), (9, 1)])
def test_every_number_is_worked_on_once(count: int, members: int) -> None:
    done: list[int] = []
    threads.Team(members).share_out(count, done.append)
    assert sorted(done) == list(range(count))


def test_all_work_at_the_same_time() -> None:
    """Each waits for the others; alone it would wait for ever."""
    meeting = threading.Barrier(3)
    threads.Team(3).share_out(3, lambda number: meeting.wait(20))
    assert not meeting.broken


def test_who_works_is_in_parallel_and_nobody_else() -> None:
    team = threads.Team(2)
    found: list[bool] = []
    assert not team._get_in_parallel(0)
    team.share_out(6, lambda number: found.append(team._get_in_parallel(0)))
    assert found == [True] * 6
    assert not team._get_in_parallel(0)


def test_ctrl_c_waits_for_the_others() -> None:
    """What they write to is freed as soon as this is over."""
    begun, finished = threading.Event(), []

    def work(number: int) -> None:
        if threading.current_thread() is threading.main_thread():
            begun.wait(20)
            signal.raise_signal(signal.SIGINT)
        else:
            begun.set()
            time.sleep(0.5)
            finished.append(number)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            threads.Team(2).share_out(2, work)
            time.sleep(1)  # here it arrives, if not before
        assert len(finished) == 1
    finally:
        signal.signal(signal.SIGINT, before)
