"""Deletion of rare levels after training.

Network and neighbours treat rare levels, such as account numbers of single rows, like
unknown values. Predictions do not need them, and a fitted model keeps no more of the
training data than predictions need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from imbalnet._tables import Columns, Rows
from imbalnet.neighbors import Neighbors
from imbalnet.networks import Members, network_of
from imbalnet.networks.layers.mixed import MixedInput
from imbalnet.networks.layers.table import TableEncoding


def without_rare_levels(
    columns: Columns, module: nn.Module, neighbors: Neighbors | None, rows: Rows
) -> Columns:
    """Return the columns without levels that are treated like unknown values.

    The codes change, so the layers of the network and of the neighbours that read them
    are changed, too. `rows` are training rows, with the old codes. For networks of
    users, which may distinguish all levels, nothing changes.
    """
    layers = _layers_of(module)
    if not layers or not columns.n_categories:
        return columns
    if neighbors is not None:
        layers.append(neighbors.coordinates.input)
    levels, kept = list(columns.levels), {}
    for j, is_apart in _codes_apart(layers).items():
        known = levels[j]
        assert known is not None
        some, codes = known.only(is_apart[:-2])
        kept[j] = np.append(codes, [len(known.values), len(known.values) + 1])
        share = _share_without(rows.of(rows.X[:, j]), codes, len(known.values))
        levels[j] = replace(some, rare_share=max(share, known.rare_share))
    if all(len(codes) == columns.n_categories[j] for j, codes in kept.items()):
        return columns
    for layer in layers:
        layer.keep_codes(kept)
    return replace(columns, levels=tuple(levels))


def _layers_of(module: nn.Module) -> list[Any]:
    """Return the layers that read codes, if no other part of the network does."""
    network: Any = network_of(module)
    members = network.members if isinstance(network, Members) else [network]
    if not all(vars(type(one)).get("merges_rare_levels", False) for one in members):
        return []
    parts = [part for one in members for part in one.modules()]
    return [part for part in parts if isinstance(part, MixedInput | TableEncoding)]


def _codes_apart(layers: list[Any]) -> Mapping[int, NDArray[np.bool_]]:
    """Return, by column, which codes a layer distinguishes from unknown values."""
    apart: dict[int, NDArray[np.bool_]] = {}
    for layer in layers:
        for j, is_apart in layer.codes_apart().items():
            apart[j] = apart.get(j, np.False_) | is_apart
    return apart


def _share_without(column: NDArray, kept: NDArray[np.intp], n_levels: int) -> float:
    """Return the share of the present values whose level is not kept."""
    n_present = np.count_nonzero(column != n_levels)
    n_kept = np.count_nonzero(np.isin(column, kept))
    return float(1 - n_kept / n_present) if n_present else 0.0
