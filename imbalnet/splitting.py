"""The validation split, made before weights or samplers see a row."""

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
