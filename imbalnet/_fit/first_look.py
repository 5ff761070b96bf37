"""A new network's first look at the training rows, and ours at what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from imbalnet._fit.plan import Folds
from imbalnet._nested import accepted_names, name_of
from imbalnet._tables.read import Rows
from imbalnet.losses import Loss
from imbalnet.networks import CosineLinear

if TYPE_CHECKING:
    from imbalnet.classifier import BalancedNeuralClassifier

# Rows in the sample that a network looks at first.
_FIRST_LOOK_ROWS = 2**16


@torch.no_grad()
def first_look(
    module: Any,
    *,
    clf: BalancedNeuralClassifier,
    n_members: int,
    rows: Rows,
    folds: Folds | None,
    loss: Loss,
    start: torch.Tensor,
) -> None:
    """Let a new network see training rows, and check what it gives.

    Parameters
    ----------
    module : torch.nn.Module
    clf : BalancedNeuralClassifier
        Gives the names for errors.
    n_members : int
    rows : Rows
        Training rows with their sample weights.
    folds : Folds or None
        What each member shall not see.
    loss : Loss
    start : Tensor of shape (n_classes,)
        Logits to start at.

    Raises
    ------
    ValueError
        If the network's output is not what the loss needs.
    """
    if hasattr(module, "initialize_from"):
        _initialize(module, rows, folds)
    _check_output(module, clf, n_members, rows)
    if loss.takes_cosines:
        _check_cosines(module, clf)
    if hasattr(module, "initialize_output"):
        module.initialize_output(start)


def _initialize(module: Any, rows: Rows, folds: Folds | None) -> None:
    """Let a network see rows, and which member is to see them, if it asks."""
    some = _some(len(rows))
    known = accepted_names(module.initialize_from)
    given = {}
    if known is None or "folds" in known:
        given["folds"] = None if folds is None else folds.folds[some]
    module.initialize_from(*_columns(rows, some), **given)


def update(module: Any, rows: Rows) -> None:
    """Let a network's statistics take further rows in.

    Parameters
    ----------
    module : torch.nn.Module
    rows : Rows
    """
    module.update_from(*_columns(rows, _some(len(rows))))


def _columns(rows: Rows, some: Any) -> tuple[Any, NDArray, NDArray]:
    """Give features, codes and weights."""
    rows = rows if isinstance(some, slice) else rows.subset(some)
    return rows.of(rows.X), rows.of(rows.codes), rows.of(rows.weight)


def _some(n_rows: int) -> NDArray[np.intp] | slice:
    """Draw a sample of rows to look at where they are many."""
    if n_rows <= _FIRST_LOOK_ROWS:
        return slice(None)
    return torch.randint(n_rows, (_FIRST_LOOK_ROWS,)).unique().numpy()


def _check_output(
    module: nn.Module, clf: BalancedNeuralClassifier, n_members: int, rows: Rows
) -> None:
    parameter = next(module.parameters(), torch.empty(0))
    two = rows.X[:2]
    batch = two.toarray() if sparse.issparse(two) else two
    module.eval()
    x = torch.as_tensor(batch, device=parameter.device)
    shape = tuple(module(x).shape)
    n_classes = len(clf.classes_)
    columns = {n_classes, 1} if n_classes == 2 else {n_classes}
    if n_members > 1:
        if shape[:-1] != (len(x), n_members) or shape[-1] not in columns:
            raise ValueError(_members_message(clf, n_members, shape))
        of_own = tuple(module(x[:, None].expand(-1, n_members, -1)).shape)
        if of_own != shape:
            raise ValueError(_members_message(clf, n_members, of_own))
    elif len(shape) not in (2, 3) or shape[-1] not in columns:
        raise ValueError(
            f"module={name_of(clf.module)} must give logits of shape (batch, "
            f"{n_classes}) or (batch, members, {n_classes}), but gave {shape} for a "
            f"batch of {len(batch)} rows."
        )


def _members_message(
    clf: BalancedNeuralClassifier, n_members: int, shape: tuple[int, ...]
) -> str:
    return (
        f"module={name_of(clf.module)} must give logits of shape (batch, {n_members}, "
        f"{len(clf.classes_)}) with n_members={n_members}, for features of shape "
        f"(batch, in_features) and (batch, {n_members}, in_features), but gave "
        f"{shape}. A module that does not accept n_members, and gives (batch, "
        f"{len(clf.classes_)}), is built {n_members} times."
    )


def _check_cosines(module: nn.Module, clf: BalancedNeuralClassifier) -> None:
    if not any(isinstance(part, CosineLinear) for part in module.modules()):
        raise ValueError(
            f"loss={clf.loss!r} needs cosines, but module={name_of(clf.module)} does "
            "not end in imbalnet.networks.CosineLinear; use module='mlp', or such a "
            "last layer in a module of your own."
        )
