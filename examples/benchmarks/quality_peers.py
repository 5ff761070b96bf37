"""The models that `quality.py` compares, each with its defaults.

Every model gets the same frame: numbers with NaN for missing values, and categories
with pandas' dtype ``category``. This module prepares what a library cannot take as it
is. The preparation is part of the timed fit. Nothing is tuned, and every model runs on
one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from catboost import CatBoostClassifier
from imblearn.ensemble import BalancedRandomForestClassifier
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils.class_weight import compute_class_weight
from skorch import NeuralNetClassifier
from torch import nn
from xgboost import XGBClassifier

from imbalnet import BalancedNeuralClassifier

OURS = "imbalnet"
REFERENCE = "CatBoost"
MISSING = "missing"
# HistGradientBoostingClassifier takes no more levels of a column.
_MOST_LEVELS = 254

# Variants of our estimator, as parameters by name. `quality.py --ablations` compares
# them with the defaults.
ABLATIONS: dict[str, dict[str, Any]] = {
    "one member": {"n_members": 1},
    "4 members": {"n_members": 4},
    "no neighbours": {"n_neighbors": 0},
    "no waves": {"module__n_waves": 0},
    "one bin": {"module__n_bins": 1},
    "gates at 1": {"module__gates": False},
    "one learning rate": {"module__embedding_rate": 1.0, "module__gate_rate": 1.0},
    "no dropout": {"module__dropout": 0.0},
    "best epoch by AP alone": {"monitor": "average_precision"},
    "last epoch": {"early_stopping": False},
    "not calibrated": {"calibrate": False},
    "balanced weights": {"class_weight": "balanced", "target_prior": "train"},
    "preset quick": {"preset": "quick"},
    "plain MLP": {"module": "mlp"},
    "plain MLP, 8 members": {"module": "mlp", "n_members": 8},
}


# -- preparation ---------------------------------------------------------------------


def with_strings(X: pd.DataFrame) -> pd.DataFrame:
    """Convert categories to strings, with a level for missing values."""
    categories = X.select_dtypes("category").columns
    strings = {
        name: X[name].astype(object).where(X[name].notna(), MISSING).astype(str)
        for name in categories
    }
    return X.assign(**strings)


def with_plain_names(X: pd.DataFrame) -> pd.DataFrame:
    """Name the columns by number: some libraries reject brackets and the like."""
    return X.set_axis([f"x{i}" for i in range(X.shape[1])], axis=1)


def with_filled_numbers() -> ColumnTransformer:
    """Replace missing numbers by the median of the column."""
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    return ColumnTransformer(
        [("numbers", filled, make_column_selector(dtype_exclude="category"))],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


def with_frequent_levels(X: pd.DataFrame) -> pd.DataFrame:
    """Keep the 254 most frequent levels of a column."""
    frequent = {
        name: X[name].where(X[name].isin(X[name].value_counts().index[:_MOST_LEVELS]))
        for name in X.select_dtypes("category").columns
        if X[name].nunique() > _MOST_LEVELS
    }
    return X.assign(**frequent)


def with_codes() -> ColumnTransformer:
    """Encode each level as a number; NaN stays NaN, which forests accept."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer(
        [("codes", codes, make_column_selector(dtype_include="category"))],
        remainder="passthrough",
    )


def scaled_one_hot(sparse_threshold: float = 0.3) -> ColumnTransformer:
    """Impute medians and scale; one-hot encode levels and missing categories."""
    return ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                make_column_selector(dtype_exclude="category"),
            ),
            (
                "levels",
                OneHotEncoder(handle_unknown="ignore"),
                make_column_selector(dtype_include="category"),
            ),
        ],
        sparse_threshold=sparse_threshold,
    )


def new_catboost(cat_features: list[str], seed: int) -> CatBoostClassifier:
    """Return CatBoost at its defaults, on one thread and without files."""
    return CatBoostClassifier(
        cat_features=cat_features,
        random_seed=seed,
        thread_count=1,
        verbose=0,
        allow_writing_files=False,
    )


class BaggedCatBoost(ClassifierMixin, BaseEstimator):
    """The mean of CatBoosts that each leave out a fold, which chooses the iteration."""

    def __init__(
        self, cat_features: list[str], n_folds: int = 8, random_state: int = 0
    ) -> None:
        self.cat_features = cat_features
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> BaggedCatBoost:
        self.classes_ = np.unique(y)
        folds = StratifiedKFold(self.n_folds, shuffle=True, random_state=0)
        self.models_ = []
        for train, held_out in folds.split(X, y):
            model = new_catboost(self.cat_features, self.random_state)
            held = X.iloc[held_out], y[held_out]
            self.models_.append(model.fit(X.iloc[train], y[train], eval_set=held))
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = np.zeros((len(X), len(self.classes_)))
        for model in self.models_:  # a rare class may be missing in a fold
            p[:, np.searchsorted(self.classes_, model.classes_)] += model.predict_proba(
                X
            )
        return p / len(self.models_)


