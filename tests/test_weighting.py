"""Class weights against scikit-learn and closed forms."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from imbalnet.weighting import class_weights


def test_balanced_equals_scikit_learn(rng):
    y = rng.choice(4, size=500, p=[0.7, 0.2, 0.08, 0.02])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=y)
    np.testing.assert_allclose(class_weights(np.bincount(y)), expected)


def test_balanced_of_one_per_cent_positives():
    np.testing.assert_allclose(class_weights([9_900, 100]), [1 / 1.98, 50.0])


def test_balanced_of_ten_rare_among_five_hundred_classes():
    weights = class_weights([50] * 10 + [1_000] * 490)
    np.testing.assert_allclose(weights[[0, -1]], [19.62, 0.981])


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999])
@pytest.mark.parametrize("count", [1, 50, 10**8])
def test_effective_equals_fifty_digit_reference(beta, count):
    """Cui et al. 2019, also where 1 - beta**n cancels."""
    weights = class_weights([1, count], "effective", beta=beta)
    with mpmath.workdps(50):
        b = mpmath.mpf(beta)
        expected = (1 - b) / (1 - b**count)  # relative to a class of one row
        np.testing.assert_allclose(weights[1] / weights[0], float(expected), rtol=1e-12)


def test_effective_runs_from_equal_to_balanced():
    np.testing.assert_allclose(class_weights([90, 10], "effective", beta=0.0), [1, 1])
    balanced = class_weights([90, 10])
    np.testing.assert_allclose(
        class_weights([90, 10], "effective", beta=1.0), balanced / balanced.mean()
    )


@pytest.mark.parametrize("name", ["balanced", "effective"])
def test_power_tempers_weights(name):
    full = class_weights([900, 100], name)
    np.testing.assert_allclose(class_weights([900, 100], name, power=0.5), full**0.5)
    np.testing.assert_allclose(class_weights([900, 100], name, power=0.0), [1, 1])


def test_mapping_takes_labels_of_any_type():
    weights = class_weights([5, 5], {"fraud": 7.0}, classes=["fraud", "fine"])
    assert weights.tolist() == [7.0, 1.0]
    assert class_weights([5, 5], {True: 2.0}, classes=[False, True])[1] == 2.0


def test_mapping_may_name_absent_labels_but_not_miss_present_ones():
    """As scikit-learn: a fold may lack a class, a typo is an error."""
    assert class_weights([5, 5], {0: 1, 1: 2, 2: 3}).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"names the labels \['frad'\]"):
        class_weights([5, 5], {"frad": 2.0}, classes=["fraud", "fine"])


def test_callable_gets_counts():
    assert class_weights([8, 2], lambda counts: 1 / counts).tolist() == [0.125, 0.5]


def test_class_without_rows_weighs_one():
    assert class_weights([10, 0, 5]).tolist() == [0.75, 1.0, 1.5]


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0, 1: 1.0}, "finite weights of at least 0"),
        ({0: np.inf, 1: 1.0}, "finite weights of at least 0"),
        ({0: 0.0, 1: 0.0}, "not all 0"),
        (lambda counts: [1.0], "one weight for each of the 2 classes"),
        ("balance", "use 'balanced'"),
    ],
)
def test_class_weights_reject(class_weight, message):
    with pytest.raises(ValueError, match=message):
        class_weights([5, 5], class_weight)


@pytest.mark.parametrize("name", ["power", "beta"])
def test_class_weights_reject_exponents_outside_the_unit_interval(name):
    with pytest.raises(ValueError, match=f"class_weight__{name}=1.5"):
        class_weights([5, 5], "effective", **{name: 1.5})
