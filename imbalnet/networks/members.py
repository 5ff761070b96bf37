"""Independent networks side by side, as one network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbalnet.networks._checks import check_batch, check_sizes
from imbalnet.networks.base import (
    Network,
    is_split,
    may_write,
    network_of,
    with_all_columns,
)


class Members(Network):
    """An ensemble of networks of one kind, each with its own initial weights.

    The networks are independent, so that any module can be a member.

    **Shape**

    - input: ``(batch, in_features)``, the same rows for all members, or ``(batch,
      members, in_features)``
    - output: ``(batch, members, out_features)``

    Parameters
    ----------
    in_features, out_features : int
        Numbers of columns and of classes.
    module : callable
        Called once for each member, as ``module(in_features=, out_features=,
        **params)``.
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
        sizes = {"in_features": in_features, "out_features": out_features}
        check_sizes(n_members=n_members, **sizes)
        if not callable(module) or isinstance(module, nn.Module):
            raise ValueError(
                f"module={module!r} must be a class or a function that makes a network "
                "from in_features= and out_features=."
            )
        super().__init__()
        members = [
            module(in_features=in_features, out_features=out_features, **params)
            for _ in range(n_members)
        ]
        if not all(isinstance(member, nn.Module) for member in members):
            raise ValueError(
                f"module={module!r} must make a torch.nn.Module, but made "
                f"{members[0]!r:.60}."
            )
        self.members: Any = nn.ModuleList(members)
        self.is_split = is_split(self.members[0])

    @property
    def prepared_width(self) -> int:  # type: ignore[override]
        """Number of values of a prepared row, of all members together."""
        return sum(network_of(member).prepared_width for member in self.members)

    @property
    def multiplies_sparse(self) -> bool:  # type: ignore[override]
        """Whether the members take rows as a sparse tensor."""
        return all(network_of(member).multiplies_sparse for member in self.members)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch; the members are called, so their hooks run."""
        return _logits(self.members, self._rows_of_each(x))

    def prepare(self, x: Tensor) -> Tensor:
        """Apply each member's ``prepare``, if the members have one (`is_split`)."""
        if not self.is_split:
            return x
        pairs = zip(self.members, self._rows_of_each(x), strict=True)
        return torch.stack([member.prepare(rows) for member, rows in pairs], dim=1)

    def body(self, z: Tensor) -> Tensor:
        """Compute the logits of prepared rows."""
        if not self.is_split:
            return self(z)
        rows = self._separated(z.unbind(1))
        return _logits([member.body for member in self.members], rows)

    def _rows_of_each(self, x: Tensor) -> Sequence[Tensor]:
        check_batch(x)
        rows = [x] * len(self.members) if x.ndim == 2 else x.unbind(1)
        return self._separated(rows)

    def _separated(self, rows: Sequence[Tensor]) -> Sequence[Tensor]:
        """Copy the rows for each member, if members may change them in place."""
        return [x.clone() for x in rows] if may_write(self.members[0]) else rows

    def initialize_from(
        self, X: Any, y: NDArray, sample_weight: NDArray, folds: NDArray | None = None
    ) -> None:
        """Compute each member's statistics from the rows that it does not hold out."""
        table = X, y, sample_weight
        for j, member in enumerate(self.members):
            if folds is not None:
                rows = np.flatnonzero(folds != j)
                table = X[rows], y[rows], sample_weight[rows]
            network_of(member).initialize_from(*table)
        # an indicator of few gaps may be in some of the members only
        n_widths = len({network_of(member).prepared_width for member in self.members})
        self.is_split = n_widths == 1 and is_split(self.members[0])

    def update_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Merge further rows into each member's statistics."""
        for member in self.members:
            network_of(member).update_from(X, y, sample_weight)

    def initialize_output(self, logits: Tensor) -> None:
        """Set the bias of each member's last layer."""
        for member in self.members:
            network_of(member).initialize_output(logits)

    def shift_output(self, logits: Tensor) -> None:
        """Add to the bias of each member's last layer."""
        for member in self.members:
            network_of(member).shift_output(logits)

    def take_members(self, which: slice) -> Members:
        """Return some of the members, side by side."""
        return copy.deepcopy(self, {id(self.members): self.members[which]})

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Join the members' groups of equal learning rate and weight decay."""
        joined: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for member in self.members:
            for group in network_of(member).parameter_groups():
                params = joined.setdefault((group["rate"], group["decays"]), [])
                params.extend(group["params"])
        return [
            {"params": params, "rate": rate, "decays": decays}
            for (rate, decays), params in joined.items()
        ]


def _logits(
    steps: Iterable[Callable[[Tensor], Tensor]], rows: Sequence[Tensor]
) -> Tensor:
    outputs = [step(part) for step, part in zip(steps, rows, strict=True)]
    of_one = [logits if logits.ndim == 2 else logits.squeeze(1) for logits in outputs]
    return with_all_columns(torch.stack(of_one, dim=1))
