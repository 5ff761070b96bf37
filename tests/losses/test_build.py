"""Torch criteria as losses: how they are built, and what counts as class weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from imbalnet.losses._build import build_loss

LOGITS, TARGET = torch.tensor([[0.0, 1.0], [2.0, 0.5]]), torch.tensor([1, 0])


class Own(nn.CrossEntropyLoss):
    """A cross entropy whose attribute ``weight`` is what it is told to be."""

    def __init__(self, own_weight, reduction="none"):
        super().__init__(reduction=reduction)
        del self.weight
        self.weight = own_weight

    def forward(self, logits, target):
        return nn.functional.cross_entropy(logits, target, reduction="none")


@pytest.mark.parametrize(
    "weight",
    [3.0, "none", None, [1.0, 2.0], torch.tensor(3.0), torch.ones(3), torch.ones(1, 2)],
    ids=["float", "str", "None", "list", "scalar", "other classes", "matrix"],
)
def test_only_tensors_of_the_classes_count_as_class_weights(weight):
    loss = build_loss(Own, {"own_weight": weight}, 2)
    assert loss.class_factors(2).tolist() == [1.0, 1.0]
    torch.testing.assert_close(loss.log_posterior(LOGITS), LOGITS.log_softmax(-1))


def test_a_tensor_of_the_classes_counts_as_class_weights():
    loss = build_loss(Own, {"own_weight": torch.tensor([1.0, 3.0])}, 2)
    assert loss.class_factors(2).tolist() == [1.0, 3.0]


def test_a_module_whose_weight_is_a_number_is_a_loss():
    class Scaled(nn.Module):
        def __init__(self, reduction="mean", weight=2.0):
            super().__init__()
            self.weight = weight

        def forward(self, logits, target):
            return self.weight * nn.functional.cross_entropy(
                logits, target, reduction="none"
            )

    loss = build_loss(Scaled, {"weight": 0.5}, 2)
    assert loss.class_factors(2).tolist() == [1.0, 1.0]
    expected = 0.5 * nn.functional.cross_entropy(LOGITS, TARGET, reduction="none")
    torch.testing.assert_close(loss(LOGITS, TARGET), expected)


@pytest.mark.parametrize("weight", [[1.0, 2.0], np.array([1.0, 2.0]), 3.0])
@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.MultiMarginLoss])
def test_weights_that_are_no_tensor_are_named_with_the_cure(criterion, weight):
    message = (
        rf"loss={criterion.__name__} could not be built with reduction='none', "
        r"loss__weight=.*: cannot assign .* Give weights as a tensor, such as torch\."
    )
    with pytest.raises(ValueError, match=message) as raised:
        build_loss(criterion, {"weight": weight}, 2)
    assert "must support" not in str(raised.value)


def test_a_module_that_takes_no_target_is_named():
    with pytest.raises(ValueError, match=r"loss=Linear must take .* 2 positional arg"):
        build_loss(nn.Linear, {"in_features": 2, "out_features": 2}, 2)


def test_what_a_criterion_says_of_its_parameters_is_passed_on():
    message = r"built with reduction='none', loss__p=3: only p == 1 and p == 2"
    with pytest.raises(ValueError, match=message) as raised:
        build_loss(nn.MultiMarginLoss, {"p": 3}, 2)
    assert "tensor" not in str(raised.value)
