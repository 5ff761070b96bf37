"""How a library is used for each feature, by the conventions of scikit-learn.

A method of `Library` is the way to one feature. Those of the base class are the ways
that scikit-learn's conventions suggest, so that a library without the feature fails
there, in its own words. A library with another way has a method of its own. `way` says
in a few words what that is, and `partly` that it needs code of the user, or other
packages.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import TunedThresholdClassifierCV

SEED = 0
COSTS = {(0, 1): 1.0, (1, 0): 15.0}


class MissingError(Exception):
    """There is nothing to try."""


class NotRunError(Exception):
    """There is something, but it was not tried."""


def way(text: str, *, partly: bool = False) -> Callable:
    """Say how a library has a feature, and whether only partly."""

    def mark(method: Callable) -> Callable:
        method.text, method.partly = text, partly
        return method

    return mark


def precision_floor(y: np.ndarray, called: np.ndarray) -> float:
    """Score recall where at least half of the called rows are positive."""
    (_, alarms), (missed, hits) = confusion_matrix(y, called, labels=[0, 1])
    share = hits / max(1, hits + alarms)
    return hits / (hits + missed) if share >= 0.5 else share - 1


def alert_share(y: np.ndarray, called: np.ndarray) -> float:
    """Score hits where at most 5 % of the rows are called."""
    return float(called[y == 1].sum()) if called.mean() <= 0.05 else -called.mean()


def least_cost(y: np.ndarray, called: np.ndarray) -> float:
    """Score what errors cost."""
    (_, alarms), (missed, _) = confusion_matrix(y, called, labels=[0, 1])
    return -(alarms * COSTS[0, 1] + missed * COSTS[1, 0])


LIMITS = {"precision": precision_floor, "alerts": alert_share, "costs": least_cost}


class Library:
    """The ways that scikit-learn's conventions suggest."""

    title, package, module = "", "", ""
    # the parameter of a grid search, and two values
    grid: tuple[str, list] = ("max_iter", [5, 10])

    def model(self, **params: Any) -> Any:
        """Return a classifier that is fitted in seconds."""
        raise NotImplementedError

    def class_weight(self) -> Any:
        return self.model(class_weight="balanced")

    def focal(self) -> Any:
        return self.model(loss="focal")

    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        """Return the labels of training and of validation rows."""
        self.model(sampler="oversample").fit(X, y)
        raise MissingError("resamples nothing")

    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        """Return the labels of the rows that fit holds out."""
        self.model(early_stopping=True).fit(X, y)
        raise MissingError("holds out no rows")

    @way("CalibratedClassifierCV of scikit-learn, by five fits", partly=True)
    def base_rate(self) -> Any:
        return CalibratedClassifierCV(self.class_weight())

    def other_rate(self, model: Any, prior: list[float]) -> Any:
        return model.set_params(target_prior=prior)

    def out_of_fold(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        """Return a fitted model, and probabilities of its training rows."""
        model = self.model().fit(X, y)
        return model, model.oof_proba_

    @way("TunedThresholdClassifierCV of scikit-learn, by further fits", partly=True)
    def threshold_f1(self) -> Any:
        return TunedThresholdClassifierCV(self.model(), scoring="f1", cv=3)

    @way("TunedThresholdClassifierCV with a scorer of your own", partly=True)
    def threshold_limits(self, limit: str) -> Any:
        from sklearn.metrics import make_scorer

        scorer = make_scorer(LIMITS[limit])
        return TunedThresholdClassifierCV(self.model(), scoring=scorer, cv=3)

    def row_costs(self, model: Any, X: np.ndarray, costs: dict) -> Any:
        return model.predict(X, cost_matrix=costs)

    def raw_frame(self) -> Any:
        return self.model()

    def gaps(self) -> Any:
        return self.model()

    def infinite(self) -> Any:
        return self.model()

    def sparse(self) -> Any:
        return self.model()

    def sample_weight(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Any:
        return self.model().fit(X, y, sample_weight=weight)

    def many_classes(self) -> Any:
        return self.model()

    def checked(self) -> Any:
        """Return the estimator for scikit-learn's checks."""
        return self.model()

    def pipeline_search(self) -> Any:
        return self.model()

    @way("partial_fit")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return model.partial_fit(X, y)

    @way("skl2onnx")
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        """Return a fitted model and its graph."""
        return by_skl2onnx(self.model().fit(X, y), X)

    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        """Return a model that was fitted to ``rows.csv`` and such, block by block."""
        return self.model().fit(folder / "rows.parquet", "y")

    def processes(self, folder: Path) -> str:
        """Return what two processes print that share a fit."""
        raise MissingError("shares no fit between processes")

    def own_network(self, module: type) -> Any:
        return self.model(module=module)

    def regressor(self) -> Any:
        found = vars(import_module(self.module)).values()
        kinds = [item for item in found if inspect.isclass(item)]
        if not any(issubclass(kind, RegressorMixin) for kind in kinds):
            raise MissingError("has no regressor")
        raise NotImplementedError

    def multilabel(self) -> Any:
        return self.model()

    def monotone(self) -> Any:
        return self.model(monotonic_cst=[1, 0])

    def tree_shap(self) -> Any:
        return self.model()

    def importances(self) -> Any:
        return self.model()

    def defaults(self) -> Any:
        """Return the model with its defaults, on one thread."""
        return self.model()


def by_skl2onnx(model: Any, X: np.ndarray) -> tuple[Any, bytes]:
    from skl2onnx import to_onnx

    graph = to_onnx(model, X[:1].astype(np.float32), options={"zipmap": False})
    return model, graph.SerializeToString()


def plain_network() -> type:
    """Return the class of a small network."""
    from torch import nn

    class Net(nn.Sequential):
        def __init__(self, n_columns: int = 2, n_outputs: int = 2) -> None:
            hidden = nn.Linear(n_columns, 32)
            super().__init__(hidden, nn.ReLU(), nn.Linear(32, n_outputs))

    return Net


def floats(X: Any) -> np.ndarray:
    return np.asarray(X, dtype=np.float32)


def with_categories(model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(_as_categories), model)


def _as_categories(frame: Any) -> Any:
    return frame.astype({"words": "category"})


def members_in_processes(kind: str, folder: Path) -> str:
    """Fit an ensemble by two jobs; return in how many processes its members were."""
    code = f"""
import os, numpy as np
from sklearn.tree import DecisionTreeClassifier
from {kind} as Ensemble
class Tree(DecisionTreeClassifier):
    def fit(self, X, y, **params):
        self.process_ = os.getpid()
        return super().fit(X, y, **params)
rows = np.load("rows.npz")
ensemble = Ensemble(Tree(), n_estimators=8, n_jobs=2).fit(rows["X"], rows["y"])
steps = [getattr(m, "steps", [("", m)])[-1][1] for m in ensemble.estimators_]
print("processes", len({{step.process_ for step in steps}} - {{os.getpid()}}))
"""
    (folder / "members.py").write_text(code)
    return printed(["members.py"], folder)


def printed(arguments: list[str], folder: Path) -> str:
    """Return what a Python process prints, or raise what it says."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "Error: " in line]
        raise RuntimeError(lines[0] if lines else done.stderr)
    return done.stdout
