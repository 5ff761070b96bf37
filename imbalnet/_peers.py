"""Linear models and gradient boosting for raw tables, to compare the network with.

They import a large part of scikit-learn, so `comparison.py` imports this module only
when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from imbalnet._tables import ColumnRules, Columns, Reading, as_table
from imbalnet._tables.features import read_matrix
from imbalnet.networks.layers.categories import dense
from imbalnet.tables import ColumnReport

# Of the linear model: one-hot columns for a category, and rows that a level needs to
# get one. Of boosting: levels of a category, which has 255 bins.
_MOST_COLUMNS, _FEWEST_ROWS, _MOST_BINS = 30, 10, 200


def peers(columns: Sequence[ColumnReport], categorical_features: Any) -> dict[str, Any]:
    """Return pipelines that prepare raw columns for linear models and boosting."""
    categories = [i for i, column in enumerate(columns) if column.kind == "category"]
    numbers = [i for i in range(len(columns)) if i not in categories]
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=_FEWEST_ROWS,
        max_categories=_MOST_COLUMNS,
        sparse_output=False,
    )
    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    linear = make_column_transformer(
        (make_pipeline(fill, StandardScaler()), numbers), (one_hot, categories)
    )
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        max_categories=_MOST_BINS,
    )
    binned = make_column_transformer((codes, categories), ("passthrough", numbers))
    reader, places = _TableReader(categorical_features), list(range(len(categories)))
    return {
        name + suffix: make_pipeline(reader, encoder, make(weight))
        for name, encoder, make in (
            ("LogisticRegression", linear, _linear),
            ("HistGradientBoosting", binned, lambda w: _boosting(w, places)),
        )
        for suffix, weight in (("", None), (", balanced", "balanced"))
    }


def _linear(class_weight: str | None) -> Any:
    return LogisticRegression(max_iter=2_000, class_weight=class_weight)


def _boosting(class_weight: str | None, categories: list[int]) -> Any:
    return HistGradientBoostingClassifier(
        class_weight=class_weight, categorical_features=categories or None
    )


class _TableReader(TransformerMixin, BaseEstimator):
    """Convert raw tables as the network does: numbers with gaps, codes of levels."""

    columns_: Columns

    def __init__(self, categorical_features: Any) -> None:
        self.categorical_features = categorical_features

    def fit(self, X: Any, y: Any = None) -> _TableReader:
        """Find the levels of the categories."""
        del y
        rules = ColumnRules(self.categorical_features, missing=True, infinite=True)
        self.columns_ = self._matrix(X, rules)[1]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the matrix; infinite values become missing."""
        matrix = np.asarray(dense(self._matrix(X, self.columns_)[0]))
        return np.where(np.isinf(matrix), np.nan, matrix)

    def _matrix(self, X: Any, columns: ColumnRules | Columns) -> tuple[Any, Columns]:
        reading = Reading(columns, np.float64, "compare")
        return read_matrix(as_table(X, reading), reading)
