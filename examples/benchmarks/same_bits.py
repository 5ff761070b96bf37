"""Record what fits of many configurations give, and compare it bit for bit.

For changes that must not change results (moves, renames, a faster way to the same
numbers)::

    python examples/benchmarks/same_bits.py record before.pkl    # on the old code
    python examples/benchmarks/same_bits.py compare before.pkl   # on the new code

Bits belong to a machine and its versions of torch and NumPy, so that a recording is
made where it is compared, and is no part of the project. Two recordings of the same
code are equal. Each configuration leaves its predictions, out-of-fold probabilities,
fitted attributes, history (without durations) and parameters.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import sys
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import RandomSampler

from imbalnet import BalancedNeuralClassifier
from imbalnet.losses import LOSSES
from imbalnet.samplers import SAMPLERS

N_ROWS, N_SHOWN = 500, 150
ATTRIBUTES = (
    "class_weight_",
    "class_prior_",
    "effective_prior_",
    "temperature_",
    "offset_",
    "neighbor_weight_",
    "n_iter_",
    "best_iteration_",
    "n_features_in_",
    "classes_",
)


class Plain(nn.Module):
    """A module of a user's own, which knows nothing of imbalnet."""

    def __init__(self, in_features, out_features, width=16):
        super().__init__()
        self.steps = nn.Sequential(
            nn.Linear(in_features, width), nn.Tanh(), nn.Linear(width, out_features)
        )

    def forward(self, x):
        return self.steps(x)


class OneColumn(Plain):
    """One logit for two classes."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, 1)


class OwnMembers(nn.Module):
    """An ensemble whose members share their rows."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.members = nn.ModuleList(Plain(in_features, out_features) for _ in "abc")

    def forward(self, x):
        return torch.stack([member(x) for member in self.members], dim=1)


class BatchCounter(Callback):
    """A callback with batch events, so that training goes skorch's way."""

    def on_batch_end(self, net, **kwargs):
        self.n_batches_ = getattr(self, "n_batches_", 0) + 1


def margin(reduction="none"):
    return nn.MultiMarginLoss(reduction=reduction)


MLP = {"module": "mlp", "module__hidden_sizes": (16,), "max_epochs": 4}
EARLY = {**MLP, "early_stopping": True, "validation_fraction": 0.25}
DEFERRED = {"class_weight": "balanced", "class_weight__start_epoch": 2}
TABULAR = {"max_epochs": 4, "module__hidden_sizes": (16,)}


