"""The page of pictures of eight classes."""

import numpy as np

from imbalnet.plots import ReportDisplay

rng = np.random.default_rng(1)
shares = np.array([8, 4, 2, 1, 0.5, 0.4, 0.2, 0.1]) / 4
probabilities = rng.dirichlet(shares, size=2_000)
codes = (rng.random((2_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
names = np.array(["oak", "ash", "elm", "fir", "yew", "fig", "box", "bay"])
ReportDisplay.from_predictions(names[codes], probabilities, classes=names)
