"""Networks side by side, as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Members(nn.Module):
    """Several networks of one kind, each with its own start.

    What makes an ensemble of a network that knows nothing of it.

    **Shape**

    - input: ``(batch, in_features)``, the same rows for all members, or ``(batch,
      members, in_features)``
    - output: ``(batch, members, out_features)``

    Parameters
    ----------
    in_features : int
        Number of columns.
    out_features : int
        Number of classes.
    module : callable
        Called for each member, as ``module(in_features=, out_features=, **params)``.
    n_members : int
        Number of networks.
    **params
        Arguments of each network.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import LinearModel, Members
    >>> members = Members(3, 2, module=LinearModel, n_members=4)
    >>> members(torch.ones(5, 3)).shape
    torch.Size([5, 4, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        module: Callable[..., nn.Module],
        n_members: int,
        **params: Any,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            module(in_features=in_features, out_features=out_features, **params)
            for _ in range(n_members)
        )
        self.is_split = is_split(self.members[0])

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of a batch."""
        return self._each(self.members, x, is_shared=x.ndim == 2)

    def prepare(self, x: Tensor) -> Tensor:
        """Do what members do first, where that needs no gradient."""
        if not self.is_split:
            return x
        steps = [member.prepare for member in self._networks]
        return self._each(steps, x, is_shared=x.ndim == 2)

    def body(self, z: Tensor) -> Tensor:
        """Give the logits of rows that are prepared."""
        if not self.is_split:
            return self(z)
        steps = [member.body for member in self._networks]
        return self._each(steps, z, is_shared=False)

    @property
    def _networks(self) -> list[Any]:
        return list(self.members)

    def _each(
        self,
        steps: Iterable[Callable[[Tensor], Tensor]],
        x: Tensor,
        *,
        is_shared: bool,
    ) -> Tensor:
        parts = [x] * len(self.members) if is_shared else x.unbind(1)
        outputs = [step(part) for step, part in zip(steps, parts, strict=True)]
        return torch.stack(outputs, dim=1)

    def initialize_from(
        self,
        X: Any,
        y: NDArray,
        sample_weight: NDArray,
        folds: NDArray[np.integer] | None = None,
    ) -> None:
        """Let each member look at the training rows outside its fold.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
        y : ndarray of shape (n_rows,)
            Class codes.
        sample_weight : ndarray of shape (n_rows,)
        folds : ndarray of shape (n_rows,) or None, default=None
            The member that holds each row out; None holds out nothing.
        """
        for j, member in enumerate(self._networks):
            if not hasattr(member, "initialize_from"):
                continue
            if folds is None:
                member.initialize_from(X, y, sample_weight)
            else:
                rows = np.flatnonzero(folds != j)
                member.initialize_from(X[rows], y[rows], sample_weight[rows])

    def update_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Let each member look at further rows."""
        for member in self._networks:
            if hasattr(member, "update_from"):
                member.update_from(X, y, sample_weight)

    def initialize_output(self, logits: Tensor) -> None:
        """Start at `logits`, of shape (out_features,), whatever the features."""
        for member in self._networks:
            if hasattr(member, "initialize_output"):
                member.initialize_output(logits)


def is_split(module: nn.Module) -> bool:
    """Tell whether a network's ``forward`` is ``body(prepare(x))``.

    It is for the class that defines all three, or inherits all three from one.
    """
    definers = {
        next((cls for cls in type(module).__mro__ if name in vars(cls)), None)
        for name in ("prepare", "body", "forward")
    }
    return len(definers) == 1
