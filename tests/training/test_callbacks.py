"""Callbacks alone, with a history that was made up: the coach acts only when asked, networks stay as they deserve."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor
from mindspore.train import RunContext
from mindspore.train.callback import _InternalCallbackParam

from dfcnn_ms.errors import Interrupted
from dfcnn_ms.training import callbacks
from dfcnn_ms.training.callbacks import Bookkeeper, Coach, KeepNetworks, SaveState, entropy
from dfcnn_ms.training.coach import advise
from dfcnn_ms.training.history import TARGET, History, StepOutputs
from dfcnn_ms.training.optimizers import RateTable

pytestmark = pytest.mark.usefixtures("cpu")
CURVES = Path(__file__).parents[1] / "data" / "curves"


def curve(name: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in (CURVES / f"{name}.jsonl").read_text().splitlines()]


def coached(name: str, *, act: bool) -> tuple[History, RunContext, RateTable]:
    """The first epochs of a recorded training, up to the first in which the coach would do something."""
    records = curve(name)
    end = next(count for count in range(1, len(records) + 1) if advise(records[:count]).action)
    history = History(epochs=[dict(record) for record in records[:end]], timings=[{} for _ in range(end)])
    context, rates = RunContext(_InternalCallbackParam()), RateTable(np.full(10, 0.5, np.float32))
    Coach(history, rates, act=act).on_train_epoch_end(context)
    return history, context, rates


def test_the_coach_speaks_and_leaves_the_rest_to_you():
    history, context, rates = coached("rate_rises", act=False)
    assert float(rates.scale.asnumpy()) == 1
    assert not context.get_stop_requested() and "finished" not in history.counters
    assert history.last["coach"]


def test_the_coach_lowers_the_rate_when_it_may():
    history, context, rates = coached("rate_rises", act=True)
    action = advise(curve("rate_rises")[: len(history.epochs)]).action
    assert action is not None and action.rate_factor is not None
    assert float(rates.scale.asnumpy()) == pytest.approx(action.rate_factor)
    assert not context.get_stop_requested()


def test_the_coach_ends_training_when_it_may_and_a_resumed_run_stays_ended():
    history, context, _ = coached("wrong_labels", act=True)
    assert context.get_stop_requested() and history.counters["finished"] == 1


class Plan(list[list[int]]):
    """Of one utterance in three batches."""

    weights = np.ones(1)


def test_a_resumed_epoch_has_taken_what_both_of_its_parts_took(monkeypatch):
    clock = iter([100.0, 100.0, 107.0, 107.0, 500.0, 500.0, 504.0, 504.0])  # 7 s, and after a pause 4 s
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    source: Any = SimpleNamespace(corpus=SimpleNamespace(labels=[[1]]), plan=Plan([[0]] * 3))
    context, history = RunContext(_InternalCallbackParam()), History()
    arguments = context.original_args()
    arguments.cur_epoch_num, arguments.dataset_sink_mode = 1, False
    arguments.net_outputs = [Tensor(1.0), Tensor(1.0), Tensor(True)]
    for part in (7.0, 11.0):
        one = Bookkeeper(history, None, source, 0)
        one.on_train_epoch_begin(context)
        one.on_train_step_begin(context)
        one.on_train_step_end(context)
        assert history.timings == [
            {"epoch": 1, "train_seconds": part, "wait_seconds": 0.0}
        ]  # as SaveState would save it


@pytest.mark.parametrize(
    ("best", "every", "errors", "kept"),
    [
        (1, 0, [0.5, 0.4, 0.3], set()),
        (1, 2, [0.5, 0.4, 0.3, 0.6], {2, 4}),
        (2, 0, [0.5, 0.4, 0.3, 0.6], {2, 3}),
        (2, 0, [0.3, 0.4, 0.3, 0.3], {1, 3}),
        (3, 4, [0.1, 0.9, 0.2, 0.8, 0.3], {1, 3, 4, 5}),
    ],
)
def test_the_best_few_and_every_nth_network_stay(tmp_path, best, every, errors, kept):
    history = History()
    saved: list[str] = []

    def save(name: str) -> None:
        saved.append(name)
        (tmp_path / name).touch()

    callback = KeepNetworks(history, save, tmp_path, best, every)
    for epoch, error in enumerate(errors, 1):
        history.start_epoch(epoch)
        history.note(**{TARGET: error})
        callback.on_train_epoch_end(RunContext(_InternalCallbackParam()))
    assert {path.name for path in tmp_path.glob("epoch*.ckpt")} == {f"epoch{epoch:03d}.ckpt" for epoch in kept}
    lowest = [epoch for epoch, error in enumerate(errors, 1) if error < min([*errors[: epoch - 1], 1])]
    assert saved.count("best.ckpt") == len(lowest)


def test_a_state_is_saved_every_so_many_steps_and_when_somebody_asks():
    history, steps, asked = History(), [], [False]
    callback = SaveState(
        history,
        lambda: steps.append(history.step),
        steps_per_epoch=5,
        every=2,
        asked=lambda: asked[0],
        again="go on",
    )
    context = RunContext(_InternalCallbackParam())
    history.start_epoch(1)
    for _ in range(5):
        history.advance(1, [StepOutputs()])
        callback.on_train_step_end(context)
    callback.on_train_epoch_end(context)
    assert steps == [2, 4, 5]  # the last step is left to the end of the epoch
    history.start_epoch(2)
    asked[0] = True
    history.step = 7
    history.advance(1, ())
    callback.on_train_step_end(context)  # nobody has looked at this step yet: its figures would be lost
    history.step = 6
    history.advance(0, [StepOutputs()])
    with pytest.raises(Interrupted, match=r"everything up to step 6 \(epoch 2\) is saved; go on with: go on"):
        callback.on_train_step_end(context)
    assert steps == [2, 4, 5, 6]


def test_entropy_of_labels():
    assert entropy([[2, 3], [4, 5]]) == pytest.approx(np.log(4))
    assert entropy([[2, 2], [2]]) == 0


def test_a_history_comes_back_from_its_dictionary():
    history = History(step=7, step_in_epoch=2, counters={"plateau": 1})
    history.start_epoch(1)
    history.add(loss=1.5)
    history.points.append((1, {"loss": 1.5}))
    again = History.from_dict(json.loads(json.dumps(history.to_dict())), None)
    assert again.to_dict() == json.loads(json.dumps(history.to_dict()))
    again.start_epoch(1)  # the epoch in which it was interrupted goes on
    assert len(again.epochs) == 1 and again.sums == {"loss": 1.5}


@pytest.mark.parametrize(
    ("targets", "since", "best"),
    [
        ([], 0, np.inf),
        ([0.3, 0.2, 0.1], 0, 0.1),
        ([0.3, 0.2, 0.2, 0.4], 2, 0.2),  # the first of equals
        ([0.3, np.nan], 1, 0.3),
        ([np.nan, np.inf, 0.9], 0, 0.9),
        ([np.nan, np.nan], 0, np.inf),
        ([0.3, None, 0.4], 1, 0.3),  # None: an epoch that was not evaluated
    ],
)
def test_the_best_epoch_is_the_first_of_the_lowest_finite_targets(targets, since, best):
    epochs = [
        {"epoch": number} if one is None else {"epoch": number, TARGET: one} for number, one in enumerate(targets)
    ]
    history = History(epochs=epochs)
    assert (history.epochs_since_best(), history.best()) == (since, best)


def test_the_network_of_the_lowest_dev_loss_is_kept_beside_that_of_the_fewest_errors(tmp_path):
    """Errors fall, stand, rise; the loss is lowest in the third epoch. Without a loss there is nothing to keep."""
    history, saved = History(), []
    callback = KeepNetworks(history, saved.append, tmp_path, 1, 0)
    for epoch, (error, loss) in enumerate([(0.3, 2.0), (0.1, 1.5), (0.2, 1.1), (0.3, 1.3)], 1):
        history.start_epoch(epoch)
        history.note(**{TARGET: error, "dev_loss": loss})
        saved.append(epoch)
        callback.on_train_epoch_end(RunContext(_InternalCallbackParam()))
    assert saved == [1, "best.ckpt", "best_loss.ckpt", 2, "best.ckpt", "best_loss.ckpt", 3, "best_loss.ckpt", 4]
