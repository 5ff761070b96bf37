"""A trained network with the formula from logits to probabilities, as one module.

It can be passed to torch.export, Captum and SHAP, and ONNX graphs are made of it.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from imbalnet._calibration import Calibration, Formula
from imbalnet._tables import Columns
from imbalnet._tables.shifts import FARTHEST
from imbalnet.export.neighbor_evidence import NeighborEvidence
from imbalnet.losses import Loss
from imbalnet.networks import as_logits

_ROUNDING = 8 * torch.finfo(torch.float64).eps


class ProbabilityModule(nn.Module):
    """Class probabilities of raw features, as in ``predict_proba``.

    The module holds copies of the network, of its loss and of all values of the
    formula from logits to probabilities, see :ref:`formula`: inverse link of the loss,
    data's prior, member level, temperature, mean over members, neighbours, target
    prior. ``to_torch()`` of a fitted classifier returns it, in evaluation mode and on
    the CPU. It can be differentiated with respect to its input.

    **Shape**

    - input: ``(batch, n_features)``. Numbers are unchanged, with NaN for gaps;
      categories are codes, see `categories`. The dtype is float64, or float32 unless
      columns are so far from 0 that float32 is not precise enough (``needs_double``).
    - output: ``(batch, n_classes)``, in float64

    Parameters
    ----------
    network : torch.nn.Module
        The trained network.
    loss : Loss
        The loss that it was trained with.
    calibration : Calibration
        ``calibration_`` of the fitted classifier.
    target_prior : ndarray of shape (n_classes,) or None
        Prior of the probabilities; None means the effective prior.
    columns : Columns
        Levels and shifts of the columns.
    n_features : int
        Number of columns.
    dtype : torch.dtype
        The dtype of the features in the network.

    Attributes
    ----------
    categories : dict of int to tuple
        The levels of each column of categories, by its position. The code of a level is
        its position, that of a missing value the number of levels, and that of any
        other value one more. If the categories are ordered, the last two are NaN.
    needs_double : bool
        Whether the input must be float64.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn.datasets import make_classification
    >>> from imbalnet import BalancedNeuralClassifier
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> clf = BalancedNeuralClassifier("mlp", max_epochs=2, random_state=0).fit(X, y)
    >>> module = clf.to_torch()
    >>> probabilities = module(torch.from_numpy(X)).numpy()
    >>> bool(np.allclose(probabilities, clf.predict_proba(X)))
    True
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        calibration: Calibration,
        target_prior: Any,
        columns: Columns,
        n_features: int,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        formula = calibration.for_target(target_prior)
        self.categories = {
            i: known.values for i, known in enumerate(columns.levels) if known
        }
        self.needs_double = bool(columns.shifts) or dtype is torch.float64
        self.features = RawFeatures(columns, n_features, dtype)
        self.network = copy.deepcopy(getattr(network, "_orig_mod", network))
        self.loss = copy.deepcopy(loss)
        self.neighbors: nn.Module | None = None
        if calibration.neighbors is not None:
            weight = calibration.neighbor_weight
            self.neighbors = NeighborEvidence(calibration.neighbors, weight)
        self.register_buffer("level", torch.from_numpy(formula.level.copy()))
        self.register_buffer("to_target", torch.from_numpy(formula.to_target.copy()))
        self.temperature = formula.temperature
        self.cpu().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the class probabilities of a batch.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Raw features, with categories as codes; float64 if ``needs_double``.

        Returns
        -------
        Tensor of float64, shape (batch, n_classes)
            In the order of the classes; each row sums to 1.
        """
        return self.log_probabilities(x).exp()

    def log_probabilities(self, x: Tensor) -> Tensor:
        """Compute the logarithms of the class probabilities of a batch.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            As in :meth:`forward`.

        Returns
        -------
        Tensor of float64, shape (batch, n_classes)
            The logarithms.
        """
        features = self.features(x)
        logits = as_logits(self.network(features)).double()
        formula = Formula(self.level, self.temperature, self.to_target)
        evidence = None if self.neighbors is None else self.neighbors(features)
        return formula.apply(self.loss.posterior_scores(logits), evidence=evidence)


class RawFeatures(nn.Module):
    """Shift and scale raw columns in float64, then convert them to the network's dtype.

    **Shape**

    - input and output: ``(batch, n_features)``
    """

    center: Tensor
    scale: Tensor
    bound: Tensor

    def __init__(self, columns: Columns, n_features: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.has_shifts = dtype, bool(columns.shifts)
        values = torch.zeros(3, n_features, dtype=torch.float64)
        values[1], values[2] = 1.0, torch.inf
        for i, shift in columns.shifts.items():
            values[:, i] = torch.tensor([*shift, FARTHEST], dtype=torch.float64)
        for name, row in zip(("center", "scale", "bound"), values, strict=True):
            self.register_buffer(name, row.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Shift a batch."""
        _check_input(x, len(self.center))
        if not self.has_shifts:
            return x.to(self.dtype)
        z = (x.double() - self.center) / self.scale
        z = torch.where(x.isinf(), z, z.clamp(-self.bound, self.bound))
        return z.to(self.dtype)


def _check_input(x: Any, n_features: int) -> None:
    needed = f"The input must be a tensor of numbers, of shape (batch, {n_features})"
    if not isinstance(x, Tensor):
        raise ValueError(f"{needed}, but is {type(x).__name__}; see torch.as_tensor.")
    if x.dim() != 2 or x.shape[1] != n_features or x.is_complex():
        raise ValueError(f"{needed}, but has shape {tuple(x.shape)} and {x.dtype}.")


class Decision(nn.Module):
    """Choose class codes as ``predict`` does.

    **Shape**

    - input: log probabilities, ``(batch, n_classes)``
    - output: int64, ``(batch,)``

    Parameters
    ----------
    threshold : float or None, default=None
        Probability from which on the second of two classes is predicted.
    costs : ndarray of shape (n_classes, n_classes) or None, default=None
        ``costs[i, j]`` is the cost of predicting class j where class i is true.
    to_costs : ndarray of shape (n_classes,) or None, default=None
        Shift of the log probabilities to the prior under which expected costs are
        computed.
    """

    costs: Tensor
    to_costs: Tensor

    def __init__(
        self, threshold: float | None = None, costs: Any = None, to_costs: Any = None
    ) -> None:
        super().__init__()
        self.threshold, self.has_costs = threshold, costs is not None
        if self.has_costs:
            self.register_buffer("costs", torch.tensor(costs, dtype=torch.float64))
            self.register_buffer("to_costs", torch.tensor(to_costs))

    def forward(self, log_probabilities: Tensor) -> Tensor:
        """Choose the classes of a batch."""
        if self.threshold is not None:
            return (log_probabilities[:, 1].exp() >= self.threshold).long()
        if not self.has_costs:
            return log_probabilities.argmax(dim=-1)
        probabilities = (log_probabilities + self.to_costs).softmax(dim=-1)
        expected = probabilities @ self.costs
        rounding = _ROUNDING * (probabilities @ self.costs.abs())
        is_cheapest = expected - rounding <= expected.amin(dim=-1, keepdim=True)
        return torch.where(is_cheapest, probabilities, -1.0).argmax(dim=-1)
