"""Four views of a clip: the frames that each shows, and that their probabilities are averaged."""

from __future__ import annotations

import numpy as np
import pytest

from dfcnn_ms import eval as eval_command
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import Dfcnn
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime.views import FourViews, cropped
from dfcnn_ms.text.vocabulary import Vocabulary


def frames(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.float32).reshape(1, 1, -1, 1)


@pytest.mark.parametrize(("first", "seen"), [(0, [0, 0, 1, 2, 3, 3]), (1, [1, 1, 2, 3, 4, 4]), (2, [2, 2, 3, 4, 5, 5])])
def test_a_crop_is_two_frames_shorter_and_its_edges_are_repeated(first: int, seen: list[int]) -> None:
    assert cropped(frames(0, 1, 2, 3, 4, 5), np.array([6]), first).ravel().tolist() == seen


def test_what_lies_after_a_clip_is_not_seen_and_a_short_one_stays() -> None:
    both = np.concatenate([frames(5, 6, 7, 0), frames(8, 9, 0, 0)])
    assert cropped(both, np.array([3, 2]), 2)[:, 0, :, 0].tolist() == [[7, 7, 7, 0], [8, 9, 0, 0]]


def test_the_probabilities_of_four_views_are_averaged() -> None:
    """Acoustics that say the first frame as a probability."""

    def first_frame(features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = features[:, 0, 0, 0] / 10
        return np.log(np.stack([share, 1 - share], axis=1))[:, None], np.ones(len(features), int)

    log_probs, steps = FourViews(first_frame)(frames(1, 4, 6, 9, 9, 9), np.array([6]))
    np.testing.assert_allclose(np.exp(log_probs[0, 0]), [(1 + 1 + 4 + 6) / 40, 1 - 12 / 40], rtol=1e-6)
    assert steps.tolist() == [1]


def test_sentences_have_no_four_views() -> None:
    recognizer = Recognizer(lambda *_: None, Frontend(LogMel()), Vocabulary(("ba1",)), Dfcnn())
    with pytest.raises(ConfigError, match="--four-views: averages the classes of clips"):
        eval_command.look_four_times(recognizer)
