"""
Why is my validation score so high, and my test score so poor?
==============================================================

If SMOTE runs before a network with early stopping, synthetic neighbours of the
validation rows get into training. The validation score is then meaningless.
``sampler=SMOTE()`` applies the same SMOTE after the split, to training rows only. Each
panel of the picture has a line for the score of the validation rows and a line for that
of the test rows. The two should meet.
"""

# %%
# Data
# ----
#
# We generate sensor readings of cast parts. A part that cools too fast for its pressure
# often has a crack, but not always. So no model can find all cracks.

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(0)
n_parts = 24_000
X = pd.DataFrame(
    {
        "melt_temperature": rng.normal(690, 12, n_parts),
        "mould_temperature": rng.normal(210, 15, n_parts),
        "pressure": rng.gamma(40, 20, n_parts),
        "cooling_seconds": rng.gamma(30, 0.4, n_parts),
        "cycle_seconds": rng.gamma(50, 0.9, n_parts),
        "humidity": rng.uniform(30, 70, n_parts),
    }
)
Z = (X - X.mean()) / X.std()
log_odds = (
    -5.2
    - 1.2 * Z["cooling_seconds"] * Z["pressure"]
    + 0.8 * Z["mould_temperature"].clip(0) * Z["humidity"].clip(0)
    + 0.7 * Z["melt_temperature"] ** 2
)
y = (rng.random(n_parts) < 1 / (1 + np.exp(-log_odds))).astype(int)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
print(f"{len(y)} parts, {y.sum()} of them with a crack: prevalence {y.mean():.3f}")

# %%
# Two places for SMOTE
# --------------------
#
# In an imbalanced-learn pipeline, SMOTE runs before the network is fitted.
# Cross-validation of the pipeline does not leak. But ``fit`` of the network splits off
# the rows for early stopping, and this split comes after SMOTE. The same happens if you
# resample the table yourself. As a parameter of the estimator, SMOTE runs after this
# split.
#
# SMOTE looks for nearest neighbours, so we scale the columns first.

from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier


def network(**params):
    """Return a network that stops early, by a quarter of the rows."""
    return BalancedNeuralClassifier(
        "mlp", early_stopping=True, validation_fraction=0.25, random_state=0, **params
    )


smote = SMOTE(random_state=0)
pipelines = {
    "SMOTE in front": make_pipeline(StandardScaler(), smote, network()),
    "SMOTE inside": make_pipeline(StandardScaler(), network(sampler=smote)),
}
for pipeline in pipelines.values():
    pipeline.fit(X, y)

# %%
# Promise and result
# ------------------
#
# ``history_`` has the average precision (AP) of the validation rows in each epoch.

from sklearn.metrics import average_precision_score

promised = {
    name: pipeline[-1].history_[:, "valid_average_precision"]
    for name, pipeline in pipelines.items()
}
found = {
    name: average_precision_score(y_test, pipeline.predict_proba(X_test)[:, 1])
    for name, pipeline in pipelines.items()
}
for name, curve in promised.items():
    print(f"{name:<15} validation AP {max(curve):.2f}, test AP {found[name]:.2f}")

# %%

import matplotlib.pyplot as plt

figure, panels = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
for ax, (name, curve) in zip(panels, promised.items(), strict=True):
    epochs = np.arange(1, len(curve) + 1)
    ax.plot(epochs, curve, color="#D55E00", marker="o", markersize=4)
    ax.axhline(found[name], color="#0072B2", linestyle="--")
    ax.set(title=name, xlabel="Epoch", ylim=(0, 1.03))
    ax.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("Average precision")
figure.legend(
    [*panels[0].lines],
    ["validation rows, in each epoch", "test rows, the epoch that was kept"],
    ncols=2,
    loc="outside lower center",
    frameon=False,
)
plt.show()

# %%
# Both networks rank the test rows about equally well. But only the second network
# *knows* how well, and only its early stopping uses a meaningful score.
# :ref:`leak-free-validation` shows the same on real tables.
