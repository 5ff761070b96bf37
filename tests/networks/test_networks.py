"""Networks and their first layer."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import average_precision_score
from torch import nn
from torch.nn import functional as F

from imbalnet import BalancedNeuralClassifier
from imbalnet.networks import (
    DETERMINISTIC,
    MLP,
    NETWORKS,
    CosineLinear,
    LinearModel,
    OneHot,
    ResNet,
    Standardize,
)
from imbalnet.networks.layers import standardize as preprocessing
from imbalnet.networks.layers.mixed import input_layer

needs_tabm = pytest.mark.skipif(find_spec("tabm") is None, reason="needs tabm")
all_networks = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[needs_tabm] * (name == "tabm")) for name in NETWORKS],
)
standardizing = pytest.mark.parametrize("name", ["linear", "mlp", "resnet"])


@all_networks
@pytest.mark.parametrize("n_classes", [2, 5])
def test_network_gives_logits_of_all_classes(name, n_classes):
    logits = NETWORKS[name](3, n_classes)(torch.randn(7, 3))
    assert logits.shape == (7, 16 if name == "tabm" else 1, n_classes)
    assert logits.isfinite().all()


@all_networks
@pytest.mark.parametrize("n_classes", [2, 4])
def test_network_starts_at_the_given_output(name, n_classes, rng):
    network = NETWORKS[name](3, n_classes)
    start = torch.tensor(rng.normal(size=n_classes), dtype=torch.float32)
    network.initialize_output(start)
    last = network.output.last if name == "tabm" else network.output
    logits = network(torch.zeros(1, 3)) if name == "linear" else last.bias
    logits = logits.reshape(-1, n_classes).softmax(-1)
    torch.testing.assert_close(logits, start.softmax(-1).expand_as(logits))


@standardizing
def test_network_without_standardising_is_blind_to_the_rows(name, rng):
    network = NETWORKS[name](3, 2, standardize=False)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    X = 100 + rng.normal(size=(20, 3))
    network.initialize_from(X, np.zeros(20), np.ones(20))
    network.update_from(X, np.zeros(20), np.ones(20))
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key])


def test_standardize_gives_mean_zero_and_deviation_one(rng):
    X = rng.normal(loc=[0, 1e3, -5], scale=[1, 50, 1e-3], size=(1000, 3))
    layer = Standardize(3).double()
    layer.initialize_from(X, None, np.ones(1000))
    z = layer(torch.tensor(X)).numpy()
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(0), 1, rtol=1e-9)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_standardize_counts_weights_as_repetitions(container, rng):
    X, weight = rng.normal(size=(50, 3)), rng.integers(0, 4, 50)
    weighted, repeated = Standardize(3).double(), Standardize(3).double()
    weighted.initialize_from(container(X), None, weight.astype(float))
    repeated.initialize_from(
        container(X.repeat(weight, 0)), None, np.ones(weight.sum())
    )
    torch.testing.assert_close(weighted.mean, repeated.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(weighted.scale, repeated.scale, rtol=1e-12, atol=1e-12)


def test_standardize_by_chunks_and_updates_equals_all_at_once(rng, monkeypatch):
    X, weight = rng.normal(size=(200, 3)), rng.random(200)
    whole, parts = Standardize(3).double(), Standardize(3).double()
    whole.initialize_from(X, None, weight)
    monkeypatch.setattr(preprocessing, "_CHUNK_ELEMENTS", 21)
    parts.initialize_from(X[:70], None, weight[:70])
    parts.update_from(X[70:], None, weight[70:])
    torch.testing.assert_close(whole.mean, parts.mean)
    torch.testing.assert_close(whole.scale, parts.scale)


@pytest.mark.parametrize("value", [0.0, 3.7, 1e9, -0.1])
def test_standardize_turns_a_constant_column_into_zero(value):
    X = np.full((333, 1), value)
    layer = Standardize(1).double()
    layer.initialize_from(X, None, np.ones(333))
    assert layer.is_constant.all()
    assert layer(torch.tensor(X)).abs().max() < 1e-6 * max(1.0, abs(value))


def test_standardize_takes_huge_columns_in_float32(rng):
    """A variance of 1e60 has no float32, its root has."""
    X = 1e30 * rng.normal(size=(500, 1))
    layer = Standardize(1)
    layer.initialize_from(X[:100], None, np.ones(100))
    layer.update_from(X[100:], None, np.ones(400))
    assert layer(torch.tensor(X, dtype=torch.float32)).std().item() == pytest.approx(
        1, rel=0.01
    )


def test_standardize_bends_outliers_and_keeps_their_order():
    z = Standardize(1, clip=3.0)(torch.tensor([[0.01], [1.0], [5.0], [50.0], [1e6]]))
    assert z[0].item() == pytest.approx(0.01, rel=1e-3)
    assert (z.diff(dim=0) >= 0).all()
    assert z.max() <= 3.0


@pytest.mark.parametrize("clip", [None, 0.7, 3.0])
@pytest.mark.parametrize("needs_gradient", [False, True])
def test_standardize_follows_its_formula(clip, needs_gradient, rng):
    """In float32, without a change of its input; gradients too, where asked for."""
    X = rng.normal(loc=[0, 40, -3], scale=[1, 5, 1e-2], size=(50, 3))
    layer = Standardize(3, clip)
    layer.initialize_from(X, None, np.ones(50))
    x = torch.tensor(X, dtype=torch.float32, requires_grad=needs_gradient)
    before = x.detach().clone()
    outputs = layer(x)
    z = (before.double().numpy() - X.mean(0)) / X.std(0)
    bend = 1.0 if clip is None else 1 / np.sqrt(1 + (z / clip) ** 2)
    np.testing.assert_allclose(outputs.detach().numpy(), z * bend, rtol=0, atol=2e-4)
    assert torch.equal(x, before)
    assert outputs.requires_grad == needs_gradient
    if needs_gradient:
        (gradient,) = torch.autograd.grad(outputs.sum(), x)
        slope = np.broadcast_to(bend**3 / X.std(0), z.shape)
        np.testing.assert_allclose(gradient.numpy(), slope, rtol=1e-3)


@pytest.mark.parametrize("clip", [None, 3.0])
def test_standardize_has_exact_gradients(clip, rng):
    """Second ones too: no step overwrites what they need."""
    layer = Standardize(3, clip).double()
    layer.initialize_from(2 * rng.normal(size=(50, 3)), None, np.ones(50))
    x = torch.tensor(4 * rng.normal(size=(6, 3)), requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


def test_standardize_rejects_clip():
    with pytest.raises(ValueError, match="clip must be positive or None, however"):
        Standardize(3, clip=0.0)


def test_mlp_ignores_a_column_that_was_constant(rng):
    X = rng.normal(size=(30, 3)).astype(np.float32)
    X[:, 1] = 4.0
    network = MLP(3, 2)
    network.initialize_from(X, np.zeros(30), np.ones(30))
    changed = X.copy()
    changed[:, 1] = -7.0
    torch.testing.assert_close(
        network(torch.tensor(X)), network(torch.tensor(changed)), rtol=0, atol=0
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_sizes": (8, 0)}, "module__hidden_sizes"),
        ({"activation": "swish"}, "module__activation='swish' must be one of"),
        ({"dropout": 1.0}, "module__dropout"),
    ],
)
def test_mlp_rejects(params, message):
    with pytest.raises(ValueError, match=message):
        MLP(3, 2, **params)


@pytest.mark.parametrize("hidden_sizes", [(), (4,), (8, 4, 2)])
def test_mlp_takes_any_depth(hidden_sizes, rng):
    network = MLP(3, 2, hidden_sizes=hidden_sizes, dropout=0.1)
    network.initialize_from(rng.normal(size=(9, 3)), np.zeros(9), np.ones(9))
    assert network(torch.randn(5, 3)).shape == (5, 1, 2)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_resnet_follows_its_description(activation, rng):
    network = ResNet(3, 2, d_block=6, d_hidden=10, activation=activation).double()
    network.initialize_from(rng.normal(3, 2, size=(40, 3)), np.zeros(40), np.ones(40))
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    x = torch.tensor(rng.normal(3, 2, size=(9, 3)))
    first, *blocks, norm, _ = network.hidden
    nonlinearity = getattr(torch, activation)
    h = first(network.input(x))
    for block in blocks:
        before, widen, _, _, narrow, _ = block.steps
        inner = F.layer_norm(h, (6,), before.weight, before.bias)
        inner = nonlinearity(inner @ widen.weight.T + widen.bias)
        h = h + inner @ narrow.weight.T + narrow.bias
    h = nonlinearity(F.layer_norm(h, (6,), norm.weight, norm.bias))
    torch.testing.assert_close(network.eval()(x), network.output(h)[:, None])
    assert len(blocks) == 2


def test_resnet_passes_through_blocks_that_add_nothing(rng):
    network = ResNet(3, 2, n_blocks=3, d_block=6, d_hidden=4)
    x = torch.randn(5, 3)
    for block in network.hidden[1:-2]:
        nn.init.zeros_(block.steps[4].weight)
        nn.init.zeros_(block.steps[4].bias)
    shallow = nn.Sequential(network.hidden[0], *network.hidden[-2:], network.output)
    assert torch.equal(network(x), shallow(network.input(x))[:, None])


@pytest.mark.parametrize("name", ["dropout", "residual_dropout"])
def test_resnet_drops_out_in_training_alone(name):
    network = ResNet(3, 2, **{"dropout": 0.0, "residual_dropout": 0.0, name: 0.5})
    x = torch.randn(20, 3)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_resnet_without_dropout_draws_nothing():
    network = ResNet(3, 2, dropout=0.0)
    assert all(type(part) in DETERMINISTIC for part in network.modules())
    network = ResNet(3, 2)
    assert not all(type(part) in DETERMINISTIC for part in network.modules())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"n_blocks": 0},
            "module__n_blocks must be an integer .*: n_blocks=0",
        ),
        ({"d_block": 0}, "module__d_block must be an integer of at least 1"),
        ({"d_hidden": -1}, "module__d_hidden must be an integer of at least 1"),
        ({"activation": "swish"}, "module__activation='swish' must be one of"),
        ({"dropout": 1.0}, "module__dropout"),
        ({"residual_dropout": -0.1}, "module__residual_dropout"),
    ],
)
def test_resnet_rejects(params, message):
    with pytest.raises(ValueError, match=message):
        ResNet(3, 2, **params)


def test_resnet_fits_as_members_and_with_cosines(rare):
    X, y = rare
    for params in ({"n_members": 3}, {"loss": "ldam"}, {"class_weight": "balanced"}):
        clf = BalancedNeuralClassifier(
            "resnet", module__d_block=16, max_epochs=10, random_state=0, **params
        ).fit(X, y)
        assert average_precision_score(y, clf.predict_proba(X)[:, 1]) > 0.5


@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_coefficients_are_for_raw_columns(n_classes, rng):
    X = rng.normal(loc=5, scale=[1, 10, 0.1], size=(40, 3))
    network = LinearModel(3, n_classes).double()
    network.initialize_from(X, np.zeros(40), np.ones(40))
    torch.nn.init.normal_(network.output.weight)
    torch.nn.init.normal_(network.output.bias)
    coef, intercept = network.coefficients()
    logits = network(torch.tensor(X))[:, 0].detach().numpy()
    linear = X @ coef.T + intercept
    np.testing.assert_allclose(linear, logits[:, 1:] if n_classes == 2 else logits)


def test_standardize_keeps_the_order_of_extreme_outliers():
    x = torch.tensor([[1e10], [1e19], [1e25], [1e38], [-1e38]])
    z = Standardize(1, clip=3.0)(x)
    torch.testing.assert_close(z[:4], torch.full((4, 1), 3.0))
    assert z[4] == -z[3]


def test_cosine_linear_gives_the_cosines(rng):
    layer = CosineLinear(5, 3)
    x = torch.tensor(rng.normal(size=(7, 5)), dtype=torch.float32)
    weight = layer.weight.detach()
    expected = nn.functional.cosine_similarity(x[:, None], weight[None], dim=-1)
    torch.testing.assert_close(layer(x), expected)


def test_cosine_linear_of_a_zero_row_is_zero():
    """A row that no hidden unit fires for has no direction, and no NaN gradient."""
    x = torch.zeros(2, 5, requires_grad=True)
    outputs = CosineLinear(5, 3)(x)
    outputs.sum().backward()
    assert (outputs == 0).all()
    assert torch.isfinite(x.grad).all()


# -- gaps and categories -------------------------------------------------------------


@pytest.mark.parametrize("clip", [None, 3.0])
def test_standardize_takes_gaps_for_the_mean(clip, rng):
    X = rng.normal(loc=5, size=(200, 3))
    X[rng.random(X.shape) < 0.3] = np.nan
    layer = Standardize(3, clip).double()
    layer.initialize_from(X, None, np.ones(200))
    np.testing.assert_allclose(layer.mean, np.nanmean(X, 0))
    np.testing.assert_allclose(layer.scale, np.nanstd(X, 0))
    x = torch.tensor(X)
    z = layer(x)
    assert (z[x.isnan()] == 0).all()
    assert torch.equal(x.isnan(), torch.tensor(np.isnan(X)))


def test_standardize_weighs_and_merges_what_is_there(rng, monkeypatch):
    """Chunks, updates and weights give what NumPy says of each column's own rows."""
    X, weight = rng.normal(size=(90, 3)), rng.integers(0, 4, 90)
    X[rng.random(X.shape) < 0.4] = np.nan
    X[:50, 2] = np.nan  # the first part has no value
    monkeypatch.setattr(preprocessing, "_CHUNK_ELEMENTS", 21)
    layer = Standardize(3).double()
    layer.initialize_from(X[:50], None, weight[:50].astype(float))
    assert layer.is_constant.tolist() == [False, False, True]
    layer.update_from(X[50:], None, weight[50:].astype(float))
    repeated = X.repeat(weight, 0)
    np.testing.assert_allclose(layer.mean, np.nanmean(repeated, 0))
    np.testing.assert_allclose(layer.scale, np.nanstd(repeated, 0))
    np.testing.assert_allclose(layer.weight_sum, (~np.isnan(repeated)).sum(0))


