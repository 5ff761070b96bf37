"""Figures for imbalanced data: scores of a ranking, costs, and their intervals."""

from imbalnet.metrics.average_precision import macro_average_precision
from imbalnet.metrics.intervals import Interval, bootstrap_weights

__all__ = ["Interval", "bootstrap_weights", "macro_average_precision"]
