"""What `features.py` asks of each library: how it is used for one feature.

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
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

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
        return _by_skl2onnx(self.model().fit(X, y), X)

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


class Imbalnet(Library):
    title, package, module = "imbalnet", "imbalnet", "imbalnet"
    grid = ("max_epochs", [5, 10])

    def model(self, **params: Any) -> Any:
        from imbalnet import BalancedNeuralClassifier

        return BalancedNeuralClassifier(
            **{"preset": "quick", "max_epochs": 10, "random_state": SEED} | params
        )

    @way('class_weight="balanced"')
    def class_weight(self) -> Any:
        return super().class_weight()

    @way('loss="focal"')
    def focal(self) -> Any:
        return super().focal()

    @way("sampler=RandomOverSampler()")
    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        from imblearn.over_sampling import RandomOverSampler

        given, drawn = [], []

        class Recorded(RandomOverSampler):
            def fit_resample(self, X: Any, y: Any, **params: Any) -> Any:
                found = super().fit_resample(X, y, **params)
                given.append(np.asarray(X))
                drawn.append(found[1])
                return found

        self.model(module="mlp", preset=None, early_stopping=True).set_params(
            sampler=Recorded(random_state=SEED)
        ).fit(X, y)
        seen = set(given[0][:, 0].astype(np.float32).tolist())
        is_held_out = [value not in seen for value in X[:, 0].astype(np.float32)]
        return drawn[0], y[is_held_out]

    @way("of itself, by folds or a split")
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        model = self.model().fit(X, y)
        return y[model.folds_ == 0]

    @way('target_prior="train"')
    def base_rate(self) -> Any:
        return self.class_weight().set_params(target_prior="train")

    @way("target_prior, read at prediction time")
    def other_rate(self, model: Any, prior: list[float]) -> Any:
        return super().other_rate(model, prior)

    @way("oof_proba_")
    def out_of_fold(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        return super().out_of_fold(X, y)

    @way('threshold="f1", without a refit')
    def threshold_f1(self) -> Any:
        return self.model(threshold="f1")

    @way("PrecisionAtLeast, AlertShare, LeastCost, without a refit")
    def threshold_limits(self, limit: str) -> Any:
        from imbalnet import decisions

        criterion = {
            "precision": decisions.PrecisionAtLeast(0.5),
            "alerts": decisions.AlertShare(0.05),
            "costs": decisions.LeastCost(
                false_positive=COSTS[0, 1], false_negative=COSTS[1, 0]
            ),
        }
        return self.model(threshold=criterion[limit])

    @way("predict(X, cost_matrix=...)")
    def row_costs(self, model: Any, X: np.ndarray, costs: dict) -> Any:
        return super().row_costs(model, X, costs)

    @way("partial_fit, warm_start=True")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        model = self.model(n_members=1).partial_fit(X, y, classes=[0, 1])
        return model.partial_fit(X, y)

    @way("to_onnx")
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        model = self.model().fit(X, y)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.to_onnx(path)
            return model, path.read_bytes()

    @way("LargeTable")
    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        from imbalnet.large_tables import LargeTable

        return self.model().fit(LargeTable(folder / "rows.parquet"), "y")

    @way("torchrun")
    def processes(self, folder: Path) -> str:
        code = """
