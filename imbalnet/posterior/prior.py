"""Class priors: what a network learned under, and what probabilities hold for."""

from __future__ import annotations

from contextlib import suppress
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
from imbalnet.posterior._checks import (
    as_given,
    check_logs,
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
        If one of the three holds a number that is negative or not finite, if its shape
        is another, or if all products are 0.

    Examples
    --------
    >>> from imbalnet.posterior import effective_prior
    >>> effective_prior([900, 100], class_weight=[0.5, 5.0]).round(3).tolist()
    [0.474, 0.526]
    """
    mass = checked_amounts("counts", counts)
    factors = {"class_weight": class_weight, "sampling_rate": sampling_rate}
    for name, factor in factors.items():
        values = checked_floats(name, factor)
        of_all = np.broadcast_to(values, mass.shape) if values.ndim == 0 else values
        mass = mass * checked_amounts(name, of_all, len(mass))
    total = mass.sum()
    if not 0 < total < np.inf:
        raise ValueError(
            f"counts={counts!r}, class_weight={class_weight!r} and sampling_rate="
            f"{sampling_rate!r} have products of sum {total}, which must be finite and "
            "above 0: a class needs all three above 0."
        )
    return mass / total


def resolve_prior(
    target_prior: Any, classes: NDArray, class_prior: NDArray
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

    Returns
    -------
    ndarray of shape (n_classes,) or None
        The probabilities, in the order of `classes`.

    Raises
    ------
    ValueError
        If there is not one probability for each class, if they do not sum to 1, or if
        a dict or a Series names other labels.
    """
    labels = checked_classes("classes", classes)
    prior = checked_prior("class_prior", class_prior, len(labels), of="classes")
    return unchecked_resolve_prior(target_prior, labels, prior)


def unchecked_resolve_prior(
    target_prior: Any, classes: NDArray, class_prior: NDArray
) -> NDArray[np.float64] | None:
    """Compute :func:`resolve_prior`; classes and their prior are known to be right."""
    if target_prior is None:
        return None
    if isinstance(target_prior, str) and target_prior == "train":
        return class_prior
    if isinstance(target_prior, str) and target_prior == "uniform":
        return np.full(len(classes), 1.0 / len(classes))
    prior = _one_a_class(target_prior, classes.tolist())
    if not np.all(prior >= 0) or not np.isclose(prior.sum(), 1.0, atol=1e-6):
        raise ValueError(
            f"target_prior={target_prior!r} must hold probabilities of at least 0 that "
            f"sum to 1; they sum to {prior.sum():.6g}."
        )
    return prior


def _one_a_class(target_prior: Any, labels: list) -> NDArray[np.float64]:
    of_label = values_by_label("target_prior", target_prior)
    if of_label is not None and set(of_label) != set(labels):
        raise ValueError(
            f"target_prior has the labels {list(of_label)}, but must give a probability"
            f" for each of the classes {labels}, and for no others."
        )
    values = target_prior if of_label is None else [of_label[c] for c in labels]
    error = None
    try:
        prior = checked_floats("target_prior", values)
    except ValueError as found:
        prior, error = np.empty(0), found
    if prior.shape != (len(labels),):
        raise ValueError(
            f"target_prior={target_prior!r} must be None, 'train', 'uniform', a dict "
            f"with a probability for each of the classes {labels}, or an array of "
            "these probabilities."
        ) from error
    return prior


def shift_prior(
    log_posterior: ArrayLike, source_prior: ArrayLike, target_prior: ArrayLike
) -> NDArray[np.float64]:
    """Move log posteriors from one class prior to another.

    ``log p_c + log target_c - log source_c``, renormalised [1]_.

    Parameters
    ----------
    log_posterior : array-like of shape (..., n_classes)
        Log probabilities under `source_prior`, up to a constant in each row.
    source_prior : array-like of shape (n_classes,) or (..., n_classes)
        Class distribution that they hold for, or one for each member or row. A class
        that it lacks (probability 0) is not shifted.
    target_prior : array-like of shape (n_classes,) or (..., n_classes)
        Class distribution to move to.

    Returns
    -------
    ndarray of shape (..., n_classes)
        Normalised log probabilities under `target_prior`.

    Raises
    ------
    ValueError
        If `log_posterior` holds NaN or rows without a finite value, if a prior does not
        hold probabilities, if the shapes differ, or if `target_prior` is 0 for every
        class that a row can be.

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
    rows = checked_floats("log_posterior", log_posterior)
    shift = prior_shift(source_prior, target_prior)
    if not rows.ndim or not _are_alike(rows.shape, shift.shape):
        raise ValueError(
            f"log_posterior must have shape (..., {shift.shape[-1]}), with the classes "
            f"of the priors last, but has {rows.shape} for priors of {shift.shape}."
        )
    if rows.size:
        check_logs("log_posterior", rows)
    moved = rows + shift
    if (moved.max(axis=-1, initial=-np.inf) == -np.inf).any():
        raise ValueError(_no_class(target_prior, "log_posterior"))
    return log_softmax(moved, axis=-1)


def _are_alike(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether the last axes are equally long, and the others broadcast."""
    with suppress(ValueError):
        np.broadcast_shapes(shape, other)
        return shape[-1] == other[-1]
    return False


def _no_class(target_prior: ArrayLike, name: str) -> str:
    return (
        f"target_prior={np.asarray(target_prior).tolist()} is 0 for every class that "
        f"some rows of {name} can be; give those classes a probability above 0."
    )


def unchecked_shift_prior(
    log_posterior: NDArray, source_prior: NDArray, target_prior: NDArray
) -> NDArray[np.float64]:
    """Compute :func:`shift_prior` of arrays that are known to be right."""
    shift = unchecked_prior_shift(source_prior, target_prior)
    return log_softmax(np.asarray(log_posterior, dtype=np.float64) + shift, axis=-1)


def prior_shift(
    source_prior: ArrayLike, target_prior: ArrayLike
) -> NDArray[np.float64]:
    """Compute the shift of :func:`shift_prior` for each class.

    Parameters
    ----------
    source_prior : array-like of shape (n_classes,) or (..., n_classes)
        Class distribution to move from, or several.
    target_prior : array-like of shape (n_classes,) or (..., n_classes)
        Class distribution to move to.

    Returns
    -------
    ndarray of shape (n_classes,) or (..., n_classes)
        ``log target_c - log source_c``, and 0 for a class that the source lacks.

    Raises
    ------
    ValueError
        If a prior does not hold probabilities, or if the numbers of classes differ.
    """
    source = checked_prior("source_prior", source_prior)
    target = checked_prior("target_prior", target_prior)
    if not _are_alike(source.shape, target.shape):
        raise ValueError(
            f"source_prior has shape {source.shape} and target_prior {target.shape}; "
            "give both one probability for each of the same classes."
        )
    return unchecked_prior_shift(source, target)


def unchecked_prior_shift(
    source_prior: NDArray, target_prior: NDArray
) -> NDArray[np.float64]:
    """Compute :func:`prior_shift` of arrays that are known to be right."""
    known = source_prior > 0
    with np.errstate(divide="ignore"):
        shift = np.log(target_prior) - np.log(np.where(known, source_prior, 1.0))
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
        Class distribution that they hold for. A class that it lacks (probability 0)
        is not shifted.
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
        raise ValueError(_no_class(target, "probabilities"))
    return as_given(joint / total, probabilities)
