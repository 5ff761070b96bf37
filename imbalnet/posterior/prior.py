"""Class priors: the prior that a network learns, and shifts to other priors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from imbalnet._checks import (
    checked_amounts,
    checked_classes,
    checked_floats,
    values_by_label,
)
from imbalnet._parameters import PriorName
from imbalnet.posterior._checks import (
    as_given,
    check_log_values,
    checked_prior,
    checked_probabilities,
)


def effective_prior(
    counts: ArrayLike, class_weight: ArrayLike = 1.0, sampling_rate: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """Compute the class distribution that a network learns.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Number of rows of each class, or the sum of their sample weights.
    class_weight : array-like of shape (n_classes,), default=1.0
        Weight of each class in the loss.
    sampling_rate : array-like of shape (n_classes,), default=1.0
        How often a row of the class is drawn in an epoch, in expectation.

    Returns
    -------
    ndarray of shape (n_classes,)
        Products of the three, normalised to the sum 1.

    Raises
    ------
    ValueError
        If something is negative or not finite, or if no class has rows.

    Examples
    --------
    >>> from imbalnet.posterior import effective_prior
    >>> effective_prior([900, 100], class_weight=[0.5, 5.0]).round(3).tolist()
    [0.474, 0.526]
    """
    of_classes = checked_amounts("counts", counts)
    if of_classes.ndim != 1:
        raise ValueError(
            f"counts must have shape (n_classes,), but has {of_classes.shape}."
        )
    mass = of_classes.copy()
    for name, factor in (
        ("class_weight", checked_amounts("class_weight", class_weight)),
        ("sampling_rate", checked_amounts("sampling_rate", sampling_rate)),
    ):
        if factor.shape not in ((), mass.shape):
            raise ValueError(
                f"{name} must be a number or have shape {mass.shape}, one for each of "
                f"the classes of counts, but has {factor.shape}."
            )
        with np.errstate(over="ignore"):
            mass *= factor
    if not 0 < mass.sum() < np.inf:
        raise ValueError(
            f"counts={of_classes.tolist()}, times class_weight and sampling_rate, are "
            f"{mass.tolist()}; one of the classes must have all three above 0, and "
            "their sum must be finite."
        )
    return mass / mass.sum()


def resolve_prior(
    target_prior: PriorName | Mapping[Any, float] | ArrayLike | None,
    classes: NDArray,
    class_prior: NDArray,
) -> NDArray[np.float64] | None:
    """Convert the parameter ``target_prior`` to probabilities; None stays None.

    Parameters
    ----------
    target_prior : {"train", "uniform"}, dict, array-like of shape (n_classes,) or None
        A dict, or a pandas Series with its index, maps each label to its probability.
        An array-like, as of :func:`estimate_prior`, is in the order of `classes`.
    classes : array-like of shape (n_classes,)
        The sorted labels.
    class_prior : array-like of shape (n_classes,)
        Class distribution of the training data, returned for "train".

    Raises
    ------
    ValueError
        If there is not one probability for each class, if they do not sum to 1, or if
        a dict or a Series names other labels.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.posterior import resolve_prior
    >>> classes, class_prior = np.array(["fine", "fraud"]), np.array([0.98, 0.02])
    >>> resolve_prior("uniform", classes, class_prior)
    array([0.5, 0.5])
    >>> resolve_prior({"fraud": 0.1, "fine": 0.9}, classes, class_prior)
    array([0.9, 0.1])
    """
    labels = checked_classes("classes", classes)
    prior = checked_prior("class_prior", class_prior, len(labels))
    return target_distribution(target_prior, labels, prior)


def target_distribution(
    target_prior: Any, classes: NDArray, class_prior: NDArray
) -> NDArray[np.float64] | None:
    """Compute `resolve_prior` for classes and a prior that were checked."""
    if target_prior is None:
        return None
    return class_distribution("target_prior", target_prior, classes, class_prior)


def class_distribution(
    name: str, prior: Any, classes: NDArray, class_prior: NDArray
) -> NDArray[np.float64]:
    """Convert a parameter that holds a class distribution, or raise."""
    if isinstance(prior, str) and prior == "train":
        return class_prior
    if isinstance(prior, str) and prior == "uniform":
        return np.full(len(classes), 1.0 / len(classes))
    shares = _value_of_each_class(name, prior, np.asarray(classes).tolist())
    if not np.all(shares >= 0) or not np.isclose(shares.sum(), 1.0, atol=1e-6):
        raise ValueError(
            f"{name}={prior!r} must hold probabilities of at least 0 that sum to 1; "
            f"they sum to {shares.sum():.6g}."
        )
    return shares


def _value_of_each_class(name: str, prior: Any, labels: list) -> NDArray[np.float64]:
    of_label = values_by_label(name, prior)
    if of_label is not None and set(of_label) != set(labels):
        raise ValueError(
            f"{name} has the labels {list(of_label)}, but must give a probability for "
            f"each of the classes {labels}, and for no others."
        )
    values = prior if of_label is None else [of_label[c] for c in labels]
    try:
        shares = checked_floats(name, values)
    except ValueError:
        shares = np.empty(0)
    if shares.shape != (len(labels),):
        raise ValueError(
            f"{name}={prior!r} must be 'train', 'uniform', a dict with a "
            f"probability for each of the classes {labels}, or an array of these "
            "probabilities."
        )
    return shares


def shift_prior(
    log_posterior: ArrayLike, source_prior: ArrayLike, target_prior: ArrayLike
) -> NDArray[np.float64]:
    """Move log posteriors from one class prior to another.

    ``log p_c + log target_c - log source_c``, renormalised [1]_.

    Parameters
    ----------
    log_posterior : array-like of shape (..., n_classes)
        Log probabilities under `source_prior`, up to a constant in each row.
    source_prior : array-like of shape (n_classes,)
        Class distribution under which `log_posterior` is calibrated. A class that it
        lacks (probability 0) is not shifted.
    target_prior : array-like of shape (n_classes,)
        Class distribution to move to.

    Returns
    -------
    ndarray of shape (..., n_classes)
        Normalised log probabilities under `target_prior`.

    Raises
    ------
    ValueError
        If a prior is not a distribution of the classes, or a log probability is NaN.

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to
       new a priori probabilities", Neural Computation 14, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.posterior import shift_prior
    >>> balanced = np.log([[0.5, 0.5]])
    >>> np.exp(shift_prior(balanced, [0.5, 0.5], [0.9, 0.1])).round(3).tolist()
    [[0.9, 0.1]]
    """
    shift = prior_shift(source_prior, target_prior)
    values = checked_floats("log_posterior", log_posterior)
    if values.shape[-1:] != shift.shape:
        raise ValueError(
            f"log_posterior must have shape (..., {len(shift)}), a value for each "
            f"class of the priors, but has {values.shape}."
        )
    check_log_values(values)
    moved = values + shift
    if (moved.max(axis=-1, initial=-np.inf) == -np.inf).any():
        raise ValueError(_impossible_message(target_prior, "log_posterior"))
    return log_softmax(moved, axis=-1)


def _impossible_message(target_prior: ArrayLike, name: str) -> str:
    return (
        f"target_prior={np.asarray(target_prior).tolist()} is 0 for every class that "
        f"some rows of {name} can be; give those classes a probability above 0."
    )


def prior_shift(
    source_prior: ArrayLike, target_prior: ArrayLike
) -> NDArray[np.float64]:
    """Compute the shift of :func:`shift_prior` for each class.

    Parameters
    ----------
    source_prior : array-like of shape (n_classes,)
        Class distribution to move from.
    target_prior : array-like of shape (n_classes,)
        Class distribution to move to.

    Returns
    -------
    ndarray of shape (n_classes,)
        ``log target_c - log source_c``, and 0 for a class that the source lacks.

    Raises
    ------
    ValueError
        If a prior is not a distribution, or if the numbers of classes differ.

    Examples
    --------
    Log odds of a model that was trained on balanced classes, where 1 % are positive:

    >>> import numpy as np
    >>> from imbalnet.posterior import prior_shift
    >>> shift = prior_shift([0.5, 0.5], [0.99, 0.01])
    >>> log_odds = np.array([-1.0, 0.0, 6.0])
    >>> (log_odds + shift[1] - shift[0]).round(2)
    array([-5.6, -4.6,  1.4])
    """
    source = checked_prior("source_prior", source_prior)
    return log_ratio(source, checked_prior("target_prior", target_prior, len(source)))


def log_ratio(source: NDArray, target: NDArray) -> NDArray[np.float64]:
    """Compute `prior_shift` without checks; priors may be (members, n_classes)."""
    known = source > 0
    with np.errstate(divide="ignore"):
        shift = np.log(target) - np.log(np.where(known, source, 1.0))
    return np.where(known, shift, 0.0)


def shift_probabilities(
    probabilities: ArrayLike, source_prior: ArrayLike, target_prior: ArrayLike
) -> NDArray[np.float64]:
    """Move class probabilities from one class prior to another.

    ``p_c * target_c / source_c``, renormalised [1]_. This is :func:`shift_prior` for
    probabilities instead of their logs, of any classifier. After an oversampler,
    `source_prior` is the class distribution of the rows that the classifier was fitted
    to, `target_prior` that of the rows to predict. Swapped priors undo the shift.

    Parameters
    ----------
    probabilities : array-like of shape (..., n_classes) or (n_rows,)
        Rows that sum to 1. A single axis holds the probability of the second of two
        classes. 0 stays 0 and 1 stays 1.
    source_prior : array-like of shape (n_classes,)
        Class distribution under which `probabilities` are calibrated. A class that it
        lacks (probability 0) is not shifted.
    target_prior : array-like of shape (n_classes,)
        Class distribution to move to.

    Returns
    -------
    ndarray of shape (..., n_classes) or (n_rows,)
        Probabilities under `target_prior`, of the same shape.

    Raises
    ------
    ValueError
        If `probabilities` or a prior does not hold probabilities, if the numbers of
        classes differ, or if `target_prior` is 0 for every class that a row can be.

    See Also
    --------
    estimate_prior : An unknown target prior, from unlabelled rows.

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to
       new a priori probabilities", Neural Computation 14, 2002.

    Examples
    --------
    A classifier after SMOTE saw as many positives as negatives; 1 % are positive:

    >>> from imbalnet.posterior import shift_probabilities
    >>> shift_probabilities([0.5, 0.9, 1.0], [0.5, 0.5], [0.99, 0.01]).round(3).tolist()
    [0.01, 0.083, 1.0]
    >>> uniform = [1 / 3, 1 / 3, 1 / 3]
    >>> shift_probabilities([uniform], uniform, [0.7, 0.2, 0.1]).round(3).tolist()
    [[0.7, 0.2, 0.1]]
    """
    rows = checked_probabilities(probabilities)
    source = checked_prior("source_prior", source_prior, rows.shape[-1])
    target = checked_prior("target_prior", target_prior, rows.shape[-1])
    factor = np.divide(target, source, out=np.ones_like(source), where=source > 0)
    joint = rows * factor
    total = joint.sum(axis=-1, keepdims=True)
    if not total.all():
        raise ValueError(_impossible_message(target, "probabilities"))
    return as_given(joint / total, probabilities)
