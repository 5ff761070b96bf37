"""A one-page report on the quality of a classifier for imbalanced classes.

:func:`imbalance_report` takes a classifier and test rows, or labels and probabilities.
The estimator's ``report_`` is the report on its out-of-fold rows.
"""

from imbalnet.report.decide import DecisionRow
from imbalnet.report.figures import ClassRow, FigureRow
from imbalnet.report.report import ImbalanceReport, imbalance_report
from imbalnet.report.scored_rows import ScoredRows

__all__ = [
    "ClassRow",
    "DecisionRow",
    "FigureRow",
    "ImbalanceReport",
    "ScoredRows",
    "imbalance_report",
]


def __dir__() -> list[str]:
    return sorted(__all__)
