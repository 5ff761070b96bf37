"""
Pictures of a rare class
========================

One model, seen from five sides: how it ranks, whether its probabilities can be taken at
their word, where to put the threshold, which classes it misses, and which columns it
relies on. All but the columns are drawn from out-of-fold rows, so that no test rows are
needed.
"""

# %%
# A model
# -------
#
# About 6 % of the rows are positive. ``threshold="f1"`` chooses the threshold that is
# best for F1 on out-of-fold rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split

from imbalnet import BalancedNeuralClassifier

X, y = make_classification(
    n_samples=4_000,
    n_features=12,
    n_informative=5,
    weights=[0.95],
    class_sep=0.9,
    random_state=0,
)
y = np.where(y == 1, "fraud", "fine")
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
classifier = BalancedNeuralClassifier(threshold="f1", random_state=0).fit(X, y)

# %%
# One page
# --------

from imbalnet.plots import ReportDisplay

ReportDisplay.from_out_of_fold(classifier)
plt.show()

# %%
# The band around the curve of precision and recall says how much another sample of as
# many rows could differ. The points of the reliability picture should lie on the
# diagonal; its axes are logarithmic, because the class is rare.
#
# A threshold for a purpose
# -------------------------
#
# A missed fraud costs 100, a needless call 5. Or there are people for calls about 3 %
# of the payments. The upper axis tells how many rows a threshold calls.

from imbalnet.decisions import AlertShare, LeastCost
from imbalnet.plots import ThresholdDisplay

criteria = {"cost 5 : 100": LeastCost(5, 100), "F1": "f1", "3 %": AlertShare(0.03)}
ThresholdDisplay.from_out_of_fold(classifier, criteria=criteria)
plt.show()

# %%
# Training
# --------
#
# The epoch with the best out-of-fold score is kept.

from imbalnet.plots import HistoryDisplay

HistoryDisplay.from_estimator(classifier)
plt.show()

# %%
# Columns
# -------
#
# What does it cost to shuffle a column? This needs rows with labels, here test rows.

from imbalnet.plots import ColumnImportanceDisplay

ColumnImportanceDisplay.from_estimator(classifier, X_test, y_test)
plt.show()

# %%
# Many classes
# ------------
#
# Ten digits, of which three were made rare. The mean curve is over all classes, the
# others are those of the rarest ones.

images, digits = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
kept = (digits > 2) | (rng.random(len(digits)) < 0.08)
images, digits = images[kept], digits[kept]
images = images[:, np.ptp(images, axis=0) > 0]
many = BalancedNeuralClassifier(preset="quick", random_state=0)
many.fit(images, digits)
ReportDisplay.from_out_of_fold(many)
plt.show()
