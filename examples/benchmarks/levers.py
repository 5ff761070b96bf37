"""Compare losses, class weights and samplers on fourteen real tables.

Five stratified splits into 56 % training, 14 % validation and 30 % test rows. The
network is ``module="mlp", module__hidden_sizes=(64, 64)`` with the defaults of all
other parameters. For tables of this size they mean thirty epochs and no early stopping.
The validation rows choose a threshold for F1 and one for balanced accuracy, on
probabilities under ``target_prior="train"``. With ``--early-stopping`` they are also
passed to ``fit``, and the files are named ``levers_early_stopping``::

    OMP_NUM_THREADS=1 python examples/benchmarks/levers.py --data FOLDER

FOLDER contains the tables of ``--sets`` (``oil_spill.parquet`` and so on). Their column
``target`` contains the labels. The result of a lever is its difference to plain cross
entropy on the same split: the mean over the splits, then the mean and standard error
over the tables. The folder ``--output`` receives

- ``levers_raw.csv``: every fit. An interrupted run continues there; delete the file to
  start again.
- ``levers.csv``: the table.
- ``levers_table.csv``: the same for the documentation.

"balanced_softmax" is left out because it equals "logit_adjusted" with ``tau=1``. The
pipeline with ``SMOTE(0.3)`` is left out if the rarer class already has 0.3 rows or more
for each row of the other.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
)
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F

from imbalnet import BalancedNeuralClassifier
from imbalnet.losses import Loss

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from quickstart import Task, own_table

SETS = [
    *("oil_spill", "phoneme", "german_credit", "abalone_19", "ecoli_imu"),
    *("wine_quality_le4", "arrhythmia", "us_crime", "ozone_8hr", "thyroid_sick"),
    *("satimage", "mammography", "creditcard_subset", "haberman"),
]
# Metric, its title, and whether higher is better.
METRICS = {
    "average_precision": ("Average precision", True),
    "log_loss": ("Log-loss", False),
    "balanced_accuracy": ("Balanced accuracy", True),
    "f1": ("F1", True),
}
TIE = 1e-6  # smaller differences count as ties
VALIDATION = ("X_val", "y_val")
KEY = ["set", "split", "lever"]


class AUCMargin(Loss):
    """AUC margin loss, an experiment that is not part of the library.

    Let s be the probability of the positive class, and a and b its means over the
    positives and negatives of the batch. The loss is the sum of the mean of
    ``(s - a)**2`` over positives, the mean of ``(s - b)**2`` over negatives, and
    ``max(0, margin + b - a)**2``. Unlike Yuan et al., "Large-scale Robust Deep AUC
    Maximization", ICCV 2021, the inner minimum over a and b and the maximum over a
    multiplier are solved in each batch, not by running averages. Two classes only.
    """

    is_calibrated = False
    is_ranking = True

    def __init__(self, margin: float = 1.0, warmup: float = 0.5) -> None:
        super().__init__()
        self.margin, self.warmup = margin, warmup
        self.progress = 0.0

    def begin_epoch(self, progress: float) -> None:
        self.progress = progress

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.training and self.progress < self.warmup:
            return F.cross_entropy(logits, target, reduction="none")
        score = torch.sigmoid(logits[:, 1] - logits[:, 0])
        is_positive = target == 1
        n_positive, n_negative = is_positive.sum(), (~is_positive).sum()
        if not n_positive or not n_negative:
            return 0.0 * score
        a, b = score[is_positive].mean(), score[~is_positive].mean()
        spread = (score - torch.where(is_positive, a, b)) ** 2
        # scaled so that the mean over the rows is the sum of the means of the classes
        spread = spread * len(score) / torch.where(is_positive, n_positive, n_negative)
        return spread + (self.margin + b - a).clamp(min=0) ** 2


def part(component: str, value: Any, **params: Any) -> dict[str, Any]:
    """Return parameters of the estimator: a component and its own parameters."""
    return {component: value, **{f"{component}__{k}": v for k, v in params.items()}}


BASELINE = "cross_entropy"
TWO_STEPS = "SMOTE(0.3), RandomUnderSampler(0.5)"
SMOTE_THEN_LESS = Pipeline(
    [
        ("smote", SMOTE(sampling_strategy=0.3)),
        ("less", RandomUnderSampler(sampling_strategy=0.5)),
    ]
)
FOCAL = part("loss", "focal", gamma=2.0)
BALANCED = part("class_weight", "balanced")
DEFERRED = part("class_weight", "balanced", start_epoch=0.8)
WEIGHTED = part("sampler", "weighted")
LEVERS: dict[str, dict[str, dict[str, Any]]] = {
    "losses": {
        BASELINE: {},
        "cross_entropy, label_smoothing=0.05": {"loss__label_smoothing": 0.05},
        "focal, gamma=1": part("loss", "focal", gamma=1.0),
        "focal, gamma=2": FOCAL,
        "focal, gamma=2, alpha=0.75": part("loss", "focal", gamma=2.0, alpha=0.75),
        "poly1, epsilon=1": part("loss", "poly1", epsilon=1.0),
        "poly1, epsilon=3": part("loss", "poly1", epsilon=3.0),
        "poly_focal": part("loss", "poly_focal"),
        "asymmetric": part("loss", "asymmetric"),
        "asymmetric, margin=0.05": part("loss", "asymmetric", margin=0.05),
        "logit_adjusted, tau=0.5": part("loss", "logit_adjusted", tau=0.5),
        "logit_adjusted, tau=1": part("loss", "logit_adjusted", tau=1.0),
        "vector_scaling": part("loss", "vector_scaling"),
        "ldam": part("loss", "ldam"),
        "ldam + deferred balanced": {**part("loss", "ldam"), **DEFERRED},
        "average_precision": part("loss", "average_precision"),
        "AUC margin (experiment)": {
            **part("loss", AUCMargin),
            **part("sampler", "balanced_batch"),
        },
    },
    "weights": {
        "balanced": BALANCED,
        "balanced, power=0.5": part("class_weight", "balanced", power=0.5),
        "balanced, max_ratio=10": part("class_weight", "balanced", max_ratio=10.0),
        "balanced, start_epoch=0.8": DEFERRED,
        "effective, beta=0.999": part("class_weight", "effective", beta=0.999),
    },
    "samplers": {
        "weighted": WEIGHTED,
        "weighted, power=0.5": part("sampler", "weighted", power=0.5),
        "oversample": part("sampler", "oversample"),
        "undersample": part("sampler", "undersample"),
        "balanced_batch": part("sampler", "balanced_batch"),
        "stratified_batch": part("sampler", "stratified_batch"),
        "stratified_batch, power=0.5": part("sampler", "stratified_batch", power=0.5),
        "SMOTE()": part("sampler", SMOTE()),
        "RandomUnderSampler()": part("sampler", RandomUnderSampler()),
        TWO_STEPS: part("sampler", SMOTE_THEN_LESS),
    },
    "combinations": {
        "focal, gamma=2 + balanced": {**FOCAL, **BALANCED},
        "focal, gamma=2 + weighted": {**FOCAL, **WEIGHTED},
    },
}
KINDS = {name: kind for kind, levers in LEVERS.items() for name in levers}


# -- one split -----------------------------------------------------------------------


def run_split(
    task: Task, split: int, names: list[str], stops_early: bool
) -> list[dict[str, Any]]:
    """Train and test these levers on one split."""
    rest, test = train_test_split(
        np.arange(len(task.y)), test_size=0.3, stratify=task.y, random_state=split
    )
    train, valid = train_test_split(
        rest, test_size=0.2, stratify=task.y[rest], random_state=split
    )
    encoder = clone(task.encoder).fit(task.rows(train)[0])
    parts = []
    for index in (train, valid, test):
        X, y = task.rows(index)
        parts.append((encoder.transform(X), y))
    key = {"set": Path(task.name).stem, "split": split}
    return [
        {**key, "lever": name, **fit_and_score(name, split, *parts, stops_early)}
        for name in names
    ]


def fit_and_score(
    name: str, seed: int, train: Any, valid: Any, test: Any, stops_early: bool
) -> dict[str, Any]:
    clf = BalancedNeuralClassifier(
        module="mlp",
        module__hidden_sizes=(64, 64),
        target_prior="train",
        random_state=seed,
        **LEVERS[KINDS[name]][name],
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        # expected: a loss without an inverse; fewer than 5 positives for validation
        warnings.filterwarnings("ignore", "(.*no calibrated inverse|A class has)")
        watched = dict(zip(VALIDATION, valid, strict=True)) if stops_early else {}
        clf.fit(*train, **watched)
    seconds = time.perf_counter() - start
    odds_valid, odds = (clf.decision_function(X) for X, _ in (valid, test))
    thresholds = best_thresholds(valid[1], odds_valid)
    X, y = test
    return {
        "average_precision": average_precision_score(y, odds),
        "log_loss": log_loss(y, clf.predict_proba(X)),
        "balanced_accuracy": balanced_accuracy_score(y, odds > thresholds[1]),
        "f1": f1_score(y, odds > thresholds[0], zero_division=0.0),
        "seconds": seconds,
        "is_calibrated": clf.net_.criterion_.is_calibrated,
    }


def best_thresholds(y: np.ndarray, odds: np.ndarray) -> tuple[float, float]:
    """Return the thresholds on log odds with the best F1 and balanced accuracy."""
    order = np.argsort(-odds, kind="stable")
    values = np.append(odds[order], -np.inf)
    true, false = np.cumsum(y[order]), np.cumsum(1 - y[order])
    f1 = 2 * true / (true + false + true[-1])
    balanced_accuracy = (true / true[-1] + 1 - false / false[-1]) / 2
    may_cut = np.diff(values) < 0  # no threshold between rows of equal odds
    cuts = (np.where(may_cut, s, -1).argmax() for s in (f1, balanced_accuracy))
    return tuple((values[i] + values[i + 1]) / 2 for i in cuts)


# -- all splits ----------------------------------------------------------------------


def missing(task: Task, split: int, raw: pd.DataFrame) -> list[str]:
    """Return the levers that are still missing for this split."""
    name = Path(task.name).stem
    done = raw.loc[(raw["set"] == name) & (raw["split"] == split), "lever"]
    is_mild = task.y.sum() >= 0.3 * (1 - task.y).sum()
    left_out = {*done, TWO_STEPS} if is_mild else {*done}
    return [lever for lever in KINDS if lever not in left_out]


def run(jobs: list[Any], path: Path, n_jobs: int) -> pd.DataFrame:
    """Append the records of each finished job to a file; return the whole file."""
    start = time.perf_counter()
    parallel = Parallel(n_jobs, return_as="generator_unordered")
    for done, records in enumerate(parallel(jobs), 1):
        frame = pd.DataFrame(records)
        frame.to_csv(path, mode="a", header=not path.exists(), index=False)
        minutes = (time.perf_counter() - start) / 60
        print(
            f"{done} of {len(jobs)} jobs after {minutes:.1f} min "
            f"(about {minutes * (len(jobs) / done - 1):.1f} to go)",
            flush=True,
        )
    return pd.read_csv(path)


def summarise(raw: pd.DataFrame) -> pd.DataFrame:
    """Compute means over the sets and differences to the baseline."""
    values = raw.set_index(KEY)[[*METRICS, "seconds"]]
    baseline = values.xs(BASELINE, level="lever")
    delta = values - baseline.reindex(values.index.droplevel("lever")).to_numpy()
    per_set = delta[list(METRICS)].groupby(["lever", "set"]).mean()
    gain = per_set * [1 if is_gain else -1 for _, is_gain in METRICS.values()]
    by_lever = per_set.groupby("lever")
    columns = [
        raw.groupby("lever")["is_calibrated"].all(),
        by_lever.size().rename("sets"),
        values[list(METRICS)].groupby(["lever", "set"]).mean().groupby("lever").mean(),
        # the median ignores the first fit of a process, which loads torch
        values["seconds"].groupby(["lever", "set"]).median().groupby("lever").mean(),
        by_lever.mean().add_suffix("_delta"),
        by_lever.sem().add_suffix("_se"),
        (gain > TIE).groupby("lever").sum().add_suffix("_wins"),
        (gain < -TIE).groupby("lever").sum().add_suffix("_losses"),
    ]
    table = pd.concat(columns, axis=1)
    table.insert(0, "kind", pd.Series(KINDS))
    return table.loc[[name for name in KINDS if name in table.index]].reset_index()


# -- output --------------------------------------------------------------------------


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as it is printed and shown in the documentation."""
    shown = pd.DataFrame({"AP": table["average_precision"].map("{:.3f}".format)})
    for metric, (title, _) in METRICS.items():
        delta, error = table[f"{metric}_delta"], table[f"{metric}_se"]
        pairs = zip(delta, error, strict=True)
        shown[f"Δ {title}"] = [f"{d:+.4f} ± {e:.4f}" for d, e in pairs]
    ahead, behind = (table[f"average_precision_{end}"] for end in ("wins", "losses"))
    shown.insert(2, "wins / losses", ahead.astype(str) + " / " + behind.astype(str))
    shown["fit [s]"] = table["seconds"].map("{:.2f}".format)
    return shown.set_index(table["lever"].rename("lever"))


