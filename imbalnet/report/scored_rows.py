"""The rows of a report: true classes, probabilities, predictions and costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import checked_weights
from imbalnet._tables.labels import as_codes
from imbalnet.metrics._rows import (
    as_codes_and_probabilities,
    check_rows,
    labels_of_rows,
)
from imbalnet.posterior import resolve_costs


@dataclass(frozen=True)
class ScoredRows:
    """Rows with true classes and predicted probabilities.

    Attributes
    ----------
    codes : ndarray of shape (n_rows,)
        The true class of each row, as a position in `classes`.
    probabilities : ndarray of shape (n_rows, n_classes)
        Predicted probabilities.
    weight : ndarray of shape (n_rows,)
        Weights of the rows.
    classes : ndarray of shape (n_classes,)
        The labels; of two, the second one is positive.
    called : ndarray of shape (n_rows,) or None
        The predicted class of each row, if the model does not simply predict the most
        probable class.
    costs : ndarray of shape (n_classes, n_classes) or (n_rows, n_classes, n_classes), \
            or None
        Cost of each pair of true and predicted class, for all rows or for each row.

    Examples
    --------
    >>> from imbalnet.report import ScoredRows
    >>> labels, p = ["no", "yes", "no"], [0.1, 0.7, 0.4]
    >>> rows = ScoredRows.read(labels, p, sample_weight=[1, 2, 1])
    >>> rows.codes, rows.prior
    (array([0, 1, 0]), array([0.5, 0.5]))
    >>> rows.scores
    array([0.1, 0.7, 0.4])
    """

    codes: NDArray[np.intp]
    probabilities: NDArray[np.float64]
    weight: NDArray[np.float64]
    classes: NDArray
    called: NDArray[np.intp] | None = None
    costs: NDArray[np.float64] | None = None

    @classmethod
    def read(
        cls,
        y_true: ArrayLike,
        probabilities: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        called: ArrayLike | None = None,
        cost_matrix: Any = None,
    ) -> ScoredRows:
        """Validate rows; those of weight 0 are left out.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
            True labels.
        probabilities : array-like of shape (n_rows,) or (n_rows, n_classes)
            Predicted probabilities; a single axis holds those of the second of two
            classes.
        classes : array-like of shape (n_classes,), default=None
            Labels of the columns, in any order; None means the sorted labels of
            `y_true`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; None means 1.
        called : array-like of shape (n_rows,), default=None
            Predicted labels, if the model does not simply predict the most probable
            class.
        cost_matrix : array-like, dict or data frame, default=None
            As in ``predict`` of :class:`~imbalnet.BalancedNeuralClassifier`.

        Returns
        -------
        ScoredRows
            The rows.

        Raises
        ------
        ValueError
            If the arrays do not fit together, or if a label is not in `classes`.
        """
        codes, rows, known = as_codes_and_probabilities(y_true, probabilities, classes)
        weight = checked_weights(sample_weight, len(codes))
        kept = weight > 0
        costs = resolve_costs(cost_matrix, known, len(codes))
        if costs is not None and costs.ndim == 3:
            costs = costs[kept]
        predicted = None
        if called is not None:
            labels = labels_of_rows(called, "called")
            check_rows("y_true", len(codes), "called", len(labels))
            decided = as_codes(labels[kept], known, "called", "classes")
            predicted = decided.astype(np.intp)
        return cls(codes[kept], rows[kept], weight[kept], known, predicted, costs)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes."""
        return self.n_classes == 2

    @property
    def counts(self) -> NDArray[np.intp]:
        """Number of rows of each class."""
        return np.bincount(self.codes, minlength=self.n_classes)

    @property
    def prior(self) -> NDArray[np.float64]:
        """Weighted share of each class."""
        mass = np.bincount(self.codes, self.weight, self.n_classes)
        return mass / mass.sum()

    @property
    def scores(self) -> NDArray[np.float64]:
        """Probabilities as scorers expect them; of two classes, those of the second."""
        return self.probabilities[:, 1] if self.is_binary else self.probabilities
