"""
Probabilities for another base rate
===================================

A model is trained on data with 10 % positives, with class weights that balance the
classes. It is used at a place where 2 % of the cases are positive. ``target_prior``
moves its probabilities to this base rate at prediction time, without a refit. The
ranking of the cases stays the same.
"""

# %%
# Two places
# ----------
#
# Positives look the same at both places, and so do negatives. Only their proportion
# differs. This is called *label shift*, and the correction assumes it.

import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

X, y = make_classification(
    n_samples=60_000,
    n_features=10,
    n_informative=4,
    weights=[0.9],
    class_sep=0.5,
    flip_y=0.0,
    random_state=0,
)
X_train, X_here, y_train, y_here = train_test_split(
    X, y, train_size=20_000, stratify=y, random_state=0
)

negatives, positives = np.flatnonzero(y_here == 0), np.flatnonzero(y_here == 1)
n_kept = round(len(negatives) * 0.02 / 0.98)
kept = np.random.default_rng(0).choice(positives, n_kept, replace=False)
rows = np.concatenate([negatives, kept])
X_there, y_there = X_here[rows], y_here[rows]

print(f"base rate where it was trained:  {y_here.mean():.3f}")
print(f"base rate where it will be used: {y_there.mean():.3f}")

# %%
# One model
# ---------
#
# With balanced class weights, the network learns probabilities for balanced classes.
# This class distribution is ``effective_prior_``.

from imbalnet import BalancedNeuralClassifier

classifier = BalancedNeuralClassifier(class_weight="balanced", random_state=0)
classifier.fit(X_train, y_train)
print("class prior:    ", classifier.class_prior_)
print("effective prior:", classifier.effective_prior_)

# %%
# Three target priors
# -------------------
#
# The same fitted network gives probabilities for three class distributions: its
# effective prior, the class prior of the training data, and the base rate of the place
# of use.

target_priors = {
    "None: as trained, 50 %": None,
    '"train": 10 %': "train",
    "{0: 0.98, 1: 0.02}": {0: 0.98, 1: 0.02},
}


def probability_under(target_prior, X):
    """Return the probability of the positive class."""
    return classifier.set_params(target_prior=target_prior).predict_proba(X)[:, 1]


here = {name: probability_under(tp, X_here) for name, tp in target_priors.items()}
there = {name: probability_under(tp, X_there) for name, tp in target_priors.items()}

# %%
# If probabilities are calibrated, their mean is the share of positives, and the log
# loss is low.

from sklearn.metrics import average_precision_score, log_loss

for place, outcome, answers in (("here", y_here, here), ("there", y_there, there)):
    print(f"\n{place}: {outcome.mean():.3f} of the cases are positive")
    for name, probability in answers.items():
        print(
            f"{name:<24} mean probability {probability.mean():.3f}, "
            f"log loss {log_loss(outcome, probability):.3f}"
        )

# %%
# Reliability
# -----------
#
# Group cases by probability. In each group, the share of positives should equal the
# mean probability, so that the points lie on the diagonal. The axes are in log odds,
# which separates small probabilities. The correction is the same shift in log odds for
# every case.


def reliability(outcome, probability):
    """Return mean probability and share of positives, in equal bins of log odds."""
    edges = 1 / (1 + np.exp(-np.arange(-7.5, 5.5, 1.0)))
    group = np.digitize(probability, edges)
    cases = np.bincount(group, minlength=len(edges) + 1)
    said = np.bincount(group, probability, len(edges) + 1)
    came_true = np.bincount(group, outcome, len(edges) + 1)
    # shares of few cases of either class are too noisy to show
    shown = (came_true >= 5) & (cases - came_true >= 5)
    return said[shown] / cases[shown], came_true[shown] / cases[shown]


import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

styles = [
    {"color": "#D55E00", "marker": "s", "linestyle": ":"},
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#000000", "marker": "^", "linestyle": "--"},
]
panels = {
    "Where it was trained": (y_here, here),
    "Where it is used": (y_there, there),
}
limits = (0.0005, 0.9995)
ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]

figure, both = plt.subplots(1, 2, figsize=(9.0, 5.2), layout="constrained")
for axes, (place, (outcome, answers)) in zip(both, panels.items(), strict=True):
    axes.plot(limits, limits, color="0.7", linewidth=4, zorder=0)
    for (name, probability), style in zip(answers.items(), styles, strict=True):
        axes.plot(*reliability(outcome, probability), label=name, markersize=5, **style)
    axes.set(
        title=f"{place}: {100 * outcome.mean():.0f} % positive",
        xlabel="Mean predicted probability",
        xscale="logit",
        yscale="logit",
        xlim=limits,
        ylim=limits,
        aspect="equal",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_ticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.spines[["top", "right"]].set_visible(False)
both[0].set_ylabel("Observed share of positives")
handles, labels = both[0].get_legend_handles_labels()
figure.legend(
    handles, labels, title="target_prior", ncols=3, loc="outside lower center"
)
plt.show()

# %%
# On the left, ``"train"`` lies on the grey diagonal. On the right, the base rate of the
# place of use does. The other lines are shifted by a constant: the log of the ratio of
# two prior odds.
#
# The ranking does not change
# ---------------------------
#
# Every case moves by the same step in log odds. ``decision_function`` returns the log
# odds, so it shows the step.

log_odds = {
    name: classifier.set_params(target_prior=prior).decision_function(X_there)
    for name, prior in target_priors.items()
}
steps = log_odds["{0: 0.98, 1: 0.02}"] - log_odds["None: as trained, 50 %"]
print(f"smallest and largest step:  {steps.min():.4f}, {steps.max():.4f}")
print(f"log(0.02 / 0.98) - log(1):  {np.log(0.02 / 0.98):.4f}")

# %%
# So the ranking and average precision stay the same. The decisions change: at a lower
# base rate, fewer cases are predicted positive.

for name, probability in there.items():
    precision = average_precision_score(y_there, probability)
    share = np.mean(probability > 0.5)
    print(f"{name:<24} AP {precision:.3f}, predicted positive {share:.3f}")
