"""
Fraud: which payments should I check, if each costs something else?
===================================================================

A missed fraud costs the amount of the payment, and a call to the customer costs 5. With
``predict(X, cost_matrix=...)``, the decision for each payment depends on its own costs,
without a refit. The first picture shows that no single threshold is as cheap. The
second picture shows whom to call if there is time for a few calls only.
"""

# %%
# Payments
# --------
#
# We generate payments, about 3 % of which are fraudulent. Amounts differ by orders of
# magnitude. Fraud is more frequent at night, from new devices, and in shops for games.
# The customer's age is not always known.

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
        "shop": rng.choice(["food", "games", "travel"], n_payments),
        "age": rng.normal(44, 14, n_payments).clip(18).round(),
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
X["age"] = X["age"].mask(rng.random(n_payments) < 0.3)
X, X_test, y, y_test = X[:10_000], X[10_000:], y[:10_000], y[10_000:]
print(X.head(4).to_string(index=False))
print(f"\nshare of fraud: {np.mean(y == 'fraud'):.3f}")

# %%
# Costs
# -----
#
# A dict maps (true label, predicted label) to a cost, or to an array with a cost for
# each row. A call costs 5, even if the payment is a fraud. Letting an honest payment
# pass costs nothing.

CALL = 5.0
is_fraud = y_test == "fraud"
amount = X_test["amount"].to_numpy()
costs = {("fraud", "fine"): amount, ("fraud", "fraud"): CALL, ("fine", "fraud"): CALL}


def cost_of(called):
    """Return the cost of decisions on the test rows, for 1,000 payments."""
    return 1_000 * np.mean(np.where(called, CALL, is_fraud * amount))


# %%
# Decisions
# ---------
#
# We compare four decisions of the same fitted network: by the costs of each row, and
# with three thresholds. These are 0.5, the best threshold for F1, and the cheapest one.
# The last two are chosen on its out-of-fold rows.

from imbalnet import BalancedNeuralClassifier
from imbalnet.decisions import LeastCost, choose_threshold

classifier = BalancedNeuralClassifier(preset="quick", random_state=0).fit(X, y)
p = classifier.predict_proba(X_test)[:, 1]

by_row = classifier.predict(X_test, cost_matrix=costs) == "fraud"
least_cost = LeastCost(
    false_positive=CALL, false_negative=X["amount"], true_positive=CALL
)
thresholds = {
    "0.5": 0.5,
    "best F1": choose_threshold(y, classifier.oof_proba_, "f1"),
    "least cost": choose_threshold(y, classifier.oof_proba_, least_cost),
}
decisions = {f"threshold, {name}": p >= t for name, t in thresholds.items()}
decisions |= {"costs of each row": by_row, "no calls": np.zeros(len(p), bool)}
print(f"{'':<24}cost of 1,000 payments   called")
for name, called in decisions.items():
    print(f"{name:<24}{cost_of(called):>22.0f}{called.mean():>9.1%}")

# %%
# The left picture shows the cost at each threshold. The right one shows why decisions
# by the costs of each row are cheaper: we call the customer if the probability is at
# least 5 / amount. So a small payment needs a high probability.

import matplotlib.pyplot as plt

grid = np.geomspace(0.002, 0.9, 200)
markers = {
    "0.5": ("s", "#D55E00"),
    "best F1": ("^", "#CC79A7"),
    "least cost": ("o", "#000000"),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 4.2), layout="constrained")
left.plot(grid, [cost_of(p >= t) for t in grid], color="0.45", label="one threshold")
for name, threshold in thresholds.items():
    marker, color = markers[name]
    left.plot(
        threshold, cost_of(p >= threshold), marker, color=color, ls="", label=name
    )
left.axhline(cost_of(by_row), color="#0072B2", ls="--", label="costs of each row")
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
    right.scatter(amount[rows], p[rows], s=4, color=color, label=label)
right.axhline(thresholds["least cost"], color="#000000", linewidth=1)
right.set(
    xscale="log",
    yscale="log",
    xlabel="Amount",
    ylabel="Probability of fraud",
    title="Called by the costs of each row",
)
right.annotate(
    "one threshold",
    (right.get_xlim()[0], thresholds["least cost"]),
    xytext=(4, 4),
    textcoords="offset points",
)
right.legend(loc="lower left", markerscale=3)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The rule compares two expected costs. A call costs 5, whether the payment is a fraud
# or not. Without a call, the expected cost is the amount times the probability of
# fraud. So the rule is right only if the probabilities are calibrated. Then their mean
# is the share of fraud.

expected_loss = p * amount
print(
    "called where the expected loss is above 5:",
    np.array_equal(by_row, expected_loss > CALL),
)
print(f"mean probability {p.mean():.4f}, share of fraud {is_fraud.mean():.4f}")

# %%
# An alert budget
# ---------------
#
# Suppose that there is time for 100 calls per 10,000 payments.
# :class:`~imbalnet.decisions.AlertShare` chooses the threshold for this budget on
# out-of-fold rows. So ``predict`` can decide each payment when it comes in.

from imbalnet.decisions import AlertShare

BUDGET = 0.01
called = classifier.set_params(threshold=AlertShare(BUDGET)).predict(X_test) == "fraud"
print(f"called {called.mean():.2%}, of which {is_fraud[called].mean():.0%} are fraud")

# %%
# If probabilities are calibrated, you can call about the payments with the largest
# expected losses, instead of those with the largest probabilities.


def prevented(ranking):
    """Return the share of the losses that the first calls of a ranking prevent."""
    losses = (is_fraud * amount)[np.argsort(-ranking)]
    return losses.cumsum() / losses.sum()


rankings = {
    "by expected loss": (expected_loss, {"color": "#0072B2"}),
    "by probability": (p, {"color": "#D55E00", "linestyle": "--"}),
    "by amount": (amount, {"color": "#000000", "linestyle": ":"}),
}
share_called = np.arange(1, len(p) + 1) / len(p)
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for name, (ranking, style) in rankings.items():
    curve = prevented(ranking)
    ax.plot(100 * share_called, 100 * curve, label=name, **style)
    print(f"{name:<18}{curve[round(BUDGET * len(p)) - 1]:.0%} of the losses prevented")
ax.axvline(100 * BUDGET, color="0.6", linewidth=1)
ax.annotate("budget", (100 * BUDGET, 3), xytext=(4, 0), textcoords="offset points")
ax.set(
    xlim=(0, 15),
    ylim=(0, 100),
    xlabel="Payments called, in %",
    ylabel="Losses prevented, in %",
    title="The same number of calls, in three orders",
)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right")
plt.show()
