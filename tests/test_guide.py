"""What the guide shows of packages that the tests do not install, where they are."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from textwrap import dedent

import joblib
import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # the packages' own
GUIDE = Path(__file__).parents[1] / "docs" / "guide"
BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", re.MULTILINE)


def run(page, package):
    """Run a page's examples, then its blocks with a package; return the names.

    Nothing is compared with what the page prints: its doctests do that.
    """
    pytest.importorskip(package)
    text = (GUIDE / f"{page}.rst").read_text()
    names = {}
    examples = doctest.DocTestParser().get_examples(text)
    blocks = [dedent(block) for block in BLOCK.findall(text)]
    words = rf"(import|from) {package}|{package}\."
    blocks = [block for block in blocks if re.search(words, block)]
    assert blocks
    sources = [e.source for e in examples if e.exc_msg is None] + blocks
    for source in sources:
        exec(compile(source, f"{page}.rst", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where trackers write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_optuna_gives_up_trials_and_finds_the_best():
    pytest.importorskip("optuna_integration.sklearn")
    names = run("searches", "optuna")
    study, states = names["study"], names["optuna"].trial.TrialState
    found = [trial.state for trial in study.trials]
    assert found.count(states.PRUNED) >= 1
    assert found.count(states.PRUNED) + found.count(states.COMPLETE) == len(found) == 10
    best = names["best"].get_params()
    assert all(best[name] == value for name, value in study.best_params.items())
    search = names["search"]
    assert search.n_trials_ == 5
    rate = search.best_params_["learning_rate"]
    assert search.best_estimator_.learning_rate == rate


def test_progress_bar_of_scikit_learn_comes_to_its_end(capfd):
    pytest.importorskip("rich")
    run("callbacks", "sklearn.callback")
    assert "100%" in capfd.readouterr().out


def test_tensorboard_has_the_curves(folder):
    pytest.importorskip("tensorboard")
    names = run("callbacks", "torch.utils.tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder / "runs" / "focal"))
    board.Reload()
    history = names["classifier"].history_
    for tag in ("train_loss", "valid_average_precision"):
        curve = [event.value for event in board.Scalars(f"Loss/{tag}")]
        np.testing.assert_allclose(curve, history[:, tag], rtol=1e-6)


def test_mlflow_has_curves_and_model_in_one_run():
    names = run("callbacks", "mlflow")
    mlflow, classifier = names["mlflow"], names["classifier"]
    client = mlflow.MlflowClient()
    live, found = mlflow.search_runs(output_format="list")  # the latest one first
    for of_run, fitted in ((live, names["watched"]), (found, classifier)):
        run_id, key = of_run.info.run_id, "valid_average_precision"
        curve = client.get_metric_history(run_id, key)
        assert [metric.value for metric in curve] == fitted.history_[:, key]
    assert found.info.status == "FINISHED"
    assert found.data.params["module"] == "tabular"
    again = mlflow.sklearn.load_model(f"runs:/{found.info.run_id}/model")
    X = names["X"]
    assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_wandb_writes_a_run(folder, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    run_of = run("callbacks", "wandb")["run"]
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    written = file.read_bytes()
    for key in ("valid_average_precision", "average_precision", "n_members"):
        assert key.encode() in written
    assert written.count(b"valid_average_precision") >= 4  # epochs
    assert run_of.settings.mode == "offline"


def test_fastapi_answers_as_the_function_does(folder, monkeypatch):
    pytest.importorskip("httpx")
    load = joblib.load
    stored = {}

    def remembered(path):
        stored.setdefault("folder", Path(path).parent)
        return load(stored["folder"] / Path(path).name)

    monkeypatch.setattr(joblib, "load", remembered)
    names = run("deployment", "fastapi")
    from fastapi.testclient import TestClient

    client = TestClient(names["app"])
    for body in (b'[{"channel": "web", "amount": 9.5}]', b'[{"channel": "web"}]', b"["):
        status, answer = names["score"](names["model"], body)
        response = client.post("/score", content=body)
        assert (response.status_code, response.json()) == (status, answer)
