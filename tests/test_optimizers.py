"""Optimisers by name: torch's own, without its compiler."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from imbalnet._optimizers import OPTIMIZERS

THEIRS = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "lbfgs": lambda p: torch.optim.LBFGS(
        p,
        lr=0.1,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
    ),
}


def trained(factory, n_steps=5):
    torch.manual_seed(0)
    layer, x = nn.Linear(4, 3), torch.randn(50, 4)
    y = torch.randint(3, (50,))
    optimizer = factory(layer.parameters())

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(x), y)
        loss.backward()
        return loss

    for _ in range(n_steps):
        optimizer.step(closure)
    return layer, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_take_torchs_steps(name):
    ours, optimizer = trained(lambda p: OPTIMIZERS[name](p, lr=0.1))
    theirs, reference = trained(THEIRS[name])
    assert isinstance(optimizer, type(reference))
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]
)
def test_optimizers_are_copied_with_their_state(name, copied):
    _, optimizer = trained(lambda p: OPTIMIZERS[name](p, lr=0.1))
    other = copied(optimizer)
    assert type(other) is type(optimizer)
    before, after = optimizer.state_dict(), other.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert after["state"].keys() == before["state"].keys()


def test_gradients_flow_through_a_differentiable_step():
    weight = torch.ones(3, requires_grad=True)
    moving = weight.clone()
    moving.grad = weight * 2
    params = {"lr": 0.1, "momentum": 0.0, "differentiable": True}
    OPTIMIZERS["sgd"]([moving], **params).step()
    moving.sum().backward()
    assert torch.equal(weight.grad, torch.full((3,), 0.8))


def test_fit_does_not_import_what_it_does_not_need():
    """torch's compiler takes longer to import than the fit of a small table."""
    code = """
import sys
import numpy as np
from imbalnet import BalancedNeuralClassifier
X, y = np.arange(200.0).reshape(100, 2) % 7, np.arange(100) % 5 == 0
BalancedNeuralClassifier(max_epochs=1, random_state=0).fit(X, y).predict_proba(X)
needless = {"torch._dynamo", "sklearn.ensemble", "imblearn", "matplotlib", "onnx"}
assert not needless & set(sys.modules), needless & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
