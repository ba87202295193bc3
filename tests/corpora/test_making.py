"""The processes that recipes share."""

from __future__ import annotations

import os

import pytest

from dfcnn_ms.corpora.making import Workers


def pid_of(thing: tuple[str, int]) -> tuple[int, tuple[str, int]]:
    return os.getpid(), thing


def letter(thing: tuple[str, int]) -> str:
    return thing[0]


@pytest.mark.parametrize("together", [None, letter])
def test_answers_are_in_order_and_neighbours_that_belong_together_have_one_process(together):
    things = [(name, number) for name in "abcd" for number in range(3)]
    answers = Workers(2, progress=False).all(pid_of, things, "thing", together)
    assert [thing for _, thing in answers] == things
    assert os.getpid() not in {pid for pid, _ in answers}
    if together:
        for name in "abcd":
            assert len({pid for pid, thing in answers if thing[0] == name}) == 1


def test_few_things_need_no_other_process():
    assert {pid for pid, _ in Workers(2, progress=False).all(pid_of, [("a", 0), ("b", 0)], "thing")} == {os.getpid()}
