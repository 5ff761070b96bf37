"""LightGBM and CatBoost: the ways of `library.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from library import (
    SEED,
    Library,
    MissingError,
    NotRunError,
    printed,
    way,
    with_categories,
)
from sklearn.model_selection import train_test_split


class LightGBM(Library):
    title, package, module = "LightGBM", "lightgbm", "lightgbm"
    grid = ("n_estimators", [10, 20])

    def model(self, **params: Any) -> Any:
        from lightgbm import LGBMClassifier

        fixed = {"n_estimators": 30, "verbose": -1, "random_state": SEED, "n_jobs": 1}
        return LGBMClassifier(**fixed | params)

    @way('class_weight="balanced", is_unbalance, scale_pos_weight')
    def class_weight(self) -> Any:
        return super().class_weight()

    @way("an objective of your own, and the sigmoid", partly=True)
    def focal(self) -> Any:
        from lightgbm import LGBMClassifier

        class Focal(LGBMClassifier):
            def predict_proba(self, X: Any) -> Any:
                positive = 1 / (1 + np.exp(-super().predict_proba(X)))
                return np.column_stack([1 - positive, positive])

        return Focal(objective=_focal_gradients, n_estimators=60, verbose=-1, n_jobs=1)

    @way("neg_bagging_fraction; you split off the validation rows", partly=True)
    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        import lightgbm

        X, X_valid, y, y_valid = train_test_split(X, y, stratify=y, random_state=SEED)
        params = {"neg_bagging_fraction": 0.05, "bagging_freq": 1}
        stop = lightgbm.early_stopping(5, verbose=False)
        model = self.model(**params)
        model.fit(X, y, eval_set=[(X_valid, y_valid)], callbacks=[stop])
        plain = self.model().fit(X, y)
        means = [m.predict_proba(X_valid)[:, 1].mean() for m in (plain, model)]
        assert means[1] > 1.5 * means[0], "nothing was resampled"
        return np.array([0, 1]), y_valid

    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        self.model(early_stopping_round=5).fit(X, y)
        raise MissingError("holds out no rows: eval_set is yours")

    @way("words as dtype category", partly=True)
    def raw_frame(self) -> Any:
        return with_categories(self.model())

    @way("init_model")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return self.model().fit(X, y, init_model=model)

    @way("onnxmltools")
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        model = self.model().fit(X, y)
        graph = convert_lightgbm(
            model,
            initial_types=[("X", FloatTensorType([None, X.shape[1]]))],
            zipmap=False,
        )
        return model, graph.SerializeToString()

    @way("a text file with two_round, or Sequence")
    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        import lightgbm

        params = {"two_round": True, "label_column": "name:y", "header": True}
        table = lightgbm.Dataset(str(folder / "rows.csv"), params=params)
        booster = lightgbm.train({"objective": "binary", "verbose": -1}, table, 20)
        return _Boosted(booster.predict)

    @way("lightgbm.DaskLGBMClassifier")
    def processes(self, folder: Path) -> str:
        code = """
