"""Step 1: split off validation rows and folds, before weights and samplers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imbalnet._fit.copies import find_copies
from imbalnet._fit.groups import classes_of_one_group, grouped_folds, grouped_split
from imbalnet._fit.specs import Splits, Validation
from imbalnet._tables import Rows
from imbalnet._warn import warn

# A fold of whole groups is stratified if its class counts differ by at most this share.
_MOST_UNEVEN = 0.2
# Most validation rows of a table that is not in memory, in windows of training rows.
_OF_WINDOW = 0.5


@dataclass(frozen=True)
class HeldOut:
    """Rows that training is validated by.

    Attributes
    ----------
    rows : Rows
        The rows, with their sample weights.
    folds : ndarray of shape (n_rows,) or None
        The member that holds out each row, and trains on all others; -1 for rows that
        every member trains on. None means that no member trains on any of the rows.
    are_apart : bool, default=False
        Whether rows of a fold may belong together, like those of a group. Then they
        are no neighbours of each other, and folds may differ in their class shares.
    """

    rows: Rows
    folds: NDArray[np.integer] | None = None
    are_apart: bool = False

    @property
    def judged(self) -> HeldOut:
        """The rows that some member holds out."""
        if self.folds is None or self.folds.min() >= 0:
            return self
        rows, folds = self.rows.subset(self.held), self.folds[self.held]
        return replace(self, rows=rows, folds=folds)

    @property
    def held(self) -> NDArray[np.intp]:
        """Positions of the rows that some member holds out."""
        if self.folds is None:
            return np.arange(len(self.rows))
        return np.flatnonzero(self.folds >= 0)

    def stratified(self, n_members: int, n_classes: int) -> NDArray[np.bool_]:
        """Return which folds have the class shares of all rows, up to a fifth."""
        if self.folds is None or not self.are_apart:
            return np.ones(n_members, dtype=bool)
        rows, folds = self.judged.rows, self.judged.folds
        assert folds is not None
        cell = folds.astype(np.intp) * n_classes + rows.of(rows.codes)
        weight = rows.of(rows.weights)
        found = np.bincount(cell, weight / weight.mean(), n_members * n_classes)
        found = found.reshape(n_members, n_classes)
        shares = found.sum(axis=0) / found.sum()
        expected = found.sum(axis=1, keepdims=True) * shares
        allowed = np.maximum(_MOST_UNEVEN * expected, 1)
        return (np.abs(found - expected) <= allowed).all(axis=1)

    def known(self, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the judged rows have a class that their member trains on.

        `seen`, of shape (members, n_classes), is whether a member trains on a class.
        """
        judged = self.judged
        codes = judged.rows.of(judged.rows.codes).astype(np.intp)
        folds = judged.folds
        return seen.max(axis=0)[codes] if folds is None else seen[folds, codes]

    def counts(self, seen: NDArray[np.bool_]) -> NDArray[np.integer]:
        """Return the number of :meth:`known` rows of each class."""
        rows = self.judged.rows
        codes = rows.of(rows.codes)[self.known(seen)]
        return np.bincount(codes, minlength=seen.shape[1])


def split_off(
    rows: Rows,
    given: Rows | None,
    validation: Validation,
    n_members: int,
    classes: NDArray,
    seed: int,
) -> tuple[Rows, HeldOut | None]:
    """Return the training rows, and the held-out rows.

    With folds, the training rows of member j are those outside fold j. Rows of a group
    stay together, and so do copies that oversampling made.
    """
    if given is not None:
        return rows, HeldOut(given)
    if validation.kind == "none":
        return rows, None
    if validation.splits is not None:
        return _as_given(rows, validation.splits)
    rng = np.random.default_rng(seed)
    if rows.is_large:
        return _in_two_of_large(rows, validation.fraction, classes, rng)
    groups = rows.groups if rows.groups is None else rows.of(rows.groups)
    if groups is None:
        groups = find_copies(rows, len(classes))
    elif validation.kind == "folds":
        _check_groups(rows.of(rows.codes), groups, n_members, classes)
    if validation.kind == "folds":
        return rows, _in_folds(rows, groups, n_members, rng)
    return _in_two(rows, groups, validation.fraction, classes, rng)


