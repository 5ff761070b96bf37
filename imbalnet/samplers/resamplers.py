"""Imbalanced-learn's samplers, and pipelines of them, applied to the training rows."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from imbalnet._checks import letters_of
from imbalnet._nested import reject_unknown
from imbalnet._tables import is_frame
from imbalnet.samplers._resampled import checked_rows

# Errors of resamplers, which may be the user's own, that are raised as ValueError.
_FAILURES = (
    ValueError,
    RuntimeError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
)

# Modules of imbalanced-learn's samplers.
_MODULES = "over_sampling", "under_sampling", "combine"

# Number that stands for a missing value when rows are compared.
_MISSING = -0.7390851332151607


def import_of(name: str) -> str:
    """Return how to import the imbalanced-learn sampler that a user may have meant.

    `name` may be its name in upper or lower case, the beginning of it, or its initials.
    If no sampler matches, the result is empty.

    Examples
    --------
    >>> from imbalnet.samplers.resamplers import import_of
    >>> import_of("tomek")
    " For imbalanced-learn's TomekLinks give an instance, sampler=TomekLinks(): from
    imblearn.under_sampling import TomekLinks."
    >>> import_of("weighted")
    ''
    """
    word = letters_of(name)
    titles = {
        title: module
        for module in _MODULES
        for title in import_module(f"imblearn.{module}").__all__
    }
    initials = {title: re.sub("[^A-Z]", "", title).lower() for title in titles}
    found = [title for title in titles if word in (title.lower(), initials[title])]
    if len(word) > 2:
        found += [title for title in titles if title.lower().startswith(word)]
    if not found:
        return ""
    return (
        f" For imbalanced-learn's {found[0]} give an instance, sampler={found[0]}(): "
        f"from imblearn.{titles[found[0]]} import {found[0]}."
    )


def build_resampler(sampler: Any, params: dict[str, Any]) -> Any:
    """Clone an imbalanced-learn sampler or pipeline of them, and set its parameters."""
    resampler = clone(sampler)
    owner = f"sampler={type(sampler).__name__}()"
    reject_unknown("sampler", owner, params, resampler.get_params())
    resampler.set_params(**params)
    _steps(resampler)
    return resampler


def _steps(resampler: Any, name: str | None = None) -> list[Any]:
    """List the samplers of a pipeline and of pipelines inside it."""
    if hasattr(resampler, "steps"):
        return [
            inner
            for step_name, step in resampler.steps
            if step is not None and step != "passthrough"
            for inner in _steps(step, step_name)
        ]
    if not hasattr(resampler, "fit_resample"):
        where = "" if name is None else f"The step {name!r} of the pipeline given as "
        raise ValueError(
            f"{where}sampler={type(resampler).__name__}() is no sampler, for it has no "
            "fit_resample: the network would train on other features than it predicts "
            "from. Put it before the classifier, in a pipeline around it."
        )
    return [resampler]


def resample(
    resampler: Any,
    X: Any,
    codes: NDArray,
    sample_weight: NDArray,
    classes: NDArray,
    seed: int,
    note: str = "",
) -> tuple[Any, NDArray, NDArray]:
    """Apply an imbalanced-learn sampler, or a pipeline of them, to the training rows.

    X is an array, a CSR matrix or a data frame, and so is the result. Sample weights
    follow the rows through every step; synthetic rows have the mean weight of their
    class. A ``sampling_strategy`` may name the labels of `classes`. `seed` sets each
    ``random_state`` that is None, also in samplers inside of others. Raise a ValueError
    if a step fails, with `note`, or makes values that are not categories of a column.
    """
    _seed(resampler, seed)
    weight = sample_weight
    for step in _steps(resampler):
        X_new, codes_new = _resampled(step, X, codes, classes, note)
        weight = _weights_of_rows(step, X, X_new, codes, codes_new, weight)
        X, codes = X_new, codes_new
    return X, codes, weight


def _seed(resampler: Any, seed: int) -> None:
    unset = [
        name
        for name, value in sorted(resampler.get_params().items())
        if value is None and name.split("__")[-1] == "random_state"
    ]
    seeds = np.random.SeedSequence(seed).generate_state(len(unset)) % 2**31
    resampler.set_params(**dict(zip(unset, seeds.tolist(), strict=True)))


def _resampled(
    step: Any, X: Any, codes: NDArray, classes: NDArray, note: str
) -> tuple[Any, NDArray]:
    names = classes if _may_name_labels(step) else np.arange(len(classes))
    try:
        with warnings.catch_warnings():
            # pandas warns of values that are not categories; _check_categories raises
            warnings.filterwarnings("ignore", "Constructing a Categorical with")
            given = step.fit_resample(X, names[codes])
    except _FAILURES as error:
        counts = np.bincount(codes, minlength=len(classes))
        by_label = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        cure = _neighbors_cure(step, counts[counts > 0].min()) + _cure(step, X)
        raise ValueError(
            f"sampler={type(step).__name__}() failed on the training rows, whose "
            f"class counts are {by_label}: {_text_of(error)}.{note}{cure}"
        ) from error
    maker = f"sampler={type(step).__name__}()"
    X_new, codes_new = checked_rows(maker, given, X, codes, names)
    if is_frame(X_new):
        _check_categories(step, X, X_new)
    return X_new, codes_new


def _text_of(error: Exception) -> str:
    """Return an error's message, with its type where the message alone is unclear."""
    text = str(error).rstrip(" .")
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