def test_standardize_gives_finite_rows_the_same_bits_beside_gaps(rng):
    X = rng.normal(size=(64, 2)).astype(np.float32)
    layer = Standardize(2, 3.0)
    layer.initialize_from(X, None, np.ones(64))
    with_gap = X.copy()
    with_gap[5, 1] = np.nan
    rows = np.arange(64) != 5
    torch.testing.assert_close(
        layer(torch.tensor(X))[rows],
        layer(torch.tensor(with_gap))[rows],
        rtol=0,
        atol=0,
    )


@standardizing
def test_networks_are_blind_to_a_column_of_gaps(name, rng):
    X = rng.normal(size=(30, 3)).astype(np.float32)
    X[:, 1] = np.nan
    network = NETWORKS[name](3, 2).eval()
    assert network.accepts_missing
    network.initialize_from(X, np.zeros(30), np.ones(30))
    changed = X.copy()
    changed[:, 1] = -7.0
    outputs = network(torch.tensor(X))
    assert outputs.isfinite().all()
    torch.testing.assert_close(outputs, network(torch.tensor(changed)), rtol=0, atol=0)


def test_standardize_bends_infinite_values_to_the_bound(rng):
    X = rng.normal(size=(50, 1))
    X[0], X[1] = np.inf, -np.inf
    layer = Standardize(1, clip=True)
    layer.initialize_from(X, None, np.ones(50))
    assert layer.clip == 3.0
    assert layer.mean.item() == pytest.approx(X[2:].mean())
    z = layer(torch.tensor(X[:2], dtype=torch.float32))
    torch.testing.assert_close(z, torch.tensor([[3.0], [-3.0]]))


