"""Where training starts: the best outputs that do not know the features."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from imbalnet._optimizers import LBFGS
from imbalnet.losses.base import Loss

# More classes than this, and the risk is slow and badly conditioned to minimise.
_MOST_CLASSES = 20
_SMALLEST_SHARE = 1e-9
_STEPS = 500


def constant_minimiser(loss: Loss, prior: Tensor) -> Tensor:
    """Find the logits that minimise a loss, if they are the same for all rows.

    An output layer that starts there gives rare classes no flood of false alarms. For
    the cross entropy these are the log priors; for other losses
    ``sum_c prior_c loss(z, c)`` is minimised, whatever the loss is. With more than 20
    classes the inverse link is solved for the effective prior instead, which is the
    same; a loss that has none starts at the log of that prior there, and so does any
    ranking loss, which is indifferent to constants.

    Parameters
    ----------
    loss : Loss
        Already bound to the class distribution.
    prior : Tensor of shape (n_classes,)
        Class distribution that is trained on, sampler and class weights included.

    Returns
    -------
    Tensor of float64, shape (n_classes,)
        Their mean is 0, or, for losses that see more than differences of logits, the
        first one.
    """
    shares = loss.effective_prior(prior.double()).clamp(min=_SMALLEST_SHARE)
    start = shares.log() - shares[0].log()
    found = start
    if len(prior) <= _MOST_CLASSES and not loss.is_ranking:
        found = _minimise(copy.deepcopy(loss).double(), prior.double(), start)
    elif loss.is_calibrated:
        found = _solve_inverse(loss, shares.log())
    start = found if bool(torch.isfinite(found).all()) else start
    centred = start - start.mean()
    means_the_same = torch.allclose(
        loss.log_posterior(centred), loss.log_posterior(start)
    )
    return centred if means_the_same else start


def _solve_inverse(loss: Loss, log_posterior: Tensor) -> Tensor:
    """Find logits that stand for a posterior, by a damped fixed point."""
    logits, step, last = log_posterior, 1.0, float("inf")
    for _ in range(_STEPS):
        gap = log_posterior - loss.log_posterior(logits)
        size = gap.abs().max().item()
        if size > last:
            step /= 2
        logits, last = logits + step * gap, size
    return logits


@torch.enable_grad()
def _minimise(loss: Loss, prior: Tensor, start: Tensor) -> Tensor:
    n_classes = len(prior)
    free = start[1:].clone().requires_grad_()  # one logit may be fixed
    solver = LBFGS(
        [free],
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def logits() -> Tensor:
        return torch.cat([start[:1], free])

    def risk() -> Tensor:
        solver.zero_grad()
        values = loss(logits().expand(n_classes, -1), torch.arange(n_classes))
        total = (prior * values).sum()
        total.backward()
        return total

    solver.step(risk)
    return logits().detach()
