"""The default network, and the rows that its members share."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import average_precision_score
from torch.nn import functional as F

from imbalnet import BalancedNeuralClassifier
from imbalnet._fit.feeds.batches import Place, TensorBatches
from imbalnet._fit.feeds.feed import MemberFeed, SharedFeed
from imbalnet._fit.split import stratified_folds
from imbalnet._tables import Rows
from imbalnet.networks import TabularMLP
from imbalnet.networks.tabular import gates_from
from imbalnet.samplers._epochs import Shuffle

SIZES = (0, 5, 0, 4)


def network_of(X, y, *, n_members=3, folds=None, dtype=torch.float64, **params):
    torch.manual_seed(0)
    n_classes = int(y.max()) + 1
    params = {"hidden_sizes": (8, 6), **params}
    network = TabularMLP(X.shape[1], n_classes, n_members=n_members, **params)
    network.to(dtype)
    network.initialize_from(X, y, np.ones(X.shape[0]), folds)
    with torch.no_grad():  # the piecewise part starts at 0
        network.embedding[:, 1:].normal_(std=0.3)
    return network


def as_rows(X, dtype=torch.float64):
    return torch.tensor(X, dtype=dtype)


# -- members ---------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"normalize_output": True}])
def test_some_members_are_part_of_all(params, mixed):
    """In what they compute, and in their tensors, which are changed together."""
    X, y = mixed
    network = network_of(X, y, n_members=4, n_categories=SIZES, **params).eval()
    parts = [network.take_members(which) for which in (slice(0, 1), slice(1, 4))]
    for _ in range(2):
        outputs = torch.cat([part(as_rows(X)) for part in parts], dim=1)
        torch.testing.assert_close(outputs, network(as_rows(X)))
        with torch.no_grad():
            for parameter in parts[1].parameters():
                parameter.mul_(1.5)
    n_parameters = [sum(p.numel() for p in of.parameters()) for of in parts]
    assert sum(n_parameters) == sum(p.numel() for p in network.parameters())


# -- forward ---------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"n_waves": 0}, {"normalize_output": True}])
def test_tabular_gives_shared_and_own_rows_the_same_logits(params, mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES, **params).eval()
    x = as_rows(X)
    shared = network(x)
    assert shared.shape == (80, 3, 3)
    own = network(x[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(shared, own)
    rows = torch.stack([x, x.flip(0), x.roll(5, 0)], dim=1)
    own = network(rows)
    for j in range(3):
        torch.testing.assert_close(own[:, j], network(rows[:, j])[:, j])


def by_hand(network, x, j):
    """Member j's logits of rows without gaps or categories, as the docstring has it."""
    scale, encoding = network.input.numbers, network.input.encoding
    z = (x - scale.center) * scale.inverse_scale
    far = z.abs().clamp(min=scale.clip) / scale.clip
    z = z.clamp(-scale.clip, scale.clip) + z.sign() * scale.clip * far.log()
    bins = ((z[..., None] - encoding.start) * encoding.inverse_width).clamp(0, 1)
    encoded = torch.cat([z[..., None], bins], dim=-1)
    functions = torch.einsum("bft,ftc->bfc", encoded, network.embedding[:, :, j])
    waves = torch.cos(z[..., None] * network.frequency[j] + network.phase[j])
    gate = network.number_gate[j][:, None]
    h = torch.cat([(functions * gate).flatten(1), (waves * gate).flatten(1)], dim=1)
    for layer in network.hidden:
        h = torch.relu(h @ layer.weight[j] + layer.bias[j])
    return h @ network.output.weight[j] + network.output.bias[j]


def test_tabular_follows_its_description(rng):
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    network = network_of(X, y).eval()
    logits = network(as_rows(X))
    for j in range(3):
        torch.testing.assert_close(logits[:, j], by_hand(network, as_rows(X), j))


def test_tabular_of_one_member_has_its_axis(mixed):
    X, y = mixed
    network = network_of(X, y, n_members=1, n_categories=SIZES).eval()
    logits = network(as_rows(X))
    assert logits.shape == (80, 1, 3)
    torch.testing.assert_close(network(as_rows(X)[:, None]), logits)


