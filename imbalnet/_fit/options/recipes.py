"""The values of "auto": a recipe for each network and each preset.

`choices` finds the recipe, and `resolve` resolves "auto" with it.
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
        The network's name; None for networks of users' own.
    n_members : int
    n_neighbors : int
        Number of nearest training rows that are used, if they help.
    max_epochs : int
        Epochs for tables of up to ``row_visits / max_epochs`` rows; larger ones have
        fewer.
    row_visits : int or None
        Most rows times epochs; None sets no limit.
    least_epochs : int
        Epochs for the largest tables.
    patience : int
        Epochs without improvement after which training stops.
    learning_rate, full_batch_learning_rate : float
        For Adam and AdamW; the second is for epochs of one step.
    weight_decay : float
        Decoupled, for AdamW.
    batch_factor : int
        Factor of the usual automatic batch size.
    params : dict
        Arguments of the network, unless the user passes others.
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
    """Return the recipe that "auto" is resolved by; raise if both choose a network."""
    if isinstance(module, str) and module == "auto":
        return PRESETS[preset]
    if preset is not None:
        raise ValueError(
            f"preset={preset!r} chooses the network, but module={module!r} does too; "
            "leave one of them out."
        )
    name = module if isinstance(module, str) else None
    return _OF_MODULE.get(name or "", Recipe(name))
