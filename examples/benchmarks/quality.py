"""Compare the default estimator with ten other models on real imbalanced tables.

Stratified splits into 70 % training and 30 % test rows: five splits of each of the
twenty tables of at most 60,000 rows, and one split of the three larger ones
(``--large``). Every model has its defaults, gets data prepared as its documentation
asks (``quality_peers.py``), runs on one thread, and takes the number of the split as
its seed. The script compares average precision (for more than two classes, the mean of
one-vs-rest), log loss, and the seconds of ``fit`` including the preparation::

    OMP_NUM_THREADS=1 python examples/benchmarks/quality.py --data FOLDER
    OMP_NUM_THREADS=1 python examples/benchmarks/quality.py --data FOLDER --large

FOLDER contains the tables of ``--sets`` (``oil_spill.parquet`` and so on). Their column
``target`` contains the labels 0, 1, ...; of two classes, 1 is the rarer one. Install
CatBoost, LightGBM and XGBoost first. ``--ablations`` compares variants of the
estimator, and CatBoost, instead of the other models. ``--report`` fits nothing and only
repeats the tables and the picture.

The folder ``--output`` receives

- ``quality_raw.csv``: every fit. An interrupted run continues there. Delete the file,
  or the lines of failed fits, to repeat them.
- ``quality.csv``: a line for each table and model (``quality_large.csv`` with
  ``--large``).
- ``quality_summary.csv``: a line for each model.
- ``quality_table.csv``: the same for the documentation.
- ``quality.png``: the picture.

The summary contains the tables that both the estimator and CatBoost have finished, and
the models that have finished all splits of these tables.

Each fit on a large table runs in a process of its own. The script reports the peak
memory of ``fit`` minus the memory before (Linux only). The first fit of a process may
need seconds to load a library, so the times are medians over the splits. If the machine
does other work, ``fit_cpu_seconds`` are the fairer times.
"""

from __future__ import annotations

import argparse
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from quality_peers import ABLATIONS, LARGE_PEERS, OURS, PEERS, REFERENCE, build
from scipy.stats import studentized_range
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import StratifiedShuffleSplit

KEY = ["set", "split", "model"]
AP = "average_precision"
COSTS = ["fit_seconds", "fit_cpu_seconds", "predict_seconds", "peak_mb"]
MEASURED = [AP, "log_loss", *COSTS]
# Sorted by the number of rows.
SMALL = [
    "haberman",
    "ecoli_imu",
    "arrhythmia",
    "cervical",
    "oil_spill",
    "auto_claims",
    "german_credit",
    "yeast",
    "attrition",
    "us_crime",
    "sba_loans",
    "ozone_8hr",
    "thyroid_sick",
    "abalone_19",
    "compas_violent",
    "wine_quality_le4",
    "travel_insurance",
    "phoneme",
    "polish_bankruptcy_5y",
    "hmeq",
    "satimage",
    "telco",
    "ann_thyroid",
    "ai4i",
    "credit_risk_10k",
    "jm1",
    "mammography",
    "creditcard_subset",
    "letter_img",
    "credit_default",
    "bank_marketing",
    "adult",
    "shuttle",
]
LARGE = ["cover_4v2", "census_kdd", "heart_2020"]


# -- one fit -------------------------------------------------------------------------


def fit_and_score(path: Path, split: int, name: str) -> dict[str, Any]:
    """Train and test one model on one split."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    table = pd.read_parquet(path)
    y = table.pop("target").to_numpy()
    # split k is the same however many splits there are
    splitter = StratifiedShuffleSplit(split + 1, test_size=0.3, random_state=0)
    train, test = list(splitter.split(y, y))[split]
    X, X_test = (table.iloc[rows].reset_index(drop=True) for rows in (train, test))
    del table
    before = reset_peak()
    start, cpu_start = time.perf_counter(), time.process_time()
    model = build(name, X, seed=split).fit(X, y[train])
    fitted, cpu_fitted = time.perf_counter(), time.process_time()
    peak = memory("VmHWM") - before
    p = np.asarray(model.predict_proba(X_test), dtype=np.float64)
    end = time.perf_counter()
    return {
        **scores(y[test], p / p.sum(axis=1, keepdims=True)),
        "fit_seconds": fitted - start,
        "fit_cpu_seconds": cpu_fitted - cpu_start,
        "predict_seconds": end - fitted,
        "peak_mb": peak,
    }


def scores(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return average precision (macro, over the present classes) and log loss."""
    classes = np.arange(p.shape[1])
    watched = [1] if len(classes) == 2 else np.unique(y)
    precision = [average_precision_score(y == k, p[:, k]) for k in watched]
    return {
        AP: float(np.mean(precision)),
        "log_loss": log_loss(y, p, labels=classes),
    }