def configurations():
    """Name to (parameters, table, way of fitting)."""
    yield "default", {}, "two", "fit"
    yield "quick", {"preset": "quick"}, "two", "fit"
    yield "best", {"preset": "best", "max_epochs": 3, "module__k": 4}, "two", "fit"
    yield "default three", TABULAR, "three", "fit"
    for loss in LOSSES:
        yield f"mlp {loss}", {**MLP, "loss": loss}, "two", "fit"
        yield f"members {loss}", {**TABULAR, "loss": loss}, "three", "fit"
        yield f"early {loss}", {**EARLY, "loss": loss}, "three", "fit"
    for sampler in SAMPLERS:
        yield f"mlp {sampler}", {**EARLY, "sampler": sampler}, "two", "fit"
        yield f"members {sampler}", {**TABULAR, "sampler": sampler}, "three", "fit"
    yield "smote", {**EARLY, "sampler": SMOTE(k_neighbors=3)}, "two", "fit"
    yield "smote members", {**TABULAR, "sampler": SMOTE(k_neighbors=3)}, "two", "fit"
    yield "under", {**EARLY, "sampler": RandomUnderSampler()}, "weighted", "fit"
    yield "over", {**MLP, "sampler": RandomOverSampler()}, "sparse", "fit"
    yield "torch sampler", {**MLP, "sampler": RandomSampler}, "two", "fit"
    for weight in ("balanced", "effective", {0: 1.0, 1: 5.0}, [1, 3]):
        yield f"mlp weight {weight}", {**MLP, "class_weight": weight}, "two", "fit"
    powered = {"class_weight": "balanced", "class_weight__power": 0.5}
    yield "members powered", {**TABULAR, **powered}, "three", "fit"
    yield "deferred", {**EARLY, **DEFERRED}, "two", "fit"
    yield "deferred members", {**TABULAR, **DEFERRED}, "two", "fit"
    yield "both", {**EARLY, "class_weight": "balanced", "sampler": "weighted"}, *W
    for name in ("linear", "resnet", "tabular", "tabm"):
        own = {"module": name, "max_epochs": 3}
        yield name, own, "two", "fit"
        yield f"{name} three", own, "three", "fit"
        yield f"{name} frame", own, "frame", "fit"
    yield "linear sgd", {"module": "linear", "optimizer": "sgd"}, "three", "fit"
    for optimizer in ("adamw", "sgd"):
        narrow = {"optimizer": optimizer, "max_epochs": 3}
        yield f"narrow {optimizer}", {"module": "linear", **narrow}, "narrow", "fit"
        for module in ("linear", OneColumn):
            own = {"module": module, "n_members": 3, **narrow}
            yield f"narrow {optimizer} x 3 {module}", own, "narrow", "fit"
    yield "linear members", {"module": "linear", "n_members": 3}, "two", "fit"
    yield "linear sparse", {"module": "linear"}, "sparse", "fit"
    yield "linear frame", {"module": "linear", "class_weight": "balanced"}, *F
    for module in (Plain, OneColumn, OwnMembers):
        own = {"module": module, "max_epochs": 4}
        yield f"own {module.__name__}", own, "plain", "fit"
        yield f"own {module.__name__} early", {**own, "early_stopping": True}, *P
        if module is not OwnMembers:
            yield f"own {module.__name__} x 3", {**own, "n_members": 3}, *P
            yield f"own {module.__name__} lbfgs", {**own, "optimizer": "lbfgs"}, *P
    yield "mlp members", {**MLP, "n_members": 3}, "two", "fit"
    yield "one member", {**TABULAR, "n_members": 1}, "two", "fit"
    yield "no folds", {**TABULAR, "early_stopping": False}, "two", "fit"
    yield "own loss", {**MLP, "loss": nn.CrossEntropyLoss}, "two", "fit"
    yield "own criterion", {**MLP, "loss": margin}, "three", "fit"
    for optimizer in ("adam", "sgd", "lbfgs", torch.optim.RMSprop):
        yield f"optimizer {optimizer}", {**EARLY, "optimizer": optimizer}, "two", "fit"
    yield "constant", {**EARLY, "schedule": "constant"}, "two", "fit"
    yield "monitor loss", {**EARLY, "monitor": "loss"}, "two", "fit"
    yield "members monitor", {**TABULAR, "monitor": "average_precision"}, "two", "fit"
    yield "patience", {**EARLY, "patience": 1, "max_epochs": 12}, "two", "fit"
    yield "float64", {**EARLY, "dtype": "float64"}, "two", "fit"
    yield "float64 members", {**TABULAR, "dtype": "float64"}, "two", "fit"
    yield "callbacks", {**EARLY, "callbacks": [BatchCounter()]}, "two", "fit"
    yield "callbacks members", {**TABULAR, "callbacks": [BatchCounter()]}, "two", "fit"
    yield "no calibration", {**TABULAR, "calibrate": False}, "two", "fit"
    yield "no neighbors", {**TABULAR, "n_neighbors": 0}, "spots", "fit"
    yield "neighbors", TABULAR, "spots", "fit"
    yield "neighbors frame", {**TABULAR, "n_neighbors": 5}, "frame", "fit"
    for prior in ("train", "uniform", [0.7, 0.3]):
        honest = {**TABULAR, "class_weight": "balanced", "target_prior": prior}
        yield f"target {prior}", honest, "two", "fit"
    yield "costs", {**TABULAR, "cost_matrix": [[0, 1], [9, 0]]}, "two", "fit"
    yield "one batch", {**MLP, "batch_size": 500}, "two", "fit"
    yield "few rows", {**MLP, "class_weight": "balanced"}, "few", "fit"
    yield "few rows members", {**TABULAR, "sampler": "weighted"}, "few", "fit"
    yield "weighted members", TABULAR, "weighted", "fit"
    yield "weighted zero", EARLY, "zero weights", "fit"
    yield "weighted zero members", TABULAR, "zero weights", "fit"
    yield "sparse members", TABULAR, "sparse", "fit"
    yield "frame smotenc", {**EARLY, "sampler": SMOTENC("auto", k_neighbors=2)}, *T
    yield "frame default", {}, "frame", "fit"
    yield "frame mlp", EARLY, "frame", "fit"
    yield "positions", {**MLP, "categorical_features": [0, 2]}, "codes", "fit"
    yield "words", {**TABULAR, "class_weight": {"no": 1, "yes": 4}}, "words", "fit"
    for way in ("partial_fit", "warm_start", "X_val", "partial after fit"):
        yield f"mlp {way}", {**EARLY, "class_weight": "balanced"}, "two", way
        yield f"members {way}", {**TABULAR, "sampler": "weighted"}, "two", way
        yield f"linear {way}", {"module": "linear", "max_epochs": 3}, "three", way
        yield f"frame {way}", {**TABULAR, "class_weight": "balanced"}, "frame", way
        yield f"deferred {way}", {**EARLY, **DEFERRED}, "two", way


W = ("weighted", "fit")
F = ("frame", "fit")
T = ("tidy frame", "fit")
P = ("plain", "fit")