def _as_given(rows: Rows, splits: Splits) -> tuple[Rows, HeldOut]:
    """Hold out the rows of the user's splits."""
    if splits.last is None:
        return rows, HeldOut(rows, splits.folds, are_apart=True)
    train, valid = splits.last
    return rows.subset(train), HeldOut(rows.subset(valid))


def _in_folds(
    rows: Rows,
    groups: NDArray[np.integer] | None,
    n_members: int,
    rng: np.random.Generator,
) -> HeldOut:
    """Assign all rows to folds."""
    codes = rows.of(rows.codes)
    if groups is None:
        return HeldOut(rows, stratified_folds(codes, n_members, rng))
    folds = grouped_folds(codes, groups, n_members, rng)
    return HeldOut(rows, folds, are_apart=True)


def _check_groups(
    codes: NDArray[np.integer],
    groups: NDArray[np.integer],
    n_members: int,
    classes: NDArray,
) -> None:
    """Raise if there are fewer groups than folds; warn of classes with one group."""
    n_groups = len(np.unique(groups))
    if n_groups < n_members:
        cure = f"set n_members={n_groups}, or " if n_groups > 1 else "set "
        raise ValueError(
            f"groups has {n_groups} groups, fewer than the n_members={n_members} folds "
            f"that are to keep them whole; {cure}early_stopping=False to train all "
            "members on all rows."
        )
    alone = _of_several_rows(classes_of_one_group(codes, groups), codes)
    if len(alone):
        warn(
            f"The classes {classes[alone].tolist()} lie in a single group each: the "
            "member that holds this group out does not know the class, so that "
            "out-of-fold scores say nothing about it."
        )


def _in_two_of_large(
    rows: Rows, fraction: float, classes: NDArray, rng: np.random.Generator
) -> tuple[Rows, HeldOut]:
    """Hold out no more rows than fit into memory, the same for all members."""
    most = _OF_WINDOW * rows.X.window_rows / len(rows)
    train, held_out = _in_two(rows, None, min(fraction, most), classes, rng)
    return train, HeldOut(held_out.rows.loaded())


def _in_two(
    rows: Rows,
    groups: NDArray[np.integer] | None,
    fraction: float,
    classes: NDArray,
    rng: np.random.Generator,
) -> tuple[Rows, HeldOut]:
    """Split rows into training and validation rows."""
    codes = rows.of(rows.codes)
    unit = "row" if rows.groups is None else "group"
    if groups is None:
        train, valid, unsplit = stratified_split(codes, fraction, rng)
    else:
        train, valid, unsplit = grouped_split(codes, groups, fraction, rng)
    if not len(valid):
        raise ValueError(
            f"early_stopping needs validation rows, but no class has two {unit}s to "
            "split; set early_stopping=False or give X_val and y_val."
        )
    unsplit = _of_several_rows(unsplit, codes)
    if len(unsplit):
        warn(
            f"The classes {classes[unsplit].tolist()} have a single {unit} each, which "
            "stays in training: validation does not see them."
        )
    return rows.subset(train), HeldOut(rows.subset(valid))


def _of_several_rows(
    some: NDArray[np.intp], codes: NDArray[np.integer]
) -> NDArray[np.intp]:
    """Leave out classes of a single row, which have a warning of their own."""
    return some[np.bincount(codes)[some] > 1]


def stratified_split(
    codes: NDArray[np.integer], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Split rows into training and validation, class by class.

    Every class of two or more rows has at least one row on either side.
    :func:`sklearn.model_selection.train_test_split` does not ensure this: with 5
    positives and ``fraction=0.1``, it may leave none for validation. A single row of a
    class stays in training. Return the training and the validation rows in ascending
    order, and the codes of the classes that are too small to be split.
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
        valid.append(rows[:held_out].copy())  # a view would keep all of them in memory
    held = np.zeros(len(codes), dtype=bool)
    held[np.concatenate([*valid, np.empty(0, dtype=np.intp)]).astype(np.intp)] = True
    return np.flatnonzero(~held), np.flatnonzero(held), np.array(unsplit, dtype=np.intp)


def stratified_folds(
    codes: NDArray[np.integer], n_folds: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Assign rows to folds, class by class, in turns.

    The sizes of the folds differ by at most one row, and so do their numbers of rows of
    a class. With more folds than rows, some stay empty.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet._fit.split import stratified_folds
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
