"""imbalnet: the neural classifier for imbalanced tabular data."""

from imbalnet.classifier import BalancedNeuralClassifier

__all__ = ["BalancedNeuralClassifier", "__version__"]

__version__ = "0.1.0"
