"""The page of pictures of two classes."""

import numpy as np

from imbalnet.decisions import choose_threshold
from imbalnet.plots import ReportDisplay

rng = np.random.default_rng(0)
probabilities = rng.beta(0.25, 4.0, size=3_000)
labels = np.where(rng.random(3_000) < probabilities, "fraud", "fine")
threshold = choose_threshold(labels, probabilities)
ReportDisplay.from_predictions(labels, probabilities, threshold=threshold)
