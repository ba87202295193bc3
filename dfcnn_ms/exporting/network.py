"""A whole network in a graph: its inputs, the front end where it is wanted, its layers, log-probabilities and steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.exporting.graph import Graph
from dfcnn_ms.exporting.int8 import Asked, Grid, Int8Layers, measured
from dfcnn_ms.exporting.layers import Layers
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.exporting.sound import features_of
from dfcnn_ms.models import NETWORKS, Network
from dfcnn_ms.models.graphs import GRAPHS, Builder
from dfcnn_ms.runtime.bundle import FEATURES, FORMAT, META, Bundle
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.tasks import TASKS


def can_be_written(meta: Meta) -> bool:
    """Whether something writes this kind of network into a graph; of a plugin's perhaps nothing does."""
    return _kind(meta) in GRAPHS


def _kind(meta: Meta) -> str:
    return next((kind for kind, cls in NETWORKS.items() if cls is type(meta.config.model)), "")


def builder_of(meta: Meta) -> Builder:
    """What writes the network into a graph.

    Raises:
        ConfigError: nothing does.
    """
    kind = _kind(meta)
    if kind not in GRAPHS:
        raise ConfigError(
            f"a network of kind {kind!r} cannot be exported to ONNX, only {', '.join(GRAPHS)}; a plugin may add a row "
            "to dfcnn_ms.models.graphs.GRAPHS, or use --format mindir"
        )
    return GRAPHS[kind]


def write(
    meta: Meta,
    weights: Mapping[str, np.ndarray],
    *,
    waveform: bool = False,
    arithmetic: Callable[[Graph], Layers] = Layers,
) -> Layers:
    """Writes a network into a graph.

    Its inputs are ``features`` (B, 1, T, F) and ``lengths`` (B,) in frames, or ``wave`` (B, N) and ``lengths`` (B,) in
    samples; its results are ``log_probs`` (B, U, V) and ``steps`` (B,).

    Args:
        meta: what the network knows about itself.
        weights: its numbers, by name.
        waveform: whether the graph begins with sound.
        arithmetic: what makes the layers.

    Returns:
        The layers that were written, and in them the graph.
    """
    build, config, graph = builder_of(meta), meta.config, Graph()
    bins = config.features.num_bins
    if waveform:
        wave = graph.input("wave", np.float32, ["B", "N"])
        samples = Lengths(graph, graph.input("lengths", np.int64, ["B"]))
        frontend = Frontend(config.features, config.cmvn, meta.cmvn)
        lengths = features_of(graph, frontend, wave, samples, least_frames(config.model))
        features = FEATURES
    else:
        features = graph.input(FEATURES, np.float32, ["B", 1, "T", bins])
        lengths = Lengths(graph, graph.input("lengths", np.int64, ["B"]))
    layers = arithmetic(graph)
    logits = build(layers, config.model, bins, weights, features, lengths)
    log_probs = graph.node("LogSoftmax", logits, name="log_probs", axis=-1)
    graph.output(log_probs, np.float32, ["B", "U", len(meta.vocabulary)])
    _write_steps(graph, config.model.output_lengths(lengths), log_probs)
    return layers


def grids_of(meta: Meta, weights: Mapping[str, np.ndarray], heard: Iterable[np.ndarray]) -> dict[str, Grid]:
    """Where the values of each layer lie, for 8 bits, when the network in float32 listens.

    Args:
        meta: what the network knows about itself.
        weights: its numbers, by name.
        heard: features (T, F) of recordings.
    """
    from dfcnn_ms.runtime.onnx import session_of

    asked = Asked()
    write(meta, weights, arithmetic=lambda graph: Int8Layers(graph, asked))
    layers = write(meta, weights)
    names = {value: layers.values[value] for value in asked}
    for name in sorted(set(names.values()) - {FEATURES}):
        layers.graph.output(name, np.float32, None)
    session = session_of(bundle_of(layers, meta, waveform=False, precision="float32"))
    alone = ({FEATURES: one[None, None], "lengths": np.array([len(one)], np.int64)} for one in heard)
    return measured(session, names, alone)


def bundle_of(layers: Layers, meta: Meta, *, waveform: bool, precision: str, licence: str = "") -> Bundle:
    """The file of a network that was written; what only a resumed training needs stays behind."""
    said = {
        META: replace(meta, training=None).to_json(),
        "format": str(FORMAT),
        "input": "wave" if waveform else "features",
        "precision": precision,
        "task": next(kind for kind, cls in TASKS.items() if cls is type(meta.config.task)),
    }
    return layers.graph.bundle(said | ({"license": licence} if licence else {}))


def least_frames(network: Network) -> int:
    """The frames that the first step needs."""
    return next(frames for frames in itertools.count(1) if network.output_lengths(frames) >= 1)


def _write_steps(graph: Graph, steps: Lengths, log_probs: str) -> None:
    """The steps of each utterance, none below 0 or above those that there are."""
    there = graph.node("Shape", log_probs, start=1, end=2)
    own = steps.at_least(0).at_most(there)
    graph.output(graph.node("Identity", own.name, name="steps"), np.int64, ["B"])
