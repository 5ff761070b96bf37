"""The rows that a net reads: with codes of classes and weights, cut into batches.

``build`` makes a feed from the plan of a run, ``feed`` and ``fold_feed`` are its kinds,
and ``batches`` cuts them.
"""
