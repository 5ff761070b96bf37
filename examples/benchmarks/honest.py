"""Check that probabilities are calibrated for all losses, weights and samplers.

On generated rows with a known posterior, every loss that has an inverse is trained with
every kind of class weights and every sampler (360 fits). Each network then predicts
probabilities under ``target_prior="train"``::

    OMP_NUM_THREADS=1 python examples/benchmarks/honest.py

The project promises, for every combination with a sampler that draws rows of the data,
an expected calibration error of at most 0.02 and a log loss of at most 1.03 times that
of plain cross entropy. The script exits with status 1 if a combination breaks this.
SMOTE creates synthetic rows, so its results are shown but nothing is promised.

The network is ``module__hidden_sizes=(64, 64), learning_rate=0.002``, with the defaults
of the other parameters. It trains for 15 epochs. If a sampler makes an epoch longer or
shorter than the data, the number of epochs changes so that the same number of rows is
drawn. The epoch of the best validation score is kept, and patience never stops the
training. The folder ``--output`` receives

- ``honest_raw.csv``: every fit. An interrupted run continues there; delete the file to
  start again.
- ``honest.csv``: the combinations with their ratios.
- ``honest_table.csv``: the same for the documentation.

The Platt columns are a diagnosis and not part of the promise. They rescale the log odds
by a slope and an intercept fitted to further rows. What this repairs was
miscalibration. What remains was lost in training.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from joblib import delayed
from levers import part, run
from scipy import special
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from imbalnet import BalancedNeuralClassifier

PREVALENCE = 0.05
TEST_ROWS = 40_000
MAX_ECE = 0.02
MAX_RATIO = 1.03
PLAIN = ("cross_entropy", "none", "none")
KEY = ["loss", "weight", "sampler"]
NETWORK = {
    "module": "mlp",
    "module__hidden_sizes": (64, 64),
    "learning_rate": 0.002,
    "target_prior": "train",
    "random_state": 0,
}
LOSSES = {
    "cross_entropy": {},
    "cross_entropy, label_smoothing=0.05": {"loss__label_smoothing": 0.05},
    "focal, gamma=2": part("loss", "focal", gamma=2.0),
    "focal, gamma=[2, 1]": part("loss", "focal", gamma=[2.0, 1.0]),
    "poly1": part("loss", "poly1"),
    "poly_focal": part("loss", "poly_focal"),
    "asymmetric": part("loss", "asymmetric"),
    "logit_adjusted": part("loss", "logit_adjusted"),
    "balanced_softmax": part("loss", "balanced_softmax"),
    "vector_scaling": part("loss", "vector_scaling"),
}
WEIGHTS = {
    "none": {},
    "balanced": part("class_weight", "balanced"),
    "balanced, power=0.5": part("class_weight", "balanced", power=0.5),
    "effective, beta=0.9999": part("class_weight", "effective", beta=0.9999),
}
SYNTHETIC = "SMOTE()"
EPOCHS = 15
# Length of an epoch divided by the number of rows, if it is not 1.
EPOCH_LENGTHS = {
    "oversample": 2 * (1 - PREVALENCE),
    "RandomOverSampler()": 2 * (1 - PREVALENCE),
    SYNTHETIC: 2 * (1 - PREVALENCE),
    "undersample": 2 * PREVALENCE,
    "RandomUnderSampler()": 2 * PREVALENCE,
}
SAMPLERS = {
    "none": {},
    "weighted": part("sampler", "weighted"),
    "oversample": part("sampler", "oversample"),
    "undersample": part("sampler", "undersample"),
    "balanced_batch": part("sampler", "balanced_batch"),
    "stratified_batch, power=0.5": part("sampler", "stratified_batch", power=0.5),
    "RandomOverSampler()": part("sampler", RandomOverSampler()),
    "RandomUnderSampler()": part("sampler", RandomUnderSampler()),
    SYNTHETIC: part("sampler", SMOTE()),
}


def known_posterior(
    n_rows: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw eight normal features and labels, with 5 % positives in expectation.

    Returns
    -------
    X, y, p
        Features, labels, and the true probability that the label is 1.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 8)).astype(np.float32)
    score = 1.2 * X[:, 0] - X[:, 1] + 1.5 * X[:, 2] * X[:, 3]
    score = score + 0.8 * np.sin(2 * X[:, 4])
    bias = brentq(lambda b: special.expit(score + b).mean() - PREVALENCE, -20, 5)
    p = special.expit(score + bias)
    return X, (rng.random(n_rows) < p).astype(int), p


def calibration_error(y: np.ndarray, p: np.ndarray, n_bins: int = 15) -> float:
    """Compute the expected calibration error of the positive class.

    The rows are sorted by probability and split into bins of equal size. Each bin
    compares its mean probability with its share of positives.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Labels 0 and 1.
    p : ndarray of shape (n_rows,)
        Probability of label 1.
    n_bins : int, default=15

    Returns
    -------
    float
        Mean absolute difference over the bins, weighted by their rows. 0 is best.
    """
    bins = np.array_split(np.argsort(p, kind="stable"), n_bins)
    gaps = [abs(p[rows].mean() - y[rows].mean()) for rows in bins]
    return float(np.average(gaps, weights=[len(rows) for rows in bins]))


def fit_and_score(n_rows: int, names: tuple[str, str, str]) -> dict[str, Any]:
    loss, weight, sampler = names
    params = LOSSES[loss] | WEIGHTS[weight] | SAMPLERS[sampler]
    X, y, _ = known_posterior(n_rows, seed=0)
    epochs = round(EPOCHS / EPOCH_LENGTHS.get(sampler, 1.0))
    lengths = {"max_epochs": epochs, "patience": epochs}
    start = time.perf_counter()
    clf = BalancedNeuralClassifier(**NETWORK, **lengths, **params).fit(X, y)
    seconds = time.perf_counter() - start
    X, y, true = known_posterior(TEST_ROWS, seed=1)
    p = clf.predict_proba(X)[:, 1]
    platt = rescaled(clf, X)
    return {
        **dict(zip(KEY, names, strict=True)),
        "rows": n_rows,
        "ece": calibration_error(y, p),
        "distance": np.abs(p - true).mean(),
        "log_loss": log_loss(y, p),
        "mean_ratio": p.mean() / true.mean(),
        "platt_ece": calibration_error(y, platt),
        "platt_log_loss": log_loss(y, platt),
        "seconds": seconds,
    }


def rescaled(clf: BalancedNeuralClassifier, X: np.ndarray) -> np.ndarray:
    """Return probabilities after Platt scaling on further rows."""
    X_further, y_further, _ = known_posterior(TEST_ROWS, seed=2)
    odds = clf.decision_function(X_further)[:, None]
    scaling = LogisticRegression(C=1e6).fit(odds, y_further)
    return scaling.predict_proba(clf.decision_function(X)[:, None])[:, 1]


def fit_all(n_rows: int, combinations: list[tuple[str, str, str]]) -> list[dict]:
    return [fit_and_score(n_rows, names) for names in combinations]


def jobs_for(n_rows: int, raw: pd.DataFrame) -> list[Any]:
    """Return a job for each loss and kind of weights, with the missing samplers."""
    done = set(raw.loc[raw["rows"] == n_rows, KEY].itertuples(index=False, name=None))
    jobs = []
    for loss, weight in itertools.product(LOSSES, WEIGHTS):
        wanted = [(loss, weight, sampler) for sampler in SAMPLERS]
        combinations = [names for names in wanted if names not in done]
        if combinations:
            jobs.append(delayed(fit_all)(n_rows, combinations))
    return jobs


def against_plain(raw: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """Order the combinations, with log loss ratios to plain cross entropy."""
    everything = list(itertools.product(LOSSES, WEIGHTS, SAMPLERS))
    table = raw[raw["rows"] == n_rows].set_index(KEY).loc[everything]
    plain = table.loc[PLAIN, "log_loss"]
    table.insert(3, "ratio", table["log_loss"] / plain)
    table["platt_ratio"] = table.pop("platt_log_loss") / plain
    table["promised"] = table.index.get_level_values("sampler") != SYNTHETIC
    return table


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as the documentation shows it."""
    columns = {
        "ece": "calibration error",
        "ratio": "log-loss / that of plain cross entropy",
        "mean_ratio": "mean probability / base rate",
    }
    digits = {"ece": "{:.4f}", "ratio": "{:.3f}", "mean_ratio": "{:.3f}"}
    shown = table[list(columns)].copy()
    for name in columns:
        shown[name] = table[name].map(digits[name].format)
    return shown.rename(columns=columns)


