"""Pipelines with a classifier at their end, exported by skl2onnx."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from imbalnet import BalancedNeuralClassifier
from imbalnet.export import register_skl2onnx

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module", autouse=True)
def registered():
    register_skl2onnx()
    register_skl2onnx()  # which changes nothing


def new(**params):
    sizes = {"module__hidden_sizes": (8,)}
    return BalancedNeuralClassifier(
        "mlp", max_epochs=2, random_state=0, **sizes, **params
    )


def assert_equal(pipeline, proto, X, feeds):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    labels, probabilities = session.run(["label", "probabilities"], feeds)
    expected = pipeline.predict_proba(X)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(labels, pipeline.predict(X))


def test_pipeline_with_a_scaler(numbers):
    X, y = numbers
    X = np.nan_to_num(X.clip(-20, 20))
    pipeline = make_pipeline(StandardScaler(), new(threshold=0.1)).fit(X, y > 0)
    proto = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    assert_equal(pipeline, proto, X, {"X": X})


@pytest.mark.long  # the guide has one too
def test_pipeline_with_a_column_transformer(frame):
    X, y = frame
    X = X[["a", "b", "word"]].fillna({"a": 0.0, "b": 0.0, "word": "none"})
    steps = [
        ("numbers", StandardScaler(), ["a", "b"]),
        ("words", OneHotEncoder(handle_unknown="ignore"), ["word"]),
    ]
    pipeline = make_pipeline(ColumnTransformer(steps), new(loss="focal")).fit(X, y)
    proto = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    assert_equal(pipeline, proto, X, {name: X[[name]].to_numpy() for name in X})


def test_categories_are_refused(frame):
    X, y = frame
    X = X[["a", "word"]].astype({"word": object})
    clf = new().fit(X, y)
    with pytest.raises(ValueError, match="ColumnTransformer with OneHotEncoder"):
        skl2onnx.to_onnx(clf, X[1:2])


def test_float32_is_refused_where_it_is_not_enough(numbers):
    X, y = numbers
    X = np.nan_to_num(X).astype(np.float64) + 1e9
    clf = new().fit(X, y)
    with pytest.raises(ValueError, match="rows of float64"):
        skl2onnx.to_onnx(clf, X[:1].astype(np.float32))
    with pytest.raises(ValueError, match="target_opset=15 must be at least 18"):
        skl2onnx.to_onnx(clf, X[:1], target_opset=15)
