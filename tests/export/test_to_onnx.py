"""ONNX graphs of fitted classifiers, run by onnxruntime."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from imbalnet.export.onnx_graph import torch_to_onnx
from imbalnet.losses import LOSSES, ClassShares
from imbalnet.networks import NETWORKS

from .conftest import fitted

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CLOSE = {"rtol": 0, "atol": 1e-5}


def run(proto, feeds):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(["label", "probabilities"], feeds)


def feeds_of(frame, proto):
    """A tensor for each column; an empty word is a gap."""
    feeds = {}
    for value in proto.graph.input:
        are_words = value.type.tensor_type.elem_type == onnx.TensorProto.STRING
        column = frame[[value.name]].astype(object)
        column = column.where(column.notna(), "" if are_words else np.nan)
        feeds[value.name] = column.to_numpy(object if are_words else np.float64)
    return feeds


def assert_equal(clf, proto, X, feeds=None):
    if feeds is None:
        kind = clf.net_.feature_dtype  # float64 for the linear model
        feeds = {"X": X.astype(kind)}
    labels, probabilities = run(proto, feeds)
    np.testing.assert_allclose(probabilities, clf.predict_proba(X), **CLOSE)
    np.testing.assert_array_equal(labels, clf.predict(X))


def test_graph_has_the_whole_formula(full, frame, tmp_path):
    X, _ = frame
    proto = full.to_onnx(tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == proto
    onnx.checker.check_model(proto, full_check=True)
    assert b".py" not in proto.SerializeToString()  # of where it was made
    assert [value.name for value in proto.graph.input] == list(X)
    new = X.copy()
    new["word"], new["code"] = new["word"].astype(object), new["code"].astype(float)
    new.loc[1, "word"], new.loc[2, "code"] = "purple", 99.0
    for rows in (new, new[:1], new[1:3]):
        assert_equal(full, proto, rows, feeds_of(rows, proto))
    assert run(proto, feeds_of(new[:0], proto))[1].shape == (0, 3)


@pytest.mark.long
def test_graph_decides_by_a_threshold(numbers):
    X, y = numbers
    X = X.clip(-20, 20)
    clf = fitted(X, y > 0, "linear", threshold=0.1)
    proto = clf.to_onnx()
    for n_rows in (len(X), 1):
        assert_equal(clf, proto, X[:n_rows])
    assert 0 < clf.predict(X).sum() < len(X)


@pytest.mark.long
def test_graph_takes_codes_and_decides_by_costs(frame):
    X, y = frame
    X = X[["a", "word"]]
    clf = fitted(X, y != "no", "mlp", cost_matrix=[[0.0, 1.0], [3.0, 0.0]])
    proto = clf.to_onnx(categories="codes")
    codes = {"blue": 0.0, "green": 1.0, "red": 2.0}
    matrix = X[["a"]].assign(word=X["word"].map(codes).fillna(3.0))
    assert_equal(clf, proto, X, {"X": matrix.to_numpy(np.float32)})
    assert 0 < clf.predict(X).sum() < len(X)


class InverseLinks(nn.Module):
    def __init__(self, losses):
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, logits):
        return torch.stack([loss.log_posterior(logits) for loss in self.losses])


def test_graph_has_the_digits_of_inverse_links():
    """Of one loss of each kind; each loss by itself takes longer, see below."""
    scaling = LOSSES["vector_scaling"](gamma=0.5)
    shares = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    scaling.bind(ClassShares(shares, shares, shares))
    smoothed = LOSSES["cross_entropy"](label_smoothing=0.1)
    with_margin = LOSSES["asymmetric"](margin=0.05)
    losses = [scaling, smoothed, with_margin, LOSSES["poly_focal"]()]
    module = InverseLinks(losses).eval()
    # also logits that saturate
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(60, 3)) * 20)
    proto = torch_to_onnx(module, logits[:2], ["log_posteriors"])
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (found,) = session.run(None, {"X": logits.numpy()})
    np.testing.assert_allclose(found, module(logits).numpy(), atol=1e-9)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:X has columns in which values far away")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("module", NETWORKS)
def test_graph_of_each_network_and_loss(module, loss, numbers):
    if (module, loss) == ("linear", "ldam"):
        pytest.skip("which needs cosines")
    X, y = numbers
    clf = fitted(X, y, module, loss=loss)
    assert_equal(clf, clf.to_onnx(), X)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["one", 2], "'kind' holds categories that are neither all strings nor all"),
        ([2**60, 2**60 + 1], "'kind' holds categories that are whole numbers of more"),
    ],
)
def test_graph_of_unusual_categories_is_refused(values, message, numbers):
    pd = pytest.importorskip("pandas")
    X, y = numbers
    kind = pd.Categorical.from_codes(
        np.arange(len(y)) % 2, pd.Index(values, dtype=object)
    )
    frame = pd.DataFrame({"a": X[:, 0], "kind": kind})
    clf = fitted(frame, y, "mlp")
    with pytest.raises(ValueError, match=message):
        clf.to_onnx()


def test_column_called_like_an_output_is_refused(frame):
    X, y = frame
    X = X[["a", "word"]].rename(columns={"a": "label"})
    with pytest.raises(
        ValueError, match=r"columns \['label'\] are called like outputs"
    ):
        fitted(X, y, "mlp").to_onnx()


def test_unknown_word_is_refused(numbers):
    clf = fitted(*numbers, "mlp")
    with pytest.raises(ValueError, match="categories='words' must be one of"):
        clf.to_onnx(categories="words")


def test_missing_package_is_named(numbers, monkeypatch):
    clf = fitted(*numbers, "mlp")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"onnxscript: pip install imbalnet\[onnx\]"):
        clf.to_onnx()
