"""
Grid search over loss and class weights, with SMOTE in the pipeline
===================================================================

Losses and class weights are parameters, so scikit-learn's ``GridSearchCV`` can search
over them. This example searches over ``loss__gamma`` of the focal loss and
``class_weight``, in an imbalanced-learn pipeline with ``SMOTE``, by average precision
(AP).
"""

# %%
# Data
# ----
#
# 4 % of the rows are positive, in clusters that no straight line separates. The test
# rows are set aside until the end.

from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

X, y = make_classification(
    n_samples=6000,
    n_features=12,
    n_informative=5,
    n_clusters_per_class=3,
    weights=[0.96],
    flip_y=0.0,
    random_state=1,
)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
print(f"{len(y)} rows to search on, {y.sum()} positives: prevalence {y.mean():.3f}")

# %%
# The pipeline
# ------------
#
# imbalanced-learn's ``Pipeline`` resamples in ``fit`` only. In the search, SMOTE
# resamples the training part of each fold, and the scores come from rows as they are.
# ``sampling_strategy=0.2`` stops at one positive for five negatives. With full balance,
# ``class_weight="balanced"`` would have no effect, because weights are computed from
# the resampled rows.
#
# With so few rows, ``module="mlp"`` trains without early stopping. SMOTE in the
# pipeline would mislead early stopping; see :ref:`leak-free-validation`.

from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier

pipeline = Pipeline(
    [
        ("scale", StandardScaler()),
        ("smote", SMOTE(sampling_strategy=0.2, random_state=0)),
        (
            "clf",
            BalancedNeuralClassifier(
                module="mlp",
                loss="focal",
                module__hidden_sizes=(64,),
                max_epochs=10,
                learning_rate=0.002,
                random_state=0,
            ),
        ),
    ]
)

# %%
# The search
# ----------
#
# ``clf__loss__gamma`` is the parameter ``gamma`` of the loss of the step ``clf``. With
# gamma 0, the focal loss is the cross entropy.

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
# Scores differ more between folds than between settings. So compare each setting with
# plain cross entropy *on the same fold*. The mean of these differences has a much
# smaller standard error than the mean of the scores.

import numpy as np

# The last parameter of the grid varies fastest:
# (settings, folds) -> (class weights, gammas, folds)
shape = (len(class_weights), len(gammas), search.n_splits_)
scores = np.column_stack(
    [search.cv_results_[f"split{k}_test_score"] for k in range(search.n_splits_)]
).reshape(shape)

gains = scores - scores[0, 0]
gain = gains.mean(axis=-1)
error = gains.std(axis=-1, ddof=1) / np.sqrt(search.n_splits_)
print(f"AP of cross entropy without weights: {scores[0, 0].mean():.3f}")

# %%
# Orange settings lose average precision, purple ones gain.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6.6, 3.4), layout="constrained")
limit = 1.7 * np.abs(gain).max()  # pale enough for black text
picture = axes.imshow(gain, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
for (row, column), value in np.ndenumerate(gain):
    text = f"{value:+.3f}\n± {error[row, column]:.3f}" if row or column else "reference"
    axes.text(column, row, text.replace("-", "−"), ha="center", va="center")
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
# On these data, the focal loss helps, and class weights in addition to SMOTE do not. On
# other data this can be different, which is why we search. The standard errors are
# rough: there are few folds, and their training rows overlap.
#
# Test rows
# ---------
#
# ``search`` has refitted the best setting on all of its rows.

from sklearn.metrics import average_precision_score

reference = pipeline.set_params(clf__loss__gamma=0.0).fit(X, y)
for name, model in {"cross entropy": reference, "best setting": search}.items():
    precision = average_precision_score(y_test, model.predict_proba(X_test)[:, 1])
    print(f"{name:<14} test AP {precision:.3f}")

# %%
# A search can also vary the steps: ``{"smote": [SMOTE(), "passthrough"]}`` shows
# whether resampling helps at all.
