"""Candidates for a search over strategies against imbalance, and their comparison."""

from imbalnet.strategies.differences import Difference, paired_differences
from imbalnet.strategies.display import StrategyComparisonDisplay
from imbalnet.strategies.grid import strategy_distributions, strategy_grid
from imbalnet.strategies.names import strategy_name

__all__ = [
    "Difference",
    "StrategyComparisonDisplay",
    "paired_differences",
    "strategy_distributions",
    "strategy_grid",
    "strategy_name",
]


def __dir__() -> list[str]:
    return sorted(__all__)