def print_rows(table: pd.DataFrame) -> None:
    columns = ["ece", "platt_ece", "distance", "ratio", "platt_ratio", "mean_ratio"]
    print(table[columns].round(4).reset_index().to_string(index=False))


def report(table: pd.DataFrame) -> pd.DataFrame:
    """Print the worst combinations and a summary; return the broken ones."""
    _, y, true = known_posterior(TEST_ROWS, seed=1)
    bayes, plain = log_loss(y, true), table.loc[PLAIN]
    print(
        f"\nLog loss: {bayes:.5f} of the true posterior, {plain['log_loss']:.5f} of "
        f"plain cross entropy ({plain['log_loss'] / bayes:.3f} times that).\n"
        f"Calibration error: {calibration_error(y, true):.4f} of the true posterior "
        f"(by chance), {plain['ece']:.4f} of plain cross entropy."
    )
    print("\nThe fifteen with the highest log loss:")
    print_rows(table.sort_values("ratio", ascending=False).head(15))
    promised = table[table["promised"]]
    print("\nWorst over the row samplers: calibration error, ratio of log losses")
    by_pair = promised.groupby(["loss", "weight"], sort=False)[["ece", "ratio"]].max()
    text = by_pair["ece"].map("{:.4f}  ".format) + by_pair["ratio"].map("{:.3f}".format)
    print(text.unstack(sort=False).to_string())
    broken = promised[(promised["ece"] > MAX_ECE) | (promised["ratio"] > MAX_RATIO)]
    print(
        f"\n{len(broken)} of {len(promised)} combinations of row samplers break a "
        f"limit (calibration error {MAX_ECE}, ratio {MAX_RATIO})."
    )
    return broken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000, help="training rows")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("docs/guide/results"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "honest_raw.csv"
    raw = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=[*KEY, "rows"])
    table = against_plain(run(jobs_for(args.rows, raw), path, args.jobs), args.rows)
    table.to_csv(args.output / "honest.csv", float_format="%.5g")
    formatted(table).to_csv(args.output / "honest_table.csv")
    broken = report(table)
    if len(broken):
        print_rows(broken.sort_values("ratio", ascending=False))
        sys.exit(1)


if __name__ == "__main__":
    main()
