"""Measure how time and memory of a fit grow with rows, columns, classes and members.

Each fit trains one epoch in a fresh process with one thread, of the network "mlp" and
of the default, "tabular" with its eight members. One of four numbers grows, the others
stay as in ``BASE``. So the seconds of a fit include what is done once: checks,
statistics of the columns, folds, calibration, and the search of neighbours (default
network, up to 65,536 rows). What is drawn are seconds of the processor, which other
programs on the machine hardly change; with one thread they are those of the clock on
an idle machine. Linux only, because of the memory measurement::

    python examples/benchmarks/scale_growth.py --results docs/guide/results
    python examples/benchmarks/scale_growth.py --quick --lines "rows mlp"

``--quick`` ends at a million rows, 1,000 columns, 100 classes and 16 members.
``--lines`` takes beginnings of lines such as "rows mlp" or "columns". The folder
``--results`` receives ``scale_growth.csv``, where lines that are not measured stay as
they are. ``docs/guide/plots/scale_growth.py`` draws it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scaling import MB, is_answered, measured, run_apart

from imbalnet import BalancedNeuralClassifier

BASE = {"rows": 20_000, "columns": 30, "classes": 2}
GROWING = {
    "rows": [10_000, 100_000, 1_000_000, 10_000_000, 20_000_000],
    "columns": [10, 30, 100, 300, 1_000, 3_000],
    "classes": [2, 10, 30, 100, 300, 1_000],
    "members": [1, 2, 4, 8, 16, 32],
}
QUICK = {"rows": 1_000_000, "columns": 1_000, "classes": 100, "members": 16}
SMOKE = {"rows": 10_000, "columns": 30, "classes": 10, "members": 2}
MODULES = ["mlp", "tabular"]


# -- one fit -------------------------------------------------------------------------


def fit_measured(
    module: str, rows: int, columns: int, classes: int, members: int | str = "auto"
) -> dict[str, float]:
    """Fit a generated table, after a small fit that loads all libraries."""
    params: Any = {
        "module": module,
        "n_members": members,
        "max_epochs": 1,
        "device": "cpu",
        "random_state": 0,
    }
    BalancedNeuralClassifier(**params).fit(*make_table(2_000, 30, 2))
    X, y = make_table(rows, columns, classes)
    start = time.process_time()
    seconds, peak = measured(BalancedNeuralClassifier(**params), X, y)
    found = {"seconds": seconds, "cpu_seconds": time.process_time() - start}
    return {**found, "peak_mb": peak, "table_mb": X.nbytes / MB}


def make_table(rows: int, columns: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw normal float32 columns; the first one tells of the class.

    The frequencies of classes fall in proportion to their number, down to a quarter of
    the mean; of two classes the second one has 15 % of the rows.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, columns), dtype=np.float32)
    shares = (
        np.array([0.85, 0.15]) if classes == 2 else np.linspace(1.75, 0.25, classes)
    )
    y = rng.choice(classes, size=rows, p=shares / shares.sum())
    X[:, 0] += y / classes
    return X, y


# -- all fits ------------------------------------------------------------------------


def lines_of(beginnings: list[str]) -> list[tuple[str, str]]:
    """Return pairs of what grows and a network, by beginnings of their names."""
    pairs = [(axis, module) for axis in GROWING for module in MODULES]
    return [pair for pair in pairs if " ".join(pair).startswith(tuple(beginnings))]


def measure(axis: str, module: str, most: float) -> pd.DataFrame:
    """Return a line for each value of what grows."""
    records = []
    for value in (value for value in GROWING[axis] if value <= most):
        found = run_apart(__file__, {"module": module, **BASE, axis: value})
        records.append({"growing": axis, "module": module, "value": value, **found})
        print(
            f"{module}, {value:,} {axis}: {found['cpu_seconds']:.2f} s, "
            f"{found['peak_mb']:,.0f} MB beside a table of {found['table_mb']:,.0f} MB",
            flush=True,
        )
    return pd.DataFrame(records)


def slope(x: Any, y: Any) -> float:
    """Return the slope in logarithms over the upper half, where the work dominates."""
    x, y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    upper = x >= x.mean()
    if upper.sum() < 2:
        return np.nan
    return float(np.polyfit(x[upper], y[upper], 1)[0])


def save(table: pd.DataFrame, folder: Path) -> None:
    """Write the table, with the lines of earlier runs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "scale_growth.csv"
    if path.exists():
        key = ["growing", "module"]
        before = pd.read_csv(path)
        is_new = before.set_index(key).index.isin(table.set_index(key).index)
        table = pd.concat([before[~is_new], table])
    table.to_csv(path, index=False, float_format="%.4g")


# -- picture -------------------------------------------------------------------------


def draw(table: pd.DataFrame) -> Any:
    """Draw seconds and memory by what grows, from `scale_growth.csv`."""
    import matplotlib.pyplot as plt

    names = {"cpu_seconds": "Processor seconds", "peak_mb": "MB beside the table"}
    figure, axes = plt.subplots(
        len(names), len(GROWING), sharex="col", figsize=(11, 5.6), layout="constrained"
    )
    for column, axis in enumerate(GROWING):
        lines = table[table["growing"] == axis].sort_values("value")
        for row, quantity in enumerate(names):
            draw_lines(axes[row, column], lines, quantity)
        axes[-1, column].set_xlabel(axis.capitalize())
    for row, name in enumerate(names.values()):
        axes[row, 0].set_ylabel(name)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def draw_lines(ax: Any, lines: pd.DataFrame, quantity: str) -> None:
    """Draw a line for each network, and the slopes above."""
    from matplotlib.ticker import LogLocator

    slopes = []
    for (module, line), color, marker in zip(
        lines.groupby("module"), ["#0072B2", "#D55E00"], "os", strict=True
    ):
        x, y = line["value"], line[quantity]
        ax.plot(x, y, color=color, marker=marker, lw=2, label=f'module="{module}"')
        slopes.append(f"{slope(x, y):.2f}")
    ax.set_title(f"slopes {', '.join(slopes)}", fontsize=10)
    ax.set(xscale="log", yscale="log")
    # the labels of one decade alone would be too few
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.yaxis.set_major_formatter("{x:,g}")
    ax.minorticks_off()
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", nargs="+", default=[""], help="beginnings of lines")
    parser.add_argument("--quick", action="store_true", help="without the largest")
    parser.add_argument("--results", type=Path, help="folder for the csv")
    parser.add_argument("--smoke", action="store_true", help="the smallest alone")
    parser.add_argument("--fit", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if is_answered(args.fit, fit_measured):
        return
    if not lines_of(args.lines):
        parser.error("--lines names no line, such as 'rows mlp' or 'columns'.")
    most = SMOKE if args.smoke else QUICK if args.quick else {}
    for axis, module in lines_of(args.lines):
        table = measure(axis, module, most.get(axis, np.inf))
        if args.results:
            save(table, args.results)


if __name__ == "__main__":
    main()
