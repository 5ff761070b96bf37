"""Meta-estimators of scikit-learn around the classifier, on words and gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier

from imbalnet import BalancedNeuralClassifier


def classifier():
    return BalancedNeuralClassifier("linear", random_state=0)


@pytest.fixture(scope="module")
def table():
    """Numbers and words with gaps; ``plan`` tells most of the class."""
    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.25).astype(int)
    frame = pd.DataFrame(
        {
            "age": rng.normal(size=200) + y,
            "income": rng.normal(size=200),
            "city": rng.choice(["Rome", "Oslo", "Lima"], 200),
            "plan": np.where(y == 1, rng.choice(["basic", "none"], 200), "full"),
        }
    )
    frame.loc[::7, "income"], frame.loc[::11, "city"] = np.nan, None
    return frame, y


@pytest.fixture(params=["frame", "objects", "numbers"])
def rows(table, request):
    frame, _ = table
    if request.param == "numbers":
        return frame[["age", "income"]].to_numpy()
    return frame if request.param == "frame" else frame.to_numpy(dtype=object)


META = {
    "bagging": BaggingClassifier(classifier(), 2, random_state=0),
    "bagging of columns": BaggingClassifier(
        classifier(), 2, max_features=0.5, random_state=0
    ),
    "calibrated": CalibratedClassifierCV(classifier(), cv=2),
    "stacking": StackingClassifier([("a", classifier())], LogisticRegression(), cv=2),
    "stacking onto ours": StackingClassifier(
        [("a", classifier())], classifier(), cv=2, passthrough=True
    ),
    "voting": VotingClassifier([("a", classifier())], voting="soft"),
    "one against the rest": OneVsRestClassifier(classifier()),
    "threshold": TunedThresholdClassifierCV(classifier(), cv=2),
}


@pytest.mark.parametrize("name", META)
def test_meta_estimators_take_words_and_gaps(rows, table, name):
    _, y = table
    found = META[name].fit(rows, y).predict_proba(rows)
    assert found.shape == (200, 2)
    assert found[y == 1, 1].mean() > found[y == 0, 1].mean() + 0.05


def test_out_of_fold_predictions_take_words_and_gaps(rows, table):
    _, y = table
    found = cross_val_predict(classifier(), rows, y, cv=2, method="predict_proba")
    assert found[y == 1, 1].mean() > found[y == 0, 1].mean() + 0.05


def test_permutation_importance_takes_words_and_gaps(rows, table):
    _, y = table
    clf = classifier().fit(rows, y)
    importance = permutation_importance(
        clf, rows, y, scoring="average_precision", n_repeats=2, random_state=0
    ).importances_mean
    assert importance.argmax() == (0 if rows.shape[1] == 2 else 3)


def test_objects_are_read_as_the_frame_that_they_are(table):
    frame, y = table
    objects = frame.to_numpy(dtype=object)
    np.testing.assert_array_equal(
        classifier().fit(objects, y).predict_proba(objects),
        classifier().fit(frame, y).predict_proba(frame),
    )


def test_boosting_takes_words(table):
    """It refuses gaps itself."""
    frame, y = table
    full = frame.fillna({"income": 0.0, "city": "none"})
    found = AdaBoostClassifier(classifier(), n_estimators=2).fit(full, y)
    assert found.score(full, y) > 0.75


def test_columns_are_selected_by_an_importance_for_each(table):
    """``coef_`` has an entry for each level and gap, and not for each column."""
    frame, y = table

    def importance(fitted):
        X = frame.to_numpy(dtype=object)[:, : fitted.n_features_in_]
        return permutation_importance(
            fitted, X, y, scoring="average_precision", n_repeats=1, random_state=0
        ).importances_mean

    selected = SelectFromModel(
        classifier(), importance_getter=importance, threshold=-np.inf, max_features=1
    ).fit(frame.to_numpy(dtype=object), y)
    assert selected.get_support().tolist() == [False, False, False, True]
    whole = frame[["age", "income"]].fillna(0.0)
    assert RFE(classifier(), n_features_to_select=1).fit(whole, y).support_[0]
