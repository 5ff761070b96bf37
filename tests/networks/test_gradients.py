"""Gradients with respect to the input, which attributions need."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from imbalnet.networks import NETWORKS

CONFIGURATIONS = [
    pytest.param(name, params, id="-".join([name, *params]))
    for name, network in NETWORKS.items()
    for params in ({}, {"normalize_output": True}, {"clip": None})
    if set(params) <= set(inspect.signature(network).parameters)
    and not (name in ("tabular", "tabm") and "clip" in params)
]
N_NUMBERS = 3


@pytest.fixture
def table(rng):
    """Numbers with gaps, one of them heavy-tailed, categories, and two values."""
    X = rng.normal(size=(150, 5))
    X[:, 0] = rng.standard_cauchy(150) ** 3
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 3], X[:, 4] = rng.integers(0, 4, 150), rng.integers(0, 2, 150)
    return X


@pytest.mark.parametrize(("name", "params"), CONFIGURATIONS)
def test_network_is_differentiable_in_its_input(name, params, table, rng):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS[name](5, 3, n_categories=[0, 0, 0, 4, 0], **params)
        y = rng.integers(0, 3, len(table))
        network.initialize_from(table, y, np.ones(len(table)))
        network = network.double().eval()
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    # between the values of training rows, at which bins begin
    some = table[:10] + 0.01 * rng.random((10, 5)) * [1, 1, 1, 0, 0]
    rest = torch.from_numpy(some[:, N_NUMBERS:])
    numbers = torch.from_numpy(some[:, :N_NUMBERS]).requires_grad_()

    def logits(numbers):
        return network(torch.cat([numbers, rest], dim=1))

    gaps = numbers.isnan()
    assert gaps.any()
    filled = torch.where(gaps, 0.123, numbers).detach().requires_grad_()
    assert torch.autograd.gradcheck(logits, (filled,))
    (gradient,) = torch.autograd.grad(logits(numbers).sum(), numbers)
    assert not gradient[gaps].any()
    assert gradient.isfinite().all()
