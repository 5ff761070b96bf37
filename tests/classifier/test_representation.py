"""What "auto" became, and the representation in notebooks."""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier
from imbalnet._html import DOCUMENTATION

needs_table = pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"),
    reason="scikit-learn shows fitted attributes from 1.9 on",
)


def test_resolved_tells_what_auto_became(rare):
    """Of the default network, whose fit is cut short here."""
    clf = BalancedNeuralClassifier(module__hidden_sizes=(4,), max_epochs=1).fit(*rare)
    assert clf.resolved_ == {
        "module": "tabular",
        "n_members": 8,
        "n_neighbors": 4,
        "optimizer": "adamw",
        "learning_rate": 0.003,
        "weight_decay": 0.1,
        "batch_size": 65,
        "max_epochs": 1,
        "early_stopping": True,
        "patience": 6,
        "monitor": "combined",
        "device": clf.device_.type,
    }
    autos = [
        n for n, v in BalancedNeuralClassifier().get_params().items() if v == "auto"
    ]
    assert set(clf.resolved_) == {*autos}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"module": "linear"},
            {"optimizer": "lbfgs", "learning_rate": 1.0, "weight_decay": 1 / 600}
            | {"batch_size": 600, "early_stopping": False, "patience": None},
        ),
        ({"module": "mlp", "max_epochs": 1}, {"monitor": None, "n_members": 1}),
        (
            {"module": "mlp", "max_epochs": 1, "early_stopping": True, "patience": 3},
            {"monitor": "average_precision", "patience": 3, "n_neighbors": 0},
        ),
    ],
)
def test_resolved_holds_what_training_used(rare, params, expected):
    resolved = BalancedNeuralClassifier(**params, device="cpu").fit(*rare).resolved_
    assert resolved == resolved | expected
    assert resolved["device"] == "cpu"
    assert resolved["module"] == params["module"]


def test_resolved_monitor_is_the_one_that_rows_allow(rng):
    """Too few rare rows choose an epoch by the loss."""
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 15 == 0
    clf = BalancedNeuralClassifier("mlp", n_members=4, max_epochs=1).fit(X, y)
    assert clf.resolved_["monitor"] == "loss"


def test_resolved_of_partial_fit_and_own_module(rare, one_column):
    X, y = rare
    clf = BalancedNeuralClassifier(one_column, max_epochs=5)
    resolved = clf.partial_fit(X, y, classes=[0, 1]).resolved_
    assert (resolved["module"], resolved["max_epochs"]) == ("OneColumn", 1)
    assert clf.fit(X, y).resolved_["max_epochs"] == 5
    clf.resolved_["max_epochs"] = 7  # a dict of the estimator's own
    assert clf._fitted.resolved["max_epochs"] == 5


def rows_of(representation):
    """Name and value of each fitted attribute that is shown."""
    table = representation.split("Fitted attributes</summary>")[1].split("</table>")[0]
    rows = []
    for row in table.split("<tr")[2:]:
        row = re.sub("<span.*?</span>", "", row, flags=re.DOTALL)  # documentation
        cells = [re.sub("<[^>]*>", "", c).strip() for c in row.split("<td")[1:]]
        name, _, value = (html.unescape(c.split(">", 1)[1].strip()) for c in cells)
        rows.append((name, value))
    return dict(rows)


@needs_table
def test_fitted_representation_shows_what_was_resolved(rare):
    clf = BalancedNeuralClassifier("mlp", n_members=3, max_epochs=2).fit(*rare)
    shown = rows_of(clf._repr_html_())
    assert shown["best_iteration_"] == str(clf.best_iteration_)
    assert {"temperature_", "effective_prior_", "neighbor_weight_"} <= set(shown)
    for name, value in clf.resolved_.items():
        text = shown[f"resolved_[{name!r}]"]
        assert text == (f"{value:.4g}" if isinstance(value, float) else repr(value))
    assert "resolved_" not in shown
    assert "coef_" not in shown  # of linear models only


class Own(BalancedNeuralClassifier):
    """A subclass elsewhere, of which our documentation has no page."""


def test_representation_links_to_the_documentation():
    page = f"{DOCUMENTATION}api/generated/imbalnet.BalancedNeuralClassifier.html"
    pipeline = make_pipeline(StandardScaler(), BalancedNeuralClassifier())
    for shown in (BalancedNeuralClassifier(), pipeline):
        assert f'href="{page}' in shown._repr_html_()
    assert DOCUMENTATION not in Own()._repr_html_()


def test_unfitted_representation_shows_parameters_only():
    shown = BalancedNeuralClassifier(loss="focal", loss__gamma=1)._repr_html_()
    assert "loss__gamma" in shown
    assert "Fitted attributes" not in shown
    assert "resolved_[" not in shown


@needs_table
def test_representation_in_pipelines_and_searches(rare):
    X, y = rare
    frame = pd.DataFrame(X, columns=[f"<column {i}>" for i in range(X.shape[1])])
    words = np.where(y == 1, "<ill> & sick", "well")
    clf = BalancedNeuralClassifier("mlp", max_epochs=1)
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), clf)
    shown = pipeline.fit(frame, words)._repr_html_()
    assert shown.count("resolved_[&#x27;batch_size&#x27;]") == 1
    assert "<ill>" not in shown
    assert "<column" not in shown
    search = GridSearchCV(clf, {"learning_rate": [0.001]}, cv=2).fit(X, y)
    assert "resolved_[&#x27;batch_size&#x27;]" in search._repr_html_()
    calibrated = CalibratedClassifierCV(clone(clf), cv=2).fit(X, y)  # clones of it
    assert "resolved_[" not in calibrated._repr_html_()
