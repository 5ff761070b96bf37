"""The training data that a fitted model keeps, and how to delete them.

Predictions need some of them, such as the levels of categories. The others serve
further training and evaluation, and can be discarded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from scipy import sparse
from sklearn.utils.validation import check_is_fitted
from torch import nn

from imbalnet._checks import did_you_mean, is_integer
from imbalnet._fit.fitted import Fitted
from imbalnet._fit.rare import without_rare_levels
from imbalnet._state import pack
from imbalnet._tables import Columns, recoded
from imbalnet._text import text_table

__all__ = ["RetainedData", "RetainedItem"]


def __dir__() -> list[str]:
    return sorted(__all__)


DiscardName = Literal["out_of_fold", "first_rows", "optimizer", "history"]


@dataclass(frozen=True)
class RetainedItem:
    """One kind of data that a fitted model keeps.

    Attributes
    ----------
    name : str
        Name of the item, which ``discard`` takes.
    what : str
        Description of the data.
    n_rows : int
        Number of training rows that are kept individually; 0 for summaries of rows.
    n_bytes : int
        Size in memory, which is about the size in a file.
    reason : str
        Methods and attributes that need it.
    can_be_discarded : bool
        Whether predictions are possible without it.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from imbalnet import BalancedNeuralClassifier
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> clf = BalancedNeuralClassifier("linear", n_members=2, random_state=0).fit(X, y)
    >>> item = clf.retained_data()["out_of_fold"]
    >>> item.n_rows, item.reason, item.can_be_discarded
    (300, 'oof_proba_, report_, threshold', True)
    """

    name: str
    what: str
    n_rows: int
    n_bytes: int
    reason: str
    can_be_discarded: bool


@dataclass(frozen=True)
class RetainedData(Sequence[RetainedItem]):
    """The training data that a fitted model keeps; print it.

    Parameters
    ----------
    items : tuple of RetainedItem
        The items; those that predictions need come first.

    Attributes
    ----------
    n_bytes : int
        Memory of all items.

    Examples
    --------
    >>> from imbalnet.retention import RetainedData, RetainedItem
    >>> item = RetainedItem("history", "5 epochs", 0, 800, "history_", True)
    >>> kept = RetainedData((item,))
    >>> kept["history"].n_bytes, kept.n_bytes, "optimizer" in kept
    (800, 800, False)
    >>> print(kept)
    name     rows  bytes  needed by            what
    history     0    800  history_ (optional)  5 epochs
    """

    items: tuple[RetainedItem, ...]

    def __post_init__(self) -> None:
        is_iterable = isinstance(self.items, list | tuple)
        if not is_iterable or not all(isinstance(i, RetainedItem) for i in self.items):
            raise ValueError(f"items={self.items!r} must be a tuple of RetainedItem.")

    @property
    def n_bytes(self) -> int:
        """Memory of all items."""
        return sum(item.n_bytes for item in self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: Any) -> Any:
        """Return an item by its name or position."""
        if isinstance(key, slice) or is_integer(key):
            return self.items[key]
        if not isinstance(key, str):
            raise TypeError(f"{key!r} must be the name of an item, or its position.")
        found = {item.name: item for item in self.items}
        if key not in found:
            raise KeyError(f"{key!r} is not kept; there is {sorted(found)}.")
        return found[key]

    def __iter__(self) -> Iterator[RetainedItem]:
        return iter(self.items)

    def __contains__(self, name: object) -> bool:
        return any(name in (item, item.name) for item in self.items)

    def __str__(self) -> str:
        rows = [("name", "rows", "bytes", "needed by", "what")]
        for item in self.items:
            optional = " (optional)" if item.can_be_discarded else ""
            numbers = f"{item.n_rows:,}", f"{item.n_bytes:,}"
            rows.append((item.name, *numbers, item.reason + optional, item.what))
        return text_table(rows, numbers=slice(1, 3))


class RetentionMixin:
    """Methods that list and discard the training data that an estimator keeps."""

    _fitted: Fitted
    _columns: Columns
    _keep: Callable[[Fitted], None]
    _chosen_threshold: Callable[[], float]
    threshold: Any

    def retained_data(self) -> RetainedData:
        """List the training data that the fitted model keeps, and why.

        Objects that you pass as parameters, such as callbacks or splits of `cv`, are
        not listed.

        Returns
        -------
        RetainedData
            A sequence of items, see :class:`imbalnet.retention.RetainedItem`.

        Examples
        --------
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(300, weights=[0.9], random_state=0)
        >>> clf = BalancedNeuralClassifier("linear", n_members=2).fit(X, y)
        >>> [(item.name, item.n_rows) for item in clf.retained_data()]
        [('classes', 0), ('network', 0), ('out_of_fold', 300), ('history', 0)]
        """
        check_is_fitted(self)
        return retained_data(self._fitted, self._columns)

    def discard(self, *names: DiscardName) -> Any:
        """Delete training data that predictions do not need.

        Predictions are bit for bit the same afterwards, and so is ``threshold_`` for
        the present `threshold` and `target_prior`.

        Parameters
        ----------
        *names : str
            "out_of_fold": probabilities, labels, weights and folds of the training
            rows; afterwards there is no ``oof_proba_`` or ``report_``, and no other
            `threshold` can be chosen. "first_rows": the rows that ``partial_fit``
            keeps for levels and scales of the columns; afterwards, it continues without
            them. "optimizer": the moving averages of the optimiser; ``partial_fit``
            then restarts them. "history": losses and scores of the epochs
            (``history_``). Without names, all of these.

        Returns
        -------
        BalancedNeuralClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a name is unknown, or is that of data that predictions need.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(300, weights=[0.9], random_state=0)
        >>> clf = BalancedNeuralClassifier("linear", n_members=2).fit(X, y)
        >>> before = clf.predict_proba(X)
        >>> "out_of_fold" in clf.discard("out_of_fold").retained_data()
        False
        >>> np.array_equal(clf.predict_proba(X), before)
        True
        """
        check_is_fitted(self)
        _check_names(names)
        if self.threshold is not None:
            self._chosen_threshold()
        fitted, self._columns = discarded(
            self._fitted, self._columns, names or tuple(_DISCARD)
        )
        self._keep(fitted)
        return self


def retained_data(fitted: Fitted, columns: Columns) -> RetainedData:
    """Return the training data that a fitted model keeps.

    Parameters
    ----------
    fitted : Fitted
        The result of training.
    columns : Columns
        Kinds and levels of the columns.
    """
    found = [
        _of_classes(fitted),
        _of_columns(columns),
        _of_network(fitted),
        _of_neighbors(fitted),
        _of_out_of_fold(fitted),
        _of_first_rows(fitted),
        _of_optimizer(fitted),
        _of_history(fitted),
    ]
    return RetainedData(tuple(item for item in found if item is not None))


def _of_classes(fitted: Fitted) -> RetainedItem:
    calibration = replace(fitted.calibration, neighbors=None)
    n_bytes = _n_bytes([fitted.data_counts, fitted.class_counts, calibration])
    what = f"counts of {len(fitted.data_counts)} classes, and what was fitted to scores"
    return RetainedItem("classes", what, 0, n_bytes, "predict_proba", False)


def _of_columns(columns: Columns) -> RetainedItem | None:
    n_levels = [len(known.values) for known in columns.levels if known is not None]
    if not n_levels and not columns.shifts:
        return None
    parts = [f"{sum(n_levels):,} levels of {len(n_levels)} columns"] * bool(n_levels)
    parts += [f"centres of {len(columns.shifts)} columns"] * bool(columns.shifts)
    what, n_bytes = ", ".join(parts), _n_bytes(columns)
    return RetainedItem("columns", what, 0, n_bytes, "predict_proba", False)


def _of_network(fitted: Fitted) -> RetainedItem:
    """Return the item of the network: weights, and statistics of columns (buffers)."""
    module: nn.Module = fitted.net.module_
    n_bytes = sum(tensor.nbytes for tensor in module.state_dict().values())
    what = f"{fitted.net.n_parameters:,} weights; scales and bin edges of columns"
    return RetainedItem("network", what, 0, n_bytes, "predict_proba", False)


def _of_neighbors(fitted: Fitted) -> RetainedItem | None:
    neighbors = fitted.calibration.neighbors
    if neighbors is None:
        return None
    n_rows, n_columns = neighbors.points.shape
    what = f"rows, scaled to {n_columns} columns, with labels; none with n_neighbors=0"
    n_bytes = _n_bytes(neighbors)
    return RetainedItem("neighbors", what, n_rows, n_bytes, "predict_proba", False)


def _of_out_of_fold(fitted: Fitted) -> RetainedItem | None:
    rows = fitted.out_of_fold
    if rows is None:
        return None
    what, n_rows = "probabilities, labels, weights and folds", len(rows.member_of_rows)
    reason = "oof_proba_, report_, threshold"
    return RetainedItem("out_of_fold", what, n_rows, _n_bytes(rows), reason, True)


def _of_first_rows(fitted: Fitted) -> RetainedItem | None:
    if fitted.gathered is None:
        return None
    what, n_rows = "whole rows, with labels and weights", len(fitted.gathered.rows)
    n_bytes = _n_bytes(fitted.gathered)
    return RetainedItem("first_rows", what, n_rows, n_bytes, "partial_fit", True)


def _of_optimizer(fitted: Fitted) -> RetainedItem | None:
    state = fitted.net.optimizer_state()
    if not state:
        return None
    values = [value for of_one in state.values() for value in of_one.values()]
    n_bytes = sum(getattr(value, "nbytes", 0) for value in values)
    what = "averages of gradients"
    return RetainedItem("optimizer", what, 0, n_bytes, "partial_fit", True)


def _of_history(fitted: Fitted) -> RetainedItem | None:
    if "history" in fitted.discarded:
        return None
    history = fitted.net.history
    what, n_bytes = f"losses and scores of {len(history)} epochs", _n_bytes(history)
    return RetainedItem("history", what, 0, n_bytes, "history_", True)


def _n_bytes(value: Any) -> int:
    """Return the size of a value in a file."""
    packed = pack(value)
    arrays = list(packed["arrays"])
    for table in filter(sparse.issparse, packed["objects"]):
        arrays += [table.data, table.indices, table.indptr]
    return len(packed["content"]) + sum(array.nbytes for array in arrays)


def discarded(
    fitted: Fitted, columns: Columns, names: Sequence[str]
) -> tuple[Fitted, Columns]:
    """Return a fitted model without some items; the net is changed in place.

    Parameters
    ----------
    fitted : Fitted
        The result of training.
    columns : Columns
        Kinds and levels of the columns.
    names : sequence of str
        Names of items that can be discarded.
    """
    for name in names:
        fitted, columns = _DISCARD[name](fitted, columns)
    gone = dict.fromkeys([*fitted.discarded, *names])
    return replace(fitted, discarded=tuple(gone)), columns


def _check_names(names: Sequence[str]) -> None:
    unknown = [n for n in names if not isinstance(n, str) or n not in _DISCARD]
    if unknown:
        raise ValueError(
            f"discard({unknown[0]!r}) is not possible: there is {list(_DISCARD)}. What "
            "else retained_data() lists, predictions need."
            f"{did_you_mean(unknown[0], _DISCARD)}"
        )


def _without_out_of_fold(fitted: Fitted, columns: Columns) -> tuple[Fitted, Columns]:
    """Delete the rows; thresholds chosen on them stay, in files too."""
    kept = dict(fitted.thresholds)
    return replace(fitted, out_of_fold=None, thresholds=kept), columns


def _without_first_rows(fitted: Fitted, columns: Columns) -> tuple[Fitted, Columns]:
    if fitted.gathered is None:
        return fitted, columns
    rows = recoded(fitted.gathered.rows, columns)
    module, neighbors = fitted.net.module_, fitted.calibration.neighbors
    columns = without_rare_levels(columns, module, neighbors, rows)
    return replace(fitted, gathered=None), columns


def _without_optimizer(fitted: Fitted, columns: Columns) -> tuple[Fitted, Columns]:
    fitted.net.release_optimizer()
    return fitted, columns


def _without_history(fitted: Fitted, columns: Columns) -> tuple[Fitted, Columns]:
    """Delete the records of the epochs; their number seeds further training."""
    history = fitted.net.history
    bare = [{"batches": [], "epoch": i + 1} for i in range(len(history))]
    fitted.net.history = type(history)(bare)
    return fitted, columns


_DISCARD: dict[str, Callable[[Fitted, Columns], tuple[Fitted, Columns]]] = {
    "out_of_fold": _without_out_of_fold,
    "first_rows": _without_first_rows,
    "optimizer": _without_optimizer,
    "history": _without_history,
}
