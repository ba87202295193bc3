"""Tacotron 2 in NumPy: symbols to a spectrogram, frame by frame, each with a look at the symbols.

Shapes: N symbols, T frames, M bins of the spectrogram. Which symbol a frame looks at tells when it is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Weights = Mapping[str, np.ndarray]

#: frames after which it is given up
MOST_FRAMES = 1000
#: of the layers before the decoder, which drop half of their values in use as well: no two readings are alike
DROPPED = 0.5
_EPSILON = 1e-5


@dataclass(frozen=True)
class Spoken:
    """What was made of symbols.

    Attributes:
        spectrogram: (T, M).
        looked_at: the symbol that each frame looks at most (T,).
        ended: whether the network said that this is all.
    """

    spectrogram: Array
    looked_at: NDArray[np.int64]
    ended: bool


class Tacotron:
    """The network.

    Args:
        weights: as PyTorch names them.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
        attention = "decoder.attention_layer."
        conv = self[f"{attention}location_layer.location_conv.conv.weight"]  # (filters, 2, K)
        dense = self[f"{attention}location_layer.location_dense.linear_layer.weight"]  # (A, filters)
        self._around = conv.shape[2]
        self._location = np.einsum("af,fck->cka", dense, conv).reshape(-1, len(dense))  # (2 K, A)
        self._listening = self._cell("decoder.attention_rnn")
        self._speaking = self._cell("decoder.decoder_rnn")

    def __getitem__(self, name: str) -> Array:
        return self._weights[name]

    def __call__(self, symbols: NDArray[np.int64], speaker: Array, rng: np.random.Generator) -> Spoken:
        """Symbols (N,) said by a speaker, a vector (S,); `rng` draws what is dropped."""
        memory = self._memory(symbols, speaker)  # (N, E)
        frames, looked_at, ended = self._decoded(memory, rng)
        return Spoken(frames + self._corrections(frames), looked_at, ended)

    def _memory(self, symbols: NDArray[np.int64], speaker: Array) -> Array:
        x = self["embedding.weight"][symbols].T  # (C, N)
        for index in range(self._count("encoder.convolutions")):
            x = np.maximum(self._convolved(x, f"encoder.convolutions.{index}"), 0)
        steps = np.ascontiguousarray(x.T)
        ahead = self._recurrent(steps, "")
        back = self._recurrent(steps[::-1], "_reverse")[::-1]
        who = self["speaker_embedding.weight"] @ speaker.astype(np.float32) + self["speaker_embedding.bias"]
        return np.concatenate([ahead, back, np.tile(who, (len(steps), 1))], axis=1)

    def _decoded(self, memory: Array, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64], bool]:
        attention = "decoder.attention_layer."
        keys = memory @ self[f"{attention}memory_layer.linear_layer.weight"].T  # (N, A)
        query, score = (self[f"{attention}{name}.linear_layer.weight"] for name in ("query_layer", "v"))
        written, bias = (self[f"decoder.linear_projection.linear_layer.{name}"] for name in ("weight", "bias"))
        gate, gate_bias = (self[f"decoder.gate_layer.linear_layer.{name}"] for name in ("weight", "bias"))
        margin = self._around // 2
        seen = np.zeros((2, len(memory) + 2 * margin), np.float32)  # the last look, and all looks together
        windows = np.lib.stride_tricks.sliding_window_view(seen, self._around, axis=1)  # (2, N, K)
        context, frame = np.zeros(memory.shape[1], np.float32), np.zeros(len(bias), np.float32)
        hears, says = self._silent("decoder.attention_rnn"), self._silent("decoder.decoder_rnn")
        frames, looked_at, ended = list[Array](), list[int](), False
        while len(frames) < MOST_FRAMES and not ended:
            hears = _step(self._listening, np.concatenate([self._entered(frame, rng), context]), hears)
            places = windows.transpose(1, 0, 2).reshape(len(memory), -1) @ self._location
            energies = np.tanh(query @ hears[0] + places + keys) @ score[0]
            weights = np.exp(energies - energies.max())
            weights /= weights.sum()
            inside = slice(margin, margin + len(memory))
            seen[0, inside] = weights
            seen[1, inside] += weights
            context = weights @ memory
            says = _step(self._speaking, np.concatenate([hears[0], context]), says)
            told = np.concatenate([says[0], context])
            frame = written @ told + bias
            ended = bool(gate[0] @ told + gate_bias[0] > 0)
            frames.append(frame)
            looked_at.append(int(weights.argmax()))
        return np.array(frames, np.float32), np.array(looked_at), ended

    def _entered(self, frame: Array, rng: np.random.Generator) -> Array:
        x = frame
        for index in range(self._count("decoder.prenet.layers")):
            x = np.maximum(self[f"decoder.prenet.layers.{index}.linear_layer.weight"] @ x, 0)
            x = x * (rng.random(len(x)) >= DROPPED).astype(np.float32) / (1 - DROPPED)
        return x

    def _corrections(self, frames: Array) -> Array:
        x, last = np.ascontiguousarray(frames.T), self._count("postnet.convolutions") - 1
        for index in range(last + 1):
            x = self._convolved(x, f"postnet.convolutions.{index}")
            x = np.tanh(x) if index < last else x
        return np.ascontiguousarray(x.T)

    def _convolved(self, x: Array, name: str) -> Array:
        """A convolution over (C, N) that keeps the length, then batch norm."""
        scale = self[f"{name}.1.weight"] / np.sqrt(self[f"{name}.1.running_var"] + _EPSILON)
        shift = self[f"{name}.1.bias"] - scale * self[f"{name}.1.running_mean"]
        weight = self[f"{name}.0.conv.weight"]
        beside = weight.shape[2] // 2
        y = convolved(np.pad(x, ((0, 0), (beside, beside))), weight, self[f"{name}.0.conv.bias"])
        return scale[:, None] * y + shift[:, None]

    def _recurrent(self, steps: Array, direction: str) -> Array:
        names = (f"encoder.lstm.{kind}_l0{direction}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        inward, again, *biases = (self[name] for name in names)
        cell = np.concatenate([inward, again], axis=1), biases[0] + biases[1]
        state = np.zeros(again.shape[1], np.float32), np.zeros(again.shape[1], np.float32)
        said = []
        for step in steps:
            state = _step(cell, step, state)
            said.append(state[0])
        return np.array(said, np.float32)

    def _cell(self, name: str) -> tuple[Array, Array]:
        both = np.concatenate([self[f"{name}.weight_ih"], self[f"{name}.weight_hh"]], axis=1)
        return both, self[f"{name}.bias_ih"] + self[f"{name}.bias_hh"]

    def _silent(self, name: str) -> tuple[Array, Array]:
        width = self[f"{name}.weight_hh"].shape[1]
        return np.zeros(width, np.float32), np.zeros(width, np.float32)

    def _count(self, name: str) -> int:
        return len({key[len(name) + 1 :].split(".")[0] for key in self._weights if key.startswith(f"{name}.")})


def convolved(x: Array, weight: Array, bias: Array, dilation: int = 1) -> Array:
    """(C, N) by a kernel (C', C, K), no padding: (C', N - dilation (K - 1)), a product of matrices for each tap."""
    length = x.shape[1] - dilation * (weight.shape[2] - 1)
    taps = np.ascontiguousarray(weight.transpose(2, 0, 1))  # matrices with gaps would be multiplied a number at a time
    y = taps[0] @ x[:, :length] + bias[:, None]
    for tap in range(1, len(taps)):
        y += taps[tap] @ x[:, tap * dilation : tap * dilation + length]
    return y


def _step(cell: tuple[Array, Array], x: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
    """One step of an LSTM: what it says and what it keeps."""
    both, bias = cell
    said, kept = state
    enters, stays, new, leaves = np.split(both @ np.concatenate([x, said]) + bias, 4)
    kept = _sigmoid(stays) * kept + _sigmoid(enters) * np.tanh(new)
    return _sigmoid(leaves) * np.tanh(kept), kept


def _sigmoid(x: Array) -> Array:
    return 0.5 * np.tanh(0.5 * x) + 0.5
