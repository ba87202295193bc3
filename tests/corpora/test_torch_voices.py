"""Networks that PyTorch stored, without PyTorch: what a file holds, and what its layers compute, by plain loops."""

from __future__ import annotations

import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfcnn_ms.corpora.voices.melgan import LEAK, LEVEL, MelGan, normalised
from dfcnn_ms.corpora.voices.tacotron import Tacotron
from dfcnn_ms.corpora.voices.torch_file import read_weights
from dfcnn_ms.errors import DataError

# --- a file of PyTorch, written by hand -----------------------------------------------------------------------------


class Layer:
    """What a pickle of a module holds: tables of parameters, buffers and modules inside."""

    def __init__(self, parameters: dict[str, Any], modules: dict[str, Layer] | None = None, **buffers: Any) -> None:
        self._parameters, self._buffers = OrderedDict(parameters), OrderedDict(buffers)
        self._modules = OrderedDict(modules or {})


class View:
    """A tensor: numbers of a storage from a place on, in a shape, so many numbers from one to the next."""

    def __init__(self, storage: np.ndarray, first: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> None:
        self.storage, self.first, self.shape, self.steps = storage, first, shape, steps

    def __reduce__(self) -> Any:
        stored = (Storage(self.storage), self.first, self.shape, self.steps, False, OrderedDict())
        return sys.modules["torch._utils"]._rebuild_tensor_v2, stored


class Storage:
    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers


def write(path: Path, module: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive as `torch.save` of a whole module leaves it."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_: Any) -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    for name in ("FloatStorage", "LongStorage"):
        kind = type(name, (), {"__module__": "torch"})
        setattr(torch, name, kind)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    stored: list[np.ndarray] = []

    class Writer(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, Storage):
                return None
            stored.append(thing.numbers)
            kind = "FloatStorage" if thing.numbers.dtype == np.float32 else "LongStorage"
            return "storage", getattr(torch, kind), str(len(stored) - 1), "cpu", thing.numbers.size

    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("model/data.pkl", "w") as file:
            Writer(file, protocol=2).dump(module)
        for number, values in enumerate(stored):
            archive.writestr(f"model/data/{number}", values.tobytes())
    return path


def test_tensors_come_back_under_their_names(tmp_path, monkeypatch):
    """One of them looks at its storage from a place on, and down its columns."""
    numbers = np.arange(12, dtype=np.float32)
    inner = Layer({"weight": View(numbers, 2, (2, 3), (1, 2)), "bias": None}, steps=View(np.array([7]), 0, (), ()))
    whole = Layer({"scale": View(numbers, 0, (12,), (1,))}, {"layers": Layer({}, {"0": inner})})
    found = read_weights(write(tmp_path / "a.pt", whole, monkeypatch))
    assert sorted(found) == ["layers.0.steps", "layers.0.weight", "scale"]
    np.testing.assert_array_equal(found["layers.0.weight"], [[2, 4, 6], [3, 5, 7]])
    np.testing.assert_array_equal(found["scale"], numbers)
    assert found["layers.0.steps"] == 7 and found["layers.0.steps"].dtype == np.int64


class Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_what_a_file_wants_to_run_is_not_run(tmp_path, monkeypatch):
    module = Layer({"weight": View(np.ones(1, np.float32), 0, (1,), (1,))}, worse=Harm(tmp_path / "run"))
    found = read_weights(write(tmp_path / "a.pt", module, monkeypatch))
    assert list(found) == ["weight"] and not (tmp_path / "run").exists()
    pickle.loads(pickle.dumps(Harm(tmp_path / "run")))  # a pickle does run it
    assert (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "text", "an archive of something else"])
def test_what_is_no_such_file_is_said(tmp_path, content):
    path = tmp_path / "a.pt"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("letter.txt", "hello")
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pt: cannot be read as weights of PyTorch .*; install its package again"):
        read_weights(path)


# --- Tacotron -------------------------------------------------------------------------------------------------------

SYMBOLS, WIDTH, WHO, BINS, HEARS, SAYS, LOOKS, FILTERS, AROUND, ENTERS = 7, 6, 3, 4, 5, 8, 4, 2, 3, 5


def tacotron_weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    def lstm(name: str, inputs: int, width: int, end: str = "") -> dict[str, tuple[int, ...]]:
        shapes = {"weight_ih": (4 * width, inputs), "weight_hh": (4 * width, width)}
        shapes |= {"bias_ih": (4 * width,), "bias_hh": (4 * width,)}
        return {f"{name}.{kind}{end}": shape for kind, shape in shapes.items()}

    def conv(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
        norms = {f"{name}.1.{kind}": (outputs,) for kind in ("weight", "bias", "running_mean", "running_var")}
        return {f"{name}.0.conv.weight": (outputs, inputs, kernel), f"{name}.0.conv.bias": (outputs,), **norms}

    memory = WIDTH + WHO
    attention = "decoder.attention_layer."
    shapes: dict[str, tuple[int, ...]] = {
        "embedding.weight": (SYMBOLS, WIDTH),
        **conv("encoder.convolutions.0", WIDTH, WIDTH, 3),
        **lstm("encoder.lstm", WIDTH, WIDTH // 2, "_l0"),
        **lstm("encoder.lstm", WIDTH, WIDTH // 2, "_l0_reverse"),
        "speaker_embedding.weight": (WHO, WHO),
        "speaker_embedding.bias": (WHO,),
        "decoder.prenet.layers.0.linear_layer.weight": (ENTERS, BINS),
        "decoder.prenet.layers.1.linear_layer.weight": (ENTERS, ENTERS),
        **lstm("decoder.attention_rnn", ENTERS + memory, HEARS),
        f"{attention}query_layer.linear_layer.weight": (LOOKS, HEARS),
        f"{attention}memory_layer.linear_layer.weight": (LOOKS, memory),
        f"{attention}v.linear_layer.weight": (1, LOOKS),
        f"{attention}location_layer.location_conv.conv.weight": (FILTERS, 2, AROUND),
        f"{attention}location_layer.location_dense.linear_layer.weight": (LOOKS, FILTERS),
        **lstm("decoder.decoder_rnn", HEARS + memory, SAYS),
        "decoder.linear_projection.linear_layer.weight": (BINS, SAYS + memory),
        "decoder.linear_projection.linear_layer.bias": (BINS,),
        "decoder.gate_layer.linear_layer.weight": (1, SAYS + memory),
        "decoder.gate_layer.linear_layer.bias": (1,),
        **conv("postnet.convolutions.0", BINS, 5, 3),
        **conv("postnet.convolutions.1", 5, BINS, 3),
    }
    weights = {name: rng.normal(size=shape, scale=0.7).astype(np.float32) for name, shape in shapes.items()}
    weights |= {name: np.exp(value) for name, value in weights.items() if name.endswith("running_var")}
    weights["decoder.gate_layer.linear_layer.bias"][:] = -4  # it goes on for a while
    return weights


class Plainly:
    """The same in float64, number by number as the paper has it."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.w = {name: value.astype(np.float64) for name, value in weights.items()}

    def conv(self, x: np.ndarray, name: str) -> np.ndarray:
        weight, y = self.w[f"{name}.0.conv.weight"], np.zeros((len(self.w[f"{name}.0.conv.bias"]), x.shape[1]))
        for out in range(len(y)):
            for place in range(x.shape[1]):
                y[out, place] = self.w[f"{name}.0.conv.bias"][out]
                for tap in range(weight.shape[2]):
                    seen = place + tap - weight.shape[2] // 2
                    if 0 <= seen < x.shape[1]:
                        y[out, place] += weight[out, :, tap] @ x[:, seen]
        mean, variance = self.w[f"{name}.1.running_mean"], self.w[f"{name}.1.running_var"]
        normal = (y - mean[:, None]) / np.sqrt(variance[:, None] + 1e-5)
        return normal * self.w[f"{name}.1.weight"][:, None] + self.w[f"{name}.1.bias"][:, None]

    def lstm(self, name: str, end: str, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gates = self.w[f"{name}.weight_ih{end}"] @ x + self.w[f"{name}.bias_ih{end}"]
        gates = gates + self.w[f"{name}.weight_hh{end}"] @ h + self.w[f"{name}.bias_hh{end}"]
        i, f, g, o = gates.reshape(4, -1)
        c = 1 / (1 + np.exp(-f)) * c + 1 / (1 + np.exp(-i)) * np.tanh(g)
        return 1 / (1 + np.exp(-o)) * np.tanh(c), c

    def memory(self, symbols: list[int], who: np.ndarray) -> np.ndarray:
        x = self.w["embedding.weight"][symbols].T
        x = np.maximum(self.conv(x, "encoder.convolutions.0"), 0).T
        said = np.zeros((len(x), WIDTH))
        for end, places, half in (
            ("_l0", range(len(x)), slice(0, 3)),
            ("_l0_reverse", reversed(range(len(x))), slice(3, 6)),
        ):
            h = c = np.zeros(WIDTH // 2)
            for place in places:
                h, c = self.lstm("encoder.lstm", end, x[place], h, c)
                said[place, half] = h
        told = self.w["speaker_embedding.weight"] @ who + self.w["speaker_embedding.bias"]
        return np.array([[*row, *told] for row in said])

    def frames(
        self, memory: np.ndarray, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, list[int], list[float]]:
        linear = {name.removesuffix(".linear_layer.weight"): value for name, value in self.w.items()}
        attention = "decoder.attention_layer."
        filters = self.w[f"{attention}location_layer.location_conv.conv.weight"]
        h1 = c1 = np.zeros(HEARS)
        h2 = c2 = np.zeros(SAYS)
        frame, context = np.zeros(BINS), np.zeros(memory.shape[1])
        last, together = np.zeros(len(memory)), np.zeros(len(memory))
        frames, looked_at, gates = [], [], []
        for _ in range(count):
            x = frame
            for layer in range(2):
                x = np.maximum(linear[f"decoder.prenet.layers.{layer}"] @ x, 0)
                x = np.where(rng.random(len(x)) >= 0.5, 2 * x, 0)
            h1, c1 = self.lstm("decoder.attention_rnn", "", np.array([*x, *context]), h1, c1)
            energies = np.zeros(len(memory))
            for place, row in enumerate(memory):
                near = np.zeros(FILTERS)
                for tap in range(AROUND):
                    seen = place + tap - AROUND // 2
                    if 0 <= seen < len(memory):
                        near += filters[:, 0, tap] * last[seen] + filters[:, 1, tap] * together[seen]
                asked = linear[f"{attention}query_layer"] @ h1 + linear[f"{attention}memory_layer"] @ row
                asked = asked + linear[f"{attention}location_layer.location_dense"] @ near
                energies[place] = linear[f"{attention}v"][0] @ np.tanh(asked)
            last = np.exp(energies) / np.exp(energies).sum()
            together = together + last
            context = last @ memory
            h2, c2 = self.lstm("decoder.decoder_rnn", "", np.array([*h1, *context]), h2, c2)
            told = np.array([*h2, *context])
            frame = linear["decoder.linear_projection"] @ told + self.w["decoder.linear_projection.linear_layer.bias"]
            frames.append(frame)
            looked_at.append(int(last.argmax()))
            end = linear["decoder.gate_layer"][0] @ told + self.w["decoder.gate_layer.linear_layer.bias"][0]
            gates.append(float(end))
        return np.array(frames), looked_at, gates


def test_tacotron_computes_what_its_layers_say():
    rng = np.random.default_rng(4)
    weights = tacotron_weights(rng)
    symbols, who = [1, 5, 2, 2, 6], rng.normal(size=WHO)
    said = Tacotron(weights)(np.array(symbols), who, np.random.default_rng(8))
    plainly = Plainly(weights)
    count = len(said.spectrogram)
    frames, looked_at, gates = plainly.frames(plainly.memory(symbols, who), count, np.random.default_rng(8))
    corrections = plainly.conv(np.tanh(plainly.conv(frames.T, "postnet.convolutions.0")), "postnet.convolutions.1").T
    np.testing.assert_allclose(said.spectrogram, frames + corrections, rtol=1e-3, atol=1e-3)
    assert said.looked_at.tolist() == looked_at
    assert count > 1 and said.ended == (gates[-1] > 0) and max(gates[:-1]) < 0  # it ends with the first that says so


# --- MelGAN ---------------------------------------------------------------------------------------------------------


def melgan_weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    shapes = {"generator.1": (6, 5, 7), "generator.3": (6, 4, 16), "generator.6": (4, 2, 4), "generator.10": (1, 2, 7)}
    for place, channels in ((4, 4), (7, 2)):
        for index in range(3):
            shapes[f"generator.{place}.blocks.{index}.2"] = (channels, channels, 3)
            shapes[f"generator.{place}.blocks.{index}.4"] = (channels, channels, 1)
            shapes[f"generator.{place}.shortcuts.{index}"] = (channels, channels, 1)
    weights = {}
    for name, shape in shapes.items():
        longer = name in ("generator.3", "generator.6")
        weights[f"{name}.bias"] = rng.normal(size=shape[1 if longer else 0], scale=0.1)
        weights[f"{name}.weight_v"] = rng.normal(size=shape)
        weights[f"{name}.weight_g"] = rng.uniform(0.3, 1.0, size=(shape[0], 1, 1))
    return {name: value.astype(np.float32) for name, value in weights.items()}


class SlowMelGan:
    """The same layers in NumPy, the convolutions as sums over taps and places."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.w = {name: value.astype(np.float64) for name, value in normalised(weights).items()}

    def conv(self, x: np.ndarray, name: str, far: int = 1) -> np.ndarray:
        weight = self.w[f"{name}.weight"]
        beside = far * (weight.shape[2] // 2)
        padded = np.pad(x, ((0, 0), (beside, beside)), mode="reflect") if beside else x
        taps = (weight[:, :, tap] @ padded[:, tap * far :][:, : x.shape[1]] for tap in range(weight.shape[2]))
        return sum(taps) + self.w[f"{name}.bias"][:, None]

    def longer(self, x: np.ndarray, name: str) -> np.ndarray:
        weight = self.w[f"{name}.weight"]
        kernel = weight.shape[2]
        step = kernel // 2
        whole = np.zeros((weight.shape[1], step * (x.shape[1] + 1)))
        for place in range(x.shape[1]):
            whole[:, step * place : step * place + kernel] += np.einsum("iok,i->ok", weight, x[:, place])
        return whole[:, step // 2 :][:, : step * x.shape[1]] + self.w[f"{name}.bias"][:, None]

    def stack(self, x: np.ndarray, name: str) -> np.ndarray:
        for index, far in enumerate((1, 3, 9)):
            more = self.conv(leaky(x), f"{name}.blocks.{index}.2", far)
            x = self.conv(x, f"{name}.shortcuts.{index}") + self.conv(leaky(more), f"{name}.blocks.{index}.4")
        return x

    def __call__(self, spectrogram: np.ndarray) -> np.ndarray:
        x = self.conv((spectrogram.T + LEVEL) / LEVEL, "generator.1")
        x = self.stack(self.longer(leaky(x), "generator.3"), "generator.4")
        x = self.stack(self.longer(leaky(x), "generator.6"), "generator.7")
        return np.tanh(self.conv(leaky(x), "generator.10"))[0]


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, LEAK * x)


@pytest.mark.parametrize("frames", [4, 11])
def test_melgan_computes_what_its_layers_say(frames):
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(frames)
    weights = melgan_weights(rng)
    spectrogram = rng.normal(size=(frames, 5), loc=-4, scale=2).astype(np.float32)
    sound = MelGan(weights)(spectrogram)
    assert sound.shape == (frames * 8 * 2,)
    np.testing.assert_allclose(sound, SlowMelGan(weights)(spectrogram), atol=2e-5)


def test_a_direction_and_a_length_are_one_weight():
    weights = {"a.weight_v": np.array([[[3.0], [4.0]]]), "a.weight_g": np.array([[[10.0]]]), "a.bias": np.zeros(1)}
    found = normalised(weights)
    assert sorted(found) == ["a.bias", "a.weight"]
    np.testing.assert_allclose(found["a.weight"], [[[6.0], [8.0]]])
