"""Compiles the training steps of the shipped pages on the CPU and says which device has kernels for them."""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfcnn_ms.config import DEFAULT_CONFIG, Config, find_config, load_config
from dfcnn_ms.diagnosis.kernels import Kernels
from dfcnn_ms.errors import DfcnnError
from dfcnn_ms.models import NETWORKS
from dfcnn_ms.tasks import TASKS

#: what runs without a kernel, and why
NEEDS_NO_KERNEL: dict[str, str] = {
    "Call": "control flow: one graph calls another",
    "Depend": "an order of execution, nothing is computed",
    "Load": "the reading of a parameter at a certain moment",
    "MakeTuple": "values side by side, nothing is computed",
    "Partial": "control flow: a branch with some of its arguments",
    "Return": "the result of a graph",
    "Switch": "control flow: the runtime chooses between two graphs",
    "TupleGetItem": "one of several values, nothing is computed",
    "UpdateState": "an order of side effects, nothing is computed",
}
#: what a CPU's graph has, and another device has something else for: MindSpore chooses by device (`nn.LSTM`)
INSTEAD: dict[tuple[str, str], tuple[str, ...]] = {
    ("LSTMGrad", "GPU"): ("LSTMGradData", "LSTMGradWeight"),
    ("LSTM", "Ascend"): ("DynamicRNN",),
    ("LSTMGrad", "Ascend"): ("DynamicRNNGrad",),
}
NOTHING = "-"
DECOMPOSED = "decomposed"
UNKNOWN = "unknown"

#: what a page may turn on: each adds primitives of its own
EVERYTHING = ("train.amp=auto", "train.accumulate=2", "train.ema=0.99")
#: widths do not change what a graph is made of, and narrow ones compile faster
_NARROW = 4
_FRAMES = 64
_UNITS = 9
#: graphs that are read, the last that knows no device and those of the back end, and what lets MindSpore write no other
_FRONT, _BUILT, _PASSES = "validate", "graph_build", "MS_DEV_DUMP_IR_PASSES"
_NODE = re.compile(r"\s+%\S+ = (?:PrimFunc_)?([A-Za-z_]\w*)\(")


@dataclass(frozen=True)
class Graph:
    """The primitives of one compiled training step.

    Attributes:
        title: the page, and what was changed in it.
        front: those in the last graph that knows nothing of a device.
        built: those in the graphs that the back end has made of it for the CPU. What the CPU has no kernel for has
            been decomposed there, by rules that GPU shares.
        launches: operators with a kernel in each of those graphs, in the order in which they were built: what comes
            before a choice, then its branches, that for good gradients first.
        choices: how often the host has to read a value in order to know which graph comes next.
    """

    title: str
    front: frozenset[str]
    built: frozenset[str]
    launches: tuple[int, ...] = ()
    choices: int = 0


#: what is added when several processes train together; a process alone compiles none of it
SEVERAL_WORKERS = Graph("several workers", frozenset({"AllReduce"}), frozenset({"AllReduce"}))


@dataclass(frozen=True)
class Row:
    """One primitive, what speaks for it on each device, and the graphs that contain it."""

    primitive: str
    gpu: str
    ascend: str
    graphs: tuple[str, ...]

    @property
    def lacks(self) -> bool:
        """Whether some device has nothing for it."""
        return NOTHING in (self.gpu, self.ascend)


def table(graphs: Iterable[Graph], gpu: Kernels, ascend: Kernels) -> list[Row]:
    """One row for each primitive of the graphs that needs a kernel, in the order of the alphabet."""
    graphs = list(graphs)
    front = frozenset().union(*(graph.front for graph in graphs))
    built = frozenset().union(*(graph.built for graph in graphs))
    return [
        Row(
            primitive,
            evidence(primitive, gpu, decomposed=primitive not in built),
            evidence(primitive, ascend, decomposed=primitive not in built),
            tuple(graph.title for graph in graphs if primitive in graph.front | graph.built),
        )
        for primitive in sorted(front | built)
        if primitive not in NEEDS_NO_KERNEL
    ]


