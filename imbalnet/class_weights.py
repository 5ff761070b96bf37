"""Class weights in the loss: how they are computed, and their effect.

:mod:`imbalnet._fit` computes them with :func:`class_weights`; users preview their
effect with :func:`explain_weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import (
    checked_classes,
    checked_counts,
    checked_floats,
    checked_number,
    checked_share,
    checked_weights,
    did_you_mean,
    is_no_number,
    values_by_label,
)
from imbalnet._packages import require
from imbalnet._parameters import WeightRule
from imbalnet._tables.labels import as_labels
from imbalnet._text import html_table, text_table
from imbalnet._warn import warn

__all__ = ["WeightReport", "class_weights", "explain_weights"]


def __dir__() -> list[str]:
    return sorted(__all__)


ClassWeight = (
    WeightRule | Mapping[Any, float] | ArrayLike | Callable[[NDArray], ArrayLike] | None
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
    """Compute the weights of the classes in the loss.

    Parameters
    ----------
    counts : array-like of shape (n_classes,)
        Number of rows of each class, or the sum of their sample weights. A class
        without rows gets the weight 1.
    class_weight : {"balanced", "effective"}, dict, array-like of shape (n_classes,), \
            callable or None, default="balanced"
        - ``"balanced"``: ``n / (n_classes * count)``, as in scikit-learn.
        - ``"effective"``: inverse effective number of rows, ``(1 - beta) /
          (1 - beta**count)`` [1]_, scaled so that the weights average 1.
        - dict, or pandas Series indexed by label: label to weight; labels that are
          left out get the weight 1.
        - array-like: weights in the order of `classes`.
        - callable: ``counts -> weights``, as a dict, a Series or an array-like.
        - None: ones.
    classes : array-like of shape (n_classes,), default=None
        Labels, needed for a dict; by default 0 to ``n_classes - 1``.
    power : float, default=1.0
        Exponent of the weights, from 0 (equal weights) to 1. 0.5 takes square roots.
    beta : float, default=0.999
        Overlap between rows for ``"effective"``, from 0 (equal weights) to 1 (balanced
        weights).
    max_ratio : float, default=None
        Largest ratio to the smallest weight, at least 1. Larger weights are cut to it,
        after `power`. None sets no limit. Classes with weight 0 or without rows do not
        count as the smallest.

    Returns
    -------
    ndarray of shape (n_classes,)
        The weights, not normalised.

    Raises
    ------
    ValueError
        If a weight is not a finite number of at least 0, if `power`, `beta` or
        `max_ratio` is out of its range, or if a dict names labels that do not occur and
        leaves out some that do.

    See Also
    --------
    explain_weights : The effect of weights on given labels.

    References
    ----------
    .. [1] Cui et al., "Class-Balanced Loss Based on Effective Number of Samples",
       CVPR 2019.

    Examples
    --------
    >>> from imbalnet.class_weights import class_weights
    >>> class_weights([9_900, 100]).round(3).tolist()
    [0.505, 50.0]
    >>> class_weights([9_900, 100], power=0.5).round(3).tolist()
    [0.711, 7.071]
    >>> class_weights([9_900, 100], max_ratio=20).round(3).tolist()
    [0.505, 10.101]
    >>> class_weights([9_900, 100], [1, 30]).tolist()
    [1.0, 30.0]
    """
    of_label = values_by_label("counts", counts)
    counts = checked_counts("counts", counts)
    classes = _labels_of(len(counts), of_label, classes)
    power = checked_share("class_weight__power", power)
    beta = checked_share("class_weight__beta", beta)
    max_ratio = _checked_ratio(max_ratio)
    present = counts > 0
    weights = _given(class_weight, counts, classes, beta)
    return _capped(_checked(weights, present) ** power, present, max_ratio)


def _labels_of(
    n_classes: int, of_label: Mapping[Any, Any] | None, classes: ArrayLike | None
) -> list:
    """Return the labels of the counts, which have them if they came `of_label`."""
    if classes is None:
        return list(range(n_classes))
    labels = checked_classes("classes", classes).tolist()
    if len(labels) != n_classes:
        raise ValueError(
            f"classes={labels} must be {n_classes} different labels, one for each of "
            "the counts."
        )
    if of_label is not None and list(of_label) != labels:
        raise ValueError(
            f"counts has the labels {list(of_label)}, but must be in the order of "
            f"classes={labels}: give counts.loc[classes]."
        )
    return labels


def _given(class_weight: Any, counts: NDArray, labels: list, beta: float) -> NDArray:
    """Resolve `class_weight`; weights of classes without rows are ignored later."""
    if class_weight is None:
        weights = np.ones(len(counts))
    elif isinstance(class_weight, str):
        weights = _named(class_weight, counts, beta)
    elif callable(class_weight):
        weights = _of_function(class_weight, counts, labels)
    else:
        weights = _as_weights(class_weight, labels)
    if weights.shape != counts.shape:
        raise ValueError(
            f"class_weight must give one weight for each of the {len(counts)} classes, "
            f"but gave shape {weights.shape}."
        )
    return weights


def _of_function(function: Any, counts: NDArray, labels: list) -> NDArray:
    given = function(counts.copy())
    if given is None or isinstance(given, str):
        raise ValueError(
            f"class_weight={function!r} must return one weight for each class, as a "
            f"dict, a Series or an array-like, but returned {given!r}."
        )
    return _as_weights(given, labels)


def _named(name: str, counts: NDArray, beta: float) -> NDArray:
    if name not in get_args(WeightRule):
        raise ValueError(_unknown(name))
    weights = np.ones(len(counts))
    present = counts > 0
    n = counts[present]
    if name == "balanced":
        weights[present] = n.sum() / (len(n) * n)
    elif len(n):
        if beta == 1.0:
            inverse = 1.0 / n
        else:
            # 1 - beta**n without cancellation, also for beta near 1 and large n
            with np.errstate(divide="ignore"):  # beta = 0: log is -inf, as needed
                inverse = (1.0 - beta) / -np.expm1(n * np.log(beta))
        weights[present] = inverse / inverse.mean()
    return weights


def _from_mapping(mapping: Mapping[Any, Any], labels: list) -> NDArray:
    missing = [label for label in labels if label not in mapping]
    unknown = [label for label in mapping if label not in labels]
    if missing and unknown:
        raise ValueError(
            f"class_weight names the labels {unknown}, which do not occur in y, and "
            f"leaves out {missing}; its keys must be labels of y: {labels}."
        )
    weights = {label: mapping.get(label, 1.0) for label in labels}
    for label, weight in weights.items():
        if is_no_number(weight):
            raise ValueError(
                f"class_weight[{label!r}]={weight!r} must be a number of at least 0."
            )
    return np.array(list(weights.values()), dtype=np.float64)


def _as_weights(values: Any, labels: list) -> NDArray:
    """Return weights by label (dict or Series), or in the order of the labels."""
    if (of_label := values_by_label("class_weight", values)) is not None:
        return _from_mapping(of_label, labels)
    try:
        return checked_floats("class_weight", values)
    except ValueError as error:
        raise ValueError(_unknown(values)) from error


def _unknown(class_weight: Any) -> str:
    return (
        f"class_weight={class_weight!r} is not known; use 'balanced', 'effective', "
        "a dict, an array-like of numbers, a callable or None."
        f"{did_you_mean(class_weight, get_args(WeightRule))}"
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


# Largest useful ratio of weights, a rule of thumb: see the notes of `explain_weights`.
MAX_USEFUL_RATIO = 10.0

# A report of many classes shows so many of the largest and of the smallest weights.
SHOWN_CLASSES = 4


@dataclass(frozen=True, eq=False)
class WeightReport:
    """The effect of class weights; it is shown as a table.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Labels of the classes.
    counts : ndarray of shape (n_classes,)
        Number of rows of each class, or the sum of their sample weights.
    class_weight : ndarray of shape (n_classes,)
        Weight of each class in the loss.
    class_prior : ndarray of shape (n_classes,)
        Share of each class in the rows.
    effective_prior : ndarray of shape (n_classes,)
        Class distribution that a network learns under the weights. While all rows have
        the same loss, as at the start, it is also each class' share of the total loss.

    Examples
    --------
    >>> from imbalnet.class_weights import explain_weights
    >>> labels = ["fine"] * 990 + ["fraud"] * 10
    >>> report = explain_weights(labels, "balanced", max_ratio=8)
    >>> print(report)
    class  rows  weight  share of rows  share of loss
    fine    990  0.5051           99 %         92.5 %
    fraud    10    4.04            1 %         7.48 %
    largest / smallest weight: 8
    >>> report.effective_prior.round(3).tolist()
    [0.925, 0.075]
    """

    classes: NDArray
    counts: NDArray[np.float64]
    class_weight: NDArray[np.float64]
    class_prior: NDArray[np.float64]
    effective_prior: NDArray[np.float64]

    @property
    def ratio(self) -> float:
        """Largest weight over the smallest above 0, among the classes with rows."""
        counted = self.class_weight[(self.counts > 0) & (self.class_weight > 0)]
        return float(counted.max() / counted.min())

    def to_frame(self) -> Any:
        """Return the report as a pandas frame, with a row for each class.

        Returns
        -------
        pandas.DataFrame
            Indexed by the labels; the columns are named like the attributes.
        """
        pd = require("pandas", use="to_frame()", cure="imbalnet[tables]")

        names = "counts", "class_weight", "class_prior", "effective_prior"
        columns = {name: getattr(self, name) for name in names}
        return pd.DataFrame(columns, index=pd.Index(self.classes, name="class"))

    def __str__(self) -> str:
        return f"{text_table(self._cells(), numbers=slice(1, None))}\n{self._summary}"

    def _repr_html_(self) -> str:
        return f"{html_table(self._cells())}<p>{escape(self._summary)}</p>"

    @property
    def _summary(self) -> str:
        return f"largest / smallest weight: {self.ratio:.3g}"

    def _cells(self) -> list[list[str]]:
        order, n_hidden = self._shown()
        lines = [self._line(position) for position in order]
        if n_hidden:
            lines.insert(SHOWN_CLASSES, [f"({n_hidden} more)", *[""] * 4])
        return [["class", "rows", "weight", "share of rows", "share of loss"], *lines]

    def _shown(self) -> tuple[NDArray[np.intp], int]:
        """Return positions of the printed classes, and the number of hidden ones."""
        n_hidden = len(self.classes) - 2 * SHOWN_CLASSES
        if n_hidden <= 1:
            return np.arange(len(self.classes)), 0
        order = np.argsort(-self.class_weight, kind="stable")
        return np.r_[order[:SHOWN_CLASSES], order[-SHOWN_CLASSES:]], n_hidden

    def _line(self, position: int) -> list[str]:
        return [
            str(self.classes[position]),
            f"{self.counts[position]:,.10g}",
            f"{self.class_weight[position]:.4g}",
            f"{100 * self.class_prior[position]:.3g} %",
            f"{100 * self.effective_prior[position]:.3g} %",
        ]


def explain_weights(
    y: ArrayLike,
    class_weight: ClassWeight = "balanced",
    *,
    power: float = 1.0,
    beta: float = 0.999,
    max_ratio: float | None = None,
    sample_weight: ArrayLike | None = None,
    classes: ArrayLike | None = None,
) -> WeightReport:
    """Report the effect of class weights on given labels, before training.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Labels, of any type that can be sorted.
    class_weight : {"balanced", "effective"}, dict, array-like of shape (n_classes,), \
            callable or None, default="balanced"
        See :func:`class_weights`.
    power : float, default=1.0
        Exponent of the weights; ``class_weight__power`` of the classifier.
    beta : float, default=0.999
        For ``"effective"``; ``class_weight__beta`` of the classifier.
    max_ratio : float, default=None
        Limit of the largest weight over the smallest; ``class_weight__max_ratio`` of
        the classifier.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows; the counts are their sums. None means 1.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the report; by default the sorted labels of `y`.

    Returns
    -------
    WeightReport
        Counts, weights and priors of the classes.

    Raises
    ------
    ValueError
        If `y` is empty, has several columns or has a label that `classes` lacks, if
        `sample_weight` is not one finite number of at least 0 for each row, if all
        rows have weight 0, or if :func:`class_weights` raises.

    Warns
    -----
    UserWarning
        If the largest weight is more than 10 times the smallest.

    Notes
    -----
    The limit of 10 is a rule of thumb. Lin et al. [1]_ weight positives against about
    1000 times as many negatives in the cross entropy: ratios of 1, 3, 9, 99 and 999
    have an average precision of 30.2, 31.1, 30.8, 28.7 and 25.1 (their table 1a), so
    that 9 still helps and 99 is worse than no weights. Cui et al. [2]_ find that
    weights near the inverse frequency are worse than smoother ones on CIFAR-100, though
    not on CIFAR-10. Both are image tasks. In our runs on 500 classes, ten of them 20
    times rarer, a network with balanced weights (19.62 against 0.981) predicted the
    rare classes 7.9 times too often, with ``power=0.5`` 1.5 times.

    References
    ----------
    .. [1] Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    .. [2] Cui et al., "Class-Balanced Loss Based on Effective Number of Samples",
       CVPR 2019.

    Examples
    --------
    >>> from imbalnet.class_weights import explain_weights
    >>> y = ["fine"] * 1_800 + ["fraud"] * 200
    >>> print(explain_weights(y))
    class   rows  weight  share of rows  share of loss
    fine   1,800  0.5556           90 %           50 %
    fraud    200       5           10 %           50 %
    largest / smallest weight: 9
    """
    labels, counts = _label_counts(y, sample_weight, classes)
    weights = class_weights(
        counts,
        class_weight,
        classes=labels,
        power=power,
        beta=beta,
        max_ratio=max_ratio,
    )
    mass = counts * weights
    if not mass.any():
        raise ValueError(
            f"class_weight={class_weight!r} is 0 for every class of y; give one of "
            f"{labels[counts > 0].tolist()} a weight above 0."
        )
    report = WeightReport(
        labels, counts, weights, counts / counts.sum(), mass / mass.sum()
    )
    if report.ratio > MAX_USEFUL_RATIO * (1 + 1e-9):  # max_ratio=10 does not warn
        warn(_ratio_warning(report))
    return report


def _label_counts(
    y: ArrayLike, sample_weight: ArrayLike | None, classes: ArrayLike | None
) -> tuple[NDArray, NDArray[np.float64]]:
    y = as_labels(y)
    if not len(y):
        raise ValueError("y is empty; give the label of one row or more.")
    labels, codes = np.unique(y, return_inverse=True)
    weights = checked_weights(sample_weight, len(y))
    counts = np.bincount(codes, weights, len(labels)).astype(np.float64)
    if classes is None:
        return labels, counts
    classes = checked_classes("classes", classes)
    count_of = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    unknown = sorted(set(count_of) - set(classes.tolist()))
    if unknown:
        raise ValueError(
            f"y holds the labels {unknown}, which classes={classes.tolist()} lacks."
        )
    return classes, np.array([count_of.get(label, 0.0) for label in classes.tolist()])


def _ratio_warning(report: WeightReport) -> str:
    heaviest = np.where(report.counts > 0, report.class_weight, 0.0).argmax()
    return (
        f"The largest class weight is {report.ratio:.3g} times the smallest. Above "
        f"{MAX_USEFUL_RATIO:g}, rare classes are easily predicted too often, a few "
        "rows carry much of the gradient ("
        f"{100 * report.class_prior[heaviest]:.3g} % of them, of class "
        f"{report.classes.tolist()[heaviest]!r}, "
        f"{100 * report.effective_prior[heaviest]:.3g} % of the loss), and the "
        "probabilities are those of the weighted classes. Temper the weights by "
        f"class_weight__power=0.5 or class_weight__max_ratio={MAX_USEFUL_RATIO:g}; "
        "target_prior='train' brings the probabilities back to the data."
    )
