"""The decoder of an attention network in use: NumPy, one unit at a time, many beginnings of a text side by side.

What a beginning has looked at is kept, so that a step costs as much as a unit and not as the whole text. Nothing here
needs MindSpore, and no length is compiled. The Cell in :mod:`dfcnn_ms.models.cells.decoder` does the same for whole
texts in training, and each is the other's test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: the longest wave of the sinusoids that stand for places and distances
LONGEST_WAVE = 10_000.0
#: added to every variance that a layer norm divides by
EPSILON = 1e-5


def wave_speeds(width: int) -> Array:
    """The angular speeds (width / 2,) of the sinusoids that stand for a place."""
    return np.asarray(np.exp(np.arange(0, width, 2) * (-math.log(LONGEST_WAVE) / width)))


class Writer:
    """A trained decoder.

    Args:
        weights: by their names in the Cell.
        depth: layers.
        heads: of every attention.
    """

    def __init__(self, weights: Mapping[str, Array], depth: int, heads: int) -> None:
        self.weights = weights
        self.depth = depth
        self.heads = heads
        table = weights["embedding.embedding_table"]
        self.width = table.shape[1]
        self.speeds = wave_speeds(self.width)

    def listen(self, memory: Array) -> Page:
        """An empty page for the utterance of which the encoder has made ``memory`` (U, D)."""
        return Page(self, memory)

    def dense(self, x: Array, name: str) -> Array:
        """The dense layer of a name."""
        return np.asarray(x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"])

    def normed(self, x: Array, name: str) -> Array:
        """The layer norm of a name."""
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return np.asarray(scaled * self.weights[f"{name}.gamma"] + self.weights[f"{name}.beta"])

    def parted(self, x: Array) -> Array:
        """The heads of each place: (..., L, D) -> (..., H, L, K)."""
        return x.reshape(*x.shape[:-1], self.heads, -1).swapaxes(-3, -2)

    def mixed(self, asked: Array, keys: Array, values: Array, name: str) -> Array:
        """What N who ask (N, D) see among keys and values (N or 1, H, L, K): (N, D)."""
        heads = asked.reshape(len(asked), self.heads, 1, -1)  # (N, H, 1, K)
        scores = heads @ keys.swapaxes(-2, -1) / math.sqrt(heads.shape[-1])  # (N, H, 1, L)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        seen = weights / weights.sum(axis=-1, keepdims=True) @ values
        return self.dense(seen.reshape(len(asked), -1), f"{name}.out")

    def embedded(self, tokens: Sequence[int] | Array, place: int) -> Array:
        """Units (N,) at a place of the text: (N, D)."""
        angles = place * self.speeds
        where = np.concatenate([np.sin(angles), np.cos(angles)])
        table = self.weights["embedding.embedding_table"]
        return np.asarray(table[np.asarray(tokens)] * math.sqrt(self.width) + where, np.float32)


class Page:
    """The texts that are being written of one utterance; all of them are as long."""

    def __init__(self, writer: Writer, memory: Array) -> None:
        self.writer = writer
        self.place = 0
        names = [f"layers.{index}" for index in range(writer.depth)]
        self.heard = [
            (self._offered(memory, f"{name}.heard.key"), self._offered(memory, f"{name}.heard.value")) for name in names
        ]  # of each layer, (1, H, U, K)
        nothing = np.zeros((1, writer.heads, 0, writer.width // writer.heads), np.float32)
        self.own = [(nothing, nothing)] * writer.depth  # of each layer, (N, H, place, K)

    def write(self, tokens: Sequence[int] | Array, parents: Sequence[int] | Array) -> Array:
        """Adds a unit to texts, and says what may follow.

        Args:
            tokens: the units that are added (N,).
            parents: which of the texts so far each is added to (N,).

        Returns:
            Log-probabilities (N, V); that of unit 0 is that the text ends.
        """
        writer, chosen = self.writer, np.asarray(parents)
        x = writer.embedded(tokens, self.place)  # (N, D)
        for index in range(writer.depth):
            x = self._layer(x, index, chosen)
        self.place += 1
        logits = writer.dense(writer.normed(x, "norm"), "output_layer").astype(np.float64)
        return np.asarray(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))

    def _longer(self, kept: Array, new: Array) -> Array:
        """What the units so far (N, H, place, K) and the new one (N, D) offer: (N, H, place + 1, K)."""
        return np.concatenate([kept, new.reshape(len(new), self.writer.heads, 1, -1)], axis=2)

    def _offered(self, memory: Array, name: str) -> Array:
        """What the steps (U, D) offer to the heads: (1, H, U, K)."""
        return self.writer.parted(self.writer.dense(memory, name))[None]

    def _layer(self, x: Array, index: int, parents: Array) -> Array:
        writer, name = self.writer, f"layers.{index}"
        own = writer.normed(x, f"{name}.own_norm")
        kept_keys, kept_values = self.own[index]
        keys = self._longer(kept_keys[parents], writer.dense(own, f"{name}.own.key"))
        values = self._longer(kept_values[parents], writer.dense(own, f"{name}.own.value"))
        self.own[index] = keys, values
        x = x + writer.mixed(writer.dense(own, f"{name}.own.query"), keys, values, f"{name}.own")
        asked = writer.dense(writer.normed(x, f"{name}.heard_norm"), f"{name}.heard.query")
        x = x + writer.mixed(asked, *self.heard[index], f"{name}.heard")
        wide = np.maximum(writer.dense(writer.normed(x, f"{name}.dense_norm"), f"{name}.dense.wide"), 0)
        return x + writer.dense(wide, f"{name}.dense.narrow")
