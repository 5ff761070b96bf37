"""The network whose members share their weights."""

from __future__ import annotations

import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.metrics import average_precision_score
from torch import nn
from torch.nn import functional as F

from imbalnet import BalancedNeuralClassifier
from imbalnet._predict import rows_at_once
from imbalnet.networks import MLP, TabM

tabm = pytest.importorskip("tabm")
rtdl = pytest.importorskip("rtdl_num_embeddings")

SIZES = (0, 5, 0, 4)
TINY = {"k": 3, "d_block": 8, "n_bins": 6, "d_embedding": 4}


def small(**params):
    tiny = {f"module__{name}": value for name, value in TINY.items()}
    params = {"module": "tabm", "max_epochs": 6, **tiny, **params}
    return BalancedNeuralClassifier(random_state=0, **params)


def network_of(X, y, dtype=torch.float64, **params):
    torch.manual_seed(0)
    network = TabM(X.shape[1], int(y.max()) + 1, **{**TINY, **params}).to(dtype)
    network.initialize_from(X, y, np.ones(X.shape[0]))
    with torch.no_grad():  # the piecewise part starts at 0
        network.embedding[:, 1:].normal_(std=0.3)
        for bias in (block[0].bias for block in network.output.backbone.blocks):
            bias.normal_()
    return network.eval()


def as_rows(X, dtype=torch.float64):
    return torch.tensor(X, dtype=dtype)


# -- the network -----------------------------------------------------------------------


def edges_of(network):
    """Each column's edges, read back from what the encoding keeps."""
    edges = []
    for start, inverse in zip(
        network.input.encoding.start, network.input.encoding.inverse_width, strict=True
    ):
        start, inverse = start[inverse > 0], inverse[inverse > 0]
        edges.append(torch.cat([start, start[-1:] + 1 / inverse[-1:]]))
    return edges


def theirs_with_our_weights(network, n_classes):
    """The package's own network of the same bins, levels and weights."""
    edges = edges_of(network)
    embeddings = rtdl.PiecewiseLinearEmbeddings(edges, 4, activation=False, version="B")
    theirs = tabm.TabM.make(
        n_num_features=len(edges),
        cat_cardinalities=[5, 4],
        d_out=n_classes,
        num_embeddings=embeddings,
        k=3,
        n_blocks=2,
        d_block=8,
    ).double()
    theirs.backbone.load_state_dict(network.output.backbone.state_dict())
    with torch.no_grad():
        ours = network.embedding[:, :, 0] * network.number_gate[0][:, None, None]
        embeddings.linear0.weight.copy_(ours[:, 0])
        embeddings.linear0.bias.zero_()
        for j, edge in enumerate(edges):  # theirs has the last bin at the end
            n_bins, weight = len(edge) - 1, embeddings.linear.weight[j]
            weight.zero_()
            weight[: n_bins - 1] = ours[j, 1:n_bins]
            weight[-1] = ours[j, n_bins]
        theirs.output.weight.copy_(network.output.last.weight)
        theirs.output.bias.copy_(network.output.last.bias[:, 0])
    return theirs.eval()


def test_tabm_gives_what_the_package_gives_for_the_same_weights(mixed):
    X, y = mixed
    X = np.nan_to_num(X)  # the package has no inputs for gaps
    X[:, 0] = X[:, 0].round()  # fewer values in some columns, and so fewer bins
    network = network_of(X, y, n_categories=SIZES, n_waves=0)
    nn.init.normal_(network.output.last.bias)
    nn.init.constant_(network.indicator_gate, 1 / 3)  # indicators are 0 or 3
    theirs = theirs_with_our_weights(network, 3)
    x = as_rows(X)
    levels = network.input.one_hot(x[:, [1, 3]])
    codes = torch.stack([levels[:, :5].argmax(1), levels[:, 5:].argmax(1)], dim=1)
    logits = network(x)
    assert logits.shape == (80, 3, 3)
    numbers = network.input.numbers(x[:, [0, 2]])
    torch.testing.assert_close(logits, theirs(numbers, codes))


def test_tabm_members_start_with_a_scale_for_each_column():
    """And with no other difference, but for the last layer."""
    network = TabM(4, 3, n_categories=SIZES, n_waves=2, **TINY)
    assert (network.embedding[:, 1:] == 0).all()
    first, second = (block[0] for block in network.output.backbone.blocks)
    bounds = np.cumsum([0, 4, 4, 2, 2, 5, 4])
    for start, stop in pairwise(bounds):
        assert (first.r[:, start:stop] == first.r[:, [start]]).all()
    assert len(first.r.unique()) == 3 * 6
    assert all((ones == 1).all() for ones in (first.s, second.r, second.s))
    assert (second.bias == second.bias[0]).all()


