"""A linear model: logistic regression, when trained with the cross entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet.networks.layers.categories import input_layer


class LinearModel(nn.Module):
    """Logits that are linear in the features.

    Two classes have one set of coefficients, as in scikit-learn; the logit of the
    negative class is 0. Missing numbers are taken for the column's mean; a column of
    categories becomes one column for each frequent level, see :class:`OneHot`.

    **Shape**

    - input: ``(batch, in_features)``
    - output: ``(batch, out_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.
    out_features : int
        Number of classes.
    n_categories : sequence of int or None, default=None
        One for each column: 0 for numbers, else the number of codes that stand for
        categories. None is numbers alone.
    standardize : bool, default=True
        Standardise the columns first. The penalty then acts on the coefficients of
        the standardised columns.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import LinearModel
    >>> LinearModel(3, 2)(torch.ones(5, 3)).shape
    torch.Size([5, 2])
    """

    accepts_missing = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_categories: Sequence[int] | None = None,
        standardize: bool = True,
    ) -> None:
        super().__init__()
        self.input = input_layer(in_features, n_categories, standardize=standardize)
        n_logits = 1 if out_features == 2 else out_features
        self.output = nn.Linear(self.input.out_features, n_logits)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start at zero, as a convex problem may."""
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of a batch."""
        logits = self.output(self.input(x))
        return F.pad(logits, (1, 0)) if logits.shape[-1] == 1 else logits

    def initialize_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Take the columns' mean, scale and frequent levels from the training rows."""
        self.input.initialize_from(X, y, sample_weight)

    def update_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Merge further rows into the columns' mean and scale."""
        self.input.update_from(X, y, sample_weight)

    @torch.no_grad()
    def initialize_output(self, logits: Tensor) -> None:
        """Start at `logits`, of shape (out_features,), whatever the features."""
        single = len(self.output.bias) == 1
        self.output.bias.copy_(logits[1:] - logits[:1] if single else logits)

    @torch.no_grad()
    def coefficients(self) -> tuple[NDArray, NDArray]:
        """Give coefficients and intercepts for raw columns.

        With categories, the columns are those behind the first layer: the numbers in
        their order, then one column for each frequent level.

        Returns
        -------
        coef : ndarray of shape (1, n_encoded) or (n_classes, n_encoded)
            Without categories ``n_encoded`` is ``in_features``.
        intercept : ndarray of shape (1,) or (n_classes,)
        """
        weight, bias = self.output.weight.double(), self.output.bias.double()
        shift, scale = self.input.shift_and_scale()
        weight = weight / scale
        bias = bias - weight @ shift.double()
        return weight.cpu().numpy(), bias.cpu().numpy()
