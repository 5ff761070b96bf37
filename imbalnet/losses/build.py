"""Losses on logits, each with its inverse link.

A loss here takes ``(logits, target)`` and gives one value a row; the net alone weighs
and reduces. What training with it makes of the class posterior is undone by
``log_posterior``: if the conditional risk is ``sum_i eta_i l(v_i)`` with
``v = softmax(logits)``, its minimiser satisfies ``eta_i ∝ v_i / phi(v_i)`` with
``phi(v) = -v l'(v)``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet.parameters import accepted_names, reject_unknown

_LINK_STEPS = 200
_LOG_NEGLIGIBLE = -60.0  # log(1 - v) where r is 1 to float64's precision


class Loss(nn.Module):
    """Base of the losses: per-row values and the way back to probabilities.

    **Shape**

    - logits: ``(batch, n_classes)``, target: int64 ``(batch,)``
    - output: ``(batch,)``

    Attributes
    ----------
    is_calibrated : bool
        Whether ``log_posterior`` inverts the loss. Where it does not, probabilities
        only rank: wrap the classifier in
        :class:`sklearn.calibration.CalibratedClassifierCV`.
    """

    is_calibrated = True

    def __init__(self) -> None:
        super().__init__()

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
            Normalised over the last axis.
        """
        return logits.log_softmax(-1)

    def logits_of(self, log_posterior: Tensor) -> Tensor:
        """Give logits that stand for a log posterior: the link.

        Parameters
        ----------
        log_posterior : Tensor of shape (..., n_classes)

        Returns
        -------
        Tensor of shape (..., n_classes)
        """
        return log_posterior

    def class_factors(self, n_classes: int) -> Tensor:
        """Give the weights of the classes that are part of the loss itself."""
        return torch.ones(n_classes)


class CrossEntropy(Loss):
    """Softmax cross entropy, ``-log v_target``.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import CrossEntropy
    >>> CrossEntropy()(torch.zeros(1, 2), torch.tensor([1]))
    tensor([0.6931])
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Give the loss of each row."""
        return F.cross_entropy(logits, target, reduction="none")


class Focal(Loss):
    """Focal loss, ``-alpha_t (1 - v_t)**gamma log v_t``.

    Rows that are already well classified count less [1]_. Its minimiser is not the
    class posterior: it pulls probabilities towards the middle. ``log_posterior``
    undoes that with
    ``phi(v) = (1 - v)**gamma - gamma (1 - v)**(gamma - 1) v log v`` [2]_.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing exponent, at least 0; 0 is cross entropy.
    alpha : float, sequence of float or None, default=None
        Weight of each class, in the order of ``classes_``. A number is the weight of
        the positive class of two, the other one gets ``1 - alpha``, as in [1]_.
        The effective prior takes it into account.

    Raises
    ------
    ValueError
        If `gamma` is negative or `alpha` has a weight that is not positive.

    References
    ----------
    .. [1] Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    .. [2] Charoenphakdee et al., "On Focal Loss for Class-Posterior Probability
       Estimation: A Theoretical Perspective", CVPR 2021.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import Focal
    >>> logits = torch.tensor([[0.1, 0.9]]).log()  # p_target = 0.9
    >>> print(f"{Focal(gamma=2.0)(logits, torch.tensor([1])).item():.5f}")
    0.00105
    """

    alpha: Tensor | None

    def __init__(
        self, gamma: float = 2.0, alpha: float | Sequence[float] | None = None
    ) -> None:
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"loss__gamma={gamma!r} must be at least 0 and finite.")
        super().__init__()
        self.gamma = float(gamma)
        self.register_buffer("alpha", _alpha_weights(alpha))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Give the loss of each row."""
        against = _logit_against(logits, target)
        cross_entropy = -F.logsigmoid(-against)
        # in log space (1 - v)**gamma has a finite gradient for every gamma
        loss = torch.exp(self.gamma * F.logsigmoid(against)) * cross_entropy
        if self.alpha is None:
            return loss
        return self.class_factors(logits.shape[-1]).to(loss)[target] * loss

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Give the log of the class posterior that `logits` stand for."""
        log_v, log_rest = _log_softmax_and_complement(logits)
        # phi = (1 - v)**gamma (1 + gamma r), r = -v log v / (1 - v), from 0 to 1
        tiny = torch.finfo(logits.dtype).tiny
        ratio = (log_v + (-log_v).clamp(min=tiny).log() - log_rest).exp()
        ratio = torch.where(log_rest < _LOG_NEGLIGIBLE, 1.0, ratio)
        log_phi = self.gamma * log_rest + torch.log1p(self.gamma * ratio)
        return (log_v - log_phi).log_softmax(-1)

    def logits_of(self, log_posterior: Tensor) -> Tensor:
        """Give logits that stand for a log posterior, by damped fixed point."""
        logits = log_posterior
        for _ in range(_LINK_STEPS):
            gap = log_posterior - self.log_posterior(logits)
            logits = logits + gap / (1.0 + self.gamma)
        return logits

    def class_factors(self, n_classes: int) -> Tensor:
        """Give `alpha` as one weight for each class."""
        if self.alpha is None:
            return torch.ones(n_classes)
        if len(self.alpha) != n_classes:
            raise ValueError(
                f"loss__alpha must have one weight for each of the {n_classes} "
                f"classes, but it has {len(self.alpha)}: {self.alpha.tolist()}."
            )
        return self.alpha

    def extra_repr(self) -> str:
        """Give the parameters for the representation."""
        alpha = None if self.alpha is None else self.alpha.tolist()
        return f"gamma={self.gamma}, alpha={alpha}"


