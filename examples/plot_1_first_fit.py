"""
First fit: a network in the place of a logistic regression
===========================================================

One line of a pipeline changes: ``LogisticRegression`` becomes
:class:`~imbalnet.BalancedNeuralClassifier`. The data are scikit-learn's handwritten
digits, as a rare-class problem: is it an 8, where only 2 % of the images are?
"""

# %%
# A rare class
# ------------
#
# All images of the other digits stay, and of the 8s as many as make 2 %. Among the
# digits the 8 is a hard one for a linear model: what tells it apart is a combination of
# strokes, not any pixel alone.

import numpy as np
from sklearn.datasets import load_digits

X, digit = load_digits(return_X_y=True)
others, eights = np.flatnonzero(digit != 8), np.flatnonzero(digit == 8)
n_positives = round(len(others) * 0.02 / 0.98)
kept = np.random.default_rng(0).choice(eights, n_positives, replace=False)
rows = np.concatenate([others, kept])
X, y = X[rows], (digit[rows] == 8).astype(int)

print(f"{len(y)} rows, {y.sum()} positives: prevalence {y.mean():.3f}")

# %%
# Two pipelines, one line apart
# -----------------------------
#
# The network brings its own scaling. The scaler in front of it does no harm, so the
# pipeline can stay as it is.

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier

classifiers = {
    "Logistic regression": LogisticRegression(class_weight="balanced", max_iter=1000),
    "Network": BalancedNeuralClassifier(class_weight="balanced", random_state=0),
}
pipelines = {
    name: Pipeline([("scale", StandardScaler()), ("clf", classifier)])
    for name, classifier in classifiers.items()
}

# %%
# Scored on rows that they did not see
# ------------------------------------
#
# With 33 positives, one test set would hold a handful of them. Cross-validation gives
# every row one prediction, by a model that was fitted without it.

from sklearn.model_selection import StratifiedKFold, cross_val_predict

folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
probabilities = {
    name: cross_val_predict(pipeline, X, y, cv=folds, method="predict_proba")[:, 1]
    for name, pipeline in pipelines.items()
}

# %%
# Accuracy, ROC AUC and average precision disagree about how good these models are. A
# classifier that never says "8" has an accuracy of 0.98.

from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

print(f"{'':<20}{'accuracy':>10}{'ROC AUC':>10}{'AP':>8}")
print(f"{'Never an 8':<20}{1 - y.mean():>10.3f}{0.5:>10.3f}{y.mean():>8.3f}")
for name, probability in probabilities.items():
    accuracy = accuracy_score(y, probability > 0.5)
    roc_auc = roc_auc_score(y, probability)
    precision = average_precision_score(y, probability)
    print(f"{name:<20}{accuracy:>10.3f}{roc_auc:>10.3f}{precision:>8.3f}")

# %%
# The precision-recall curve
# --------------------------
#
# The curve asks what matters where positives are rare: of the images that are called an
# 8, how many are one (precision), and how many of the 8s are found (recall)? Average
# precision is the area under its steps. By chance it is the prevalence.

import matplotlib.pyplot as plt
from sklearn.metrics import PrecisionRecallDisplay

styles = {
    "Logistic regression": {"color": "#D55E00", "linestyle": "--"},
    "Network": {"color": "#0072B2", "linestyle": "-"},
}

figure, axes = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
for name, probability in probabilities.items():
    PrecisionRecallDisplay.from_predictions(
        y,
        probability,
        name=name,
        ax=axes,
        curve_kwargs={"linewidth": 2, **styles[name]},
    )
axes.axhline(
    y.mean(), color="0.4", linestyle=":", label=f"Chance (AP = {y.mean():.2f})"
)
axes.set(
    title=f"An 8 among other digits ({100 * y.mean():.0f} % positives)",
    xlabel="Recall",
    ylabel="Precision",
    xlim=(0, 1.01),
    ylim=(0, 1.02),
)
axes.spines[["top", "right"]].set_visible(False)
axes.legend(loc="lower left", bbox_to_anchor=(0, 0.05), frameon=False, fontsize=9)
plt.show()

# %%
# What the class weights changed
# ------------------------------
#
# Little in the ranking, much in the probabilities: a network that was trained with
# ``class_weight="balanced"`` speaks of a world in which every second image is an 8. It
# knows this, and ``target_prior="train"`` takes it back, without a refit. Below, the
# unseen image that it doubts most.

train, test = next(folds.split(X, y))
pipeline = pipelines["Network"].fit(X[train], y[train])
classifier = pipeline["clf"]
print("share of 8s, trained under:", classifier.effective_prior_[1].round(3))
print("share of 8s, in the data:  ", classifier.class_prior_[1].round(3))

in_doubt = np.abs(pipeline.predict_proba(X[test])[:, 1] - 0.5).argmin()
image = X[test][[in_doubt]]
print("P(8) where half are 8s:    ", pipeline.predict_proba(image)[0, 1].round(3))
pipeline.set_params(clf__target_prior="train")
print("P(8) as in the data:       ", pipeline.predict_proba(image)[0, 1].round(3))

# %%
# :ref:`sphx_glr_gallery_plot_3_base_rate.py` looks at this more closely.
