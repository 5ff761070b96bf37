"""Losses that focus on hard rows: focal, Poly-1 and asymmetric.

Each depends on the softmax output v of the target alone. The minimum of the conditional
risk ``sum_i eta_i l_i(v_i)`` satisfies ``eta_i ∝ v_i / phi_i(v_i)`` with
``phi_i(v) = -v l_i'(v)``, class by class: this is their inverse link.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imbalnet._checks import checked_number
from imbalnet.losses.base import (
    ClassShares,
    Loss,
    as_vector,
    check_class_shares,
    check_length,
    check_logits,
    checked_batch,
    class_values,
    log_excess,
    log_softmax_and_complement,
    logit_against,
)

_LOG_NEGLIGIBLE = -60.0  # log(1 - v) where r is 1 to float64's precision
# Lower limit of (q / (1 - v))**gamma_negative in the inverse of a loss with a margin.
_SMALLEST_RATIO = 1e-3


class PolyFocal(Loss):
    """Focal loss with a larger first polynomial term.

    ``alpha_t ((1 - v_t)**gamma * -log v_t + epsilon (1 - v_t)**(gamma + 1))`` [1]_.
    ``log_posterior`` inverts it by
    ``phi(v) = (1 - v)**gamma (1 + gamma r + epsilon (gamma + 1) v)`` with
    ``r = -v log(v) / (1 - v)``. Departing from the authors' code, `alpha` multiplies
    both terms, so that it is a class weight.

    Parameters
    ----------
    gamma : float or sequence of float, default=2.0
        Focusing exponent, at least 0; one number, or one for each class.
    epsilon : float, default=1.0
        Number that is added to the coefficient of the first term, more than -1. 0 is
        the focal loss.
    alpha : float, sequence of float or None, default=None
        Weight of each class, see :class:`Focal`.

    References
    ----------
    .. [1] Leng et al., "PolyLoss: A Polynomial Expansion Perspective of
       Classification Loss Functions", ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import PolyFocal
    >>> logits = torch.tensor([[0.1, 0.9]]).log()  # p_target = 0.9
    >>> print(f"{PolyFocal()(logits, torch.tensor([1])).item():.5f}")
    0.00205
    """

    gamma: Tensor
    alpha: Tensor | None

    def __init__(
        self,
        gamma: float | Sequence[float] = 2.0,
        epsilon: float = 1.0,
        alpha: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.epsilon = checked_number("loss__epsilon", epsilon, -1, open_low=True)
        self.register_buffer("gamma", class_values("gamma", gamma, 0))
        self.register_buffer("alpha", _alpha_weights(alpha))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        against = logit_against(checked_batch(logits, target), target)
        self._check_lengths(logits.shape[-1])
        gamma = self.gamma if self.gamma.ndim == 0 else self.gamma[target]
        loss = -F.logsigmoid(-against)
        if self.epsilon:
            loss = loss + self.epsilon * torch.sigmoid(against)
        # in log space (1 - v)**gamma has a finite gradient for every gamma
        loss = torch.exp(gamma.to(against) * F.logsigmoid(against)) * loss
        if self.alpha is None:
            return loss
        return self.class_factors(logits.shape[-1]).to(loss)[target] * loss

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute the log of the class posterior from the logits."""
        check_logits(logits)
        self._check_lengths(logits.shape[-1])
        log_v, log_rest = log_softmax_and_complement(logits)
        gamma = self.gamma.to(logits)
        return _log_ratio(log_v, log_rest, gamma, self.epsilon).log_softmax(-1)

    def class_factors(self, n_classes: int) -> Tensor:
        """Return `alpha` as one weight for each class."""
        self._check_lengths(n_classes)
        return torch.ones(n_classes) if self.alpha is None else self.alpha

    def _check_lengths(self, n_classes: int) -> None:
        check_length("gamma", self.gamma, n_classes)
        check_length("alpha", self.alpha, n_classes)


