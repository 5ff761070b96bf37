"""Class weights from class counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ClassWeight = str | Mapping[Any, float] | Callable[[NDArray], ArrayLike] | None


def class_weights(
    counts: ArrayLike,
    class_weight: ClassWeight = "balanced",
    *,
    classes: ArrayLike | None = None,
    power: float = 1.0,
    beta: float = 0.999,
) -> NDArray[np.float64]:
    """Weights of the classes in the loss.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Rows of each class (with sample weights: their sum). A class with no rows
        gets weight 1, which nothing will use.
    class_weight : {"balanced", "effective"}, dict, callable or None, default="balanced"
        - ``"balanced"``: ``n / (n_classes * count)``, as scikit-learn has it.
        - ``"effective"``: inverse effective number of rows, ``(1 - beta) /
          (1 - beta**count)`` [1]_, scaled so that the weights average 1.
        - dict: label to weight; labels that are left out weigh 1.
        - callable: ``counts -> weights``.
        - None: ones.
    classes : array-like of shape (n_classes,), default=None
        Labels, needed for a dict; by default 0 to ``n_classes - 1``.
    power : float, default=1.0
        Exponent of the weights: 0 switches them off, 0.5 takes their square root.
    beta : float, default=0.999
        Overlap between rows for ``"effective"``: 0 gives equal weights, 1 the
        balanced ones.

    Returns
    -------
    ndarray of shape (n_classes,)
        The weights, not normalised.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if `power` or `beta` lies outside
        [0, 1], or if a dict names labels that do not occur and leaves out some
        that do.

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
    """
    counts = np.asarray(counts, dtype=np.float64)
    _check_unit_interval("class_weight__power", power)
    _check_unit_interval("class_weight__beta", beta)
    weights = np.ones(len(counts))
    present = counts > 0
    if class_weight == "balanced":
        weights[present] = _balanced(counts[present])
    elif class_weight == "effective":
        weights[present] = _effective(counts[present], beta)
    elif callable(class_weight):
        weights = np.array(class_weight(counts), dtype=np.float64)
    elif isinstance(class_weight, Mapping):
        weights = _from_mapping(class_weight, len(counts), classes)
    elif class_weight is not None:
        raise ValueError(
            f"class_weight={class_weight!r} is not known; use 'balanced', 'effective', "
            "a dict, a callable or None."
        )
    return _checked(weights, len(counts)) ** power


def _balanced(counts: NDArray) -> NDArray:
    return counts.sum() / (len(counts) * counts)


def _effective(counts: NDArray, beta: float) -> NDArray:
    if beta == 1.0:
        inverse = 1.0 / counts
    else:
        # 1 - beta**n without cancellation, also for beta near 1 and large n
        with np.errstate(divide="ignore"):  # beta = 0: log is -inf, as it should
            inverse = (1.0 - beta) / -np.expm1(counts * np.log1p(-(1.0 - beta)))
    return inverse / inverse.mean()


def _from_mapping(
    mapping: Mapping[Any, float], n_classes: int, classes: ArrayLike | None
) -> NDArray:
    labels = list(range(n_classes)) if classes is None else np.asarray(classes).tolist()
    missing = [label for label in labels if label not in mapping]
    unknown = [label for label in mapping if label not in labels]
    if missing and unknown:
        raise ValueError(
            f"class_weight names the labels {unknown}, which do not occur in y, and "
            f"leaves out {missing}; its keys must be labels of y: {labels}."
        )
    return np.array([mapping.get(label, 1.0) for label in labels], dtype=np.float64)


def _checked(weights: NDArray, n_classes: int) -> NDArray:
    if weights.shape != (n_classes,):
        raise ValueError(
            f"class_weight must give one weight for each of the {n_classes} classes, "
            f"but gave shape {weights.shape}."
        )
    if not np.all(np.isfinite(weights) & (weights >= 0)) or not weights.any():
        raise ValueError(
            f"class_weight must give finite weights of at least 0, not all 0, but gave "
            f"{weights.tolist()}."
        )
    return weights


def _check_unit_interval(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name}={value!r} must lie between 0 and 1.")
