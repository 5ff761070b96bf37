"""Step 3: the datasets of the net, which are rows, class codes and loss weights.

``build`` makes them from the plans of a run. ``feed`` and ``fold_feed`` define their
classes, and ``batches`` the tables that these inherit from, and batches.
"""