def reset_peak() -> float:
    """Reset the peak memory of the process; return its present size in MB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # only Linux has this file
        return np.nan
    return memory("VmRSS")


def memory(field: str) -> float:
    """Return a field of the process status in MB, or NaN without such a file."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    sizes = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return float(sizes[0]) / 1024 if sizes else np.nan


def fit_in_process(*args: Any) -> dict[str, Any]:
    """Fit and score in a process of its own, which alone may run out of memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(fit_and_score, *args).result()


def attempt(*args: Any, is_large: bool) -> dict[str, Any]:
    """Fit and score; if the model fails, return its error instead of scores."""
    try:
        if is_large:
            return {**fit_in_process(*args), "error": ""}
        with warnings.catch_warnings():
            # memory left by earlier fits in this process would distort the peak
            return {**fit_and_score(*args), "peak_mb": np.nan, "error": ""}
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return {**dict.fromkeys(MEASURED, np.nan), "error": text}


# -- all fits ------------------------------------------------------------------------


def run(args: argparse.Namespace, path: Path) -> None:
    """Run the fits that the file lacks, split by split, and append them."""
    done = set(read_raw(path)[KEY].itertuples(index=False, name=None))
    keys = [
        key
        for split in range(args.splits)
        for table in args.sets
        for name in args.models
        if (key := (table, split, name)) not in done
    ]
    start = time.perf_counter()
    for i, (table, split, name) in enumerate(keys, 1):
        source = args.data / f"{table}.parquet"
        record = attempt(source, split, name, is_large=args.large)
        row = pd.DataFrame([{"set": table, "split": split, "model": name, **record}])
        row.to_csv(path, mode="a", header=not path.exists(), index=False)
        minutes = (time.perf_counter() - start) / 60
        print(
            f"{i} of {len(keys)} after {minutes:.1f} min: split {split}, {table}, "
            f"{name}: AP {record[AP]:.4f}, "
            f"{record['fit_seconds']:.2f} s {record['error']}",
            flush=True,
        )


def read_raw(path: Path) -> pd.DataFrame:
    columns = [*KEY, *MEASURED, "error"]
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)


# -- tables --------------------------------------------------------------------------


def by_set(raw: pd.DataFrame, n_splits: int) -> pd.DataFrame:
    """Compute means and medians over the splits, for models that have all of them."""
    groups = raw.dropna(subset=AP).groupby(["set", "model"])
    columns = [
        groups.size().rename("splits"),
        groups[[AP, "log_loss"]].mean(),
        groups[COSTS].median(),
    ]
    table = pd.concat(columns, axis=1)
    return table[table["splits"] == n_splits]


def complete(table: pd.DataFrame, args: argparse.Namespace) -> pd.DataFrame:
    """Keep the sets that ours and CatBoost have, and the models with all of these."""
    precision = table[AP].unstack("model").reindex(args.sets, columns=args.models)
    has_any = precision.notna().any()
    both = [name for name in (args.ours, REFERENCE) if has_any.get(name, False)]
    sets = precision.index[precision[both].notna().all(axis=1)]
    models = precision.columns[precision.loc[sets].notna().all()]
    for kind, kept in (("sets", sets), ("models", models)):
        left_out = [name for name in getattr(args, kind) if name not in kept]
        if left_out:
            print(f"\nIncomplete {kind}, left out: {', '.join(left_out)}.")
    return table.loc[[(name, model) for name in sets for model in models]]


def summarise(table: pd.DataFrame, ours: str) -> pd.DataFrame:
    """Compute means over the sets, ranks and differences to ours for each model."""
    precision = table[AP].unstack("model")
    others = table.unstack("model")
    best = precision.eq(precision.max(axis=1), axis=0)
    mine = precision.get(ours, np.nan)
    delta = precision.sub(mine, axis=0)
    columns = {
        "sets": precision.count(),
        AP: precision.mean(),
        "mean_rank": precision.rank(axis=1, ascending=False).mean(),
        "wins": best.sum(),
        "log_loss": others["log_loss"].median(),
        "fit_seconds": others["fit_seconds"].median(),
        "fit_cpu_seconds": others["fit_cpu_seconds"].median(),
        "delta": delta.mean(),
        "delta_se": delta.sem(),
    }
    return pd.DataFrame(columns).sort_values("mean_rank").reset_index()


def formatted(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the summary as it is printed and shown in the documentation."""
    pairs = zip(summary["delta"], summary["delta_se"], strict=True)
    return pd.DataFrame(
        {
            "model": summary["model"],
            "AP": summary[AP].map("{:.3f}".format),
            "Δ AP": [f"{d:+.4f} ± {e:.4f}" if e > 0 else "" for d, e in pairs],
            "mean rank": summary["mean_rank"].map("{:.2f}".format),
            "wins": summary["wins"],
            "log-loss": summary["log_loss"].map("{:.3f}".format),
            "fit [CPU s]": summary["fit_cpu_seconds"].map("{:.2f}".format),
        }
    ).set_index("model")