class Focal(PolyFocal):
    """Focal loss, ``-alpha_t (1 - v_t)**gamma log v_t``.

    Rows that are already well classified count less [1]_. This pulls probabilities
    towards the middle, so that the minimum is not the class posterior.
    ``log_posterior`` undoes that with
    ``phi(v) = (1 - v)**gamma - gamma (1 - v)**(gamma - 1) v log v`` [2]_.

    Parameters
    ----------
    gamma : float or sequence of float, default=2.0
        Focusing exponent, at least 0; 0 is cross entropy. One number, or one for each
        class in the order of ``classes_``.
    alpha : float, sequence of float or None, default=None
        Weight of each class, in the order of ``classes_``. A number is the weight of
        the positive class of two, the other one gets ``1 - alpha``, as in [1]_.
        The effective prior includes it.

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

    def __init__(
        self,
        gamma: float | Sequence[float] = 2.0,
        alpha: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(gamma, 0.0, alpha)


class Poly1(PolyFocal):
    """Cross entropy with a larger first polynomial term.

    ``-log v_t + epsilon (1 - v_t)`` [1]_: a positive `epsilon` raises the gradient of
    rows with a probability in the middle. It is inverted by ``phi(v) = 1 + epsilon v``.

    Parameters
    ----------
    epsilon : float, default=1.0
        Number that is added to the coefficient of ``1 - v_t``, more than -1. 0 is
        cross entropy.

    References
    ----------
    .. [1] Leng et al., "PolyLoss: A Polynomial Expansion Perspective of
       Classification Loss Functions", ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import Poly1
    >>> logits = torch.tensor([[0.1, 0.9]]).log()  # p_target = 0.9
    >>> print(f"{Poly1()(logits, torch.tensor([1])).item():.5f}")
    0.20536
    """

    def __init__(self, epsilon: float = 1.0) -> None:
        super().__init__(0.0, epsilon)


class Asymmetric(Loss):
    """Asymmetric loss: focus on hard negatives, and ignore easy ones.

    Let v be the softmax output for the class of the row. A positive row has the loss
    ``-(1 - v)**gamma_positive * log v``, a negative one
    ``-q**gamma_negative * log(1 - q)`` with ``q = max(1 - v - margin, 0)`` [1]_. Of two
    classes the second is positive. Of several classes the most frequent one is
    negative (in ``partial_fit``, among the rows so far) and all others are positive:
    the single-label form of the paper's multi-label loss.

    Without a margin the inverse is that of the focal loss with one exponent for each
    class. With a margin, ``is_calibrated`` is False: the loss is 0 for all negatives
    within the margin, and at most ``-log(margin)`` for negatives that are classified
    wrongly with certainty, which the paper takes for mislabelled. Posteriors in between
    are recovered, the order of the others is kept.

    Parameters
    ----------
    gamma_positive : float, default=0.0
        Focusing exponent of positive rows, at least 0.
    gamma_negative : float, default=4.0
        Focusing exponent of negative rows, at least 0.
    margin : float, default=0.0
        Probability of the other classes below which a negative row has no loss, in
        [0, 1). Departing from the paper, which takes 0.05, there is none by default, so
        that probabilities stay calibrated.

    References
    ----------
    .. [1] Ridnik et al., "Asymmetric Loss for Multi-Label Classification", ICCV 2021.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import Asymmetric
    >>> logits = torch.tensor([[0.97, 0.03], [0.5, 0.5]]).log()
    >>> loss = Asymmetric(margin=0.05)
    >>> [round(x, 4) for x in loss(logits, torch.tensor([0, 0])).tolist()]
    [0.0, 0.0245]
    """

    negative: Tensor

    def __init__(
        self,
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        margin: float = 0.0,
    ) -> None:
        super().__init__()
        self.gamma_positive = checked_number("loss__gamma_positive", gamma_positive, 0)
        self.gamma_negative = checked_number("loss__gamma_negative", gamma_negative, 0)
        self.margin = checked_number("loss__margin", margin, 0, 1)
        self.is_calibrated = self.margin == 0
        self.register_buffer("negative", torch.tensor(0))

    def bind(self, shares: ClassShares) -> None:
        """Take the most frequent of several classes as the negative one."""
        check_class_shares(shares)
        is_binary = len(shares.seen) == 2
        self.negative = torch.tensor(0) if is_binary else shares.seen.argmax()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        against = logit_against(checked_batch(logits, target), target)
        gamma, margin = self._settings(target, against)
        log_v, rest = F.logsigmoid(-against), torch.sigmoid(against)
        costs = rest > margin
        # log q from log(1 - v), so that neither end loses its gradient
        share = margin / torch.where(costs, rest, 1.0)
        log_q = F.logsigmoid(against) + torch.log1p(-share)
        tiny = torch.finfo(margin.dtype).tiny
        log_s = torch.logaddexp(log_v, margin.clamp(min=tiny).log())
        log_s = torch.where(margin > 0, log_s, log_v)
        loss = torch.exp(gamma * torch.where(costs, log_q, 0.0)) * -log_s
        return torch.where(costs, loss, 0.0)

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute the log of the class posterior from the logits."""
        check_logits(logits)
        log_v, log_rest = log_softmax_and_complement(logits)
        classes = torch.arange(logits.shape[-1], device=logits.device)
        gamma, margin = self._settings(classes, logits)
        slope = _SMALLEST_RATIO ** (1 / max(1.0, self.gamma_negative))
        log_q = torch.where(margin > 0, log_excess(log_rest, margin, slope), log_rest)
        log_s = torch.where(margin > 0, torch.log1p(-log_q.exp()), log_v)
        return _log_ratio(log_s, log_q, gamma, 0.0).log_softmax(-1)

    def _settings(self, codes: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return exponent and margin of each class code, in the dtype of `like`."""
        is_negative = (codes == self.negative.to(codes.device)).to(like)
        more = self.gamma_negative - self.gamma_positive
        return self.gamma_positive + more * is_negative, self.margin * is_negative


def _log_ratio(
    log_s: Tensor, log_rest: Tensor, gamma: Tensor, epsilon: float
) -> Tensor:
    """Compute ``log(s / phi(s))`` of the poly-focal loss from log s and log(1 - s)."""
    tiny = torch.finfo(log_s.dtype).tiny
    r = (log_s + (-log_s).clamp(min=tiny).log() - log_rest).exp()  # from 0 to 1
    r = torch.where(log_rest < _LOG_NEGLIGIBLE, 1.0, r)
    bracket = 1 + gamma * r + epsilon * (gamma + 1) * log_s.exp()
    return log_s - gamma * log_rest - bracket.log()


def _alpha_weights(alpha: float | Sequence[float] | None) -> Any:
    if alpha is None:
        return None
    weights = as_vector("alpha", alpha)
    if weights.ndim == 0:
        weights = torch.stack([1.0 - weights, weights])
    usable = (weights > 0) & weights.isfinite()
    if weights.ndim != 1 or not len(weights) or not bool(usable.all()):
        raise ValueError(
            f"loss__alpha={alpha!r} must be a number between 0 and 1 (two classes) or "
            "one positive weight for each class."
        )
    return weights
