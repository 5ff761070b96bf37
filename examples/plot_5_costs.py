"""
Costs of each row
=================

A missed fraud costs the amount of the payment, and a call to the customer costs 5. With
``predict(X, cost_matrix=...)``, each payment is decided by its own costs, without a
refit.
"""

# %%
# Payments
# --------
#
# We generate payments of which 3 % are fraudulent. Amounts differ by orders of
# magnitude. Fraud is more frequent at night, from new devices, and in a shop for games.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n_payments = 30_000
X = pd.DataFrame(
    {
        "amount": rng.lognormal(3.5, 1.2, n_payments).round(2),
        "hour": rng.integers(24, size=n_payments),
        "days_since_last": rng.exponential(6.0, n_payments).round(1),
        "is_new_device": rng.random(n_payments) < 0.1,
        "shop": pd.Categorical(rng.choice(["food", "games", "travel"], n_payments)),
    }
)
log_odds = (
    -6.8
    + 1.8 * (X["hour"] < 5)
    + 2.2 * X["is_new_device"]
    + 1.2 * (X["shop"] == "games")
    + 0.15 * X["days_since_last"]
    + 0.1 * np.log(X["amount"])
)
y = np.where(rng.random(n_payments) < 1 / (1 + np.exp(-log_odds)), "fraud", "fine")
X, X_test, y, y_test = X[:10_000], X[10_000:], y[:10_000], y[10_000:]
print(f"share of fraud: {np.mean(y == 'fraud'):.3f}")
print("amounts (quantiles of 10, 50 and 90 %):", *X["amount"].quantile([0.1, 0.5, 0.9]))

# %%
# Costs
# -----
#
# A dict maps (true label, predicted label) to a cost, or to an array with the costs of
# the rows. Right decisions cost nothing, except that a call costs 5 here too.

CALL = 5.0


def costs_of(payments):
    """Return what decisions on payments cost."""
    return {
        ("fraud", "fine"): payments["amount"].to_numpy(),
        ("fraud", "fraud"): CALL,
        ("fine", "fraud"): CALL,
    }


def cost_of(called):
    """Return the cost of decisions on the test rows, for 1,000 payments."""
    missed = (y_test == "fraud") & ~called
    return 1_000 * np.mean(np.where(called, CALL, missed * X_test["amount"]))


# %%
# Decisions
# ---------
#
# The same fitted network decides by the costs of each row, or at one threshold: 0.5,
# the best for F1, or the cheapest, both on its out-of-fold rows.

from imbalnet import BalancedNeuralClassifier
from imbalnet.decisions import LeastCost, choose_threshold

classifier = BalancedNeuralClassifier(random_state=0).fit(X, y)
p = classifier.predict_proba(X_test)[:, 1]

by_row = classifier.predict(X_test, cost_matrix=costs_of(X_test)) == "fraud"
cheapest = LeastCost(
    false_positive=CALL, false_negative=X["amount"], true_positive=CALL
)
thresholds = {
    "0.5": 0.5,
    "best F1": choose_threshold(y, classifier.oof_proba_, "f1"),
    "least cost": choose_threshold(y, classifier.oof_proba_, cheapest),
}
for name, threshold in thresholds.items():
    called = p >= threshold
    print(
        f"{name:<12} from {threshold:.3f} on: cost {cost_of(called):6.0f}, "
        f"{called.mean():5.1%} called"
    )
print(
    f"costs of each row:       cost {cost_of(by_row):6.0f}, {by_row.mean():5.1%} called"
)
print(f"no calls:                cost {cost_of(np.zeros(len(p), bool)):6.0f}")

# %%
# Cost against threshold
# ----------------------
#
# On the left, what decisions cost at each threshold. No threshold is as cheap as the
# decisions by the costs of each row. On the right, why: these call a payment from a
# probability of 5 / amount on, so that small payments need a high one.

import matplotlib.pyplot as plt

grid = np.geomspace(0.002, 0.9, 200)
colors = {"0.5": "#D55E00", "best F1": "#CC79A7", "least cost": "#000000"}
markers = {"0.5": "s", "best F1": "^", "least cost": "o"}

figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 4.2), layout="constrained")
left.plot(grid, [cost_of(p >= t) for t in grid], color="0.45", label="one threshold")
for name, threshold in thresholds.items():
    style = {"color": colors[name], "marker": markers[name], "linestyle": ""}
    left.plot(threshold, cost_of(p >= threshold), label=name, **style)
left.axhline(
    cost_of(by_row), color="#0072B2", linestyle="--", label="costs of each row"
)
left.set(
    xscale="log",
    xlabel="Threshold",
    ylabel="Cost of 1,000 payments",
    title="What decisions cost",
)
left.set_ylim(bottom=0)
left.legend(frameon=False, ncols=2, loc="lower center")

shown = rng.choice(len(p), 4_000, replace=False)
for is_called, color, label in (
    (False, "0.75", "not called"),
    (True, "#0072B2", "called"),
):
    rows = shown[by_row[shown] == is_called]
    right.scatter(X_test["amount"].iloc[rows], p[rows], s=4, color=color, label=label)
right.axhline(thresholds["least cost"], color="#000000", linewidth=1)
right.annotate(
    "one threshold",
    (right.get_xlim()[0], thresholds["least cost"]),
    xytext=(4, 4),
    textcoords="offset points",
)
right.set(
    xscale="log",
    yscale="log",
    xlabel="Amount",
    ylabel="Probability of fraud",
    title="Called by the costs of each row",
)
right.legend(frameon=False, loc="lower left", markerscale=3)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The rule compares two expected costs. A call costs 5 whatever is true. Without a call,
# the expected cost is the amount times the probability of fraud. It is right if the
# probabilities are. Their mean should be the share of fraud.

expected_loss = p * X_test["amount"]
print(
    "calls where the expected loss is above 5:",
    np.array_equal(by_row, expected_loss > 5),
)
print(
    f"mean probability {p.mean():.4f}, share of fraud {np.mean(y_test == 'fraud'):.4f}"
)
