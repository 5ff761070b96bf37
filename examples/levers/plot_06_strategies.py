"""
Which lever on my data? A search, and how sure its answer is
=============================================================

There are about thirty ways to treat an imbalance. Which of them are worth a try, and is
the best of them really better? :func:`~imbalnet.strategies.strategy_grid` chooses
candidates that suit your labels, and scikit-learn searches over them. If the interval
of a candidate in the picture includes zero, its difference to the plain network may be
due to chance.
"""

# %%
# Data
# ----
#
# We generate the calls of a bank that offers a deposit. One in twenty customers
# accepts. The table has numbers and words.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)


def calls(n_calls):
    """Return calls, and whether each customer accepts."""
    X = pd.DataFrame(
        {
            "age": rng.normal(42, 13, n_calls).clip(18, 90).round(),
            "balance": rng.lognormal(7, 1.1, n_calls).round(),
            "seconds": rng.gamma(2, 120, n_calls).round(),
            "calls_before": rng.poisson(1.5, n_calls),
            "job": rng.choice(["clerk", "manager", "retired", "student"], n_calls),
        }
    )
    is_at_leisure = X["job"].isin(["retired", "student"])
    log_odds = (
        -4.4
        + 1.2 * is_at_leisure * (X["balance"] > 1_000)
        + 0.008 * (X["seconds"] - 240).clip(0, 500)
        - 0.4 * X["calls_before"]
        + 0.002 * (X["age"] - 42) ** 2
    )
    accepts = rng.random(n_calls) < 1 / (1 + np.exp(-log_odds))
    return X, np.where(accepts, "yes", "no")


X, y = calls(2_000)
print(f"{len(y)} calls, {np.sum(y == 'yes')} of them accepted")

# %%
# Candidates
# ----------
#
# The grid depends on the labels and on the table. This table has numbers and words, so
# the grid has the SMOTE for such tables. If the table had missing values, the grid
# would have no SMOTE. Every candidate has ``target_prior="train"``, so that the
# log-losses of the candidates can be compared, too.

from sklearn.model_selection import ParameterGrid

from imbalnet.strategies import strategy_grid, strategy_name

grid = strategy_grid(y, X)
for candidate in ParameterGrid(grid):
    print(strategy_name(candidate))

# %%
# The search
# ----------
#
# Labels are words, so we use the scorer of ``imbalnet.metrics``. scikit-learn's
# ``"average_precision"`` needs labels of 0 and 1. A small network keeps this example
# short. For the default network, pass only ``random_state``.

from sklearn.model_selection import GridSearchCV, StratifiedKFold

from imbalnet import BalancedNeuralClassifier
from imbalnet.metrics import SCORERS

network = BalancedNeuralClassifier(
    module="mlp",
    module__hidden_sizes=(32,),
    max_epochs=10,
    learning_rate=0.003,
    random_state=0,
)
search = GridSearchCV(
    network,
    grid,
    scoring={
        "average_precision": SCORERS["average_precision"],
        "neg_log_loss": "neg_log_loss",
    },
    refit="average_precision",
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
)
search.fit(X, y)
print(f"best: {strategy_name(search.best_params_)}")

# %%
# Differences, not ranks
# ----------------------
#
# Scores differ more between folds than between candidates, so each candidate is
# compared with the plain one on the same fold. The intervals are those of a paired
# t-test. They are wide, because the training rows of the folds overlap: five folds are
# not five independent experiments. A candidate whose interval includes zero may be
# better by chance.

import matplotlib.pyplot as plt

from imbalnet.strategies import StrategyComparisonDisplay

display = StrategyComparisonDisplay.from_cv_results(search)
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
display.plot(ax)
plt.show()

# %%
# ``to_frame`` returns the numbers of the picture. ``choice`` is the plain network,
# unless the interval of another candidate lies above zero even when it is widened for
# the number of candidates.

print(display.to_frame().round(3).to_string())
print(f"\nchoice: {display.choice}")

# %%
# The next picture compares the probabilities of the same search, by log-loss.

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
StrategyComparisonDisplay.from_cv_results(search, metric="neg_log_loss").plot(ax)
plt.show()

# %%
# New rows
# --------
#
# Each interval holds for one comparison. If none of ten candidates is better than the
# plain one, the best of the ten still lies above zero more often than its interval
# says. So judge it on rows that the search has not seen. Here we can generate them.

from sklearn.metrics import average_precision_score

from imbalnet.metrics import paired_interval

X_new, y_new = calls(20_000)
plain = network.fit(X, y).predict_proba(X_new)[:, 1]
best = search.predict_proba(X_new)[:, 1]
gain = paired_interval(
    average_precision_score, y_new == "yes", best, plain, random_state=0
)
print(f"best candidate minus plain, on new rows: {gain}")

# %%
# On new rows, the winner of the search is worse than the plain network: it was lucky.
# :doc:`/guide/strategies` shows the same on five real tables. If your table is small,
# choose among few candidates, and keep the plain network unless the difference is
# large.
