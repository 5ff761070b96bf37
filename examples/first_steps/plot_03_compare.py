"""
Network, linear model or boosting: which one for my table?
==========================================================

Should you use the network, gradient boosting or a linear model for your table, and do
class weights or samplers help? :func:`imbalnet.compare <imbalnet.comparison.compare>`
trains all of them on the same splits, and computes an interval for each difference. If
an interval in the picture includes zero, the difference may be due to chance.
"""

# %%
# A raw table
# -----------
#
# We generate service records of machines, with numbers, words and missing values. A
# machine is likely to stop soon if it is hot under a high load, or if a worn tool turns
# fast. The vibration sensor of some machines is out of order.

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
# Of two labels, the second in sorted order is the positive class, here "stops". We pass
# the table as it is. ``compare`` itself one-hot encodes categories and fills gaps for
# the linear models. A small network keeps this example short. To compare the default
# network, leave out the parameter ``network``.

from imbalnet import BalancedNeuralClassifier, compare

comparison = compare(
    X, y, network=BalancedNeuralClassifier(preset="quick"), cv=5, random_state=0
)
print(comparison)

# %%
# Differences on the same splits
# ------------------------------
#
# The first picture compares the ranking, by average precision. Higher is better.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
comparison.plot("average_precision", ax)
plt.show()

# %%
# The second picture compares the probabilities, by log-loss. Lower is better.

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
comparison.plot("log_loss", ax)
plt.show()

# %%
# On this table, linear models are worse in both pictures. In the ranking, the lead of
# the network over boosting may be due to chance. None of the levers (class weights,
# samplers and losses) gains anything, and the focal loss costs a little. On your table
# this can be different, so compare.
