"""A linear model: logistic regression, if trained with the cross entropy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet.networks._checks import check_constant, check_sizes
from imbalnet.networks.base import as_logits
from imbalnet.networks.layers.standardize import Standardize
from imbalnet.networks.mlp import MLP


class LinearModel(MLP):
    """Logits that are linear in the features.

    For two classes there is one set of coefficients, as in scikit-learn; the logit of
    the negative class is 0. Gaps and categories become columns as in :class:`MLP`.

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
    standardize : bool, default=True
        Whether to standardise the columns first. The penalty then acts on the
        coefficients of the standardised columns.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import LinearModel
    >>> LinearModel(3, 2)(torch.ones(5, 3)).shape
    torch.Size([5, 1, 2])
    """

    merges_rare_levels = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_categories: Sequence[int] | None = None,
        standardize: bool = True,
    ) -> None:
        check_sizes(in_features=in_features, out_features=out_features)
        super().__init__(
            in_features,
            1 if out_features == 2 else out_features,
            n_categories=n_categories,
            hidden_sizes=(),
            standardize=standardize,
            clip=None,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start at zero; the problem is convex."""
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def _widen_first(self, width: int) -> None:
        super()._widen_first(width)
        self.reset_parameters()

    @property
    def multiplies_sparse(self) -> bool:  # type: ignore[override]
        """Whether all columns are numbers: rows may then be a sparse tensor."""
        return isinstance(self.input, Standardize)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch.

        A sparse tensor is multiplied by the coefficients for raw columns. `forward` is
        overridden so that :func:`is_split` is False and training does not standardise
        whole blocks of batches: the last bits would depend on where in a block a batch
        begins.
        """
        if getattr(x, "is_sparse", False):
            weight, bias = self._raw_coefficients()
            return as_logits(x @ weight.t() + bias)
        return as_logits(self.body(self.prepare(x)))

    def _raw_coefficients(self) -> tuple[Tensor, Tensor]:
        shift, scale = self.input.shift_and_scale()
        weight = (self.output.weight / scale).masked_fill(self.input.is_constant, 0.0)
        return weight, self.output.bias - weight @ shift

    def initialize_output(self, logits: Tensor) -> None:
        """Set the bias to `logits`, of shape (out_features,)."""
        super().initialize_output(self._for_each_output(logits))

    def shift_output(self, logits: Tensor) -> None:
        """Add `logits`, of shape (out_features,), to the bias."""
        super().shift_output(self._for_each_output(logits))

    def _for_each_output(self, logits: Tensor) -> Tensor:
        """Return a logit for each output; for two classes that is the difference."""
        n_outputs = len(self.output.bias)
        check_constant(logits, max(n_outputs, 2))
        return logits[1:] - logits[:1] if n_outputs == 1 else logits

    @torch.no_grad()
    def coefficients(self) -> tuple[NDArray, NDArray]:
        """Return coefficients and intercepts for raw columns.

        With categories or gaps the columns are the outputs of the first layer: the
        numbers in their order, one column for each frequent level, and the indicators
        of gaps.

        Returns
        -------
        coef : ndarray of shape (1, n_encoded) or (n_classes, n_encoded)
            Without categories and gaps ``n_encoded`` is ``in_features``.
        intercept : ndarray of shape (1,) or (n_classes,)
            The logits of a row whose raw columns are 0.
        """
        weight, bias = self.output.weight.double(), self.output.bias.double()
        shift, scale = self.input.shift_and_scale()
        weight = weight / scale
        bias = bias - weight @ shift.double()
        return weight.cpu().numpy(), bias.cpu().numpy()
