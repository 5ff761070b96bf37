"""
Watch training in TensorBoard
=============================

The parameter ``callbacks`` takes the callbacks of skorch, one of which writes to
TensorBoard. The picture shows what it logged for three runs of the same network with
different learning rates, as TensorBoard draws them.
"""

# %%
# Data
# ----
#
# The task is to find the 4s among scikit-learn's handwritten digits. We keep so many 4s
# that they are 4 % of the rows.

import numpy as np
from sklearn.datasets import load_digits

X, digit = load_digits(return_X_y=True)
X = X[:, np.ptp(X, axis=0) > 8]  # the border is nearly blank
others, fours = np.flatnonzero(digit != 4), np.flatnonzero(digit == 4)
rows = np.concatenate([others, fours[: round(len(others) * 0.04 / 0.96)]])
X, y = X[rows], (digit[rows] == 4).astype(int)
print(f"{len(y)} rows, {y.sum()} of them are 4s")

# %%
# Three runs
# ----------
#
# Each run has a writer with its own folder. skorch's callback logs every number of the
# history: losses, the average precision of the out-of-fold rows, and seconds. The
# estimator copies callbacks before it uses them. A writer cannot be copied, because it
# has open files, so the estimator uses the writer that you pass.

import tempfile
from pathlib import Path

from skorch.callbacks import TensorBoard
from torch.utils.tensorboard import SummaryWriter

from imbalnet import BalancedNeuralClassifier

runs = tempfile.TemporaryDirectory()
folder = Path(runs.name)
rates = [0.0003, 0.003, 0.03]
for rate in rates:
    logger = TensorBoard(SummaryWriter(folder / f"rate {rate}"))
    BalancedNeuralClassifier(
        preset="quick",
        learning_rate=rate,
        max_epochs=12,
        patience=12,
        random_state=0,
        callbacks=[logger],
    ).fit(X, y)

# %%
# ``tensorboard --logdir FOLDER`` shows the runs in the browser, also during training.
# Here we read the same files and draw them ourselves.

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def logged(run, tag):
    """Return epochs and values of a scalar that a run has logged."""
    events = EventAccumulator(str(folder / run)).Reload().Scalars(tag)
    return [event.step for event in events], [event.value for event in events]


tags = EventAccumulator(str(folder / f"rate {rates[0]}")).Reload().Tags()["scalars"]
print(*tags, sep="\n")

# %%
# The left picture shows the loss of the training rows, the right one the average
# precision of held-out rows. With the smallest learning rate, twelve epochs are not
# enough. With the largest, the values jump. The learning rate in between is the
# default.

import matplotlib.pyplot as plt

panels = {
    "Loss/train_loss": "Loss of training rows",
    "Loss/valid_average_precision": "Average precision, out of fold",
}
styles = {
    0.0003: {"color": "#000000", "linestyle": ":", "marker": "s"},
    0.003: {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    0.03: {"color": "#D55E00", "linestyle": "--", "marker": "^"},
}
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, (tag, title) in zip(axes, panels.items(), strict=True):
    for rate, style in styles.items():
        ax.plot(*logged(f"rate {rate}", tag), label=rate, markersize=4, **style)
    ax.set(title=title, xlabel="Epoch")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_yscale("log")
axes[1].legend(title="learning_rate", frameon=False, loc="lower right")
plt.show()

runs.cleanup()
