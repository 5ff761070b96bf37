"""Resolution of the parameters of held-out rows.

The predictions of these rows choose the best epoch, a threshold, and the weight of
neighbours. :mod:`imbalnet._fit.split` holds the rows out.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from imbalnet._fit.cv import name_of_cv
from imbalnet._fit.groups import warn_of_useless_groups
from imbalnet._fit.options.choices import Chosen
from imbalnet._fit.options.monitors import check_skorch_callbacks
from imbalnet._fit.specs import Phases, Validation
from imbalnet._tables import Rows
from imbalnet.losses import Loss
from imbalnet.networks import OneHot

# As in HistGradientBoostingClassifier. With fewer rows, those of a validation split are
# more useful for training.
_EARLY_STOPPING_ROWS = 10_000

# Up to this number, there may be more folds than rows: members whose folds are empty
# are trained on all rows.
_FEW_FOLDS = 64

# The largest table for which "auto" uses neighbours; each frequent level is a column.
_NEIGHBOR_ROWS, _NEIGHBOR_COLUMNS = 2**16, 2**9


def kind_of_validation(
    params: Mapping[str, Any],
    rows: Rows,
    chosen: Chosen,
    has_validation_rows: bool,
    is_partial: bool,
) -> str:
    """Return which rows are held out, as `Validation.kind`.

    Raise if there are too few rows for the folds, or if a threshold needs out-of-fold
    rows. Warn if groups have no effect.
    """
    kind = "given"
    if not has_validation_rows:
        kind = _kind_from_rows(params, rows, chosen, is_partial)
    if rows.groups is not None:
        warn_of_useless_groups(kind)
    _check_chosen_threshold(params["threshold"], kind)
    return kind


def _kind_from_rows(
    params: Mapping[str, Any], rows: Rows, chosen: Chosen, is_partial: bool
) -> str:
    """Return which of the rows passed to ``fit`` are held out."""
    if chosen.splits is not None:
        return "split" if chosen.splits.folds is None else "folds"
    early_stopping = params["early_stopping"]
    if is_partial or early_stopping is False:
        return "none"
    if chosen.n_members > 1 and not rows.is_large:
        _check_folds(params, chosen.n_members, len(rows))
        return "folds"
    if early_stopping == "auto":
        early_stopping = len(rows) > _EARLY_STOPPING_ROWS and not chosen.is_lbfgs
    return "split" if early_stopping else "none"


def _check_folds(params: Mapping[str, Any], n_members: int, n_rows: int) -> None:
    """Raise if `n_members` or `cv` requires many more folds than there are rows."""
    parameter, cv = params["n_members"], params["cv"]
    is_auto = parameter == "auto" and cv is None
    if is_auto or n_members <= max(n_rows, _FEW_FOLDS):
        return
    name = f"n_members={parameter}" if cv is None else name_of_cv(cv)
    raise ValueError(
        f"{name} asks for more folds than there are rows of X, {n_rows}; lower it."
    )


def _check_chosen_threshold(threshold: Any, kind: str) -> None:
    """Raise if a threshold must be chosen without out-of-fold rows."""
    is_chosen = threshold is not None and not isinstance(threshold, Real)
    if is_chosen and kind != "folds":
        raise ValueError(
            f"threshold={threshold!r} is chosen by out-of-fold rows, which there "
            "are in fit with n_members of at least 2, without X_val and not with "
            "early_stopping=False. Give a number, or see "
            "imbalnet.decisions.choose_threshold for other held-out rows."
        )


def resolve_validation(
    kind: str,
    params: Mapping[str, Any],
    rows: Rows,
    chosen: Chosen,
    loss: Loss,
    phases: Phases,
    is_partial: bool,
) -> Validation:
    """Return which rows are held out, and what is chosen by them."""
    patience = params["patience"]
    monitor = _monitor(kind, params, chosen.is_lbfgs)
    check_skorch_callbacks(
        params["callbacks"] or [],
        kind,
        monitor,
        n_unweighted=phases.unweighted,
        n_members=chosen.n_members,
        has_schedule=chosen.has_schedule,
    )
    n_neighbors = 0
    if not is_partial:
        n_neighbors = _n_neighbors(kind, params, rows, loss, chosen.recipe.n_neighbors)
    return Validation(
        kind=kind,
        fraction=params["validation_fraction"],
        monitor=monitor,
        patience=chosen.recipe.patience if patience == "auto" else int(patience),
        calibrate=params["calibrate"],
        n_neighbors=n_neighbors,
        splits=chosen.splits,
    )


def _monitor(kind: str, params: Mapping[str, Any], is_lbfgs: bool) -> str | None:
    """Return the score that chooses the best epoch; None keeps the last epoch."""
    monitor, early_stopping = params["monitor"], params["early_stopping"]
    if kind == "none" or early_stopping is False:
        return None
    if kind == "folds" and is_lbfgs and early_stopping == "auto":
        return None
    if monitor == "auto":
        return "combined" if kind == "folds" else "average_precision"
    return monitor


def _n_neighbors(
    kind: str, params: Mapping[str, Any], rows: Rows, loss: Loss, n_auto: int
) -> int:
    """Return the number of neighbours; 0 if their weight cannot be fitted."""
    parameter = params["n_neighbors"]
    is_auto = parameter == "auto"
    reasons = {
        "no row is held out by a member (n_members, cv, early_stopping, X_val)": (
            kind != "folds"
        ),
        f"loss={params['loss']!r} has no calibrated posterior": (
            not loss.is_calibrated
        ),
        "there are fewer than three rows": len(rows) < 3,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    n_neighbors = n_auto if is_auto else int(parameter)
    if n_neighbors and reason and not is_auto:
        raise ValueError(
            f"{n_neighbors=} has its weight from out-of-fold rows, but "
            f"{reason}; set n_neighbors='auto' or 0."
        )
    return 0 if reason or (is_auto and _is_search_slow(rows)) else n_neighbors


def _is_search_slow(rows: Rows) -> bool:
    """Return whether the search for neighbours takes long."""
    sizes = np.asarray(rows.columns.n_categories or [0] * rows.X.shape[1])
    n_columns = (sizes == 0).sum() + OneHot(sizes[sizes > 0].tolist()).out_features
    return bool(rows.X.shape[0] > _NEIGHBOR_ROWS or n_columns > _NEIGHBOR_COLUMNS)