def test_tabular_members_differ(mixed):
    X, y = mixed
    logits = network_of(X, y, n_categories=SIZES).eval()(as_rows(X))
    assert (logits[:, 0] - logits[:, 1]).abs().mean() > 0.05


@pytest.mark.parametrize("is_shared", [True, False])
def test_tabular_members_are_independent(is_shared, mixed):
    """The loss of one has no gradient in the others' parameters."""
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES, dropout=0.0)
    x = as_rows(X)
    logits = network(x if is_shared else x[:, None].expand(-1, 3, -1))
    F.cross_entropy(logits[:, 1], torch.tensor(y)).backward()
    for name, parameter in network.named_parameters():
        axis = 2 if name == "embedding" else 0
        of_members = parameter.grad.movedim(axis, 0).flatten(1).abs().sum(1)
        assert of_members[0] == of_members[2] == 0, name
        assert of_members[1] > 0, name


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("params", [{}, {"normalize_output": True}])
def test_tabular_has_exact_gradients(is_shared, params, mixed):
    X, y = mixed
    params |= {"n_bins": 3, "n_channels": 2, "n_waves": 2, "hidden_sizes": (3,)}
    params |= {"activation": "tanh", "dropout": 0.0}
    network = network_of(X, y, n_members=2, n_categories=SIZES, **params)
    z = network.prepare(as_rows(X[:4]))
    z = z if is_shared else z[:, None].expand(-1, 2, -1)
    names = [name for name, _ in network.named_parameters()]
    start = [p.detach().requires_grad_() for p in network.parameters()]

    def logits(*values):
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(Body(network), Body.named(given), (z,))

    assert torch.autograd.gradcheck(logits, start)


