"""What a fitted estimator lets be seen of its network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imbalnet.networks import LinearModel
from imbalnet.posterior import OutOfFold, prior_shift, resolve_prior


class FittedNetworkMixin:
    """Read attributes off the trained net, ``net_``."""

    module: Any
    net_: Any
    classes_: NDArray[Any]
    offset_: NDArray[np.float64]
    class_prior_: NDArray[np.float64]
    target_prior: Any
    _member_priors: NDArray[np.float64]
    _out_of_fold: OutOfFold | None

    @property
    def module_(self) -> nn.Module:
        """The trained network."""
        return self.net_.module_

    @property
    def history_(self) -> Any:
        """One record an epoch."""
        return self.net_.history

    @property
    def device_(self) -> torch.device:
        """Where the network lies."""
        return torch.device(self.net_.device)

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients for raw features and levels, with ``module="linear"``."""
        return self._coefficients()[0]

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Intercepts under the effective prior, with ``module="linear"``."""
        intercept = self._coefficients()[1]
        binary = len(self.classes_) == 2
        return intercept + (np.diff(self.offset_) if binary else self.offset_)

    @property
    def oof_proba_(self) -> NDArray[np.float64]:
        """Out-of-fold probabilities of the training rows, with ``n_members`` > 1."""
        out_of_fold = self._out_of_fold
        if out_of_fold is None:
            raise AttributeError(
                "oof_proba_ needs members that hold out folds: fit with n_members of "
                "at least 2, without X_val and not with early_stopping=False; "
                "partial_fit ends it."
            )
        return np.exp(out_of_fold.shifted(self._shift()))

    def _shift(self, target_prior: Any = None) -> NDArray[np.float64]:
        """Give what is added to members' log posteriors; (members or 1, n_classes)."""
        target_prior = self.target_prior if target_prior is None else target_prior
        target = resolve_prior(target_prior, self.classes_, self.class_prior_)
        if target is None:
            return np.broadcast_to(self.offset_, self._member_priors.shape)
        return self.offset_ + prior_shift(self._member_priors, target)

    def _coefficients(self) -> tuple[NDArray, NDArray]:
        """Give coefficients and intercepts in log odds, where the loss is linear."""
        coef, intercept = self._linear().coefficients()
        scale = self.net_.criterion_.logit_scale(len(self.classes_)).cpu().numpy()
        scale = scale[-len(intercept) :]  # of two classes the second has the logit
        return coef * scale[:, None], intercept * scale

    def _linear(self) -> LinearModel:
        module = self.module_
        if self.net_.n_members > 1:
            raise AttributeError(
                "coef_ and intercept_ exist with n_members=1 only: the probabilities "
                f"of {self.net_.n_members} members are averaged, not their "
                "coefficients."
            )
        if not isinstance(module, LinearModel):
            raise AttributeError(
                f"coef_ and intercept_ exist with module='linear' only, not with "
                f"module={self.module!r}."
            )
        return module
