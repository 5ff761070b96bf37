"""
Grid search over loss and class weights, with SMOTE in the pipeline
===================================================================

Which gamma of the focal loss, and which class weights? Both are parameters, so
scikit-learn's ``GridSearchCV`` can search over them, in an imbalanced-learn pipeline
with ``SMOTE``, by average precision (AP). The picture shows how much each setting gains
over plain cross entropy, with a confidence interval.
"""

# %%
# Data
# ----
#
# The task is to find the 8s among scikit-learn's handwritten digits. We keep so many 8s
# that they are 6 % of the rows. The test rows are set aside until the end.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, digit = load_digits(return_X_y=True)
X = X[:, np.ptp(X, axis=0) > 8]  # the border is nearly blank
others, eights = np.flatnonzero(digit != 8), np.flatnonzero(digit == 8)
rows = np.concatenate([others, eights[: round(len(others) * 0.06 / 0.94)]])
X, y = X[rows], (digit[rows] == 8).astype(int)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
print(f"{len(y)} rows to search on, {y.sum()} positives: prevalence {y.mean():.3f}")

# %%
# The pipeline
# ------------
#
# imbalanced-learn's ``Pipeline`` resamples in ``fit`` only. In the search, SMOTE
# resamples only the training rows of each split; the scores come from rows that are not
# resampled. ``sampling_strategy=0.2`` stops at one positive for five negatives. If
# SMOTE balanced the classes fully, ``class_weight="balanced"`` would have no effect,
# because weights are computed from the resampled rows.
#
# With so few rows, ``module="mlp"`` trains without early stopping. SMOTE in the
# pipeline would mislead early stopping; see
# :ref:`sphx_glr_gallery_levers_plot_05_smote_leak.py`.

from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier

network = BalancedNeuralClassifier(
    module="mlp",
    module__hidden_sizes=(32,),
    loss="focal",
    max_epochs=12,
    learning_rate=0.003,
    random_state=0,
)
smote = SMOTE(sampling_strategy=0.2, random_state=0)
pipeline = Pipeline([("scale", StandardScaler()), ("smote", smote), ("clf", network)])

# %%
# The search
# ----------
#
# ``clf__loss__gamma`` is the parameter ``gamma`` of the loss in the step ``clf``. With
# a gamma of 0, the focal loss is the cross entropy.

from sklearn.model_selection import GridSearchCV, StratifiedKFold

gammas = [0.0, 1.0, 2.0, 4.0]
class_weights = {"none": None, "positives × 3": {1: 3.0}, "balanced": "balanced"}

search = GridSearchCV(
    pipeline,
    {"clf__class_weight": list(class_weights.values()), "clf__loss__gamma": gammas},
    scoring="average_precision",
    cv=StratifiedKFold(n_splits=4, shuffle=True, random_state=0),
)
search.fit(X, y)
print(search.best_params_)

# %%
# Results
# -------
#
# Scores differ more between folds than between settings. So
# :func:`~imbalnet.strategies.paired_differences` compares each setting with plain cross
# entropy *on the same fold*. Its intervals are wider than those of four independent
# experiments, because the training rows of the folds overlap.

from imbalnet.strategies import paired_differences

scores = {
    setting: [search.cv_results_[f"split{k}_test_score"][i] for k in range(4)]
    for i, setting in enumerate((w, g) for w in class_weights for g in gammas)
}
differences = paired_differences(scores, ("none", 0.0), test_share=1 / 4)
print(f"AP of cross entropy without weights: {differences['none', 0.0].mean:.3f}")

# %%
# Settings in orange lose average precision, settings in purple gain. The second line of
# a cell is the 95 % interval of the gain. The gain grows with gamma and hardly depends
# on the weights. But every interval includes zero: four folds are too few to tell these
# settings apart.

import matplotlib.pyplot as plt

gain = np.array([d.difference for d in differences.values()]).reshape(-1, len(gammas))
figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
limit = 1.7 * np.abs(gain).max()  # pale enough for black text
picture = axes.imshow(gain, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
for (weight, gamma), found in differences.items():
    text = f"{found.difference:+.3f}\n{found.low:+.2f} to {found.high:+.2f}"
    column, row = gammas.index(gamma), list(class_weights).index(weight)
    is_reference = (weight, gamma) == ("none", 0.0)
    axes.text(
        column,
        row,
        "reference" if is_reference else text.replace("-", "−"),
        ha="center",
        va="center",
    )
axes.set(
    xlabel="Focusing exponent gamma of the focal loss",
    ylabel="Class weight",
    xticks=np.arange(len(gammas)),
    xticklabels=[f"{gamma:g}" for gamma in gammas],
    yticks=np.arange(len(class_weights)),
    yticklabels=list(class_weights),
)
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
figure.colorbar(picture, label="Gain in average precision")
plt.show()

# %%
# Test rows
# ---------
#
# ``search`` has refitted the best setting on all rows of the search. Is this setting
# also better than cross entropy on new rows? We compare both on the same bootstrap
# resamples of the test rows.

from sklearn.metrics import average_precision_score

from imbalnet.metrics import paired_interval

reference = pipeline.set_params(clf__loss__gamma=0.0).fit(X, y)
best, plain = (model.predict_proba(X_test)[:, 1] for model in (search, reference))
print(f"cross entropy test AP {average_precision_score(y_test, plain):.3f}")
print(f"best setting  test AP {average_precision_score(y_test, best):.3f}")
gain = paired_interval(average_precision_score, y_test, best, plain, random_state=0)
print(f"difference    {gain}")

# %%
# On the test rows, the best setting is ahead, but not by much. A search can also vary
# the steps of the pipeline: ``{"smote": [SMOTE(), "passthrough"]}`` shows whether
# resampling helps at all.