class Body(torch.nn.Module):
    """The part of a network behind its fixed layers."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z):
        return self.network.body(z)

    @staticmethod
    def named(values):
        return {f"network.{name}": value for name, value in values.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tabular_survives_extreme_rows(dtype, mixed):
    X, y = mixed
    X[:4, 0] = [1e30, -1e30, 1e38, -1e38]
    X[4:8, 2] = [np.inf, -np.inf, 1e-38, np.nan]
    network = network_of(X, y, n_categories=SIZES, clip=True, dtype=dtype)
    x = as_rows(X, dtype)
    x[0, 0], x[1] = 3e38, torch.tensor([-3e38, 1e6, np.inf, -1.0])
    logits = network(x)
    assert logits.dtype == dtype
    assert logits.isfinite().all()
    F.cross_entropy(logits.flatten(0, 1), torch.tensor(y.repeat(3))).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("n_members", [1, 3])
def test_tabular_takes_categories_alone(n_members, rng):
    X = rng.integers(0, 3, (50, 2)).astype(np.float32)
    y = (X[:, 0] == 1).astype(int)
    network = network_of(X, y, n_members=n_members, n_categories=(5, 5))
    logits = network(as_rows(X))
    assert logits.isfinite().all()
    logits.sum().backward()
    assert network.indicator_gate[:, 1].min() > network.indicator_gate[:, 5:].max()
    if n_members > 1:
        own = network.eval()(as_rows(X)[:, None].expand(-1, n_members, -1))
        torch.testing.assert_close(network(as_rows(X)), own)


@pytest.mark.parametrize("n_categories", [None, (4,)])
@pytest.mark.parametrize("n_waves", [0, 2])
def test_tabular_takes_one_column(n_categories, n_waves, rng):
    X, y = rng.integers(0, 4, (50, 1)).astype(np.float32), rng.integers(0, 2, 50)
    network = network_of(X, y, n_categories=n_categories, n_waves=n_waves)
    assert network(as_rows(X)).shape == (50, 3, 2)
    assert network(as_rows(X[:1])).isfinite().all()


@pytest.mark.parametrize("hidden_sizes", [(), (4,), (8, 4, 2)])
def test_tabular_takes_any_depth(hidden_sizes, mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES, hidden_sizes=hidden_sizes)
    assert network(as_rows(X)).shape == (80, 3, 3)


@pytest.mark.parametrize("value", [np.nan, 4.0])
def test_tabular_is_blind_to_columns_without_spread(value, mixed):
    """At prediction too, whatever training did to their gates."""
    X, y = mixed
    X[:, 0], X[:, 1] = value, 2
    network = network_of(X, y, n_categories=SIZES).eval()
    assert (network.number_gate[:, 0] == 0).all()
    assert (network.indicator_gate[:, :5] == 0).all()
    torch.nn.init.normal_(network.number_gate)
    torch.nn.init.normal_(network.indicator_gate)
    before = network(as_rows(X))
    changed = X.copy()
    changed[:, 0], changed[:, 1] = np.linspace(-1e30, 1e30, 80), np.arange(80) % 5
    torch.testing.assert_close(network(as_rows(changed)), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_sizes": (8, 0)}, "module__hidden_sizes"),
        ({"activation": "swish"}, "module__activation='swish' must be one of"),
        ({"dropout": 1.0}, "module__dropout"),
        ({"n_channels": -1}, "module__n_channels must be 'auto' or an integer"),
        ({"n_waves": "many"}, "module__n_waves must be 'auto' or an integer"),
        ({"n_bins": 0}, "module__n_bins must be 'auto' or an integer of at least 1"),
        ({"clip": 0.0}, "module__clip must be positive"),
        ({"n_categories": (0, 3)}, "n_categories must hold one number of codes"),
    ],
)
def test_tabular_rejects(params, message):
    with pytest.raises(ValueError, match=message):
        TabularMLP(3, 2, **params)


# -- the first look --------------------------------------------------------------------


def test_tabular_member_does_not_know_the_classes_of_its_fold(mixed):
    """Its gates and everything else at the start, to the last bit."""
    X, y = mixed
    folds = np.arange(80) % 3
    before = network_of(X, y, n_categories=SIZES, folds=folds).state_dict()
    for j in range(3):
        changed = np.where(folds == j, (y + 1) % 3, y)
        after = network_of(X, changed, n_categories=SIZES, folds=folds).state_dict()
        for name, value in after.items():
            same = value == before[name]
            if name in ("number_gate", "indicator_gate"):
                assert same[j].all()
                assert not same[(j + 1) % 3].all()
            else:
                assert same.all(), name


def test_tabular_gates_follow_what_columns_tell(rng):
    y = (rng.random(1000) < 0.2).astype(int)
    X = rng.normal(size=(1000, 3))
    X[:, 1] += 3 * y
    X[:, 2] = 7.0
    gates = network_of(X, y, n_members=2).number_gate
    torch.testing.assert_close(gates.square().mean(1), torch.ones(2).double())
    assert (gates[:, 0] < 0.2 * gates[:, 1]).all()
    assert (gates[:, 2] == 0).all()


@pytest.mark.parametrize("unit", [1e-4, 50.0])
def test_tabular_gates_do_not_depend_on_the_unit_of_weights(unit, mixed):
    X, y = mixed
    networks = [network_of(X, y, n_categories=SIZES) for _ in range(2)]
    networks[1].initialize_from(X, y, np.full(80, unit))
    for name in ("number_gate", "indicator_gate"):
        a, b = (getattr(network, name) for network in networks)
        torch.testing.assert_close(a, b)


def test_gates_are_equal_where_nothing_tells():
    gates = gates_from(np.zeros((2, 4)), np.array([False, True, False, False]))
    assert (gates[:, 1] == 0).all()
    np.testing.assert_allclose(np.square(gates).mean(1), 1)
    assert len(np.unique(gates)) == 2


def test_gates_of_constant_columns_alone_are_zero():
    assert (gates_from(np.zeros((2, 3)), np.ones(3, bool)) == 0).all()


def test_tabular_looks_at_sparse_rows_as_at_dense_ones(rng):
    X, y = rng.integers(0, 3, (60, 4)).astype(np.float32), rng.integers(0, 2, 60)
    dense = network_of(X, y, n_categories=SIZES)
    of_sparse = network_of(sparse.csr_array(X), y, n_categories=SIZES)
    for name, value in dense.state_dict().items():
        assert torch.equal(value, of_sparse.state_dict()[name]), name


def test_tabular_takes_edges_in_float64(rng):
    """Of seconds on a clock, which float32 takes for one and the same."""
    X, y = 1.7e9 + rng.random((200, 1)), rng.integers(0, 2, 200)
    network = network_of(X, y, n_members=1)
    z = network.prepare(as_rows(X))[:, 1:]
    assert (network.input.encoding.inverse_width > 0).all()
    assert len(z.unique(dim=0)) == 200


def test_tabular_starts_at_the_given_output(mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES)
    start = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    network.initialize_output(start)
    assert (network.output.bias == start).all()
    cosines = network_of(X, y, n_categories=SIZES, normalize_output=True)
    before = cosines(as_rows(X[:1]).nan_to_num()).detach()
    cosines.eval().initialize_output(start)
    assert (cosines(as_rows(X)).abs() <= 1 + 1e-9).all()
    assert before.shape == (1, 3, 3)


# -- parameters ------------------------------------------------------------------------


@pytest.mark.parametrize("normalize_output", [False, True])
@pytest.mark.parametrize("n_members", [1, 3])
def test_tabular_groups_hold_every_parameter_once(normalize_output, n_members):
    network = TabularMLP(
        4,
        3,
        n_members=n_members,
        n_categories=SIZES,
        normalize_output=normalize_output,
    )
    groups = network.parameter_groups()
    grouped = [id(p) for group in groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in network.parameters()}
    decaying = {id(p) for group in groups if group["decays"] for p in group["params"]}
    weights = [p for name, p in network.named_parameters() if name.endswith("weight")]
    assert decaying == {id(p) for p in weights}


def test_tabular_state_and_pickle_give_the_same_logits(mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES).eval()
    other = network_of(X[::-1].copy(), 2 - y, n_categories=SIZES).eval()
    other.load_state_dict(network.state_dict())
    logits = network(as_rows(X))
    for again in (other, pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert torch.equal(again(as_rows(X)), logits)


def test_tabular_compiles(mixed):
    """With a backend that has no code to generate."""
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES, dropout=0.0)
    compiled = torch.compile(network, backend="aot_eager")
    gradients = []
    for forward in (network, compiled):
        network.zero_grad()
        forward(as_rows(X)).square().sum().backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    torch.testing.assert_close(*gradients)


def test_tabular_can_be_exported_for_any_number_of_rows(mixed):
    X, y = mixed
    network = network_of(X, y, n_categories=SIZES, dtype=torch.float32).eval()
    x = as_rows(X, torch.float32)
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(network, (x,), dynamic_shapes=((batch, None),))
    for rows in (x, x[:7]):
        torch.testing.assert_close(program.module()(rows), network(rows))


# -- rows that members share -----------------------------------------------------------

PLACE = Place(torch.float64, torch.device("cpu"))


def row_sets(X, y, weight, folds, factors):
    """The same training as shared rows, and as rows of the members' own."""
    rows, n_members = Rows(X, y, weight), len(factors[0])
    own = [np.flatnonzero(folds != j) for j in range(n_members)]
    order = Shuffle(len(y), np.random.default_rng(0))
    shared = SharedFeed(rows, PLACE, factors, folds, order)
    return shared, MemberFeed(rows, PLACE, factors, own, orders=None)


