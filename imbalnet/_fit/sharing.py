"""Sharing of the work of training between the processes of a run under ``torchrun``.

All of them plan and build the same, for the whole table. With `shared_by_ranks`, each
trains some of the members (`ByMembers`), a part of each batch (`ByRows`), or, if
neither is possible, the whole (`Repeated`). After each epoch, all have the same
weights, scores and history, so that they choose the same epoch and stop together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imbalnet._fit.agreement import check_draws
from imbalnet._fit.checkpoint.identity import digest
from imbalnet._fit.feeds.batches import Cut, TensorBatches
from imbalnet._fit.output import has_batch_norm
from imbalnet._fit.specs import Options
from imbalnet._ranks import Ranks, ranks_now
from imbalnet._warn import warn
from imbalnet.networks import ByteDropout

# Entries of a history that each rank keeps as its own.
_OWN_ENTRIES = {"batches", "dur", "epoch"}


class Alone:
    """One process does all the work."""

    is_shared = False
    cut: Cut | None = None

    def part_of(self, net: Any) -> AbstractContextManager[None]:
        """Return a context in which the net is the part that this rank trains."""
        return nullcontext()

    def begin_batch(self) -> None:
        """Prepare for this rank's part of a batch."""

    def add_up(self) -> None:
        """Add up the gradients of all parts."""

    def joined(self, net: Any, total: float, n_rows: int) -> float:
        """Load the weights of other ranks; return the mean loss of an epoch."""
        return total / n_rows

    def out_of_fold_logits(self, net: Any, feed: Any) -> Tensor:
        """Return each row's logits of the member that did not train on it."""
        return net.out_of_fold_logits(feed)

    def agree(self, history: Any) -> None:
        """Record the same scores of an epoch on all ranks."""

    def stops(self, stop_training: bool) -> bool:
        """Return whether training is to stop."""
        return stop_training


class Repeated(Alone):
    """Every rank does all the work; the weights of the first one are used."""

    is_shared = True

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def joined(self, net: Any, total: float, n_rows: int) -> float:
        """Load weights and loss of the first rank.

        Those of other ranks may differ in rounding.
        """
        modules = [getattr(net.module_, "_orig_mod", net.module_), net.criterion_]
        states = [_on_cpu(module) for module in modules] if self.ranks.is_first else []
        states, loss = self.ranks.exchange("weights", (states, total / n_rows))[0]
        if not self.ranks.is_first:
            for module, state in zip(modules, states, strict=True):
                module.load_state_dict(state)
        return loss

    def agree(self, history: Any) -> None:
        """Record the scores of the first rank."""
        record = history[-1]
        own = {key: record[key] for key in record.keys() - _OWN_ENTRIES}
        for key, value in sorted(self.ranks.exchange("scores", own)[0].items()):
            history.record(key, value)

    def stops(self, stop_training: bool) -> bool:
        """Return whether training is to stop on any rank."""
        return any(self.ranks.exchange("stop", bool(stop_training)))


class ByMembers(Repeated):
    """Every rank trains some of the members, on their own rows.

    The optimiser is that of the whole network, because the rounding of its step depends
    on the position of a value in a tensor. Members of other ranks are replaced by their
    weights at the end of an epoch.
    """

    def __init__(self, ranks: Ranks, net: Any, feed: Any) -> None:
        super().__init__(ranks)
        self.members = _members_of_ranks(net.n_members, ranks.size)
        self.own = self.members[ranks.rank]
        self.views = [net.network_.take_members(which) for which in self.members]
        self.part = self.views[ranks.rank]
        self.compiled = net.torch_compile(self.part, "module")
        self.gradients = list(_gradients(net.network_, self.part))
        feed.keep_members(self.own)

    @contextmanager
    def part_of(self, net: Any) -> Iterator[None]:
        """Reduce the net to the members of this rank, in a block."""
        whole, net.module_ = net.module_, self.compiled
        try:
            yield
        finally:
            net.module_ = whole

    def add_up(self) -> None:
        """Set the gradients: those of own members, and zeros for the others."""
        for parameter, gradient, part, of_part in self.gradients:
            of_part.zero_() if part.grad is None else of_part.copy_(part.grad)
            part.grad = None
            parameter.grad = gradient if parameter.requires_grad else None

    def joined(self, net: Any, total: float, n_rows: int) -> float:
        """Load each member's weights from the rank that has trained it."""
        trained = _on_cpu(self.part), total, n_rows
        found = self.ranks.exchange("members", trained)
        for view, (state, _, _) in zip(self.views, found, strict=True):
            view.load_state_dict(state)
        return sum(total for _, total, _ in found) / sum(n for _, _, n in found)

    def out_of_fold_logits(self, net: Any, feed: Any) -> Tensor:
        """Compute the logits of rows that own members hold out; gather the others."""
        with self.part_of(net):
            net.module_.eval()
            own = net.member_logits(feed, self.own).cpu()
        found = self.ranks.exchange("out-of-fold logits", own)
        return feed.in_order(torch.cat(found, dim=1).to(net.device))


