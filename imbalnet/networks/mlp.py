"""A multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet._parameters import ActivationName
from imbalnet.networks._checks import (
    check_constant,
    check_dropout,
    check_flags,
    check_layers,
    check_sizes,
    check_table,
)
from imbalnet.networks.base import Network
from imbalnet.networks.layers.cosine import CosineLinear
from imbalnet.networks.layers.mixed import InputLayer, input_layer, with_gaps

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class MLP(Network):
    """A multilayer perceptron on standardised columns.

    Missing numbers are replaced by the column's mean. If at least five rows lack a
    column, an indicator of its gaps is added. A categorical column becomes one
    column for each level with at least five rows, see :class:`OneHot`; there are at
    most 4,096 such columns.

    **Shape**

    - input: ``(batch, in_features)``
    - output: ``(batch, 1, out_features)``

    Parameters
    ----------
    in_features, out_features : int
        Numbers of columns and of classes.
    n_categories : sequence of int or None, default=None
        For each column its number of category codes, or 0 for numbers. None means
        numbers only.
    hidden_sizes : sequence of int, default=(256, 256)
        Width of each hidden layer.
    activation : {"relu", "gelu", "silu", "tanh"}, default="relu"
        Nonlinearity of the hidden layers.
    dropout : float, default=0.0
        Share of hidden units that training drops, in [0, 1).
    standardize : bool, default=True
        Whether to standardise the columns first.
    clip : float, True or None, default=3.0
        Bound of the standardised values, see :class:`Standardize`; None means no bound.
        True is 3.0, and makes the classifier accept infinite values.
    normalize_output : bool, default=False
        Whether the outputs are cosines, see :class:`CosineLinear`; ``loss="ldam"``
        switches it on.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import MLP
    >>> MLP(3, 2, hidden_sizes=(8,))(torch.ones(5, 3)).shape
    torch.Size([5, 1, 2])
    """

    accepts_missing = True
    merges_rare_levels = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_categories: Sequence[int] | None = None,
        hidden_sizes: Sequence[int] = (256, 256),
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        standardize: bool = True,
        clip: float | bool | None = 3.0,
        normalize_output: bool = False,
    ) -> None:
        check_sizes(in_features=in_features, out_features=out_features)
        check_layers(hidden_sizes, activation, list(ACTIVATIONS))
        check_dropout(dropout=dropout)
        check_flags(standardize=standardize, normalize_output=normalize_output)
        super().__init__()
        self.input: Any = input_layer(
            in_features, n_categories, standardize=standardize, clip=clip
        )
        self.hidden = nn.Sequential()
        width = self.input.out_features
        for size in hidden_sizes:
            self.hidden.append(nn.Linear(width, size))
            self.hidden.append(ACTIVATIONS[activation]())
            if dropout > 0:
                self.hidden.append(nn.Dropout(dropout))
            width = size
        last_layer: Any = CosineLinear if normalize_output else nn.Linear
        self.output = last_layer(width, out_features)

    def prepare(self, x: Tensor) -> Tensor:
        """Standardise numbers and encode categories."""
        return self.input(x)

    @property
    def prepared_width(self) -> int:  # type: ignore[override]
        """Number of values of a prepared row."""
        return getattr(self.input, "out_features", 0)

    def body(self, z: Tensor) -> Tensor:
        """Compute the logits of prepared rows."""
        return self.output(self.hidden(z))

    @torch.no_grad()
    def initialize_from(
        self, X: Any, y: NDArray, sample_weight: NDArray, folds: NDArray | None = None
    ) -> None:
        """Compute mean, scale and frequent levels of the columns.

        Constant columns start with weight 0, so that they have no effect unless they
        vary in training. A first layer of another kind is left as it is.
        """
        del folds  # a single member holds out nothing
        if not isinstance(self.input, InputLayer):
            return
        check_table(X, sample_weight, self.input.in_features)
        self.input = with_gaps(self.input, X)
        self.input.initialize_from(X, y, sample_weight)
        if self.input.out_features != self._first.weight.shape[1]:
            self._widen_first(self.input.out_features)
        self._first.weight[:, self.input.is_constant] = 0.0

    @property
    def _first(self) -> Any:
        return self.hidden[0] if len(self.hidden) else self.output

    def _widen_first(self, width: int) -> None:
        """Replace the first layer by one of `width` inputs, with new random weights."""
        old = self._first
        new = type(old)(width, old.weight.shape[0]).to(old.weight)
        if len(self.hidden):
            self.hidden[0] = new
        else:
            self.output = new

    def update_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Merge further rows into the columns' mean and scale."""
        if isinstance(self.input, InputLayer):
            self.input.update_from(X, y, sample_weight)

    @torch.no_grad()
    def initialize_output(self, logits: Tensor) -> None:
        """Set the bias to `logits`, of shape (out_features,); cosines have none."""
        if isinstance(self.output, nn.Linear):
            check_constant(logits, len(self.output.bias))
            self.output.bias.copy_(logits)

    @torch.no_grad()
    def shift_output(self, logits: Tensor) -> None:
        """Add `logits`, of shape (out_features,), to the bias; cosines have none."""
        if isinstance(self.output, nn.Linear):
            check_constant(logits, len(self.output.bias))
            self.output.bias.add_(logits)
