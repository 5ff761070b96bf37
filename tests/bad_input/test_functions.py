"""Bad input of functions and classes that take arrays, tensors and sizes, by room.

Each case must raise an error from imbalnet itself that names the argument. What is in
the training loop checks shapes and dtypes only.
"""

from __future__ import annotations

import re
import traceback
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from imbalnet import losses, networks, samplers
from imbalnet import posterior as post
from imbalnet.class_weights import class_weights
from imbalnet.losses import LOSSES
from imbalnet.neighbors import Neighbors, fit_weight

NAN, INF = float("nan"), float("inf")
LOG = np.log(np.full((6, 2), 0.5))
CODES, FOLDS, ONES = np.array([0, 1] * 3), np.array([0, 0, 0, 1, 1, 1]), np.ones(6)
EVEN = np.array([0.5, 0.5])
X = np.random.default_rng(0).normal(size=(6, 3))
LOGITS, TARGET = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])


class Case(NamedTuple):
    """A call, and the argument that the error must name."""

    id: str
    call: Any
    names: str


def short(value):
    text = re.sub(r" at 0x\w+", "", repr(value))
    return " ".join(text.split())[:40]


def cases(call, name, values, **good):
    """Return the cases of one argument: bad values beside good ones."""
    title = getattr(call, "__name__", str(call))
    return [
        Case(
            f"{title}: {name}={short(bad)}", partial(call, **(good | {name: bad})), name
        )
        for bad in values
    ]


NO_PRIORS = [
    *([NAN, 1.0], [-0.5, 1.5], [0, 0], [0.5, 0.6], [INF, 1], "a", None, [[0.5, 0.5]]),
    *(["a", "b"], [], 0.5, [None, 1.0]),
]
OTHER_CLASSES = [[0.2, 0.3, 0.5], [1.0]]
NO_LOG = [
    *(LOG * NAN, np.full((6, 2), INF), LOG[:, 0], LOG[:0], LOG[:, :1], "a", None),
    *(LOG.astype(str), np.zeros((6, 2, 2, 2))),
]
NO_CODES = [
    *(CODES[:5], CODES + 5, CODES - 1, CODES * 1.5, "a", CODES.astype(str), None),
    *(CODES[:, None], []),
]
NO_WEIGHTS = [-ONES, 0 * ONES, NAN * ONES, INF * ONES, ONES[:5], "a", ONES[:, None]]
NO_SCALES = [0, -1, NAN, INF, "a", True, None, [1]]
NO_COUNTS = [-1, 2.5, "a", True, None, NAN]

HELD_OUT = {"log_posterior": LOG, "codes": CODES, "sample_weight": ONES}
OF_MEMBERS = {
    "log_posterior": LOG,
    "folds": FOLDS,
    "n_members": 2,
    "class_prior": EVEN,
    "sample_weight": ONES,
}
PRIORS = {"source_prior": EVEN, "target_prior": EVEN}

