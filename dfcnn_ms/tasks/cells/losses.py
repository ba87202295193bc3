"""Losses on raw logits: right in value and gradient, and finite for every batch."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.errors import ConfigError

REDUCTIONS = ("mean", "sum", "none")


def adjacent_repeats(labels: Tensor, label_lengths: Tensor) -> Tensor:
    """Counts, per utterance, the labels that equal their left neighbour: each needs a blank between them.

    Args:
        labels: (B, L) int32.
        label_lengths: (B,) int32.

    Returns:
        (B,) int32.
    """
    if labels.shape[1] < 2:
        return ops.zeros_like(label_lengths)
    same = labels[:, 1:] == labels[:, :-1]  # (B, L) -> (B, L - 1)
    inside = ops.arange(1, labels.shape[1]).reshape(1, -1) < label_lengths.reshape(-1, 1)
    return ops.logical_and(same, inside).astype(ms.int32).sum(axis=1)


def first_places(labels: Tensor) -> Tensor:
    """Where each label of an utterance stands in it for the first time: (B, L) -> (B, L) int32."""
    places = ops.arange(labels.shape[1]).astype(ms.int32)
    same = labels.expand_dims(2) == labels.expand_dims(1)  # (B, L) -> (B, L, L)
    return ops.where(same, places.reshape(1, 1, -1), labels.shape[1]).min(axis=2).astype(ms.int32)


class CTCLoss(nn.Cell):
    """Connectionist temporal classification of **raw logits**; the softmax is applied here and nowhere else.

    The logits become log-probabilities in float32, whatever precision the network runs in. Those of the blank and of
    the utterance's own labels go to MindSpore's log-space operator, which adds them up along the paths in float64: a
    path of 50 steps through logits scaled by 200 has a log-probability near -10,000, of which float32 keeps three
    decimals, too few for its gradient.

    An utterance that no path can spell (fewer steps than labels plus adjacent repeats), or whose lengths or labels are
    out of range, contributes nothing: its loss and its gradient are zero and the mean is taken over the others. A
    negative label length marks a row that only fills a batch.

    Args:
        reduction: ``mean`` over the feasible utterances, ``sum``, or ``none`` for one value each.
        blank: id of the blank; 0 everywhere in this package.
        workers: processes that train together; the mean is then taken over the utterances of all of them.

    Inputs:
        - **logits** (Tensor) - (B, U, V), raw.
        - **logit_lengths** (Tensor) - (B,) int32, the output steps of each utterance.
        - **labels** (Tensor) - (B, L) int32, padded with anything.
        - **label_lengths** (Tensor) - (B,) int32.

    Outputs:
        Tensor, () or (B,) float32.

    Examples:
        >>> loss = CTCLoss()(network(features, lengths), network.output_lengths(lengths), labels, label_lengths)
    """

    def __init__(self, reduction: str = "mean", blank: int = 0, workers: int = 1) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ConfigError(f"reduction: got {reduction!r}, wanted one of {', '.join(REDUCTIONS)}")
        self.reduction = reduction
        self.blank = blank
        self.workers = workers
        self.all_reduce = ops.AllReduce() if workers > 1 else None

    def needed(self, labels: Tensor, label_lengths: Tensor) -> Tensor:
        """The fewest steps that can spell each label: (B,) int32."""
        return label_lengths + adjacent_repeats(labels, label_lengths)

    def feasible(self, logits: Tensor, logit_lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        """Says which utterances have at least one path: (B,) bool."""
        needed = self.needed(labels, label_lengths)
        ok = ops.logical_and(label_lengths >= 0, label_lengths <= labels.shape[1])
        ok = ops.logical_and(ok, ops.logical_and(logit_lengths >= needed, logit_lengths <= logits.shape[1]))
        position = ops.arange(labels.shape[1]).reshape(1, -1)  # (1, L)
        legal = ops.logical_and(labels >= 0, labels < logits.shape[2])
        legal = ops.logical_and(legal, labels != self.blank)
        legal = ops.logical_or(legal, position >= label_lengths.reshape(-1, 1))
        return ops.logical_and(ok, legal.astype(ms.int32).sum(axis=1) == labels.shape[1])

    def construct(self, logits: Tensor, logit_lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        logit_lengths = logit_lengths.astype(ms.int32)
        label_lengths = label_lengths.astype(ms.int32)
        labels = labels.astype(ms.int32)
        if labels.shape[1] == 0:  # a batch without a single label; the operator wants at least one column
            labels = ops.ones((labels.shape[0], 1), ms.int32)
            label_lengths = ops.where(label_lengths > 0, -1, label_lengths)  # longer than there were columns
        feasible = self.feasible(logits, logit_lengths, labels, label_lengths)
        # The operator crashes on lengths out of range and answers inf where there is no path: such rows get an
        # empty label, whose loss is finite.
        computable = ops.logical_and(feasible, logit_lengths > 0)
        steps = ops.where(computable, logit_lengths, logits.shape[1])
        targets = ops.where(computable, label_lengths, 0)
        inside = ops.arange(labels.shape[1]).reshape(1, -1) < targets.reshape(-1, 1)
        harmless = ops.full_like(labels, 1 if self.blank == 0 else 0)
        spelled = ops.where(inside, labels, harmless)
        own = self.own_units(logits, spelled)
        losses = ops.ctc_loss(own, first_places(spelled) + 1, steps, targets, blank=0, reduction="none")[0]
        losses = (losses + self.without_the_softmax(own, steps)).astype(ms.float32)
        losses = ops.where(computable, losses, ops.zeros_like(losses))  # (B,)
        return self.reduced(losses, feasible)

    def own_units(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Log-probabilities of the blank and of an utterance's own labels: (B, U, V), (B, L) -> (U, B, 1 + L) float64.

        No other unit is on a path, and the operator takes its time for each unit and each step.
        """
        log_probs = ops.log_softmax(logits.astype(ms.float32), -1)
        units = ops.concat((ops.full_like(labels[:, :1], self.blank), labels), 1)  # (B, 1 + L)
        columns = ops.broadcast_to(units.expand_dims(1), (*logits.shape[:2], units.shape[1]))
        return ops.gather_elements(log_probs, 2, columns).swapaxes(0, 1).astype(ms.float64)

    def without_the_softmax(self, own: Tensor, steps: Tensor) -> Tensor:
        """Zeros (B,) whose gradient takes from the operator's what it adds for a softmax over all units.

        The operator answers p - q, the gradient of the logits, where q is the share of the paths: it trusts that it
        has seen all units. Of log-probabilities it is -q alone, and the softmax before it, which does see all, adds p.
        """
        inside = ops.arange(own.shape[0]).reshape(-1, 1) < steps.reshape(1, -1)  # (U, B)
        inside = ops.broadcast_to(inside.astype(own.dtype).expand_dims(2), own.shape)
        softmax = (ops.exp(own) * inside).sum(axis=(0, 2))
        return ops.stop_gradient(softmax) - softmax

    def reduced(self, losses: Tensor, feasible: Tensor) -> Tensor:
        """The losses (B,), zero where an utterance is not feasible, as one number or as they are."""
        if self.reduction == "none":
            return losses
        if self.reduction == "sum":
            return losses.sum()
        count = feasible.astype(ms.float32).sum()
        if self.all_reduce is not None:  # the mean of the workers' losses is then the mean over all their utterances
            count = self.all_reduce(count)
        return losses.sum() * self.workers / ops.clamp(count, 1.0, None)