def _may_name_labels(step: Any) -> bool:
    """Return whether a sampler needs labels: it is not imblearn's, or names some.

    The others get class codes, because some of imblearn's samplers need these:
    InstanceHardnessThreshold uses a label as a column number.
    """
    if not type(step).__module__.startswith("imblearn.") or hasattr(step, "func"):
        return True
    return any(
        not isinstance(value, (str, Real))
        for name, value in step.get_params().items()
        if name.split("__")[-1] == "sampling_strategy"
    )


def _neighbors_cure(step: Any, n_smallest: int) -> str:
    """Return the cure if a class has fewer rows than the neighbours asked for."""
    too_many = {
        name: value
        for name, value in step.get_params().items()
        if name.split("__")[-1] in ("k_neighbors", "n_neighbors", "m_neighbors")
        and isinstance(value, Integral)
        and int(value) >= n_smallest
    }
    if not too_many:
        return ""
    given = ", ".join(f"{name}={value}" for name, value in too_many.items())
    lower = f"lower it to {n_smallest - 1}" if n_smallest > 1 else "it has none"
    return f" {given} exceeds the neighbours that a row has in its class: {lower}."


def _cure(step: Any, X: Any) -> str:
    """Return the cure for columns that most samplers do not accept."""
    names = [str(name) for name in _categories(X)] if is_frame(X) else []
    cure = ""
    if names and type(step).__name__ not in ("SMOTENC", "SMOTEN"):
        cure = (
            f" The columns {names} hold categories: use SMOTENC(categorical_features="
            "'auto') or SMOTEN()."
        )
    gaps = _columns_with_gaps(X)
    if gaps:
        cure += (
            f" The columns {gaps} have missing values, which few samplers take: fill "
            "them before the classifier, for instance with SimpleImputer."
        )
    return cure


def _columns_with_gaps(X: Any) -> list[Any]:
    if sparse.issparse(X):
        return []
    if is_frame(X):
        return [str(name) for name in X.columns[X.isna().any(axis=0).to_numpy()]]
    return np.flatnonzero(np.isnan(X).any(axis=0)).tolist()


def _categories(frame: Any) -> list[Any]:
    """List the columns of dtype category."""
    dtypes = zip(frame.columns, frame.dtypes, strict=True)
    return [name for name, dtype in dtypes if str(dtype) == "category"]


def _check_categories(step: Any, frame: Any, frame_new: Any) -> None:
    """Raise if values between the categories became missing values."""
    gaps = [
        str(name)
        for name in _categories(frame_new)
        if frame_new[name].isna().any() and not frame[name].isna().any()
    ]
    if gaps:
        raise ValueError(
            f"sampler={type(step).__name__}() made values that are no category of the "
            f"columns {gaps}: it interpolates. Use SMOTENC(categorical_features='auto')"
            " or SMOTEN(), or give these columns as numbers."
        )


def _weights_of_rows(
    step: Any, X: Any, X_new: Any, codes: NDArray, codes_new: NDArray, w: NDArray
) -> NDArray[np.float64]:
    if np.ptp(w) == 0:
        return np.full(len(codes_new), w[0])
    indices = getattr(step, "sample_indices_", None)
    if indices is not None:
        return w[_checked_indices(step, indices, len(w), len(codes_new))]
    class_mean = np.bincount(codes, w) / np.maximum(np.bincount(codes), 1)
    before, after = (
        _fingerprints(table, of_rows, like=X)
        for table, of_rows in ((X, codes), (X_new, codes_new))
    )
    if np.array_equal(before, after[: len(before)]):  # synthetic rows come last
        return np.concatenate([w, class_mean[codes_new[len(w) :]]])
    rows, inverse = np.unique(before, return_inverse=True)
    kept = np.bincount(inverse, w) / np.bincount(inverse)
    place = np.searchsorted(rows, after).clip(max=len(rows) - 1)
    return np.where(rows[place] == after, kept[place], class_mean[codes_new])


def _checked_indices(step: Any, indices: Any, n_given: int, n_new: int) -> NDArray:
    """Return the position of the row that each new row is a copy of, or raise."""
    rows = np.asarray(indices)
    is_right = rows.shape == (n_new,) and rows.dtype.kind in "iu"
    if not is_right or not np.all((rows >= 0) & (rows < n_given)):
        raise ValueError(
            f"sampler={type(step).__name__}(): sample_indices_ must hold, for each of "
            f"the {n_new} rows that it returned, the position among the {n_given} that "
            "it was given."
        )
    return rows


def _fingerprints(X: Any, codes: NDArray, like: Any) -> NDArray[np.float64]:
    """Hash every row to a number that depends on its features and its class."""
    X = _numbers(X, like) if is_frame(X) else X
    table = sparse.csr_array(X, dtype=np.float64, copy=True)
    np.nan_to_num(table.data, copy=False, nan=_MISSING)
    table.sum_duplicates()
    # a sparse product sums each row alone and in order, so equal rows have equal sums
    mix = np.random.default_rng(0).normal(size=table.shape[1] + 1)
    return table @ mix[1:] + mix[0] * codes


def _numbers(frame: Any, like: Any) -> NDArray[np.float64]:
    """Convert a frame to numbers: categories to their codes in the frame `like`."""
    numbers = frame.copy(deep=False)
    for name in _categories(like):
        column = frame[name].astype(like[name].dtype)
        numbers[name] = column.cat.codes.to_numpy()
    return numbers.to_numpy(dtype=np.float64)
