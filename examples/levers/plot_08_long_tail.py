"""
500 classes with a long tail: how often are the rare ones predicted?
====================================================================

The most frequent of 500 species has hundreds of rows, the rarest species have four.
Without weights, a network predicts the rarest species far too seldom. With balanced
weights, it predicts them too often, at the cost of the frequent species. The picture
shows both, and that tempered weights lie in between.
"""

# %%
# Data
# ----
#
# We generate leaves with twelve measurements each. Species of the same genus look
# alike. The frequencies of the species follow a power law, as in nature. The test rows
# have the same frequencies.

import numpy as np

N_SPECIES, N_GENERA, N_MEASURED = 500, 60, 12
rng = np.random.default_rng(0)
genus = rng.integers(N_GENERA, size=N_SPECIES)
typical = 2.0 * rng.normal(size=(N_GENERA, N_MEASURED))[genus]
typical += 0.5 * rng.normal(size=typical.shape)
counts = np.maximum(700 / np.arange(1, N_SPECIES + 1) ** 0.85, 4).astype(int)


def leaves(repeats):
    """Return measurements and species of `repeats` samples of leaves."""
    species = np.repeat(np.arange(N_SPECIES), repeats * counts)
    return typical[species] + rng.normal(size=(len(species), N_MEASURED)), species


X, y = leaves(1)
X_test, y_test = leaves(2)
print(f"{len(y):,} rows of {N_SPECIES} species; of the rarest {counts[-1]} each")
print(f"{np.mean(counts < 20):.0%} of the species have fewer than 20 rows")

# %%
# What weights would do
# ---------------------
#
# :func:`~imbalnet.class_weights.explain_weights` needs only the labels, and warns
# before any training if weights are likely to be too strong.

import textwrap
import warnings

from imbalnet.class_weights import explain_weights

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    explain_weights(y, "balanced")
print(textwrap.fill(str(caught[0].message), 80))

# %%
# Four networks
# -------------
#
# The first network has no weights, two have class weights, and the fourth has logit
# adjustment, a loss that also minimises the balanced error. Accuracy counts every row
# alike, so it depends mostly on the frequent species. Balanced accuracy counts every
# species alike.

from sklearn.metrics import accuracy_score, balanced_accuracy_score

from imbalnet import BalancedNeuralClassifier

levers = {
    "no weights": {},
    "balanced, power=0.5": {"class_weight": "balanced", "class_weight__power": 0.5},
    "balanced": {"class_weight": "balanced"},
    "logit adjustment": {"loss": "logit_adjusted"},
}
predicted = {}
print(f"{'':<22}accuracy  balanced accuracy")
for name, params in levers.items():
    classifier = BalancedNeuralClassifier(
        "mlp", max_epochs=8, early_stopping=False, random_state=0, **params
    )
    predicted[name] = classifier.fit(X, y).predict(X_test)
    accuracy = accuracy_score(y_test, predicted[name])
    balanced = balanced_accuracy_score(y_test, predicted[name])
    print(f"{name:<22}{accuracy:8.3f}{balanced:19.3f}")

# %%
# From the head to the tail
# -------------------------
#
# We group species by the number of their training rows. The left picture shows the
# share of their test rows that are recognised. The right one shows how often they are
# predicted, relative to how often they occur.

import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

edges = [4, 8, 16, 32, 64, 1_000]
labels = ["4-7", "8-15", "16-31", "32-63", "64-"]
group_of_species = np.digitize(counts, edges) - 1
n_rows = np.bincount(group_of_species[y_test])


def recognised(called):
    """Return the share of the rows of each group whose species is right."""
    return np.bincount(group_of_species[y_test], called == y_test) / n_rows


def relative_count(called):
    """Return how often each group is predicted, relative to how often it occurs."""
    return np.bincount(group_of_species[called], minlength=len(labels)) / n_rows


styles = {
    "no weights": {"color": "#000000", "marker": "o"},
    "balanced, power=0.5": {"color": "#0072B2", "marker": "s"},
    "balanced": {"color": "#D55E00", "marker": "^"},
    "logit adjustment": {"color": "#CC79A7", "marker": "D", "linestyle": "--"},
}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 4.2), layout="constrained")
for name, called in predicted.items():
    left.plot(labels, recognised(called), **styles[name])
    right.plot(labels, relative_count(called), label=name, **styles[name])
right.axhline(1, color="0.75", linewidth=4, zorder=0)
left.set(title="Recognised", ylabel="Share of the test rows", ylim=(0, 1))
right.set(title="Predicted too rarely or too often", yscale="log")
right.set_ylabel("Predicted rows / true rows")
right.yaxis.set_minor_locator(NullLocator())
right.set_yticks([0.5, 1, 2, 4], ["1/2", "1", "2", "4"])
for ax in (left, right):
    ax.set_xlabel("Training rows of a species")
    ax.spines[["top", "right"]].set_visible(False)
figure.legend(ncols=4, loc="outside lower center", frameon=False)
plt.show()

# %%
# None of the four networks is best for everything. First decide whether every row
# should count alike, or every species. ``power=0.5``, the square root of balanced
# weights, is a compromise. It loses little accuracy, and comes closest to predicting
# each group as often as it occurs; see :ref:`many-classes`.