import numpy as np, torch.distributed as dist
from imbalnet import BalancedNeuralClassifier
dist.init_process_group("gloo")
rows = np.load("rows.npz")
model = BalancedNeuralClassifier(preset="quick", max_epochs=2, random_state=0)
model.fit(rows["X"], rows["y"])
print("processes", dist.get_world_size(), model.predict_proba(rows["X"]).shape)
dist.destroy_process_group()
"""
        (folder / "ranks.py").write_text(code)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        return _printed([*command, "ranks.py"], folder)

    @way("module=")
    def own_network(self, module: type) -> Any:
        return self.model(module=module, preset=None, learning_rate=0.01)

    def defaults(self) -> Any:
        return self.model(preset=None, max_epochs="auto", n_threads=1)


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
        return _with_categories(self.model(categorical_features="from_dtype"))

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
        return _by_skl2onnx(self.network().fit(X, y), X)

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
        return _members_in_processes(kind, folder)

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


class Skorch(Library):
    title, package, module = "skorch", "skorch", "skorch"
    grid = ("lr", [0.05, 0.1])

    def model(self, module: type | None = None, **params: Any) -> Any:
        import torch
        from skorch import NeuralNetClassifier

        torch.manual_seed(SEED)
        fixed = {"max_epochs": 10, "lr": 0.1, "verbose": 0, "batch_size": 64}
        if module is None:
            module, fixed["module__n_columns"] = plain_network(), 2
            fixed["criterion"] = torch.nn.CrossEntropyLoss
        return NeuralNetClassifier(module, **fixed | params)

    @way("criterion__weight, computed by you", partly=True)
    def class_weight(self) -> Any:
        import torch

        return self.model(criterion__weight=torch.tensor([0.526, 10.0]))

    @way("a loss module of your own", partly=True)
    def focal(self) -> Any:
        import torch

        class Focal(torch.nn.CrossEntropyLoss):
            def forward(self, logits: Any, target: Any) -> Any:
                losses = torch.nn.functional.cross_entropy(
                    logits, target, reduction="none"
                )
                return ((1 - torch.exp(-losses)) ** 2 * losses).mean()

        return self.model(criterion=Focal)

    @way("a torch sampler, with a validation split of your own", partly=True)
    def resampling(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        import torch
        from skorch.dataset import Dataset
        from skorch.helper import predefined_split

        X, X_valid, y, y_valid = train_test_split(X, y, stratify=y, random_state=SEED)
        weight = torch.as_tensor(np.where(y == 1, 19.0, 1.0))
        sampler = torch.utils.data.WeightedRandomSampler(weight, len(y))
        drawn = y[list(sampler)]
        self.model(
            train_split=predefined_split(Dataset(_floats(X_valid), y_valid)),
            iterator_train__sampler=sampler,
        ).fit(_floats(X), y)
        return drawn, y_valid

    @way("ValidSplit and the callback EarlyStopping")
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        from skorch.callbacks import Callback, EarlyStopping

        labels = []

        class Recorded(Callback):
            def on_train_begin(self, net: Any, X: Any, y: Any, **parts: Any) -> None:
                _, valid = net.get_split_datasets(X, y)
                labels.extend(int(valid[i][1]) for i in range(len(valid)))

        self.model(callbacks=[Recorded(), EarlyStopping()]).fit(_floats(X), y)
        return np.array(labels)

    @way("partial_fit, warm_start")
    def goes_on(self, model: Any, X: np.ndarray, y: np.ndarray) -> Any:
        return super().goes_on(model, _floats(X), y)

    @way("torch.onnx of the module; the softmax is yours", partly=True)
    def onnx(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
        import torch

        model = self.model().fit(_floats(X), y)
        network = torch.nn.Sequential(model.module_, torch.nn.Softmax(dim=1)).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.onnx")
            program = torch.onnx.export(
                network,
                (torch.zeros(2, X.shape[1]),),
                dynamic_shapes=({0: torch.export.Dim("rows")},),
                dynamo=True,
                verbose=False,
            )
            program.save(path)
            return model, Path(path).read_bytes()

    @way("a torch Dataset of your own", partly=True)
    def larger(self, folder: Path, X: np.ndarray, y: np.ndarray) -> Any:
        import torch

        np.save(folder / "X.npy", _floats(X))

        class OnDisk(torch.utils.data.Dataset):
            rows = np.load(folder / "X.npy", mmap_mode="r")

            def __len__(self) -> int:
                return len(self.rows)

            def __getitem__(self, i: int) -> tuple:
                return self.rows[i].copy(), int(y[i])

        return self.model(train_split=None, classes=[0, 1]).fit(OnDisk(), None)

    @way("AccelerateMixin, with the package accelerate", partly=True)
    def processes(self, folder: Path) -> str:
        code = """
import accelerate, numpy as np, torch
from skorch import NeuralNetClassifier
from skorch.hf import AccelerateMixin
class Net(AccelerateMixin, NeuralNetClassifier):
    pass