def print_table(table: pd.DataFrame) -> None:
    print("\n" + formatted(table).rename_axis(None).to_string())
    print(
        f"""
Differences to {BASELINE!r}: mean over the tables ± standard error. Wins and losses
count tables by average precision. Log loss (lower is better) is under the class prior
of the data, for losses without an inverse of the softmax."""
    )


# Colours of Okabe and Ito. The markers distinguish the kinds without colour.
STYLES = {
    "losses": {"color": "#0072B2", "fmt": "o"},
    "weights": {"color": "#D55E00", "fmt": "s"},
    "samplers": {"color": "#009E73", "fmt": "^"},
    "combinations": {"color": "#CC79A7", "fmt": "D"},
}


def draw(table: pd.DataFrame) -> Any:
    """Draw the differences to the baseline from `levers.csv`, one panel per metric."""
    import matplotlib.pyplot as plt

    table = table[table["lever"] != BASELINE].reset_index(drop=True)
    is_first = table["kind"] != table["kind"].shift()
    places = table.index + 0.8 * (is_first.cumsum() - 1)  # a gap between the kinds
    size = (11.5, 0.24 * places.max() + 1.4)
    figure, axes = plt.subplots(1, 4, sharey=True, figsize=size, layout="constrained")
    for ax, metric in zip(axes, METRICS, strict=True):
        draw_panel(ax, table, places, metric)
    axes[0].set_yticks(places, table["lever"])
    axes[0].set_ylim(places.max() + 0.8, -0.8)
    figure.supxlabel(
        f"Difference to {BASELINE}: mean over tables ± standard error. Hollow: a loss "
        "without an inverse. Number: outside the panel.",
        fontsize="medium",
    )
    handles, kinds = axes[0].get_legend_handles_labels()
    figure.legend(handles, kinds, loc="outside upper center", ncols=4, frameon=False)
    return figure


