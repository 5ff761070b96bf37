"""Checks of fitted classifiers, and their responses for rows."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from imbalnet._tables.labels import check_rows
from imbalnet.metrics._rows import labels_of_rows


def check_fitted(estimator: Any, argument: str = "estimator") -> None:
    """Raise unless the value of an argument is a fitted estimator.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If it is not an estimator.
    """
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise ValueError(
            f"{argument} is the class {estimator.__name__}: give a fitted instance, "
            f"{estimator.__name__}(...).fit(X, y)."
        )
    if not hasattr(estimator, "fit"):
        raise ValueError(
            f"{argument} is of type {name}, but must be an estimator after fit."
        )
    check_is_fitted(estimator)


def check_classifier(
    estimator: Any, methods: str | tuple[str, ...] = "predict_proba"
) -> None:
    """Raise unless an estimator is a fitted classifier with one of the `methods`.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If it is not a classifier, or has none of the methods.
    """
    name = type(estimator).__name__
    names = [methods] if isinstance(methods, str) else [*methods]
    if isinstance(estimator, type) or not hasattr(estimator, "classes_"):
        check_fitted(estimator)
        raise ValueError(f"estimator={name} is no classifier: it has no classes_.")
    if not any(hasattr(estimator, method) for method in names):
        raise ValueError(
            f"{name} has no {' or '.join(names)}; wrap it in "
            "sklearn.calibration.CalibratedClassifierCV."
        )


def labels_and_response(
    estimator: Any, X: Any, y: ArrayLike, method: str = "predict_proba"
) -> tuple[NDArray, NDArray]:
    """Return the labels of rows, and the output of a method of a fitted classifier."""
    check_classifier(estimator, method)
    labels = labels_of_rows(y, "y")
    response = getattr(estimator, method)(X)
    check_rows("X", len(response), "y", len(labels))
    return labels, response
