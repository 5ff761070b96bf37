"""Step 5: the skorch net, a class in three layers.

``base`` builds module, loss and optimiser. ``predict`` adds prediction, and
``training`` adds the epochs: ``epoch`` has the training loop, ``reduction`` the
weighted loss, and ``validation`` the scores of held-out rows. ``copies`` copies nets.
"""

from imbalnet._fit.net.training import ImbalanceNet

__all__ = ["ImbalanceNet"]
