"""The report on held-out rows: its tables, and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbalnet._checks import check_known
from imbalnet._packages import require
from imbalnet._text import html_list, html_table, text_table
from imbalnet.metrics._fitted import labels_and_response
from imbalnet.metrics._rows import checked_budget, checked_level
from imbalnet.report.cautions import cautions
from imbalnet.report.decide import DecisionRow, decide, decision_row
from imbalnet.report.figures import (
    CalibrationOfRows,
    ClassRow,
    FigureRow,
    class_rows,
    figure_rows,
)
from imbalnet.report.scored_rows import ScoredRows

ReportPart = Literal["figures", "decisions", "by_class"]

_MOST_CLASSES = 20  # that are printed


@dataclass(frozen=True)
class ImbalanceReport:
    """Report on the quality of a classifier, on rows that it was not trained on.

    It can be printed, displayed in a notebook, or converted by :meth:`to_frame`.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The labels; of two, the second one is positive.
    counts : ndarray of shape (n_classes,)
        Number of rows of each class.
    figures : list of FigureRow
        Average precision, ROC-AUC, log-loss, Brier score and skill, with intervals and
        baselines, and the calibration error. For several classes, average precision,
        ROC-AUC and calibration error are means of one class against the rest.
    decisions : list of DecisionRow
        F1, MCC, costs and other metrics of each way to decide, and of the majority
        guess. The threshold of the best F1 is chosen on the same rows, so that its
        metrics are slightly optimistic.
    by_class : list of ClassRow
        Support, expected and predicted share, precision and recall of each class, by
        the first of the decisions.
    cautions : list of str
        Warnings about the figures.
    level : float
        Confidence of the intervals.

    See Also
    --------
    imbalance_report : Compute a report.

    Examples
    --------
    >>> import numpy as np
    >>> from imbalnet.report import ImbalanceReport
    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.2, 4.0, size=3_000)
    >>> y = np.where(rng.random(3_000) < p, "fraud", "fine")
    >>> report = ImbalanceReport.from_predictions(y, p)
    >>> print(report)  # doctest: +ELLIPSIS
    3,000 rows; 'fine' 2,8... 'fraud' 1...
    """

    classes: NDArray
    counts: NDArray[np.intp]
    figures: list[FigureRow]
    decisions: list[DecisionRow]
    by_class: list[ClassRow]
    cautions: list[str]
    level: float

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        cost_matrix: Any = None,
        alerts: float | None = None,
        level: float = 0.95,
    ) -> ImbalanceReport:
        """Report on a fitted classifier and test rows.

        Parameters
        ----------
        estimator : estimator
            Any fitted classifier with ``predict_proba``.
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
            Test rows.
        y : array-like of shape (n_rows,)
            Their labels.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; those of weight 0 are left out.
        cost_matrix : array-like, dict or data frame, default=None
            As in ``predict`` of :class:`~imbalnet.BalancedNeuralClassifier`; the costs
            may differ from row to row. Adds the cheapest decision, and mean costs.
        alerts : float, default=None
            Number of rows that can be inspected, or their share if it is below 1. Adds
            the decision that calls as many rows positive. Only for two classes.
        level : float, default=0.95
            Confidence of the intervals.

        Returns
        -------
        ImbalanceReport
            The report, with a decision "predict", which is the estimator's own.

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        ValueError
            If it has no ``predict_proba``, or if another argument is not usable.
        """
        labels, probabilities = labels_and_response(estimator, X, y)
        rows = ScoredRows.read(
            labels,
            probabilities,
            estimator.classes_,
            sample_weight,
            estimator.predict(X),
            cost_matrix,
        )
        return cls.of_rows(rows, alerts=alerts, level=level)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        probabilities: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        cost_matrix: Any = None,
        alerts: float | None = None,
        level: float = 0.95,
    ) -> ImbalanceReport:
        """Report on labels and probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
            Labels.
        probabilities : array-like of shape (n_rows,) or (n_rows, n_classes)
            Probabilities of the second of two classes, or of all classes.
        classes : array-like of shape (n_classes,), default=None
            The labels of the columns; None means the sorted labels of `y_true`. Of two
            labels the second is positive.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows; those of weight 0 are left out.
        cost_matrix : array-like, dict or data frame, default=None
            As in :meth:`from_estimator`.
        alerts : float, default=None
            As in :meth:`from_estimator`.
        level : float, default=0.95
            Confidence of the intervals.

        Returns
        -------
        ImbalanceReport
            The report.
        """
        rows = ScoredRows.read(
            y_true, probabilities, classes, sample_weight, cost_matrix=cost_matrix
        )
        return cls.of_rows(rows, alerts=alerts, level=level)

    @classmethod
    def of_rows(
        cls,
        rows: ScoredRows,
        *,
        alerts: float | None = None,
        level: float = 0.95,
    ) -> ImbalanceReport:
        """Report on validated rows.

        Parameters
        ----------
        rows : ScoredRows
            Labels, probabilities, predictions and costs.
        alerts : float, default=None
            As in :meth:`from_estimator`.
        level : float, default=0.95
            Confidence of the intervals.

        Returns
        -------
        ImbalanceReport
            The report.
        """
        level = checked_level(level)
        if alerts is not None:
            alerts = checked_budget("alerts", alerts)
            _check_binary(rows, alerts)
        calibration = CalibrationOfRows.of(rows)
        figures = figure_rows(rows, level, calibration)
        decided = decide(rows, alerts)
        decisions = [decision_row(rows, decision) for decision in decided]
        classes = class_rows(rows, decided[0].called)
        warnings = cautions(rows, figures, decisions[0], classes, calibration)
        return cls(
            rows.classes, rows.counts, figures, decisions, classes, warnings, level
        )

    def to_frame(self, part: ReportPart = "figures") -> Any:
        """Return a part of the report as a pandas frame.

        Parameters
        ----------
        part : {"figures", "decisions", "by_class"}, default="figures"
            Name of the table.

        Returns
        -------
        pandas.DataFrame
            Indexed by the names of the figures, the decisions, or the labels.

        Raises
        ------
        ValueError
            If `part` is unknown.
        """
        pd = require("pandas", use="to_frame()", cure="imbalnet[tables]")

        kinds: dict[str, Any] = {
            "figures": FigureRow,
            "decisions": DecisionRow,
            "by_class": ClassRow,
        }
        check_known("part", part, kinds)
        names = kinds[part]._fields
        return pd.DataFrame(getattr(self, part), columns=names).set_index(names[0])

    def __str__(self) -> str:
        parts = [text_table(table, numbers=slice(1, None)) for table in self._tables()]
        if self.cautions:
            parts.append("\n".join(f"- {caution}" for caution in self.cautions))
        return "\n\n".join([self._headline, *parts])

    def _repr_html_(self) -> str:
        tables = "".join(map(html_table, self._tables()))
        return f"<p>{escape(self._headline)}</p>{tables}{html_list(self.cautions)}"

    @property
    def _headline(self) -> str:
        total = self.counts.sum()
        rarest = np.argsort(self.counts, kind="stable")[:_MOST_CLASSES]
        labels = self.classes.tolist()
        shares = (
            f"{labels[i]!r} {self.counts[i]:,} ({self.counts[i] / total:.2%})"
            for i in np.sort(rarest)
        )
        hidden = len(self.classes) - len(rarest)
        more = f" and {hidden} more frequent classes" if hidden else ""
        return f"{total:,} rows; {', '.join(shares)}{more}"

    def _tables(self) -> list[list[list[str]]]:
        """Return the cells of each table that has rows, headers first."""
        interval = f"{self.level:.0%} interval"
        figures = [
            [
                row.figure,
                _cell(row.value),
                "" if np.isnan(row.low) else f"{_cell(row.low)} to {_cell(row.high)}",
                _cell(row.baseline),
            ]
            for row in self.figures
        ]
        tables = [["figure", "value", interval, "baseline"], *figures]
        parts: list[Sequence[Any]] = [self.decisions, self._shown_classes()]
        return [tables, *map(_table, parts)] if figures else [*map(_table, parts)]

    def _shown_classes(self) -> list[ClassRow]:
        """Return the classes that are printed: the rarest ones, if there are many."""
        rarest = sorted(self.by_class, key=lambda row: row.n_rows)[:_MOST_CLASSES]
        return [row for row in self.by_class if row in rarest]


def _check_binary(rows: ScoredRows, alerts: float) -> None:
    """Raise if there are more than two classes."""
    if not rows.is_binary:
        raise ValueError(
            f"alerts={alerts:g} looks at the rows that are most likely positive, but "
            f"there are {len(rows.classes)} classes; leave it out, or report on one "
            "class against the rest: y == label, and its column of probabilities."
        )


def _table(rows: Sequence[Any]) -> list[list[str]]:
    """Return the cells of rows that are named tuples, without empty columns."""
    kept = [i for i in range(len(rows[0])) if any(row[i] is not None for row in rows)]
    header = [rows[0]._fields[i].replace("_", " ") for i in kept]
    return [header, *([_cell(row[i]) for i in kept] for row in rows)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    is_plain = value == 0 or 1e-2 <= abs(value) < 1e3
    return f"{value:.3f}" if is_plain else f"{value:.3g}"


def imbalance_report(
    estimator: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    cost_matrix: Any = None,
    alerts: float | None = None,
    level: float = 0.95,
) -> ImbalanceReport:
    """Report on a fitted classifier, or on labels and probabilities.

    Parameters
    ----------
    estimator : estimator, or array-like of shape (n_rows,)
        Any fitted classifier with ``predict_proba``. If `y` is not given, the labels.
    X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
        Test rows. If `y` is not given, the probabilities: of shape (n_rows,) for the
        second of two classes, or of shape (n_rows, n_classes).
    y : array-like of shape (n_rows,), default=None
        Labels of the test rows.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows. Rows of weight 0 are left out.
    cost_matrix : array-like, dict or data frame, default=None
        Costs as in ``predict`` of :class:`~imbalnet.BalancedNeuralClassifier`, which
        may differ from row to row. The report then has the cheapest decision and mean
        costs.
    alerts : float, default=None
        Number of rows that can be inspected, or their share if it is below 1. The
        report then has the decision that calls as many rows positive. Only for two
        classes.
    level : float, default=0.95
        Confidence level of the intervals, see
        :func:`~imbalnet.metrics.bootstrap_interval`.

    Returns
    -------
    ImbalanceReport
        The report, which can be printed; ``to_frame()`` returns its tables.

    Raises
    ------
    NotFittedError
        If `estimator` is not fitted.
    ValueError
        If labels, probabilities and classes do not fit together, if `estimator` has no
        ``predict_proba``, or if another parameter is not usable.

    See Also
    --------
    imbalnet.BalancedNeuralClassifier.report_ : Report on the out-of-fold rows.
    sklearn.metrics.classification_report : Precision and recall by class.

    Examples
    --------
    >>> from imbalnet.report import imbalance_report
    >>> report = imbalance_report([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4])
    >>> report.figures[0].value
    1.0
    """
    options: dict[str, Any] = {
        "sample_weight": sample_weight,
        "cost_matrix": cost_matrix,
        "alerts": alerts,
        "level": level,
    }
    if y is None and hasattr(estimator, "predict"):
        raise ValueError(
            "y must be passed with a classifier and rows: imbalance_report(estimator, "
            "X, y)."
        )
    if y is None:
        return ImbalanceReport.from_predictions(estimator, X, **options)
    return ImbalanceReport.from_estimator(estimator, X, y, **options)
