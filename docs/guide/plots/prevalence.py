"""One pair of score distributions, seen by ROC and precision-recall curves."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

# Scores: N(0, 1) for negatives, N(2, 1) for positives.
threshold = np.linspace(8, -6, 4001)
false_positive_rate = norm.sf(threshold)
recall = norm.sf(threshold, loc=2)

figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 3.9), layout="compressed")
styles = [(0.5, "#0072B2", "-"), (0.1, "#D55E00", "--"), (0.01, "#000000", "-.")]

auc = np.trapezoid(recall, false_positive_rate)
left.plot(false_positive_rate, recall, color="#0072B2", linewidth=2)
left.plot([0, 1], [0, 1], color="0.6", linewidth=1)
left.text(0.56, 0.47, "chance", color="0.4", rotation=45, rotation_mode="anchor")
left.set(
    title=f"ROC curve: area {auc:.2f} at every prevalence",
    xlabel="False positive rate",
    ylabel="Recall (true positive rate)",
)

for prevalence, color, line in styles:
    found = prevalence * recall
    precision = found / (found + (1 - prevalence) * false_positive_rate)
    average_precision = np.sum(np.diff(recall, prepend=0) * precision)
    label = f"{100 * prevalence:g} %: AP {average_precision:.2f}"
    right.plot(recall, precision, line, color=color, linewidth=2, label=label)
    right.axhline(prevalence, color=color, linewidth=1, linestyle=":")
right.set(
    title="Precision-recall curves of the same scores",
    xlabel="Recall",
    ylabel="Precision",
)
right.legend(
    title="Prevalence (dotted: chance)",
    loc="center left",
    bbox_to_anchor=(1.02, 0.5),
    frameon=False,
)

for axes in (left, right):
    axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)
