"""
Network, linear model or boosting: which one for my table?
==========================================================

You have a raw table and half a day. Should you use the network, gradient boosting or a
linear model, and do class weights or samplers help? :func:`imbalnet.compare
<imbalnet.comparison.compare>` trains all of them on the same splits and gives each
difference an interval. In the picture, an interval that includes zero means that the
difference may be chance.
"""

# %%
# A raw table
# -----------
#
# We generate service records of machines: numbers, words and gaps. A machine stops soon
# if it is hot under a high load, or if a worn tool turns fast. The vibration sensor of
# some machines is out of order.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n_machines = 2_000
X = pd.DataFrame(
    {
        "site": rng.choice(["Lyon", "Porto", "Riga", "Turin"], n_machines),
        "kind": rng.choice(["lathe", "mill", "press"], n_machines, p=[0.5, 0.3, 0.2]),
        "temperature": rng.normal(60, 8, n_machines).round(1),
        "load": rng.beta(2, 3, n_machines).round(3),
        "speed": rng.gamma(20, 75, n_machines).round(),
        "tool_hours": rng.exponential(80, n_machines).round(1),
        "vibration": rng.lognormal(0, 0.4, n_machines).round(3),
    }
)
heat = ((X["temperature"] - 60) / 8).clip(0) * (X["load"] - 0.2).clip(0)
wear = (X["tool_hours"] / 80).clip(upper=3) * ((X["speed"] - 1_500) / 340).clip(0)
log_odds = -5 + 8 * heat + 2 * wear + 1.5 * (X["kind"] == "press")
fails = rng.random(n_machines) < 1 / (1 + np.exp(-log_odds))
y = np.where(fails, "stops", "runs")
X["vibration"] = (X["vibration"] + 0.2 * fails).mask(rng.random(n_machines) < 0.2)
print(X.head(4).to_string(), f"\n\nshare that stops: {fails.mean():.3f}")

# %%
# One call
# --------
#
# Of two labels, the second in sorted order is the positive class: here machines that
# stop. The table goes in as it is. Linear models get one-hot categories and filled gaps
# inside of ``compare``. The small network keeps this example short; leave the parameter
# out for the default.

from imbalnet import BalancedNeuralClassifier, compare

comparison = compare(
    X, y, network=BalancedNeuralClassifier(preset="quick"), cv=5, random_state=0
)
print(comparison)

# %%
# Differences on the same splits
# ------------------------------
#
# First the ranking, by average precision: more is better.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
comparison.plot("average_precision", ax)
plt.show()

# %%
# Then the probabilities, by log-loss: less is better.

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
comparison.plot("log_loss", ax)
plt.show()

# %%
# On this table, linear models are behind in both pictures. The lead of the network over
# boosting may be chance in the ranking. None of the levers gains anything, and the
# focal loss costs a little. On your table this can be different, which is why to
# compare.
