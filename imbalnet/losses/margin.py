"""Losses that depend on the class distribution: logit adjustment and margins.

Scales and margins are computed from the class distribution that the sampler draws. The
additive terms also include class weights that balance by name: after a sampler or
weights that balance, nothing is left to adjust. Weights that are given as numbers are
not undone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imbalnet._checks import checked_number
from imbalnet.losses.base import (
    ClassShares,
    Loss,
    check_bound,
    check_class_shares,
    check_logits,
    check_shares,
    checked_batch,
    shares_or_smallest,
)


class VectorScaling(Loss):
    """Cross entropy of logits that are scaled and shifted for each class.

    ``-log softmax(delta * z + iota)_t`` with ``delta_c = (share_c / largest share)
    ** gamma`` and ``iota_c = tau * log(share_c)`` [1]_. The shift acts from the start
    of training, the scale towards its end. ``log_posterior`` is
    ``log_softmax(delta * z)``. The effective prior is ``prior**(1 - tau)``, times class
    weights that are given as numbers.

    Parameters
    ----------
    gamma : float, default=0.15
        Exponent of the scale, at least 0; 0 is logit adjustment.
    tau : float, default=1.0
        Factor of the shift, at least 0.

    References
    ----------
    .. [1] Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
       Overparameterization", NeurIPS 2021.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import VectorScaling, ClassShares
    >>> loss, prior = VectorScaling(gamma=0.0, tau=1.0), torch.tensor([0.9, 0.1])
    >>> loss.bind(ClassShares(prior, prior, prior))
    >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log 0.1
    tensor([2.3026])
    """

    delta: Tensor
    iota: Tensor

    def __init__(self, gamma: float = 0.15, tau: float = 1.0) -> None:
        super().__init__()
        self.gamma = checked_number("loss__gamma", gamma, 0)
        self.tau = checked_number("loss__tau", tau, 0)
        self.register_buffer("delta", torch.ones(()))
        self.register_buffer("iota", torch.zeros(()))

    def bind(self, shares: ClassShares) -> None:
        """Compute scale and shift from the class distributions."""
        check_class_shares(shares)
        delivered = shares_or_smallest(shares.delivered)
        self.delta = (delivered / delivered.max()) ** self.gamma
        self.iota = self.tau * shares_or_smallest(shares.balanced).log()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        logits = checked_batch(logits, target)
        check_bound(self, self.iota, logits.shape[-1])
        scaled = self.delta.to(logits) * logits + self.iota.to(logits)
        return F.cross_entropy(scaled, target, reduction="none")

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute the log of the class posterior from the logits."""
        check_logits(logits)
        check_bound(self, self.delta, logits.shape[-1])
        return (self.delta.to(logits) * logits).log_softmax(-1)

    def logit_scale(self, n_classes: int) -> Tensor:
        """Return the factor of each class' logit in ``log_posterior``."""
        check_bound(self, self.delta, n_classes)
        return self.delta.expand(n_classes)

    def effective_prior(self, prior: Tensor) -> Tensor:
        """Compute the prior of ``log_posterior``, ``prior * shares**-tau``."""
        check_shares("prior", prior)
        check_bound(self, self.iota, len(prior))
        mass = prior * torch.exp(-self.iota.to(prior))
        return mass / mass.sum()


class LogitAdjusted(VectorScaling):
    """Logit-adjusted cross entropy, ``-log softmax(z + tau * log share)_t``.

    The shift accounts for the class shares, so that the logits do not have to [1]_:
    with ``tau=1`` their softmax is the posterior of balanced classes. The effective
    prior is ``prior**(1 - tau)``, times class weights that are given as numbers.

    Parameters
    ----------
    tau : float, default=1.0
        Factor of the adjustment, at least 0; 0 is cross entropy.

    References
    ----------
    .. [1] Menon et al., "Long-Tail Learning via Logit Adjustment", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import LogitAdjusted, ClassShares
    >>> loss, prior = LogitAdjusted(tau=0.5), torch.tensor([0.81, 0.19])
    >>> loss.bind(ClassShares(prior, prior, prior))
    >>> effective = loss.effective_prior(prior)
    >>> effective[0] / effective[1]  # the root of 0.81 / 0.19
    tensor(2.0647)
    """

    def __init__(self, tau: float = 1.0) -> None:
        super().__init__(0.0, tau)


class BalancedSoftmax(LogitAdjusted):
    """Balanced softmax, ``-log(n_t exp(z_t) / sum_c n_c exp(z_c))``.

    ``n_c`` is the number of rows of class c [1]_. This is logit adjustment with
    ``tau=1``; the effective prior is uniform.

    References
    ----------
    .. [1] Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition",
       NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import BalancedSoftmax, ClassShares
    >>> loss, prior = BalancedSoftmax(), torch.tensor([0.75, 0.25])
    >>> loss.bind(ClassShares(prior, prior, prior))
    >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log(1 / 4)
    tensor([1.3863])
    """

    def __init__(self) -> None:
        super().__init__(1.0)


class LDAM(Loss):
    """Label-distribution-aware margin loss.

    ``-log softmax(scale * (z - margin_t * onehot_t))_t`` on cosines z, where the margin
    of a class falls with the fourth root of its rows: ``margin_c = max_margin *
    (n_min / n_c)**0.25`` [1]_. The authors train with deferred re-weighting,
    ``class_weight="balanced", class_weight__start_epoch=0.8``; these weights do not
    enter the margins.

    There is no calibrated inverse, because the margin shifts only the logit of the
    row's own class, and cosines are bounded. Probabilities are ``softmax(scale * z)``
    and only rank; wrap the classifier in
    :class:`sklearn.calibration.CalibratedClassifierCV`.

    Parameters
    ----------
    max_margin : float, default=0.5
        Margin of the rarest class, at least 0.
    scale : float, default=30.0
        Factor of the cosines, more than 0. On a network that does not end in cosines
        ``max_margin=0, scale=1`` is cross entropy.

    References
    ----------
    .. [1] Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware
       Margin Loss", NeurIPS 2019.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import LDAM, ClassShares
    >>> loss, prior = LDAM(), torch.tensor([16 / 17, 1 / 17])
    >>> loss.bind(ClassShares(prior, prior, prior))
    >>> loss.margins
    tensor([0.2500, 0.5000])
    """

    is_calibrated = False
    takes_cosines = True
    margins: Tensor

    def __init__(self, max_margin: float = 0.5, scale: float = 30.0) -> None:
        super().__init__()
        self.max_margin = checked_number("loss__max_margin", max_margin, 0)
        self.scale = checked_number("loss__scale", scale, 0, open_low=True)
        self.register_buffer("margins", torch.tensor(self.max_margin))

    def bind(self, shares: ClassShares) -> None:
        """Compute the margins from the class distribution without weights."""
        check_class_shares(shares)
        delivered = shares_or_smallest(shares.delivered)
        self.margins = self.max_margin * (delivered.min() / delivered) ** 0.25

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        logits = checked_batch(logits, target)
        check_bound(self, self.margins, logits.shape[-1])
        margin = self.margins.to(logits).expand(logits.shape[-1])[target]
        moved = logits.scatter_add(-1, target[:, None], -margin[:, None])
        return F.cross_entropy(self.scale * moved, target, reduction="none")

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Compute the log softmax of the scaled cosines, which is not calibrated."""
        check_logits(logits)
        return (self.scale * logits).log_softmax(-1)