def test_tabm_members_differ(mixed):
    X, y = mixed
    logits = network_of(X, y, n_categories=SIZES)(as_rows(X))
    assert (logits[:, 0] - logits[:, 1]).abs().mean() > 0.01


def test_tabm_drops_out_in_training_alone(mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES, dropout=0.5)
    x = as_rows(X)
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))


@pytest.mark.parametrize("params", [{}, {"normalize_output": True}])
def test_tabm_has_exact_gradients(params, mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES, d_block=3, dropout=0.0, **params)
    x = as_rows(X[:4])
    names = [name for name, _ in network.named_parameters()]
    start = [p.detach().requires_grad_() for p in network.parameters()]

    def logits(*values):
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(network, given, (x,))

    assert torch.autograd.gradcheck(logits, start)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tabm_survives_extreme_rows(dtype, mixed):
    X, y = mixed
    X[:4, 0] = [1e30, -1e30, 1e38, -1e38]
    X[4:8, 2] = [np.inf, -np.inf, 1e-38, np.nan]
    network = network_of(X, y, n_categories=SIZES, clip=True, dtype=dtype)
    logits = network(as_rows(X, dtype))
    assert logits.isfinite().all()
    F.cross_entropy(logits.flatten(0, 1), torch.tensor(y.repeat(3))).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(
    ("in_features", "n_categories"), [(2, (5, 5)), (1, None), (1, (4,))]
)
def test_tabm_takes_columns_of_one_kind(in_features, n_categories, rng):
    X = rng.integers(0, 4, (50, in_features)).astype(np.float32)
    network = network_of(X, np.arange(50) % 2, n_categories=n_categories)
    assert network(as_rows(X)).shape == (50, 3, 2)
    assert network(as_rows(X[:1])).isfinite().all()


@pytest.mark.parametrize("value", [np.nan, 4.0])
def test_tabm_is_blind_to_columns_without_spread(value, mixed):
    X, y = mixed
    X[:, 0], X[:, 1] = value, 2
    network = network_of(X, y, n_categories=SIZES)
    before = network(as_rows(X))
    changed = X.copy()
    changed[:, 0], changed[:, 1] = np.linspace(-1e30, 1e30, 80), np.arange(80) % 5
    torch.testing.assert_close(network(as_rows(changed)), before, rtol=0, atol=0)


def test_tabm_looks_at_sparse_rows_as_at_dense_ones(rng):
    X, y = rng.integers(0, 3, (60, 4)).astype(np.float32), rng.integers(0, 2, 60)
    dense = network_of(X, y, n_categories=SIZES)
    of_sparse = network_of(sparse.csr_array(X), y, n_categories=SIZES)
    for name, value in dense.state_dict().items():
        assert torch.equal(value, of_sparse.state_dict()[name]), name


def test_tabm_gates_follow_what_columns_tell(rng):
    y = (rng.random(1000) < 0.2).astype(int)
    X = rng.normal(size=(1000, 2))
    X[:, 1] += 3 * y
    gate = network_of(X, y).number_gate
    assert gate.shape == (1, 2)
    assert gate[0, 0] < 0.2 * gate[0, 1]


@pytest.mark.parametrize("normalize_output", [False, True])
def test_tabm_groups_hold_every_parameter_once(normalize_output):
    network = TabM(4, 3, n_categories=SIZES, normalize_output=normalize_output, **TINY)
    groups = network.parameter_groups()
    grouped = [id(p) for group in groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in network.parameters()}
    decaying = {id(p) for group in groups if group["decays"] for p in group["params"]}
    weights = [p for name, p in network.named_parameters() if name.endswith("weight")]
    assert decaying == {id(p) for p in weights}


def test_tabm_predicts_in_parts_that_fit_a_gpu():
    """What a layer gives of them has no more than 1 GiB."""
    cuda = torch.device("cuda")
    n_rows = rows_at_once(TabM(3, 2, k=32, d_block=512), cuda)
    assert n_rows % 64 == 0
    assert 2**27 < n_rows * 32 * 512 <= 2**28
    assert rows_at_once(MLP(3, 2), cuda) == 2**16


