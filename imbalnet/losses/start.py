"""Initial logits: the constant that minimises a loss."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from imbalnet._checks import checked_floats
from imbalnet._optimizers import LBFGS
from imbalnet.losses.base import Loss, check_shares

# With more classes, minimising the risk is slow and badly conditioned.
_MOST_CLASSES = 20
_SMALLEST_SHARE = 1e-9
_STEPS = 500


def constant_minimiser(loss: Loss, prior: Tensor) -> Tensor:
    """Find the logits, the same for all rows, that minimise a loss.

    An output layer whose bias starts there does not predict the rare classes too often
    at first. The logits minimise ``sum_c prior_c loss(z, c)``; for the cross entropy
    they are the log priors. With more than 20 classes the inverse link is solved for
    the effective prior, which is the same. Ranking losses, for which all constants are
    equal, start at the log of the effective prior, and so do losses of more than 20
    classes that have no inverse.

    Parameters
    ----------
    loss : Loss
        The loss, after ``bind``.
    prior : Tensor of shape (n_classes,)
        Class distribution that is trained on, sampler and class weights included, of
        any sum.

    Returns
    -------
    Tensor of float64, shape (n_classes,)
        The mean is 0. For losses that depend on more than differences of logits, the
        first logit is 0.

    Raises
    ------
    ValueError
        If `loss` is not a :class:`Loss`, or `prior` not numbers of at least 0,
        not all 0.

    Examples
    --------
    The cross entropy starts at the class shares. A focal loss starts less extreme,
    which its inverse link undoes:

    >>> import torch
    >>> from imbalnet.losses import CrossEntropy, Focal, constant_minimiser
    >>> prior = torch.tensor([0.99, 0.01])
    >>> constant_minimiser(CrossEntropy(), prior).softmax(-1).numpy().round(3)
    array([0.99, 0.01])
    >>> focal = Focal(gamma=2.0)
    >>> logits = constant_minimiser(focal, prior)
    >>> logits.softmax(-1).numpy().round(3)
    array([0.846, 0.154])
    >>> focal.log_posterior(logits).exp().numpy().round(3)
    array([0.99, 0.01])
    """
    if not isinstance(loss, Loss):
        raise ValueError(
            f"loss={loss!r} must be a Loss; CriterionLoss makes one of a criterion of "
            "torch."
        )
    if not isinstance(prior, Tensor):
        prior = torch.from_numpy(checked_floats("prior", prior))
    check_shares("prior", prior)
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
    """Find logits of a given posterior by a damped fixed-point iteration."""
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