class WeightedNet(ClassifierMixin, BaseEstimator):
    """A network written by hand: skorch, and a loss with balanced weights."""

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> WeightedNet:
        self.classes_ = np.unique(y)
        torch.manual_seed(self.random_state)
        weight = compute_class_weight("balanced", classes=self.classes_, y=y)
        self.net_ = NeuralNetClassifier(
            nn.Sequential(
                nn.Linear(X.shape[1], 64),
                nn.ReLU(),
                nn.Linear(64, 64),
                nn.ReLU(),
                nn.Linear(64, len(self.classes_)),
            ),
            criterion=nn.CrossEntropyLoss(torch.tensor(weight, dtype=torch.float32)),
            optimizer=torch.optim.Adam,
            lr=1e-3,
            max_epochs=30,
            batch_size=128,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        )
        self.net_.fit(X.astype(np.float32), y.astype(np.int64))
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.net_.predict_proba(X.astype(np.float32))


# -- models --------------------------------------------------------------------------


def catboost(X: pd.DataFrame, seed: int) -> Any:
    categories = list(X.select_dtypes("category").columns)
    model = new_catboost(categories, seed)
    return make_pipeline(FunctionTransformer(with_strings), model)


def bagged_catboost(X: pd.DataFrame, seed: int) -> Any:
    categories = list(X.select_dtypes("category").columns)
    model = BaggedCatBoost(categories, random_state=seed)
    return make_pipeline(FunctionTransformer(with_strings), model)


def lightgbm(X: pd.DataFrame, seed: int, **params: Any) -> Any:
    model = LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1, **params)
    return make_pipeline(FunctionTransformer(with_plain_names), model)


def lightgbm_balanced(X: pd.DataFrame, seed: int) -> Any:
    return lightgbm(X, seed, class_weight="balanced")


def xgboost(X: pd.DataFrame, seed: int) -> Any:
    model = XGBClassifier(enable_categorical=True, random_state=seed, n_jobs=1)
    return make_pipeline(FunctionTransformer(with_plain_names), model)


def hist_gradient_boosting(X: pd.DataFrame, seed: int) -> Any:
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=seed
    )
    return make_pipeline(FunctionTransformer(with_frequent_levels), model)


def random_forest(X: pd.DataFrame, seed: int) -> Any:
    return make_pipeline(
        with_codes(), RandomForestClassifier(random_state=seed, n_jobs=1)
    )


def balanced_random_forest(X: pd.DataFrame, seed: int) -> Any:
    return make_pipeline(
        with_codes(), BalancedRandomForestClassifier(random_state=seed, n_jobs=1)
    )


def by_hand(X: pd.DataFrame, seed: int) -> Any:
    return make_pipeline(scaled_one_hot(sparse_threshold=0), WeightedNet(seed))


def mlp(X: pd.DataFrame, seed: int) -> Any:
    return make_pipeline(scaled_one_hot(), MLPClassifier(random_state=seed))


def logistic_regression(X: pd.DataFrame, seed: int) -> Any:
    return make_pipeline(scaled_one_hot(), LogisticRegression(max_iter=2000))


def pytabkit(name: str, X: pd.DataFrame, seed: int, **params: Any) -> Any:
    """Return a network of pytabkit with eight folds, like our members.

    It chooses the epoch by log loss, for the default, accuracy, hardly sees a rare
    class, and takes no gaps in numbers.
    """
    import pytabkit as library

    shared = {"n_cv": 8, "n_threads": 1, "val_metric_name": "cross_entropy"}
    model = getattr(library, name)(random_state=seed, **shared, **params)
    return make_pipeline(with_filled_numbers(), model)


def realmlp(X: pd.DataFrame, seed: int) -> Any:
    return pytabkit("RealMLP_TD_Classifier", X, seed, use_ls=False)


def tabm(X: pd.DataFrame, seed: int) -> Any:
    return pytabkit("TabM_D_Classifier", X, seed)


PEERS: dict[str, Callable[[pd.DataFrame, int], Any]] = {
    REFERENCE: catboost,
    "CatBoost, 8 folds": bagged_catboost,
    "LightGBM": lightgbm,
    "LightGBM balanced": lightgbm_balanced,
    "XGBoost": xgboost,
    "HistGradientBoosting": hist_gradient_boosting,
    "RandomForest": random_forest,
    "BalancedRandomForest": balanced_random_forest,
    "skorch by hand": by_hand,
    "MLPClassifier": mlp,
    "LogisticRegression": logistic_regression,
}

# Networks of pytabkit, which needs an environment of its own. A fit takes minutes on a
# CPU, so that only ``--models`` runs them; they use a GPU if there is one.
NETWORKS: dict[str, Callable[[pd.DataFrame, int], Any]] = {
    "RealMLP-TD, 8 folds": realmlp,
    "TabM-D, 8 folds": tabm,
}

# Three peers would take minutes for each fit on a large table. The small tables already
# rank them.
LARGE_PEERS = [
    name
    for name in PEERS
    if name not in ("skorch by hand", "MLPClassifier", "CatBoost, 8 folds")
]


def build(name: str, X: pd.DataFrame, seed: int) -> Any:
    """Build the unfitted model of this name for a frame with these columns."""
    peers = {**PEERS, **NETWORKS}
    if name in peers:
        return peers[name](X, seed)
    params = {} if name == OURS else ABLATIONS[name]
    return BalancedNeuralClassifier(random_state=seed, **params)
