"""Attributes of a fitted classifier that are computed at access.

The others are set by ``fit``. `BalancedNeuralClassifier` documents all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imbalnet._calibration import Calibration, OutOfFold
from imbalnet._fit.fitted import Fitted
from imbalnet._runtime import in_usual_state, torch_threads
from imbalnet._tables import Columns, Levels
from imbalnet.decisions.criteria import check_threshold
from imbalnet.networks import LinearModel, Members
from imbalnet.networks.layers.mixed import MixedInput
from imbalnet.report import ImbalanceReport, ScoredRows


class FittedAttributesMixin:
    """Attributes that are computed from what ``fit`` stored."""

    calibration_: Calibration
    classes_: NDArray
    cost_matrix: Any
    module: Any
    n_features_in_: int
    net_: Any
    offset_: NDArray[np.float64]
    target_prior: Any
    threshold: Any
    _column_names: list[Any] | None
    _check_is_fitted: Callable[[], None]
    _columns: Columns
    _decide: Callable[..., NDArray[np.intp]]
    _fitted: Fitted
    _resolved: Callable[[Any], NDArray[np.float64] | None]

    @property
    def _is_fitted(self) -> bool:
        return hasattr(self, "_fitted")

    @property
    def module_(self) -> nn.Module:
        """The trained network."""
        return self.net_.module_

    @property
    def history_(self) -> Any:
        """One record for each epoch."""
        self._check_is_fitted()
        if "history" in self._fitted.discarded:
            raise AttributeError("history_ was deleted by discard(): fit again.")
        return self.net_.history

    @property
    def device_(self) -> torch.device:
        """Device of the network."""
        return torch.device(self.net_.device)

    @property
    @in_usual_state
    def oof_proba_(self) -> NDArray[np.float64]:
        """Out-of-fold probabilities of the training rows, with ``n_members`` > 1."""
        log_proba = self._out_of_fold("oof_proba_").log_proba(
            self.calibration_, self._resolved(self.target_prior)
        )
        return np.exp(log_proba)

    @property
    def folds_(self) -> NDArray[np.integer]:
        """The member that held out each training row, with ``n_members`` > 1."""
        return self._out_of_fold("folds_").member_of_rows

    @property
    def oof_labels_(self) -> NDArray:
        """True labels of the rows of ``oof_proba_``."""
        return self.classes_[self._out_of_fold("oof_labels_").codes]

    @property
    @in_usual_state
    def oof_weight_(self) -> NDArray[np.float64]:
        """Weights of the rows of ``oof_proba_`` under `target_prior`."""
        return self._out_of_fold("oof_weight_").weight_under(
            self.calibration_, self._resolved(self.target_prior)
        )

    @property
    @in_usual_state
    def report_(self) -> ImbalanceReport:
        """Report on the out-of-fold predictions, see :mod:`imbalnet.report`."""
        out_of_fold, weight = self._out_of_fold("report_"), self.oof_weight_
        held = weight > 0

        def log_proba_under(target_prior: Any) -> NDArray[np.float64]:
            target = self._resolved(target_prior)
            return out_of_fold.log_proba(self.calibration_, target)[held]

        rows = ScoredRows.read(
            self.oof_labels_[held],
            np.exp(log_proba_under(self.target_prior)),
            self.classes_,
            weight[held],
            self.classes_[self._decide(log_proba_under)],
            self.cost_matrix,
        )
        return ImbalanceReport.of_rows(rows)

    @property
    @in_usual_state
    def threshold_(self) -> float:
        """Probability from which on ``predict`` returns the second class."""
        self._check_is_fitted()
        if self.threshold is None:
            raise AttributeError(
                "threshold_ exists only if threshold is set, such as by "
                "set_params(threshold='f1')."
            )
        return self._chosen_threshold()

    def _chosen_threshold(self) -> float:
        """Return the threshold; it is chosen once for each target prior."""
        threshold = self.threshold
        check_threshold(threshold, len(self.classes_))
        if isinstance(threshold, Real):
            return float(threshold)
        target = self._resolved(self.target_prior)
        key = threshold, None if target is None else tuple(target)
        known = self._fitted.thresholds
        if key not in known:
            rows = self._out_of_fold(f"threshold={threshold!r}")
            known[key] = rows.best_threshold(
                self.calibration_, target, threshold, self.classes_
            )
        return known[key]

    def _out_of_fold(self, name: str) -> OutOfFold:
        self._check_is_fitted()
        if "out_of_fold" in self._fitted.discarded:
            raise AttributeError(
                f"{name} needs the out-of-fold rows, which discard() has deleted: "
                "fit again."
            )
        out_of_fold = self._fitted.out_of_fold
        if out_of_fold is None:
            raise AttributeError(
                f"{name} needs members that hold out folds: fit with n_members of at "
                "least 2, without X_val and not with early_stopping=False; partial_fit "
                "deletes the folds."
            )
        return out_of_fold

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients for raw features and levels, with ``module="linear"``."""
        return self._coefficients()[0]

    @property
    def coef_names_(self) -> NDArray[np.object_]:
        """Names of the columns of ``coef_``, with ``module="linear"``."""
        layer = self._linear_module().input
        names = self._column_names or [f"x{i}" for i in range(self.n_features_in_)]
        return np.array(_names_of_inputs(layer, names, self._columns), dtype=object)

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Intercepts under the effective prior, with ``module="linear"``."""
        intercept = self._coefficients()[1]
        is_binary = len(self.classes_) == 2
        return intercept + (np.diff(self.offset_) if is_binary else self.offset_)

    @in_usual_state
    @torch_threads(1)
    def _coefficients(self) -> tuple[NDArray, NDArray]:
        """Return coefficients and intercepts in log odds, if the loss is linear."""
        module = self._linear_module()
        coef, intercept = self._columns.raw_coefficients(*module.coefficients())
        scale = self.net_.criterion_.logit_scale(len(self.classes_)).cpu().numpy()
        scale = scale[-len(intercept) :]  # one logit, the second's, of two classes
        return coef * scale[:, None], intercept * scale

    def _linear_module(self) -> LinearModel:
        module = self.module_
        one = module.members[0] if isinstance(module, Members) else module
        if not isinstance(one, LinearModel):
            raise AttributeError(
                "coef_ and intercept_ exist with module='linear' only, not with "
                f"module={self.module!r}."
            )
        if not isinstance(module, LinearModel):
            raise AttributeError(
                "coef_ and intercept_ exist with n_members=1 only: the probabilities "
                f"of {self.net_.n_members} members are averaged, not their "
                "coefficients."
            )
        return module


def _names_of_inputs(layer: Any, names: Sequence[Any], columns: Columns) -> list[str]:
    """Return names for the inputs of a linear model: columns, levels and gaps."""
    if not isinstance(layer, MixedInput):
        return [str(name) for name in names]
    named = [str(names[j]) for j in layer.of_numbers.tolist()]
    outputs = layer.one_hot.codes_of_outputs()
    for j, of_column in zip(layer.of_categories.tolist(), outputs, strict=True):
        known = columns.levels[j]
        assert known is not None  # or the column would hold numbers
        named += [f"{names[j]}={_name_of_codes(codes, known)}" for codes in of_column]
    return named + [f"{names[j]}=missing" for j in layer.of_gaps.tolist()]


def _name_of_codes(codes: list[int], known: Levels) -> str:
    """Return a name for the codes of one column that share an input."""
    n_levels = len(known.values)
    if n_levels + 1 in codes:
        return "other"
    if codes == [n_levels]:
        return "missing"
    return str(known.values[codes[0]]) if codes else "unused"
