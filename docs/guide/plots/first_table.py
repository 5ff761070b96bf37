"""The picture of README and front page: out-of-fold rows of the README's first example.

Not drawn with the documentation, since README needs it as a file:
``python docs/guide/plots/first_table.py`` writes ``docs/_static/first_table.png``.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt

from imbalnet.decisions import LeastCost
from imbalnet.plots import (
    PrecisionRecallDisplay,
    ReliabilityDisplay,
    ThresholdDisplay,
)

root = Path(__file__).parents[3]
first_block = re.search(
    r"```python\n(.*?)```", (root / "README.md").read_text(), flags=re.DOTALL
)
assert first_block is not None
example: dict = {}
exec(first_block[1], example)
clf = example["clf"]

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
PrecisionRecallDisplay.from_out_of_fold(clf, name="imbalnet", ax=axes[0])
ReliabilityDisplay.from_out_of_fold(clf, name="imbalnet", ax=axes[1])
costs = {"cost": LeastCost(5, 100)}
ThresholdDisplay.from_out_of_fold(
    clf, name="imbalnet", criteria=costs, alerts=False, ax=axes[2]
)
axes[2].yaxis.set_visible(False)  # the gain has the axis on the right
axes[2].set_xlim(1e-3, 0.97)
axes[2].get_legend().set_loc("lower center")
titles = (
    "Do frauds come first?",
    "Are the probabilities right?",
    "Which threshold is best?",
)
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title, fontweight="bold")
figure.savefig(root / "docs" / "_static" / "first_table.png", dpi=110)
