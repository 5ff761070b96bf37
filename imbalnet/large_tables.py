"""Tables larger than memory: :class:`LargeTable`, and scores written to a file.

The estimator takes a :class:`LargeTable` as X. See the guide, :ref:`large-tables`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from imbalnet._tables import LargeTable, opened
from imbalnet._tables.large.write import ScoreFile

__all__ = ["LargeTable", "score_parquet"]


def __dir__() -> list[str]:
    return sorted(__all__)


def score_parquet(
    model: Any,
    source: Any,
    destination: str | os.PathLike[str],
    *,
    keep: Sequence[str] = (),
) -> None:
    """Write the probabilities of a table's rows into a Parquet file, block by block.

    Parameters
    ----------
    model : classifier instance
        A fitted classifier whose ``predict_proba`` takes pyarrow tables, as imbalnet's
        does (polars data frames if `source` is a lazy frame, arrays if it is an array).
    source : LargeTable, path, pyarrow.dataset.Dataset, polars.LazyFrame or array
        The table, see :class:`LargeTable`. If the model has ``feature_names_in_``, only
        these columns are passed to it.
    destination : path
        The file to write. It appears when it is complete, and replaces an
        existing one.
    keep : sequence of str, default=()
        Columns of the source to copy, such as keys and labels.

    Raises
    ------
    ValueError
        If the source lacks columns that the model was fitted on, or those to `keep`, or
        if one to keep has the name of a new column.
    ImportError
        If pyarrow is missing.

    Notes
    -----
    The file has the columns of `keep`, then ``proba_<label>`` for each class, in
    float64. Its rows are in the order of the source.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> import pyarrow.parquet as pq
    >>> from imbalnet.large_tables import score_parquet
    >>> X, y = make_classification(random_state=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "scores.parquet")
    >>> score_parquet(LogisticRegression().fit(X, y), X, path)
    >>> pq.read_table(path).column_names
    ['proba_0', 'proba_1']
    """
    table, keep = opened(source, "source"), list(keep)
    if not isinstance(table, LargeTable):
        table = LargeTable(source)
    titles = [f"proba_{label}" for label in model.classes_.tolist()]
    taken = sorted(set(keep) & set(titles))
    if taken:
        raise ValueError(
            f"keep has {taken}, which are the names of the new columns; rename them in "
            "the source, or leave them out."
        )
    names = getattr(model, "feature_names_in_", None)
    if names is None or table.names is None:
        names = table.names
    table.check_has(keep, "columns to keep")
    if names is not None:
        names = list(names)
        table.check_has(names)
        table = table.select(list(dict.fromkeys([*names, *keep])))
    with ScoreFile(destination, titles) as file:
        for block in table.blocks():
            rows = block if names is None else block.select(names)
            kept = block.select(keep) if keep else None
            file.write(model.predict_proba(rows), kept)