def draw_panel(ax: Any, table: pd.DataFrame, places: pd.Series, metric: str) -> None:
    """Draw one metric; a lever outside the panel is shown as a number."""
    delta, error = table[f"{metric}_delta"], table[f"{metric}_se"].fillna(0.0)
    reach = 1.2 * (delta.abs() + error).quantile(0.85)
    ax.axvline(0, color="0.5", linewidth=1)
    for kind, is_calibrated in itertools.product(STYLES, (True, False)):
        is_shown = (table["kind"] == kind) & (table["is_calibrated"] == is_calibrated)
        rows = is_shown & (delta.abs() < reach)
        fill = {"label": kind} if is_calibrated else {"markerfacecolor": "white"}
        style = {**STYLES[kind], **fill, "markersize": 5}
        ax.errorbar(delta[rows], places[rows], xerr=error[rows], **style)
    for i in np.flatnonzero(delta.abs() >= reach):
        at, text = (np.sign(delta[i]) * reach, places[i]), f"{delta[i]:+.2f}"
        color, end = STYLES[table["kind"][i]]["color"], "right" if at[0] > 0 else "left"
        ax.text(*at, text, ha=end, va="center", color=color)
    title, more_is_better = METRICS[metric]
    better = "right is better →" if more_is_better else "← left is better"
    ax.set_title(f"{title}\n{better}", fontsize="medium")
    ax.set_xlim(-reach, reach)
    ax.grid(axis="y", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--early-stopping", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("docs/guide/results"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    stem = "levers_early_stopping" if args.early_stopping else "levers"
    path = args.output / f"{stem}_raw.csv"
    raw = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEY)
    tables = (args.data / f"{name}.parquet" for name in args.sets)
    tasks = [own_table(table, "target", None, seed=0) for table in tables]
    tasks.sort(key=lambda task: task.X.size, reverse=True)  # long jobs first
    jobs = [
        delayed(run_split)(task, split, names, args.early_stopping)
        for task in tasks
        for split in range(args.splits)
        if (names := missing(task, split, raw))
    ]
    raw = run(jobs, path, args.jobs)
    chosen = raw["set"].isin(args.sets) & (raw["split"] < args.splits)
    table = summarise(raw[chosen & raw["lever"].isin(list(KINDS))])
    table.to_csv(args.output / f"{stem}.csv", index=False, float_format="%.5g")
    formatted(table).to_csv(args.output / f"{stem}_table.csv")
    print_table(table)


if __name__ == "__main__":
    main()
