"""Checks of what a resampler returns, before the network is trained on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imbalnet._tables import is_frame
from imbalnet._tables.labels import as_codes, as_labels


def checked_rows(
    maker: str, given: Any, X: Any, codes: NDArray, names: NDArray
) -> tuple[Any, NDArray[np.intp]]:
    """Return the rows that a resampler returned and their codes, or raise a ValueError.

    Parameters
    ----------
    maker : str
        The resampler's name in error messages.
    given : object
        What ``fit_resample`` returned.
    X, codes
        The rows that were passed to it, and the codes of their classes.
    names : ndarray of shape (n_classes,)
        The label that was passed to it for each code.
    """
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ValueError(
            f"{maker} must return the pair (X, y) from fit_resample, but returned "
            f"{type(given).__name__}"
            + (f" of length {len(given)}." if hasattr(given, "__len__") else ".")
        )
    X_new, y_new = given
    X_new = _frame_like(maker, X_new, X) if is_frame(X_new) else X_new
    if not is_frame(X_new):
        X_new = _matrix_like(maker, X_new, X)
    _check_finite(maker, X_new, X)
    return X_new, _checked_codes(maker, X_new, y_new, codes, names)


def _frame_like(maker: str, X_new: Any, X: Any) -> Any:
    """Return a frame with the columns of X in their order."""
    if not is_frame(X):
        return X_new.to_numpy()
    if list(X_new.columns) == list(X.columns):
        return X_new
    if X_new.columns.is_unique and set(X_new.columns) == set(X.columns):
        return X_new[list(X.columns)]
    raise ValueError(
        f"{maker} must return the columns that it was given, {list(X.columns)}, but "
        f"returned {list(X_new.columns)}."
    )


def _matrix_like(maker: str, X_new: Any, X: Any) -> Any:
    """Return a matrix of numbers as wide as X."""
    matrix = X_new if sparse.issparse(X_new) else np.asarray(X_new)
    if matrix.ndim != 2 or matrix.shape[1] != X.shape[1]:
        raise ValueError(
            f"{maker} must return the {X.shape[1]} columns of the X that it was given, "
            f"but returned an X of shape {matrix.shape}."
        )
    if matrix.dtype.kind in "biuf":
        return matrix
    try:
        if matrix.dtype != object:
            raise TypeError
        return matrix.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{maker} must return an X of numbers, but its dtype is {matrix.dtype}."
        ) from error


def _check_finite(maker: str, X_new: Any, X: Any) -> None:
    """Raise for gaps and infinite values in columns that had none."""
    for is_fault, what in ((np.isnan, "missing"), (np.isinf, "infinite")):
        before = _columns_that(is_fault, X)
        new = [c for c in _columns_that(is_fault, X_new, like=X) if c not in before]
        if new:
            raise ValueError(
                f"{maker} made {what} values in columns that had none: {new}. Its rows "
                "must be finite; check what it divides by, or scales."
            )


def _columns_that(is_fault: Any, X: Any, like: Any = None) -> list[Any]:
    """List the columns of numbers with a fault, in the precision of `like`."""
    with np.errstate(over="ignore"):
        if is_frame(X):
            numbers = X.select_dtypes("number")
            found = is_fault(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).any(
                axis=0
            )
            return [str(name) for name in numbers.columns[found]]
        dtype = X.dtype if like is None or is_frame(like) else like.dtype
        if sparse.issparse(X):
            matrix = X.tocoo()
            return np.unique(matrix.col[is_fault(matrix.data.astype(dtype))]).tolist()
        return np.flatnonzero(is_fault(X.astype(dtype, copy=False)).any(0)).tolist()


def _checked_codes(
    maker: str, X_new: Any, y_new: Any, codes: NDArray, names: NDArray
) -> NDArray[np.intp]:
    """Return the codes of the labels that the resampler returned."""
    try:
        codes_new = as_codes(as_labels(y_new, "y"), names, "y").astype(np.intp)
    except ValueError as error:
        raise ValueError(
            f"{maker} must return one label for each row, out of those that it was "
            f"given: {names.tolist()}. {error}"
        ) from error
    if len(codes_new) != X_new.shape[0]:
        raise ValueError(
            f"{maker} must return as many labels as rows, but returned "
            f"{X_new.shape[0]} rows and {len(codes_new)} labels."
        )
    dropped = np.setdiff1d(codes, codes_new)
    if len(dropped):
        raise ValueError(
            f"{maker} returned no row of the classes {names[dropped].tolist()}, which "
            "the network would never see; it must leave some of every class."
        )
    return codes_new
