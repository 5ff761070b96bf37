"""``module="linear"`` against scikit-learn's LogisticRegression."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier


@pytest.fixture(scope="module", params=[2, 3], ids=["two classes", "three classes"])
def scaled(request):
    shares = {2: [0.93], 3: [0.85, 0.1]}[request.param]
    X, y = make_classification(
        800,
        8,
        n_informative=6,
        n_redundant=0,
        n_classes=request.param,
        weights=shares,
        random_state=0,
    )
    return StandardScaler().fit_transform(X), y


@pytest.fixture(params=[None, "integers"], ids=["unweighted rows", "weighted rows"])
def sample_weight(request, scaled, rng):
    return None if request.param is None else rng.integers(0, 4, len(scaled[1]))


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 7, 2: 3}])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_linear_equals_logistic_regression(scaled, sample_weight, class_weight, C):
    """Coefficients within 1e-3, relative: the losses and penalties are the same.

    scikit-learn sums the weighted loss, imbalnet takes its mean over weights of mean 1:
    the penalty is 1 / (C * sum of all weights).
    """
    X, y = scaled
    if isinstance(class_weight, dict):
        class_weight = {k: v for k, v in class_weight.items() if k in y}
    reference = LogisticRegression(
        C=C, class_weight=class_weight, tol=1e-9, max_iter=10_000
    ).fit(X, y, sample_weight=sample_weight)
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    if isinstance(class_weight, dict):
        weights = weights * np.array([class_weight[label] for label in y])
    clf = BalancedNeuralClassifier(
        module="linear",
        module__standardize=False,
        class_weight=class_weight,
        weight_decay=1 / (C * weights.sum()),
    ).fit(X, y, sample_weight=sample_weight)
    assert clf.coef_.shape == reference.coef_.shape
    assert clf.intercept_.shape == reference.intercept_.shape
    np.testing.assert_allclose(clf.coef_, reference.coef_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(clf.intercept_, reference.intercept_, rtol=1e-3)
    np.testing.assert_allclose(
        clf.predict_proba(X), reference.predict_proba(X), atol=1e-4
    )


def test_linear_by_default_is_logistic_regression_behind_a_scaler(rare):
    X, y = rare
    clf = BalancedNeuralClassifier(module="linear").fit(X * 100 + 7, y)
    reference = LogisticRegression(tol=1e-9).fit(StandardScaler().fit_transform(X), y)
    np.testing.assert_allclose(
        clf.predict_proba(X * 100 + 7),
        reference.predict_proba(StandardScaler().fit_transform(X)),
        atol=1e-5,
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_coefficients_give_the_decision_function(scaled, early_stopping):
    """Raw features, also behind the standardising layer and the fitted offset."""
    X, y = scaled
    raw = X * np.arange(1, 9) + 50
    clf = BalancedNeuralClassifier(
        module="linear",
        early_stopping=early_stopping,
        validation_fraction=0.3,
        monitor="loss",
    ).fit(raw, y)
    scores = raw @ clf.coef_.T + clf.intercept_
    if len(clf.classes_) == 2:
        np.testing.assert_allclose(clf.decision_function(raw), scores[:, 0], atol=1e-9)
    else:
        probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        np.testing.assert_allclose(clf.predict_proba(raw), probabilities, atol=1e-9)


def test_coefficients_by_their_names_give_the_decision_function(rng):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"size": rng.normal(3, 2, 400), "age": rng.normal(40, 9, 400)})
    X.insert(1, "colour", rng.choice(["red", "green", "blue"], 400))
    X.loc[::7, "age"] = X.loc[::8, "colour"] = None
    X.loc[3, "colour"] = "mauve"  # too rare for a coefficient of its own
    y = X["size"] + 3 * (X["colour"] == "red") + rng.logistic(size=400) > 5
    clf = BalancedNeuralClassifier(module="linear").fit(X, y)
    names = list(clf.coef_names_)
    assert names == [
        *("size", "age", "colour=blue", "colour=green", "colour=red"),
        *("colour=missing", "colour=unused", "colour=other", "age=missing"),
    ]
    inputs = X[["size", "age"]].fillna(X[["size", "age"]].mean())
    for level in ("blue", "green", "red"):
        inputs[f"colour={level}"] = X["colour"] == level
    inputs["colour=other"] = X["colour"] == "mauve"
    inputs["colour=unused"] = 1.0  # whose coefficient is 0
    for column in ("colour", "age"):
        inputs[f"{column}=missing"] = X[column].isna()
    scores = inputs[names].to_numpy(float) @ clf.coef_[0] + clf.intercept_
    np.testing.assert_allclose(clf.decision_function(X), scores, atol=1e-6)


def test_coefficients_of_arrays_have_numbers_as_names(rare):
    X, y = rare
    clf = BalancedNeuralClassifier(module="linear").fit(X, y)
    assert list(clf.coef_names_) == [f"x{i}" for i in range(X.shape[1])]
    assert clf.coef_names_.dtype == object


def test_linear_sampler_in_a_full_batch_enters_as_weights(rare):
    """Balanced by sampler or by weights: the same expectation, and no noise."""
    X, y = rare
    linear = BalancedNeuralClassifier(module="linear")
    weighted = clone(linear).set_params(class_weight="balanced").fit(X, y)
    sampled = clone(linear).set_params(sampler="weighted").fit(X, y)
    np.testing.assert_allclose(sampled.coef_, weighted.coef_, rtol=1e-5)
    np.testing.assert_allclose(sampled.effective_prior_, [0.5, 0.5])


def test_linear_partial_fit_learns(rare):
    X, y = rare
    clf = BalancedNeuralClassifier(module="linear", random_state=0)
    for _ in range(20):
        clf.partial_fit(X, y, classes=[0, 1])
    reference = LogisticRegression().fit(X, y)
    agreement = np.corrcoef(clf.decision_function(X), reference.decision_function(X))
    assert agreement[0, 1] > 0.98


def test_linear_partial_fit_goes_on_from_fit_with_the_optimiser_for_parts(rare):
    X, y = rare
    clf = BalancedNeuralClassifier(module="linear", random_state=0).fit(X, y)
    solved = clf.coef_.copy()
    clf.partial_fit(X[:100], y[:100])
    assert type(clf.net_.optimizer_).__name__ == "AdamW"
    assert clf.n_iter_ == 31
    change = np.linalg.norm(clf.coef_ - solved) / np.linalg.norm(solved)
    assert 0 < change < 0.5  # one epoch of a part, not its solution


@pytest.mark.parametrize("module", ["auto", "mlp"])
def test_network_has_no_coefficients(rare, module):
    clf = BalancedNeuralClassifier(module, max_epochs=1).fit(*rare)
    assert not hasattr(clf, "coef_")
    assert not hasattr(clf, "intercept_")
    with pytest.raises(AttributeError, match="module='linear' only"):
        clf.coef_.sum()


def test_linear_is_logistic_regression_on_many_rows_too(rng):
    """More than 10,000 rows: no early stopping where the problem is solved."""
    X = rng.normal(size=(12_000, 4))
    y = (X[:, 0] + rng.normal(size=12_000) > 1.5).astype(int)
    clf = BalancedNeuralClassifier(module="linear", module__standardize=False)
    reference = LogisticRegression(tol=1e-9).fit(X, y)
    np.testing.assert_allclose(clf.fit(X, y).coef_, reference.coef_, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:X has columns of one value")
@pytest.mark.parametrize("module__standardize", [True, False])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("optimizer", ["auto", "adamw"])
def test_linear_is_the_same_on_sparse_and_dense_rows(
    rare, optimizer, n_members, module__standardize
):
    X, y = rare
    X = np.column_stack([X * (X > 0.5), np.full(len(y), 3.0)])
    params = {"n_members": n_members, "optimizer": optimizer, "random_state": 0}
    params |= {"class_weight": "balanced", "max_epochs": 10}
    params |= {"module__standardize": module__standardize}
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    of_sparse, of_dense = (
        BalancedNeuralClassifier("linear", **params)
        .fit(table, y, sample_weight=weight)
        .predict_proba(X)
        for table in (sparse.csr_matrix(X), X)
    )
    np.testing.assert_allclose(of_sparse, of_dense, atol=1e-5)


def test_linear_on_sparse_rows_is_logistic_regression(rng):
    """Three classes, and more columns than rows."""
    X = sparse.random(400, 600, 0.05, "csr", random_state=0)
    y = (np.asarray(X[:, :50].sum(axis=1)).ravel() > 1.5).astype(int)
    y[np.asarray(X[:, 50:100].sum(axis=1)).ravel() > 1.8] = 2
    clf = BalancedNeuralClassifier("linear", random_state=0).fit(X, y)
    scaled = StandardScaler().fit_transform(X.toarray())
    reference = LogisticRegression(tol=1e-9, max_iter=10_000).fit(scaled, y)
    np.testing.assert_allclose(
        clf.predict_proba(X), reference.predict_proba(scaled), atol=1e-4
    )


def test_linear_on_a_sparse_table_works_block_by_block(rare, monkeypatch):
    X, y = rare
    X = X * (X > 0.5)
    monkeypatch.setattr(
        "imbalnet._fit.feeds.batches._CPU_BLOCK_VALUES", 100 * X.shape[1]
    )
    sizes = []
    original = sparse.csr_matrix.toarray
    monkeypatch.setattr(
        sparse.csr_matrix,
        "toarray",
        lambda self, *args: sizes.append(self.shape[0]) or original(self, *args),
    )
    clf = BalancedNeuralClassifier(module="linear", random_state=0)
    clf.fit(sparse.csr_matrix(X), y)
    monkeypatch.undo()
    # all but the chunks of the standardising layer: products take sparse rows
    assert sorted(sizes)[-2] <= 75