import dask.array as da, numpy as np
from dask.distributed import Client, LocalCluster
from lightgbm import DaskLGBMClassifier
if __name__ == "__main__":
    cluster = LocalCluster(2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        rows = np.load("rows.npz")
        X = da.from_array(rows["X"], chunks=(len(rows["X"]) // 2, -1))
        y = da.from_array(rows["y"], chunks=len(rows["y"]) // 2)
        model = DaskLGBMClassifier(client=client, n_estimators=5, verbose=-1).fit(X, y)
        shape = model.predict_proba(X).compute().shape
        print("processes", len(client.scheduler_info()["workers"]), shape)
"""
        (folder / "workers.py").write_text(code)
        return printed(["workers.py"], folder)

    @way("LGBMRegressor")
    def regressor(self) -> Any:
        from lightgbm import LGBMRegressor

        return LGBMRegressor(verbose=-1, n_jobs=1)

    @way("monotone_constraints")
    def monotone(self) -> Any:
        return self.model(monotone_constraints=[1, 0])

    @way("feature_importances_")
    def importances(self) -> Any:
        return super().importances()

    def defaults(self) -> Any:
        return self.model(n_estimators=100)


class CatBoost(Library):
    title, package, module = "CatBoost", "catboost", "catboost"
    grid = ("depth", [3, 4])

    def model(self, **params: Any) -> Any:
        from catboost import CatBoostClassifier

        fixed = {"iterations": 50, "verbose": False, "random_seed": SEED}
        fixed |= {"allow_writing_files": False, "thread_count": 1}
        return CatBoostClassifier(**fixed | params)

    @way('auto_class_weights="Balanced", class_weights')
    def class_weight(self) -> Any:
        return self.model(auto_class_weights="Balanced")

    @way('loss_function="Focal:..."')
    def focal(self) -> Any:
        loss = "Focal:focal_alpha=0.5;focal_gamma=2.0"
        return self.model(loss_function=loss)

    @way("eval_fraction")
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        labels = []

        class Recorded:
            def is_max_optimal(self) -> bool:
                return True

            def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple:
                labels.append(np.array(target))
                return float(np.mean((approxes[0] > 0) == (labels[-1] > 0))), 1.0

            def get_final_error(self, error: float, weight: float) -> float:
                return error

        model = self.model(
            eval_fraction=0.2, early_stopping_rounds=5, eval_metric=Recorded()
        )
        model.fit(X, y)
        return min(labels, key=len)

    @way("gaps among words filled, and their columns named", partly=True)
    def raw_frame(self) -> Any:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        fill = FunctionTransformer(_filled_words)
        return make_pipeline(fill, self.model(cat_features=["words", "kind"]))

    @way("init_model")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return self.model().fit(X, y, init_model=model)

    @way('save_model(format="onnx"), numbers only')
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        model = self.model().fit(X, y)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.save_model(str(path), format="onnx")
            return model, path.read_bytes()

    @way("catboost.utils.quantize reads a file in blocks")
    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        from catboost import Pool
        from catboost.utils import quantize

        (folder / "columns.tsv").write_text("0\tLabel\n")
        pool = quantize(
            str(folder / "rows.csv"),
            column_description=str(folder / "columns.tsv"),
            delimiter=",",
            has_header=True,
        )
        assert isinstance(pool, Pool)
        return self.model().fit(pool)

    def processes(self, folder: Path) -> str:
        raise NotRunError("catboost-spark, a package of its own")

    @way("CatBoostRegressor")
    def regressor(self) -> Any:
        from catboost import CatBoostRegressor

        return CatBoostRegressor(verbose=False, allow_writing_files=False)

    @way('loss_function="MultiLogloss"')
    def multilabel(self) -> Any:
        return self.model(loss_function="MultiLogloss")

    @way("monotone_constraints")
    def monotone(self) -> Any:
        return self.model(monotone_constraints=[1, 0])

    @way("feature_importances_")
    def importances(self) -> Any:
        return super().importances()

    def defaults(self) -> Any:
        return self.model(iterations=None)


class _Boosted:
    """Gives a function's probabilities of the second class the usual name."""

    def __init__(self, predict: Callable) -> None:
        self.predict = predict

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        positive = self.predict(X)
        return np.column_stack([1 - positive, positive])


def _filled_words(frame: Any) -> Any:
    words = ["words", "kind"]
    filled = frame[words].astype(object).where(frame[words].notna(), "missing")
    return frame.assign(**{name: filled[name].astype(str) for name in words})


def _focal_gradients(y: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient and Hessian of the focal loss, gamma 2, by differences."""

    def gradient(raw: np.ndarray) -> np.ndarray:
        p = np.clip(1 / (1 + np.exp(-(2 * y - 1) * raw)), 1e-9, 1 - 1e-9)
        slope = (1 - p) ** 2 * (2 * p * np.log(p) - (1 - p))
        return (2 * y - 1) * slope

    step = 1e-4
    hessian = (gradient(raw + step) - gradient(raw - step)) / (2 * step)
    return gradient(raw), np.maximum(hessian, 1e-6)
