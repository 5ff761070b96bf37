"""What a fitted estimator keeps, and lets be seen of its network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import nn

from imbalnet._calibration import OutOfFold
from imbalnet._reduction import posterior_mean
from imbalnet._tables import Columns
from imbalnet._tables.read import matrix_blocks
from imbalnet._warn import warn
from imbalnet.networks import LinearModel, Members
from imbalnet.posterior import prior_shift, resolve_prior

if TYPE_CHECKING:
    from imbalnet._fit.calibrate import Calibration
    from imbalnet._fit.train import Trained


class FittedNetworkMixin:
    """Keep what training leaves; read attributes off the trained net, ``net_``."""

    module: Any
    net_: Any
    classes_: NDArray[Any]
    offset_: NDArray[np.float64]
    temperature_: float
    neighbor_weight_: float
    class_prior_: NDArray[np.float64]
    effective_prior_: NDArray[np.float64]
    target_prior: Any
    n_threads: int | None
    _calibration: Calibration
    _columns: Columns
    _member_priors: NDArray[np.float64]
    _out_of_fold: OutOfFold | None

    def _learn(self, trained: Trained) -> None:
        self.net_ = trained.net
        self.class_weight_ = trained.class_weight
        self.class_prior_ = trained.class_prior
        self.effective_prior_ = trained.member_priors.mean(axis=0)
        self._member_priors = trained.member_priors
        self._calibration = trained.calibration
        self.offset_ = trained.calibration.offset
        self.temperature_ = trained.calibration.temperature
        self.neighbor_weight_ = trained.calibration.neighbor_weight
        self._out_of_fold = trained.out_of_fold
        self._class_counts = trained.class_counts
        self._split_seed = trained.split_seed
        self.n_iter_ = len(self.net_.history)
        self.best_iteration_ = self.net_.best_epoch() or self.n_iter_
        if self.net_.was_interrupted:
            warn(
                f"Training was interrupted in epoch {self.n_iter_}; the best weights "
                "so far are kept (without validation rows, the last ones)."
            )

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether there is a trained net."""
        return hasattr(self, "net_")

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
        return np.exp(out_of_fold.shifted(*self._shifts(), self.temperature_))

    def _log_posterior(self, X: Any, target_prior: Any = None) -> NDArray[np.float64]:
        """Give log probabilities under a prior, by default ``self.target_prior``."""
        shift, mean_shift = self._shifts(target_prior)
        finish = partial(
            posterior_mean,
            shift=shift,
            mean_shift=mean_shift,
            temperature=self.temperature_,
        )
        parts = []
        for block in matrix_blocks(self, X, self.net_.feature_dtype, self._columns):
            part = self.net_.predict_log_posterior(block, finish, self.n_threads)
            evidence = self._calibration.evidence(block)
            if evidence is not None:
                part = log_softmax(part + evidence, axis=-1)
            parts.append(part)
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _shifts(
        self, target_prior: Any = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give what is added to members' log posteriors, and to the log of their mean.

        Members are averaged under the data's class distribution, whatever the target:
        the mean's ranking does not depend on it.

        Returns
        -------
        ndarray of shape (members or 1, n_classes)
        ndarray of shape (n_classes,)
        """
        target_prior = self.target_prior if target_prior is None else target_prior
        target = resolve_prior(target_prior, self.classes_, self.class_prior_)
        to_data = prior_shift(self._member_priors, self.class_prior_)
        if target is None:
            from_data = -prior_shift(self.effective_prior_, self.class_prior_)
        else:
            from_data = prior_shift(self.class_prior_, target)
        to_data = to_data + self._calibration.member_offsets
        return self.offset_ + to_data / self.temperature_, from_data

    def _coefficients(self) -> tuple[NDArray, NDArray]:
        """Give coefficients and intercepts in log odds, where the loss is linear."""
        coef, intercept = self._linear().coefficients()
        scale = self.net_.criterion_.logit_scale(len(self.classes_)).cpu().numpy()
        scale = scale[-len(intercept) :]  # of two classes the second has the logit
        return coef * scale[:, None], intercept * scale

    def _linear(self) -> LinearModel:
        module = self.module_
        one = module.members[0] if isinstance(module, Members) else module
        if not isinstance(one, LinearModel):
            raise AttributeError(
                f"coef_ and intercept_ exist with module='linear' only, not with "
                f"module={self.module!r}."
            )
        if not isinstance(module, LinearModel):
            raise AttributeError(
                "coef_ and intercept_ exist with n_members=1 only: the probabilities "
                f"of {self.net_.n_members} members are averaged, not their "
                "coefficients."
            )
        return module
