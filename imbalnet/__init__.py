"""imbalnet: the neural classifier for imbalanced tabular data."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

# Imported at their first use: plots, for example, needs matplotlib.
_MODULES = (
    "class_weights",
    "comparison",
    "decisions",
    "export",
    "large_tables",
    "losses",
    "metrics",
    "neighbors",
    "networks",
    "plots",
    "posterior",
    "prior_shift",
    "report",
    "retention",
    "samplers",
    "strategies",
    "tables",
)


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])


if not TYPE_CHECKING:  # type checkers would accept any attribute

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"imbalnet.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