def gradient_of_one_batch(network, rows):
    network.zero_grad()
    batches = list(TensorBatches(rows, 10_000))
    assert len(batches) == 1
    X, y, weight = batches[0]
    logits = network(X)
    losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
    (losses.unflatten(0, y.shape) * weight).mean(0).sum().backward()
    parameters = network.named_parameters()
    return {name: p.grad.clone() for name, p in parameters if p.grad is not None}


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("is_deferred", [False, True])
def test_shared_rows_give_the_gradient_of_members_own_rows(container, is_deferred, rng):
    """Over an epoch of one batch, with sample weights, class weights, deferred ones."""
    X, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    X[rng.random(X.shape) < 0.3] = 0.0
    folds = stratified_folds(y, 3, rng)
    network = network_of(X, y, dropout=0.0)
    factors = [rng.random((3, 3)) + 0.5 for _ in range(1 + is_deferred)]
    sets = row_sets(container(X), y, rng.random(60), folds, factors)
    for is_used in (False, True):
        gradients = []
        for rows in sets:
            rows.use_class_weights(is_used)
            gradients.append(gradient_of_one_batch(network, rows))
        for name, gradient in gradients[0].items():
            torch.testing.assert_close(gradient, gradients[1][name])


def test_shared_rows_give_what_weighs_for_each_member(rng):
    X, y = rng.normal(size=(50, 2)), rng.integers(0, 2, 50)
    index = rng.permutation(50)[:30]
    weight, folds = rng.random(50), np.arange(30) % 3
    early, factors = rng.random((3, 2)), rng.random((3, 2))
    rows = SharedFeed(
        Rows(X, y, weight, index), PLACE, [early, factors], folds, Shuffle(30, rng)
    )
    positions = torch.tensor(rng.permutation(30))
    for is_used, used in ((True, factors), (False, early), (True, factors)):
        rows.use_class_weights(is_used)
        features, codes, weights = rows.take(positions)
        table = index[positions.numpy()]
        np.testing.assert_array_equal(features, X[table])
        assert codes.shape == weights.shape == (30, 3)
        assert (codes.numpy() == y[table][:, None]).all()
        is_own = folds[positions.numpy()][:, None] != np.arange(3)
        expected = weight[table][:, None] * used.T[y[table]] * is_own * 30 / 20
        np.testing.assert_allclose(weights, expected)