def table(kind):
    """Features, labels and sample weights."""
    rng = np.random.default_rng(0)
    n_classes = 3 if kind == "three" else 2
    shares = [0.75, 0.15] if n_classes == 3 else [0.88]
    n_rows = 60 if kind == "few" else N_ROWS
    X, y = make_classification(
        n_rows, 8, n_informative=5, n_classes=n_classes, weights=shares, random_state=1
    )
    weight = None
    if kind == "weighted":
        weight = rng.uniform(0.5, 2.0, n_rows)
    elif kind == "zero weights":
        weight = rng.integers(0, 3, n_rows).astype(float)
    elif kind == "narrow":
        X = StandardScaler().fit_transform(X)[:, :5]
    elif kind == "plain":
        X = StandardScaler().fit_transform(X)
    elif kind == "sparse":
        X = sparse.csr_matrix(np.where(np.abs(X) < 1, 0.0, X))
    elif kind == "codes":
        X[:, [0, 2]] = rng.integers(0, 5, (n_rows, 2))
    elif kind == "words":
        y = np.array(["no", "yes"])[y]
    elif kind == "spots":
        X = rng.uniform(-1, 1, (n_rows, 3))
        y = (np.floor(4 * X).sum(axis=1) % 3 == 0).astype(int)
    elif kind in ("frame", "tidy frame"):
        X = pd.DataFrame(X, columns=[f"x{i}" for i in range(8)])
        X["shop"] = pd.Categorical(rng.choice(list("abcdef"), n_rows))
        X["flag"] = rng.choice([True, False], n_rows)
        if kind == "frame":
            X.loc[rng.random(n_rows) < 0.2, "x1"] = np.nan
            X.loc[rng.random(n_rows) < 0.1, "shop"] = np.nan
    return X, y, weight


def fitted(params, kind, way):
    X, y, weight = table(kind)
    clf = BalancedNeuralClassifier(**{"random_state": 0, "n_threads": 1, **params})
    half, n_classes = len(y) // 2, np.unique(y)
    first, second = X[:half], X[half:]
    if way == "fit":
        clf.fit(X, y, sample_weight=weight)
    elif way == "partial_fit":
        clf.partial_fit(first, y[:half], classes=n_classes)
        clf.partial_fit(second, y[half:])
    elif way == "partial after fit":
        clf.fit(first, y[:half]).partial_fit(second, y[half:])
    elif way == "warm_start":
        clf.set_params(warm_start=True).fit(X, y).fit(X, y)
    else:
        clf.fit(first, y[:half], X_val=second, y_val=y[half:])
    return clf, X[:N_SHOWN]


def left_by(clf, X):
    """All that a user can see of a fit, as plain arrays."""
    left = {name: np.asarray(getattr(clf, name)) for name in ATTRIBUTES}
    for name in ("oof_proba_", "coef_", "intercept_"):
        try:
            left[name] = np.asarray(getattr(clf, name))
        except AttributeError:
            left[name] = np.empty(0)
    for method in ("predict", "predict_proba", "decision_function"):
        left[method] = getattr(clf, method)(X)
    for i, record in enumerate(clf.history_):
        for name, value in record.items():
            if name not in ("dur", "batches"):
                left[f"history {i} {name}"] = np.asarray(value)
    params = repr(sorted(clf.get_params(deep=False).items()))
    left["params"] = np.asarray(re.sub("0x[0-9a-f]+", "", params))  # no addresses
    return left


def record(chosen):
    recorded = {}
    for name, params, kind, way in configurations():
        if not name.startswith(chosen):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                recorded[name] = left_by(*fitted(params, kind, way))
            except Exception as error:  # an error is a result too
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                recorded[name] = {"error": np.asarray(type(error).__name__)}
    return recorded


def differences(before, after):
    """Yield what differs, a line each."""
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        for key in sorted(old.keys() | new.keys()):
            if key not in old or key not in new:
                yield f"{name}: {key} is in one of the two only"
            elif not _same(old[key], new[key]):
                yield f"{name}: {key}: {_distance(old[key], new[key])}"


def _same(old, new):
    return (
        old.dtype == new.dtype
        and old.shape == new.shape
        and (old.tolist() == new.tolist() if old.dtype == object else _bits(old, new))
    )


def _bits(old, new):
    return old.tobytes() == new.tobytes()


def _distance(old, new):
    if old.dtype.kind != "f" or old.shape != new.shape:
        return f"{old!r:.200} became {new!r:.200}"
    return f"by {np.abs(old - new).max():.3g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("file")
    parser.add_argument("--only", default="", help="names that begin so")
    args = parser.parse_args()
    recorded = record(args.only)
    if args.action == "record":
        with open(args.file, "wb") as file:
            pickle.dump(recorded, file)
        print(f"{len(recorded)} configurations recorded")
        return
    with open(args.file, "rb") as file:
        before = pickle.load(file)
    lines = list(differences(before, recorded))
    changed = {line.split(":")[0] for line in lines}
    print(*lines, sep="\n")
    print(f"{len(recorded)} configurations, {len(changed)} differ")
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
