"""What the focal loss makes of a posterior, and how its inverse link undoes it."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from imbalnet.losses import Focal

output = torch.linspace(1e-4, 1 - 1e-4, 400, dtype=torch.float64)
logits = torch.stack([1 - output, output], dim=-1).log()

figure, axes = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
styles = [
    (0, "#0072B2", "-"),
    (1, "#009E73", "--"),
    (2, "#D55E00", "-."),
    (5, "k", ":"),
]
for gamma, color, line in styles:
    posterior = Focal(gamma=gamma).log_posterior(logits)[:, 1].exp()
    axes.plot(posterior, output, line, color=color, linewidth=2, label=f"{gamma}")
axes.set(
    xlabel=r"Class posterior $\eta$",
    ylabel=r"Softmax output $v$ that minimises the loss",
    xlim=(0, 1),
    ylim=(0, 1),
    aspect="equal",
    xticks=np.linspace(0, 1, 6),
    yticks=np.linspace(0, 1, 6),
)
axes.legend(title=r"Focal loss, $\gamma$", loc="upper left")
axes.spines[["top", "right"]].set_visible(False)
