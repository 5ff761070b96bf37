"""Whether a model of imbalanced classes is any good, on one page.

:func:`imbalance_report` takes a classifier and test rows, or labels and probabilities;
the estimator's ``report_`` has that of its out-of-fold rows.
"""

from imbalnet.report.decide import DecisionRow
from imbalnet.report.figures import ClassRow, FigureRow
from imbalnet.report.held_out import HeldOut
from imbalnet.report.report import ImbalanceReport, imbalance_report

__all__ = [
    "ClassRow",
    "DecisionRow",
    "FigureRow",
    "HeldOut",
    "ImbalanceReport",
    "imbalance_report",
]
