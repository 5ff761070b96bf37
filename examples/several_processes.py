"""Fit one estimator in several processes.

Two processes on one machine, each with four of eight members::

    torchrun --nproc-per-node 2 examples/several_processes.py

The same script runs in one process, and gives the same model::

    python examples/several_processes.py
"""

import os

import torch
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score
from torch import distributed

from imbalnet import BalancedNeuralClassifier


def main():
    """Fit in all processes; the first one prints."""
    rank = int(os.environ.get("RANK", "0"))
    if "WORLD_SIZE" in os.environ:  # torchrun sets it
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    X, y = make_classification(6000, weights=[0.97], class_sep=0.5, random_state=0)
    classifier = BalancedNeuralClassifier(
        n_members=8, max_epochs=10, random_state=0, verbose=1
    )
    classifier.fit(X[:5000], y[:5000])
    if rank == 0:
        p = classifier.predict_proba(X[5000:])[:, 1]
        print(f"average precision {average_precision_score(y[5000:], p):.6f}")
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