class CrossEntropy(nn.Cell):
    """Cross-entropy of **raw logits** of a single output step; the softmax is applied here, in float32.

    A row without exactly one label, such as one that only fills a batch, contributes nothing.

    Args:
        workers: processes that train together; the mean is then taken over the clips of all of them.

    Inputs:
        - **logits** (Tensor) - (B, 1, V), raw.
        - **logit_lengths** (Tensor) - (B,) int32, the output steps of each clip: 0 where it is too short.
        - **labels** (Tensor) - (B, L) int32; the first is the class.
        - **label_lengths** (Tensor) - (B,) int32.

    Outputs:
        Tensor, () float32, the mean over the clips.
    """

    def __init__(self, workers: int = 1) -> None:
        super().__init__()
        self.workers = workers
        self.all_reduce = ops.AllReduce() if workers > 1 else None

    def construct(self, logits: Tensor, logit_lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        log_probs = ops.log_softmax(logits[:, 0].astype(ms.float32), -1)  # (B, V)
        chosen = ops.one_hot(labels[:, 0].astype(ms.int32), log_probs.shape[1])
        counts = ops.logical_and(label_lengths == 1, logit_lengths > 0).astype(ms.float32)  # (B,)
        losses = -(log_probs * chosen.astype(ms.float32)).sum(axis=1) * counts
        count = counts.sum()
        if self.all_reduce is not None:  # the mean of the workers' losses is then the mean over all their clips
            count = self.all_reduce(count)
        return losses.sum() * self.workers / ops.clamp(count, 1.0, None)