OF_POSTERIORS = [
    *cases(post.prior_shift, "source_prior", NO_PRIORS, **PRIORS),
    *cases(post.prior_shift, "target_prior", NO_PRIORS + OTHER_CLASSES, **PRIORS),
    *cases(post.shift_prior, "source_prior", NO_PRIORS, log_posterior=LOG, **PRIORS),
    *cases(post.shift_prior, "target_prior", NO_PRIORS, log_posterior=LOG, **PRIORS),
    *cases(
        post.shift_prior,
        "log_posterior",
        [*NO_LOG[:2], "a", None, LOG[:, :1], LOG.astype(str)],
        **PRIORS,
    ),
    *cases(
        post.shift_probabilities,
        "source_prior",
        NO_PRIORS[:-4],
        probabilities=EVEN[None],
        **PRIORS,
    ),
    *[
        case
        for fit in (post.fit_temperature, post.fit_offset)
        for case in [
            *cases(fit, "log_posterior", NO_LOG, **HELD_OUT),
            *cases(fit, "codes", NO_CODES, **HELD_OUT),
            *cases(fit, "sample_weight", NO_WEIGHTS, **HELD_OUT),
            *cases(fit, "scale", NO_SCALES, **HELD_OUT),
        ]
    ],
    *cases(post.least_log_loss, "log_posterior", NO_LOG, **HELD_OUT),
    *cases(post.least_log_loss, "codes", NO_CODES, **HELD_OUT),
    *cases(post.least_log_loss, "sample_weight", NO_WEIGHTS, **HELD_OUT),
    *cases(post.fit_member_offsets, "log_posterior", NO_LOG, **OF_MEMBERS),
    *cases(post.fit_member_offsets, "folds", NO_CODES, **OF_MEMBERS),
    *cases(post.fit_member_offsets, "n_members", [0, *NO_COUNTS], **OF_MEMBERS),
    *cases(
        post.fit_member_offsets,
        "class_prior",
        NO_PRIORS + OTHER_CLASSES,
        **OF_MEMBERS,
    ),
    *cases(post.fit_member_offsets, "sample_weight", NO_WEIGHTS, **OF_MEMBERS),
    *cases(post.fit_member_offsets, "scale", NO_SCALES, **OF_MEMBERS),
    *cases(post.rows_by_fold, "folds", [CODES + 5, CODES - 1, CODES * 1.5], n_folds=2),
    *cases(post.rows_by_fold, "n_folds", [0, *NO_COUNTS], folds=FOLDS),
    *cases(
        post.effective_weight,
        "sample_weight",
        [-ONES, 0 * ONES, NAN * ONES, INF * ONES, "a", None, ONES[:, None]],
    ),
    *cases(
        post.effective_prior,
        "counts",
        [[NAN, 1], [-1, 2], [0, 0], [INF, 1], "a", None, [[1, 2]], 3],
    ),
    *cases(
        post.effective_prior,
        "class_weight",
        [[NAN, 1], [-1, 2], [INF, 1], "a", None, [1, 2, 3]],
        counts=[9, 1],
    ),
    *cases(
        post.effective_prior,
        "sampling_rate",
        [[NAN, 1], [-1, 2], [INF, 1], "a", None, [1, 2, 3]],
        counts=[9, 1],
    ),
    *cases(
        post.resolve_prior,
        "target_prior",
        [
            value
            for value in [*NO_PRIORS, *OTHER_CLASSES, "balanced", {0: 1}]
            if value is not None
        ],
        classes=[0, 1],
        class_prior=EVEN,
    ),
    *cases(
        post.estimate_prior,
        "probabilities",
        [LOG, LOG[:0], "a", NAN * LOG, None, np.ones((6, 2))],
        source_prior=EVEN,
    ),
    *cases(
        post.estimate_prior,
        "source_prior",
        [*NO_PRIORS[:5], *OTHER_CLASSES],
        probabilities=np.exp(LOG),
    ),
    *cases(
        post.estimate_prior,
        "max_iter",
        NO_COUNTS,
        probabilities=np.exp(LOG),
        source_prior=EVEN,
    ),
    *cases(
        post.estimate_prior,
        "tol",
        [-1, NAN, INF, "a", None, True],
        probabilities=np.exp(LOG),
        source_prior=EVEN,
    ),
    *[
        case
        for name in ("false_positive_cost", "false_negative_cost")
        for case in cases(
            post.bayes_threshold,
            name,
            [NAN, INF, "a", None, [1, 2]],
            false_positive_cost=1,
            false_negative_cost=2,
        )
    ],
    *cases(
        post.resolve_costs,
        "cost_matrix",
        [[[0, NAN], [1, 0]], [[0, 1]], "a", np.zeros((3, 3)), {(0, 1): 1}, {0: 1}],
        classes=np.array([0, 1]),
    ),
]

OF_WEIGHTS = [
    *cases(
        class_weights,
        "counts",
        [[NAN, 1], [-1, 5], [0, 0], [INF, 1], "a", None, [], [[1, 2]], 3],
    ),
    *cases(class_weights, "classes", [[0], [0, 0], [0, 1, 2]], counts=[9, 1]),
    *cases(
        class_weights,
        "class_weight",
        ["a", [1, 2, 3], {0: NAN, 1: 1}, {0: -1, 1: 1}, {0: 1, 7: 1}, [1, "a"]],
        counts=[9, 1],
    ),
    *cases(class_weights, "power", [-1, NAN, "a", True, [1], None], counts=[9, 1]),
    *cases(class_weights, "max_ratio", [0.5, -1, NAN, "a", True], counts=[9, 1]),
    *cases(class_weights, "beta", [-1, NAN, INF, "a", True], counts=[9, 1]),
]

