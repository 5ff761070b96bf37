"""Folds and validation rows that keep groups of rows together, and stay stratified.

Rows of a patient, a day or a customer resemble each other. If a network was trained on
a row of a group, its score for the other rows of this group is too good.
:mod:`imbalnet._fit.split` uses these functions if rows have groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heapreplace

import numpy as np
from numpy.typing import NDArray

from imbalnet._warn import warn


@dataclass(frozen=True)
class _Groups:
    """Sizes and rarest classes of groups.

    Attributes
    ----------
    of_row : ndarray of shape (n_rows,)
        The group of each row, from 0 without gaps.
    size : ndarray of shape (n_groups,)
        Number of rows of each group.
    rarest : ndarray of shape (n_groups,)
        The rarest class in each group.
    n_rarest : ndarray of shape (n_groups,)
        Number of rows of that class in the group.
    n_of_class : ndarray of shape (n_classes,)
        Number of rows of each class.
    """

    of_row: NDArray[np.intp]
    size: NDArray[np.intp]
    rarest: NDArray[np.intp]
    n_rarest: NDArray[np.intp]
    n_of_class: NDArray[np.intp]

    @classmethod
    def of(cls, codes: NDArray[np.integer], groups: NDArray[np.integer]) -> _Groups:
        """Count the rows and classes of groups."""
        n_of_class = np.bincount(codes)
        by_count = np.argsort(n_of_class, kind="stable")
        rank = np.empty_like(by_count)
        rank[by_count] = np.arange(len(by_count))
        of_row = np.unique(groups, return_inverse=True)[1]
        size = np.bincount(of_row)
        rarest = np.full(len(size), len(rank))
        np.minimum.at(rarest, of_row, rank[codes])
        is_rarest = rank[codes] == rarest[of_row]
        n_rarest = np.bincount(of_row[is_rarest], minlength=len(size))
        return cls(of_row, size, by_count[rarest], n_rarest, n_of_class)

    def by_rarest_class(
        self, rng: np.random.Generator
    ) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield classes, rarest first, with the groups whose rarest class they are."""
        for code in np.argsort(self.n_of_class, kind="stable"):
            groups = np.flatnonzero(self.rarest == code)
            if len(groups):
                yield int(code), rng.permutation(groups)

    def shares(self, code: int, groups: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the groups' shares of the rows of a class plus those of all rows."""
        of_class = self.n_rarest[groups] / self.n_of_class[code]
        return of_class + self.size[groups] / len(self.of_row)


def grouped_folds(
    codes: NDArray[np.integer],
    groups: NDArray[np.integer],
    n_folds: int,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Assign whole groups to folds of similar sizes and class shares.

    Groups with the rarest class are assigned first, large ones before small ones, each
    to the fold with the smallest sum of its shares of the class and of all rows. Folds
    without the class come first. With more folds than groups, some stay empty.

    :class:`sklearn.model_selection.StratifiedGroupKFold` compares all classes for each
    group and fold in Python, which takes a minute with 100,000 groups; this takes
    half a second.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet._fit.groups import grouped_folds
    >>> codes = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    >>> groups = np.array([7, 7, 8, 8, 8, 9, 9, 5])
    >>> folds = grouped_folds(codes, groups, 2, np.random.default_rng(0))
    >>> sorted(np.bincount(codes[folds == j]).tolist() for j in range(2))
    [[2, 2], [3, 1]]
    """
    dealt = _Groups.of(codes, groups)
    fold = np.full(len(dealt.size), -1, dtype=np.int16)
    for code, members in dealt.by_rarest_class(rng):
        share = dealt.shares(code, members)
        order = np.argsort(-share, kind="stable")
        of_rows = fold[dealt.of_row]
        there = of_rows >= 0
        of_class = np.bincount(of_rows[there & (codes == code)], minlength=n_folds)
        in_all = np.bincount(of_rows[there], minlength=n_folds)
        load = of_class / dealt.n_of_class[code] + in_all / len(codes)
        ties = rng.permutation(n_folds).tolist()
        columns = (of_class > 0).tolist(), load.tolist(), ties, range(n_folds)
        heap = list(zip(*columns, strict=True))
        heapify(heap)
        for group, more in zip(members[order], share[order].tolist(), strict=True):
            _, least, tie, j = heap[0]
            fold[group] = j
            heapreplace(heap, (True, least + more, tie, j))
    return fold[dealt.of_row]


def grouped_split(
    codes: NDArray[np.integer],
    groups: NDArray[np.integer],
    fraction: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Split whole groups into training and validation rows.

    Groups are held out at random as long as they fit into `fraction` of the rows of
    their rarest class. If no group of a class fits, its smallest one is held out. A
    class with a single group stays in training.

    Return the training and the validation rows in ascending order, and the codes of the
    classes without validation rows.
    """
    dealt = _Groups.of(codes, groups)
    is_held = np.zeros(len(dealt.size), dtype=bool)
    for code, members in dealt.by_rarest_class(rng):
        count = dealt.n_of_class[code]
        of_class = dealt.n_rarest[members]
        held = np.count_nonzero(is_held[dealt.of_row] & (codes == code))
        room = max(round(count * fraction), 1) - held
        for group, n_rows in zip(members, of_class.tolist(), strict=True):
            if n_rows <= room:
                is_held[group] = True
                room -= n_rows
                held += n_rows
        if held == 0 and of_class.min() < count:
            is_held[members[of_class.argmin()]] = True
    _leave_classes_in_training(dealt, codes, is_held)
    in_valid = is_held[dealt.of_row]
    n_valid = np.bincount(codes[in_valid], minlength=len(dealt.n_of_class))
    unseen = np.flatnonzero((n_valid == 0) & (dealt.n_of_class > 0))
    return np.flatnonzero(~in_valid), np.flatnonzero(in_valid), unseen


def _leave_classes_in_training(
    dealt: _Groups, codes: NDArray[np.integer], is_held: NDArray[np.bool_]
) -> None:
    """Return the largest group to training if all rows of a class are held out."""
    for code in np.flatnonzero(dealt.n_of_class):
        there = np.bincount(dealt.of_row[codes == code], minlength=len(dealt.size))
        if is_held[there > 0].all():
            is_held[there.argmax()] = False


def classes_of_one_group(
    codes: NDArray[np.integer], groups: NDArray[np.integer]
) -> NDArray[np.intp]:
    """Return the classes whose rows all lie in one group.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet._fit.groups import classes_of_one_group
    >>> classes_of_one_group(np.array([0, 0, 1, 1]), np.array([3, 4, 4, 4]))
    array([1])
    """
    n_classes = codes.max() + 1
    pairs = np.unique(groups.astype(np.int64) * n_classes + codes)
    return np.flatnonzero(np.bincount(pairs % n_classes, minlength=n_classes) == 1)


def warn_of_useless_groups(kind: str) -> None:
    """Warn if groups have no effect; `kind` is that of the validation."""
    if kind == "given":
        warn(
            "groups keeps rows together when validation rows are split off, but X_val "
            "brings its own: leave groups out, and see that X_val has other groups."
        )
    if kind == "none":
        warn(
            "groups keeps rows together when validation rows are split off, but none "
            "are here: leave groups out, or set early_stopping=True or n_members."
        )