class CriterionLoss(Loss):
    """A torch criterion that was built with ``reduction="none"``, as a loss.

    Probabilities are its own ``log_posterior(logits)`` if it has one, otherwise the
    softmax, which inverts the cross entropy only.
    """

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self.criterion = criterion
        self.is_calibrated = (
            isinstance(criterion, nn.CrossEntropyLoss)
            and criterion.label_smoothing == 0.0
        ) or hasattr(criterion, "log_posterior")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Give the loss of each row."""
        return self.criterion(logits, target)

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Give the log of the class posterior that `logits` stand for."""
        own: Any = getattr(self.criterion, "log_posterior", super().log_posterior)
        return own(logits)

    def class_factors(self, n_classes: int) -> Tensor:
        """Give the criterion's own class weights (``weight`` in torch)."""
        weight = getattr(self.criterion, "weight", None)
        return torch.ones(n_classes) if weight is None else weight


LOSSES: dict[str, type[Loss]] = {"cross_entropy": CrossEntropy, "focal": Focal}


def build_loss(
    loss: str | Callable[..., nn.Module], params: dict[str, Any], n_classes: int
) -> Loss:
    """Make the loss that the parameter ``loss`` and its ``loss__*`` describe.

    Raises
    ------
    ValueError
        If a parameter is unknown, or the criterion does not give one value a row for
        logits and class codes.
    """
    if isinstance(loss, nn.Module):
        raise ValueError(
            "loss must be a name, a class or a factory, not an instance of "
            f"{type(loss).__name__}: give the class, and its arguments as loss__*."
        )
    factory: Callable[..., nn.Module] = LOSSES[loss] if isinstance(loss, str) else loss
    known = accepted_names(factory, without=("reduction", "size_average", "reduce"))
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", repr(loss))
    reject_unknown("loss", f"loss={name!r}", params, known)
    built = _instantiate(factory, params, name)
    _check_values(built, name, n_classes)
    return built


def _instantiate(factory: Any, params: dict[str, Any], name: str) -> Loss:
    bases = factory.__mro__ if isinstance(factory, type) else ()
    if Loss in bases:
        return factory(**params)
    if nn.NLLLoss in bases:
        raise ValueError(
            f"loss={name} expects log probabilities, but networks give logits; use "
            "loss='cross_entropy', which is the same on logits."
        )
    try:
        criterion = factory(reduction="none", **params)
    except TypeError as error:
        raise ValueError(
            f"loss={name} could not be built with reduction='none', which its forward "
            f"must support: {error}"
        ) from error
    return criterion if isinstance(criterion, Loss) else CriterionLoss(criterion)


def _check_values(loss: Loss, name: str, n_classes: int) -> None:
    factors = loss.class_factors(n_classes)
    target = torch.arange(2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns of shapes that broadcast
            values = loss(torch.zeros(2, n_classes, dtype=factors.dtype), target)
        shape = str(tuple(values.shape))
    except (RuntimeError, ValueError, TypeError, IndexError, Warning) as error:
        shape = str(error)
    if shape != "(2,)":
        raise ValueError(
            f"loss={name} must take logits of shape (batch, n_classes) and int64 class "
            f"codes of shape (batch,), and give values of shape (batch,); two rows "
            f"gave: {shape}."
        )


def _alpha_weights(alpha: float | Sequence[float] | None) -> Tensor | None:
    if alpha is None:
        return None
    weights = torch.as_tensor(alpha, dtype=torch.float64)
    if weights.ndim == 0:
        weights = torch.stack([1.0 - weights, weights])
    usable = (weights > 0) & weights.isfinite()
    if weights.ndim != 1 or not bool(usable.all()):
        raise ValueError(
            f"loss__alpha={alpha!r} must be a number between 0 and 1 (two classes) or "
            "one positive weight for each class."
        )
    return weights


def _logit_against(logits: Tensor, target: Tensor) -> Tensor:
    """Give ``log((1 - v_t) / v_t)``, precise where v_t is next to 0 or 1."""
    index = target.unsqueeze(-1)
    others = logits.scatter(-1, index, float("-inf")).logsumexp(-1)
    return others - logits.gather(-1, index).squeeze(-1)


def _log_softmax_and_complement(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Give log v and log(1 - v), both precise at saturated logits.

    Only the largest v can come near 1; every other one is at most 1/2, where
    ``log1p(-v)`` loses nothing.
    """
    top = logits.argmax(-1, keepdim=True)
    against = _logit_against(logits, top.squeeze(-1)).unsqueeze(-1)
    log_v = logits.log_softmax(-1).scatter(-1, top, F.logsigmoid(-against))
    log_rest = torch.log1p(-log_v.exp().clamp(max=0.5))
    return log_v, log_rest.scatter(-1, top, F.logsigmoid(against))