OF_SAMPLERS = [
    *[
        case
        for sampler in ("Oversampler", "Undersampler", "WeightedSampler")
        for case in cases(
            getattr(samplers, sampler), "power", [-1, NAN, INF, "a", True, None]
        )
    ],
    *cases(samplers.batch_sizes, "batch_size", [0, *NO_COUNTS], n_rows=10),
    *cases(samplers.batch_sizes, "n_rows", NO_COUNTS, batch_size=10),
    *cases(samplers.Shuffle, "n_rows", [0, *NO_COUNTS], rng=np.random.default_rng(0)),
    *cases(samplers.Shuffle, "rng", [None, 3, np.random.RandomState(0)], n_rows=5),
    *cases(samplers.TorchSampler, "factory", [None, 3, "a"]),
]

OF_LOSSES = [
    *[
        case
        for loss, name in [
            *(("LDAM", "max_margin"), ("LDAM", "scale"), ("Asymmetric", "margin")),
            *(("Asymmetric", "gamma_negative"), ("AveragePrecision", "temperature")),
            *(("CrossEntropy", "label_smoothing"), ("Focal", "gamma")),
            *(("Focal", "alpha"), ("LogitAdjusted", "tau"), ("Poly1", "epsilon")),
            *(("PolyFocal", "gamma"), ("VectorScaling", "gamma")),
        ]
        for case in cases(
            getattr(losses, loss), name, [NAN, INF, "a", True, -3, [NAN, 1.0]]
        )
    ],
    *[
        case
        for name, loss in LOSSES.items()
        for case in [
            Case(f"{name}: {title}", partial(loss(), bad, TARGET), "logits")
            for title, bad in {"1-D": LOGITS[:, 0], "whole": LOGITS.long()}.items()
        ]
        if name != "ldam"
    ],
    *cases(losses.CriterionLoss, "criterion", [None, 3, nn.CrossEntropyLoss]),
    *cases(
        losses.constant_minimiser,
        "prior",
        [torch.tensor(p) for p in ([NAN, 1.0], [-1.0, 2.0], [0.0, 0.0], [[0.5, 0.5]])],
        loss=losses.Focal(),
    ),
]

SIZES = {"in_features": 3, "out_features": 2}
OF_NETWORKS = [
    *[
        case
        for name in ("MLP", "ResNet", "LinearModel", "TabularMLP", "TabM")
        for size in SIZES
        for case in cases(getattr(networks, name), size, [0, *NO_COUNTS], **SIZES)
    ],
    *cases(networks.CosineLinear, "in_features", [0, *NO_COUNTS], **SIZES),
    *cases(networks.CosineLinear, "out_features", [0, *NO_COUNTS], **SIZES),
    *cases(
        networks.Members, "n_members", [0, *NO_COUNTS], module=networks.MLP, **SIZES
    ),
    *[
        case
        for name in ("FillMissing", "PiecewiseLinearEncoding", "Standardize")
        for case in cases(getattr(networks, name), "in_features", NO_COUNTS)
    ],
    *cases(networks.OneHot, "n_categories", [[0], [-1], [2.5], ["a"], [True]]),
    *[
        case
        for name, flag in [
            *(("MLP", "standardize"), ("MLP", "normalize_output")),
            *(("LinearModel", "standardize"), ("ResNet", "normalize_output")),
            *(("TabularMLP", "gaps"), ("TabularMLP", "gates")),
        ]
        for case in cases(getattr(networks, name), flag, [-1, "a", NAN, None], **SIZES)
    ],
    *[
        case
        for name in ("frequency", "embedding_rate", "gate_rate")
        for case in cases(networks.TabularMLP, name, [-1, 0, NAN, "a", True], **SIZES)
    ],
    *cases(networks.TabularMLP, "n_members", [0, *NO_COUNTS], **SIZES),
    *cases(networks.TabM, "k", [0, *NO_COUNTS], **SIZES),
    *cases(networks.TabM, "n_blocks", [0, *NO_COUNTS], **SIZES),
    *cases(networks.ResNet, "d_block", [0, *NO_COUNTS], **SIZES),
    *cases(networks.MLP, "hidden_sizes", [3, (0,), (2.5,), ("a",), (True,)], **SIZES),
    *cases(networks.MLP, "activation", ["a", None, 3], **SIZES),
    *cases(networks.as_logits, "output", [torch.zeros(3), torch.zeros(2, 3, 4, 5)]),
]

