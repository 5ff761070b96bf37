"""Reading of the parameter ``cv``: folds of the members, or one validation split.

:mod:`imbalnet._fit.options` calls :func:`read_splits`, because the number of folds
determines the number of members.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import PredefinedSplit, check_cv

from imbalnet._fit.specs import Splits
from imbalnet._tables import Rows
from imbalnet._warn import warn

# Training and test rows of a split, as positions.
_Pair = tuple[NDArray[np.intp], NDArray[np.intp]]

_IN_TRAIN, _IN_TEST = 1, 2


def name_of_cv(cv: Any) -> str:
    """Return the name of the parameter for messages, without a list of positions."""
    has_repr = hasattr(cv, "split") or isinstance(cv, Integral)
    return f"cv={cv!r}" if has_repr else f"cv (a {type(cv).__name__})"


def check_cv_alone(cv: Any, early_stopping: Any, has_validation_rows: bool) -> None:
    """Raise if another argument determines which rows are held out."""
    reasons = {
        "X_val brings validation rows": has_validation_rows,
        "early_stopping=False holds out none": early_stopping is False,
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(
                f"{name_of_cv(cv)} says which rows are held out, but {reason}; leave "
                "one of them out."
            )


def read_splits(cv: Any, rows: Rows, classes: NDArray) -> Splits | None:
    """Return the splits of the user's splitter; None for a number of folds.

    A single split is used by all members. With splits of later and later rows
    (``TimeSeriesSplit``), most members would train on few rows, so all use the last
    split. Otherwise each split has a member, which must train on all rows that it does
    not hold out. Rows of weight 0 are in no split.
    """
    if isinstance(cv, Integral):
        return None
    name = name_of_cv(cv)
    pairs = _pairs(cv, rows, classes)
    for j, (train, test) in enumerate(pairs):
        if not len(train) or not len(test):
            part = "test" if len(train) else "training"
            raise ValueError(f"{name} has no {part} rows in split {j}.")
    if len(pairs) > 1 and not all(train.max() < test.min() for train, test in pairs):
        return Splits(folds=_folds(name, pairs, rows))
    train, test = pairs[-1]
    _check_pair(name, len(pairs) - 1, pairs[-1], rows)
    unknown = np.bincount(rows.of(rows.codes)[train], minlength=len(classes)) == 0
    if unknown.any():
        raise ValueError(
            f"{name} has no training row of the classes {classes[unknown].tolist()}; "
            "give a split whose training part has rows of every class."
        )
    return Splits(last=(train, test))


def _pairs(cv: Any, rows: Rows, classes: NDArray) -> list[_Pair]:
    """Return the splits, as positions among the used rows."""
    if isinstance(cv, PredefinedSplit) or not hasattr(cv, "split"):
        return _pairs_of_given_rows(cv, rows)
    groups = None if rows.groups is None else rows.of(rows.groups)
    labels = classes[rows.of(rows.codes)]
    try:
        pairs = list(cv.split(rows.features(), labels, groups))
    except ValueError as error:
        raise ValueError(
            f"{name_of_cv(cv)} cannot split the {len(rows)} rows of fit: {error} A "
            "splitter by groups needs fit(groups=)."
        ) from error
    return [(np.asarray(train), np.asarray(test)) for train, test in pairs]


def _pairs_of_given_rows(cv: Any, rows: Rows) -> list[_Pair]:
    """Return splits of all rows passed to ``fit``, including those of weight 0."""
    name, n_rows = name_of_cv(cv), len(rows.codes)
    if rows.groups is not None:
        warn(f"groups has no effect on the folds, because {name} brings its own.")
    if isinstance(cv, PredefinedSplit) and len(cv.test_fold) != n_rows:
        raise ValueError(f"{name} has {len(cv.test_fold)} rows, but X has {n_rows}.")
    rank = np.full(n_rows, -1)  # position among the used rows
    rank[slice(None) if rows.index is None else rows.index] = np.arange(len(rows))
    try:
        pairs = [
            (positions(train, rank), positions(test, rank))
            for train, test in check_cv(cv).split()
        ]
        if pairs:
            return pairs
        reason = "there are none"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise ValueError(
        f"{name} must be a splitter, or pairs (train, test) of positions among the "
        f"{n_rows} rows of X, but {reason}. For an array of fold numbers use "
        "sklearn.model_selection.PredefinedSplit."
    )


def positions(part: Any, rank: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return positions among the used rows, from positions among all or a mask.

    `rank` has the position of each row among the used ones, -1 for the others.
    """
    part = np.asarray(part)
    if part.dtype == bool and part.shape == rank.shape:
        part = np.flatnonzero(part)
    if part.ndim != 1 or (len(part) and part.dtype.kind not in "iu"):
        raise TypeError(f"a part has the dtype {part.dtype} and the shape {part.shape}")
    outside = part[(part < 0) | (part >= len(rank))]
    if len(outside):
        raise ValueError(f"there is no row {outside[0]}")
    used = rank[part.astype(np.intp)]
    return used[used >= 0]


def _folds(name: str, pairs: Sequence[_Pair], rows: Rows) -> NDArray[np.int16]:
    """Return the split that holds out each row, or -1."""
    folds = np.full(len(rows), -1, dtype=np.int16)
    for j, pair in enumerate(pairs):
        part, test = _check_pair(name, j, pair, rows), pair[1]
        twice = test[folds[test] >= 0]
        if len(twice):
            raise ValueError(
                f"{name} holds row {_given(rows, twice[0])} out in the splits "
                f"{folds[twice[0]]} and {j}, but a row has one out-of-fold prediction, "
                "by one member. Use a splitter whose test parts do not overlap, such "
                "as StratifiedKFold, or one with a single split."
            )
        folds[test] = j
        if (part == 0).any():
            raise ValueError(
                f"{name} has row {_given(rows, (part == 0).argmax())} in neither part "
                f"of split {j}, but with several splits a member trains on all rows "
                "that it does not hold out. Give a single split, as [(train, test)]."
            )
    return folds


def _check_pair(name: str, j: int, pair: _Pair, rows: Rows) -> NDArray[np.int8]:
    """Return the part that each row is in, or 0; raise if a row is in both parts."""
    part = np.zeros(len(rows), dtype=np.int8)
    for positions, number in zip(pair, (_IN_TRAIN, _IN_TEST), strict=True):
        part[positions] |= number
    both = part == _IN_TRAIN | _IN_TEST
    if both.any():
        raise ValueError(
            f"{name} has row {_given(rows, both.argmax())} in both parts of split {j}: "
            "a network that knows the row cannot be validated by it."
        )
    return part


def _given(rows: Rows, position: Any) -> int:
    """Return the position among all rows passed to ``fit`` of a used row."""
    return int(position if rows.index is None else rows.index[position])
