"""Compare thresholds from out-of-fold rows with scikit-learn's, and with costs of rows.

``BalancedNeuralClassifier(threshold="f1")`` chooses its threshold by the out-of-fold
rows of its members. ``TunedThresholdClassifierCV`` fits five more networks to choose
it, and a last one that predicts. Both are compared on three stratified 70/30 splits of
the ten tables of 900 to 5,000 rows that have two classes and at least 40 positives.
The networks that predict are the same, so that only the thresholds differ::

    OMP_NUM_THREADS=1 python examples/benchmarks/thresholds.py --data FOLDER

FOLDER contains the tables of ``--sets`` and telco, as for ``quality.py``. On telco,
decisions by the costs of each row are compared with those by one threshold. A customer
who leaves takes twelve monthly charges along. An offer costs 60 and keeps three of ten
of those who would leave.

The folder ``--output`` receives

- ``thresholds.csv``: a line for each table, split and way to choose. An interrupted run
  continues there. ``--report`` fits nothing and only repeats the tables.
- ``thresholds_table.csv``: the same for the documentation.
- ``thresholds_costs.csv``: costs of the decisions on telco.

Times are processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedShuffleSplit, TunedThresholdClassifierCV

from imbalnet import BalancedNeuralClassifier
from imbalnet.decisions import LeastCost, choose_threshold

SETS = [
    "oil_spill",
    "auto_claims",
    "german_credit",
    "attrition",
    "us_crime",
    "sba_loans",
    "ozone_8hr",
    "thyroid_sick",
    "compas_violent",
    "wine_quality_le4",
]
HALF, OURS, TUNED = "0.5", 'threshold="f1"', "TunedThresholdClassifierCV"
OFFER, KEPT, MONTHS = 60.0, 0.3, 12
BY_ROW, BY_MEAN, BY_F1 = "costs of each row", "one threshold for costs", "best F1"


# -- F1 ------------------------------------------------------------------------------


def rows_of(path: Path, split: int) -> tuple[pd.DataFrame, np.ndarray, ...]:
    """Return training rows and labels, and test rows and labels."""
    table = pd.read_parquet(path)
    y = table.pop("target").to_numpy()
    splitter = StratifiedShuffleSplit(split + 1, test_size=0.3, random_state=0)
    train, test = list(splitter.split(y, y))[split]
    X, X_test = (table.iloc[rows].reset_index(drop=True) for rows in (train, test))
    return X, y[train], X_test, y[test]


def compare(path: Path, split: int) -> pd.DataFrame:
    """Return a line for each way to choose the threshold."""
    X, y, X_test, y_test = rows_of(path, split)
    start = time.process_time()
    clf = BalancedNeuralClassifier(random_state=split).fit(X, y)
    fitted = time.process_time()
    ours = clf.set_params(threshold="f1").threshold_
    chosen = time.process_time()
    tuned = TunedThresholdClassifierCV(
        BalancedNeuralClassifier(random_state=split), scoring="f1", cv=5
    ).fit(X, y)
    end = time.process_time()
    p = clf.predict_proba(X_test)[:, 1]
    fit = fitted - start
    lines = [
        (HALF, 0.5, f1_score(y_test, p > 0.5), 0.0, fit),
        (OURS, ours, f1_score(y_test, clf.predict(X_test)), chosen - fitted, fit),
        (
            TUNED,
            tuned.best_threshold_,
            f1_score(y_test, tuned.predict(X_test)),
            end - chosen - fit,
            fit,
        ),
    ]
    columns = ["way", "threshold", "f1", "choose_seconds", "fit_seconds"]
    return pd.DataFrame(lines, columns=columns)


def run(args: argparse.Namespace, path: Path) -> None:
    """Compare on the splits that the file lacks, and append them."""
    done = (
        pd.read_csv(path) if path.exists() else pd.DataFrame({"set": [], "split": []})
    )
    done = set(done[["set", "split"]].itertuples(index=False, name=None))
    for split in range(args.splits):
        for name in args.sets:
            if (name, split) in done:
                continue
            lines = compare(args.data / f"{name}.parquet", split)
            lines.insert(0, "set", name)
            lines.insert(1, "split", split)
            lines.to_csv(
                path,
                mode="a",
                header=not path.exists(),
                index=False,
                float_format="%.5g",
            )
            print(lines.to_string(header=False, index=False), flush=True)


def as_table(lines: pd.DataFrame) -> pd.DataFrame:
    """Return F1 by table and way, and how much longer the whole fit takes."""
    f1 = lines.pivot_table("f1", ["set", "split"], "way", sort=False)
    lines = lines.assign(total=lines["choose_seconds"] + lines["fit_seconds"])
    totals = lines.pivot_table("total", ["set", "split"], "way", sort=False)
    columns = f1[[HALF, OURS, TUNED]].assign(
        difference=f1[OURS] - f1[TUNED], time=totals[TUNED] / totals[OURS]
    )
    return columns.groupby("set", sort=False).mean()


def report(lines: pd.DataFrame, output: Path) -> None:
    """Write the table, and print differences and ratios of times."""
    table = as_table(lines)
    table.loc["mean"] = table.mean()
    formats = {HALF: "{:.3f}", OURS: "{:.3f}", TUNED: "{:.3f}"}
    formats |= {"difference": "{:+.3f}", "time": "{:.1f}"}
    shown = table.apply(lambda column: column.map(formats[column.name].format))
    shown.rename(
        columns={
            "difference": "second − third",
            "time": "time of the third / second",
        }
    ).rename_axis("table").to_csv(output / "thresholds_table.csv")
    by_table = table.drop(index="mean")
    error = by_table["difference"].std() / np.sqrt(len(by_table))
    print(shown.to_string())
    print(f"difference {by_table['difference'].mean():+.4f} ± {error:.4f} (tables)")
    gain = by_table[OURS] - by_table[HALF]
    print(f"over 0.5 {gain.mean():+.4f} ± {gain.std() / np.sqrt(len(gain)):.4f}")
    seconds = lines.groupby("way")[["choose_seconds", "fit_seconds"]].sum()
    print(seconds.assign(total=seconds.sum(axis=1)).to_string())


# -- costs of each row -----------------------------------------------------------------


def costs_of(X: pd.DataFrame) -> dict[tuple[int, int], np.ndarray | float]:
    """Return what decisions cost: (1, 0) is a customer who leaves without an offer."""
    lost = MONTHS * X["MonthlyCharges"].to_numpy()
    return {(1, 0): lost, (1, 1): OFFER + (1 - KEPT) * lost, (0, 1): OFFER}


def decisions_on_telco(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray, dict]:
    """Return decisions on test rows by each rule, labels, and costs."""
    X, y, X_test, y_test = rows_of(path, 0)
    clf = BalancedNeuralClassifier(random_state=0).fit(X, y)
    p, costs = clf.predict_proba(X_test)[:, 1], costs_of(X_test)
    of_training = costs_of(X)
    one_for_all = LeastCost(
        of_training[0, 1], of_training[1, 0], true_positive=of_training[1, 1]
    )
    return (
        {
            BY_ROW: clf.predict(X_test, cost_matrix=costs),
            BY_MEAN: p >= choose_threshold(y, clf.oof_proba_, one_for_all),
            BY_F1: p >= choose_threshold(y, clf.oof_proba_, "f1"),
            HALF: p > 0.5,
            "no offers": np.zeros(len(p)),
            "offers to all": np.ones(len(p)),
        },
        y_test,
        costs,
    )


def cost_of_rows(y: np.ndarray, called: np.ndarray, costs: dict) -> np.ndarray:
    """Return the cost of each decision."""
    of_pairs = [((y == t) & (called == c)) * cost for (t, c), cost in costs.items()]
    return np.sum(of_pairs, axis=0)


def compare_costs(path: Path, n_samples: int = 10_000) -> pd.DataFrame:
    """Return mean costs of a row, and intervals of differences to costs of each row.

    The bootstrap is paired: a sample of rows serves all rules.
    """
    decisions, y, costs = decisions_on_telco(path)
    of_rules = {rule: cost_of_rows(y, c, costs) for rule, c in decisions.items()}
    rng = np.random.default_rng(0)
    n_times = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=n_samples)
    lines = []
    for rule, cost in of_rules.items():
        excess = cost - of_rules[BY_ROW]
        low, high = np.quantile(n_times @ excess / len(y), [0.025, 0.975])
        interval = f"{excess.mean():.2f} ({low:.2f} to {high:.2f})"
        lines.append(
            {
                "decision": rule,
                "offers": f"{100 * np.mean(decisions[rule]):.0f} %",
                "cost of a customer": f"{cost.mean():.2f}",
                "more than by costs of each row": "" if rule == BY_ROW else interval,
            }
        )
    return pd.DataFrame(lines)


# -- command line --------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="fit nothing")
    parser.add_argument("--output", type=Path, default=Path("docs/guide/results"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    path = args.output / "thresholds.csv"
    if not args.report:
        costs = compare_costs(args.data / "telco.parquet")
        costs.to_csv(args.output / "thresholds_costs.csv", index=False)
        print(costs.to_string(index=False), flush=True)
        run(args, path)
    report(pd.read_csv(path, dtype={"way": str}), args.output)


if __name__ == "__main__":
    main()