OF_NEIGHBORS = {
    "X": X,
    "codes": CODES,
    "sample_weight": ONES,
    "class_prior": EVEN,
    "n_neighbors": 2,
}
KNOWN = Neighbors(**OF_NEIGHBORS)
EVIDENCE = {**HELD_OUT, "evidence": LOG}
NEIGHBORS = [
    *cases(Neighbors, "X", [X[:, 0], X[:1], "a", None], **OF_NEIGHBORS),
    *cases(Neighbors, "codes", NO_CODES, **OF_NEIGHBORS),
    *cases(Neighbors, "sample_weight", NO_WEIGHTS, **OF_NEIGHBORS),
    *cases(Neighbors, "class_prior", NO_PRIORS, **OF_NEIGHBORS),
    *cases(Neighbors, "n_neighbors", [0, *NO_COUNTS], **OF_NEIGHBORS),
    *cases(KNOWN.evidence, "X", [X[:, :2], X[:, 0], "a", None]),
    *cases(fit_weight, "log_posterior", NO_LOG, **EVIDENCE),
    *cases(fit_weight, "evidence", [LOG[:5], NAN * LOG, LOG[:, :1], None], **EVIDENCE),
    *cases(fit_weight, "codes", NO_CODES, **EVIDENCE),
    *cases(fit_weight, "sample_weight", NO_WEIGHTS, **EVIDENCE),
]

CASES = [
    *(OF_POSTERIORS + OF_WEIGHTS + OF_SAMPLERS + OF_LOSSES + OF_NETWORKS + NEIGHBORS)
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_bad_input_is_named(case):
    with pytest.raises((ValueError, TypeError)) as caught:
        case.call()
    assert case.names in str(caught.value)
    raised_in = traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert "imbalnet" in raised_in


def test_arguments_stay_as_they_were():
    log, weight = LOG.copy(), np.array([1.0, 2.0, 0.0, 1.0, 1.0, 1.0])
    before = weight.copy()
    held_out = {**HELD_OUT, "log_posterior": log, "sample_weight": weight}
    post.fit_temperature(**held_out)
    post.fit_offset(**held_out)
    post.least_log_loss(**held_out)
    post.fit_member_offsets(**{**OF_MEMBERS, "log_posterior": log})
    post.effective_weight(weight)
    np.testing.assert_array_equal(log, LOG)
    np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize(
    "convert", [list, np.float32, np.array], ids=["list", "float32", "array"]
)
def test_good_input_comes_in_any_container(convert):
    log = LOG.tolist() if convert is list else convert(LOG)
    codes = CODES.tolist() if convert is list else CODES > 0
    weight = ONES.tolist() if convert is list else convert(ONES)
    assert post.fit_temperature(log, codes, weight) == pytest.approx(1, abs=0.01)
    assert post.least_log_loss(log, codes, weight) == pytest.approx(np.log(2))
    assert abs(post.fit_offset(log, codes, weight)).max() < 1e-6
    shifted = post.shift_prior(log, [0.5, 0.5], [0.2, 0.8])
    np.testing.assert_allclose(np.exp(shifted), [[0.2, 0.8]] * 6, rtol=1e-6)
    infinite = post.shift_prior([[0.0, -INF]], [0.5, 0.5], [0.2, 0.8])
    np.testing.assert_array_equal(infinite, [[0.0, -INF]])
    np.testing.assert_allclose(post.effective_prior([9, 1], [1, 9]), [0.5, 0.5])
    np.testing.assert_allclose(post.prior_shift([0, 1], [0.5, 0.5]), [0, np.log(0.5)])
