"""What a step sees, by changing frames one at a time; and pieces of an utterance against the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hearers import forward, noise, pieces, table_recognizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import networks
from tones import classifier, listener

from dfcnn_ms.audio.features import GlobalCmvn, LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import read_wave, write_wave
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.conformer import Conformer
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.table import Block
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.streaming.recordings import log_probs
from dfcnn_ms.streaming.windows import Stitched

BLOCKS = (
    Block(4, convs=1, kernel=5, stride=(2, 2)),
    Block(4, convs=2, pool=(2, 2)),
    Block(6, convs=2, fold=True, pool=(1, 1)),
)


@given(networks())
@settings(deadline=None, max_examples=40)
def test_a_step_changes_with_the_frames_of_its_receptive_field_alone(network: Dfcnn) -> None:
    """Weights that are all positive, and sums in the place of maxima: what is seen is felt."""
    frames = 80
    plain = forward(network, np.ones(frames), weight=0.5)
    assert len(plain) == max(0, network.output_lengths(frames))
    assert network.receptive_field is not None and network.frames_per_step is not None
    first, last = network.receptive_field
    step_frames = network.frames_per_step
    # At the end, pooling may leave out frames that a step could have seen.
    inside = {u for u in range(len(plain)) if u * step_frames + last < frames}
    for frame in range(0, frames, 7):
        changed = np.ones(frames)
        changed[frame] += 1
        felt = set(np.flatnonzero(forward(network, changed, weight=0.5) != plain))
        sees = {u for u in range(len(plain)) if first <= frame - u * step_frames <= last}
        assert felt <= sees
        assert felt & inside == sees & inside or not is_dense(network)


def is_dense(network: Dfcnn) -> bool:
    """Whether no layer passes over frames that it could look at."""
    return all(block.kernel >= block.stride[0] for block in network.blocks)


@given(networks(), st.integers(0, 150), st.lists(st.integers(0, 40), min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_pieces_of_any_table_make_the_whole(network: Dfcnn, frames: int, sizes: list[int]) -> None:
    features = np.random.default_rng(frames).standard_normal((frames, 20)).astype(np.float32)
    recognizer = table_recognizer(network)
    stitched = Stitched(recognizer)
    parts = [stitched.feed(piece) for piece in pieces(features, [*sizes, 16])] if frames else []
    found = np.concatenate([*parts, stitched.finish()])
    steps = max(0, network.output_lengths(frames))
    assert len(found) == steps
    if steps:
        np.testing.assert_allclose(found, recognizer.outputs([features]).of(0), atol=1e-6)


@given(networks(), st.integers(2, 12))
@settings(deadline=None, max_examples=20)
def test_a_step_comes_with_the_last_frame_that_it_sees(network: Dfcnn, step: int) -> None:
    assert network.receptive_field is not None and network.frames_per_step is not None
    last = step * network.frames_per_step + network.receptive_field[1]
    stitched, features = Stitched(table_recognizer(network)), np.zeros((last + 1, 20), np.float32)
    assert len(stitched.feed(features[:-1])) == step
    assert len(stitched.feed(features[-1:])) == 1


@pytest.mark.parametrize("cmvn", ["none", "global", "running", "utterance"])
def test_a_file_in_pieces_is_the_file(cmvn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, features, normalisation and network in pieces, for every normalisation; no window is long."""
    monkeypatch.setattr("dfcnn_ms.audio.wave._STREAMED_AT_ONCE", 5000)
    write_wave(tmp_path / "a.wav", noise(6) * np.linspace(0, 1, 6 * 16_000, dtype=np.float32), 16_000)
    statistics = GlobalCmvn(np.linspace(-9, -8, 20), np.full(20, 2.0)) if cmvn in ("global", "running") else None
    recognizer = table_recognizer(Dfcnn(blocks=BLOCKS), Frontend(LogMel(n_mels=20), cmvn, statistics))
    parts = list(log_probs(recognizer, tmp_path / "a.wav"))
    assert recognizer.acoustics.most_frames < 150  # type: ignore[attr-defined]
    assert len(parts) > 10
    whole = recognizer.outputs([recognizer.frontend(read_wave(tmp_path / "a.wav"))]).of(0)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        Dfcnn(blocks=BLOCKS, hidden=(8,)),
        Conformer(blocks=BLOCKS[:2], depth=2, width=8, heads=0, feed_forward=12, kernel=5),
    ],
    ids=lambda network: type(network).__name__,
)
def test_the_network_of_mindspore_in_pieces(network: Dfcnn | Conformer) -> None:
    """And a frame is felt by the steps that are said to see it, and by no other."""
    from dfcnn_ms.runtime.acoustic import Acoustic
    from dfcnn_ms.runtime.device import use_mode

    use_mode("pynative")
    plain = table_recognizer(Dfcnn(blocks=BLOCKS))
    recognizer = Recognizer(
        Acoustic(network.build(num_bins=20, num_units=len(plain.vocabulary))),
        plain.frontend,
        plain.vocabulary,
        network,
    )
    features = np.random.default_rng(0).standard_normal((257, 20)).astype(np.float32)
    stitched = Stitched(recognizer)
    parts = [stitched.feed(piece) for piece in pieces(features, [100, 16, 48])]
    found, whole = np.concatenate([*parts, stitched.finish()]), recognizer.outputs([features]).of(0)
    np.testing.assert_allclose(found, whole, atol=1e-4)
    assert network.receptive_field is not None and network.frames_per_step is not None
    first, last = network.receptive_field
    features[100] += 1
    felt = np.flatnonzero(np.abs(recognizer.outputs([features]).of(0) - whole).max(axis=1) > 1e-6)
    sees = [u for u in range(len(whole)) if first <= 100 - u * network.frames_per_step <= last]
    assert min(sees) <= felt[0] <= min(sees) + 1 and max(sees) - 1 <= felt[-1] <= max(sees)


@pytest.mark.parametrize("make", [listener, classifier])
def test_a_step_that_may_see_everything_cannot_be_had_in_pieces(make: object) -> None:
    with pytest.raises(ConfigError, match="a step may see all of the utterance"):
        Stitched(make())  # type: ignore[operator]
