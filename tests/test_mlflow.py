"""MLflow stores models by skops; the trust is named once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier

mlflow = pytest.importorskip("mlflow", minversion="3")
pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

TRUSTED = ["imbalnet.classifier.BalancedNeuralClassifier"]


@pytest.fixture
def store(tmp_path):
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("test", f"file://{tmp_path}/files")
    )
    with mlflow.start_run():
        yield


@pytest.mark.parametrize("is_pipeline", [False, True])
def test_model_is_logged_in_the_default_format(store, rare, is_pipeline):
    X, y = rare
    X = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    model = BalancedNeuralClassifier(module="mlp", max_epochs=2, random_state=0)
    model = make_pipeline(StandardScaler(), model) if is_pipeline else model
    model.fit(X, y)
    info = mlflow.sklearn.log_model(model, name="model", skops_trusted_types=TRUSTED)
    assert info.flavors["sklearn"]["serialization_format"] == "skops"
    again = mlflow.sklearn.load_model(info.model_uri)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    served = mlflow.pyfunc.load_model(info.model_uri)
    assert np.array_equal(served.predict(X), model.predict(X))


def test_type_to_trust_is_named_where_it_is_missing(store, rare):
    model = BalancedNeuralClassifier(module="mlp", max_epochs=2).fit(*rare)
    with pytest.raises(mlflow.MlflowException, match=TRUSTED[0]):
        mlflow.sklearn.log_model(model, name="model")
