"""Confidences that hold: the fit against a known temperature, figures against hand counts, the command."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from numpy.typing import NDArray
from scipy.stats import binomtest
from tones import Strided

from dfcnn_ms import calibrate as command
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import read_wave, write_wave
from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.decoding import decode_greedy
from dfcnn_ms.decoding.align import align_ctc
from dfcnn_ms.decoding.confidence import (
    COLDEST,
    HOTTEST,
    Peaks,
    confidences,
    fit_temperature,
    joined,
    negative_log_likelihood,
    reliability,
    sentence_confidence,
    tempered,
)
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError
from dfcnn_ms.metrics import edits
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.reporting.reliability import Panel, draw, interval
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.pinyin import DIGITS
from dfcnn_ms.text.vocabulary import Vocabulary

Array = NDArray[np.float64]
steady = settings(deadline=None)  # a busy machine is not a fault


def log_softmax(logits: Array) -> Array:
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))


def spoken_at(temperature: float, count: int, seed: int = 0) -> Peaks:
    """Outputs of a network, and truths drawn from what these outputs are at another temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 8)) * 3
    truth = np.exp(log_softmax(logits / temperature))
    said = (truth.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    ids = logits.argmax(axis=1)
    return Peaks(log_softmax(logits), ids, ids == said)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0, 5.0])
def test_the_fit_finds_the_temperature_that_made_the_truths(temperature: float) -> None:
    assert fit_temperature(spoken_at(temperature, 40_000)) == pytest.approx(temperature, rel=0.06)


def test_calibrated_confidences_hold_on_others_of_the_kind() -> None:
    found = fit_temperature(spoken_at(3.0, 5000))
    other = spoken_at(3.0, 20_000, seed=1)
    before, after = (reliability(other.confidences(t), other.correct) for t in (1.0, found))
    assert before.expected_calibration_error > 0.3
    assert after.expected_calibration_error < 0.02
    assert before.accuracy == after.accuracy == pytest.approx(other.correct.mean())


@pytest.mark.parametrize("correct", [True, False])
def test_a_handful_of_syllables_does_not_drive_the_fit_to_its_ends(correct: bool) -> None:
    few = Peaks(np.log([[0.1, 0.9]] * 3), np.ones(3, int), np.full(3, correct))
    assert 0.3 < fit_temperature(few) < 4
    many = Peaks(np.log([[0.1, 0.9]] * 3000), np.ones(3000, int), np.full(3000, correct))
    assert COLDEST <= fit_temperature(many) <= HOTTEST
    assert (fit_temperature(many) < fit_temperature(few)) == correct


def test_nothing_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="without a single recognised unit"):
        fit_temperature(Peaks(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0, bool)))


@steady
@given(st.integers(0, 10**6), st.floats(0.1, 10))
def test_a_temperature_changes_no_order(seed: int, temperature: float) -> None:
    log_probs = log_softmax(np.random.default_rng(seed).normal(size=(5, 4)) * 4)
    other = tempered(log_probs, temperature)
    assert (np.argsort(other, axis=1) == np.argsort(log_probs, axis=1)).all()
    assert np.exp(other).sum(axis=1) == pytest.approx(np.ones(5))
    assert np.allclose(tempered(log_probs, 1.0), log_probs)
    hotter = other.max(axis=1) <= log_probs.max(axis=1) + 1e-9
    assert hotter.all() if temperature >= 1 else (other.max(axis=1) >= log_probs.max(axis=1) - 1e-9).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_a_positive_number(temperature: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        tempered(np.zeros((1, 2)), temperature)


@steady
@given(st.integers(0, 10**6), st.integers(0, 40))
def test_confidences_at_temperature_one_are_the_probabilities_of_the_best_path(seed: int, steps: int) -> None:
    """Of what greedy decoding wrote: the surest step of each run of the likeliest units."""
    log_probs = log_softmax(np.random.default_rng(seed).normal(size=(steps, 5)) * 4)
    runs = [(id, [*run]) for id, run in groupby(range(steps), key=lambda step: int(log_probs[step].argmax()))]
    alignment = align_ctc(log_probs, decode_greedy(log_probs).ids)
    surest = [np.exp(log_probs[run, id].max()) for id, run in runs if id]
    assert confidences(log_probs, alignment) == pytest.approx(surest)
    assert confidences(log_probs, alignment) == pytest.approx(alignment.scores)
    cold, hot = (confidences(log_probs, alignment, t) for t in (0.5, 3.0))
    assert all(a >= b for a, b in zip(cold, hot, strict=True))
    assert {type(one) for one in hot} <= {float}


def test_a_confidence_is_that_of_the_surest_step() -> None:
    log_probs = np.log([[0.2, 0.8], [0.1, 0.9], [0.9, 0.1]])
    alignment = align_ctc(log_probs, [1])
    assert confidences(log_probs, alignment) == pytest.approx((0.9,))
    # At temperature 2 a probability is the square root, made to sum to one: 3 / (3 + 1).
    assert confidences(log_probs, alignment, 2.0) == pytest.approx((0.75,))


def test_a_text_that_nobody_would_have_heard_has_confidences_too() -> None:
    log_probs = np.log([[0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1]])
    assert confidences(log_probs, align_ctc(log_probs, [2, 1])) == pytest.approx((0.2, 0.6))
    assert confidences(log_probs, align_ctc(log_probs, [])) == ()


def test_a_sentence_is_right_when_all_of_it_is() -> None:
    assert sentence_confidence([0.5, 0.9]) == pytest.approx(0.45)
    assert sentence_confidence([]) == 1.0


def test_surprise_by_hand() -> None:
    assert negative_log_likelihood(np.array([0.5, 0.9]), np.array([True, False])) == pytest.approx(
        -(np.log(0.5) + np.log(0.1)) / 2
    )
    assert np.isfinite(negative_log_likelihood(np.array([1.0, 0.0]), np.array([False, True])))


def test_the_calibration_error_by_hand() -> None:
    found = reliability([0.95, 0.95, 0.85, 0.15], [True, False, True, False])
    # Bin 0.9-1: sure 0.95, right 0.5, half of all; 0.8-0.9: 0.85, 1, a quarter; 0.1-0.2: 0.15, 0, a quarter.
    assert found.expected_calibration_error == pytest.approx(0.45 / 2 + 0.15 / 4 + 0.15 / 4)
    assert found.counts.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 1, 2]
    assert found.accuracy == 0.5
    coarse = reliability([0.95, 0.95, 0.85, 0.15], [True, False, True, False], bins=1)
    assert coarse.expected_calibration_error == pytest.approx(abs(2.9 / 4 - 0.5))


