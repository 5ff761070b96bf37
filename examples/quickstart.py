"""Compare models and levers against imbalance in one table and one picture.

On handwritten digits from scikit-learn, one of them made rare (about a minute)::

    python examples/quickstart.py

On a table of your own, as it is in the file, with text columns and missing values::

    python examples/quickstart.py --data customers.csv --target churned --positive yes

Every model is trained and tested on the same repeated stratified splits. The picture
is saved in the folder ``--output``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_recall_curve,
)
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from imbalnet import BalancedNeuralClassifier
from imbalnet.posterior import shift_prior

TEST_SIZE = 0.4
FOLDS = 3  # of the grid search
FEWEST_POSITIVES = 10
MOST_CLASSES = 50
MOST_ROWS = 60_000

# Names in the table. The picture shows some of them, in the colours of Okabe and Ito.
# The line of the defaults is wide, so that it stays visible below another line.
BASELINE = "LogisticRegression"
PEER = "MLPClassifier (scikit-learn)"
NETWORK = "imbalnet, defaults"
TUNED = 'imbalnet, threshold="f1"'
SEARCH = "MLP, grid search"
SMOTE_FIRST = "SMOTE in front of the MLP"
PEERS = ("LogisticRegression", "MLPClassifier")  # prefixes of scikit-learn's models
CURVES = {
    BASELINE: ("black", "--", 2),
    PEER: ("#E69F00", "-.", 2),
    NETWORK: ("#56B4E9", "-", 4),
    SMOTE_FIRST: ("#CC79A7", (0, (5, 1, 1, 1, 1, 1)), 2),
    SEARCH: ("#D55E00", "-", 2),
}
COLUMNS = {
    "average_precision": "average precision",
    "mcc": "MCC",
    "f1": "F1",
    "balanced_accuracy": "balanced acc.",
    "log_loss": "log-loss",
    "seconds": "fit time [s]",
}

Scores = dict[str, dict[str, np.ndarray]]  # model -> column -> one value per split


@dataclass
class Task:
    """A two-class problem: features, 0/1 labels, and an encoder of the features."""

    name: str
    X: Any
    y: np.ndarray
    positive: str
    encoder: BaseEstimator | str = "passthrough"

    @property
    def prior(self) -> np.ndarray:
        return np.bincount(self.y) / len(self.y)

    def rows(self, index: np.ndarray) -> tuple[Any, np.ndarray]:
        X = self.X.iloc[index] if hasattr(self.X, "iloc") else self.X[index]
        return X, self.y[index]


# -- data ----------------------------------------------------------------------------


def rare_digit(seed: int, digit: int = 8, prevalence: float = 0.02) -> Task:
    """Return one digit against all others, thinned to a small share of the rows."""
    X, labels = load_digits(return_X_y=True)
    others = np.flatnonzero(labels != digit)
    n_kept = round(prevalence / (1 - prevalence) * len(others))
    rng = np.random.default_rng(seed)
    kept = rng.choice(np.flatnonzero(labels == digit), n_kept, replace=False)
    index = np.sort(np.concatenate([others, kept]))
    y = (labels[index] == digit).astype(int)
    return Task("handwritten digits", X[index], y, str(digit))


def own_table(path: Path, target: str, positive: str | None, seed: int) -> Task:
    """Read a table. Missing values and text are left to the encoder."""
    frame = read_frame(path)
    if target not in frame.columns:
        raise ValueError(
            f"{path} has no column {target!r}; its columns are "
            f"{', '.join(map(str, frame.columns))}."
        )
    frame = drop_unlabelled(frame, target)
    # missing labels turn 0 and 1 into 0.0 and 1.0; convert_dtypes restores them
    labels = frame.pop(target).convert_dtypes().astype(str)
    positive = choose_positive(labels, target, positive)
    y = (labels == positive).to_numpy().astype(int)
    frame, encoder = prepare_columns(frame)
    task = Task(path.name, frame, y, positive, encoder)
    return thin(task, seed) if len(y) > MOST_ROWS else task


def read_frame(path: Path) -> Any:
    import pandas as pd

    if not path.is_file():
        raise ValueError(f"the file {path} does not exist.")
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix not in readers:
        raise ValueError(f"{path} must end in {' or '.join(readers)}.")
    frame = readers[path.suffix](path)
    frame.columns = frame.columns.map(str)
    return frame


def drop_unlabelled(frame: Any, target: str) -> Any:
    has_label = frame[target].notna()
    if not has_label.all():
        print(f"Dropped {(~has_label).sum():,} rows without a value in {target!r}.")
    return frame[has_label].reset_index(drop=True)


def choose_positive(labels: Any, target: str, positive: str | None) -> str:
    """Return the requested label, by default the rarest."""
    counts = labels.value_counts()
    names = ", ".join(f"{label} ({count:,})" for label, count in counts.items())
    if not 2 <= len(counts) <= MOST_CLASSES:
        raise ValueError(
            f"column {target!r} has {len(counts)} different values, but this demo "
            f"needs 2 to {MOST_CLASSES} classes."
        )
    if positive is None:
        positive = counts.index[-1]
    if positive not in counts.index:
        raise ValueError(
            f"column {target!r} has no label {positive!r}; it has {names}."
        )
    if len(counts) > 2:
        print(
            f"Column {target!r} has {len(counts)} classes: {names}. This demo compares "
            f"{positive!r} with the rest."
        )
    fewest = min(counts[positive], len(labels) - counts[positive])
    if fewest < FEWEST_POSITIVES:
        raise ValueError(
            f"the smaller of the classes {positive!r} and the rest has {fewest} rows, "
            f"but splits and folds need at least {FEWEST_POSITIVES}."
        )
    return positive


def prepare_columns(frame: Any) -> tuple[Any, ColumnTransformer]:
    """Split columns into numbers and categories, and return their encoder."""
    from pandas.api import types

    frame = drop_unusable(frame)
    numbers = [
        c
        for c in frame
        if types.is_numeric_dtype(frame[c]) and not types.is_bool_dtype(frame[c])
    ]
    categories = [c for c in frame if c not in numbers]
    frame[numbers] = frame[numbers].astype(float).replace([np.inf, -np.inf], np.nan)
    for column in categories:
        words = frame[column].astype(object)
        frame[column] = words.where(words.notna(), "(missing)").astype(str)
    return frame, column_encoder(numbers, categories)


def drop_unusable(frame: Any) -> Any:
    """Drop columns that are empty or dates, and print their names."""
    from pandas.api import types

    empty = [c for c in frame if frame[c].isna().all()]
    dates = [c for c in frame if types.is_datetime64_any_dtype(frame[c])]
    for columns, what in ((empty, "empty"), (dates, "dates")):
        if columns:
            print(f"Dropped columns that are {what}: {', '.join(columns)}.")
    frame = frame.drop(columns=[*empty, *dates])
    if frame.columns.empty:
        raise ValueError("no feature column is left.")
    return frame


def column_encoder(numbers: list[str], categories: list[str]) -> ColumnTransformer:
    one_hot = OneHotEncoder(
        handle_unknown="ignore",
        min_frequency=10,
        max_categories=30,
        sparse_output=False,
    )
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    return ColumnTransformer(
        [("numbers", median, numbers), ("categories", one_hot, categories)]
    )


def thin(task: Task, seed: int) -> Task:
    """Return a stratified sample of a large table, to keep the demo short."""
    print(f"Drew a stratified sample of {MOST_ROWS:,} of the {len(task.y):,} rows.")
    splitter = StratifiedShuffleSplit(1, train_size=MOST_ROWS, random_state=seed)
    index, _ = next(splitter.split(task.y, task.y))
    X, y = task.rows(index)
    return Task(task.name, X, y, task.positive, task.encoder)


# -- models --------------------------------------------------------------------------


def make_models(
    task: Task, y_train: np.ndarray, seed: int, progress: Progress
) -> dict[str, Any]:
    """Build the models of the table. All but the defaults get encoded features."""

    def behind_encoder(*steps: Any) -> Pipeline:
        names = ["encode", *(f"step{i}" for i in range(1, len(steps))), "clf"]
        return Pipeline(list(zip(names, [task.encoder, *steps], strict=True)))

    def network(**params: Any) -> Pipeline:
        plain = BalancedNeuralClassifier("mlp", random_state=seed, **params)
        return behind_encoder(plain)

    def logistic(**params: Any) -> Pipeline:
        clf = LogisticRegression(max_iter=2_000, **params)
        return behind_encoder(StandardScaler(), clf)

    def peer(**params: Any) -> Pipeline:
        return behind_encoder(
            StandardScaler(), MLPClassifier(random_state=seed, **params)
        )

    smote = SMOTE(k_neighbors=min(5, np.bincount(y_train).min() - 1), random_state=seed)
    default = BalancedNeuralClassifier(random_state=seed)
    plain = BalancedNeuralClassifier("mlp", random_state=seed)
    return {
        BASELINE: logistic(),
        'LogisticRegression, "balanced"': logistic(class_weight="balanced"),
        PEER: peer(),
        "MLPClassifier, early stopping": peer(early_stopping=True),
        NETWORK: Pipeline([("clf", default)]),  # takes the raw table
        "imbalnet, one plain MLP": network(),
        'MLP, class_weight="balanced"': network(class_weight="balanced"),
        'MLP, sampler="weighted"': network(sampler="weighted"),
        'MLP, loss="focal"': network(loss="focal"),
        SMOTE_FIRST: behind_encoder(smote, plain),
        SEARCH: grid_search(network(loss="focal"), len(y_train), seed, progress),
    }


def grid_search(
    model: Pipeline, n_rows: int, seed: int, progress: Progress
) -> GridSearchCV:
    """Search over gamma and class weights, and show progress in every fit."""
    grid = parameter_grid(n_rows)
    n_fits = FOLDS * len(ParameterGrid(grid))
    count = itertools.count(1)

    def score(fitted: Pipeline, X: Any, y: np.ndarray) -> float:
        progress.show(f"{SEARCH}: fit {next(count)} of {n_fits}")
        return average_precision_score(y, fitted.predict_proba(X)[:, 1])

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return GridSearchCV(model, grid, scoring=score, cv=folds)


def parameter_grid(n_rows: int) -> list[dict[str, list[Any]]]:
    """Return the grid, with fewer candidates for many rows."""
    weighted = {
        "clf__class_weight": ["balanced"],
        "clf__class_weight__power": [0.5, 1.0] if n_rows < 5_000 else [0.5],
    }
    gamma = {"clf__loss__gamma": [0.0, 2.0]}
    return [{**gamma, "clf__class_weight": [None]}, {**gamma, **weighted}]


def splits_for(n_rows: int) -> int:
    """Return the number of splits: more for small tables, whose scores are noisy."""
    return 5 if n_rows < 5_000 else 3 if n_rows < 20_000 else 2


# -- comparison ----------------------------------------------------------------------


class Progress:
    """A line that updates in place on a terminal, or one line per split elsewhere."""

    def __init__(self, n_splits: int) -> None:
        self.n_splits, self.split = n_splits, 0
        self.start = time.perf_counter()
        self.in_place = sys.stdout.isatty()

    def show(self, what: str) -> None:
        if self.in_place:
            line = f"split {self.split} of {self.n_splits}, {what}"
            print(f"\r{line:<79.79}", end="", flush=True)

    def end_split(self) -> None:
        seconds = time.perf_counter() - self.start
        done = f"split {self.split} of {self.n_splits} done after {seconds:.0f} s"
        start, end = ("\r", "") if self.in_place else ("", "\n")
        print(f"{start}{done:<79}".rstrip(" "), end=end, flush=True)


def compare(
    task: Task, n_splits: int, seed: int
) -> tuple[Scores, np.ndarray, dict[str, np.ndarray]]:
    """Train and test every model on every split.

    Return the scores and, for the last split, the test labels and each model's
    probabilities of the positive class.
    """
    splitter = StratifiedShuffleSplit(n_splits, test_size=TEST_SIZE, random_state=seed)
    progress = Progress(n_splits)
    records: dict[str, list[dict[str, float]]] = {}
    for split, (train, test) in enumerate(splitter.split(task.y, task.y)):
        progress.split = split + 1
        X, y = task.rows(train)
        X_test, y_test = task.rows(test)
        curves = {}
        for name, model in make_models(task, y, seed + split, progress).items():
            progress.show(name)
            start = time.perf_counter()
            model.fit(X, y)
            seconds = time.perf_counter() - start
            record = {**evaluate(model, X_test, y_test, y), "seconds": seconds}
            records.setdefault(name, []).append(record)
            curves[name] = model.predict_proba(X_test)[:, 1]
            if name == NETWORK:
                tuned = at_best_f1(model, X_test, y_test, y)
                records.setdefault(TUNED, []).append(tuned)
        progress.end_split()
    return {name: stack(record) for name, record in records.items()}, y_test, curves


def at_best_f1(
    model: Pipeline, X: Any, y: np.ndarray, y_train: np.ndarray
) -> dict[str, float]:
    """Score the same fit at the threshold that out-of-fold rows choose."""
    start = time.perf_counter()
    model.set_params(clf__threshold="f1")
    _ = model[-1].threshold_
    seconds = time.perf_counter() - start
    record = {**evaluate(model, X, y, y_train), "seconds": seconds}
    model.set_params(clf__threshold=None)
    return record


def stack(records: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return {key: np.array([r[key] for r in records]) for key in records[0]}


def evaluate(
    model: Any, X: Any, y: np.ndarray, y_train: np.ndarray
) -> dict[str, float]:
    """Score ranking, decisions and probabilities on test rows.

    Weights, samplers and SMOTE change the class distribution that probabilities hold
    for. For the log-loss, all probabilities are moved back to the class prior of the
    training data. ``BalancedNeuralClassifier(target_prior="train")`` does this itself.
    """
    probabilities, predicted = model.predict_proba(X), model.predict(X)
    log_probabilities = np.log(np.clip(probabilities, 1e-12, 1.0))
    data_prior = np.bincount(y_train) / len(y_train)
    source = learned_prior(model, data_prior)
    at_data_prior = np.exp(shift_prior(log_probabilities, source, data_prior))
    return {
        "average_precision": average_precision_score(y, probabilities[:, 1]),
        "mcc": matthews_corrcoef(y, predicted),
        "f1": f1_score(y, predicted, zero_division=0.0),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
        "log_loss": log_loss(y, at_data_prior),
    }


def learned_prior(model: Any, data_prior: np.ndarray) -> np.ndarray:
    """Return the class distribution that a model's probabilities hold for."""
    clf = getattr(model, "best_estimator_", model)[-1]
    if hasattr(clf, "effective_prior_"):
        return clf.effective_prior_
    is_balanced = getattr(clf, "class_weight", None) == "balanced"
    return np.array([0.5, 0.5]) if is_balanced else data_prior


