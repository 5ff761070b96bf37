"""Device, threads, seeds, and back on failure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from imbalnet.runtime import (
    resolve_device,
    restored_on_failure,
    seeded_torch,
    spawn_seeds,
    torch_threads,
)


def test_auto_device_prefers_a_gpu_where_its_dtype_exists(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "mps"
    assert resolve_device("auto", torch.float64).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto", torch.float64).type == "cuda"


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_device_may_be_named(device):
    assert resolve_device(device) == torch.device("cpu")


def test_seeds_differ_and_repeat():
    seeds = spawn_seeds(0, 4)
    assert len(set(seeds)) == 4
    assert seeds == spawn_seeds(0, 4)
    assert seeds != spawn_seeds(0, 4, step=1)
    assert spawn_seeds(None, 4) != spawn_seeds(None, 4)


def test_seeds_of_an_instance_go_on():
    rng = np.random.RandomState(0)
    assert spawn_seeds(rng, 2) != spawn_seeds(rng, 2)


def test_seeded_torch_repeats_and_restores():
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded_torch(3, torch.device("cpu")):
            draws.append(torch.rand(3))
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_threads_and_attributes_come_back_after_an_error(error):
    estimator, before = BaseEstimator(), torch.get_num_threads()
    estimator.kept_ = 1

    def fail():
        with restored_on_failure(estimator), torch_threads(3):
            estimator.kept_, estimator.new_ = 2, 3
            raise error

    with pytest.raises(error):
        fail()
    assert vars(estimator) == {"kept_": 1}
    assert torch.get_num_threads() == before
