"""Files: pickle, joblib, cloudpickle, skops and deep copies give the same estimator."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from imbalnet import BalancedNeuralClassifier
from imbalnet.losses import LOSSES, Focal
from imbalnet.networks import MLP, NETWORKS
from imbalnet.samplers import SAMPLERS

TRUSTED = ["imbalnet.classifier.BalancedNeuralClassifier"]


def small(**params):
    fixed = {"max_epochs": 2, "random_state": 0, "n_members": 1, "module": "mlp"}
    return BalancedNeuralClassifier(**{**fixed, **params})


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def by_skops(model, trusted=TRUSTED):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    assert set(skops.get_untrusted_types(data=data)) == set(trusted)
    return skops.loads(data, trusted=trusted)


WAYS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": by_joblib,
    "cloudpickle": lambda model: pickle.loads(cloudpickle.dumps(model)),
    "skops": by_skops,
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(params=WAYS)
def again(request):
    return WAYS[request.param]


def raw_table(n_rows=200):
    """Numbers with gaps, words, levels of an order, bool, numbers as categories."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": np.where(
                rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows)
            ),
            "word": rng.choice(["a", "b", None], n_rows),
            "size": pd.Categorical(
                rng.choice(["low", "high"], n_rows), ["low", "high"], ordered=True
            ),
            "yes": rng.random(n_rows) < 0.5,
            "code": pd.Categorical(rng.integers(0, 3, n_rows)),
            "span": pd.cut(rng.random(n_rows), 3).astype(object),
            "time": 1.7e9 + rng.normal(size=n_rows),
        }
    )
    y = rng.choice(["no", "yes"], n_rows, p=[0.8, 0.2])
    return X, y


