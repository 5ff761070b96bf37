"""What a fitted estimator lets be seen of its network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imbalnet.networks import LinearModel


class FittedNetworkMixin:
    """Read attributes off the trained net, ``net_``."""

    module: Any
    net_: Any
    classes_: NDArray[Any]
    offset_: NDArray[np.float64]

    @property
    def module_(self) -> nn.Module:
        """The trained network."""
        return self.net_.module_

    @property
    def history_(self) -> Any:
        """One record an epoch."""
        return self.net_.history

    @property
    def device_(self) -> torch.device:
        """Where the network lies."""
        return torch.device(self.net_.device)

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients for raw features and levels, with ``module="linear"``."""
        return self._coefficients()[0]

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Intercepts under the effective prior, with ``module="linear"``."""
        intercept = self._coefficients()[1]
        binary = len(self.classes_) == 2
        return intercept + (np.diff(self.offset_) if binary else self.offset_)

    def _coefficients(self) -> tuple[NDArray, NDArray]:
        """Give coefficients and intercepts in log odds, where the loss is linear."""
        coef, intercept = self._linear().coefficients()
        scale = self.net_.criterion_.logit_scale(len(self.classes_)).cpu().numpy()
        scale = scale[-len(intercept) :]  # of two classes the second has the logit
        return coef * scale[:, None], intercept * scale

    def _linear(self) -> LinearModel:
        module = self.module_
        if not isinstance(module, LinearModel):
            raise AttributeError(
                f"coef_ and intercept_ exist with module='linear' only, not with "
                f"module={self.module!r}."
            )
        return module
