"""The contract of networks, and plain modules seen through it."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from imbalnet.networks import (
    MLP,
    NETWORKS,
    LinearModel,
    Members,
    Network,
    as_logits,
    is_split,
    network_of,
)

HAS_TABM = find_spec("tabm") is not None
BUILT_IN = [name for name in NETWORKS if name != "tabm" or HAS_TABM]
X, Y, WEIGHT = np.zeros((6, 3)), np.arange(6) % 2, np.ones(6)


class Plain(nn.Module):
    """What a user writes who does not know of the contract."""

    def __init__(self, in_features=3, out_features=2, width=4):
        super().__init__()
        self.first = nn.Linear(in_features, width)
        self.last = nn.Linear(width, out_features)

    def forward(self, x):
        return self.last(self.first(x).tanh())


class Hooked(Plain):
    """Has all that the contract knows."""

    accepts_missing = shares_batches = members_share_rows = True
    prepared_width = 7

    def initialize_from(self, X, y, sample_weight):
        self.seen = "first"

    def update_from(self, X, y, sample_weight):
        self.seen = "later"

    def initialize_output(self, logits):
        self.start = logits

    def parameter_groups(self):
        return [{"params": list(self.parameters()), "rate": 3.0, "decays": False}]


class Folded(Plain):
    """Asks for the folds."""

    def initialize_from(self, X, y, sample_weight, folds):
        self.folds = folds


class Split(Plain):
    """Has two parts, as a plain module may."""

    def prepare(self, x):
        return x.sign()

    def body(self, z):
        return super().forward(z)

    def forward(self, x):
        return self.body(self.prepare(x))


class OwnBody(Network):
    """A network that defines no more than it must."""

    def __init__(self, in_features=3, out_features=2):
        super().__init__()
        self.layer = nn.Linear(in_features, out_features)

    def body(self, z):
        return self.layer(z).unsqueeze(1)


class OwnForward(MLP):
    """Changes the forward pass of a network in parts."""

    def forward(self, x):
        return -super().forward(x)


class Compiled(nn.Module):
    """Wraps a module as torch.compile does."""

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module


FACTORIES = {
    **{name: NETWORKS[name] for name in BUILT_IN},
    "members": partial(Members, module=LinearModel, n_members=4),
    "members of plain modules": partial(Members, module=Plain, n_members=4),
    "members in parts": partial(Members, module=Split, n_members=4),
    "own": OwnBody,
}


@pytest.fixture(params=FACTORIES.values(), ids=FACTORIES)
def network(request):
    """One of each kind, with three columns and two classes."""
    torch.manual_seed(0)
    return request.param(3, 2).eval()


# -- every network ---------------------------------------------------------------------


def test_network_gives_members_an_axis(network):
    x = torch.randn(5, 3)
    logits = network(x)
    assert logits.shape[::2] == (5, 2)
    assert logits.ndim == 3
    body = as_logits(network.body(network.prepare(x)))
    torch.testing.assert_close(body, logits)
    assert as_logits(logits) is logits
    assert is_split(network) != isinstance(network, LinearModel)
    assert network_of(network) is network
    assert network_of(Compiled(network)) is network


def test_network_groups_every_parameter_once(network):
    grouped = [p for group in network.parameter_groups() for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in network.parameters()}
    assert len(grouped) == len(list(network.parameters()))


def test_network_can_be_exported_for_any_number_of_rows(network):
    x = torch.randn(6, 3)
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(network, (x,), dynamic_shapes=((batch, None),))
    for rows in (x, x[:4]):
        torch.testing.assert_close(program.module()(rows), network(rows))


def test_network_has_defaults():
    network = OwnBody()
    x, before = torch.randn(5, 3), copy.deepcopy(network.state_dict())
    assert not network.accepts_missing
    assert not network.shares_batches
    assert not network.members_share_rows
    assert network.prepared_width == 0
    assert network.prepare(x) is x
    network.initialize_from(X, Y, WEIGHT, folds=Y)
    network.update_from(X, Y, WEIGHT)
    network.initialize_output(torch.ones(2))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    matrices, others = network.parameter_groups()
    assert matrices == {"params": [network.layer.weight], "rate": 1, "decays": True}
    assert others == {"params": [network.layer.bias], "rate": 1, "decays": False}


def test_network_without_a_body_is_named():
    with pytest.raises(NotImplementedError, match="Network does not define body"):
        Network()(torch.ones(2, 3))


def test_members_join_groups_of_equal_rate_and_decay():
    members = Members(3, 2, module=Hooked, n_members=3)
    (group,) = members.parameter_groups()
    assert (group["rate"], group["decays"]) == (3.0, False)
    plain = Members(3, 2, module=Plain, n_members=3)
    assert [len(group["params"]) for group in plain.parameter_groups()] == [6, 6]


def test_members_give_each_member_the_rows_outside_its_fold():
    seen = []

    class Records(Plain):
        def initialize_from(self, X, y, sample_weight):
            seen.append(X[:, 0].tolist())

    table = np.arange(6.0)[:, None]
    members = Members(1, 2, module=Records, n_members=2)
    members.initialize_from(table, Y, WEIGHT, Y)
    members.initialize_from(table, Y, WEIGHT)
    members.update_from(table, Y, WEIGHT)  # which these do not have
    assert seen == [[1, 3, 5], [0, 2, 4], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]


def test_members_run_the_hooks_of_their_members():
    members, calls = Members(3, 2, module=MLP, n_members=2), []
    members.members[1].register_forward_hook(lambda *args: calls.append(args))
    members(torch.ones(5, 3))
    assert len(calls) == 1


# -- as_logits -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 1, 2), (5, 3, 2), (5, 3, 4)])
def test_as_logits_passes_what_has_the_shape(shape):
    output = torch.randn(shape)
    assert as_logits(output) is output


def test_as_logits_gives_a_single_member_its_axis():
    output = torch.randn(5, 3)
    assert torch.equal(as_logits(output), output[:, None])


@pytest.mark.parametrize("members", [(), (1,), (3,)])
def test_as_logits_takes_one_column_for_the_second_class(members):
    output = torch.randn(5, *members, 1)
    logits = as_logits(output)
    assert logits.shape == (5, *(members or (1,)), 2)
    assert (logits[..., 0] == 0).all()
    assert torch.equal(logits[..., 1:], output.reshape(logits[..., 1:].shape))


# -- plain modules ---------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda module: module, Compiled])
def test_plain_module_has_the_defaults(wrap):
    module = Plain(out_features=1)
    network, x = network_of(wrap(module)), torch.randn(5, 3)
    assert not isinstance(network, nn.Module)
    assert not network.accepts_missing
    assert not network.shares_batches
    assert not network.members_share_rows
    assert network.prepared_width == 0
    assert network.prepare(x) is x
    assert torch.equal(network(x), as_logits(module(x)))
    assert torch.equal(network.body(x), network(x))
    before = copy.deepcopy(module.state_dict())
    network.initialize_from(X, Y, WEIGHT, folds=Y)
    network.update_from(X, Y, WEIGHT)
    network.initialize_output(torch.ones(2))
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    with pytest.raises(AttributeError, match="no attribute 'width'"):
        _ = network.width


def test_plain_module_is_asked_first():
    module = Hooked()
    network, start = network_of(module), torch.ones(2)
    assert network.accepts_missing
    assert network.shares_batches
    assert network.members_share_rows
    assert network.prepared_width == 7
    network.initialize_from(X, Y, WEIGHT, folds=Y)  # which it does not accept
    assert module.seen == "first"
    network.update_from(X, Y, WEIGHT)
    assert module.seen == "later"
    network.initialize_output(start)
    assert module.start is start
    assert network.parameter_groups()[0]["rate"] == 3.0


@pytest.mark.parametrize("folds", [None, Y])
def test_plain_module_gets_the_folds_that_it_accepts(folds):
    module = Folded()
    network_of(module).initialize_from(X, Y, WEIGHT, folds=folds)
    assert module.folds is folds


@pytest.mark.parametrize("has_member_axis", [False, True])
def test_plain_module_decays_its_matrices(has_member_axis):
    """With an axis for members, a matrix has three."""
    module = Plain()
    module.each = nn.Parameter(torch.ones(2, 3, 4))
    groups = network_of(module, has_member_axis).parameter_groups()
    ndims = [{p.ndim for p in group["params"]} for group in groups]
    assert ndims == ([{3}, {1, 2}] if has_member_axis else [{2, 3}, {1}])
    assert [group["decays"] for group in groups] == [True, False]


def test_plain_module_in_parts_prepares():
    network, x = network_of(Split()), torch.randn(5, 3)
    assert torch.equal(network.prepare(x), x.sign())
    assert torch.equal(network.body(x.sign()), network(x))


def test_plain_module_is_seen_the_same_after_pickling():
    network, x = network_of(Hooked()), torch.randn(5, 3)
    for again in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert torch.equal(again(x), network(x))
        assert again.prepared_width == 7


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (MLP(3, 2), True),
        (OwnBody(), True),
        (OwnForward(3, 2), False),
        (Split(), True),
        (Plain(), False),
        (nn.Linear(3, 2), False),
        (type("OwnBodyAlone", (Split,), {"body": lambda self, z: z})(), False),
        (type("OtherFirst", (MLP,), {"prepare": lambda self, x: x})(3, 2), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_is_split_where_forward_is_body_of_prepare(module, expected):
    assert is_split(module) == expected
