"""Report on the columns of a table, before ``fit``.

:func:`check_table` reads a table as the estimator does, and reports for each column
whether it counts as a number or a category, why, and what the user may want to change.
``fit`` warns with the same notes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._packages import require
from imbalnet._tables import ColumnRules, Reading, column_names, table_reader
from imbalnet._tables.find import CATEGORY, ORDERED, ColumnFinder
from imbalnet._tables.labels import as_labels, check_rows, notes_on_positive
from imbalnet._tables.notes import note_of_constant
from imbalnet._tables.readers import TIMES_CURE, Reader
from imbalnet._text import html_list, html_table, text_table

__all__ = ["ColumnReport", "TableReport", "check_table"]


def __dir__() -> list[str]:
    return sorted(__all__)


_MOST_EXAMPLES = 3
_MOST_CHARACTERS = 40
# With fewer rows, a column may agree with the labels by chance.
_FEWEST_ROWS = 20
_LABEL = (
    "as many values as there are classes, each with its own: the label itself? Drop it "
    "unless it is known before the label is."
)
# Whole numbers at random would repeat less often than this with a chance of exp(-10).
_EXPECTED_REPEATS = 10
_IDENTIFIER = (
    "whole numbers of which none repeats: an identifier, or the number of the row? "
    "Then drop it, because it says nothing about other rows."
)
_HEADERS = "column", "taken for", "why", "missing", "values"


@dataclass(frozen=True)
class ColumnReport:
    """How ``fit`` reads one column.

    Attributes
    ----------
    name : object
        Name of the column; its position if it has none.
    kind : {"number", "two values", "category", "ordered", "constant", "empty", \
            "unusable"}
        How the column is read. "two values" are numbers, too. "ordered" are categories
        of an ordered dtype, which become numbers, their position in the order.
        "unusable" columns raise an error in ``fit``.
    why : str
        Reason: the dtype, the values, or the parameter.
    n_values : int or None
        Number of levels of a category; None for numbers.
    n_missing : int
        Number of missing values.
    examples : tuple
        The most frequent levels, or the smallest number, the median and the largest.
    notes : tuple of str
        What you may want to change in it, and how.

    Examples
    --------
    >>> import pandas as pd
    >>> from imbalnet import check_table
    >>> X = pd.DataFrame({"amount": ["1.5", "20", "3"], "city": ["Ulm", "Bonn", "Ulm"]})
    >>> amount, city = check_table(X, categorical_features=["city"]).columns
    >>> amount.taken_for, amount.examples
    ('number', (1.5, 3.0, 20.0))
    >>> city.taken_for, city.why
    ('category, 2 levels', 'named in categorical_features')
    """

    name: Any
    kind: str
    why: str
    n_values: int | None
    n_missing: int
    examples: tuple[Any, ...]
    notes: tuple[str, ...] = ()

    @property
    def taken_for(self) -> str:
        """The kind in words, with the number of levels."""
        if self.kind in ("category", "ordered"):
            return f"{self.kind}, {self.n_values:,} levels"
        return self.kind


@dataclass(frozen=True)
class TableReport:
    """How ``fit`` reads the columns of a table; see :func:`check_table`.

    It is shown as a table with a row for each column, followed by the notes.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    columns : tuple of ColumnReport
        The columns in their order.
    classes : dict or None
        Number of rows of each class; None without labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from imbalnet import check_table
    >>> X = pd.DataFrame({"age": [31, None, 54], "country": ["DE", "DE", "DE"]})
    >>> report = check_table(X)
    >>> report.to_frame()[["kind", "n_missing"]]
                   kind  n_missing
    column
    age      two values          1
    country    constant          0
    >>> print(report.notes[0])
    'country': one value, without effect ...
    """

    n_rows: int
    columns: tuple[ColumnReport, ...]
    classes: dict[Any, int] | None = None

    @property
    def notes(self) -> list[str]:
        """What you may want to change in labels and columns, and how."""
        counts = self.classes or {}
        notes = notes_on_positive([*counts], [*counts.values()])
        notes += [f"{c.name!r}: {note}" for c in self.columns for note in c.notes]
        return notes

    def to_frame(self) -> Any:
        """Return the report as a pandas frame, with a row for each column.

        Returns
        -------
        pandas.DataFrame
            Indexed by the names of the columns.
        """
        pd = require("pandas", use="to_frame()", cure="imbalnet[tables]")

        rows = [
            {
                "kind": column.kind,
                "why": column.why,
                "n_values": column.n_values,
                "n_missing": column.n_missing,
                "examples": column.examples,
                "notes": " ".join(column.notes),
            }
            for column in self.columns
        ]
        index = pd.Index([column.name for column in self.columns], name="column")
        frame = pd.DataFrame(rows, index=index, columns=[*rows[0]])
        return frame.astype({"n_values": "Int64"})

    def __str__(self) -> str:
        lines = [self._headline, "", text_table(self._lines)]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return (
            f"<p>{escape(self._headline)}</p>{html_table(self._lines)}"
            f"{html_list(self.notes)}"
        )

    @property
    def _lines(self) -> list[tuple[str, ...]]:
        return [_HEADERS, *(self._cells(column) for column in self.columns)]

    @property
    def _headline(self) -> str:
        line = f"{self.n_rows:,} rows, {len(self.columns):,} columns"
        if self.classes is None:
            return line
        classes = (
            f"{label!r} in {n:,} rows ({n / self.n_rows:.2%})"
            for label, n in self.classes.items()
        )
        return f"{line}; classes: {', '.join(classes)}"

    def _cells(self, column: ColumnReport) -> tuple[str, ...]:
        missing = _percent(column.n_missing, self.n_rows)
        between = " .. " if column.kind == "number" else ", "
        values = between.join(_short(value) for value in column.examples)
        name, why = str(column.name), column.why
        return _cut(name), column.taken_for, _cut(why), missing, values


def check_table(
    X: Any,
    y: ArrayLike | None = None,
    categorical_features: Any = "from_dtype",
) -> TableReport:
    """Report which columns of a table count as numbers or categories, and why.

    Nothing is trained. The notes are the warnings of ``fit``: numbers and dates that
    are stored as words, words that hardly repeat, and columns with one value or none.
    Anything that would raise an error in ``fit`` is a note, too, and so are whole
    numbers of which none repeats, such as identifiers.

    Parameters
    ----------
    X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
        The table, as given to ``fit``.
    y : array-like of shape (n_rows,), default=None
        Labels. With labels, the report counts the classes. It also notes columns that
        reveal the label, because each class has its own single value, and a positive
        class that is the frequent one.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns that hold categories, as in
        :class:`~imbalnet.BalancedNeuralClassifier`.

    Returns
    -------
    TableReport
        Print it, or convert it by ``to_frame()``.

    Raises
    ------
    ValueError
        If X is not a table, if `y` has another length than X, or if
        `categorical_features` names columns that X does not have.

    Examples
    --------
    >>> import pandas as pd
    >>> from imbalnet.tables import check_table
    >>> X = pd.DataFrame({"age": [31, None, 54], "city": ["Ulm", "Bonn", "Ulm"]})
    >>> print(check_table(X, y=[0, 0, 1], categorical_features=["city"]))
    3 rows, 2 columns; classes: 0 in 2 rows (66.67%), 1 in 1 rows (33.33%)
    <BLANKLINE>
    column  taken for           why                            missing  values
    age     two values          dtype float64                  33.3%    31, 54
    city    category, 2 levels  named in categorical_features           'Ulm', 'Bonn'
    """
    rules = ColumnRules(categorical_features, missing=True)
    reader = table_reader(X, Reading(rules, np.float32, "check_table"))
    if not reader.n_rows or not reader.names:
        raise ValueError(
            f"X has {reader.n_rows} rows (0 sample(s) are too few) and "
            f"{len(reader.names)} columns; give a table with one of each at least."
        )
    classes, codes = _classes(y, reader.n_rows)
    finder = ColumnFinder(
        reader, rules.kinds(reader), np.float32, are_meant=rules.names_categories
    )
    names = column_names(X) or reader.names
    columns = [_report(finder, i, names[i], codes) for i in range(len(names))]
    return TableReport(reader.n_rows, tuple(columns), classes)


def _classes(
    y: ArrayLike | None, n_rows: int
) -> tuple[dict[Any, int] | None, NDArray[np.intp] | None]:
    """Return the number of rows of each class, and the class code of each row."""
    if y is None:
        return None, None
    labels = as_labels(y)
    check_rows("X", n_rows, "y", len(labels))
    values, codes = np.unique(labels, return_inverse=True)
    counts = np.bincount(codes).tolist()
    return dict(zip(values.tolist(), counts, strict=True)), codes


def _report(
    finder: ColumnFinder, i: int, name: Any, codes: NDArray[np.intp] | None
) -> ColumnReport:
    """Read a column as ``fit`` does, and report on it."""
    reader, n_notes = finder.reader, len(finder.notes)
    is_time = reader.is_time(i)
    try:
        values = np.empty(0) if is_time else finder.column(i).astype(np.float64)
    except (TypeError, ValueError):
        fault = "neither numbers nor categories: an error. Encode it, or drop it."
        return _unusable(reader, i, name, fault)
    levels = finder.levels.get(i)
    if is_time or (levels is not None and levels.hold_times):
        return _unusable(reader, i, name, f"dates or times: an error. {TIMES_CURE}")
    if levels is None:
        report = _of_numbers(finder, i, name, values)
    else:
        report = _of_levels(finder, i, name, values)
    notes = [str(note) for note in finder.notes[n_notes:]]
    if codes is not None and _is_label(values, codes):
        notes.append(_LABEL)
    return replace(report, notes=(*notes, *report.notes))


def _unusable(reader: Reader, i: int, name: Any, fault: str) -> ColumnReport:
    return ColumnReport(
        name, "unusable", f"dtype {reader.dtypes[i]}", None, 0, (), (fault,)
    )


def _of_numbers(
    finder: ColumnFinder, i: int, name: Any, values: NDArray[np.float64]
) -> ColumnReport:
    shift, dtype = finder.shifts.get(i), finder.reader.dtypes[i]
    why = f"dtype {dtype}"
    if shift is not None:
        values = shift.undo(values)
        why += f", centred at {shift.center:g}" if shift.center else ""
        why += f", scaled by {1 / shift.scale:g}" if shift.scale != 1 else ""
    present = values[~np.isnan(values)]
    notes = []
    if np.isinf(present).any():
        notes.append("infinite values: an error, unless module__clip=True takes them.")
    elif _is_identifier(present):
        notes.append(_IDENTIFIER)
    kind = _kind_of_numbers(present, len(values))
    examples = _examples(present, kind)
    # a sparse matrix may well have columns without entries
    if kind in ("constant", "empty") and not dtype.startswith("sparse"):
        notes.append(str(note_of_constant(name, examples[0] if examples else None)))
    n_missing = len(values) - len(present)
    return ColumnReport(name, kind, why, None, n_missing, examples, tuple(notes))


def _is_identifier(present: NDArray[np.float64]) -> bool:
    """Whether whole numbers are so close together that some would repeat by chance.

    Of n numbers drawn at random from a range of R, about n**2 / (2 R) pairs are equal.
    """
    if len(present) < _FEWEST_ROWS or (present != np.rint(present)).any():
        return False
    n_possible = np.ptp(present) + 1
    expected = len(present) ** 2 / (2 * n_possible)
    if expected < _EXPECTED_REPEATS:
        return False
    return len(np.unique(present)) == len(present)


def _kind_of_numbers(present: NDArray[np.float64], n_rows: int) -> str:
    if not len(present):
        return "empty"
    others = present[present != present[0]]
    if not len(others):
        return "constant" if len(present) == n_rows else "number"
    return "two values" if (others == others[0]).all() else "number"


def _examples(present: NDArray[np.float64], kind: str) -> tuple[float, ...]:
    if kind == "empty":
        return ()
    low, high = present.min().item(), present.max().item()
    if kind == "number":
        return low, np.quantile(present, 0.5, method="lower").item(), high
    return (low,) if kind == "constant" else (low, high)


def _of_levels(
    finder: ColumnFinder, i: int, name: Any, values: NDArray[np.float64]
) -> ColumnReport:
    known = finder.levels[i].values
    is_present = values < len(known)  # NaN is not
    n_rows = np.bincount(values[is_present].astype(np.intp), minlength=len(known))
    ranked = np.argsort(-n_rows, kind="stable")[: min(_MOST_EXAMPLES, len(known))]
    n_missing = int((~is_present).sum())
    kind, notes = finder.kinds[i], []
    if not n_rows.any() or n_rows.max() == len(values):
        kind = "constant" if n_rows.any() else "empty"
        example = known[ranked[0]] if n_rows.any() else None
        notes = [str(note_of_constant(name, example))]
    why = f"dtype {finder.reader.dtypes[i]}"
    if finder.are_meant and finder.kinds[i] == CATEGORY:
        why = "named in categorical_features"
    elif finder.kinds[i] == ORDERED:
        why += ", which has an order"
    examples = tuple(known[code] for code in ranked if n_rows[code])
    n_values, as_tuple = len(known), tuple(notes)
    return ColumnReport(name, kind, why, n_values, n_missing, examples, as_tuple)


def _is_label(values: NDArray[np.float64], codes: NDArray[np.intp]) -> bool:
    """Whether a column has as many values as there are classes, each with its own."""
    is_present = np.isfinite(values)
    if is_present.sum() < _FEWEST_ROWS:
        return False
    distinct, places = np.unique(values[is_present], return_inverse=True)
    n_classes = codes.max() + 1
    if len(distinct) != n_classes:
        return False
    return len(np.unique(places * n_classes + codes[is_present])) == n_classes


def _percent(n: int, of: int) -> str:
    """Return a share as text; empty for 0."""
    if not n:
        return ""
    return "<0.1%" if n / of < 5e-4 else f"{n / of:.1%}"


def _short(value: Any) -> str:
    """Return a value as text that fits into a cell."""
    if not isinstance(value, float):
        return _cut(repr(value))
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.12g}"  # timestamps


def _cut(text: str) -> str:
    is_long = len(text) > _MOST_CHARACTERS
    return f"{text[: _MOST_CHARACTERS - 3]}..." if is_long else text
