"""
Is it any good? A report, and figures that words do not break
==============================================================

A model of rare positives can have 98 % accuracy and be useless. The report shows what
it is worth: how it ranks, whether its probabilities can be believed, what its decisions
give, and how sure all of that is.
"""

# %%
# One handwritten digit is made rare, and labels are words, as they are in most files.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imbalnet import BalancedNeuralClassifier, imbalance_report
from imbalnet.metrics import SCORERS, get_scorer, paired_interval

X, digit = load_digits(return_X_y=True)
X = X[:, X.std(axis=0) > 0.5]  # the edges are empty
kept = (digit != 8) | (np.arange(len(digit)) % 3 == 0)
X, y = X[kept], np.where(digit[kept] == 8, "scratched", "fine")
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)

# %%
# A fitted classifier has the report of its out-of-fold rows, before any test data.
clf = BalancedNeuralClassifier(random_state=0).fit(X_train, y_train)
print(clf.report_)

# %%
# :func:`~imbalnet.report.imbalance_report` does the same for test rows, and for other
# classifiers. Balanced weights make the probabilities of a logistic regression much too
# high; the report says so.
linear = make_pipeline(
    StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1_000)
).fit(X_train, y_train)
report = imbalance_report(linear, X_test, y_test, alerts=20)
for caution in report.cautions:
    print("-", caution)
report.to_frame("decisions").round(3)

# %%
# Searches and curves take scorers. Those of ``imbalnet.metrics`` work with words as
# labels, and in folds that lack a class.
search = GridSearchCV(
    linear,
    {"logisticregression__C": [0.001, 0.01, 0.1]},
    scoring=SCORERS["average_precision"],
).fit(X_train, y_train)
top_20 = get_scorer("precision_at_k", k=20)
print(
    f"best C {search.best_params_}, of the top 20 {top_20(search, X_test, y_test):.0%}"
)

# %%
# Is the network better than the best linear model, or is it luck? Both are judged on
# the same resamples of the test rows.
is_scratched = y_test == "scratched"
scores = [model.predict_proba(X_test)[:, 1] for model in (clf, search)]


def average_precision(y_true, y_score):
    """Return the average precision of the rows, from a scorer's figure."""
    return SCORERS["average_precision"].figure(y_true.astype(int), y_score, [0, 1])


gain = paired_interval(average_precision, is_scratched, *scores, random_state=0)
print(f"average precision: network - linear = {gain}")

# %%
# The intervals of both reports in one picture.
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
reports = {"network": imbalance_report(clf, X_test, y_test), "linear, balanced": report}
names = ["average precision", "ROC-AUC", "Brier skill"]
for shift, (label, of_model) in enumerate(reports.items()):
    rows = of_model.to_frame().loc[names]
    place = np.arange(len(names)) + 0.2 * (shift - 0.5)
    reach = [rows.value - rows.low, rows.high - rows.value]
    ax.errorbar(rows.value, place, xerr=reach, fmt="o", capsize=3, label=label)
ax.set(yticks=range(len(names)), yticklabels=names, xlabel="value, with 95 % interval")
ax.axvline(0, color="0.6", lw=1)
ax.invert_yaxis()
_ = ax.legend()