@steady
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50), st.integers(1, 20))
def test_the_calibration_error_is_that_of_a_loop(units: list[tuple[float, bool]], bins: int) -> None:
    groups: dict[int, list[tuple[float, bool]]] = {}
    for confidence, correct in units:
        groups.setdefault(min(int(confidence * bins), bins - 1), []).append((confidence, correct))
    gaps = [abs(sum(c for c, _ in group) - sum(right for _, right in group)) for group in groups.values()]
    found = reliability([c for c, _ in units], [right for _, right in units], bins)
    assert found.expected_calibration_error == pytest.approx(sum(gaps) / max(1, len(units)), abs=1e-12)
    assert found.counts.sum() == len(units)


@pytest.mark.parametrize(
    ("sure", "correct", "message"),
    [([0.5], [True, False], "one truth for each"), ([1.5], [True], "between 0 and 1"), ([[0.5]], [[True]], "shapes")],
)
def test_what_is_no_confidence_is_refused(sure: list[float], correct: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability(sure, correct)


def test_parts_are_joined() -> None:
    parts = [spoken_at(1.0, count) for count in (3, 0, 2)]
    whole = joined(parts)
    assert len(whole.ids) == 5
    assert whole.confidences().tolist() == [c for part in parts for c in part.confidences().tolist()]


# --- the picture ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (3, 10), (990, 1000)])
def test_the_interval_is_wilsons(right: int, count: int) -> None:
    low, high = interval(np.array([count]), np.array([right / count]))
    truth = binomtest(right, count).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((truth.low, truth.high), abs=1e-4)


def test_a_panel_for_each_set(tmp_path: Path) -> None:
    peaks = spoken_at(2.0, 500)
    panel = Panel("dev: 500 syllables", *(reliability(peaks.confidences(t), peaks.correct) for t in (1.0, 2.0)))
    nothing = Panel("test: 0 syllables", reliability([], []), reliability([], []))
    figure = draw([panel, nothing])
    figure.savefig(tmp_path / "r.png", dpi=60)
    assert imread(tmp_path / "r.png").std() > 0
    assert len(figure.axes) == 4
    diagram = figure.axes[0]
    assert f"{panel.after.expected_calibration_error:.4f} after" in diagram.get_title(loc="left")
    drawn = next(line for line in diagram.lines if line.get_label() == "before")
    filled = panel.before.counts > 0
    assert drawn.get_xdata() == pytest.approx(panel.before.confidences[filled])
    assert drawn.get_ydata() == pytest.approx(panel.before.accuracies[filled])


# --- the command ------------------------------------------------------------------------------------------------------

VOCABULARY = Vocabulary(tuple(sorted(DIGITS)))


@dataclass
class Acoustics:
    """Hears something in every sound, and is surer of it than it should be."""

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        batch, _, frames, bins = features.shape
        mixed = features[:, 0, : frames // 8 * 8].reshape(batch, -1, 8 * bins)
        logits = 0.4 * (mixed @ np.random.default_rng(0).normal(size=(8 * bins, len(VOCABULARY))))
        logits[..., 1] = -50.0
        return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True), lengths // 8


class Deaf:
    """Hears nothing in any sound."""

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_probs = np.full((len(features), features.shape[2] // 8, len(VOCABULARY)), -9.0)
        log_probs[..., 0] = 0.0
        return log_probs, lengths // 8


def often_right(recognizer: Recognizer, folder: Path, number: int, rng: np.random.Generator) -> Utterance:
    """An utterance of which the network hears about two thirds rightly, and every third one altogether."""
    path = folder / f"{number}.wav"
    write_wave(path, 0.1 * rng.standard_normal(12_000).astype(np.float32))
    heard = recognizer.hear([read_wave(path)])[0].syllables
    said = [unit if rng.random() < 0.67 or number % 3 == 0 else str(rng.choice(DIGITS)) for unit in heard]
    return Utterance(str(number), path.name, 0.75, tuple(said), folder=folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dev and a test set, and a checkpoint of an untrained network."""
    from dfcnn_ms.runtime import checkpoint

    folder = tmp_path_factory.mktemp("prepared")
    config = load_config("digits", ["model.hidden=[4]"])
    network = config.model.build(num_bins=40, num_units=len(VOCABULARY))
    checkpoint.save(folder / "good.ckpt", network, Meta(config, VOCABULARY))
    recognizer = Recognizer(Acoustics(), Frontend(LogMel(n_mels=20)), VOCABULARY, Strided(8))
    rng = np.random.default_rng(0)
    utterances = [often_right(recognizer, folder, number, rng) for number in range(24)]
    write_manifest(folder / "dev.jsonl", utterances[:16])
    write_manifest(folder / "test.jsonl", utterances[16:])
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, whose sets the checkpoint remembers; the network is the one above."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    sets = {"dev": str(tmp_path / "dev.jsonl"), "test": str(tmp_path / "test.jsonl")}
    meta = Meta(load_config("digits"), VOCABULARY, manifests=sets)
    recognizer = Recognizer(Acoustics(), Frontend(LogMel(n_mels=20)), VOCABULARY, Strided(8), meta=meta)
    monkeypatch.setattr(Recognizer, "load", lambda path, device_target: recognizer)
    return tmp_path


def temperature_of(path: str) -> float | None:
    from dfcnn_ms.runtime import checkpoint

    return checkpoint.load(path).meta.decoding.get("temperature")


def test_the_temperature_is_stored_and_the_errors_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--ckpt", "good.ckpt", "--picture", "r.png"])
    out = capsys.readouterr().out
    found = temperature_of("good.ckpt")
    assert found is not None and found > 1.2  # a fourth of what it is sure of is wrong
    assert out.splitlines()[-1] == f"temperature {found:.3f} stored in good.ckpt"
    rows = [line.split() for line in out.splitlines() if line.strip().startswith("surprise")]
    assert len(rows) == 2 and all(float(row[-1]) < float(row[-2]) for row in rows)
    assert imread("r.png").std() > 0


def test_the_figures_are_those_of_a_count(folder: Path) -> None:
    recognizer = Recognizer.load("any", "CPU")
    utterances = read_manifest("dev.jsonl")
    heard = command.recognise(recognizer, utterances, "dev")
    transcripts = [recognizer.hear([read_wave(one.path)])[0] for one in utterances]
    assert heard.peaks.confidences() == pytest.approx([c for one in transcripts for c in one.confidences], abs=1e-6)
    whole = [one.syllables == said.pinyin for one, said in zip(transcripts, utterances, strict=True)]
    assert list(heard.whole) == whole
    assert any(whole) and not all(whole)
    counts = [edits(said.pinyin, one.syllables) for one, said in zip(transcripts, utterances, strict=True)]
    assert heard.wrong == sum(count.substitutions + count.insertions for count in counts)
    sure = [one.confidence for one in transcripts]
    truth = reliability(sure, whole).expected_calibration_error
    assert heard.figures(1.0)["calibration error, sentences"] == pytest.approx(truth, abs=1e-6)


def test_other_sets_than_those_remembered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("test.jsonl").rename("other.jsonl")
    command.main(["--ckpt", "good.ckpt", "--manifest", "other.jsonl"])
    out = capsys.readouterr().out
    assert out.count("calibration error, syllables") == 1  # the test set that it remembers is gone: none is shown
    assert "fewer than 30 wrong syllables to fit on" in out


BAD = {
    "no such set": (["--manifest", "no.jsonl"], "no.jsonl: no such manifest"),
    "no such test": (["--test", "no.jsonl"], "no.jsonl: no such manifest"),
    "a picture of what": (["--picture", "r.xyz"], "wanted a name that ends in .png"),
    "nowhere": (["--picture", "no/r.png"], "the folder no does not exist"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_sentence(folder: Path, name: str) -> None:
    arguments, sentence = BAD[name]
    with pytest.raises((ConfigError, DataError), match=sentence):
        command.main(["--ckpt", "good.ckpt", *arguments])
    assert temperature_of("good.ckpt") is None


def test_the_dev_set_is_gone(folder: Path) -> None:
    Path("dev.jsonl").unlink()
    with pytest.raises(DataError, match=r"good\.ckpt: the dev set it remembers, .*, is not there; give one with"):
        command.main(["--ckpt", "good.ckpt"])


def test_a_network_that_hears_nothing(folder: Path) -> None:
    Recognizer.load("any", "CPU").acoustics = Deaf()
    with pytest.raises(DataError, match="the network hears no syllable in it"):
        command.main(["--ckpt", "good.ckpt"])


def test_a_missing_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"no.ckpt: no such checkpoint"):
        command.main(["--ckpt", "no.ckpt"])
