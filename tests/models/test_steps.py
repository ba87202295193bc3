"""The clock of a network's output steps: known from its table, the same alone and among others, for every table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import networks

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.decoding.align import Alignment
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.table import Block
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.tasks import Ctc
from dfcnn_ms.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("yi1", "er4"))
HOP_SECONDS = 0.01


def seen_by(network: Dfcnn, step: int) -> tuple[int, int]:
    """The first and the last frame that an output step sees, followed back layer by layer."""
    around = sum(kernel // 2 for kernel in network.context)
    first, last = step - around, step + around
    for block in reversed(network.blocks):
        first, last = first * block.pool[0], last * block.pool[0] + block.pool[0] - 1
        for index in reversed(range(block.convs)):
            stride = block.stride[0] if index == 0 else 1
            beside = {"pad": network.padding, "same": (block.kernel - 1) // 2, "valid": 0}[network.pad_mode]
            first, last = first * stride - beside, last * stride - beside + block.kernel - 1
    return first, last


@given(networks(), st.integers(0, 20))
@settings(deadline=None)
def test_a_step_lies_in_the_middle_of_what_it_sees(network: Dfcnn, step: int) -> None:
    first, last = seen_by(network, step)
    assert network.frames_per_step is not None
    begins = network.first_frame + step * network.frames_per_step
    assert begins + network.frames_per_step / 2 == pytest.approx((first + last + 1) / 2)
    assert seen_by(network, step + 1)[0] - first == network.frames_per_step


@given(networks())
@settings(deadline=None)
def test_each_step_more_takes_as_many_frames_more(network: Dfcnn) -> None:
    lengths = [network.output_lengths(frames) for frames in range(1, 400)]
    grows = [frames for frames, (few, many) in enumerate(pairwise(lengths), start=2) if 0 < few < many]
    assert all(later - earlier == network.frames_per_step for earlier, later in pairwise(grows))


@given(networks())
@settings(deadline=None)
def test_the_receptive_field_is_what_the_first_step_sees(network: Dfcnn) -> None:
    assert network.receptive_field == seen_by(network, 0)


def test_a_network_with_one_output_for_all_has_no_receptive_field() -> None:
    assert Dfcnn(over_time="mean").receptive_field is None
    assert Dfcnn().receptive_field == (-66, 73)  # 13 convolutions and 3 poolings of the reference, by hand


class Echo:
    """A network that says a unit wherever the sound is loud: at each step, the mean of the frames that it sees."""

    def __init__(self, network: Dfcnn) -> None:
        self.network = network

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps = np.maximum(self.network.output_lengths(lengths), 0)
        most = max(1, int(self.network.output_lengths(features.shape[2])))
        log_probs = np.full((len(features), most, len(VOCABULARY)), -9.0)
        for row, length in enumerate(lengths):
            for step in range(most):
                first, last = seen_by(self.network, step)
                seen = features[row, 0, max(first, 0) : min(last + 1, length)]
                log_probs[row, step, VOCABULARY.encode(["yi1"])[0]] = np.log(seen.mean() + 1e-3) if seen.size else -8.0
            log_probs[row, :, 0] = -1.0
        return log_probs, np.minimum(steps, most)


def listener(network: Dfcnn) -> Recognizer:
    frontend = Frontend(LogMel(n_mels=20, hop_ms=1000 * HOP_SECONDS), cmvn="none")
    return Recognizer(Echo(network), frontend, VOCABULARY, network, task=Ctc())


@given(networks(), st.integers(40, 120), st.integers(1, 200), st.integers(10, 30))
@settings(deadline=None, max_examples=60)
def test_times_do_not_depend_on_the_neighbours(network: Dfcnn, frames: int, more: int, place: int) -> None:
    """One loud stretch: the same times, alone and beside a longer utterance whose padding changes the batch."""
    alone, longer = np.zeros((frames, 20), np.float32), np.ones((frames + more, 20), np.float32)
    alone[place : place + 3] = 1.0
    recognizer = listener(network)
    by_itself, beside = recognizer.read([alone])[0], recognizer.read([alone, longer])[0]
    assert (by_itself.starts, by_itself.ends, by_itself.confidences) == (beside.starts, beside.ends, beside.confidences)


VALID = Dfcnn(blocks=(Block(1, pool=(2, 1)), Block(1, pool=(2, 1))), hidden=(), pad_mode="valid", padding=0)


def test_without_padding_a_step_is_four_frames_whatever_the_length() -> None:
    """Where steps were guessed from the length of the batch, they had 6 frames in one of 32 and 5 in one of 64."""
    assert VALID.frames_per_step == 4
    assert [VALID.output_lengths(frames) for frames in (32, 64, 128)] == [5, 13, 29]
    assert VALID.first_frame == 6  # a step sees 16 frames, and stands for the four in their middle
    sound = listener(VALID).sound(np.zeros((64, 20), np.float32))
    assert np.diff(sound.step_begins(np.arange(5))) == pytest.approx(4 * HOP_SECONDS)


@given(networks(), st.integers(0, 40))
@settings(deadline=None)
def test_what_is_heard_at_a_step_is_placed_where_the_step_looks(network: Dfcnn, step: int) -> None:
    first, last = seen_by(network, step)
    sound = listener(network).sound(np.zeros((max(last, 1) + 50, 20), np.float32))
    here = Alignment((1,), (step,), (step,), (step,), (1.0,), 0.0)
    starts, ends = Ctc().times(here, sound)
    middle = ((first + last) / 2) * sound.hop_seconds + sound.window_seconds / 2
    assert starts[0] - 1e-9 <= np.clip(middle, 0, sound.seconds) <= ends[0] + 1e-9
