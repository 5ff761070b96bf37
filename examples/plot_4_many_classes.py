"""
Many classes, some of them rare
===============================

Of 150 classes, 15 are twenty times rarer than the others. Balanced weights are then
about 20 to 1, and the network predicts rare classes far too often. This example counts
how often, and compares what helps.
"""

# %%
# Data
# ----
#
# Each class is a normal distribution in ten dimensions, and the classes overlap. A
# common class has 200 training rows, a rare one 10. There are twice as many test rows.

import numpy as np

N_CLASSES, N_RARE, N_FEATURES = 150, 15, 10
CENTRES = 1.5 * np.random.default_rng(7).normal(size=(N_CLASSES, N_FEATURES))


def make_rows(n_common, seed):
    """Draw rows and classes; each common class has `n_common` rows."""
    n_rows = np.where(np.arange(N_CLASSES) < N_RARE, n_common // 20, n_common)
    y = np.repeat(np.arange(N_CLASSES), n_rows)
    noise = np.random.default_rng(seed).normal(size=(len(y), N_FEATURES))
    return CENTRES[y] + noise, y


X, y = make_rows(200, seed=0)
X_test, y_test = make_rows(400, seed=1)
n_rare = np.sum(y_test < N_RARE)
print(f"{len(y):,} rows to train on, {np.sum(y < N_RARE)} of them of a rare class")
print(f"{len(y_test):,} rows to test on, {n_rare} of them of a rare class")

# %%
# The weights
# -----------
#
# :func:`~imbalnet.class_weights.explain_weights` needs only the labels. Its report
# shows the largest and the smallest weights.

import warnings

from imbalnet.class_weights import explain_weights

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    report = explain_weights(y, "balanced")
print(report)

# %%
# All classes have the same share of the loss. The function also warns:

import textwrap

print(textwrap.fill(str(caught[0].message), 80))

# %%
# Four networks
# -------------
#
# The first network has no weights, the second balanced weights, and the other two
# temper the balanced weights. Each network predicts twice without a refit: under its
# effective prior (``target_prior=None``), and under the prior of the data
# (``"train"``).
#
# Rows of rare classes are counted in two ways: by the predicted class, and by the sum
# of the probabilities. Both counts are divided by the true number.

from sklearn.metrics import accuracy_score, balanced_accuracy_score

from imbalnet import BalancedNeuralClassifier

weights = {
    "no weights": {},
    '"balanced"': {"class_weight": "balanced"},
    '"balanced", max_ratio=5': {
        "class_weight": "balanced",
        "class_weight__max_ratio": 5.0,
    },
    '"balanced", power=0.5': {
        "class_weight": "balanced",
        "class_weight__power": 0.5,
    },
}
target_priors = [None, "train"]

predicted, added_up = {}, {}
is_rare = y_test < N_RARE
print(f"{'':<26}target_prior  accuracy  balanced accuracy  rare rows found")
for name, params in weights.items():
    classifier = BalancedNeuralClassifier(
        "mlp", max_epochs=8, early_stopping=False, random_state=0, **params
    )
    classifier.fit(X, y)
    for target_prior in target_priors:
        classifier.set_params(target_prior=target_prior)
        probabilities = classifier.predict_proba(X_test)
        called = probabilities.argmax(axis=1)  # the classes are 0, 1, ...
        predicted[name, target_prior] = np.sum(called < N_RARE) / n_rare
        added_up[name, target_prior] = probabilities[:, :N_RARE].sum() / n_rare
        print(
            f"{name:<26}{target_prior!s:<14}{accuracy_score(y_test, called):8.3f}"
            f"{balanced_accuracy_score(y_test, called):19.3f}"
            f"{np.mean(called[is_rare] == y_test[is_rare]):17.2f}"
        )

# %%
# Counts of rare classes
# ----------------------
#
# The left panel counts predicted classes, the right panel adds up probabilities. The
# grey line is the true number.

import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

styles = {
    None: {"color": "#D55E00", "marker": "s", "label": "None: as trained"},
    "train": {"color": "#0072B2", "marker": "o", "label": '"train": as the data'},
}
panels = {
    "Predicted as a rare class": predicted,
    "Sum of probabilities": added_up,
}
ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10]
places = np.arange(len(weights))

figure, both = plt.subplots(1, 2, figsize=(9.0, 3.8), sharey=True, layout="constrained")
for axes, (title, ratios) in zip(both, panels.items(), strict=True):
    axes.axvline(1, color="0.75", linewidth=4, zorder=0)
    for place, name in enumerate(weights):
        ends = [ratios[name, target_prior] for target_prior in target_priors]
        axes.plot(ends, [place, place], color="0.6", linewidth=1.5, zorder=1)
    for target_prior, style in styles.items():
        values = [ratios[name, target_prior] for name in weights]
        above = -9 if target_prior is None else 9
        axes.plot(values, places, linestyle="", markersize=8, **style)
        for value, place in zip(values, places, strict=True):
            axes.annotate(
                f"{value:.2g}",
                (value, place),
                xytext=(0, -above),
                textcoords="offset points",
                ha="center",
                va="bottom" if above < 0 else "top",
                color=style["color"],
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
    axes.set(
        title=title, xscale="log", xlim=(0.08, 14), ylim=(len(weights) - 0.5, -0.5)
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("Times the true number")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
both[0].set_yticks(places, list(weights))
handles, labels = both[0].get_legend_handles_labels()
figure.legend(
    handles, labels, title="target_prior", ncols=2, loc="outside lower center"
)
plt.show()

# %%
# - With balanced weights, nearly five times too many rows are predicted rare. Accuracy
#   hardly shows it, because rare classes have few rows.
# - With tempered weights, about the right number is predicted rare. Far more of the
#   rare rows are found than without weights.
# - ``target_prior="train"`` removes the effect of the weights from the probabilities.
#   With tempered weights, the sums come close to the true number. With full weights
#   they are a third too low: the network overfits ten rows that count twenty times
#   each, and no shift undoes that.
# - ``predict`` under ``"train"`` predicts rare classes too seldom, as without weights.
#   It returns the *most likely* class. If classes overlap, this is mostly a common one.
#
# To find rare rows, temper the weights. To count them, add up probabilities, either of
# a network without weights or under ``"train"``. For decisions with costs, see
# :ref:`thresholds`.
