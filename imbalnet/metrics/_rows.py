"""Validation of labels, scores, probabilities and groups of rows.

Metrics, thresholds, reports and displays validate their arguments here, so that the
same fault has the same message everywhere.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, column_or_1d

from imbalnet._checks import as_floats, checked_number
from imbalnet._tables.labels import (
    as_classes,
    as_codes,
    as_labels,
    check_kinds,
    check_rows,
    numbered,
    sorted_classes,
)
from imbalnet.posterior._checks import checked_probabilities

# -- labels --------------------------------------------------------------------------


def labels_of_rows(y: ArrayLike, name: str = "y_true") -> NDArray:
    """Validate the labels of one or more rows."""
    labels = as_labels(y, name)
    if not len(labels):
        raise ValueError(f"{name} is empty: it holds no rows; give at least one.")
    return labels


def as_positive(y_true: ArrayLike, pos_label: Any = None) -> NDArray[np.bool_]:
    """Return which rows are positive; booleans are returned unchanged.

    Raises
    ------
    ValueError
        If there are not exactly two labels, or if `pos_label` is not one of them.
    """
    labels = labels_of_rows(y_true)
    if labels.dtype == bool and pos_label is None:
        return labels
    return labels == two_labels(labels, pos_label)[1]


def two_labels(labels: NDArray, pos_label: Any = None) -> NDArray:
    """Return the negative and the positive label of two.

    Raises
    ------
    ValueError
        If there are not exactly two labels, or if `pos_label` is not one of them.
    """
    classes = np.unique(labels)
    if len(classes) != 2:
        raise ValueError(
            f"y_true must hold two classes, but holds {len(classes)}: "
            f"{classes[:6].tolist()}. For more, or rows of one class alone, give "
            "y_true == label and the scores of that label."
        )
    if pos_label is None:
        return classes
    positive = position_of_label(pos_label, classes.tolist())
    return classes[[1 - positive, positive]]


def position_of_label(pos_label: Any, classes: list) -> int:
    """Return the position of the positive label, or raise if it is not a class."""
    if np.ndim(pos_label) or pos_label not in classes:
        raise ValueError(f"pos_label={pos_label!r} is none of the labels {classes}.")
    return classes.index(pos_label)


def pairs_of_labels(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    classes: ArrayLike | None = None,
    name: str = "classes",
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray]:
    """Return the codes of true and predicted labels, and the sorted classes.

    `classes` are all labels, or None for those that occur; `name` is the name of this
    argument in error messages.
    """
    true, called = labels_of_rows(y_true), labels_of_rows(y_pred, "y_pred")
    check_rows("y_true", len(true), "y_pred", len(called))
    if classes is None:
        check_kinds("y_true", true, "y_pred", called)
        known = sorted_classes(np.concatenate([true, called]))
    else:
        known = np.sort(as_classes(classes, name))
    codes = as_codes(true, known, "y_true", name).astype(np.intp)
    return codes, as_codes(called, known, "y_pred", name).astype(np.intp), known


# -- scores and probabilities --------------------------------------------------------


def as_scores(y_score: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    """Return the scores of the positive class, one for each row."""
    scores = as_floats("y_score", y_score)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.ndim != 1:
        raise ValueError(
            f"y_score must hold one score for each of {n_rows} rows, but has shape "
            f"{scores.shape}; of the columns of predict_proba, give that of the "
            "positive class, [:, 1]."
        )
    check_rows("y_true", n_rows, "y_score", len(scores))
    check_finite("y_score", scores)
    return scores


def check_finite(name: str, values: NDArray) -> None:
    """Raise if a number is NaN or infinite."""
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        raise ValueError(
            f"{name} must hold finite numbers, but holds {values[tuple(wrong[0])]} in "
            f"row {wrong[0, 0]}; NaN and infinity have no rank. Leave these rows out."
        )


def as_probabilities(
    probabilities: ArrayLike, n_rows: int | None = None
) -> NDArray[np.float64]:
    """Return probabilities of shape (n_rows, n_classes)."""
    values = as_floats("probabilities", probabilities)
    if values.ndim not in (1, 2):
        raise ValueError(
            "probabilities must have shape (n_rows, n_classes), or (n_rows,) for the "
            f"second of two classes, but have shape {values.shape}."
        )
    if n_rows is not None:
        check_rows("y_true", n_rows, "probabilities", len(values))
    if not len(values):
        raise ValueError("probabilities hold no rows; give at least one.")
    return checked_probabilities(values)


def as_positive_probabilities(
    probabilities: ArrayLike, labels: NDArray | None = None, *, is_second: bool = True
) -> NDArray[np.float64]:
    """Return the probability of the positive one of two classes for each row.

    That is the only axis, or the column of the second (or the first) class. `labels`
    are those of the rows.
    """
    rows = as_probabilities(probabilities, None if labels is None else len(labels))
    if labels is not None:
        _check_column_labels(probabilities, np.unique(labels).tolist())
    if rows.shape[1] != 2:
        raise ValueError(
            "probabilities must have shape (n_rows,) or (n_rows, 2), but have shape "
            f"{np.shape(probabilities)}."
        )
    return rows[:, 1 if is_second or np.ndim(probabilities) == 1 else 0]


def as_codes_and_probabilities(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    classes: ArrayLike | None = None,
    name: str = "classes",
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray]:
    """Return the class and the probabilities of each row, and the sorted classes.

    `classes` are the labels of the columns in any order, or None for the sorted labels
    of `y_true`; `name` is the name of this argument in error messages.
    """
    labels = labels_of_rows(y_true)
    rows = as_probabilities(probabilities, len(labels))
    columns = np.unique(labels) if classes is None else as_classes(classes, name)
    if rows.shape[1] != len(columns):
        raise ValueError(
            f"probabilities have shape {rows.shape}, but there are {len(columns)} "
            f"{'labels' if classes is None else name}: {columns[:6].tolist()}. Give "
            f"{name}=, the label of each column, or, of two classes, the probabilities "
            "of the second."
        )
    _check_column_labels(probabilities, columns.tolist())
    order = np.argsort(columns)
    known = columns[order]
    codes = as_codes(labels, known, "y_true", name).astype(np.intp)
    return codes, rows[:, order], known


def _check_column_labels(probabilities: Any, labels: list[Any]) -> None:
    """Raise if the columns of a frame are named by the labels, but in another order."""
    named = list(getattr(probabilities, "columns", labels))
    if named != labels and set(named) == set(labels):
        raise ValueError(
            f"probabilities has the columns {named}, but is read in the order of the "
            f"labels {labels}: give probabilities[{labels}]."
        )


def present_classes(
    codes: NDArray[np.intp], sample_weight: ArrayLike | None
) -> tuple[NDArray[np.intp], NDArray]:
    """Return the classes that occur in rows of weight above 0, and their weights."""
    mass = np.bincount(codes, sample_weight)
    present = np.flatnonzero(mass)
    return present, mass[present]


def is_finite_number(value: Any) -> bool:
    """Return whether a value is a finite number, not an array, a string or NaN."""
    return isinstance(value, Real) and math.isfinite(value)


# -- groups, budgets and seeds -------------------------------------------------------


def codes_of_groups(
    name: str, groups: ArrayLike, n_rows: int | None = None
) -> NDArray[np.intp]:
    """Return the group of each row as a number from 0, in the order of their labels.

    `name` is the argument's name in error messages. None for `n_rows` allows any number
    of rows.
    """
    what = name.removesuffix("s") if name != "strata" else "stratum"
    numbers = numbered(groups, n_rows, name, what)
    if not len(numbers):
        raise ValueError(f"{name} is empty: it holds no rows; give at least one.")
    try:
        codes = np.unique(column_or_1d(groups), return_inverse=True)[1]
    except TypeError:  # labels of several kinds cannot be sorted
        return numbers.astype(np.intp)
    # NumPy makes strings of a list of several kinds, so that 1 and "1" would be equal
    return codes if codes.max() == numbers.max() else numbers.astype(np.intp)


def checked_budget(name: str, value: Any) -> float:
    """Return a number of rows (or a share of them, if below 1), or raise."""
    budget = checked_number(name, value, 0.0, open_low=True)
    if budget >= 1 and not budget.is_integer():
        raise ValueError(
            f"{name}={value!r} must be a whole number of rows, or below 1 their share."
        )
    return budget


def checked_level(level: Any) -> float:
    """Return the confidence level of an interval, or raise."""
    try:
        return checked_number("level", level, 0.0, 1.0, open_low=True)
    except ValueError as error:
        raise ValueError(
            f"level={level!r} must lie between 0 and 1, as 0.95 does."
        ) from error


def checked_generator(random_state: Any) -> np.random.RandomState:
    """Return a generator of random numbers, or raise."""
    try:
        return check_random_state(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"random_state={random_state!r} must be None, an integer from 0 to "
            "2**32 - 1, or an instance of numpy.random.RandomState."
        ) from error
