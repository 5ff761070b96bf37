"""The checks of this package: one small function for each feature.

A check gets a `Library` and tries its way to the feature on small data. It returns
None or a figure, and raises where the feature is missing: an AssertionError if
something came out, but not what it should have.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from library import COSTS, Library, plain_network
from rows import (
    SHARE,
    fitted,
    frame,
    mean_probability,
    of_floats,
    probabilities,
    rows,
    write,
)
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import average_precision_score, f1_score, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

# -- Training against imbalance --------------------------------------------------------


def class_weight(library: Library) -> None:
    mean = mean_probability(library, library.class_weight())
    assert mean > 2 * SHARE, f"mean probability {mean:.3f}, as without weights"


def focal(library: Library) -> None:
    model = fitted(library, library.focal())
    X, y, _ = rows(seed=1)
    p = probabilities(library, model, X)
    assert roc_auc_score(y, p) > 0.8, "ranks no better than chance"
    plain = probabilities(library, fitted(library, library.model()), X)
    assert np.abs(p - plain).mean() > 1e-3, "the same as without it"


def resampling(library: Library) -> None:
    X, y, _ = rows()
    drawn, valid = library.resampling(of_floats(library, X), y)
    assert np.mean(drawn) > 0.3, "nothing was resampled"
    share = np.mean(valid)
    assert abs(share - SHARE) < 0.01, f"{share:.0%} of the validation rows positive"


def early_stopping(library: Library) -> None:
    X, y, _ = rows()
    share = np.mean(library.early_stopping(of_floats(library, X), y))
    assert abs(share - SHARE) < 0.002, f"{share:.1%} positive, of {SHARE:.0%}"


# -- Probabilities and decisions -------------------------------------------------------


def base_rate(library: Library) -> None:
    raw = mean_probability(library, library.class_weight())
    assert raw > 2 * SHARE, "no class weights to undo"
    mean = mean_probability(library, library.base_rate())
    assert abs(mean - SHARE) < 0.2 * SHARE, f"mean probability {mean:.3f} of {SHARE}"


def other_rate(library: Library) -> None:
    model = fitted(library, library.model())
    X, _, posterior = rows(share=0.2, seed=1)
    model = library.other_rate(model, [0.8, 0.2])
    error = np.abs(probabilities(library, model, X) - posterior).mean()
    assert error < 0.05, f"probabilities are off by {error:.2f} in the mean"


def out_of_fold(library: Library) -> None:
    X, y, _ = rows()
    model, held_out = library.out_of_fold(of_floats(library, X), y)
    assert np.shape(held_out) == (len(y), 2), f"shape {np.shape(held_out)}"
    assert np.isfinite(held_out).all(), "rows without a prediction"
    in_sample = roc_auc_score(y, probabilities(library, model, X))
    assert roc_auc_score(y, held_out[:, 1]) < in_sample, "as good as in sample"


def threshold_f1(library: Library) -> None:
    X, y, _ = rows(n=10_000, seed=1)
    model = fitted(library, library.threshold_f1())
    plain = fitted(library, library.model())
    ours, usual = (
        f1_score(y, m.predict(of_floats(library, X))) for m in (model, plain)
    )
    assert ours > max(0.25, usual), f"F1 of {ours:.2f} and {usual:.2f} at 0.5"


def threshold_limits(library: Library) -> None:
    X, y, _ = rows(n=10_000, seed=1)
    called = {
        limit: fitted(library, library.threshold_limits(limit)).predict(
            of_floats(library, X)
        )
        for limit in ("precision", "alerts", "costs")
    }
    precision = y[called["precision"] == 1].mean()
    assert precision > 0.3, f"precision {precision:.2f} of 0.5"
    share = called["alerts"].mean()
    assert 0.005 < share < 0.08, f"alert share {share:.3f} of 0.05"
    cost = np.where(y == 1, COSTS[1, 0] * (called["costs"] == 0), called["costs"])
    assert cost.mean() < 0.9 * SHARE * COSTS[1, 0], "no less costly than no alert"


def row_costs(library: Library) -> None:
    model = fitted(library, library.model())
    X, y, _ = rows(seed=1)
    amount = np.random.default_rng(0).lognormal(2, 1, size=len(y))
    costs = {(0, 1): 5.0, (1, 0): amount}
    called = library.row_costs(model, of_floats(library, X), costs)
    by_row = np.where(y == 1, amount * (called == 0), 5.0 * called).sum()
    one = model.predict(of_floats(library, X))
    assert by_row < np.where(y == 1, amount * (one == 0), 5.0 * one).sum()


# -- Tables ----------------------------------------------------------------------------


def raw_frame(library: Library) -> None:
    X, y = frame(0)
    model = library.raw_frame().fit(X, y)
    X, y = frame(1)
    X.loc[X.index[:20], "words"] = "a word that fit did not see"
    assert roc_auc_score(y, probabilities(library, model, X)) > 0.75


def gaps(library: Library) -> None:
    X, y, _ = rows()
    X[::10, 0] = np.nan
    p = probabilities(library, fitted(library, library.gaps(), X, y), X)
    assert roc_auc_score(y, p) > 0.7


def infinite(library: Library) -> None:
    """Infinity is taken, or refused in words."""
    X, y, _ = rows()
    X[7, 0] = np.inf
    try:
        probabilities(library, fitted(library, library.infinite(), X, y), X)
    except ValueError as error:
        if "inf" not in str(error).lower():
            raise


def sparse(library: Library) -> None:
    from scipy.sparse import csr_matrix

    X, y, _ = rows()
    table = csr_matrix(of_floats(library, np.maximum(X, 0)))
    model = library.sparse().fit(table, y)
    assert roc_auc_score(y, model.predict_proba(table)[:, 1]) > 0.7


def sample_weight(library: Library) -> None:
    X, y, _ = rows()
    model = library.sample_weight(of_floats(library, X), y, np.where(y == 1, 19.0, 1.0))
    mean = probabilities(library, model, X).mean()
    assert mean > 2 * SHARE, f"mean probability {mean:.3f}, as without weights"


def many_classes(library: Library) -> None:
    random = np.random.default_rng(0)
    codes = np.arange(3_000) % 20
    X = random.normal(size=(3_000, 2)) + 8 * np.column_stack([codes % 5, codes // 5])
    y = np.char.add("class ", codes.astype(str))
    model = library.many_classes().fit(of_floats(library, X), y)
    found = model.predict_proba(of_floats(library, X))
    assert found.shape == (3_000, 20), f"probabilities of shape {found.shape}"
    called = np.asarray(model.predict(of_floats(library, X))).ravel()
    assert np.mean(called == y) > 0.5, f"accuracy {np.mean(called == y):.2f}"


# -- scikit-learn ----------------------------------------------------------------------


def estimator_check_failures(library: Library) -> str:
    found = estimator_checks.check_estimator(
        library.checked(), on_fail=None, on_skip=None
    )
    of_status = [one["status"] for one in found]
    ran = len(of_status) - of_status.count("skipped")
    return f"{ran - of_status.count('passed')} of {ran}"


def pipeline_search(library: Library) -> None:
    name, values = library.grid
    X, y, _ = rows(1_000)
    model = make_pipeline(StandardScaler(), library.pipeline_search())
    step = model.steps[-1][0]
    search = GridSearchCV(
        clone(model), {f"{step}__{name}": values}, scoring="average_precision", cv=3
    )
    search.fit(of_floats(library, X), y)
    assert search.best_score_ > 2 * SHARE


def goes_on(library: Library) -> None:
    X, y, _ = rows()
    model = fitted(library, library.model())
    before = probabilities(library, model, X)
    after = probabilities(library, library.goes_on(model, X, y), X)
    assert np.abs(after - before).mean() > 1e-5, "nothing changed"


# -- Running ---------------------------------------------------------------------------


def onnx(library: Library) -> None:
    import onnxruntime

    X, y, _ = rows()
    model, graph = library.onnx(X, y)
    session = onnxruntime.InferenceSession(graph)
    (source,) = session.get_inputs()
    is_double = "double" in source.type
    given = {source.name: X.astype(np.float64 if is_double else np.float32)}
    outputs = [np.asarray(part) for part in session.run(None, given)]
    tables = [part for part in outputs if part.shape == (len(X), 2)]
    p = tables[0][:, 1] if tables else [row[1] for row in session.run(None, given)[1]]
    error = np.abs(np.asarray(p) - probabilities(library, model, X)).max()
    assert error < 1e-3, f"probabilities differ by {error:.2g}"


def larger(library: Library) -> None:
    with tempfile.TemporaryDirectory() as name:
        X, y, _ = rows()
        write(Path(name), X, y)
        model = library.larger(Path(name), X, y)
        X, y, _ = rows(seed=1)
        auc = roc_auc_score(y, probabilities(library, model, X))
        assert auc > 0.8, f"ROC AUC of {auc:.2f}"


def processes(library: Library) -> None:
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), *rows()[:2])
        printed = library.processes(Path(name))
    assert "processes 2" in printed, printed[-200:]


def own_network(library: Library) -> None:
    kind = plain_network() if find_spec("torch") else object

    class Module(kind):  # type: ignore[misc,valid-type]
        def __init__(self, in_features: int = 2, out_features: int = 2) -> None:
            super().__init__(in_features, out_features)

    X, y, _ = rows()
    p = probabilities(library, fitted(library, library.own_network(Module)), X)
    assert roc_auc_score(y, p) > 0.8, "ranks no better than chance"


def regressor(library: Library) -> None:
    X, y, posterior = rows()
    target = posterior + 0.01 * np.random.default_rng(0).normal(size=len(y))
    model = fitted(library, library.regressor(), X, target)
    score = r2_score(target, np.ravel(model.predict(of_floats(library, X))))
    assert score > 0.5, f"R2 of {score:.2f}"


def multilabel(library: Library) -> None:
    X, y, _ = rows()
    labels = np.column_stack([y, (X[:, 1] > 0).astype(int)])
    model = library.multilabel().fit(of_floats(library, X), labels)
    found = np.asarray(model.predict(of_floats(library, X)))
    assert found.shape == labels.shape, f"predictions of shape {found.shape}"


def monotone(library: Library) -> None:
    model = fitted(library, library.monotone())
    grid = np.column_stack([np.linspace(-3, 4, 400), np.zeros(400)])
    assert (np.diff(probabilities(library, model, grid)) >= -1e-9).all()


def tree_shap(library: Library) -> None:
    import shap

    X, _, _ = rows()
    model = fitted(library, library.tree_shap())
    explainer = shap.TreeExplainer(model)
    values = explainer.shap_values(X[:50])
    values = np.asarray(values[1] if isinstance(values, list) else values)
    values = values[..., 1] if values.ndim == 3 else values
    base = np.ravel(explainer.expected_value)[-1]
    p = probabilities(library, model, X[:50])
    total = base + values.sum(axis=1)
    error = min(np.abs(expit(total) - p).max(), np.abs(total - p).max())
    assert error < 1e-3, f"values miss the probability by {error:.2g}"


def importances(library: Library) -> None:
    model = fitted(library, library.importances())
    found = np.asarray(model.feature_importances_)
    assert found.shape == (2,), f"shape {found.shape}"
    assert found[0] > 0, "0 of the column that matters"


def without_torch(library: Library) -> None:
    code = f"import sys, {library.module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", "imports torch"


def cpu_seconds(library: Library) -> str:
    """Time a fit with defaults, on 20,000 rows of 20 numbers; best of three."""
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, 20)).astype(np.float32)
    y = (X[:, :4].sum(axis=1) + random.normal(size=20_000) > 4).astype(int)
    times, score = [], 0.0
    for _ in range(3):
        model = library.defaults()
        start = time.process_time()
        model.fit(X, y)
        times.append(time.process_time() - start)
        score = average_precision_score(y, model.predict_proba(X)[:, 1])
        if times[-1] > 60:
            break
    assert score > 3 * y.mean(), f"learned nothing: average precision {score:.2f}"
    return f"{float(f'{min(times):.2g}'):g}"  # 180, not 1.8e+02
