"""
Many classes, some of them rare
===============================

150 classes, 15 of them twenty times rarer than the others. Balanced weights are then
about 20 against 1, and the network calls far too many rows rare. How many are too many,
and what helps, can be counted.
"""

# %%
# Data
# ----
#
# Overlapping clouds of rows in ten dimensions, one a class. A common class has 200
# rows to train on, a rare one 10. Of test rows there are twice as many.

import numpy as np

N_CLASSES, N_RARE, N_FEATURES = 150, 15, 10
CENTRES = 1.5 * np.random.default_rng(7).normal(size=(N_CLASSES, N_FEATURES))


def make_rows(n_common, seed):
    """Give rows of which each common class has `n_common`, and their classes."""
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
# What the weights are
# --------------------
#
# :func:`~imbalnet.class_weights.explain_weights` needs only the labels. It prints the
# largest weights and the smallest ones.

import warnings

from imbalnet.class_weights import explain_weights

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    report = explain_weights(y, "balanced")
print(report)

# %%
# All classes have the same share of the loss. And it warns:

import textwrap

print(textwrap.fill(str(caught[0].message), 80))

# %%
# Four networks
# -------------
#
# Without weights, with balanced ones, and with two ways of tempering these. Each
# network is asked twice: under the prior that it was trained under
# (``target_prior=None``), and under the one of the data (``"train"``), without a refit.
#
# Rows of rare classes are counted in two ways: by prediction, and by adding up the
# probabilities. Both are divided by how many there are.

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
        called = probabilities.argmax(axis=1)  # classes are numbered from 0
        predicted[name, target_prior] = np.sum(called < N_RARE) / n_rare
        added_up[name, target_prior] = probabilities[:, :N_RARE].sum() / n_rare
        print(
            f"{name:<26}{target_prior!s:<14}{accuracy_score(y_test, called):8.3f}"
            f"{balanced_accuracy_score(y_test, called):19.3f}"
            f"{np.mean(called[is_rare] == y_test[is_rare]):17.2f}"
        )

# %%
# How many too many
# -----------------
#
# On the left what ``predict`` says, on the right the sum of the probabilities. The grey
# line is the truth.

import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

styles = {
    None: {"color": "#D55E00", "marker": "s", "label": "None: as trained"},
    "train": {"color": "#0072B2", "marker": "o", "label": '"train": as the data'},
}
panels = {
    "Predicted to be of a rare class": predicted,
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
# - Balanced weights call nearly five times too many rows rare. Accuracy hardly shows
#   it, as the rare classes are a small part of the rows.
# - Tempered weights call about the right number rare, and find far more of the rare
#   rows than no weights do.
# - ``target_prior="train"`` takes the weights out of the probabilities. Their sums come
#   close to the true number where the weights were tempered. Behind full weights they
#   fall short by a third: ten rows that count twenty times each are learned by heart,
#   which no shift undoes.
# - ``predict`` under ``"train"`` names rare classes too seldom, just as it does without
#   weights. It gives the *most likely* class, and where classes overlap that is mostly
#   a common one.
#
# So, to find rare rows, temper the weights. To count them, add up probabilities: of a
# network without weights, or under ``"train"``. For decisions that have a price, see
# :ref:`thresholds`.