def evidence(primitive: str, kernels: Kernels, *, decomposed: bool) -> str:
    """What speaks for a primitive on a device, or for what it has instead: sources, a decomposition, or nothing."""
    if not kernels.sources:
        return UNKNOWN
    each = [kernels.evidence(one) for one in INSTEAD.get((primitive, kernels.device), (primitive,))]
    found = [source for source in each[0] if all(source in others for others in each)]
    return ", ".join(found) if found else DECOMPOSED if decomposed else NOTHING


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table, which is also readable as it is."""
    cells = [("Primitive", "GPU evidence", "Ascend evidence"), *((row.primitive, row.gpu, row.ascend) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    cells.insert(1, ("-" * widths[0], "-" * widths[1], "-" * widths[2]))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    )


def explanation(graphs: Iterable[Graph]) -> str:
    """The primitives of the graphs that need no kernel and have no row, with the reason."""
    found = frozenset().union(*(graph.front | graph.built for graph in graphs)) & NEEDS_NO_KERNEL.keys()
    return "\n".join(f"needs no kernel: {primitive:<13} {NEEDS_NO_KERNEL[primitive]}" for primitive in sorted(found))


def verdict(rows: Iterable[Row], gpu: Kernels, ascend: Kernels, graphs: int) -> str:
    """The last line: what was compiled, what was read, and what is lacking."""
    rows = list(rows)
    read = "; ".join(f"{kernels.device}: {kernels.counts() or UNKNOWN}" for kernels in (gpu, ascend))
    lacking = sum(row.lacks for row in rows)
    return f"{len(rows)} primitives in {graphs} graphs, {lacking} without evidence (names read in this wheel: {read})"


def pages() -> Iterator[tuple[str, Config]]:
    """What is audited, narrowed: every shipped page as it is, and one page of each network with everything on."""
    seen: set[tuple[type, type]] = set()
    for path in sorted(find_config(DEFAULT_CONFIG).parent.glob("*.yaml")):
        config = load_config(str(path))
        yield path.stem, narrow(config)
        kinds = (type(config.model), type(config.task))
        if kinds not in seen:
            seen.add(kinds)
            yield f"{path.stem} with {' '.join(EVERYTHING)}", narrow(load_config(str(path), EVERYTHING))
    models, tasks = map(set, zip(*seen, strict=True))
    for kind, network in NETWORKS.items():
        if network not in models:  # an image network that has no page of its own
            yield f"commands with model.kind={kind}", narrow(load_config("commands", [f"model={{kind: {kind}}}"]))
    for kind, task in TASKS.items():
        if task not in tasks:
            config = load_config(DEFAULT_CONFIG, [f"task={{kind: {kind}}}"])
            yield f"{DEFAULT_CONFIG} with task.kind={kind}", narrow(config)


def narrow(config: Config) -> Config:
    """The same page with few channels: the same primitives, compiled sooner and in little memory."""
    return config.model_copy(update={"model": config.model.narrowed(_NARROW)})


def compiled(title: str, config: Config) -> Graph:
    """Compiles one training step of a page on the CPU, without data and without running it.

    Raises:
        DfcnnError: MindSpore has not written down what it compiled.
    """
    import mindspore as ms

    from dfcnn_ms.training.trainer import train_step

    mode = ms.get_context("mode")
    network = config.model.build(num_bins=config.features.num_bins, num_units=_UNITS)
    step = train_step(config, network, 1).set_train(True)
    with tempfile.TemporaryDirectory() as folder, written_graphs(_FRONT, _BUILT):
        ms.set_context(mode=ms.GRAPH_MODE, save_graphs=2, save_graphs_path=folder)
        try:
            step.compile(*_batch(config.features.num_bins))
        finally:
            ms.set_context(mode=mode, save_graphs=0)
        front, built = _written(folder, f"*_{_FRONT}_*.ir"), _written(folder, f"{_BUILT}_*.ir")
        graph = Graph(
            title,
            front=frozenset().union(*front),
            built=frozenset().union(*built),
            launches=tuple(filter(None, map(launches, built))),
            choices=sum(nodes["Switch"] for nodes in front),
        )
    if not (graph.front and graph.built):
        raise DfcnnError(f"{title}: MindSpore {ms.__version__} wrote no graphs that could be read; nothing was audited")
    return graph


@contextmanager
def written_graphs(*names: str) -> Iterator[None]:
    """Lets MindSpore write the graphs of these names alone, of a hundred: writing takes longer than compiling."""
    before = os.environ.get(_PASSES)
    os.environ[_PASSES] = ",".join(names)
    try:
        yield
    finally:
        os.environ.pop(_PASSES)
        if before is not None:
            os.environ[_PASSES] = before


def _batch(num_bins: int) -> tuple[Any, ...]:
    """Two utterances of silence with a syllable each: features, labels, and the lengths of both."""
    import mindspore as ms
    import numpy as np

    features = ms.Tensor(np.zeros((2, 1, _FRAMES, num_bins)), ms.float32)
    labels, frames, lengths = np.ones((2, 3)), np.full(2, _FRAMES), np.ones(2)
    return features, *(ms.Tensor(array, ms.int32) for array in (labels, frames, lengths))


def _written(folder: str, pattern: str) -> list[Counter[str]]:
    """The primitives of each graph that MindSpore has written into a file of such a name, in the order of writing."""
    paths = sorted(Path(folder).rglob(pattern), key=lambda path: path.stem.rpartition("_")[2])
    return [primitives(path.read_text(encoding="utf-8")) for path in paths]


def primitives(text: str) -> Counter[str]:
    """The primitives of a graph as MindSpore writes it, and how often: ``  %3(loss) = PrimFunc_Mul(%1, %2) ...``."""
    return Counter(found[1] for line in text.splitlines() if (found := _NODE.match(line)))


def launches(nodes: Counter[str]) -> int:
    """How many of the nodes of a graph are computed by a kernel."""
    return sum(count for primitive, count in nodes.items() if primitive not in NEEDS_NO_KERNEL)