def test_tabm_state_and_pickle_give_the_same_logits(mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES)
    other = network_of(X[::-1].copy(), y, n_categories=SIZES)
    other.load_state_dict(network.state_dict())
    for again in (other, pickle.loads(pickle.dumps(network))):
        assert torch.equal(again(as_rows(X)), network(as_rows(X)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": 0}, "module__k must be an integer of at least 1, however: k=0"),
        ({"n_blocks": 0}, "module__n_blocks must be"),
        ({"d_block": 0}, "module__d_block must be"),
        ({"d_embedding": 0}, "module__d_embedding must be"),
        ({"n_bins": 0}, "module__n_bins must be"),
        ({"dropout": 1.0}, "module__dropout must lie"),
        ({"clip": -1.0}, "module__clip must be positive"),
        ({"n_categories": (0, 3)}, "n_categories must hold one number of codes"),
    ],
)
def test_tabm_rejects(params, message):
    with pytest.raises(ValueError, match=message):
        TabM(3, 2, **params)


# -- the estimator ---------------------------------------------------------------------


def test_tabm_fits_and_averages_probabilities_over_members(rare):
    X, y = rare
    clf = small(max_epochs=20, target_prior="train").fit(X, y)
    proba = clf.predict_proba(X)
    assert average_precision_score(y, proba[:, 1]) > 0.6
    logits = clf.net_.infer(torch.tensor(X, dtype=torch.float32)).double()
    assert logits.shape == (600, 3, 2)
    shifted = (logits + torch.tensor(clf.offset_)).softmax(-1).mean(1)
    np.testing.assert_allclose(proba, shifted.detach().numpy(), atol=1e-6)


def test_tabm_is_what_the_preset_takes(rare):
    X, y = rare
    tiny = {f"module__{name}": value for name, value in TINY.items()}
    params = {"max_epochs": 2, "random_state": 0, **tiny}
    clf = BalancedNeuralClassifier(preset="best", **params).fit(X, y)
    assert isinstance(clf.module_, TabM)
    named = BalancedNeuralClassifier(module="tabm", **params).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), named.predict_proba(X))


def test_tabm_trains_as_one_network_without_folds(rare):
    X, y = rare
    clf = small(early_stopping=True).fit(X, y)
    assert not hasattr(clf, "oof_proba_")
    assert "valid_average_precision" in clf.history_[0]
    assert clf.effective_prior_.shape == (2,)


@pytest.mark.parametrize("module", ["tabm", TabM])
def test_tabm_rejects_members_with_folds(module, rare):
    X, y = rare
    with pytest.raises(ValueError, match=r"n_members=4 .* set their number by module"):
        small(module=module, n_members=4).fit(X, y)


def test_tabm_names_the_cure_where_the_package_is_missing(rare, monkeypatch):
    monkeypatch.setitem(sys.modules, "tabm", None)
    clf = small()
    with pytest.raises(ImportError, match=r"pip install imbalnet\[best\]"):
        clf.fit(*rare)
    assert not hasattr(clf, "net_")


def test_imbalnet_does_not_import_the_package():
    code = "import imbalnet, sys; print('tabm' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "False"


def test_tabm_takes_a_raw_frame(rng):
    n_rows = 300
    colour = rng.choice(["red", "green", "blue"], n_rows)
    size = rng.normal(size=n_rows)
    y = np.where((colour == "red") & (size > 0.3), "rare", "usual")
    size[::9] = np.nan
    frame = pd.DataFrame(
        {"size": size, "colour": pd.Categorical(colour), "flag": size > 0}
    )
    clf = small(max_epochs=30, learning_rate=0.02).fit(frame, y)
    scores = clf.predict_proba(frame)[:, 0]
    assert average_precision_score(y == "rare", scores) > 0.85
    later = frame.head(3).assign(colour=["pink", None, "red"])
    assert np.isfinite(clf.predict_proba(later)).all()
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(frame)[:, 0], scores)


def test_tabm_gives_the_same_bits_again(rare):
    X, y = rare
    first, again = (small(max_epochs=2).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "focal", "class_weight": "balanced", "target_prior": "train"},
        {"loss": "ldam"},
        {"loss": "average_precision"},
        {"sampler": "balanced_batch"},
        {"dtype": "float64"},
    ],
)
def test_tabm_takes_the_levers(params, rare):
    X, y = rare
    proba = small(**params).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)
    assert len(np.unique(proba[:, 1])) > 500


def test_tabm_goes_on_with_partial_fit(rare):
    X, y = rare
    clf = small()
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1])
    assert clf.n_iter_ == 3