@standardizing
def test_networks_that_do_not_standardise_take_gaps_for_zero(name):
    network = NETWORKS[name](2, 2, standardize=False).eval()
    gap, zero = torch.tensor([[1.0, np.nan]]), torch.tensor([[1.0, 0.0]])
    assert torch.equal(network(gap), network(zero))


def one_hot_of(columns, n_categories, weight=None):
    codes = np.column_stack(columns).astype(np.float32)
    layer = OneHot(n_categories)
    weight = np.ones(len(codes)) if weight is None else weight
    layer.initialize_from(codes, weight)
    return layer, torch.tensor(codes)


def test_one_hot_gives_frequent_levels_their_columns():
    column = [0] * 5 + [1] * 4 + [2] * 6 + [3] * 1  # 1 and 3 are rare, 4 unseen
    layer, codes = one_hot_of([column], [5])
    encoded = layer(codes)
    assert layer.out_features == 5
    assert (encoded.sum(1) == 1).all()
    assert encoded.argmax(1).tolist() == [0] * 5 + [4] * 4 + [1] * 6 + [4]
    assert layer(torch.tensor([[4.0]])).argmax().item() == 4
    assert layer.is_constant.tolist() == [False, False, True, True, False]


def test_one_hot_does_not_widen_with_rows_of_their_own():
    layer, codes = one_hot_of([np.arange(700)], [702])
    assert layer.out_features == 41
    assert (layer(codes) == layer(codes)[:1]).all()
    assert layer.is_constant.all()