def formatted_large(table: pd.DataFrame) -> pd.DataFrame:
    """Return columns for each large table; a star marks the best peer."""
    shown = table.reset_index()
    peers = table.drop(index=OURS, level="model", errors="ignore")
    is_best = shown.set_index(["set", "model"]).index.isin(
        peers.groupby("set")[AP].idxmax()
    )
    shown["AP"] = shown[AP].map("{:.4f}".format) + np.where(is_best, "*", " ")
    shown["fit [CPU s]"] = shown["fit_cpu_seconds"].map("{:.1f}".format)
    shown["peak [MB]"] = shown["peak_mb"].map("{:.0f}".format)
    cells = shown.pivot(
        index="model", columns="set", values=["AP", *shown.columns[-2:]]
    )
    order = [name for name in [OURS, *PEERS, *ABLATIONS] if name in cells.index]
    return cells.swaplevel(axis=1).sort_index(axis=1).loc[order]


def print_failures(raw: pd.DataFrame) -> None:
    failed = raw[raw[AP].isna()]
    for row in failed.itertuples():
        print(f"\nFailed: {row.model} on {row.set}, split {row.split}: {row.error}")


def report(args: argparse.Namespace, raw: pd.DataFrame) -> None:
    """Write and print the tables and draw the picture from the fits so far."""
    wanted = raw["set"].isin(args.sets) & raw["model"].isin(args.models)
    raw = raw[wanted & (raw["split"] < args.splits)]
    print_failures(raw)
    table = by_set(raw, args.splits)
    path = args.output / f"{args.stem}.csv"
    table.to_csv(path, float_format="%.5g")
    if args.large and len(table):
        cells = formatted_large(table)
        print("\n" + cells.to_string())
        cells.columns = [f"{name}, {what}" for name, what in cells.columns]
        cells = cells.filter(regex="AP|fit")  # the page has no room for more
        cells.to_csv(path.with_stem(f"{args.stem}_table"))
        return
    table = complete(table, args)
    if table.empty:
        return
    summary = summarise(table, args.ours)
    of_models = path.with_stem(f"{args.stem}_summary")
    summary.to_csv(of_models, float_format="%.5g", index=False)
    cells = formatted(summary)
    cells.to_csv(path.with_stem(f"{args.stem}_table"))
    print("\n" + cells.rename_axis(None).to_string())
    print(
        f"""
{summary["sets"].max()} tables, {args.splits} split(s). AP: mean over the tables.
Δ AP: AP minus that of {args.ours}, mean ± standard error over the tables. Wins: tables
with the highest AP. Log loss and seconds: medians over the tables."""
    )
    if {args.ours, REFERENCE} <= set(summary["model"]) and not args.ablations:
        kept = raw[raw["set"].isin(table.index.unique("set"))]
        figure = draw(kept, summary, args.ours)
        figure.savefig(args.output / f"{args.stem}.png", dpi=200)


# -- picture -------------------------------------------------------------------------

# Colours of Okabe and Ito. The markers distinguish ours and CatBoost without colour.
AHEAD, BEHIND, OTHERS = "#0072B2", "#D55E00", "0.45"


def draw(raw: pd.DataFrame, summary: pd.DataFrame, ours: str) -> Any:
    """Draw differences to CatBoost by table, and mean ranks of all models."""
    import matplotlib.pyplot as plt

    with plt.rc_context({"font.size": 9}):
        figure, axes = plt.subplots(
            1, 2, figsize=(8, 5), layout="constrained", width_ratios=[1.15, 1]
        )
        draw_differences(axes[0], raw, ours)
        draw_ranks(axes[1], summary, ours)
    for ax in axes:
        ax.set_axisbelow(True)
        ax.grid(axis="y", color="0.92")
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
    return figure


