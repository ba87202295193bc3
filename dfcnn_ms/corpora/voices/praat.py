"""Praat's "Change gender" in a process of its own, with a limit to the time that it may take.

Of some thousand calls one never comes back: Praat counts in C and hears no signal of Python. So the process asks its
system for an end after some seconds of *its own* computing, which neither a busy machine nor a sleeping one shortens;
and whoever waits ends it by the clock much later, for systems that have no such timer.

    with Praat() as praat:
        changed = praat.change(wave, 24_000, Change(formants=0.85, median_hz=110, pitch_range=1.1))

praat-parselmouth, which brings Praat, is GPL-3: it stays optional and is loaded in that process alone.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from types import TracebackType
from typing import IO, Any

import numpy as np

from dfcnn_ms.corpora.voices.spoken import Array, cut_or_padded
from dfcnn_ms.errors import DataError, DeviceError

#: of computing, that a call may take; one takes a hundredth of the time of its sound
CPU_SECONDS = 10.0
#: by the clock, for systems that do not count the seconds of a process
CLOCK_SECONDS = 180.0
#: Hz, between which Praat looks for the pitch of a voice that is not known better
PITCH_HZ = (75.0, 600.0)
# Praat fills what has no pitch with random pieces, differently in every process unless it is told otherwise.
_SEED = "random_initializeWithSeedUnsafelyButPredictably: 1"


@dataclass(frozen=True)
class Change:
    """What Praat makes of a speaker.

    Attributes:
        formants: factor for the frequencies of the formants; below 1 is a longer throat.
        median_hz: of the new pitch.
        pitch_range: factor for the distance from the median.
        search_hz: between which Praat looks for the pitch that there is.
        pace: how long it takes, as a factor; the pitch does not change with it.
    """

    formants: float
    median_hz: float
    pitch_range: float
    search_hz: tuple[float, float] = PITCH_HZ
    pace: float = 1.0


class Praat:
    """A process with Praat in it, started when it is first asked and again after it was ended."""

    #: what the process runs; tests put something else here
    program = "from dfcnn_ms.corpora.voices.praat import serve; serve()"

    def __init__(self, cpu_seconds: float = CPU_SECONDS, clock_seconds: float = CLOCK_SECONDS) -> None:
        self._limits = cpu_seconds, clock_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = 0  # by that process

    def __enter__(self) -> Praat:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def change(self, wave: Array, rate: int, change: Change) -> Array | None:
        """Samples (N,) as another speaker would say them, (pace N,); nothing when Praat did not come back.

        A call that comes back in a process of its own may not do so after others. So it is made again in a new one
        before it is given up, which makes the answer one of the sound alone.

        Raises:
            DataError: Praat refuses.
        """
        answer = self._asked(wave, rate, change)
        if answer is None and self._answered:
            answer = self._asked(wave, rate, change)
        if isinstance(answer, str):
            raise DataError(f"Praat cannot change this sound to {change}: {answer}")
        return None if answer is None else np.asarray(answer, np.float64)

    def _asked(self, wave: Array, rate: int, change: Change) -> Array | str | None:
        """What the process answers: samples, why there are none, or nothing, and then it is ended."""
        process = self._started()
        cpu_seconds, clock_seconds = self._limits
        clock = threading.Timer(clock_seconds, process.kill)
        clock.start()
        try:
            pickle.dump((wave, rate, change, cpu_seconds), _pipe(process.stdin))
            _pipe(process.stdin).flush()
            answer: Array | str = pickle.load(_pipe(process.stdout))
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            return None
        finally:
            clock.cancel()
        self._answered += 1
        return answer

    def close(self) -> None:
        """Ends the process; it holds nothing that could be lost."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            # What could not be sent any more is still in the buffer.
            try:
                _pipe(pipe).close()
            except OSError:
                continue

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process, self._answered = _start(self.program), 0
        return self._process


@lru_cache(maxsize=1)
def of_this_process() -> Praat:
    """The Praat that serves this process."""
    return Praat()


def check() -> None:
    """Makes sure that Praat is installed.

    Raises:
        DeviceError: it is not.
    """
    if find_spec("parselmouth") is None:
        raise DeviceError(
            "turning a voice into other people needs praat-parselmouth, which is not installed; run: pip install"
            ' "dfcnn-ms[voices]"'
        )


def serve() -> None:
    """The life of the process: one sound after the other, until nobody asks any more."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    while True:
        try:
            wave, rate, change, cpu_seconds = pickle.load(questions)
        except EOFError:
            return
        _limit(cpu_seconds)
        pickle.dump(_answer(wave, rate, change), answers)
        answers.flush()
        _limit(0.0)


def _limit(cpu_seconds: float) -> None:
    """The system ends this process after so much computing; 0 takes that back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def _answer(wave: Array, rate: int, change: Change) -> Array | str:
    """Samples (N,), or why there are none."""
    import parselmouth
    from parselmouth.praat import call, run

    sound = parselmouth.Sound(wave, rate)
    run(_SEED)
    try:
        arguments = (*change.search_hz, change.formants, change.median_hz, change.pitch_range, change.pace)
        with warnings.catch_warnings():  # of what the answer says itself
            warnings.simplefilter("ignore", parselmouth.PraatWarning)
            changed = np.asarray(call(sound, "Change gender", *arguments).values[0], np.float64)
    except parselmouth.PraatError as error:
        return " ".join(str(error).split())
    # Where it finds no pitch, Praat only warns, and what it gives is silent.
    if not np.any(changed) or not np.isfinite(changed).all():
        return "no voiced segments"
    return cut_or_padded(changed, round(len(wave) * change.pace))  # resampling may have won or lost a sample


def _start(program: str) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(path for path in sys.path if path)
    # A session of its own: Ctrl-C in the terminal is for the command; with that one gone, its questions end.
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        start_new_session=True,
    )


def _pipe(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None
    return pipe
