"""
Replace a logistic regression by a network
==========================================

What has to change in a pipeline that ends in ``LogisticRegression``, and what does it
gain? One line changes. In the picture, the network finds more of the rare positives at
the same precision.
"""

# %%
# A rare class
# ------------
#
# The task is to find the 8s among scikit-learn's handwritten digits. We keep all images
# of the other digits, but only so many 8s that they are 2 % of the rows. An 8 is hard
# for a linear model, because a combination of strokes identifies it, not single pixels.

import numpy as np
from sklearn.datasets import load_digits

X, digit = load_digits(return_X_y=True)
X = X[:, np.ptp(X, axis=0) > 8]  # the border is nearly blank
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
# The network scales its own input. A scaler before it does no harm, so the pipeline can
# stay as it is.

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
# Cross-validated predictions
# ---------------------------
#
# A test set would contain only a few of the 33 positives. Cross-validation predicts
# every row once, by a model that was not fitted on this row.

from sklearn.model_selection import StratifiedKFold, cross_val_predict

folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=0)
probabilities = {
    name: cross_val_predict(pipeline, X, y, cv=folds, method="predict_proba")[:, 1]
    for name, pipeline in pipelines.items()
}

# %%
# Accuracy, ROC AUC and average precision (AP) disagree about how good these models are.
# A classifier that never predicts an 8 has an accuracy of 0.98; see
# :ref:`accuracy_score`.

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
# If positives are rare, two questions matter. Which share of the images that are
# predicted to be an 8 are an 8 (precision)? Which share of the 8s are found (recall)?
# The curve shows both. Average precision is the area under its steps. By chance it is
# the prevalence.

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
# Class weights hardly change the ranking, but they change the probabilities: with
# ``class_weight="balanced"``, probabilities are those for data in which every second
# image is an 8. ``target_prior="train"`` adapts them to the data at hand, without a
# refit; see
# :ref:`sphx_glr_gallery_decisions_plot_10_rare_disease.py`.
