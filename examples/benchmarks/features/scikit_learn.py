"""scikit-learn, and what resamples beside it: the ways of `library.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from library import (
    SEED,
    Library,
    by_skl2onnx,
    members_in_processes,
    way,
    with_categories,
)
from sklearn.model_selection import train_test_split


class ScikitLearn(Library):
    title, package, module = "scikit-learn", "scikit-learn", "sklearn"

    def model(self, **params: Any) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            **{"max_iter": 30, "random_state": SEED} | params
        )

    def network(self, **params: Any) -> Any:
        """Return an MLPClassifier, for features that trees lack."""
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(**{"max_iter": 30, "random_state": SEED} | params)

    @way('class_weight="balanced"; MLPClassifier only has sample_weight')
    def class_weight(self) -> Any:
        return super().class_weight()

    def focal(self) -> Any:
        return self.network(loss="focal")

    @way("HistGradientBoosting, MLPClassifier")
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        labels = []

        def scoring(model: Any, X: Any, y: Any) -> float:
            labels.append(y)
            return model.score(X, y)

        self.model(early_stopping=True, scoring=scoring).fit(X, y)
        return labels[-1]

    @way("CalibratedClassifierCV, by five fits", partly=True)
    def base_rate(self) -> Any:
        return super().base_rate()

    @way("out of bag, forests only", partly=True)
    def out_of_fold(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(oob_score=True, random_state=SEED).fit(X, y)
        return model, model.oob_decision_function_

    @way("TunedThresholdClassifierCV, by further fits")
    def threshold_f1(self) -> Any:
        return super().threshold_f1()

    @way("words as dtype category; HistGradientBoosting only", partly=True)
    def raw_frame(self) -> Any:
        return with_categories(self.model(categorical_features="from_dtype"))

    @way("HistGradientBoosting, forests")
    def gaps(self) -> Any:
        return super().gaps()

    @way("MLPClassifier, LogisticRegression, forests; not HistGradientBoosting")
    def sparse(self) -> Any:
        return self.network()

    @way("MLPClassifier: partial_fit; HistGradientBoosting: warm_start")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return super().goes_on(self.network().fit(X, y), X, y)

    @way("skl2onnx, a package of its own; here not HistGradientBoosting")
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        return by_skl2onnx(self.network().fit(X, y), X)

    @way("partial_fit in a loop of your own", partly=True)
    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        model = self.network()
        for rows in 10 * np.array_split(np.arange(len(y)), 20):
            model.partial_fit(X[rows], y[rows], classes=[0, 1])
        return model

    def own_network(self, module: type) -> Any:
        return self.network(module=module)

    @way("ensembles, by joblib", partly=True)
    def processes(self, folder: Path) -> str:
        kind = "sklearn.ensemble import BaggingClassifier"
        return members_in_processes(kind, folder)

    @way("MLPRegressor and others")
    def regressor(self) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor()

    @way("MLPClassifier, forests")
    def multilabel(self) -> Any:
        return self.network()

    @way("monotonic_cst")
    def monotone(self) -> Any:
        return super().monotone()

    @way("forests, by impurity")
    def importances(self) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators=20, random_state=SEED)

    def defaults(self) -> Any:
        return self.model(max_iter=100)


class ImbalancedLearn(Library):
    title, package, module = "imbalanced-learn", "imbalanced-learn", "imblearn"
    grid = ("n_estimators", [10, 20])

    def model(self, **params: Any) -> Any:
        from imblearn.ensemble import BalancedRandomForestClassifier

        return BalancedRandomForestClassifier(
            **{"n_estimators": 30, "random_state": SEED} | params
        )

    @way("those of scikit-learn's classifiers in its pipeline", partly=True)
    def class_weight(self) -> Any:
        from imblearn.pipeline import make_pipeline

        return make_pipeline(ScikitLearn().class_weight())

    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        from imblearn.over_sampling import RandomOverSampler
        from imblearn.pipeline import make_pipeline

        labels = []

        def scoring(model: Any, X: Any, y: Any) -> float:
            labels.append(y)
            return model.score(X, y)

        boosting = ScikitLearn().model(early_stopping=True, scoring=scoring)
        make_pipeline(RandomOverSampler(random_state=SEED), boosting).fit(X, y)
        return labels[0], labels[-1]

    @way("out of bag, BalancedRandomForestClassifier", partly=True)
    def out_of_fold(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        model = self.model(oob_score=True, bootstrap=True, n_estimators=200).fit(X, y)
        return model, model.oob_decision_function_

    @way("ensembles, by joblib", partly=True)
    def processes(self, folder: Path) -> str:
        kind = "imblearn.ensemble import BalancedBaggingClassifier"
        return members_in_processes(kind, folder)

    @way("by impurity")
    def importances(self) -> Any:
        return super().importances()

    def defaults(self) -> Any:
        return self.model(n_estimators=100)


class ImbalancedEnsemble(Library):
    title, package, module = "imbalanced-ensemble", "imbalanced-ensemble", "imbens"
    grid = ("n_estimators", [5, 10])

    def model(self, **params: Any) -> Any:
        from imbens.ensemble import SelfPacedEnsembleClassifier

        return SelfPacedEnsembleClassifier(
            **{"n_estimators": 10, "random_state": SEED} | params
        )

    @way("costs in AdaCostClassifier, AdaUBoostClassifier", partly=True)
    def class_weight(self) -> Any:
        from imbens.ensemble import AdaUBoostClassifier

        return AdaUBoostClassifier(n_estimators=20, random_state=SEED)

    @way("in each member; eval_datasets are watched, nothing stops early", partly=True)
    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        X, X_valid, y, y_valid = train_test_split(X, y, stratify=y, random_state=SEED)
        drawn = []
        from sklearn.tree import DecisionTreeClassifier

        class Recorded(DecisionTreeClassifier):
            def fit(self, X: Any, y: Any, **params: Any) -> Any:
                drawn.append(y)
                return super().fit(X, y, **params)

        model = self.model(estimator=Recorded(max_depth=5))
        model.fit(X, y, eval_datasets={"valid": (X_valid, y_valid)})
        return drawn[0], y_valid

    @way("ensembles by bagging, by joblib", partly=True)
    def processes(self, folder: Path) -> str:
        kind = "imbens.ensemble import UnderBaggingClassifier"
        return members_in_processes(kind, folder)

    @way("BalancedRandomForestClassifier and other forests", partly=True)
    def importances(self) -> Any:
        from imbens.ensemble import BalancedRandomForestClassifier

        return BalancedRandomForestClassifier(n_estimators=20, random_state=SEED)

    def defaults(self) -> Any:
        return self.model(n_estimators=50)
