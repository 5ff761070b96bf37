"""Fits that test_ranks.py runs in two processes, and in one to compare.

Each of the two runs ``python rank_cases.py quick FILE`` with the variables that
torchrun sets, and leaves what its fits gave in the file.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd
import torch
from imblearn.over_sampling import SMOTE
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring, Freezer
from torch import distributed, nn

from imbalnet import BalancedNeuralClassifier
from imbalnet.samplers import SAMPLERS, IndexSampler

N_ROWS = 300
RANK = int(os.environ.get("RANK", 0))
IS_SECOND = RANK == 1
TABULAR = {"module__hidden_sizes": (16, 8), "module__n_bins": 4, "n_neighbors": 3}
MLP = {"module": "mlp", "module__hidden_sizes": (8,)}
ONE = {"n_members": 1, "early_stopping": True, "batch_size": 50, "n_neighbors": 0}


def table():
    """Numbers with gaps, a short category, and one of many levels."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N_ROWS, 3)), columns=list("abc"))
    y = (X["a"] + rng.normal(size=N_ROWS) > 1.1).astype(int).to_numpy()
    X.loc[::9, "b"] = np.nan
    X["short"] = pd.Categorical(rng.choice(list("xyz"), N_ROWS))
    X["long"] = pd.Categorical(rng.integers(45, size=N_ROWS).astype(str))
    return X, y


def new(**params):
    params = {"n_members": 4, "max_epochs": 3, "random_state": 0, **params}
    return BalancedNeuralClassifier(**params)


def left_by(clf, X):
    """What a fit leaves: bytes of the parameters, probabilities, history."""
    entries = [
        {k: v for k, v in record.items() if k not in ("dur", "batches")}
        for record in clf.history_
    ]
    return {
        "state": [v.numpy().copy() for v in clf.module_.state_dict().values()],
        "optimizer": [
            {k: v for k, v in group.items() if k != "params"}
            for group in clf.net_.optimizer_.param_groups
        ],
        "effective_prior": clf.effective_prior_,
        "proba": clf.predict_proba(X),
        "oof_proba": getattr(clf, "oof_proba_", None),
        "best": clf.best_iteration_,
        "history": entries,
    }


def fit(numbers_only=False, **params):
    X, y = table()
    X = X[["a", "b", "c"]].fillna(0) if numbers_only else X
    return left_by(new(**params).fit(X, y), X)


class ColumnsApart(nn.Module):
    """A network of members that knows nothing of imbalnet."""

    def __init__(self, in_features, out_features, n_members):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_members, in_features, out_features))

    def forward(self, x):
        x = x.transpose(0, 1) if x.ndim == 3 else x[None]
        return (x @ self.weight).transpose(0, 1)


class WithNorm(nn.Sequential):
    """A network whose rows need each other."""

    def __init__(self, in_features, out_features):
        layers = (
            nn.Linear(in_features, 8),
            nn.BatchNorm1d(8),
            nn.Linear(8, out_features),
        )
        super().__init__(*layers)


class BatchCounter(Callback):
    """A callback that looks at batches."""

    def on_batch_end(self, net, **kwargs):
        self.n = getattr(self, "n", 0) + 1


def scored():
    """Callbacks that predict in training, also on rows that are trained on."""
    scorings = [
        EpochScoring("neg_log_loss", name="v", lower_is_better=False),
        EpochScoring("neg_log_loss", name="t", lower_is_better=False, on_train=True),
    ]
    return fit(True, **MLP, callbacks=scorings)


def gone_on():
    """Two fits, the second from the weights of the first, and a part."""
    X, y = table()
    clf = new(**TABULAR, warm_start=True).fit(X, y)
    first = left_by(clf, X)
    second = left_by(clf.fit(X, y), X)
    clf.partial_fit(X, y)
    return {"first": first, "second": second}


def in_parts(**params):
    X, y = table()
    clf = new(**params)
    for start in range(0, N_ROWS, 100):
        rows = slice(start, start + 100)
        clf.partial_fit(X.iloc[rows], y[rows], classes=[0, 1])
    return left_by(clf, X)


# Members are trained apart: the same bits as in one process.
MEMBERS = {
    "tabular": partial(fit, **TABULAR),
    "members side by side": partial(fit, **MLP),
    "three side by side": partial(fit, **MLP | {"n_members": 3}),
    "balanced": partial(fit, True, **MLP, class_weight="balanced"),
    "deferred": partial(
        fit, **TABULAR, class_weight="balanced", class_weight__start_epoch=1
    ),
    "SMOTE": partial(fit, True, **TABULAR, sampler=SMOTE(k_neighbors=2)),
    "stopped": partial(fit, True, **MLP, max_epochs=30, patience=1, learning_rate=0.1),
    "frozen": partial(fit, **TABULAR, callbacks=[Freezer("hidden.*")]),
    "goes on": gone_on,
}
MEMBERS |= {
    f"{sampler}, {weight}": partial(
        fit, True, **MLP, sampler=sampler, class_weight=weight
    )
    for sampler in SAMPLERS
    for weight in (None, "balanced")
}
# Rows are trained apart, or a member alone: the same up to rounding.
ROUNDED = {
    "three members": partial(fit, **TABULAR | {"n_members": 3}),
    "one": partial(fit, **TABULAR | ONE),
    "one, oversample": partial(fit, **TABULAR | ONE, sampler="oversample"),
    "one, balanced": partial(fit, True, **MLP | ONE, class_weight="balanced"),
    "batches of one row": partial(fit, True, **MLP | ONE | {"batch_size": 1}),
    "tabm": partial(fit, True, module="tabm", module__k=4, module__d_block=8, **ONE),
    "a network of members": partial(fit, True, module=ColumnsApart),
    "in parts": partial(in_parts, **TABULAR),
}
# Nothing can be trained apart: the same bits as in one process, and a warning.
REPEATED = {
    "linear": partial(fit, True, module="linear"),
    "scored": scored,
    "batch callback": partial(fit, True, **MLP, callbacks=[BatchCounter]),
    "batch normalisation": partial(fit, True, module=WithNorm, **ONE),
}


