"""The number of inputs for each column of a wide table in :class:`TabularMLP`.

Up to 32 columns of numbers have four piecewise linear functions and four cosines each.
More columns share 256 inputs, but have three at least. From 342 columns on they share
1,024. With more than 512 columns, such as the counts of words, each number itself is
an input. Columns of two values, such as those of a one-hot encoder, have one input
each. They are not counted among the columns if there are at most 512 of them, and at
most 64 columns of numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from imbalnet.networks.layers.standardize import Standardize, dense_chunks

_MOST_FUNCTIONS, _FEWEST_FUNCTIONS = 8, 3
_SHARED, _SHARED_BY_MANY = 256, 1024
# Tables with more of either resemble counts of words rather than one-hot categories.
_FEW_NUMBERS, _MANY_FLAGS = 64, 512
# Number of inputs up to which the learning rate is not reduced. A step of Adam changes
# a hidden unit by up to the rate times the number of its inputs.
_INPUTS_AT_FULL_RATE = 256


def n_sharing(n_numbers: int, n_flags: int) -> int:
    """Return how many columns share inputs, given `n_flags` columns of two values.

    Examples
    --------
    >>> from imbalnet.networks._wide import n_sharing
    >>> n_sharing(20, 300), n_sharing(20, 2_000), n_sharing(200, 300)
    (20, 2020, 500)
    """
    is_one_hot = n_numbers <= _FEW_NUMBERS and n_flags <= _MANY_FLAGS
    return n_numbers if is_one_hot else n_numbers + n_flags


def functions_of_a_column(
    n_columns: int, n_channels: int | str, n_waves: int | str
) -> tuple[int, int]:
    """Return the numbers of piecewise linear functions and of cosines of a column.

    Without piecewise linear functions, the number itself is the input.

    Examples
    --------
    >>> [functions_of_a_column(n, "auto", "auto") for n in (32, 64, 128, 400, 2_500)]
    [(4, 4), (2, 2), (2, 1), (1, 1), (0, 0)]
    """
    fewest = min(_SHARED_BY_MANY // max(n_columns, 1), _FEWEST_FUNCTIONS)
    shared = min(_SHARED // max(n_columns, 1), _MOST_FUNCTIONS)
    n_functions = max(shared, fewest)
    if n_channels == "auto":
        n_channels = (n_functions + 1) // 2 if n_functions > 1 else 0
    if n_waves == "auto":
        n_waves = n_functions // 2
    return int(n_channels), int(n_waves)


def wide_rate(n_inputs: int) -> float:
    """Return the factor of the learning rate for many inputs."""
    return min(1.0, _INPUTS_AT_FULL_RATE / max(n_inputs, 1))


def standardize_from(
    layer: Standardize, encoding: nn.Module, X: Any, weight: NDArray
) -> None:
    """Compute mean and deviation of the first encoded inputs of the rows.

    Sparse tables are converted to dense arrays in chunks.
    """
    layer.weight_sum.zero_()
    width, like = layer.out_features, layer.mean
    table = sparse.csr_matrix(X) if sparse.issparse(X) else X
    for rows, share in dense_chunks(table, weight):
        z = encoding(torch.from_numpy(rows).to(like))[:, :width]
        layer.update_from(z.cpu().numpy(), None, share)