rows = np.load("rows.npz")
accelerator = accelerate.Accelerator(cpu=True)
net = Net(
    torch.nn.Linear, module__in_features=2, module__out_features=2,
    criterion=torch.nn.CrossEntropyLoss, accelerator=accelerator, max_epochs=2,
    verbose=0,
)
net.fit(rows["X"].astype(np.float32), rows["y"].astype(np.int64))
print("processes", accelerator.num_processes)
"""
        (folder / "ranks.py").write_text(code)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        return _printed([*command, "ranks.py"], folder)

    @way("any module; it is what skorch is for")
    def own_network(self, module: type) -> Any:
        import torch

        return self.model(module=module, criterion=torch.nn.CrossEntropyLoss)

    @way("NeuralNetRegressor")
    def regressor(self) -> Any:
        import torch
        from skorch import NeuralNetRegressor

        class OfColumn(NeuralNetRegressor):
            def fit(self, X: Any, y: Any, **params: Any) -> Any:
                return super().fit(X, _floats(y)[:, None], **params)

        torch.manual_seed(SEED)
        fixed = {"max_epochs": 30, "lr": 0.05, "verbose": 0}
        network = {"module__n_columns": 2, "module__n_outputs": 1}
        return OfColumn(plain_network(), **fixed, **network)

    def defaults(self) -> Any:
        return self.model(module__n_columns=20)


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
        return _members_in_processes(kind, folder)

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
        return _members_in_processes(kind, folder)

    @way("BalancedRandomForestClassifier and other forests", partly=True)
    def importances(self) -> Any:
        from imbens.ensemble import BalancedRandomForestClassifier

        return BalancedRandomForestClassifier(n_estimators=20, random_state=SEED)

    def defaults(self) -> Any:
        return self.model(n_estimators=50)


class Pytabkit(Library):
    title, package, module = "pytabkit", "pytabkit", "pytabkit"
    grid = ("n_epochs", [4, 8])

    def model(self, **params: Any) -> Any:
        from pytabkit import RealMLP_TD_Classifier

        fixed = {"n_epochs": 10, "device": "cpu", "n_threads": 1, "random_state": SEED}
        return RealMLP_TD_Classifier(**fixed | params)

    @way("folds (n_cv) are stratified, a single split is not", partly=True)
    def early_stopping(self, X: np.ndarray, y: np.ndarray) -> Any:
        from pytabkit.models.data import splits

        found = []
        split = splits.KFoldSplitter.get_idxs

        def recorded(splitter: Any, table: Any) -> Any:
            found.extend(pairs := split(splitter, table))
            return pairs

        splits.KFoldSplitter.get_idxs = recorded
        try:
            self.model(n_cv=4).fit(X, y)
        finally:
            splits.KFoldSplitter.get_idxs = split
        return y[found[0][1].numpy()]

    def checked(self) -> Any:
        return self.model(n_epochs=1)

    @way("RealMLP_TD_Regressor and others")
    def regressor(self) -> Any:
        from pytabkit import RealMLP_TD_Regressor

        fixed = {"device": "cpu", "n_threads": 1, "random_state": SEED}
        return RealMLP_TD_Regressor(n_epochs=20, **fixed)

    def defaults(self) -> Any:
        return self.model(n_epochs=None)


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
        return _with_categories(self.model())

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
        return _printed(["workers.py"], folder)

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


LIBRARIES: list[Library] = [
    Imbalnet(),
    ScikitLearn(),
    Skorch(),
    ImbalancedLearn(),
    ImbalancedEnsemble(),
    Pytabkit(),
    LightGBM(),
    CatBoost(),
]


def _by_skl2onnx(model: Any, X: np.ndarray) -> tuple[Any, bytes]:
    from skl2onnx import to_onnx

    graph = to_onnx(model, X[:1].astype(np.float32), options={"zipmap": False})
    return model, graph.SerializeToString()


class _Boosted:
    """Gives a function's probabilities of the second class the usual name."""

    def __init__(self, predict: Callable) -> None:
        self.predict = predict

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        positive = self.predict(X)
        return np.column_stack([1 - positive, positive])


def plain_network() -> type:
    """Return the class of a small network."""
    from torch import nn

    class Net(nn.Sequential):
        def __init__(self, n_columns: int = 2, n_outputs: int = 2) -> None:
            hidden = nn.Linear(n_columns, 32)
            super().__init__(hidden, nn.ReLU(), nn.Linear(32, n_outputs))

    return Net


def _floats(X: Any) -> np.ndarray:
    return np.asarray(X, dtype=np.float32)


def _with_categories(model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(_as_categories), model)


def _as_categories(frame: Any) -> Any:
    return frame.astype({"words": "category"})


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


def _members_in_processes(kind: str, folder: Path) -> str:
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
    return _printed(["members.py"], folder)


def _printed(arguments: list[str], folder: Path) -> str:
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
