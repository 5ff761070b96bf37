"""Class weights from class counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet.parameters import checked_number, checked_share, values_by_label

ClassWeight = (
    str | Mapping[Any, float] | ArrayLike | Callable[[NDArray], ArrayLike] | None
)


def class_weights(
    counts: ArrayLike,
    class_weight: ClassWeight = "balanced",
    *,
    classes: ArrayLike | None = None,
    power: float = 1.0,
    beta: float = 0.999,
    max_ratio: float | None = None,
) -> NDArray[np.float64]:
    """Weights of the classes in the loss.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Rows of each class (with sample weights: their sum). A class with no rows
        gets weight 1, which nothing will use.
    class_weight : {"balanced", "effective"}, dict, array-like of shape (n_classes,), \
            callable or None, default="balanced"
        - ``"balanced"``: ``n / (n_classes * count)``, as scikit-learn has it.
        - ``"effective"``: inverse effective number of rows, ``(1 - beta) /
          (1 - beta**count)`` [1]_, scaled so that the weights average 1.
        - dict: label to weight; labels that are left out weigh 1. A pandas Series
          counts as one, its index being the labels.
        - array-like: weights in the order of `classes`.
        - callable: ``counts -> weights``.
        - None: ones.
    classes : array-like of shape (n_classes,), default=None
        Labels, needed for a dict; by default 0 to ``n_classes - 1``.
    power : float, default=1.0
        Exponent of the weights: 0 switches them off, 0.5 takes their square root.
    beta : float, default=0.999
        Overlap between rows for ``"effective"``: 0 gives equal weights, 1 the
        balanced ones.
    max_ratio : float, default=None
        At least 1; None sets no limit. What exceeds `max_ratio` times the smallest
        weight is cut to that, after `power`. Classes with weight 0 or no rows do not
        count as the smallest.

    Returns
    -------
    ndarray of shape (n_classes,)
        The weights, not normalised.

    Raises
    ------
    ValueError
        If a weight is no number, negative or not finite, if `power` or `beta` is no
        number of [0, 1] or `max_ratio` none of at least 1, or if a dict names labels
        that do not occur and leaves out some that do.

    See Also
    --------
    explain_weights : What the weights of given labels do.

    References
    ----------
    .. [1] Cui et al., "Class-Balanced Loss Based on Effective Number of Samples",
       CVPR 2019.

    Examples
    --------
    >>> from imbalnet.weighting import class_weights
    >>> class_weights([9_900, 100]).round(3).tolist()
    [0.505, 50.0]
    >>> class_weights([9_900, 100], power=0.5).round(3).tolist()
    [0.711, 7.071]
    >>> class_weights([9_900, 100], max_ratio=20).round(3).tolist()
    [0.505, 10.101]
    >>> class_weights([9_900, 100], [1, 30]).tolist()
    [1.0, 30.0]
    """
    counts = np.asarray(counts, dtype=np.float64)
    power = checked_share("class_weight__power", power)
    beta = checked_share("class_weight__beta", beta)
    max_ratio = _checked_ratio(max_ratio)
    present = counts > 0
    weights = _given(class_weight, counts, classes, beta)
    return _capped(_checked(weights, present) ** power, present, max_ratio)


def _given(
    class_weight: Any, counts: NDArray, classes: ArrayLike | None, beta: float
) -> NDArray:
    """Look `class_weight` up; what it gives classes without rows means nothing."""
    if class_weight is None:
        weights = np.ones(len(counts))
    elif isinstance(class_weight, str):
        weights = _named(class_weight, counts, beta)
    elif callable(class_weight):
        weights = _as_weights(class_weight(counts))
    elif (of_label := values_by_label("class_weight", class_weight)) is not None:
        weights = _from_mapping(of_label, len(counts), classes)
    else:
        weights = _as_weights(class_weight)
    if weights.shape != counts.shape:
        raise ValueError(
            f"class_weight must give one weight for each of the {len(counts)} classes, "
            f"but gave shape {weights.shape}."
        )
    return weights


def _named(name: str, counts: NDArray, beta: float) -> NDArray:
    if name not in ("balanced", "effective"):
        raise ValueError(_unknown(name))
    weights = np.ones(len(counts))
    present = counts > 0
    if not present.any():
        return weights
    if name == "balanced":
        weights[present] = _balanced(counts[present])
    else:
        weights[present] = _effective(counts[present], beta)
    return weights


def _balanced(counts: NDArray) -> NDArray:
    return counts.sum() / (len(counts) * counts)


def _effective(counts: NDArray, beta: float) -> NDArray:
    if beta == 1.0:
        inverse = 1.0 / counts
    else:
        # 1 - beta**n without cancellation, also for beta near 1 and large n
        with np.errstate(divide="ignore"):  # beta = 0: log is -inf, as it should
            inverse = (1.0 - beta) / -np.expm1(counts * np.log(beta))
    return inverse / inverse.mean()


def _from_mapping(
    mapping: Mapping[Any, Any], n_classes: int, classes: ArrayLike | None
) -> NDArray:
    labels = list(range(n_classes)) if classes is None else np.asarray(classes).tolist()
    missing = [label for label in labels if label not in mapping]
    unknown = [label for label in mapping if label not in labels]
    if missing and unknown:
        raise ValueError(
            f"class_weight names the labels {unknown}, which do not occur in y, and "
            f"leaves out {missing}; its keys must be labels of y: {labels}."
        )
    weights = {label: mapping.get(label, 1.0) for label in labels}
    for label, weight in weights.items():
        if not isinstance(weight, Real):
            raise ValueError(
                f"class_weight[{label!r}]={weight!r} must be a number of at least 0."
            )
    return np.array(list(weights.values()), dtype=np.float64)


def _as_weights(values: Any) -> NDArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(_unknown(values)) from error


def _unknown(class_weight: Any) -> str:
    return (
        f"class_weight={class_weight!r} is not known; use 'balanced', 'effective', "
        "a dict, an array-like of numbers, a callable or None."
    )


def _checked(given: NDArray, present: NDArray) -> NDArray:
    weights = np.where(present, given, 1.0)
    if not np.all(np.isfinite(weights) & (weights >= 0)) or not given.any():
        raise ValueError(
            f"class_weight must give finite weights of at least 0, not all 0, but gave "
            f"{given.tolist()}."
        )
    return weights


def _capped(weights: NDArray, present: NDArray, max_ratio: float | None) -> NDArray:
    counted = weights[present & (weights > 0)]
    if max_ratio is None or not len(counted):
        return weights
    return np.where(present, np.minimum(weights, max_ratio * counted.min()), weights)


def _checked_ratio(max_ratio: float | None) -> float | None:
    if max_ratio is None:
        return None
    try:
        return checked_number("class_weight__max_ratio", max_ratio, 1)
    except ValueError as error:
        raise ValueError(f"{error} None sets no limit.") from None
