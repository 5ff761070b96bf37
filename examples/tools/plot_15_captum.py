"""
Why was this patient flagged?
=============================

``to_torch()`` turns a fitted classifier into a torch module, which computes
probabilities from raw columns. So tools that use gradients can explain it. A patient's
probability differs from that of a typical patient. Captum's integrated gradients divide
this difference among the columns. The picture shows the share of each column for one
patient.
"""

# %%
# Data
# ----
#
# We use the Wisconsin breast cancer data, and keep so few malignant samples that they
# are 8 % of the rows. "malignant" is the positive class.

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

X, is_benign = load_breast_cancer(return_X_y=True, as_frame=True)
benign, malignant = np.flatnonzero(is_benign == 1), np.flatnonzero(is_benign == 0)
rows = np.concatenate([benign, malignant[: round(len(benign) * 0.08 / 0.92)]])
X, y = X.iloc[rows], np.where(is_benign.iloc[rows] == 1, "benign", "malignant")
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
print(f"{len(y)} patients, {np.sum(y == 'malignant')} of them with a malignant sample")

# %%
# From a classifier to a module
# -----------------------------
#
# The module contains every step from a raw row to its probability: scaling, all members
# of the ensemble, and calibration. By default, nearest training rows also adjust the
# probability, but gradients do not pass through this step. ``n_neighbors=0`` switches
# it off.

import torch

from imbalnet import BalancedNeuralClassifier

classifier = BalancedNeuralClassifier(n_neighbors=0, random_state=0)
classifier.fit(X_train, y_train)
module = classifier.to_torch()

rows = torch.tensor(X_test.to_numpy())
same = np.allclose(module(rows).detach().numpy(), classifier.predict_proba(X_test))
print("the module has the probabilities of predict_proba:", same)

# %%
# One patient
# -----------
#
# Of the patients that are predicted malignant, we take the one whose probability is
# closest to 0.5. The typical patient has the median of the benign training rows in each
# column. The shares of the columns add up to the difference between the two
# probabilities.

from captum.attr import IntegratedGradients

typical = torch.tensor(X_train[y_train == "benign"].median().to_numpy())[None]
probability = classifier.predict_proba(X_test)[:, 1]
flagged = np.where(probability > 0.5, probability, np.inf).argmin()
patient = rows[[flagged]]
shares = IntegratedGradients(module).attribute(patient, typical, target=1, n_steps=200)
p_patient, p_typical = module(torch.cat([patient, typical]))[:, 1].tolist()
print(f"probability of the patient {p_patient:.3f}, of a typical one {p_typical:.3f}")
print(f"sum of the shares {shares.sum():.3f}; the sample was {y_test[flagged]}")

# %%
# The picture shows the seven largest shares for malignant, and the three largest
# against it. After the name of a column is the value of the patient. The median of the
# benign patients is in parentheses.

import matplotlib.pyplot as plt
import pandas as pd

of_columns = pd.Series(shares[0].detach().numpy(), index=X.columns).sort_values()
largest = pd.concat([of_columns[:3], of_columns[-7:]])
values = X_test.iloc[flagged][largest.index]
usual = X_train[y_train == "benign"][largest.index].median()

figure, ax = plt.subplots(figsize=(7.6, 4.6), layout="constrained")
colors = np.where(largest > 0, "#D55E00", "#0072B2")
ax.barh(
    [f"{name}: {values[name]:.4g} ({usual[name]:.4g})" for name in largest.index],
    largest,
    color=colors,
)
ax.axvline(0, color="0.3", linewidth=0.8)
ax.set(
    xlabel="Share of the difference in probability",
    title="What speaks for malignant, and against it",
)
ax.spines[["top", "right", "left"]].set_visible(False)
ax.tick_params(axis="y", length=0)
plt.show()

# %%
# Attributions say what *this model* relies on. If columns carry the same information,
# such as radius, perimeter and area, each of them gets only a part of what is due to
# it. Gradients cannot explain categories and missing values; :doc:`/guide/explaining`
# describes methods that can.
