"""Validation rows and folds, split off before weights or samplers see a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stratified_split(
    codes: NDArray[np.integer], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Split rows into training and validation, class by class.

    Every class of two rows or more has at least one row on either side, which
    :func:`sklearn.model_selection.train_test_split` does not promise: 5 positives
    at ``fraction=0.1`` may leave none for validation there. A class of one row goes
    to training whole.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        Class codes from 0.
    fraction : float
        Share of each class that is held out, in (0, 1).
    rng : numpy.random.Generator
        Draws the rows.

    Returns
    -------
    train, valid : ndarray
        Row numbers in ascending order.
    unsplit : ndarray
        Codes of the classes that are too small to be split.
    """
    valid = []
    unsplit = []
    for code, count in enumerate(np.bincount(codes)):
        if count == 1:
            unsplit.append(code)
        if count < 2:
            continue
        held_out = int(np.clip(round(count * fraction), 1, count - 1))
        rows = np.flatnonzero(codes == code)
        rng.shuffle(rows)
        valid.append(rows[:held_out].copy())  # lets go of the others
    held = np.zeros(len(codes), dtype=bool)
    held[np.concatenate([*valid, np.empty(0, dtype=np.intp)]).astype(np.intp)] = True
    return np.flatnonzero(~held), np.flatnonzero(held), np.array(unsplit, dtype=np.intp)


def stratified_folds(
    codes: NDArray[np.integer], n_folds: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Deal rows to folds, class by class, like cards.

    The folds' sizes differ by one row at most, and so do their rows of each class.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        Class codes from 0.
    n_folds : int
        With more folds than rows, some stay empty.
    rng : numpy.random.Generator
        Shuffles the rows of each class.

    Returns
    -------
    ndarray of shape (n_rows,)
        The fold of each row, from 0 to `n_folds` - 1.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.splitting import stratified_folds
    >>> codes = np.array([0, 0, 0, 0, 1, 1])
    >>> folds = stratified_folds(codes, 2, np.random.default_rng(0))
    >>> [np.bincount(codes[folds == j]).tolist() for j in range(2)]
    [[2, 1], [2, 1]]
    """
    shuffled = rng.permutation(len(codes))
    dealt = shuffled[np.argsort(codes[shuffled], kind="stable")]
    folds = np.empty(len(codes), dtype=np.int16)
    folds[dealt] = np.arange(len(codes)) % n_folds
    return folds