# -- output --------------------------------------------------------------------------


def print_table(scores: Scores, task: Task) -> None:
    widths = {key: max(len(title), 8) for key, title in COLUMNS.items()}
    titles = "  ".join(f"{COLUMNS[key]:>{widths[key]}}" for key in COLUMNS)
    print(f"\n{'':32}  {titles}")
    for name, columns in scores.items():
        cells = (f"{cell(key, columns[key]):>{widths[key]}}" for key in COLUMNS)
        print(f"{name:32}  {'  '.join(cells)}")
    print(
        f"""
Means over the splits (± standard deviation). The average precision of chance is
{task.prior[1]:.3f}. MCC, F1 and balanced accuracy score each model's own predict, under
the class distribution that it learned. The line of the threshold is the fit above it;
its time is that of choosing the threshold. For log-loss (lower is better), every
model's probabilities are first moved back to the class distribution of the data;
predicting the prevalence for every row scores {constant_log_loss(task):.4f}."""
    )


def cell(key: str, values: np.ndarray) -> str:
    if key == "average_precision":
        spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
        return f"{values.mean():.3f}{spread}"
    digits = {"seconds": 2, "log_loss": 4}.get(key, 3)
    return f"{values.mean():.{digits}f}"


def constant_log_loss(task: Task) -> float:
    return float(-(task.prior * np.log(task.prior)).sum())


