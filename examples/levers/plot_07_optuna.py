"""
Search with Optuna: is the winner better than the default?
==========================================================

In each trial, Optuna draws a lever (a loss, weights or a sampler), and then its
parameters. The candidates come from
:func:`~imbalnet.strategies.strategy_distributions`. The picture shows the scores of the
search on the left. On the right, it compares the gain in the search with the gain on
new rows, which has an interval.
"""

# %%
# Data
# ----
#
# The task is to find the 9s among scikit-learn's handwritten digits. We keep so many 9s
# that they are 5 % of the rows. Half of all rows are not used in the search.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, digit = load_digits(return_X_y=True)
X = X[:, np.ptp(X, axis=0) > 8]  # the border is nearly blank
others, nines = np.flatnonzero(digit != 9), np.flatnonzero(digit == 9)
rows = np.concatenate([others, nines[: round(len(others) * 0.05 / 0.95)]])
X, y = X[rows], (digit[rows] == 9).astype(int)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
print(f"{len(y)} rows to search on, {y.sum()} of them are 9s")

# %%
# The objective
# -------------
#
# ``strategy_distributions`` returns a dict of parameters for each strategy. A parameter
# is either a list with one value, or a distribution that knows its bounds. A small
# network keeps this example short.

from sklearn.model_selection import StratifiedKFold, cross_val_score

from imbalnet import BalancedNeuralClassifier
from imbalnet.strategies import strategy_distributions, strategy_name

space = strategy_distributions(y)
folds = StratifiedKFold(3, shuffle=True, random_state=0)


def network(**params):
    """Return a small network."""
    return BalancedNeuralClassifier(
        "mlp",
        module__hidden_sizes=(32,),
        max_epochs=12,
        learning_rate=0.005,
        random_state=0,
        **params,
    )


def drawn(trial):
    """Draw a strategy and its parameters."""
    i = trial.suggest_int("strategy", 0, len(space) - 1)
    return {
        name: values[0]
        if isinstance(values, list)
        else trial.suggest_float(f"{i}: {name}", *values.support())
        for name, values in space[i].items()
    }


def objective(trial):
    """Return the mean average precision of the folds."""
    params = drawn(trial)
    trial.set_user_attr("params", params)
    scores = cross_val_score(
        network(**params), X, y, cv=folds, scoring="average_precision"
    )
    return scores.mean()


# %%
# The study
# ---------
#
# ``group=True`` lets the sampler treat the parameters of each strategy as a space of
# their own.

import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
sampler = optuna.samplers.TPESampler(multivariate=True, group=True, seed=0)
study = optuna.create_study(direction="maximize", sampler=sampler)
study.optimize(objective, n_trials=20)

best = study.best_trial
default = cross_val_score(network(), X, y, cv=folds, scoring="average_precision").mean()
print(f"best of {len(study.trials)}: {strategy_name(best.user_attrs['params'])}")
print(f"AP of the folds: {best.value:.3f}, without any lever {default:.3f}")

# %%
# New rows
# --------
#
# The best of twenty trials was also lucky. So we compare it with the network without a
# lever on rows that the search has not seen, on the same bootstrap resamples.

from sklearn.metrics import average_precision_score

from imbalnet.metrics import paired_interval

winner = network(**best.user_attrs["params"]).fit(X, y).predict_proba(X_test)[:, 1]
plain = network().fit(X, y).predict_proba(X_test)[:, 1]
gain = paired_interval(average_precision_score, y_test, winner, plain, random_state=0)
for name, probability in {"best trial": winner, "no lever": plain}.items():
    ap = average_precision_score(y_test, probability)
    print(f"{name:<11} AP of new rows {ap:.3f}")
print(f"difference  {gain}")

# %%
# In the left picture, each point is a trial. The solid line is the best score so far.

import matplotlib.pyplot as plt

values = np.array([trial.value for trial in study.trials])
numbers = np.arange(1, len(values) + 1)
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 4), width_ratios=[2.2, 1], layout="constrained"
)
left.plot(numbers, values, "o", color="#56B4E9", label="trial")
left.step(
    numbers,
    np.maximum.accumulate(values),
    where="post",
    color="#0072B2",
    label="best so far",
)
left.axhline(default, color="#D55E00", linestyle="--", label="no lever")
left.set(
    xlabel="Trial",
    xticks=range(0, len(values) + 1, 5),
    ylabel="Average precision of the folds",
    title="What the search promises",
)
right.errorbar(
    [0, 1],
    [best.value - default, gain.value],
    yerr=[[0, gain.value - gain.low], [0, gain.high - gain.value]],
    fmt="o",
    capsize=4,
    color="#0072B2",
)
right.axhline(0, color="#D55E00", linestyle="--")
right.set(
    xlim=(-0.5, 1.5),
    xticks=[0, 1],
    xticklabels=["in the search", "on new rows"],
    title="Gain of the best trial",
)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
figure.legend(*left.get_legend_handles_labels(), ncols=3, loc="outside lower center")
plt.show()

# %%
# The gain on new rows is about as large as in the search, but its interval includes
# zero. With so few positives, a search of this size can hardly tell a better candidate
# from a lucky one.
