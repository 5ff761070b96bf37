"""Checks for parameters that cannot be used with a table that is not in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

from imbalnet._fit.cv import name_of_cv
from imbalnet._tables import is_large

_REASON = "X is a LargeTable, which is not in memory"


def check_large(params: Mapping[str, Any], groups: Any) -> None:
    """Raise for parameters that need all rows at once, before any row is read.

    `params` are the estimator's parameters, `groups` is the argument of ``fit``.
    """
    faults = list(_faults(params))
    if groups is not None:
        cure = "give whole groups as X_val and y_val"
        faults.append(("groups keeps rows together when some are held out", cure))
    for fault, cure in faults:
        raise ValueError(f"{fault}, but {_REASON}; {cure}.")


def check_in_memory(name: str, X: Any, cure: str) -> None:
    """Raise if X, the argument `name`, is a table that is not in memory."""
    if is_large(X):
        raise ValueError(
            f"{name} must be a table in memory, but is of type {type(X).__name__}: "
            f"{cure}."
        )


def _faults(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a parameter needs that such a table lacks, and what to change."""
    sampler, cv, threshold, n_neighbors = (
        params[name] for name in ("sampler", "cv", "threshold", "n_neighbors")
    )
    if hasattr(sampler, "fit_resample"):
        yield (
            f"sampler={type(sampler).__name__}() resamples all rows",
            "use a sampler that draws rows, such as sampler='undersample' or "
            "'balanced_batch', or class_weight='balanced'",
        )
    if params["optimizer"] == "lbfgs":
        yield (
            "optimizer='lbfgs' takes all rows in one batch",
            "use optimizer='auto', which is 'adamw' here",
        )
    if cv is not None:
        yield (
            f"{name_of_cv(cv)} holds out rows of each fold",
            "leave it out (a share of each class is held out), or give X_val and y_val",
        )
    if threshold is not None and not isinstance(threshold, Real):
        yield (
            f"threshold={threshold!r} is chosen by out-of-fold rows",
            "give a number, which imbalnet.decisions.choose_threshold finds by other "
            "rows",
        )
    if isinstance(n_neighbors, Integral) and n_neighbors:
        yield (
            f"n_neighbors={n_neighbors} looks for neighbours among all rows",
            "set n_neighbors='auto' or 0",
        )
    if "net__iterator_train" in params:
        yield (
            "net__iterator_train takes rows one by one",
            "leave it out (batch_size and sampler set the rows of batches)",
        )
