"""Nothing leaks: validation rows stay what they were, and stay out of training."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from torch.utils.data import RandomSampler

from imbalnet import BalancedNeuralClassifier
from imbalnet.samplers import SAMPLERS

mlp = partial(BalancedNeuralClassifier, module="mlp")

ALL_SAMPLERS = {
    "none": None,
    **{name: name for name in SAMPLERS},
    "SMOTE": SMOTE(k_neighbors=2),
    "RandomOverSampler": RandomOverSampler(),
    "RandomUnderSampler": RandomUnderSampler(),
    "Pipeline": make_pipeline(
        SMOTE(sampling_strategy=0.5, k_neighbors=2), RandomUnderSampler()
    ),
    "SMOTENC": SMOTENC(categorical_features="auto", k_neighbors=2),
    "torch": RandomSampler,
}
# Those that leave the classes' shares as they are.
KEEP_SHARES = (None, "stratified_batch", RandomSampler)
N_ROWS = 500


@pytest.fixture
def marked(rng):
    """Rows that carry their number in column 0; every tenth is positive.

    Column 1 is the row's own place, 1000 apart: an interpolated row lies between two
    such places, so that each of its parents can be named.
    """
    number = np.arange(N_ROWS, dtype=float)
    X = np.column_stack([number, 1000 * number, rng.normal(size=N_ROWS)])
    return X, (number % 10 == 0).astype(int)


@pytest.fixture(params=ALL_SAMPLERS.values(), ids=ALL_SAMPLERS)
def recorded(request, marked, recorder):
    X, y = marked
    if isinstance(request.param, SMOTENC):
        X = pd.DataFrame(X, columns=["number", "place", "noise"])
        X["kind"] = pd.Series(np.arange(N_ROWS) % 3).astype("category")
    clf = mlp(
        sampler=request.param,
        class_weight="balanced",
        early_stopping=True,
        validation_fraction=0.2,
        max_epochs=3,
        batch_size=50,
        random_state=0,
        callbacks=[recorder],
    ).fit(X, y)
    training, validation = (
        np.concatenate(
            [np.column_stack([X, y]) for _, X, y, _ in recorder.of(training=training)]
        )
        for training in (True, False)
    )
    return clf, np.asarray(X, dtype=float), y, training, validation


def test_validation_rows_have_the_datas_prevalence(recorded):
    _, _, y, _, validation = recorded
    assert validation[:, -1].mean() == y.mean()
    once = validation[: len(validation) // 3]
    assert len(once) == len(np.unique(once[:, 0])) == 100


def test_no_validation_row_is_trained_on(recorded):
    _, _, _, training, validation = recorded
    assert not np.isin(training[:, 0], validation[:, 0]).any()


def test_no_synthetic_row_has_a_validation_parent(recorded):
    """A row between two originals: both ends of its interval are training rows.

    SMOTE's parents are neighbours among the positives that training kept, so that no
    held-out positive may lie next to a synthetic row without a training one between.
    """
    _, X, y, training, validation = recorded
    kept = np.setdiff1d(X[y == 1, 0], validation[:, 0])
    synthetic = training[~np.isin(training[:, 0], X[:, 0])]
    for row in synthetic:
        assert row[-1] == 1
        below, above = kept[kept < row[0]], kept[kept > row[0]]
        assert len(below)
        assert len(above)
        # both features move together along the line between training rows
        assert row[1] == pytest.approx(1000 * row[0], rel=1e-5)
    if X.shape[1] == 4:
        assert set(synthetic[:, 3]) <= {0, 1, 2}


def test_counts_come_from_the_training_rows_alone(recorded):
    clf, *_ = recorded
    np.testing.assert_allclose(clf.class_prior_, [0.9, 0.1])
    np.testing.assert_allclose(clf.effective_prior_, [0.5, 0.5], atol=1e-12)


def test_weights_do_not_balance_twice(recorded):
    """A balancing sampler leaves nothing to weigh."""
    clf, *_ = recorded
    if clf.sampler in KEEP_SHARES:
        np.testing.assert_allclose(clf.class_weight_, [1 / 1.8, 5.0])
    else:
        np.testing.assert_allclose(clf.class_weight_, [1.0, 1.0])


def test_statistics_of_the_first_layer_see_training_rows_only(marked):
    X, y = marked
    X = X.copy()
    given = np.arange(400, 500)
    X[given] += 1e6
    clf = mlp(max_epochs=1).fit(X[:400], y[:400], X_val=X[given], y_val=y[given])
    np.testing.assert_allclose(clf.module_.input.mean[0], X[:400, 0].mean(), rtol=1e-5)


def test_validation_rows_do_not_steer_training(marked):
    """Other labels on the held-out rows leave every weight of every epoch as it was."""
    X, y = marked
    rng = np.random.default_rng(0)
    losses = []
    for labels in (y[400:], rng.permutation(y[400:])):
        clf = mlp(
            random_state=0, class_weight="balanced", max_epochs=5, patience=100
        ).fit(X[:400], y[:400], X_val=X[400:], y_val=labels)
        losses.append(clf.history_[:, "train_loss"])
    assert losses[0] == losses[1]
