"""
Which lever on my data? A search, and how sure its answer is
=============================================================

:func:`~imbalnet.strategies.strategy_grid` chooses the levers that are worth a try on
some labels. This example searches over them, and shows what the search can tell: the
best candidate is often within chance of the plain network.
"""

# %%
# Data
# ----
#
# 5 % of 1,500 rows are positive, in clusters that no straight line separates.

from sklearn.datasets import make_classification

X, y = make_classification(
    n_samples=1500,
    n_features=10,
    n_informative=5,
    n_clusters_per_class=3,
    weights=[0.95],
    flip_y=0.01,
    random_state=3,
)
print(f"{len(y)} rows, {y.sum()} positives")

# %%
# Candidates
# ----------
#
# The grid depends on the labels, and on the table: SMOTE is in it because all columns
# are numbers without gaps. Every candidate has ``target_prior="train"``, so that their
# log-loss compares too.

from sklearn.model_selection import ParameterGrid

from imbalnet.strategies import strategy_grid, strategy_name

grid = strategy_grid(y, X)
for candidate in ParameterGrid(grid):
    print(strategy_name(candidate))

# %%
# The search
# ----------
#
# The network is a small one, to keep this example short. For the default network, leave
# out ``module`` and what follows.

from sklearn.model_selection import GridSearchCV, StratifiedKFold

from imbalnet import BalancedNeuralClassifier

network = BalancedNeuralClassifier(
    module="mlp",
    module__hidden_sizes=(32,),
    max_epochs=15,
    learning_rate=0.003,
    random_state=0,
)
search = GridSearchCV(
    network,
    grid,
    scoring=["average_precision", "neg_log_loss"],
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

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for ax, metric in zip(axes, ["average_precision", "neg_log_loss"], strict=True):
    display = StrategyComparisonDisplay.from_cv_results(search, metric=metric).plot(ax)
plt.show()

# %%
# On the left the ranking of the rows, on the right the probabilities. The numbers of
# the picture:

frame = StrategyComparisonDisplay.from_cv_results(search).to_frame()
print(frame.round(3).to_string())

# %%
# The best of eleven candidates looks better than it is, since chance helped to choose
# it. Judge it on rows that the search has not seen; :doc:`/guide/strategies` does so on
# five real tables.
