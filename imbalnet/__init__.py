"""imbalnet: the neural classifier for imbalanced tabular data."""

from imbalnet.classifier import BalancedNeuralClassifier
from imbalnet.comparison import compare
from imbalnet.report import imbalance_report
from imbalnet.tables import check_table

__all__ = [
    "BalancedNeuralClassifier",
    "__version__",
    "check_table",
    "compare",
    "imbalance_report",
]

__version__ = "0.1.0"
