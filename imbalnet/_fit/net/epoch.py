"""The training loop of an epoch in plain torch.

:class:`~imbalnet._fit.net.ImbalanceNet` uses it unless a callback or the closure of an
optimiser needs skorch's steps. These result in the same weights, but take longer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from imbalnet._fit.feeds.batches import Table, TensorBatches
from imbalnet._fit.net.reduction import LossSum, loss_per_row
from imbalnet._fit.output import has_batch_norm
from imbalnet._fit.sharing import Unshared
from imbalnet._predict import output_of
from imbalnet._runtime import without_forks
from imbalnet.losses import Loss
from imbalnet.networks import is_split
from imbalnet.networks.base import with_all_columns


def train_in_a_loop(
    batches: TensorBatches,
    module: Any,
    criterion: Loss,
    optimizer: torch.optim.Optimizer,
    *,
    mixed_dtype: torch.dtype | None,
    sharing: Unshared,
) -> tuple[float, int]:
    """Train for one epoch; return the sum of weighted losses, and their number."""
    forward = module if batches.prepare is None else module.body
    total = LossSum()
    for X, y, weight, share in batches.prepared():
        optimizer.zero_grad()
        sharing.begin_batch()
        if len(y):  # a process may have no row of a small batch
            with without_forks():
                # without a member axis for one member: a few per cent faster
                logits = with_all_columns(output_of(forward, X, mixed_dtype))
                losses = loss_per_row(criterion, logits, y)
                # the gradient of the weighted mean, as losses.backward(share), for
                # which torch would import sympy (0.5 s)
                share = share.to(losses.dtype).flatten()
                losses.flatten().dot(share).backward()
            total.add(losses.detach(), weight)
        sharing.sum_gradients()
        optimizer.step()
    return total.result()


def works_on_blocks(module: nn.Module, feed: Table) -> bool:
    """Return whether a network's ``prepare`` may be applied to blocks of batches.

    Its ``forward`` must be ``body(prepare(x))``, without hooks. ``prepare`` must not be
    trained, and no output may depend on the other rows of a batch.
    """
    parts: list[Any] = [module, *getattr(module, "members", ())]
    hooks = [
        any((part._forward_hooks, part._forward_pre_hooks, part._backward_hooks))
        for part in parts
    ]
    if has_batch_norm(module) or not is_split(module) or any(hooks):
        return False
    prepare: Any = module.eval().prepare
    row = feed.features(slice(0, 1))
    return not output_of(prepare, row, dtype=None).requires_grad
