"""Compare the time and memory of the classifier with other ways to do the same work.

Each case "A / B" measures pairs of A ("ours") and B ("other") in turn. It reports the
median ratio with its quartiles, and the limit that the project promises, if any. The
first pair warms up and does not count. Each case runs in a process of its own, with one
thread (``OMP_NUM_THREADS=1``) unless its title says "default threads". The script exits
with status 1 if a limit is broken::

    python examples/benchmarks/speed.py --results docs/guide/results
    python examples/benchmarks/speed.py --cases epoch predict
    python examples/benchmarks/speed.py --device cuda

``--cases`` takes beginnings of names (``--list`` shows the names). The folder
``--results`` receives ``speed.csv`` (or ``speed_cuda.csv``) and a text file with the
machine.

The table is generated: 30 normal columns in float32, 14 % positives. An epoch is the
faster of two, without validation, in a network of ReLU layers with the given widths.
The loop by hand (``bare_loops.py``) has its columns standardised beforehand, and checks
and records nothing. It draws its batches in two ways, and the faster one counts. The
time of the classifier includes standardising and squashing outliers. In prediction, it
includes the input checks and a softmax in float64.

Memory is the peak during ``fit``, minus the memory of the process with the table loaded
(Linux only).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scaling import environment
from speed_cases import CASES, Case

COLUMNS = ["case", "ours", "other", "ratio", "quartiles", "limit"]
SMOKE = 50  # a smoke test divides the rows by this


# -- processes -----------------------------------------------------------------------


def run_apart(names: list[str], options: list[str]) -> dict[str, dict[str, Any]]:
    """Run cases in one fresh process; cases after a failure are missing."""
    command = [sys.executable, __file__, "--run", *names, *options]
    env = environment(one_thread=CASES[names[0]].one_thread)
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(line) for line in done.stdout.splitlines())


def run_here(names: list[str], n_repeats: int | None, is_smoke: bool) -> None:
    warnings.filterwarnings("ignore", "A class has")  # few rows in a smoke test
    for name in names:
        case = CASES[name]
        n = n_repeats or (0 if is_smoke else case.n_repeats)
        result = case.run(n, SMOKE if is_smoke else 1)
        print(json.dumps([name, result]), flush=True)


def chosen(beginnings: list[str], device: str) -> list[str]:
    return [
        name
        for name, case in CASES.items()
        if case.device == device and name.startswith(tuple(beginnings))
    ]


# -- output --------------------------------------------------------------------------


def machine(device: str) -> str:
    """Describe processor and versions."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line[:10] == "model name"]
    packages = ("torch", "scikit-learn", "skorch", "numpy")
    parts = [
        models[0] if models else platform.processor() or platform.machine(),
        f"{os.cpu_count()} cores",
        *([torch.cuda.get_device_name()] if device == "cuda" else []),
        f"{platform.system()}, Python {platform.python_version()}",
        *(f"{name} {importlib.metadata.version(name)}" for name in packages),
    ]
    return ", ".join(parts)


def quantity(value: float, unit: str) -> str:
    """Format a value with three digits and its unit."""
    if unit == "s" and value < 1:
        value, unit = 1000 * value, "ms"
    n_digits = max(0, 2 - int(np.floor(np.log10(max(value, 1e-3)))))
    return f"{value:,.{n_digits}f} {unit}"


def record(case: Case, result: dict[str, Any] | None) -> dict[str, str]:
    """Return a line of the table; None as result means that the case failed."""
    least = "at least " if case.more_is_better else ""
    limit = "" if case.limit is None else f"{least}{case.limit:.2f}"
    line = {**dict.fromkeys(COLUMNS, ""), "case": case.title, "limit": limit}
    if result is None or "skipped" in result:
        return {**line, "ratio": "failed" if result is None else "skipped"}
    ours, other = np.transpose(result["pairs"])
    low, ratio, high = np.quantile(ours / other, [0.25, 0.5, 0.75])
    return {
        **line,
        "ours": quantity(np.median(ours), case.unit),
        "other": quantity(np.median(other), case.unit),
        "ratio": f"{ratio:.3f}" if case.keeps(ratio) else f"{ratio:.3f} (broken)",
        "quartiles": f"{low:.3f} to {high:.3f}",
    }


def report(names: list[str], results: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Print the table and why cases were skipped; return the table."""
    table = pd.DataFrame([record(CASES[name], results.get(name)) for name in names])
    print("\n" + table.to_string(index=False))
    for name in names:
        reason = results.get(name, {}).get("skipped")
        if reason:
            print(f"\n{CASES[name].title}: skipped, because {reason}")
    return table


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=[""], help="beginnings of names")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("--repeats", type=int, help="of each case; default: 7 or 3")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--results", type=Path, help="folder for the table")
    parser.add_argument("--smoke", action="store_true", help="tiny tables, once")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU that torch can use.")
    if not chosen(args.cases, args.device):
        parser.error(f"--cases names no case for {args.device}; see --list.")
    return args


def main() -> None:
    args = parse_arguments()
    if args.run:
        run_here(args.run, args.repeats, args.smoke)
        return
    names = chosen(args.cases, args.device)
    if args.list:
        print("\n".join(f"{name:20}{CASES[name].title}" for name in names))
        return
    description = machine(args.device)
    print(description)
    options = [f"--repeats={args.repeats}"] if args.repeats else []
    options += ["--smoke"] if args.smoke else []
    results: dict[str, dict[str, Any]] = {}
    # a smoke test runs all cases in one process, to import torch once
    for group in [names] if args.smoke else [[name] for name in names]:
        results |= run_apart(group, options)
        line = record(CASES[group[-1]], results.get(group[-1]))
        print(f"{group[-1]:20}{line['ratio']}", flush=True)
    table = report(names, results)
    if args.results:
        stem = "speed" if args.device == "cpu" else "speed_cuda"
        args.results.mkdir(parents=True, exist_ok=True)
        table.to_csv(args.results / f"{stem}.csv", index=False)
        (args.results / f"{stem}_machine.txt").write_text(f"{description}\n")
    broken = "failed" if args.smoke else "failed|broken"
    sys.exit(int(table["ratio"].str.contains(broken).any()))


if __name__ == "__main__":
    main()
