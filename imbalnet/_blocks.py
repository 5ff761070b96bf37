"""Blocks of rows, for work that needs far more memory than the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator

# 1 MiB of float64, which the processor's cache holds with what is computed from it.
_CACHED_VALUES = 2**17


def row_blocks(
    n_rows: int, row_size: int, most_values: int | None = None
) -> Iterator[slice]:
    """Cut rows of so many values into blocks of at most `most_values`, or of one row.

    None is what the processor's cache holds. (Scikit-learn's ``gen_batches`` checks its
    arguments for longer than a network needs for one row.)
    """
    most_values = _CACHED_VALUES if most_values is None else most_values
    step = max(1, most_values // max(1, row_size))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
