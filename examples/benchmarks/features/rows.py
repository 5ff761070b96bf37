"""The small data that this package tries features on, and models of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from library import Library
from scipy.special import expit, logit

SHARE = 0.05

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def rows(n: int = 4_000, share: float = SHARE, seed: int = 0) -> Rows:
    """Return two Gaussians in a plane, their labels and the true posterior."""
    random = np.random.default_rng(seed)
    y = (np.arange(n) < round(share * n)).astype(int)
    random.shuffle(y)
    X = random.normal(size=(n, 2)) + 1.5 * y[:, None] * [1.0, 0.0]
    log_odds = 1.5 * X[:, 0] - 1.5**2 / 2 + logit(share)
    X = X.astype(np.float32).astype(float)  # the same for libraries of both types
    return X, y, expit(log_odds)


def of_floats(library: Library, X: Any) -> Any:
    """Return rows of a type that the library takes."""
    return X.astype(np.float32) if library.title == "skorch" else X


def fitted(library: Library, model: Any, X: Any = None, y: Any = None) -> Any:
    """Fit a model to the usual rows, or to others."""
    if X is None:
        X, y, _ = rows()
    return model.fit(of_floats(library, X), y)


def probabilities(library: Library, model: Any, X: Any) -> np.ndarray:
    """Return the probabilities of the second class, which must be such."""
    found = np.asarray(model.predict_proba(of_floats(library, X)))
    assert found.ndim == 2, f"predict_proba gives shape {found.shape}"
    assert np.isfinite(found).all(), "probabilities that are NaN"
    is_inside = (found > -1e-6).all() and (found < 1 + 1e-6).all()
    assert is_inside, "probabilities outside of 0 to 1"
    assert np.allclose(found.sum(axis=1), 1, atol=1e-4), "they do not sum to 1"
    return found[:, 1]


def mean_probability(library: Library, model: Any) -> float:
    """Return the mean over new rows of the usual share."""
    return float(probabilities(library, fitted(library, model), rows(seed=1)[0]).mean())


def frame(seed: int) -> tuple[Any, np.ndarray]:
    """Return words, a category and numbers, with gaps in all of them."""
    import pandas as pd

    X, y, _ = rows(2_000, share=0.2, seed=seed)
    random = np.random.default_rng(seed)
    words = np.where(X[:, 1] + y > 0.5, "north", "south").astype(object)
    words[random.random(len(y)) < 0.1] = None
    kind = pd.Series(np.where(random.random(len(y)) < 0.5, "a", "b"), dtype="category")
    numbers = np.where(random.random(len(y)) < 0.1, np.nan, X[:, 0])
    table = pd.DataFrame({"number": numbers, "words": words, "kind": kind})
    return table, y


def write(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    """Write rows as Parquet, text and NumPy's file."""
    import pandas as pd

    table = pd.DataFrame({"y": y, "a": X[:, 0], "b": X[:, 1]})
    table.to_csv(folder / "rows.csv", index=False)
    np.savez(folder / "rows.npz", X=X, y=y)
    with suppress(ImportError):  # without pyarrow
        table.to_parquet(folder / "rows.parquet")
