"""Loader processes: the same samples, the same order, however many; and an end in one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms.audio.augment import AddNoise, BandLimit, Gain, Room, SpecAugment, Speed
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.corpus import open_corpus
from dfcnn_ms.training.loader import Pool
from dfcnn_ms.training.plan import plan_batches


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    """Twelve short utterances of noise."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(12):
        seconds = 0.2 + 0.05 * index
        write_wave(tmp_path / f"{index}.wav", 0.1 * rng.standard_normal(round(seconds * 16_000)).astype(np.float32))
        made.append(Utterance(f"u{index}", f"{index}.wav", seconds, ("yi1",) * (index % 3 + 1)))
    write_manifest(tmp_path / "m.jsonl", made)
    return read_manifest(tmp_path / "m.jsonl")


def source(utterances: list[Utterance], processes: int, weights: np.ndarray | None = None) -> BatchSource:
    corpus = open_corpus(
        utterances,
        [[2] * len(utterance.pinyin) for utterance in utterances],
        Frontend(LogMel(n_mels=20)),
        augment_wave=(Speed(), Gain(), AddNoise(recordings=(str(utterances[0].folder),)), Room(), BandLimit(bits=8)),
        augment_features=(SpecAugment(time_width=8),),
        seed=4,
    )
    plan = plan_batches(corpus.longest_frames, 3, 2, shuffle=True, seed=5, weights=weights)
    return BatchSource(corpus, plan, processes=processes)


def epochs(batches: BatchSource, count: int) -> list[np.ndarray]:
    try:
        return [array for _ in range(count) for arrays in batches for array in arrays]
    finally:
        batches.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pids: list[int], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_alive, pids))


@pytest.mark.parametrize("weights", [None, np.linspace(0.2, 3, 12)], ids=["each once", "weighted"])
@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_samples(utterances, weights):
    alone, one, two = (epochs(source(utterances, count, weights), 2) for count in (0, 1, 2))
    assert len(alone) == len(one) == len(two) > 0
    for ours, first, second in zip(alone, one, two, strict=True):
        np.testing.assert_array_equal(first, ours)
        np.testing.assert_array_equal(second, ours)


def test_a_worker_of_several_and_the_rest_of_an_interrupted_epoch_are_the_same_too(utterances):
    plain, other = (source(utterances, count).share(1, 2) for count in (0, 2))
    for batches in (plain, other):
        batches.epoch, batches.skip = 3, 1
    for ours, theirs in zip(epochs(plain, 1), epochs(other, 1), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_the_processes_live_from_epoch_to_epoch_and_end_with_their_source(utterances):
    batches = source(utterances, 2)
    list(batches)
    pids = batches._pool.process_ids
    list(batches)
    assert batches._pool.process_ids == pids and all(map(is_alive, pids))
    del batches
    assert wait_until_gone(pids)


@pytest.mark.slow
def test_an_epoch_that_was_left_early_does_not_leak_into_the_next(utterances):
    batches = source(utterances * 10, 2)
    next(iter(batches))
    following = [array for arrays in batches for array in arrays]
    plain = source(utterances * 10, 0)
    wanted = [array for batch in plain.plan(1) for array in plain.arrays(batch, 1)]
    batches.close()
    for ours, theirs in zip(wanted, following, strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_bad_data_is_the_same_sentence_as_without_processes(utterances):
    utterances[5].path.unlink()
    batches = source(utterances, 2)
    with pytest.raises(DataError, match=r"m\.jsonl:6: .*5\.wav: no such file"):
        epochs(batches, 1)
    assert isinstance(batches.error, DataError)


def test_a_killed_process_ends_the_epoch_with_a_sentence_and_takes_the_others_along(utterances):
    batches = source(utterances * 10, 2)
    iterator = iter(batches)
    next(iterator)
    pids = batches._pool.process_ids
    os.kill(pids[1], signal.SIGKILL)
    with pytest.raises(DataError, match=r"a loader process was killed .* try fewer data\.workers, or 0"):
        list(iterator)
    assert wait_until_gone(pids)


class Broken:
    """A maker with a fault of the program, not of the user; of this module, which other processes cannot import."""

    def arrays(self, batch: object, epoch: int) -> object:
        raise ZeroDivisionError


def test_what_other_processes_cannot_have_is_told():
    with pytest.raises(ConfigError, match="cannot be sent to other processes"):
        Pool(lambda: None, 1)  # type: ignore[arg-type]
    stranger = type("Stranger", (Broken,), {"__module__": "__main__"})
    sys.modules["__main__"].Stranger = stranger  # type: ignore[attr-defined]
    pool = Pool(stranger(), 1)
    with pytest.raises(ConfigError, match="other processes cannot find what they need"):
        list(pool.batches([(None, 0)]))
    pool.close()


def test_a_bug_keeps_its_traceback(utterances):
    batches = source(utterances, 0)
    pool = Pool(batches, 1)
    with pytest.raises(RuntimeError, match=r"(?s)in a loader process:.*AttributeError"):
        list(pool.batches([("no batch", 0)]))
    pool.close()


PROGRAM = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_loader import source
from dfcnn_ms.corpora.manifest import read_manifest
batches = source(read_manifest(sys.argv[1]), 2)
iterator = iter(batches)
next(iterator)
{before}
print(*batches._pool.process_ids, flush=True)
{then}
"""


@pytest.mark.parametrize(
    "then", ["pass", "raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"], ids=["end", "exit", "killed"]
)
@pytest.mark.slow
def test_no_process_outlives_the_program_and_none_holds_it_up(utterances, then):
    program = PROGRAM.format(tests=str(Path(__file__).parent), before="", then=then)
    manifest = utterances[0].where.rpartition(":")[0]
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program, manifest], capture_output=True, text=True, timeout=60)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    assert time.monotonic() - started < 50
    assert wait_until_gone(pids)


@pytest.mark.slow
def test_ctrl_c_reaches_the_program_alone(utterances):
    before = "import signal; signal.signal(signal.SIGINT, lambda *_: sys.exit(len(list(iterator))))"
    program = PROGRAM.format(tests=str(Path(__file__).parent), before=before, then="time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-c", program, utterances[0].where.rpartition(":")[0]],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    pids = [int(pid) for pid in process.stdout.readline().split()]
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(60) == len(source(utterances, 0).plan) - 1
    assert wait_until_gone(pids)


@pytest.mark.slow
def test_the_memory_of_a_process_stays_flat_over_three_epochs(utterances):
    psutil = pytest.importorskip("psutil")
    batches = source(utterances * 30, 1)
    sizes = []
    for _ in range(4):
        list(batches)
        sizes.append(psutil.Process(batches._pool.process_ids[0]).memory_info().rss / 2**20)
    batches.close()
    # The first epoch fills what libraries keep; the three after it must not add to that.
    assert max(sizes[1:]) - sizes[0] < 8, sizes
