"""Check what imbalnet and other libraries can do, feature by feature, by running it.

Each library tries each feature on small data (``checks.py``), in the way that its
documentation gives (``networks.py``, ``scikit_learn.py``, ``boosting.py``). "yes" and
"partly" mean that the way was run and did what it should; "no" comes with what the
library said. Libraries that are not installed are left out::

    OMP_NUM_THREADS=1 python examples/benchmarks/features [--library NAME ...]

A library that needs other versions runs with the Python of its own environment and
``--library``; what is known of the others stays. The folder ``--output`` receives

- ``features_cells.csv``: a line for each library and feature, with the reason;
- ``features.csv``: the table of the documentation;
- ``features_partly.csv``: what it takes where a cell says "partly";
- ``features_versions.csv``: the versions that were run, and when.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import re
import time
import warnings
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import checks
from boosting import CatBoost, LightGBM
from library import Library, MissingError, NotRunError
from networks import Imbalnet, Pytabkit, Skorch
from scikit_learn import ImbalancedEnsemble, ImbalancedLearn, ScikitLearn

RESULTS = Path(__file__).parents[3] / "docs" / "guide" / "results"
CELL = ["group", "feature", "library", "verdict", "reason"]
LIBRARIES: list[Library] = [
    Imbalnet(),
    ScikitLearn(),
    Skorch(),
    ImbalancedLearn(),
    ImbalancedEnsemble(),
    Pytabkit(),
    LightGBM(),
    CatBoost(),
]
TITLES = [library.title for library in LIBRARIES]
CHECKS: dict[str, dict[str, Callable[[Library], Any]]] = {
    "Training": {
        "class weights as a parameter": checks.class_weight,
        "focal loss": checks.focal,
        "resampling in fit, after the validation split": checks.resampling,
        "early stopping by stratified rows that fit holds out": checks.early_stopping,
        "any torch network": checks.own_network,
    },
    "Probabilities and decisions": {
        "probabilities at the data's base rate, with class weights": checks.base_rate,
        "at another base rate, without a refit": checks.other_rate,
        "out-of-fold probabilities from one fit": checks.out_of_fold,
        "threshold for F1, by rows held out": checks.threshold_f1,
        "for a precision, an alert budget or costs": checks.threshold_limits,
        "decisions by the costs of each row": checks.row_costs,
    },
    "Tables": {
        "frame with words, gaps and unseen levels, as it comes": checks.raw_frame,
        "gaps among numbers": checks.gaps,
        "infinity is taken, or refused in words": checks.infinite,
        "sparse matrices": checks.sparse,
        "sample_weight in fit": checks.sample_weight,
        "20 classes with words as labels": checks.many_classes,
        "tables larger than memory": checks.larger,
        "several labels for each row": checks.multilabel,
        "regression": checks.regressor,
    },
    "Use": {
        "estimator checks of scikit-learn that fail": checks.estimator_check_failures,
        "pipelines and grid searches": checks.pipeline_search,
        "a fit that goes on": checks.goes_on,
        "ONNX": checks.onnx,
        "one fit in several processes": checks.processes,
        "monotone constraints": checks.monotone,
        "exact SHAP values of trees": checks.tree_shap,
        "importances of columns as an attribute": checks.importances,
        "works without torch": checks.without_torch,
        "processor seconds to fit 20,000 rows of 20 numbers": checks.cpu_seconds,
    },
}
# Versions that matter for more than one library.
SHARED = ["scikit-learn", "torch", "numpy", "pandas"]


def shortened(error: BaseException, most: int = 110) -> str:
    """Write an error in one line, without places in memory and files."""
    if isinstance(error, MissingError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r" at 0x\w+|/\S*/", "", " ".join(lines[:2]))
    text = re.sub(r"\s+", " ", text)
    text = text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " ..."
    if isinstance(error, AssertionError):
        return text
    return f"{type(error).__name__}: {text}"


def cell(library: Library, group: str, feature: str) -> dict[str, str]:
    """Run one check."""
    check = CHECKS[group][feature]
    used = getattr(library, check.__name__, None)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            figure = check(library)
        verdict = figure or ("partly" if getattr(used, "partly", False) else "yes")
        reason = getattr(used, "text", "")
    except NotRunError as error:
        verdict, reason = "not run", str(error)
    except Exception as error:
        verdict, reason = "no", shortened(error)
    return dict(
        zip(CELL, (group, feature, library.title, verdict, reason), strict=True)
    )


def cells_of(library: Library, only: list[str]) -> list[dict[str, str]]:
    """Run the checks of a library, and print them."""
    found = []
    for group, features in CHECKS.items():
        for feature in features:
            if not any(words in feature for words in only):
                continue
            start = time.perf_counter()
            found.append(line := cell(library, group, feature))
            seconds = time.perf_counter() - start
            print(
                f"{library.title:20}{feature[:50]:52}{line['verdict']:9}"
                f"{seconds:5.1f} s  {line['reason']}",
                flush=True,
            )
    return found


def versions_of(library: Library) -> dict[str, str]:
    """Return the versions that a library was run with."""
    line = {"library": library.title, "version": version(library.package)}
    others = []
    for package in SHARED:
        with contextlib.suppress(PackageNotFoundError):
            if package != library.package:
                others.append(f"{package} {version(package).split('+')[0]}")
    return line | {"with": ", ".join(others), "date": date.today().isoformat()}


def read(path: Path) -> list[dict[str, str]]:
    """Read a table, if there is one."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, lines: list[dict[str, str]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def merged(path: Path, new: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put new lines in place of those of the same library and feature."""
    place = {
        feature: i
        for i, feature in enumerate(f for group in CHECKS.values() for f in group)
    }
    lines = {
        (line["library"], line.get("feature", "")): line for line in read(path) + new
    }
    kept = [
        line
        for line in lines.values()
        if line["library"] in TITLES and line.get("feature", "") in {"", *place}
    ]
    kept.sort(
        key=lambda line: (
            place.get(line.get("feature", ""), -1),
            TITLES.index(line["library"]),
        )
    )
    write(path, kept)
    return kept


def wide(cells: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a line for each feature, with a column for each library."""
    titles = [title for title in TITLES if any(c["library"] == title for c in cells)]
    lines: dict[str, dict[str, str]] = {}
    for one in cells:
        empty = {"": one["feature"]} | dict.fromkeys(titles, "")
        lines.setdefault(one["feature"], empty)[one["library"]] = one["verdict"]
    return list(lines.values())


def partly_of(cells: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return what libraries need where they have a feature partly."""
    columns = ["feature", "library", "reason"]
    return [
        {name: one[name] for name in columns}
        for one in cells
        if one["verdict"] in ("partly", "not run")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", nargs="+", choices=TITLES, default=TITLES)
    parser.add_argument(
        "--feature", nargs="+", default=[""], help="only those with one of these words"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    warnings.simplefilter("ignore")  # of which small data has many
    for library in LIBRARIES:
        if library.title not in options.library or find_spec(library.module) is None:
            continue
        found = cells_of(library, options.feature)
        cells = merged(options.output / "features_cells.csv", found)
        write(options.output / "features.csv", wide(cells))
        if partly := partly_of(cells):
            write(options.output / "features_partly.csv", partly)
        merged(options.output / "features_versions.csv", [versions_of(library)])


if __name__ == "__main__":
    main()
