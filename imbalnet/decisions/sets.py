"""Prediction sets with a given coverage, from held-out rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import and_more, checked_number
from imbalnet._warn import warn
from imbalnet.metrics._rows import as_codes_and_probabilities


def conformal_thresholds(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    alpha: float = 0.1,
    *,
    classes: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Compute the probability of each class from which on it is in a prediction set.

    The prediction sets are ``predict_proba(X) >= thresholds``. Of the rows of each
    class, frequent or rare, a share of at least ``1 - alpha`` has the true class in its
    set, whatever the quality of the probabilities. This is label-conditional (Mondrian)
    conformal prediction [1]_: the threshold of a class with n held-out rows is the
    ``floor(alpha * (n + 1))``-th smallest of their probabilities of this class.

    The share is an expectation over held-out and new rows, which must be exchangeable
    within each class. Class frequencies may change, and so may `target_prior`, if the
    probabilities of both are under the same one. The guarantee is not exact for
    ``oof_proba_``, because held-out rows have the probabilities of one member, and new
    rows the mean of all members, which is mostly better; see :ref:`prediction-sets` for
    measured shares.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels.
    probabilities : array-like of shape (n_rows, n_classes) or (n_rows,)
        Held-out probabilities, such as ``oof_proba_``. A single axis holds those of the
        second of two classes.
    alpha : float, default=0.1
        Share of the rows of each class whose set may lack the true class.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the columns; None is the sorted labels of `y_true`.

    Returns
    -------
    ndarray of shape (n_classes,)
        The lowest probability with which each class is in a set. It is 0 for classes
        with fewer than ``1 / alpha - 1`` rows, which are in all sets.

    Raises
    ------
    ValueError
        If the arrays do not fit together, if `probabilities` does not hold
        probabilities, if a label is not in `classes`, or if `alpha` does not lie
        between 0 and 1.

    Warns
    -----
    UserWarning
        If a class has too few rows for a threshold.

    See Also
    --------
    choose_threshold : A threshold for decisions between two classes.

    References
    ----------
    .. [1] Vovk, Gammerman, Shafer, "Algorithmic learning in a random world", Springer,
       2005.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.decisions import conformal_thresholds
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 2.0, size=20_000)
    >>> y = (rng.random(20_000) < p).astype(int)
    >>> p, y, p_new, y_new = p[:10_000], y[:10_000], p[10_000:], y[10_000:]
    >>> thresholds = conformal_thresholds(y, p, alpha=0.1)
    >>> sets = np.column_stack([1 - p_new, p_new]) >= thresholds
    >>> [round(float(sets[y_new == c, c].mean()), 2) for c in (0, 1)]
    [0.9, 0.9]
    """
    alpha = checked_number("alpha", alpha, 0.0, 1.0, open_low=True)
    codes, rows, known = as_codes_and_probabilities(y_true, probabilities, classes)
    of_classes = [np.sort(rows[codes == k, k]) for k in range(len(known))]
    ranks = [_rank(len(of_class), alpha) for of_class in of_classes]
    few = known[np.array(ranks) == 0].tolist()
    if few:
        warn(
            f"All sets hold the classes {and_more([*map(repr, few)], 6)}: each has "
            "fewer than the "
            f"{int(np.ceil(1 / alpha - 1))} rows that alpha={alpha:g} takes."
        )
    pairs = zip(of_classes, ranks, strict=True)
    lowest = [of_class[rank - 1] if rank else 0.0 for of_class, rank in pairs]
    columns = known if classes is None else np.asarray(classes).ravel()
    return np.array(lowest)[np.searchsorted(known, columns)]


def _rank(n_rows: int, alpha: float) -> int:
    """Return the rank, from 1, of the probability that is the threshold, or 0."""
    rounding = 1e-9
    return int(alpha * (n_rows + 1) + rounding)
