"""What cannot work on a table that is not in memory, named before training."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from imbalnet._fit.cv import name_of_cv

_REASON = "X is a LargeTable, which is not in memory at once"


def check_large(params: Mapping[str, Any]) -> None:
    """Raise for parameters that need all rows at once, and name the cure."""
    for fault, cure in _faults(params):
        raise ValueError(f"{fault}, but {_REASON}; {cure}.")


def _faults(params: Mapping[str, Any]) -> Any:
    if params["optimizer"] == "lbfgs":
        yield (
            "optimizer='lbfgs' takes all rows in one batch",
            "use optimizer='auto', which is 'adamw' here",
        )
    cv, threshold, n_neighbors = (
        params[name] for name in ("cv", "threshold", "n_neighbors")
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