def print_reading(scores: Scores) -> None:
    """Print two lines that summarise the table."""
    means = {
        key: {name: columns[key].mean() for name, columns in scores.items()}
        for key in COLUMNS
    }

    def best(key: str) -> str:
        return max(means[key], key=means[key].__getitem__)

    networks = [name for name in scores if not name.startswith(PEERS)]
    leader = max(networks, key=means["average_precision"].__getitem__)
    gain = scores[leader]["average_precision"] - scores[BASELINE]["average_precision"]
    calibrated = min(means["log_loss"], key=means["log_loss"].__getitem__)
    print(
        f"\nRanking: [{best('average_precision')}] has the best average precision. The "
        f"best model of imbalnet is [{leader}]: {gain.mean():+.3f} compared with "
        f"{BASELINE}, better in {(gain > 0).sum()} of {len(gain)} splits."
    )
    print(
        f"Decisions: best MCC [{best('mcc')}], best balanced accuracy "
        f"[{best('balanced_accuracy')}]. Probabilities: best log-loss [{calibrated}]."
    )


def save_picture(
    path: Path, task: Task, y: np.ndarray, probabilities: dict[str, np.ndarray]
) -> None:
    """Draw and save the precision-recall curves of some models."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    ax = figure.subplots()
    for name, (colour, style, width) in CURVES.items():
        precision, recall, _ = precision_recall_curve(y, probabilities[name])
        value = average_precision_score(y, probabilities[name])
        label = f"{name} (AP {value:.2f})"
        line = {"color": colour, "ls": style, "lw": width, "label": label}
        ax.step(recall, precision, where="post", **line)
    prevalence = y.mean()
    ax.axhline(prevalence, color="0.4", ls=":", label=f"prevalence ({prevalence:.3f})")
    ax.set(
        xlabel=f"Recall: share of the class {task.positive!r} that is found",
        ylabel="Precision: share of positive predictions that are right",
        title=f"{task.name}, last split: {y.sum():,} of {len(y):,} test rows positive",
        xlim=(0, 1.01),
        ylim=(0, 1.02),
    )
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


# -- command line --------------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a .csv or .parquet file")
    parser.add_argument("--target", help="name of the label column")
    parser.add_argument("--positive", help="positive label (default: the rarest)")
    parser.add_argument(
        "--splits", type=int, help="number of splits (default: 5, fewer for many rows)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("quickstart_output"),
        help="folder for the picture (default: quickstart_output)",
    )
    return parser


def read_arguments() -> tuple[argparse.Namespace, Task]:
    """Parse the command line and load the data. Errors end in one line."""
    parser = make_parser()
    args = parser.parse_args()
    if args.splits is not None and args.splits < 1:
        parser.error("--splits must be at least 1.")
    if (args.data is None) != (args.target is None):
        parser.error("--data and --target must be given together.")
    if args.data is None:
        # some pixels at the border are blank in all training rows
        warnings.filterwarnings("ignore", "X has columns of one value")
        return args, rare_digit(args.seed)
    try:
        return args, own_table(args.data, args.target, args.positive, args.seed)
    except ValueError as error:
        parser.error(str(error))


def main() -> None:
    # MLPClassifier warns if it does not converge within 200 epochs
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    args, task = read_arguments()
    n_splits = args.splits or splits_for(len(task.y))
    print(
        f"{task.name}: {len(task.y):,} rows, {task.y.sum():,} of the positive class "
        f"{task.positive!r} ({task.prior[1]:.2%}); stratified splits: {n_splits}, "
        f"each with {TEST_SIZE:.0%} of the rows for testing."
    )
    scores, y_test, probabilities = compare(task, n_splits, args.seed)
    print_table(scores, task)
    print_reading(scores)
    path = args.output / "precision_recall.png"
    save_picture(path, task, y_test, probabilities)
    print(f"\nPrecision-recall curves of the last split: {path}")


if __name__ == "__main__":
    main()
