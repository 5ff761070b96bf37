"""Sharing of the training between the processes of a run under ``torchrun``.

Each process has the whole table, the same plans and the same network. Within
`shared_by_ranks`, it trains some of the members (`ByMembers`), a part of each batch
(`ByRows`), or, if neither is possible, the whole network on all rows (`Repeated`).
After each epoch, weights, scores and history are synchronised, so that all processes
choose the same epoch and stop together.
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

# Entries of a history that are not synchronised.
_OWN_ENTRIES = {"batches", "dur", "epoch"}


class Unshared:
    """Training in one process; the base class of the kinds of sharing."""

    is_shared = False
    cut: Cut | None = None

    def part_of(self, net: Any) -> AbstractContextManager[None]:
        """Return a context in which the net's module is the part of this rank."""
        return nullcontext()

    def begin_batch(self) -> None:
        """Prepare for this rank's part of a batch."""

    def sum_gradients(self) -> None:
        """Sum the gradients of all ranks."""

    def synchronize(self, net: Any, total: float, n_rows: int) -> float:
        """Load the weights of other ranks; return the mean loss of an epoch.

        `total` is the sum of the losses of `n_rows` rows on this rank.
        """
        return total / n_rows

    def out_of_fold_logits(self, net: Any, feed: Any) -> Tensor:
        """Return the logits of each row from the member that was not trained on it."""
        return net.out_of_fold_logits(feed)

    def synchronize_scores(self, history: Any) -> None:
        """Record the same scores of an epoch on all ranks."""

    def should_stop(self, stop_training: bool) -> bool:
        """Return whether training must stop."""
        return stop_training


class Repeated(Unshared):
    """Every rank trains the whole network; the weights of the first rank are used."""

    is_shared = True

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def synchronize(self, net: Any, total: float, n_rows: int) -> float:
        """Load weights and loss of the first rank; others may differ by rounding."""
        modules = [getattr(net.module_, "_orig_mod", net.module_), net.criterion_]
        states = [_on_cpu(module) for module in modules] if self.ranks.is_first else []
        states, loss = self.ranks.exchange("weights", (states, total / n_rows))[0]
        if not self.ranks.is_first:
            for module, state in zip(modules, states, strict=True):
                module.load_state_dict(state)
        return loss

    def synchronize_scores(self, history: Any) -> None:
        """Record the scores of the first rank."""
        record = history[-1]
        own = {key: record[key] for key in record.keys() - _OWN_ENTRIES}
        for key, value in sorted(self.ranks.exchange("scores", own)[0].items()):
            history.record(key, value)

    def should_stop(self, stop_training: bool) -> bool:
        """Return whether training must stop on any rank."""
        return any(self.ranks.exchange("stop", bool(stop_training)))


class ByMembers(Repeated):
    """Every rank trains some of the members, each on its own rows.

    The optimiser is that of the whole network, because the rounding of its step depends
    on the position of a value in a tensor. At the end of an epoch, each rank loads the
    weights of the other members.
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
        """Replace the net's module by the members of this rank within a block."""
        whole, net.module_ = net.module_, self.compiled
        try:
            yield
        finally:
            net.module_ = whole

    def sum_gradients(self) -> None:
        """Set the gradients of the whole network, which are 0 for other members."""
        for parameter, gradient, part, of_part in self.gradients:
            of_part.zero_() if part.grad is None else of_part.copy_(part.grad)
            part.grad = None
            parameter.grad = gradient if parameter.requires_grad else None

    def synchronize(self, net: Any, total: float, n_rows: int) -> float:
        """Load each member's weights from the rank that has trained it."""
        trained = _on_cpu(self.part), total, n_rows
        found = self.ranks.exchange("members", trained)
        for view, (state, _, _) in zip(self.views, found, strict=True):
            view.load_state_dict(state)
        return sum(total for _, total, _ in found) / sum(n for _, _, n in found)

    def out_of_fold_logits(self, net: Any, feed: Any) -> Tensor:
        """Compute logits with the members of this rank, and gather the others'."""
        with self.part_of(net):
            net.module_.eval()
            own = net.member_logits(feed, self.own).cpu()
        found = self.ranks.exchange("out-of-fold logits", own)
        return feed.in_order(torch.cat(found, dim=1).to(net.device))


class ByRows(Repeated):
    """Every rank computes the gradient of a part of each batch.

    Loss weights are divided by the size of the whole batch. So the sum of the ranks'
    gradients is the gradient of the whole batch, however it is divided.
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
        """Return this rank's rows of an epoch, and their number in each batch."""
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
        """Take part in every sum of gradients of an epoch, even if a step fails here.

        Otherwise the other ranks would wait for this one.
        """
        learned = [p for _, p in net.get_all_learnable_params()]
        self.parameters = [p for p in learned if p.requires_grad]
        try:
            yield
        except BaseException:
            for _ in range(self.n_left):
                self._summed([torch.zeros_like(p) for p in self.parameters])
            raise
        finally:
            self.n_left = 0
            for dropout in self.dropouts:
                dropout.within = None

    def begin_batch(self) -> None:
        """Set the position of this part, so that dropout is that of the whole batch."""
        part = next(self.parts)
        for dropout in self.dropouts:
            dropout.within = part

    def sum_gradients(self) -> None:
        """Sum the gradients of all ranks; that of a rank without rows is 0."""
        own = [
            torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters
        ]
        for parameter, gradient in zip(self.parameters, self._summed(own), strict=True):
            parameter.grad = gradient

    def _summed(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return the sums over ranks, which are computed by one message."""
        self.n_left -= 1
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        self.ranks.add_up(flat)
        parts = flat.split([gradient.numel() for gradient in gradients])
        return [part.view_as(p) for part, p in zip(parts, gradients, strict=True)]

    def synchronize(self, net: Any, total: float, n_rows: int) -> float:
        """Load weights, and return the mean loss over the rows of all ranks."""
        found = self.ranks.exchange("loss", (total, n_rows))
        loss = sum(total for total, _ in found) / sum(n for _, n in found)
        return super().synchronize(net, loss, 1)


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
) -> Unshared:
    """Return how the ranks share the training, and warn if they cannot."""
    reason = _reason_for_whole_steps(net, options)
    is_cut = ranks.size <= net.n_members and not options.is_partial
    if reason is None and is_cut and _has_members_apart(net):
        return ByMembers(ranks, net, feed)
    if one_batch:
        return Repeated(ranks)
    reason = reason or _reason_for_whole_batches(net, options)
    if reason is None:
        return ByRows(ranks, net)
    if ranks.is_first:
        warn(
            f"{reason}, so that each of the {ranks.size} processes does all the work: "
            "the result is right, but one process is as fast."
        )
    return Repeated(ranks)


def _reason_for_whole_steps(net: Any, options: Options) -> str | None:
    """Return why the steps cannot be divided; None if they can."""
    if not net.has_plain_steps:
        return (
            f"optimizer={options.optimizer.name!r} may look at all parameters at once"
        )
    if net.has_batch_callback():
        return "callbacks look at each batch"
    if net.iterator_train is not TensorBatches:
        return "net__iterator_train makes its own batches"
    return None


def _reason_for_whole_batches(net: Any, options: Options) -> str | None:
    """Return why a batch cannot be divided; None if it can."""
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
    """Yield each parameter of `whole`, a new gradient, and their views in `part`.

    Parameters that are the same object in both networks are left out.
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
    """Return a copy of the state on the CPU, which can be sent to other ranks."""
    return {
        name: value.detach().cpu().clone() if isinstance(value, Tensor) else value
        for name, value in module.state_dict().items()
    }
