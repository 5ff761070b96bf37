"""
Grid search over loss and class weights, with SMOTE in the pipeline
===================================================================

Every lever is a parameter, so that scikit-learn's search finds what suits the data:
``loss__gamma`` of the focal loss and ``class_weight``, in an imbalanced-learn pipeline
with ``SMOTE``, judged by average precision.
"""

# %%
# Data
# ----
#
# 4 % positives, in clusters that a straight line does not separate. The test rows are
# put aside for the very end.

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
# imbalanced-learn's ``Pipeline`` resamples in ``fit`` only: within the search, SMOTE
# sees the training part of each fold, and the scores come from rows as they are.
# ``sampling_strategy=0.2`` stops at one positive for five negatives. At full balance,
# ``class_weight="balanced"`` would have nothing left to do: weights are computed from
# the rows that arrive.
#
# With so few rows there is no early stopping, which SMOTE in front of it would mislead;
# see :ref:`leak-free-validation`.

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
# Names nest as everywhere in scikit-learn: ``clf__loss__gamma`` is ``gamma`` of the
# loss of the step ``clf``. With gamma 0 the focal loss is the cross entropy.

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
# What it found
# -------------
#
# Folds differ more from each other than settings do. So each setting is compared with
# the plain cross entropy *on the same fold*; the mean of these differences has a much
# smaller error than the mean of the scores.

import numpy as np

# The grid runs through its last parameter first: (settings, folds) -> rows, columns
shape = (len(class_weights), len(gammas), search.n_splits_)
scores = np.column_stack(
    [search.cv_results_[f"split{k}_test_score"] for k in range(search.n_splits_)]
).reshape(shape)

gains = scores - scores[0, 0]
gain = gains.mean(axis=-1)
error = gains.std(axis=-1, ddof=1) / np.sqrt(search.n_splits_)
print(f"AP of cross entropy without weights: {scores[0, 0].mean():.3f}")

# %%
# Orange loses, purple gains.

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
# On these data focusing helps, and class weights on top of SMOTE do not. Other data say
# otherwise; that is what the search is for. The errors are rough: folds are few, and
# their training rows overlap.
#
# The rows that took no part
# --------------------------
#
# ``search`` has refitted the best setting on all rows that it searched on.

from sklearn.metrics import average_precision_score

reference = pipeline.set_params(clf__loss__gamma=0.0).fit(X, y)
for name, model in {"cross entropy": reference, "best setting": search}.items():
    precision = average_precision_score(y_test, model.predict_proba(X_test)[:, 1])
    print(f"{name:<14} test AP {precision:.3f}")

# %%
# Steps can be searched over as well: ``{"smote": [SMOTE(), "passthrough"]}`` asks
# whether resampling pays at all.
