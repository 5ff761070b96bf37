"""Blocks of rows, for work that needs far more memory than the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator

# 1 MiB of float64, which the processor's cache holds with what is computed from it.
_CACHED_VALUES = 2**17


def row_blocks(
    n_rows: int, row_size: int, most_values: int | None = None
) -> Iterator[slice]:
    """Yield slices of `n_rows` rows, each of at most `most_values` values.

    A row has `row_size` values; a block has at least one row. By default, a block fits
    the processor's cache. (Checking the arguments of scikit-learn's ``gen_batches``
    takes longer than predicting one row.)
    """
    most_values = _CACHED_VALUES if most_values is None else most_values
    step = max(1, most_values // max(1, row_size))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