def test_one_hot_keeps_the_forty_heaviest_levels(rng):
    column = np.repeat(np.arange(60), 10)
    weight = np.repeat(rng.permutation(60) + 1.0, 10)
    layer, codes = one_hot_of([column], [62], weight)
    is_rare = layer(codes)[::10, -1] == 1
    assert is_rare.sum() == 20
    assert weight[::10][is_rare].max() < weight[::10][~is_rare].min()


def test_one_hot_is_blind_to_a_constant_column():
    layer, _ = one_hot_of([[1] * 20, [0, 1] * 10], [4, 4])
    codes = torch.tensor([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    assert (layer(codes) == layer(codes)[:1]).all()
    assert layer.is_constant.tolist() == [True] * 4 + [False, False, True, True]


@pytest.mark.parametrize("shape", [(6, 2), (3, 2, 2), (1, 6, 2), (0, 2)])
def test_one_hot_works_on_the_last_axis(shape, rng):
    layer, _ = one_hot_of(rng.integers(0, 4, (2, 50)), [6, 6])
    codes = torch.tensor(rng.integers(0, 6, shape), dtype=torch.float32)
    encoded = layer(codes)
    assert encoded.shape == (*shape[:-1], 12)
    flat = layer(codes.reshape(-1, 2))
    assert torch.equal(encoded.reshape(-1, 12), flat)


@pytest.mark.parametrize("code", [-1.0, 99.0, float("nan"), float("inf")])
def test_one_hot_survives_what_is_no_code(code):
    assert OneHot([4])(torch.tensor([[code]])).sum() == 1


SIZES = (0, 5, 0, 4)


@all_networks
def test_networks_encode_categories(name, mixed):
    torch.manual_seed(0)
    network = NETWORKS[name](4, 3, n_categories=SIZES).eval()
    X, y = mixed
    network.initialize_from(X, y, np.ones(80))
    last = network.output.last if name == "tabm" else network.output
    nn.init.normal_(last.weight)
    before = network(torch.tensor(X))
    assert (len(before), before.shape[-1]) == (80, 3)
    assert before.isfinite().all()
    changed = X.copy()
    changed[:, 1] = (changed[:, 1] + 1) % 4
    assert not torch.equal(before, network(torch.tensor(changed)))
    network.update_from(X, y, np.ones(80))
    torch.testing.assert_close(network(torch.tensor(X)), before)


def test_mixed_input_puts_numbers_first(mixed):
    layer = input_layer(4, SIZES, clip=3.0)
    X, y = mixed
    layer.initialize_from(X, y, np.ones(80))
    x = torch.tensor(X)
    encoded = layer(x)
    assert encoded.shape == (80, layer.out_features) == (80, 12)
    assert torch.equal(encoded[:, :2], layer.numbers(x[:, [0, 2]]))
    assert torch.equal(encoded[:, 2:11], layer.one_hot(x[:, [1, 3]]))
    assert torch.equal(encoded[:, 11], x[:, 2].isnan().to(x.dtype))
    stacked = x.reshape(20, 4, 4)
    assert torch.equal(layer(stacked).reshape(80, 12), encoded)


@pytest.mark.parametrize("standardize", [True, False])
def test_linear_coefficients_are_for_encoded_columns(standardize, mixed):
    network = LinearModel(4, 3, n_categories=SIZES, standardize=standardize).double()
    X = np.nan_to_num(mixed[0])
    network.initialize_from(X, np.zeros(80), np.ones(80))
    nn.init.normal_(network.output.weight)
    coef, intercept = network.coefficients()
    one_hot = network.input.one_hot(torch.tensor(X[:, [1, 3]])).numpy()
    encoded = np.column_stack([X[:, [0, 2]], one_hot])
    logits = network(torch.tensor(X, dtype=torch.float64))[:, 0].detach().numpy()
    np.testing.assert_allclose(
        encoded @ coef.T + intercept, logits, rtol=1e-5, atol=1e-9
    )


def test_networks_of_categories_alone(rng):
    codes = rng.integers(0, 3, (50, 2)).astype(np.float32)
    network = MLP(2, 2, n_categories=(5, 5))
    network.initialize_from(codes, np.zeros(50), np.ones(50))
    assert network(torch.tensor(codes)).isfinite().all()


@pytest.mark.parametrize("sizes", [(0, 1), (0, 1, 2, -1), ()])
def test_networks_reject_sizes_of_other_columns(sizes):
    with pytest.raises(ValueError, match="n_categories must hold one number"):
        MLP(4, 2, n_categories=sizes)


def test_mlp_rejects_infinite_values_that_nothing_bends():
    with pytest.raises(ValueError, match=r"module__clip=True .* standardize=False"):
        MLP(3, 2, clip=True, standardize=False)
