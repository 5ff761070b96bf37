"""The contract of a loss, and the numerics that several losses share."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet._checks import check_label_order, checked_floats, checked_number


@dataclass(frozen=True)
class ClassShares:
    """Class distributions of the training rows, each of shape (n_classes,).

    Attributes
    ----------
    seen : Tensor
        Class distribution of the rows that ``fit`` was given, before sampling.
    delivered : Tensor
        Class distribution of the rows that the sampler draws, without class weights.
    balanced : Tensor
        `delivered`, with class weights that balance by name ("balanced", "effective").
        Weights that the user gives as numbers are left out, because a loss must not
        undo them.

    Raises
    ------
    ValueError
        If a distribution is not a tensor of numbers of at least 0, not all 0, or if
        their numbers of classes differ.

    Examples
    --------
    1 row of 10 is positive, and a sampler makes it 1 of 2:

    >>> import torch
    >>> from imbalnet.losses import ClassShares, LogitAdjusted
    >>> seen, delivered = torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.5])
    >>> loss = LogitAdjusted()
    >>> loss.bind(ClassShares(seen=seen, delivered=delivered, balanced=delivered))
    >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # nothing to adjust: -log 0.5
    tensor([0.6931])
    """

    seen: Tensor
    delivered: Tensor
    balanced: Tensor

    def __post_init__(self) -> None:
        check_shares("seen", self.seen)
        for name in ("delivered", "balanced"):
            check_shares(name, getattr(self, name), n_classes=len(self.seen))


class Loss(nn.Module):
    """Base class of all losses: a value for each row, and the inverse link.

    Training minimises the loss. Prediction inverts the effect of the loss on the
    probabilities. Let ``pi`` be the class distribution that is trained on, sampler and
    class weights included, and ``p`` the class posterior of a row under ``pi``.
    Training moves the logits z of the row to the minimum of ``sum_c p_c loss(z, c)``.
    A loss defines

    - :meth:`forward`: ``loss(z, c)`` for each row of a batch. The net alone multiplies
      the values by weights and takes the mean.
    - :meth:`effective_prior`: the class distribution ``q`` that :meth:`log_posterior`
      refers to, as a function of ``pi``. By default ``q_c ∝ pi_c a_c``, where ``a`` are
      the class weights inside the loss (:meth:`class_factors`, by default 1).
    - :meth:`log_posterior`: the inverse link. At the minimum z,
      ``exp(log_posterior(z))_c ∝ p_c q_c / pi_c``, which is the posterior under ``q``.
      By default the softmax, which inverts the cross entropy.

    The classifier shifts this posterior from ``q`` to the prior that the user sets.
    Only :meth:`forward` must be written. A loss that depends on the class distribution
    overrides :meth:`bind`, one that changes during training :meth:`begin_epoch`.
    Parameters that are out of their range raise a ValueError that names them.

    **Shape**

    - logits: ``(batch, n_classes)``, target: int64 ``(batch,)``
    - output: ``(batch,)``

    Attributes
    ----------
    is_calibrated : bool
        Whether ``log_posterior`` inverts the loss. Where it does not, probabilities
        only rank; :class:`sklearn.calibration.CalibratedClassifierCV` calibrates them.
    is_ranking : bool
        Whether the value of a row depends on the other rows of the batch. Such a loss
        takes no weights, and needs every class in each batch.
    takes_cosines : bool
        Whether the logits must be cosines, so that the network has to end in
        :class:`imbalnet.networks.CosineLinear`.
    warmup : float
        Share of training, from 0 to 1, before the loss takes its final form.

    Examples
    --------
    The cross entropy of doubled logits, whose inverse link doubles them, too:

    >>> import torch
    >>> from imbalnet.losses import Loss
    >>> class Doubled(Loss):
    ...     def forward(self, logits, target):
    ...         return -self.log_posterior(logits).gather(1, target[:, None])[:, 0]
    ...
    ...     def log_posterior(self, logits):
    ...         return (2 * logits).log_softmax(-1)
    >>> Doubled().log_posterior(torch.tensor([0.0, 1.0])).exp()
    tensor([0.1192, 0.8808])
    """

    is_calibrated = True
    is_ranking = False
    takes_cosines = False
    warmup = 0.0

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row.

        Parameters
        ----------
        logits : Tensor of shape (batch, n_classes)
            Outputs of the network.
        target : Tensor of int64, shape (batch,)
            Class codes.

        Returns
        -------
        Tensor of shape (batch,)
            The values, not weighted and not averaged.
        """
        raise NotImplementedError

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute the log of the class posterior from the logits.

        Parameters
        ----------
        logits : Tensor of shape (..., n_classes)
            Outputs of the network.

        Returns
        -------
        Tensor of shape (..., n_classes)
            Log probabilities under the prior that :meth:`effective_prior` returns,
            normalised over the last axis.
        """
        check_logits(logits)
        return logits.log_softmax(-1)

    def posterior_scores(self, logits: Tensor) -> Tensor:
        """Compute ``log_posterior`` up to a constant in each row, if that is faster.

        Parameters
        ----------
        logits : Tensor of shape (..., n_classes)
            Outputs of the network.

        Returns
        -------
        Tensor of shape (..., n_classes)
            Scores whose softmax is the posterior.
        """
        is_softmax = type(self).log_posterior is Loss.log_posterior
        return logits if is_softmax else self.log_posterior(logits)

    def bind(self, shares: ClassShares) -> None:
        """Compute values that depend on the class distribution, before training.

        Parameters
        ----------
        shares : ClassShares
            Class distributions of the training rows.
        """
        del shares  # most losses are the same for all distributions

    def begin_epoch(self, progress: float) -> None:
        """Compute values that depend on the progress of training, from 0 to below 1.

        Parameters
        ----------
        progress : float
            Share of the epochs that are over.
        """
        del progress

    def logit_scale(self, n_classes: int) -> Tensor:
        """Return the factor of each class' logit in a linear ``log_posterior``.

        Parameters
        ----------
        n_classes : int
            Number of classes.

        Returns
        -------
        Tensor of shape (n_classes,)
            The factors, by default 1.
        """
        return torch.ones(n_classes)

    def effective_prior(self, prior: Tensor) -> Tensor:
        """Compute the prior that ``log_posterior`` refers to.

        Parameters
        ----------
        prior : Tensor of shape (n_classes,)
            Class distribution that is trained on, sampler and class weights included.

        Returns
        -------
        Tensor of shape (n_classes,)
            `prior` and the effect of the loss on it, summing to 1.

        Raises
        ------
        ValueError
            If `prior` is not a tensor of numbers of at least 0, not all 0.
        """
        check_shares("prior", prior)
        mass = prior * self.class_factors(len(prior)).to(prior)
        return mass / mass.sum()

    def class_factors(self, n_classes: int) -> Tensor:
        """Return the class weights that are part of the loss itself.

        Parameters
        ----------
        n_classes : int
            Number of classes.

        Returns
        -------
        Tensor of shape (n_classes,)
            The weights, by default 1.
        """
        return torch.ones(n_classes)

    def factors_in_mean(self, n_classes: int) -> Tensor:
        """Return the class weights that the mean over the training rows is divided by.

        The mean over the rows is divided by weights of rows in the same way, so that
        the learning rate and the weight decay have the same effect.

        Parameters
        ----------
        n_classes : int
            Number of classes.

        Returns
        -------
        Tensor of shape (n_classes,)
            The weights, by default 1.
        """
        return torch.ones(n_classes)

    def extra_repr(self) -> str:
        """Return the parameters of ``__init__`` for the representation."""
        names = inspect.signature(type(self)).parameters
        values = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return ", ".join(
            f"{name}={value.tolist() if isinstance(value, Tensor) else value}"
            for name, value in values.items()
            if not isinstance(value, nn.Module)  # printed as a submodule
        )


def checked_batch(logits: Tensor, target: Tensor) -> Tensor:
    """Return the logits of a batch in full precision; raise for wrong shapes or dtypes.

    Half precision comes from autocast, but losses need more than 11 bits. Values are
    not checked, because each step would have to wait for the device.
    """
    check_logits(logits)
    if logits.ndim != 2:
        raise ValueError(
            "logits must have shape (batch, n_classes), but have "
            f"{tuple(logits.shape)}."
        )
    if not isinstance(target, Tensor) or target.dtype != torch.int64:
        raise ValueError(
            f"target must be an int64 tensor of class codes, but is {_kind(target)}; "
            "integers become one by torch.as_tensor(codes, dtype=torch.int64)."
        )
    if target.shape != logits.shape[:1]:
        raise ValueError(
            f"target must have shape ({len(logits)},), one class code for each row of "
            f"logits, but has {tuple(target.shape)}."
        )
    return logits.float() if logits.dtype.itemsize < 4 else logits


def check_logits(logits: Tensor) -> None:
    """Raise unless logits are a tensor of floating point numbers, (..., n_classes)."""
    if isinstance(logits, Tensor) and logits.is_floating_point() and logits.ndim:
        return
    raise ValueError(
        "logits must be a tensor of floating point numbers of shape (..., n_classes), "
        f"but are {_kind(logits)}."
    )


def check_class_shares(shares: Any) -> None:
    """Raise unless the argument of ``Loss.bind`` is a `ClassShares`."""
    if not isinstance(shares, ClassShares):
        raise ValueError(
            f"shares must be ClassShares(seen, delivered, balanced), but are of type "
            f"{type(shares).__name__}."
        )


def check_shares(name: str, shares: Tensor, n_classes: int | None = None) -> None:
    """Raise unless a tensor holds numbers of at least 0 by class, not all 0."""
    is_tensor = isinstance(shares, Tensor) and shares.dtype not in _NO_NUMBERS
    if not is_tensor or shares.ndim != 1 or len(shares) != (n_classes or len(shares)):
        shape = f"({n_classes or 'n_classes'},)"
        raise ValueError(
            f"{name} must be a tensor of numbers of shape {shape}, but is "
            f"{_kind(shares)}; an array becomes one by torch.as_tensor."
        )
    is_right = (shares >= 0) & shares.isfinite()
    if not bool(is_right.all()) or not bool(shares.any()):
        raise ValueError(
            f"{name}={shares.tolist()} must hold finite numbers of at least 0, not all "
            "0, one for each class."
        )


_NO_NUMBERS = torch.bool, torch.complex64, torch.complex128


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"of type {type(value).__name__}"
    return f"of dtype {value.dtype} and shape {tuple(value.shape)}"


def check_bound(loss: Loss, values: Tensor, n_classes: int) -> None:
    """Raise if a loss was bound to another number of classes."""
    if values.ndim and len(values) != n_classes:
        raise ValueError(
            f"{type(loss).__name__} was bound to {len(values)} classes, but is asked "
            f"for {n_classes}: call bind with the shares of these classes, or give "
            f"logits of {len(values)}."
        )


def shares_or_smallest(shares: Tensor) -> Tensor:
    """Normalise shares; a class without rows gets the smallest share of the others."""
    shares = shares / shares.sum()
    return torch.where(shares > 0, shares, shares[shares > 0].min())


def logit_against(logits: Tensor, target: Tensor) -> Tensor:
    """Compute ``log((1 - v_t) / v_t)``, precise where v_t is next to 0 or 1."""
    index = target.unsqueeze(-1)
    others = logits.scatter(-1, index, float("-inf")).logsumexp(-1)
    return others - logits.gather(-1, index).squeeze(-1)


def log_softmax_and_complement(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Compute log v and log(1 - v), both precise at saturated logits.

    Only the largest v can come near 1; every other one is at most 1/2, where
    ``log1p(-v)`` loses nothing.
    """
    top = logits.argmax(-1, keepdim=True)
    against = logit_against(logits, top.squeeze(-1)).unsqueeze(-1)
    log_v = logits.log_softmax(-1).scatter(-1, top, F.logsigmoid(-against))
    log_rest = torch.log1p(-log_v.exp().clamp(max=0.5))
    return log_v, log_rest.scatter(-1, top, F.logsigmoid(against))


