"""Paired differences of cross-validation scores, with corrected intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from imbalnet._checks import as_floats, checked_number, did_you_mean
from imbalnet.metrics._rows import checked_level


class Difference(NamedTuple):
    """Mean score of a candidate, and its mean difference to a reference.

    Attributes
    ----------
    mean : float
        Mean score over the splits that have one.
    difference : float
        Mean difference over the splits in which both have a score.
    low, high : float
        Bounds of the confidence interval of the difference; NaN with fewer than two
        splits.
    n_splits : int
        Number of splits in which both have a score.

    Examples
    --------
    >>> from imbalnet.strategies import paired_differences
    >>> scores = {"plain": [0.50, 0.61, 0.43], "focal": [0.52, 0.62, 0.46]}
    >>> focal = paired_differences(scores, "plain", test_share=0.2)["focal"]
    >>> focal.low > 0  # not significantly better
    False
    >>> print(focal)
    +0.0200 [-0.0129, +0.0529]
    """

    mean: float
    difference: float
    low: float
    high: float
    n_splits: int

    def __str__(self) -> str:
        """Return the difference and its interval as text."""
        return f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def paired_differences(
    scores: Mapping[str, ArrayLike],
    reference: str,
    *,
    test_share: float,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Compare candidates with a reference, on the same splits of the data.

    Scores vary more between splits than between candidates, so that differences on the
    same split are compared. The interval is that of a paired t-test
    with the correction of Nadeau and Bengio [1]_: training sets of different splits
    share rows, so the variance of the mean over n splits is
    ``(1 / n + n_test / n_train) * variance`` instead of ``variance / n``.

    Parameters
    ----------
    scores : dict of str to array-like of shape (n_splits,)
        Scores of each candidate; NaN where a fit failed.
    reference : str
        The candidate that the others are compared with.
    test_share : float
        Share of the rows in the test set of a split, such as 0.2 for five folds.
    level : float, default=0.95
        Confidence level of each interval.

    Returns
    -------
    dict of str to Difference
        In the order of `scores`, including the reference, whose difference is 0.

    Raises
    ------
    ValueError
        If the numbers of scores differ, if `reference` is not a candidate, or if a
        share is not between 0 and 1.

    Notes
    -----
    Each interval is for a single comparison. The score of the best of many candidates
    is optimistic; evaluate it on rows that were not part of the search.

    References
    ----------
    .. [1] Nadeau, Bengio, "Inference for the Generalization Error", Machine Learning
       52, 2003.

    Examples
    --------
    >>> from imbalnet.strategies import paired_differences
    >>> scores = {"plain": [0.50, 0.61, 0.43], "focal": [0.52, 0.62, 0.46]}
    >>> print(paired_differences(scores, "plain", test_share=0.2)["focal"])
    +0.0200 [-0.0129, +0.0529]
    """
    test_share = checked_number("test_share", test_share, 0.0, 1.0, open_low=True)
    level, values = checked_level(level), checked_scores(scores)
    if reference not in list(values):
        meant = did_you_mean(reference, values)
        raise ValueError(
            f"reference={reference!r} must be one of {list(values)}.{meant}"
        )
    base, overlap = values[reference], test_share / (1 - test_share)
    return {n: _difference(v, base, overlap, level) for n, v in values.items()}


def checked_scores(
    scores: Mapping[str, ArrayLike],
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of candidates on the same splits, or raise."""
    if not hasattr(scores, "items") or not len(scores):
        raise ValueError(
            f"scores={scores!r} must be a dict of a candidate's name to its scores, "
            "with one at least."
        )
    values = {name: as_floats(f"scores[{name!r}]", v) for name, v in scores.items()}
    shapes = {array.shape for array in values.values()}
    if len(shapes) > 1 or any(len(shape) != 1 or not shape[0] for shape in shapes):
        raise ValueError(
            "scores must have one score of each split for every candidate, but have "
            f"the shapes {sorted(shapes)}."
        )
    for name, array in values.items():
        if np.isinf(array).any():
            raise ValueError(
                f"scores[{name!r}] holds {array[np.isinf(array)][0]}; give NaN where a "
                "fit failed."
            )
    return values


def _difference(
    values: NDArray[np.float64], base: NDArray[np.float64], overlap: float, level: float
) -> Difference:
    is_scored = ~np.isnan(values)
    mean = float(values[is_scored].mean()) if is_scored.any() else np.nan
    gains = (values - base)[is_scored & ~np.isnan(base)]
    n_splits = len(gains)
    if not n_splits:
        return Difference(mean, np.nan, np.nan, np.nan, 0)
    gain = float(gains.mean())
    if n_splits == 1:
        return Difference(mean, gain, np.nan, np.nan, 1)
    error = gains.std(ddof=1) * np.sqrt(1 / n_splits + overlap)
    half = float(student_t.ppf((1 + level) / 2, n_splits - 1) * error)
    return Difference(mean, gain, gain - half, gain + half, n_splits)
