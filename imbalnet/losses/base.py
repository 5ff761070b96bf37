"""What every loss is, and the numerics that several of them share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet._checks import checked_number


@dataclass(frozen=True)
class ClassShares:
    """Class distributions of the training rows, each of shape (n_classes,).

    Attributes
    ----------
    seen : Tensor
        As the rows came.
    delivered : Tensor
        Behind the sampler, without class weights.
    balanced : Tensor
        The same with class weights that balance by name ("balanced", "effective").
        Weights that the user gives as numbers are meant, and not in here.
    """

    seen: Tensor
    delivered: Tensor
    balanced: Tensor


class Loss(nn.Module):
    """Base of the losses: per-row values and the way back to probabilities.

    **Shape**

    - logits: ``(batch, n_classes)``, target: int64 ``(batch,)``
    - output: ``(batch,)``

    Attributes
    ----------
    is_calibrated : bool
        Whether ``log_posterior`` inverts the loss. Where it does not, there is no
        calibrated inverse and probabilities only rank: wrap the classifier in
        :class:`sklearn.calibration.CalibratedClassifierCV`.
    is_ranking : bool
        Whether a row's value depends on the rows around it. Such a loss knows no
        weights, and wants every class in each batch.
    takes_cosines : bool
        Whether the logits must be cosines, so that the network has to end in
        :class:`imbalnet.networks.CosineLinear`.
    warmup : float
        Share of training, from 0 to 1, before the loss takes its final form.
    """

    is_calibrated = True
    is_ranking = False
    takes_cosines = False
    warmup = 0.0

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Give the loss of each row."""
        raise NotImplementedError

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Give the log of the class posterior that `logits` stand for.

        Parameters
        ----------
        logits : Tensor of shape (..., n_classes)

        Returns
        -------
        Tensor of shape (..., n_classes)
            Normalised over the last axis; under the prior that
            :meth:`effective_prior` gives.
        """
        return logits.log_softmax(-1)

    def posterior_scores(self, logits: Tensor) -> Tensor:
        """Give ``log_posterior`` up to a constant a row, where that is cheaper."""
        is_softmax = type(self).log_posterior is Loss.log_posterior
        return logits if is_softmax else self.log_posterior(logits)

    def bind(self, shares: ClassShares) -> None:
        """Learn the class distributions, before training starts."""
        del shares  # most losses are the same for all distributions

    def begin_epoch(self, progress: float) -> None:
        """Learn how far training is, from 0 at its start towards 1 at its end."""
        del progress

    def logit_scale(self, n_classes: int) -> Tensor:
        """Give the factor of each class' logit in a linear ``log_posterior``."""
        return torch.ones(n_classes)

    def effective_prior(self, prior: Tensor) -> Tensor:
        """Give the prior that ``log_posterior`` holds for.

        Parameters
        ----------
        prior : Tensor of shape (n_classes,)
            Class distribution that was trained on, sampler and class weights included.

        Returns
        -------
        Tensor of shape (n_classes,)
            `prior` with what the loss itself does to it, summing to 1.
        """
        mass = prior * self.class_factors(len(prior)).to(prior)
        return mass / mass.sum()

    def class_factors(self, n_classes: int) -> Tensor:
        """Give the weights of the classes that are part of the loss itself."""
        return torch.ones(n_classes)


def full_precision(logits: Tensor) -> Tensor:
    """Leave half precision, as autocast gives it: losses need more than 11 bits."""
    return logits.float() if logits.dtype.itemsize < 4 else logits


def shares_or_smallest(shares: Tensor) -> Tensor:
    """Give classes without rows the share of the rarest class that has some."""
    shares = shares / shares.sum()
    return torch.where(shares > 0, shares, shares[shares > 0].min())


def logit_against(logits: Tensor, target: Tensor) -> Tensor:
    """Give ``log((1 - v_t) / v_t)``, precise where v_t is next to 0 or 1."""
    index = target.unsqueeze(-1)
    others = logits.scatter(-1, index, float("-inf")).logsumexp(-1)
    return others - logits.gather(-1, index).squeeze(-1)


def log_softmax_and_complement(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Give log v and log(1 - v), both precise at saturated logits.

    Only the largest v can come near 1; every other one is at most 1/2, where
    ``log1p(-v)`` loses nothing.
    """
    top = logits.argmax(-1, keepdim=True)
    against = logit_against(logits, top.squeeze(-1)).unsqueeze(-1)
    log_v = logits.log_softmax(-1).scatter(-1, top, F.logsigmoid(-against))
    log_rest = torch.log1p(-log_v.exp().clamp(max=0.5))
    return log_v, log_rest.scatter(-1, top, F.logsigmoid(against))


def log_excess(log_value: Tensor, threshold: Tensor | float, slope: float) -> Tensor:
    """Give ``log(value - threshold)``; where that is lost, ``log(slope * value)``.

    A network's output may fall below what any posterior maps to. The larger of the two
    is strictly increasing, so that such rows keep their order.
    """
    value = log_value.exp()
    excess = value - threshold
    is_above = excess > slope * value
    above = torch.where(is_above, excess, 1.0).log()
    return torch.where(is_above, above, log_value + math.log(slope))


def class_values(name: str, value: Any, low: float) -> Tensor:
    """Give a parameter that is one number, or one a class, as a float64 tensor.

    Raises
    ------
    ValueError
        If one is no number, not finite or below `low`.
    """
    if not isinstance(value, Sequence | Tensor) and not hasattr(value, "__array__"):
        return torch.tensor(
            checked_number(f"loss__{name}", value, low), dtype=torch.float64
        )
    values = as_vector(name, value)
    if values.ndim != 1 or not bool(((values >= low) & values.isfinite()).all()):
        raise ValueError(
            f"loss__{name}={value!r} must be one finite number of at least {low:g}, or "
            "one for each class."
        )
    return values


def as_vector(name: str, value: Any) -> Tensor:
    """Give numbers as a float64 tensor."""
    try:
        return torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"loss__{name}={value!r} must be a number, or one number for each class."
        ) from error


def check_length(name: str, values: Tensor | None, n_classes: int) -> None:
    """Raise if there is one value a class, but for another number of classes."""
    if values is not None and values.ndim == 1 and len(values) != n_classes:
        raise ValueError(
            f"loss__{name} must have one value for each of the {n_classes} classes, "
            f"but it has {len(values)}: {values.tolist()}."
        )