def log_excess(log_value: Tensor, threshold: Tensor | float, slope: float) -> Tensor:
    """Compute ``log(value - threshold)``, or ``log(slope * value)`` if that is larger.

    A network's output may be outside of the range of the link. The larger of the two is
    strictly increasing, so that such rows keep their order.
    """
    value = log_value.exp()
    excess = value - threshold
    is_above = excess > slope * value
    above = torch.where(is_above, excess, 1.0).log()
    return torch.where(is_above, above, log_value + math.log(slope))


def class_values(name: str, value: Any, low: float) -> Tensor:
    """Convert one number of at least `low`, or one for each class, to float64."""
    is_array = isinstance(value, Sequence | Tensor) or hasattr(value, "__array__")
    if isinstance(value, Real) or not is_array:  # NumPy's numbers have __array__ too
        number = checked_number(f"loss__{name}", value, low)
        return torch.tensor(number, dtype=torch.float64)
    values = as_vector(name, value)
    is_right = (values >= low) & values.isfinite()
    if values.ndim != 1 or not len(values) or not bool(is_right.all()):
        raise ValueError(
            f"loss__{name}={value!r} must be one finite number of at least {low:g}, or "
            "one for each class."
        )
    return values


def as_vector(name: str, value: Any) -> Tensor:
    """Copy numbers to a float64 tensor."""
    check_label_order(f"loss__{name}", value)
    given = value.detach().cpu() if isinstance(value, Tensor) else value
    try:
        return torch.tensor(checked_floats(name, given))
    except ValueError as error:
        raise ValueError(
            f"loss__{name}={value!r} must be a number, or one number for each class."
        ) from error


def check_length(name: str, values: Tensor | None, n_classes: int) -> None:
    """Raise if values by class are for another number of classes."""
    if values is not None and values.ndim == 1 and len(values) != n_classes:
        raise ValueError(
            f"loss__{name} must have one value for each of the {n_classes} classes, "
            f"but it has {len(values)}: {values.tolist()}."
        )