def test_shared_rows_without_folds_weigh_for_all_members(rng):
    X, y = rng.normal(size=(20, 2)), rng.integers(0, 2, 20)
    order = Shuffle(20, rng)
    rows = SharedFeed(Rows(X, y), PLACE, [np.ones((4, 2))], folds=None, order=order)
    _, codes, weight = rows.take(slice(None))
    assert codes.shape == (20, 4)
    assert (weight == 1).all()


def test_shared_rows_go_through_every_row_once_an_epoch(rng):
    X, y = np.arange(50.0)[:, None], rng.integers(0, 2, 50)
    rows, _ = row_sets(X, y, np.ones(50), np.arange(50) % 3, [np.ones((3, 2))])
    epochs = [torch.cat([X for X, _, _ in TensorBatches(rows, 16)]) for _ in range(2)]
    assert all(
        torch.equal(epoch.sort(dim=0).values, torch.tensor(X)) for epoch in epochs
    )
    assert not torch.equal(*epochs)


# -- the estimator ---------------------------------------------------------------------


def default(**params):
    return BalancedNeuralClassifier(random_state=0, **params)


def test_out_of_fold_probabilities_of_noise_score_at_prevalence(rng):
    """Of columns that tell nothing, neither bins nor gates nor the best epoch leak."""
    precisions = []
    for seed in range(3):
        noise = np.random.default_rng(seed)
        X, y = noise.normal(size=(600, 8)), np.arange(600) % 10 == 0
        clf = default(max_epochs=8, module__hidden_sizes=(16,)).fit(X, y)
        precisions.append(average_precision_score(y, clf.oof_proba_[:, 1]))
    # by chance 0.12 in the mean, with a deviation of about 0.02 a set
    assert np.mean(precisions) < 0.15


def test_default_takes_a_table_of_categories_alone(rng):
    X = rng.integers(0, 4, (300, 3))
    y = (X[:, 0] == 1) & (X[:, 1] == 2)
    clf = default(categorical_features=[0, 1, 2], max_epochs=15).fit(X, y)
    assert average_precision_score(y, clf.oof_proba_[:, 1]) > 0.9


def test_default_members_share_batches(rare):
    X, y = rare
    clf = default(max_epochs=1, n_members=3).fit(X, y)
    assert clf.module_.shares_batches
    assert clf.module_.n_members == 3
    assert clf.oof_proba_.shape == (600, 2)


def test_default_ends_in_cosines_for_ldam(rare):
    X, y = rare
    clf = default(loss="ldam", max_epochs=2, n_members=2).fit(X, y)
    logits = clf.net_.infer(torch.tensor(X[:50], dtype=torch.float32))
    assert logits.abs().max() <= 1 + 1e-5
    assert np.isfinite(clf.predict_proba(X)).all()


def test_default_gives_the_same_bits_again(rare):
    X, y = rare
    first, again = (default(max_epochs=2, n_members=3).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(first.oof_proba_, again.oof_proba_)