class ByRows(Repeated):
    """Every rank computes the gradients of a part of each batch; they are added up.

    Loss weights are divided by the size of the whole batch, so that the sum over the
    parts is the gradient of the whole batch, however it is cut.
    """

    def __init__(self, ranks: Ranks, net: Any) -> None:
        super().__init__(ranks)
        parts = net.module_.modules()
        self.dropouts = [part for part in parts if isinstance(part, ByteDropout)]
        self.parameters: list[nn.Parameter] = []
        self.parts: Iterator[tuple[int, int]] = iter(())  # first row, and batch size
        self.n_left = 0
        self.cut = self._cut

    def _cut(self, positions: Tensor, sizes: list[int]) -> tuple[Tensor, list[int]]:
        """Return this rank's part of an epoch's rows, and how many of each batch."""
        check_draws(self.ranks, "epoch", digest((positions, sizes)))
        whole = np.array(sizes)
        low, high = (
            whole * k // self.ranks.size for k in (self.ranks.rank, self.ranks.rank + 1)
        )
        starts = np.cumsum(whole) - whole
        own = [
            np.arange(*ends) for ends in zip(starts + low, starts + high, strict=True)
        ]
        self.parts = iter(list(zip(low.tolist(), sizes, strict=True)))
        self.n_left = len(sizes)
        rows = torch.from_numpy(np.concatenate(own)).to(positions.device)
        return positions[rows], (high - low).tolist()

    @contextmanager
    def part_of(self, net: Any) -> Iterator[None]:
        """Take part in all sums of gradients of an epoch, also if a step fails here."""
        learned = [p for _, p in net.get_all_learnable_params()]
        self.parameters = [p for p in learned if p.requires_grad]
        try:
            yield
        except BaseException:
            for _ in range(self.n_left):  # the others wait for them
                self._add_up([torch.zeros_like(p) for p in self.parameters])
            raise
        finally:
            self.n_left = 0
            for dropout in self.dropouts:
                dropout.within = None

    def begin_batch(self) -> None:
        """Set the part of the batch, so that dropout is that of the whole batch."""
        part = next(self.parts)
        for dropout in self.dropouts:
            dropout.within = part

    def add_up(self) -> None:
        """Add up the gradients of all parts; those of an empty one are zeros."""
        own = [
            torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters
        ]
        for parameter, gradient in zip(self.parameters, self._add_up(own), strict=True):
            parameter.grad = gradient

    def _add_up(self, gradients: list[Tensor]) -> list[Tensor]:
        self.n_left -= 1
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        self.ranks.add_up(flat)
        parts = flat.split([gradient.numel() for gradient in gradients])
        return [part.view_as(p) for part, p in zip(parts, gradients, strict=True)]

    def joined(self, net: Any, total: float, n_rows: int) -> float:
        """Return the mean loss over the rows of all ranks; their weights are equal."""
        found = self.ranks.exchange("loss", (total, n_rows))
        loss = sum(total for total, _ in found) / sum(n for _, n in found)
        return super().joined(net, loss, 1)


@contextmanager
def shared_by_ranks(
    net: Any, feed: Any, options: Options, *, one_batch: bool
) -> Iterator[None]:
    """Share the training of a net on a feed between ranks, if there are any."""
    ranks = ranks_now()
    if ranks is None:
        yield
        return
    net.sharing = _sharing(ranks, net, feed, options, one_batch)
    try:
        yield
    finally:
        del net.sharing


def _sharing(
    ranks: Ranks, net: Any, feed: Any, options: Options, one_batch: bool
) -> Alone:
    """Choose how the ranks share the work, and warn if they cannot."""
    reason = _whole_steps(net, options)
    is_cut = ranks.size <= net.n_members and not options.is_partial
    if reason is None and is_cut and _has_members_apart(net):
        return ByMembers(ranks, net, feed)
    if one_batch:
        return Repeated(ranks)
    reason = reason or _whole_batches(net, options)
    if reason is None:
        return ByRows(ranks, net)
    if ranks.is_first:
        warn(
            f"{reason}, so that each of the {ranks.size} processes does all the work: "
            "the result is right, but one process is as fast."
        )
    return Repeated(ranks)


def _whole_steps(net: Any, options: Options) -> str | None:
    """Return why members cannot be trained apart; None if they can."""
    if not net.has_plain_steps:
        return (
            f"optimizer={options.optimizer.name!r} may look at all parameters at once"
        )
    if net.has_batch_callback():
        return "callbacks look at each batch"
    if net.iterator_train is not TensorBatches:
        return "net__iterator_train makes its own batches"
    return None


def _whole_batches(net: Any, options: Options) -> str | None:
    """Return why a batch cannot be cut; None if it can."""
    if net.criterion_.is_ranking:
        return f"{options.loss_name} compares the rows of a batch"
    if has_batch_norm(net.module_):
        return "batch normalisation needs the rows of a batch together"
    return None


def _has_members_apart(net: Any) -> bool:
    """Return whether members can be trained without the others."""
    shares_loss = any(True for _ in net.criterion_.parameters())
    return not shares_loss and net.network_.take_members(slice(0, 1)) is not None


def _gradients(
    whole: nn.Module, part: nn.Module
) -> Iterator[tuple[nn.Parameter, Tensor, nn.Parameter, Tensor]]:
    """Yield a parameter of `whole` and its gradient, and the views of `part` in both.

    Parameters that are the same in both, as of networks side by side, are left out.
    """
    outer = {p.untyped_storage().data_ptr(): p for p in whole.parameters()}
    for inner in part.parameters():
        parameter = outer[inner.untyped_storage().data_ptr()]
        if parameter is inner:
            continue
        gradient = torch.zeros_like(parameter)
        offset = inner.storage_offset() - parameter.storage_offset()
        view = gradient.as_strided(inner.shape, inner.stride(), offset)
        yield parameter, gradient, inner, view


def _members_of_ranks(n_members: int, n_ranks: int) -> list[slice]:
    ends = [n_members * rank // n_ranks for rank in range(n_ranks + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def _on_cpu(module: nn.Module) -> dict[str, Any]:
    """Return a state that can be sent: copies of the tensors."""
    return {
        name: value.detach().cpu().clone() if isinstance(value, Tensor) else value
        for name, value in module.state_dict().items()
    }