# -- failures ------------------------------------------------------------------------


class Fails(Callback):
    """Fail in one process."""

    def __init__(self, epoch=2):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if IS_SECOND and len(net.history) == self.epoch:
            raise ZeroDivisionError("in a callback")


class Stops(Callback):
    """Stop in one process."""

    def on_epoch_end(self, net, **kwargs):
        net.stop_training = IS_SECOND and len(net.history) == 2


class Interrupts(Callback):
    """Interrupt one process."""

    def on_epoch_end(self, net, **kwargs):
        if IS_SECOND and len(net.history) == 2:
            raise KeyboardInterrupt


class FailsInStep(nn.Module):
    """Fail in one process, in the third step."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.steps, self.n = nn.Linear(in_features, out_features), 0

    def forward(self, x):
        self.n += self.training and torch.is_grad_enabled()
        if IS_SECOND and self.n == 3:
            raise ZeroDivisionError("in a step")
        return self.steps(x)


class ByChance(IndexSampler):
    """Draw without the rng that is given."""

    def bind(self, codes, rng):
        super().bind(codes, rng)
        self.n = len(codes)
        return self

    def rates(self, class_counts, batch_size):
        return np.ones(len(class_counts))

    def epoch(self, batch_size):
        return np.random.default_rng(RANK).permutation(self.n)


def bad_table():
    X, y = table()
    if IS_SECOND:
        y = np.zeros(N_ROWS, dtype=int)
    new(**MLP).fit(X, y)


def other_table():
    X, y = table()
    X.loc[7, "a"] += IS_SECOND
    new(**MLP).fit(X, y)


def undone():
    """An estimator whose second fit fails elsewhere stays as it was."""
    X, y = table()
    clf = new(**TABULAR).fit(X, y)
    before = clf.predict_proba(X)
    try:
        clf.set_params(callbacks=[Fails(epoch=5)], warm_start=True).fit(X, y)
    except Exception:
        return bool((clf.predict_proba(X) == before).all())


def in_workers():
    """Whether fits in joblib's workers are those of one process."""
    X, y = table()
    expected = new(**MLP).fit(X, y).predict_proba(X)
    fits = delayed(new(**MLP).fit)(X, y), delayed(new(**MLP).fit)(X, y)
    return [
        bool((clf.predict_proba(X) == expected).all())
        for backend in ("loky", "threading", "multiprocessing")
        for clf in Parallel(2, backend=backend)(fits)
    ]


def searched():
    """The best parameters of a search, each of whose fits is shared."""
    X, y = table()
    grid = {"learning_rate": [1e-4, 0.1]}
    return GridSearchCV(new(**MLP), grid, scoring="roc_auc", cv=2).fit(X, y).best_score_


FAILURES = {
    "callback": partial(fit, **TABULAR, callbacks=[Fails()]),
    "callback, one": partial(fit, **TABULAR | ONE, callbacks=[Fails()]),
    "interrupt": partial(fit, **MLP, callbacks=[Interrupts()]),
    "step": partial(fit, True, module=FailsInStep, **ONE),
    "table": bad_table,
    "other table": other_table,
    "parameter": partial(fit, **MLP, max_epochs=-1 if IS_SECOND else 1),
    "other parameter": partial(fit, **MLP, learning_rate=0.1 if IS_SECOND else 0.2),
    "by chance": partial(fit, True, **MLP | ONE, sampler=ByChance),
    "checkpoint": partial(fit, **MLP, checkpoint="folder"),
}
FURTHER = {
    "undone": undone,
    "workers": in_workers,
    "search": searched,
    "stop": partial(fit, **MLP, max_epochs=5, callbacks=[Stops()]),
    "no seed": partial(fit, **TABULAR, random_state=None),
    "no seed, one": partial(fit, **TABULAR | ONE, random_state=None),
}
QUICK_MEMBERS = "tabular", "SMOTE", "balanced_batch, balanced"
QUICK_ROWS = "three members", "one", "batches of one row", "a network of members"
QUICK_FAILURES = "callback", "step", "table", "other table"
QUICK = [*QUICK_MEMBERS, *QUICK_ROWS, "linear", *QUICK_FAILURES, "undone", "no seed"]
CASES = {**MEMBERS, **ROUNDED, **REPEATED, **FAILURES, **FURTHER}


def outcome(case):
    """Return what a case gives, and its warnings; or the text of its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = case()
        except (Exception, KeyboardInterrupt) as error:
            return f"{type(error).__name__}: {error}"
    return found, [str(warning.message) for warning in caught]


def main():
    """Run cases in one of several processes."""
    size, file = int(os.environ["WORLD_SIZE"]), sys.argv[2]
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{file}.store",
        rank=RANK,
        world_size=size,
        timeout=timedelta(seconds=60),
    )
    names = QUICK if sys.argv[1] == "quick" else CASES
    found = {name: outcome(CASES[name]) for name in names}
    with open(f"{file}.{RANK}", "wb") as stream:
        pickle.dump(found, stream)
    distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
