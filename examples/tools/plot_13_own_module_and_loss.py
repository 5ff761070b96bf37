"""
My own network and my own loss: what do I have to write?
========================================================

You write about ten lines of torch for each. Handwritten digits are images, so a
convolution should be better than a network that treats each pixel as a column. Some
labels are wrong, so a loss that tolerates wrong labels may be better as well. The
picture compares the average precision of these networks.
"""

# %%
# Images with wrong labels
# ------------------------
#
# The task is to find the 8s among scikit-learn's digits. We keep a third of the 8s. In
# training, we label 4 % of the other images as an 8, as if a person had made mistakes.

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

warnings.filterwarnings("ignore", "X has columns of one value")  # pixels at the border
X, digit = load_digits(return_X_y=True)
kept = (digit != 8) | (np.arange(len(digit)) % 3 == 0)
X, is_eight = (X[kept] / 16).astype(np.float32), digit[kept] == 8
rng = np.random.default_rng(0)
label = is_eight | (rng.random(len(X)) < 0.04)
print(f"{is_eight.sum()} 8s among {len(X)} images, {label.sum()} labels say 8")

# %%
# The network
# -----------
#
# The constructor of a module takes the number of columns and classes. ``forward``
# returns logits. You can set every other parameter of the constructor as ``module__*``.
# The method ``initialize_output`` is optional. It sets the last bias such that the
# network starts with the frequencies of the classes, and need not learn first that one
# of them is rare. :ref:`own-modules` lists what else a module may define.

import torch
from torch import nn


class Convolution(nn.Module):
    """Two convolutions over images of 8 x 8 pixels."""

    def __init__(self, in_features, out_features, channels=16):
        super().__init__()
        side = round(in_features**0.5)
        self.layers = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * channels, out_features),
        )

    def forward(self, x):
        return self.layers(x)

    @torch.no_grad()
    def initialize_output(self, logits):
        self.layers[-1].bias.copy_(logits)


# %%
# The loss
# --------
#
# The generalised cross entropy of Zhang and Sabuncu (2018) is bounded, so no wrong
# label can dominate a batch. ``forward`` returns the loss of each row; the estimator
# weights and averages these values. ``log_posterior`` returns the log of the
# probabilities that belong to the logits. The estimator needs it to give calibrated
# probabilities. :ref:`own-losses` derives the formula.

from imbalnet.losses import Loss


class GeneralisedCrossEntropy(Loss):
    """The loss (1 - v^q) / q of the probability v of the labelled class."""

    def __init__(self, q=0.5):
        super().__init__()
        self.q = q

    def forward(self, logits, target):
        log_v = logits.log_softmax(-1).gather(-1, target[:, None]).squeeze(-1)
        return -(self.q * log_v).expm1() / self.q

    def log_posterior(self, logits):
        return ((1 - self.q) * logits).log_softmax(-1)


# %%
# A loss is easy to get wrong, and easy to check. Training starts at the constant output
# that minimises the loss. The probabilities of this output must equal the shares of the
# classes.

from imbalnet.losses import constant_minimiser

loss, shares = GeneralisedCrossEntropy(), torch.tensor([0.9, 0.1])
posterior = loss.log_posterior(constant_minimiser(loss, shares)).exp()
print("posterior at the start:", posterior.numpy().round(4))

# %%
# The same splits for all
# -----------------------
#
# Training rows have the labels with mistakes. Scores on test rows use the true labels.

from sklearn.metrics import average_precision_score

from imbalnet import BalancedNeuralClassifier

candidates = {
    "MLP": {"module": "mlp"},
    "own module": {"module": Convolution, "module__channels": 16},
    "own module,\nown loss": {
        "module": Convolution,
        "module__channels": 16,
        "loss": GeneralisedCrossEntropy,
        "loss__q": 0.5,
    },
}
splits = StratifiedShuffleSplit(3, test_size=0.4, random_state=0)
scores = {name: [] for name in candidates}
for train, test in splits.split(X, is_eight):
    for name, params in candidates.items():
        classifier = BalancedNeuralClassifier(
            max_epochs=25, learning_rate=0.003, random_state=0, **params
        )
        classifier.fit(X[train], label[train])
        probability = classifier.predict_proba(X[test])[:, 1]
        scores[name].append(average_precision_score(is_eight[test], probability))

for name, values in scores.items():
    spread = np.std(values, ddof=1) / len(values) ** 0.5
    print(f"{name.replace(chr(10), ' '):<22} AP {np.mean(values):.3f} ± {spread:.3f}")

# %%
# A grey line connects the scores of one split. The convolution makes the difference
# here. Three splits are too few to tell whether the loss helps.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
of_splits = np.array(list(scores.values()))
ax.plot(of_splits, color="0.75", zorder=0)
ax.plot(of_splits, "o", color="#56B4E9", markersize=5)
ax.plot(of_splits.mean(axis=1), "_", color="#0072B2", markersize=36, markeredgewidth=3)
ax.set(
    xticks=range(len(scores)),
    xticklabels=list(scores),
    xlim=(-0.5, len(scores) - 0.5),
    ylabel="Average precision on true labels",
    title="8s among digits, with wrong labels in training",
)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
