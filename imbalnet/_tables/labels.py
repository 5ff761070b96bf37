"""Validation of labels, sample weights and groups; class codes of labels.

The modules that read rows use it, and so do public functions that take labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from imbalnet._tables.levels import is_missing

# Of two classes, one with more than this many times the other's rows is frequent.
_FREQUENT = 2


def as_labels(y: Any, name: str = "y") -> NDArray:
    """Validate labels in any container, with the same messages for all of them."""
    labels = _as_labels(y, name)
    try:
        check_classification_targets(labels)
    except ValueError as error:
        is_object = labels.dtype == object
        cure = " Convert objects by astype(int) or astype(str)." if is_object else ""
        raise ValueError(f"{name}: {error}{cure}") from error
    return labels


def as_classes(classes: Any, name: str) -> NDArray:
    """Validate the labels of classes, each given once; keep their order."""
    labels = _as_labels(classes, name)
    if not len(labels):
        raise ValueError(f"{name} is empty; give all labels.")
    if len(sorted_classes(labels)) < len(labels):
        raise ValueError(
            f"{name} must hold each label once, but holds {labels.tolist()}."
        )
    return labels


def _as_labels(y: Any, name: str) -> NDArray:
    """Return labels as a 1d array; raise if they are missing or of several kinds."""
    if y is None:
        raise ValueError(
            f"requires {name} to be passed, but the target {name} is None: a "
            "classifier needs labels."
        )
    labels = _as_array(y, name)
    _reject_gaps(labels, name)
    _reject_several_columns(labels, name)
    kinds = _kinds(labels)
    if len(kinds) > 1:
        named = " and ".join(f"{kind} such as {kinds[kind]!r}" for kind in kinds)
        raise ValueError(
            f"{name} has labels that are {named}: give labels of one kind, such as "
            f"[str(label) for label in {name}]."
        )
    assert_all_finite(labels, input_name=name)
    return column_or_1d(labels, warn=True)


def _as_array(y: Any, name: str) -> NDArray:
    """Convert labels to an array; raise if they are no sequence."""
    try:
        if sparse.issparse(y):
            array = y.toarray()
        elif isinstance(y, np.ma.MaskedArray):
            array = np.ma.getdata(y)
            if np.ma.is_masked(y):
                array = array.astype(object)
                array[np.ma.getmaskarray(y)] = None
        else:
            array = _keeping_kinds(y)
        is_sequence = array.ndim > 0
    except (TypeError, ValueError):  # sequences of several lengths
        is_sequence = False
    if not is_sequence:
        raise ValueError(
            f"{name} must be 1d, an array-like with one label for each row of X, but "
            f"is {_shown(y)}."
        )
    if array.dtype.kind == "c":
        raise ValueError(f"{name} must hold labels. Complex data not supported.")
    return array


def _keeping_kinds(y: Any) -> NDArray:
    """Return an array that keeps numbers and strings of a list apart."""
    array = np.asarray(_decoded(y))
    if isinstance(y, list | tuple) and array.dtype.kind in "US":
        return np.asarray(y, dtype=object) if len(set(map(type, y))) > 1 else array
    if array.dtype.kind != "T":  # NumPy's StringDType, which may have gaps
        return array
    strings = array.astype(object)
    return strings if _is_missing(strings.ravel()).any() else strings.astype(str)


def _decoded(y: Any) -> Any:
    """Return an Arrow column of dictionary type as its values.

    NumPy would get the last value of the dictionary for missing ones.
    """
    dtype: Any = getattr(y, "type", None)
    return y.cast(dtype.value_type) if hasattr(dtype, "index_type") else y


def _shown(value: Any, most: int = 60) -> str:
    """Return the type and representation of a value, shortened."""
    text = f"{type(value).__name__} {value!r}"
    return text if len(text) <= most else f"{text[:most]}..."


def _reject_gaps(labels: NDArray, name: str) -> None:
    """Raise if a label is missing: None, NaN, NaT or a missing value of pandas."""
    if labels.ndim > 1 and labels.shape[1:] != (1,):
        return
    gaps = _is_missing(labels.ravel())
    if gaps.any():
        raise ValueError(
            f"{name} has {gaps.sum()} missing values (None or NaN), the first in row "
            f"{gaps.argmax()}: leave out rows without a label. (Input {name} contains "
            "NaN.)"
        )


def _reject_several_columns(labels: NDArray, name: str) -> None:
    """Raise if there are several columns of labels."""
    if labels.ndim == 1 or labels.shape[1:] == (1,):
        return
    fault = f"Multilabel and multioutput targets are not supported. {name} must be 1d"
    if labels.ndim == 2 and _is_one_hot(labels):
        raise ValueError(
            f"{fault}, but is one-hot: give the positions of its columns, "
            f"numpy.asarray({name}).argmax(axis=1), or the names of a data frame's, "
            f"{name}.idxmax(axis=1)."
        )
    raise ValueError(
        f"{fault}, but has shape {labels.shape}; for several labels a row use "
        "sklearn.multioutput.MultiOutputClassifier."
    )


def _is_one_hot(labels: NDArray) -> bool:
    if labels.dtype.kind not in "biuf" or not labels.size:
        return False
    is_one = labels == 1
    return bool((is_one | (labels == 0)).all() and (is_one.sum(axis=1) == 1).all())


def _kinds(labels: NDArray) -> dict[str, Any]:
    """Return the kinds of labels (such as strings), each with an example."""
    if labels.dtype != object:
        of_kind = {"U": "strings", "S": "bytes", "M": "dates"}
        return {of_kind.get(labels.dtype.kind, "numbers"): labels.dtype}
    found: dict[str, Any] = {}
    values = labels.ravel().tolist()
    for of_type in dict.fromkeys(map(type, values)):
        example = next(value for value in values if type(value) is of_type)
        found.setdefault(_kind(example), example)
    return found


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "strings"
    if isinstance(label, Real | np.bool_ | Decimal):
        return "numbers"
    return f"of type {type(label).__name__}"


def all_classes(classes: Any, known: NDArray | None) -> NDArray:
    """Return the sorted labels of all calls of ``partial_fit``.

    `classes` is the argument of this call; `known` is the result of the first call, and
    None in the first call.
    """
    if classes is None:
        if known is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels "
                "that will ever come."
            )
        return known
    given = sorted_classes(_as_labels(classes, "classes"))
    if known is not None and not np.array_equal(given, known):
        raise ValueError(
            f"classes={given.tolist()} differs from the first call to partial_fit, "
            f"which had {known.tolist()}."
        )
    if len(given) < 2:
        raise ValueError(
            f"classes={given.tolist()} must hold at least two labels: all that will "
            "ever come."
        )
    return given


def sorted_classes(labels: NDArray) -> NDArray:
    """Sort the distinct labels; raise if they cannot be compared."""
    try:
        return np.unique(labels)
    except TypeError as error:
        raise ValueError(
            "y must have labels of one kind, all strings or all numbers, and none "
            f"missing: {error}."
        ) from error


def notes_on_positive(classes: Sequence[Any], counts: Sequence[int]) -> list[str]:
    """Return a note if the positive class is the frequent one, which is seldom meant.

    `classes` are sorted; `counts` are their numbers of rows.
    """
    if len(classes) != 2 or counts[1] <= _FREQUENT * counts[0]:
        return []
    rare, positive = classes
    return [
        f"The positive class is {positive!r}, the second of the labels in sorted "
        f"order, although {rare!r} is the rare one: column 1 of predict_proba, "
        f"thresholds and scores are about {positive!r}. To find {rare!r}, give "
        f"y == {rare!r} as the labels."
    ]


def as_codes(
    labels: NDArray, classes: NDArray, name: str = "y", known: str = "classes_"
) -> NDArray[np.integer]:
    """Return the positions of labels in the sorted `classes`, or raise.

    Errors call the arguments `name` and `known`.
    """
    if _kinds(labels).keys() == _kinds(classes).keys():
        codes = np.searchsorted(classes, labels)
        codes[codes == len(classes)] = 0
        unknown = np.unique(labels[classes[codes] != labels])
    else:  # NumPy would compare them as strings, or not at all
        unknown = np.unique(labels)
    if len(unknown):
        raise ValueError(
            f"{name} has labels that are not in {known}: {unknown.tolist()}; known "
            f"are {classes.tolist()}."
        )
    return codes.astype(np.uint8 if len(classes) <= 256 else np.intp)


def check_kinds(name: str, labels: NDArray, other: str, others: NDArray) -> None:
    """Raise if two arrays of labels cannot be compared, such as numbers and strings."""
    kinds, other_kinds = (" and ".join(_kinds(of)) for of in (labels, others))
    if kinds != other_kinds:
        raise ValueError(
            f"{name} has labels that are {kinds}, but {other} {other_kinds}: give "
            "labels of one kind to both."
        )


def check_lengths(X: Any, y: NDArray, title: str = "X", name: str = "y") -> None:
    """Raise if there is not a label for each row."""
    if X.shape[0]:  # an empty table raises another error
        check_rows(title, X.shape[0], name, len(y))


def check_rows(name: str, n_rows: int, other: str, n_others: int) -> None:
    """Raise if two arguments differ in their number of rows."""
    if n_rows != n_others:
        raise ValueError(
            f"{name} has {n_rows} rows, but {other} has {n_others}; give the same rows "
            "to both (found inconsistent numbers of samples)."
        )


def as_weights(sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
    """Validate sample weights; None stays None."""
    if sample_weight is None:
        return None
    try:
        weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            "sample_weight must hold a finite number of at least 0 for each row of X, "
            f"not 0 for every row: {str(error).splitlines()[0]}"
        ) from error
    if not weight.any():
        raise ValueError(
            "sample_weight is 0 for every row; no row is left to train on."
        )
    return weight


def as_groups(groups: Any, X: Any) -> NDArray[np.integer] | None:
    """Return group numbers from 0 for the labels of groups; None stays None."""
    return None if groups is None else numbered(groups, X.shape[0])


def numbered(
    groups: Any, n_rows: int | None, name: str = "groups", what: str = "group"
) -> NDArray[np.integer]:
    """Return numbers from 0 for labels that rows share, such as those of groups.

    There must be `n_rows` labels; None allows any number. Errors call the argument
    `name`, and a label `what`.
    """
    labels = _as_array(groups, name)
    n_rows = len(labels) if n_rows is None else n_rows
    if labels.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(
            f"{name} must be 1d, with a {what} for each row, but has shape "
            f"{labels.shape}: {len(labels)} values for {n_rows} rows."
        )
    labels = column_or_1d(labels, warn=True)
    is_missing = _is_missing(labels)
    if is_missing.any():
        raise ValueError(
            f"{name} has {is_missing.sum()} missing values (the first in row "
            f"{is_missing.argmax()}): give each of these rows a {what}, such as one of "
            "its own."
        )
    if labels.dtype != object:
        return np.unique(labels, return_inverse=True)[1]
    numbers: dict[Any, int] = {}  # labels of several kinds cannot be sorted
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels])


def _is_missing(labels: NDArray) -> NDArray[np.bool_]:
    if labels.dtype.kind in "fcmM":
        return np.isnat(labels) if labels.dtype.kind in "mM" else np.isnan(labels)
    if labels.dtype == object and set(map(type, labels.tolist())) != {str}:
        # NumPy's NaT, which is_missing does not cover, differs from itself, too
        is_gap = [is_missing(label) or bool(label != label) for label in labels]
        return np.array(is_gap, dtype=bool)
    return np.zeros(len(labels), dtype=bool)
