"""From labels to classes, codes and weights."""

from __future__ import annotations

import numpy as np
import pytest

from imbalnet._tables.labels import as_codes, as_labels, as_weights


def test_labels_with_gaps_are_named():
    with pytest.raises(ValueError, match="y contains NaN"):
        as_labels(np.array([0.0, np.nan, 1.0]))


def test_codes_are_positions_in_the_classes():
    classes = np.array(["a", "b", "c"])
    assert as_codes(np.array(["c", "a"]), classes).tolist() == [2, 0]
    with pytest.raises(ValueError, match=r"not in classes_: \['d'\]"):
        as_codes(np.array(["d"]), classes)


def test_weights_that_nobody_gave_are_none(rng):
    assert as_weights(None, rng.normal(size=(4, 1))) is None
