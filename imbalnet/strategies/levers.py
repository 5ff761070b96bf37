"""The decision table: which levers are worth trying for which labels.

Each row of the table is a lever, with its values for a grid, its ranges for a random
search, and the condition on the labels. The guide, "Which lever on my data?", has the
measurements behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import uniform

from imbalnet._tables.labels import as_labels, check_rows, sorted_classes
from imbalnet.tables import check_table

# Below this ratio of the largest to the smallest class there is nothing to balance.
_LEAST_RATIO = 1.5
# From this ratio on, balanced weights let single rows dominate the gradient of a batch.
_SEVERE_RATIO = 100
# With fewer rows of the rarest class, scores can hardly distinguish candidates.
_FEW = 50
# Undersampling is tried if the rarest class has at least so many rows, and the most
# frequent one at least so many times as many.
_ABUNDANT, _ABUNDANT_RATIO = 500, 10
# Batches have at least 16 rows, and balanced batches need two of each class.
_MOST_CLASSES_OF_BATCH = 8
# Smallest share of the rows that a member of the estimator trains on.
_TRAINED_SHARE = 3 / 4
# Default number of neighbours of SMOTE, and the fewest with which it is tried.
_NEIGHBORS, _FEWEST_NEIGHBORS = 5, 3


@dataclass(frozen=True)
class Labels:
    """Properties of the labels that the choice of levers depends on.

    Attributes
    ----------
    n_classes : int
        Number of classes.
    n_rarest : int
        Rows of the rarest class.
    ratio : float
        Rows of the most frequent class divided by those of the rarest one.
    """

    n_classes: int
    n_rarest: int
    ratio: float

    @classmethod
    def of(cls, y: ArrayLike) -> Labels:
        """Count the labels, or raise if there are fewer than two classes."""
        labels = as_labels(y)
        classes = sorted_classes(labels)
        if len(classes) < 2:
            raise ValueError(
                f"y must hold at least two classes, but has one: {classes.tolist()}."
            )
        counts = np.unique(labels, return_counts=True)[1]
        return cls(len(classes), int(counts.min()), counts.max() / counts.min())

    @property
    def is_imbalanced(self) -> bool:
        """Whether the classes differ enough in frequency to be balanced."""
        return self.ratio >= _LEAST_RATIO

    @property
    def are_few(self) -> bool:
        """Whether the rarest class has too few rows for many candidates."""
        return self.n_rarest < _FEW

    @property
    def is_severe(self) -> bool:
        """Whether balanced weights are extreme."""
        return self.ratio >= _SEVERE_RATIO

    @property
    def has_abundant_majority(self) -> bool:
        """Whether the most frequent class can lose rows without harm."""
        return self.n_rarest >= _ABUNDANT and self.ratio >= _ABUNDANT_RATIO

    def n_neighbors(self, cv: int) -> int:
        """Return the number of neighbours for SMOTE; 0 if there are too few rows.

        The rows of a fit are those that neither the folds of the search nor those of
        the estimator hold out.
        """
        kept = int(self.n_rarest * (1 - 1 / cv) * _TRAINED_SHARE)
        n_neighbors = min(_NEIGHBORS, kept - 1)
        return n_neighbors if n_neighbors >= _FEWEST_NEIGHBORS else 0


def _always(_: Labels) -> bool:
    return True


def _imbalanced(labels: Labels) -> bool:
    return labels.is_imbalanced


def _with_enough(labels: Labels) -> bool:
    return not labels.are_few


def _imbalanced_with_enough(labels: Labels) -> bool:
    return labels.is_imbalanced and not labels.are_few


@dataclass(frozen=True)
class Lever:
    """A strategy against imbalance: values of parameters, and when to try them.

    Attributes
    ----------
    grid : dict
        Values of each parameter; empty for the estimator's default.
    ranges : dict
        Distributions that replace the values in a random search.
    is_for : callable
        Returns whether the lever is worth trying for `Labels`.
    is_short : bool
        Whether it is in the grid of ``size="short"``.
    """

    grid: dict[str, list[Any]]
    ranges: dict[str, Any] = field(default_factory=dict)
    is_for: Callable[[Labels], bool] = _always
    is_short: bool = False


_POWER = uniform(0.25, 0.75)  # from 0.25 to 1

LEVERS = [
    Lever({}, is_short=True),
    Lever(
        {"class_weight": ["balanced"], "class_weight__power": [0.5]},
        {"class_weight__power": _POWER},
        _imbalanced,
        is_short=True,
    ),
    Lever(
        {"class_weight": ["balanced"]},
        is_for=lambda labels: _imbalanced_with_enough(labels) and not labels.is_severe,
    ),
    Lever(
        {"class_weight": ["balanced"], "class_weight__max_ratio": [10.0]},
        {"class_weight__max_ratio": uniform(3.0, 27.0)},  # from 3 to 30
        lambda labels: _imbalanced_with_enough(labels) and labels.is_severe,
    ),
    Lever(
        {"sampler": ["weighted"], "sampler__power": [0.5]},
        {"sampler__power": _POWER},
        _imbalanced_with_enough,
    ),
    Lever(
        {"sampler": ["stratified_batch"], "sampler__power": [0.5]},
        {"sampler__power": uniform(0.0, 1.0)},
        _imbalanced_with_enough,
        is_short=True,
    ),
    Lever(
        {"sampler": ["balanced_batch"]},
        is_for=lambda labels: (
            _imbalanced_with_enough(labels)
            and not labels.is_severe
            and labels.n_classes <= _MOST_CLASSES_OF_BATCH
        ),
    ),
    Lever(
        {"sampler": ["undersample"], "sampler__power": [0.5, 1.0]},
        {"sampler__power": _POWER},
        lambda labels: labels.has_abundant_majority,
    ),
    Lever(
        {"loss": ["cross_entropy"], "loss__label_smoothing": [0.05]},
        {"loss__label_smoothing": uniform(0.0, 0.1)},
    ),
    Lever(
        {"loss": ["focal"], "loss__gamma": [1.0]},
        {"loss__gamma": uniform(0.25, 2.75)},  # from 0.25 to 3
        is_short=True,
    ),
    Lever({"loss": ["focal"], "loss__gamma": [2.0]}, is_for=_with_enough),
    Lever(
        {"loss": ["asymmetric"], "loss__gamma_negative": [4.0]},
        {"loss__gamma_negative": uniform(1.0, 4.0)},  # from 1 to 5
        _with_enough,
    ),
    # with two classes the prior shift undoes the adjustment, up to rounding
    Lever(
        {"loss": ["logit_adjusted"], "loss__tau": [1.0]},
        {"loss__tau": uniform(0.25, 1.0)},  # from 0.25 to 1.25
        lambda labels: labels.is_imbalanced and labels.n_classes > 2,
    ),
]


def levers_for(y: ArrayLike, X: Any, cv: int, *, is_short: bool = False) -> list[Lever]:
    """Return the levers that are worth trying for labels, and SMOTE if X allows it."""
    labels = Labels.of(y)
    if X is not None:
        _check_rows(X, len(as_labels(y)))
    levers = [lever for lever in LEVERS if lever.is_for(labels)]
    if is_short:
        return [lever for lever in levers if lever.is_short]
    n_neighbors = labels.n_neighbors(cv) if labels.is_imbalanced else 0
    smote = None if X is None or not n_neighbors else _smote(X, n_neighbors)
    return levers if smote is None else [*levers, Lever({"sampler": [smote]})]


def _check_rows(X: Any, n_labels: int) -> None:
    """Raise unless X has two axes and a row for each label; its values are not read."""
    shape = X.shape if hasattr(X, "shape") else np.shape(X)
    if len(shape) != 2:
        raise ValueError(
            f"X must be a table of shape (n_rows, n_features), but has shape {shape}."
        )
    check_rows("X", shape[0], "y", n_labels)


def _smote(X: Any, n_neighbors: int) -> Any:
    """Return the kind of SMOTE for the columns of X, or None if there are gaps."""
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

    columns = check_table(X).columns
    if any(column.n_missing or column.kind == "unusable" for column in columns):
        return None
    categories = [i for i, c in enumerate(columns) if c.n_values is not None]
    if not categories:
        return SMOTE(k_neighbors=n_neighbors)
    if len(categories) == len(columns):
        return SMOTEN(k_neighbors=n_neighbors)
    return SMOTENC(categories, k_neighbors=n_neighbors)
