"""The skorch net, in layers: what it is made of, how it predicts, how it trains.

``base`` builds the net, ``predict`` predicts, and ``training`` runs the epochs, with
the steps of an epoch in ``epoch``, the weighted loss in ``reduction``, and the scores
of held-out rows in ``validation``.
"""

from imbalnet._fit.net.training import ImbalanceNet

__all__ = ["ImbalanceNet"]
