"""The values of "auto", which depend on the network: a recipe for each.

``choices`` chooses the recipe, and ``resolve`` takes the values from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """Default parameters of a network's training.

    Attributes
    ----------
    module : str or None
        The network's name; None for a user's own network.
    n_members : int
        Number of members.
    n_neighbors : int
        Number of nearest training rows, used if they improve the probabilities.
    max_epochs : int
        Largest number of epochs, for tables of up to ``row_visits / max_epochs`` rows.
    row_visits : int or None
        Largest product of rows and epochs; None sets no limit.
    least_epochs : int
        Smallest number of epochs, for the largest tables.
    patience : int
        Epochs without improvement after which training stops.
    learning_rate, full_batch_learning_rate : float
        Learning rates of Adam and AdamW; the second is for epochs of a single batch.
    weight_decay : float
        Decoupled weight decay of AdamW.
    batch_factor : int
        Factor of the automatic batch size.
    params : mapping
        Arguments of the network, which ``module__*`` override.
    """

    module: str | None
    n_members: int = 1
    n_neighbors: int = 0
    max_epochs: int = 30
    row_visits: int | None = None
    least_epochs: int = 8
    patience: int = 10
    learning_rate: float = 7e-4
    full_batch_learning_rate: float = 2e-3
    weight_decay: float = 0.1
    batch_factor: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)

    def epochs(self, n_rows: int) -> int:
        """Return the number of epochs for a table of `n_rows` rows.

        Examples
        --------
        >>> recipe = Recipe("tabular", max_epochs=40, row_visits=1_600_000)
        >>> recipe.epochs(1_000), recipe.epochs(100_000), recipe.epochs(10**7)
        (40, 16, 8)
        """
        if self.row_visits is None:
            return self.max_epochs
        affordable = self.row_visits // max(n_rows, 1)
        least = min(self.least_epochs, self.max_epochs)
        return int(np.clip(affordable, least, self.max_epochs))


_TABULAR = Recipe(
    "tabular",
    n_members=8,
    n_neighbors=4,
    max_epochs=28,
    row_visits=900_000,
    least_epochs=4,
    patience=6,
    learning_rate=3e-3,
    full_batch_learning_rate=3e-3,
)

PRESETS: dict[str | None, Recipe] = {
    None: _TABULAR,
    "quick": Recipe(
        "tabular",
        n_members=4,
        n_neighbors=4,
        max_epochs=4,
        row_visits=200_000,
        least_epochs=3,
        learning_rate=1e-2,
        full_batch_learning_rate=1e-2,
        batch_factor=2,
        params={"hidden_sizes": (64, 64), "n_bins": 16, "n_waves": 0},
    ),
    "best": Recipe(
        "tabm",
        max_epochs=40,
        row_visits=4_000_000,
        least_epochs=10,
        learning_rate=2e-3,
        full_batch_learning_rate=2e-3,
        weight_decay=3e-4,
    ),
}

_OF_MODULE = {
    "tabular": _TABULAR,
    "tabm": PRESETS["best"],
    "linear": Recipe("linear", learning_rate=0.05, full_batch_learning_rate=0.05),
}


def find_recipe(module: Any, preset: str | None) -> Recipe:
    """Return the recipe of a network; raise if both parameters choose one."""
    if isinstance(module, str) and module == "auto":
        return PRESETS[preset]
    if preset is not None:
        raise ValueError(
            f"preset={preset!r} chooses the network, but module={module!r} does too; "
            "leave one of them out."
        )
    name = module if isinstance(module, str) else None
    return _OF_MODULE.get(name or "", Recipe(name))
