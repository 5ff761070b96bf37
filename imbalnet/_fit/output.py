"""Checks of a network and of its output, before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from imbalnet._fit.specs import NetworkSpec
from imbalnet._nested import name_of
from imbalnet._predict import output_of
from imbalnet._tables import Rows
from imbalnet._warn import warn
from imbalnet.networks import Members
from imbalnet.networks.base import is_own_network

# Rows whose outputs are checked.
_SOME_ROWS = 64

# Factor of the features that takes logits, but not probabilities, out of [0, 1].
_FAR = 1e6

# Errors that keep their type, because they are not the component's fault.
_PASS = Warning, ImportError, MemoryError, torch.cuda.OutOfMemoryError


@contextmanager
def named_failure(prefix: str, component: Any, params: Mapping[str, Any]) -> Iterator:
    """Raise an error that names a component and its parameters if a block fails.

    Errors that already name one of the parameters are not changed.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, _PASS) or f"{prefix}__" in str(error):
            raise
        given = ", ".join(
            f"{prefix}__{name}={value!r}" for name, value in params.items()
        )
        raise ValueError(
            f"{prefix}={name_of(component)} could not be built with "
            f"{given or f'no {prefix}__* parameters'}: "
            f"{type(error).__name__}: {error}. "
            f"Check the type and the range of what is given as {prefix}__*."
        ) from error


def check_module(name: str, module: Any) -> None:
    """Raise if the result of a factory is no module, or has no parameters."""
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"module={name} must make a torch.nn.Module from in_features= and "
            f"out_features=, but made {module!r}."
        )
    if not any(True for _ in module.parameters()):
        raise ValueError(
            f"module={name} has no parameters, so that there is nothing to train; "
            "assign its layers to attributes (or put them into a torch.nn.ModuleList)."
        )


def has_batch_norm(network: nn.Module) -> bool:
    """Return whether a row's output in training depends on the rows of its batch."""
    norms = nn.modules.batchnorm._NormBase
    return any(isinstance(part, norms) for part in network.modules())


def check_output(
    network: nn.Module, spec: NetworkSpec, n_classes: int, rows: Rows
) -> None:
    """Raise unless a network returns a logit for each class, of each member.

    Probabilities instead of logits lead to a warning, because a loss of the user's may
    expect them.
    """
    network.eval()
    rows = rows.subset(np.arange(min(_SOME_ROWS, len(rows))))
    X = rows.of(rows.X)
    dense = X.toarray() if sparse.issparse(X) else X
    x = torch.as_tensor(dense, device=next(network.parameters()).device)
    one: Any = network.members[0] if isinstance(network, Members) else network
    with torch.enable_grad():
        output = _output_of(one, x, spec)
    if not output.requires_grad:
        raise ValueError(
            f"module={spec.name} gives an output without a gradient, so that nothing "
            "can be trained: its parameters need requires_grad=True, and forward may "
            "use neither torch.no_grad() nor detach()."
        )
    _check_shapes(network, spec, n_classes, x)
    _check_finite(output, spec)
    if is_own_network(one):  # returns logits
        return
    last = _last_step(output)
    if last is None and not rows.columns.n_categories and _is_sigmoid(one, output, x):
        last = "sigmoid"
    if last is not None:
        warn(
            f"module={spec.name} seems to end in {last}, whose outputs are "
            "probabilities or their logs; losses expect logits, and apply softmax "
            f"themselves. Leave {last} out of forward."
        )


def _output_of(module: nn.Module, x: Tensor, spec: NetworkSpec) -> Tensor:
    """Return a module's output; raise unless it is a floating point tensor."""
    try:
        output = output_of(module, x, dtype=None)
    except Exception as error:
        if isinstance(error, _PASS):
            raise
        raise ValueError(
            f"module={spec.name} failed in forward(x), with x of shape "
            f"{tuple(x.shape)} and dtype {x.dtype}: {type(error).__name__}: {error}"
        ) from error
    is_tensor = isinstance(output, Tensor)
    if is_tensor and output.dtype.is_floating_point:
        return output
    what = f"a tensor of dtype {output.dtype}" if is_tensor else type(output).__name__
    raise ValueError(
        f"module={spec.name} must return a tensor of logits, floating point numbers of "
        f"shape (batch, n_classes), from forward(x), but returned {what}."
    )


def _check_shapes(
    network: nn.Module, spec: NetworkSpec, n_classes: int, x: Tensor
) -> None:
    """Raise unless the output has the batch's rows, and a column for each class."""
    x, n_members = x[: n_classes + 1], spec.n_members  # more rows than classes
    columns = {n_classes, 1} if n_classes == 2 else {n_classes}
    if n_members > 1:
        batches = [x, x[:, None].expand(-1, n_members, -1)]
        members: tuple[int, ...] = (n_members,)
    else:
        batches = [x]
        one = _output_of(network, x[:1], spec)  # its axis of members, if any
        members = tuple(one.shape)[1:-1]
    for batch in batches:
        shape = tuple(_output_of(network, batch, spec).shape)
        is_right = len(shape) in (2, 3) and shape[:-1] == (len(batch), *members)
        if not is_right or shape[-1] not in columns:
            raise ValueError(_shape_message(spec, n_classes, shape, len(batch)))


def _shape_message(
    spec: NetworkSpec, n_classes: int, shape: tuple[int, ...], n_rows: int
) -> str:
    n_members = spec.n_members
    if n_members == 1:
        return (
            f"module={spec.name} must give logits of shape (batch, {n_classes}) or "
            f"(batch, members, {n_classes}), but gave {shape} for a batch of {n_rows} "
            "rows. Networks of imbalnet inside of a module give (batch, members, "
            f"columns); squeeze(1) takes the axis of one member out."
        )
    return (
        f"module={spec.name} must give logits of shape (batch, {n_members}, "
        f"{n_classes}) with n_members={n_members}, for features of shape (batch, "
        f"in_features) and (batch, {n_members}, in_features), but gave {shape}. A "
        f"module that does not accept n_members, and gives (batch, {n_classes}), is "
        f"built {n_members} times."
    )


def _check_finite(output: Tensor, spec: NetworkSpec) -> None:
    """Raise if the output has NaN or infinite values."""
    is_finite = output.isfinite().flatten(1).all(1)
    if not is_finite.all():
        what = "NaN" if output.isnan().any() else "infinite values"
        raise ValueError(
            f"module={spec.name} gives {what} before any training, for "
            f"{(~is_finite).sum()} of the first {len(output)} rows: look for a log, "
            "root or division in it, and for features that need scaling."
        )


def _last_step(output: Tensor) -> str | None:
    """Return "softmax" or "log_softmax" if the output looks like one, else None."""
    if output.shape[-1] == 1:
        return None
    for name, values in ("softmax", output), ("log_softmax", output.exp()):
        sums = values.sum(-1)
        if (values >= 0).all() and torch.allclose(sums, torch.ones_like(sums)):
            return name
    return None


def _is_sigmoid(module: nn.Module, output: Tensor, x: Tensor) -> bool:
    """Return whether an output stays between 0 and 1 for very large features."""
    if torch.allclose(output, output[:1].expand_as(output)):
        return False
    if not _are_shares(output):
        return False
    return all(_are_shares(module(x * factor)) for factor in (_FAR, -_FAR))


def _are_shares(values: Tensor) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())