@pytest.mark.parametrize("module", NETWORKS)
def test_every_network_is_stored_with_one_type_to_trust(rare, module):
    X, y = rare[0][:150], rare[1][:150]
    n_members = 1 if module == "tabm" else 2
    clf = small(module=module, n_members=n_members).fit(X, y)
    expected = clf.predict_proba(X)
    for restored in (by_skops(clf), WAYS["pickle"](clf)):
        assert np.array_equal(restored.predict_proba(X), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_stored_with_one_type_to_trust(three_classes, loss):
    X, y = three_classes[0][:150], three_classes[1][:150]
    clf = small(loss=loss, target_prior=None).fit(X, y)
    assert np.array_equal(by_skops(clf).predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_is_stored_with_one_type_to_trust(rare, sampler):
    X, y = rare[0][:150], rare[1][:150]
    clf = small(sampler=sampler).fit(X, y)
    assert np.array_equal(by_skops(clf).predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize(
    "params",
    [
        {"module": "auto", "n_members": 2, "n_neighbors": 3, "threshold": "f1"},
        {"module": "resnet", "threshold": 0.2, "class_weight": "balanced"},
        {"module": "linear", "dtype": "float64", "class_weight": {"no": 1, "yes": 5}},
        {"cost_matrix": [[0, 1], [9, 0]], "callbacks": []},
        {"module": MLP, "loss": Focal, "optimizer": torch.optim.Adam},
        {"device": torch.device("cpu"), "random_state": np.random.RandomState(0)},
    ],
    ids=["neighbors", "threshold", "weights", "costs", "classes", "objects"],
)
def test_fitted_attributes_come_back(again, params):
    X, y = raw_table()
    clf = small(**params).fit(X, y)
    restored = again(clf)
    assert np.array_equal(restored.predict_proba(X), clf.predict_proba(X))
    assert np.array_equal(restored.predict(X), clf.predict(X))
    assert restored.net_ is restored._fitted.net
    assert restored.class_prior_ is restored.calibration_.class_prior
    assert list(restored.feature_names_in_) == list(X.columns)
    assert restored.resolved_ == clf.resolved_
    assert restored.history_ == clf.history_
    assert restored._columns == clf._columns
    if clf.net_.n_members > 1:
        assert np.array_equal(restored.oof_proba_, clf.oof_proba_)
        assert restored.threshold_ == clf.threshold_
    for name, value in clf.get_params(deep=False).items():
        same = getattr(restored, name)
        assert type(same) is type(value)
        if not hasattr(value, "get_state"):
            assert same == value


def test_unfitted_estimator_comes_back(again):
    clf = small(class_weight="balanced", class_weight__power=0.5, module__dropout=0.1)
    restored = again(clf)
    assert restored.get_params() == clf.get_params()
    assert clone(restored).get_params() == clf.get_params()
    assert not restored.__sklearn_is_fitted__()


@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_training_goes_on_as_if_it_had_not_been_stored(rare, again, first):
    X, y = rare
    parts = [slice(i, i + 70) for i in (0, 70, 140)]
    kept, stored = small(), small()
    for clf in (kept, stored):
        getattr(clf, first)(X[parts[0]], y[parts[0]], *[[0, 1]] * (first != "fit"))
    for part in parts[1:]:
        stored = again(stored)
        for clf in (kept, stored):
            clf.partial_fit(X[part], y[part])
    assert np.array_equal(kept.predict_proba(X), stored.predict_proba(X))
    assert kept.n_iter_ == stored.n_iter_


def test_first_rows_of_a_frame_are_stored(again):
    X, y = raw_table()
    kept = small(sampler=RandomOverSampler(random_state=0))
    kept.partial_fit(X[:60], y[:60], classes=["no", "yes"])
    if again is by_skops:
        trusted = [*TRUSTED, "imblearn.over_sampling._random_over_sampler."]
        trusted[1] += "RandomOverSampler"
        stored = by_skops(kept, trusted)
    else:
        stored = again(kept)
    for clf in (kept, stored):
        clf.partial_fit(X[60:], y[60:])
    assert np.array_equal(kept.predict_proba(X), stored.predict_proba(X))


def test_warm_start_goes_on_as_if_it_had_not_been_stored(again):
    X, y = raw_table()
    kept = small(module="auto", n_members=2, warm_start=True).fit(X, y)
    stored = again(kept)
    assert np.array_equal(kept.fit(X, y).oof_proba_, stored.fit(X, y).oof_proba_)


def test_lbfgs_goes_on_with_its_penalty(rare, again):
    X, y = rare
    kept = small(module="linear", n_members=1, warm_start=True).fit(X, y)
    stored = again(kept)
    assert len(stored.net_.penalised_) == 1
    assert stored.net_.penalised_[0] is stored.module_.output.weight
    for clf in (kept, stored):
        clf.fit(X[:300], y[:300])
    assert np.array_equal(kept.predict_proba(X), stored.predict_proba(X))


def pipelines():
    numbers, words = ["time"], ["word"]
    columns = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(), words)
    )
    yield make_pipeline(columns, small())
    yield make_imblearn_pipeline(columns, RandomOverSampler(random_state=0), small())
    search = GridSearchCV(small(), {"loss__gamma": [1.0, 2.0]}, cv=2)
    search.estimator.set_params(loss="focal")
    yield search


@pytest.mark.parametrize(
    "model", list(pipelines()), ids=["sklearn", "imblearn", "search"]
)
def test_pipelines_and_searches_are_stored(model):
    """What else must be trusted is what it would be with another classifier."""
    skops = pytest.importorskip("skops.io")
    X, y = raw_table()
    X = X[["time", "word"]]
    if isinstance(model, GridSearchCV):
        X = X[["time"]]
    model = clone(model).fit(X, y)
    other = clone(model)
    if isinstance(model, GridSearchCV):
        other.set_params(estimator=LogisticRegression(), param_grid={"C": [1.0, 2.0]})
    else:
        other.set_params(balancedneuralclassifier=LogisticRegression())
    theirs = skops.get_untrusted_types(data=skops.dumps(other.fit(X, y)))
    restored = by_skops(model, sorted({*TRUSTED, *theirs}))
    assert np.array_equal(restored.predict_proba(X), model.predict_proba(X))


class Bent(nn.Module):
    """A user's network, with attributes of several kinds."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.first = nn.Linear(in_features, 4)
        self.last = nn.Linear(4, out_features)
        self.last.bias.requires_grad_(False)
        self.scale = {"of": (torch.ones(1), 2.0)}
        self.tied = self.first

    def forward(self, x):
        return self.last(torch.relu(self.tied(x)) * self.scale["of"][0])


class CrossEntropyOfUser(nn.CrossEntropyLoss):
    """A user's loss."""


@pytest.mark.parametrize("way", ["pickle", "joblib", "cloudpickle", "deepcopy"])
def test_components_of_users_are_stored(rare, way):
    X, y = rare
    clf = small(module=Bent, loss=CrossEntropyOfUser).fit(X, y)
    restored = WAYS[way](clf)
    assert restored.module_.tied is restored.module_.first
    assert not restored.module_.last.bias.requires_grad
    assert np.array_equal(restored.predict_proba(X), clf.predict_proba(X))
    assert np.array_equal(
        restored.partial_fit(X, y).predict_proba(X),
        clf.partial_fit(X, y).predict_proba(X),
    )


def test_components_of_users_must_be_trusted(rare):
    X, y = rare
    clf = small(module=Bent, loss=CrossEntropyOfUser, threshold=0.5).fit(X, y)
    own = [f"{__name__}.{cls.__name__}" for cls in (Bent, CrossEntropyOfUser)]
    restored = by_skops(clf, [*TRUSTED, *own])
    assert np.array_equal(restored.predict_proba(X), clf.predict_proba(X))


def precision_and_recall(y_true, y_pred):
    return float(np.mean(y_true == y_pred))


def test_callable_parameters_are_stored(rare):
    X, y = rare
    clf = small(n_members=2, threshold=precision_and_recall).fit(X, y)
    for restored in (
        WAYS["pickle"](clf),
        by_skops(clf, [*TRUSTED, f"{__name__}.precision_and_recall"]),
    ):
        assert restored.threshold_ == clf.threshold_


def test_no_optimizer_is_built_for_predictions(rare):
    X, y = rare
    restored = WAYS["pickle"](small().fit(X, y))
    restored.predict_proba(X)
    assert "optimizer_" not in vars(restored.net_)
    assert isinstance(restored.net_.optimizer_, torch.optim.AdamW)


def test_file_has_the_weights_once(rare):
    """Three float32 vectors a weight, of which two were AdamW's, took thrice that."""
    X, y = rare
    clf = small(module="mlp").fit(X, y)
    n_bytes = 4 * clf.net_.n_parameters
    assert n_bytes < len(pickle.dumps(clf)) < n_bytes + 20_000


def test_partial_fit_keeps_the_optimizer_and_fit_does_not(rare):
    X, y = rare
    clf = small().fit(X, y)
    assert not clf.net_.optimizer_.state
    assert all(p.grad is None for p in clf.module_.parameters())
    clf.partial_fit(X, y)
    assert len(clf.net_.optimizer_.state) == len(list(clf.module_.parameters()))


def stored_by(clf, **changes):
    state = clf.__getstate__()
    restored = object.__new__(type(clf))
    restored.__setstate__({**state, **changes})
    return restored


def test_another_version_is_warned_of(rare):
    X, y = rare
    clf = small().fit(X, y)
    earlier = {"imbalnet": "0.0.9", "torch": "2.4.0"}
    with pytest.warns(InconsistentVersionWarning, match="torch 2.4.0, and is loaded"):
        restored = stored_by(clf, versions=earlier)
    assert np.array_equal(restored.predict_proba(X), clf.predict_proba(X))


def test_another_build_of_torch_is_the_same_version(rare, monkeypatch):
    clf = small().fit(*rare)
    state = clf.__getstate__()
    version = torch.__version__.partition("+")[0]
    monkeypatch.setattr(torch, "__version__", f"{version}+cu130")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().__setstate__(state)


@pytest.mark.parametrize("changes", [{"format": 99}, {"format": None, "versions": {}}])
def test_format_that_cannot_be_read_is_an_error(changes):
    with pytest.raises(ValueError, match=r"reads the format 1\. Load it with"):
        stored_by(small(), **changes)


def test_class_that_is_gone_is_an_error(rare):
    clf = small().fit(*rare)
    state = clf.__getstate__()
    content = state["content"].replace("imbalnet.networks.mlp.MLP", "imbalnet.x.Gone")
    with pytest.raises(ValueError, match=r"imbalnet\.x\.Gone, which this version"):
        stored_by(clf, content=content)


@pytest.mark.parametrize("named", ["os.system", "torch.load", "imbalnet._warn.warn"])
def test_file_names_no_other_functions(named):
    """A file cannot name what is not a class of the packages that are known."""
    content = '{"dict":{"module":{"named":"' + named + '"}}}'
    with pytest.raises(ValueError, match="does not have"):
        stored_by(small(), content=content)


def test_model_of_a_gpu_is_loaded_to_the_cpu(rare):
    """The state of a model trained on a GPU, without one."""
    X, y = rare
    clf = small().fit(X, y)
    state = clf.__getstate__()
    content = state["content"].replace('"cpu"', '"cuda:7"')
    with pytest.warns(UserWarning, match="trained on cuda:7, which this machine does"):
        restored = stored_by(clf, content=content)
    if not torch.cuda.is_available():
        assert np.array_equal(restored.predict_proba(X), clf.predict_proba(X))
    restored.partial_fit(X, y)


@pytest.mark.gpu
def test_model_of_this_gpu_stays_there(rare):
    X, y = rare
    clf = small(device="cuda").fit(X, y)
    for restored in (WAYS["pickle"](clf), by_skops(clf)):
        assert restored.device_.type == "cuda"
        assert np.array_equal(restored.predict_proba(X), clf.predict_proba(X))


def test_memory_map_can_be_loaded_and_stored_again(rare, tmp_path):
    X, y = rare
    clf = small(n_members=2, module="auto", n_neighbors=3).fit(X, y)
    joblib.dump(clf, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    restored = by_skops(mapped)
    for other in (mapped, restored):
        assert np.array_equal(other.predict_proba(X), clf.predict_proba(X))
    mapped.partial_fit(X, y)