def draw_differences(ax: Any, raw: pd.DataFrame, ours: str) -> None:
    """Draw the difference of average precision to CatBoost for each table, sorted.

    A table outside the panel is shown as a number.
    """
    values = raw.set_index(KEY)[AP].unstack("model")
    by_table = (values[ours] - values[REFERENCE]).groupby("set")
    frame = pd.DataFrame({"mean": by_table.mean(), "std": by_table.std()})
    frame = frame.sort_values("mean").reset_index()
    reach = 1.1 * frame["mean"].abs().add(frame["std"].fillna(0.0)).quantile(0.9)
    ax.axvline(0, color="0.5", linewidth=1)
    for color, sign in ((AHEAD, 1), (BEHIND, -1)):
        rows = frame[np.where(frame["mean"] < 0, -1, 1) == sign]
        is_out = rows["mean"].abs() >= reach
        inner, outer = rows[~is_out], rows[is_out]
        style = {"fmt": "o", "color": color, "markersize": 4.5, "linewidth": 1.2}
        ax.errorbar(inner["mean"], inner.index, xerr=inner["std"], **style)
        place = {"ha": "right" if sign > 0 else "left", "va": "center"}
        for i in outer.index:
            text = f"{outer['mean'][i]:+.2f} ± {outer['std'][i]:.2f}"
            ax.text(sign * reach, i, text, color=color, **place)
    ax.set_yticks(frame.index, frame["set"])
    ax.set_ylim(-0.6, len(frame) - 0.4)
    ax.set_xlim(-reach, reach)
    ax.set_xlabel(
        f"Average precision: {ours} less {REFERENCE}\n"
        f"mean ± standard deviation of {raw['split'].nunique()} splits"
    )
    ax.set_title(f"← {REFERENCE} is better   {ours} is better →", fontsize=9)


def draw_ranks(ax: Any, summary: pd.DataFrame, ours: str) -> None:
    """Draw mean ranks, best on top, with Nemenyi's critical difference to the best."""
    ranks, n_sets = summary["mean_rank"], summary["sets"].max()
    n_models = len(ranks)
    quantile = studentized_range.ppf(0.95, n_models, np.inf) / np.sqrt(2)
    difference = quantile * np.sqrt(n_models * (n_models + 1) / (6 * n_sets))
    ax.axvspan(ranks[0], ranks[0] + difference, color="0.94", linewidth=0)
    ax.hlines(summary.index, 1, ranks, color="0.85", linewidth=1)
    for i, name in enumerate(summary["model"]):
        color, marker = {ours: (AHEAD, "D"), REFERENCE: (BEHIND, "s")}.get(
            name, (OTHERS, "o")
        )
        ax.plot(ranks[i], i, marker, color=color, markersize=6)
        place = {"xytext": (7, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(f"{ranks[i]:.1f}", (ranks[i], i), **place)
    ax.set_yticks(summary.index, summary["model"])
    ax.set_ylim(n_models - 0.4, -0.6)
    ax.set_xlim(1, ranks.max() + 1)
    ax.set_xlabel(
        f"1 is best, {n_sets} tables. Shaded: the\ncritical difference (Nemenyi, 5 %)"
    )
    ax.set_title("Mean rank of average precision", fontsize=9)


# -- command line --------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--sets", nargs="+", help="default: all tables of the group")
    parser.add_argument("--models", nargs="+", help="default: ours and the peers")
    parser.add_argument("--splits", type=int, help="default: 5; 1 with --large")
    parser.add_argument("--large", action="store_true", help="use the larger tables")
    parser.add_argument("--ablations", action="store_true", help="variants of ours")
    parser.add_argument("--report", action="store_true", help="fit nothing")
    parser.add_argument("--ours", default=OURS, help="model to compare the others with")
    parser.add_argument("--raw", type=Path, help="default: quality_raw.csv in --output")
    parser.add_argument("--output", type=Path, default=Path("docs/guide/results"))
    args = parser.parse_args()
    peers = [REFERENCE] if args.ablations else LARGE_PEERS if args.large else [*PEERS]
    variants = [*ABLATIONS] if args.ablations else []
    args.models = args.models or [*peers, OURS, *variants]
    args.sets = args.sets or (LARGE if args.large else SMALL)
    args.splits = args.splits or (1 if args.large else 5)
    args.raw = args.raw or args.output / "quality_raw.csv"
    endings = [kind for kind in ("ablations", "large") if getattr(args, kind)]
    args.stem = "_".join(["quality", *endings])
    return args


def main() -> None:
    args = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    if not args.report:
        run(args, args.raw)
    raw = read_raw(args.raw)
    own = args.output / "quality_raw.csv"
    if own != args.raw:
        raw.to_csv(own, float_format="%.6g", index=False)
    report(args, raw)


if __name__ == "__main__":
    main()
