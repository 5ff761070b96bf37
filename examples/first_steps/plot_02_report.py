"""
Is it any good? One page about a model
======================================

A model of rare positives can have an accuracy of 95 % and be useless. The report says
how well a model ranks rows, whether its probabilities can be believed, how good its
decisions are, and how certain these figures are. The first picture shows the same on
one page. It is drawn from out-of-fold predictions of the training rows, so it needs no
test rows.
"""

# %%
# A raw table
# -----------
#
# We generate customers of a telephone company, of whom about 7 % leave within a month.
# The table has words and missing values. We pass it to ``fit`` as it is.

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(0)
n_customers = 6_000
X = pd.DataFrame(
    {
        "months": rng.exponential(30, n_customers).round(),
        "fee": rng.choice([15, 25, 40, 60], n_customers, p=[0.4, 0.3, 0.2, 0.1]),
        "contract": rng.choice(["monthly", "one year", "two years"], n_customers),
        "payment": rng.choice(["card", "invoice", "transfer"], n_customers),
        "calls_to_support": rng.poisson(0.8, n_customers),
        "gigabytes": rng.gamma(2, 6, n_customers).round(1),
        "last_price_rise": rng.choice([0, 0, 0, 2, 5, 8], n_customers),
    }
)
log_odds = (
    -5.5
    + 1.5 * (X["contract"] == "monthly")
    + 1.3 * X["calls_to_support"] * (X["months"] < 24)
    + 0.6 * X["last_price_rise"] * (X["fee"] >= 40)
    + 1.2 * (X["gigabytes"] < 3)
)
y = np.where(rng.random(n_customers) < 1 / (1 + np.exp(-log_odds)), "leaves", "keeps")
X["gigabytes"] = X["gigabytes"].mask(rng.random(n_customers) < 0.15)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(X.head(4).to_string(index=False))

# %%
# The report of a fitted model
# ----------------------------
#
# Of two labels, the second in sorted order is the positive class. Here this is
# "leaves".

from imbalnet import BalancedNeuralClassifier

classifier = BalancedNeuralClassifier(preset="quick", threshold="f1", random_state=0)
classifier.fit(X, y)
print(classifier.report_)

# %%
# On one page
# -----------
#
# The band around the precision-recall curve shows how much the curve of another sample
# of the same size could differ. The points of the reliability picture should lie on the
# diagonal. Its axes are logarithmic, because the class is rare. Colours come from
# matplotlib's style.

import matplotlib.pyplot as plt

from imbalnet.plots import ReportDisplay

plt.style.use("tableau-colorblind10")
ReportDisplay.from_out_of_fold(classifier)
plt.show()

# %%
# Another model, on test rows
# ---------------------------
#
# :func:`~imbalnet.report.imbalance_report` reports on any classifier. Balanced weights
# make the probabilities of a logistic regression much too high. The report says so in
# its first caution.

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from imbalnet import imbalance_report

linear = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(), make_column_selector(dtype_exclude="number")),
        remainder=make_pipeline(SimpleImputer(), StandardScaler()),
    ),
    LogisticRegression(class_weight="balanced"),
).fit(X, y)
for caution in imbalance_report(linear, X_test, y_test).cautions:
    print("-", caution)

# %%
# Is the network better than the linear model, or was it lucky? We compare both on the
# same bootstrap resamples of the test rows.

from sklearn.metrics import average_precision_score

from imbalnet.metrics import paired_interval

leaves = y_test == "leaves"
scores = [model.predict_proba(X_test)[:, 1] for model in (classifier, linear)]
gain = paired_interval(average_precision_score, leaves, *scores, random_state=0)
print(f"average precision, network minus linear: {gain}")

# %%
# Which columns matter
# --------------------
#
# How much average precision is lost if one column is shuffled? This needs test rows. If
# the error bar of a column reaches zero, the column may not matter.

from imbalnet.plots import ColumnImportanceDisplay

ColumnImportanceDisplay.from_estimator(classifier, X_test, y_test)
plt.show()
