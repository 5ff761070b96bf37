"""Bad input of functions and classes that take arrays, tensors and sizes, by room.

Each case must raise an error from imbalnet itself that names the argument. What is in
the training loop checks shapes and dtypes only.
"""

from __future__ import annotations

import traceback
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from bad_cases import Case, fails_as_told, short
from torch import nn
from torch.utils.data import RandomSampler

from imbalnet import losses, networks, samplers
from imbalnet import posterior as post
from imbalnet.class_weights import class_weights, explain_weights
from imbalnet.losses import LOSSES
from imbalnet.neighbors import Neighbors, fit_weight

NAN, INF = float("nan"), float("inf")
LOG = np.log(np.full((6, 2), 0.5))
CODES, FOLDS, ONES = np.array([0, 1] * 3), np.array([0, 0, 0, 1, 1, 1]), np.ones(6)
EVEN = np.array([0.5, 0.5])
X = np.random.default_rng(0).normal(size=(6, 3))
LOGITS, TARGET = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])


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

# -- other values than numbers, other shapes, and what lies between constructor and call

FLAGS = [True, False]
DIGITS = ["0.5", "0.5"]
COMPLEX = [0.5 + 0j, 0.5]
COSTS = [[0, 1], [1, 0]]
NO_COSTS = [
    *([[0, NAN], [1, 0]], [[0, INF], [1, 0]], np.zeros((3, 3)), [0, 1], [], 1, "a"),
    *([[False, True], [True, False]], [["0", "1"], ["1", "0"]]),
]
LOG_OF_0 = np.where(np.arange(2) == CODES[:, None], -INF, 0.0)  # the own class
OF_PAIRS = [
    *({(0, 1): True, (1, 0): 2}, {(0, 1): "5", (1, 0): 2}, {(0, 1): None, (1, 0): 2}),
    *({(0, 1): 1, (1, 0): NAN}, {(0, 1): [1, 2], (1, 0): 2}),
]
NO_CLASSES = [3, [], [[0, 1]], [0, 0], "a", [[0], [1, 2]]]
EMPTY_ROW = np.array([[-INF, -INF], [0, -1]])
ALL_COSTS = {
    "false_positive_cost": 1,
    "false_negative_cost": 2,
    "true_positive_cost": 0,
    "true_negative_cost": 0,
}
RESOLVED = {"classes": [0, 1], "class_prior": EVEN, "target_prior": "train"}

MORE_OF_POSTERIORS = [
    *cases(post.effective_prior, "counts", [FLAGS, ["9", "1"], [9, None], []]),
    *[
        case
        for name in ("class_weight", "sampling_rate")
        for case in cases(
            post.effective_prior,
            name,
            [FLAGS, DIGITS, True, "2", [0, 0], [1, None], [INF, 1], [1e308, 1e308]],
            counts=[9, 1],
        )
    ],
    *[
        case
        for name in PRIORS
        for case in [
            *cases(post.prior_shift, name, [FLAGS, DIGITS, COMPLEX], **PRIORS),
            *cases(
                post.shift_probabilities,
                name,
                [FLAGS, DIGITS, COMPLEX, *NO_PRIORS, [0.2, 0.3, 0.5]],
                probabilities=EVEN[None],
                **PRIORS,
            ),
        ]
    ],
    *cases(
        post.shift_probabilities,
        "probabilities",
        [
            *([[0.5, 0.6]], [1.5], [-0.1], [NAN], "a", ["a"], None, 0.5, [DIGITS]),
            *([FLAGS], FLAGS, np.ones((2, 0)), [[0.5, 0.5], [1]]),
        ],
        **PRIORS,
    ),
    Case(
        "shift_probabilities: three classes",
        partial(post.shift_probabilities, [[0.2, 0.3, 0.5]], **PRIORS),
        "source_prior",
    ),
    *[
        case
        for fit in (post.fit_temperature, post.fit_offset, post.least_log_loss)
        for case in cases(fit, "log_posterior", [LOG_OF_0], **HELD_OUT)
    ],
    *cases(post.shift_prior, "log_posterior", [EMPTY_ROW, [FLAGS], 0.5, []], **PRIORS),
    *cases(
        post.shift_prior,
        "target_prior",
        [[1.0, 0.0]],
        log_posterior=[[-INF, 0.0]],
        source_prior=EVEN,
    ),
    *cases(
        post.shift_probabilities,
        "target_prior",
        [[1.0, 0.0]],
        probabilities=[[0, 1]],
        source_prior=EVEN,
    ),
    *cases(
        post.estimate_prior,
        "probabilities",
        [[DIGITS], [FLAGS], [[[0.5, 0.5]]], []],
        source_prior=EVEN,
    ),
    *cases(
        post.estimate_prior,
        "source_prior",
        [None, "a", FLAGS, DIGITS, [1.0, 0.0]],
        probabilities=[[0.5, 0.5], [0.0, 1.0]],
    ),
    *[
        case
        for name in ALL_COSTS
        for case in cases(
            post.bayes_threshold,
            name,
            [True, "5", None, NAN, -INF, 1j, [1]],
            **ALL_COSTS,
        )
    ],
    *cases(
        post.bayes_threshold,
        "false_positive_cost",
        [1.7e308],
        **{**ALL_COSTS, "true_negative_cost": -1.7e308},
    ),
    *cases(
        post.cheapest_class,
        "cost_matrix",
        [None, *NO_COSTS, np.zeros((5, 2, 2))],
        probabilities=EVEN[None],
    ),
    *cases(
        post.cheapest_class,
        "probabilities",
        [None, "a", [[0.5, 0.6]], [[NAN, 1]], [FLAGS], [DIGITS], 0.5, [1.5]],
        cost_matrix=COSTS,
    ),
    *cases(post.resolve_costs, "cost_matrix", NO_COSTS + OF_PAIRS, classes=[0, 1]),
    *cases(post.resolve_costs, "classes", NO_CLASSES, cost_matrix=COSTS),
    *cases(
        post.resolve_costs,
        "n_rows",
        [-1, 2.5, "a", True],
        cost_matrix=COSTS,
        classes=[0, 1],
    ),
    *cases(post.resolve_prior, "classes", [*NO_CLASSES, None], **RESOLVED),
    *cases(post.resolve_prior, "class_prior", NO_PRIORS + OTHER_CLASSES, **RESOLVED),
    *cases(
        post.resolve_prior,
        "target_prior",
        [
            *(FLAGS, DIGITS, COMPLEX, {0: True, 1: False}, {0: "0.5", 1: "0.5"}),
            *({0: None, 1: 1}, pd.Series([0.5, 0.5], [0, 0]), [[0.5, 0.5]]),
        ],
        **RESOLVED,
    ),
    *[
        case
        for fit in (post.fit_temperature, post.fit_offset, post.least_log_loss)
        for case in [
            *cases(fit, "log_posterior", [LOG > 0, LOG * 1j, LOG[:, :0]], **HELD_OUT),
            *cases(fit, "log_posterior", [[[0.0, 1.0], [1.0]]], **HELD_OUT),
            *cases(fit, "codes", [[NAN] * 6, [None] * 6, CODES * 1j, 3], **HELD_OUT),
            *cases(fit, "sample_weight", [["1"] * 6, ONES * 1j, 3], **HELD_OUT),
        ]
    ],
    *cases(post.fit_member_offsets, "log_posterior", [LOG > 0], **OF_MEMBERS),
    *cases(post.fit_member_offsets, "class_prior", [FLAGS, DIGITS], **OF_MEMBERS),
    *cases(
        post.rows_by_fold,
        "folds",
        [[], 3, "a", None, FOLDS[:, None], ["0", "1"], [NAN]],
        n_folds=2,
    ),
    *cases(
        post.effective_weight, "sample_weight", [["1", "2"], [], 3, [1, None], [1j]]
    ),
]

LABELS = ["a", "b", "a"]
MORE_OF_WEIGHTS = [
    *cases(class_weights, "counts", [["9", "1"], FLAGS, [9, None], 9, [1j, 1]]),
    *cases(
        class_weights,
        "class_weight",
        [
            *(FLAGS, ["1", "2"], {0: True, 1: 2}, {0: "1", 1: 2}, {0: None}, {0: [1]}),
            *(pd.Series([1, 2], [1, 1]), [0, 0], [-1, 1], [NAN, 1], [[1, 2]], [], 3),
            *(True, {7: 1, 8: 2}, lambda c: None, lambda c: "a", lambda c: [1]),
            lambda c: c * NAN,
        ],
        counts=[9, 1],
    ),
    *cases(class_weights, "classes", [*NO_CLASSES, "ab"], counts=[9, 1]),
    *cases(class_weights, "beta", [None, 1.5, [1]], counts=[9, 1]),
    *cases(class_weights, "max_ratio", [[2], INF, 0], counts=[9, 1]),
    *cases(
        explain_weights,
        "y",
        [
            *(None, 3, "ab", [], [0, None, 1], [0.0, NAN], ["a", 1, None]),
            *(
                ["a", NAN],
                [[0], [1, 2]],
                pd.Series(["a", pd.NA], dtype=object),
                np.eye(2),
            ),
            *(np.array(["2020", "NaT"], "M8[D]"), np.array(["a", 1], object)),
        ],
    ),
    *cases(
        explain_weights,
        "sample_weight",
        [3, "a", [1, "a", 1], ["1"] * 3, [NAN, 1, 1], [1, None, 1], [INF, 1, 1]],
        y=LABELS,
    ),
    *cases(
        explain_weights,
        "classes",
        [["a"], ["a", "a", "b"], 3, [], [["a", "b"]]],
        y=LABELS,
    ),
    *cases(
        explain_weights,
        "class_weight",
        ["a", [1], [1, NAN], {"a": NAN}, {"c": 1}, True, [0, 0], {"a": True}],
        y=LABELS,
    ),
    *[
        case
        for name in ("power", "beta", "max_ratio")
        for case in cases(explain_weights, name, [NAN, -1, "a", True, [1]], y=LABELS)
    ],
]

NO_BOUND_CODES = [[], None, 3, "a", [0.5, 1], [-1, 0], [[0, 1]], ["a", "b"], [None, 1]]
NO_CLASS_COUNTS = [
    *([], None, 3, "a", [-1, 2], [NAN, 1], [INF, 1], [0, 0], [[1, 2]], ["1", "2"]),
    FLAGS,
]
NO_GENERATOR = [None, 3, "a", np.random.RandomState(0), np.random]


def method(make, name, argument, values, *, title, first=None, **good):
    """Return the cases of one argument of a method of what is made anew."""

    def call(**given):
        made = make()
        if first is not None:
            first(made)
        return getattr(made, name)(**given)

    call.__name__ = f"{title}.{name}"
    return cases(call, argument, values, **good)


def of_sampler(make, title):
    """Return the cases of the methods of a sampler."""
    binding = {"codes": CODES, "rng": np.random.default_rng(0)}
    counts = {"counts": np.array([9, 1]), "batch_size": 2}
    return [
        *method(make, "bind", "codes", NO_BOUND_CODES, title=title, **binding),
        *method(make, "bind", "rng", NO_GENERATOR, title=title, **binding),
        *method(make, "rates", "counts", NO_CLASS_COUNTS, title=title, **counts),
        *method(make, "rates", "batch_size", [0, *NO_COUNTS], title=title, **counts),
        *method(make, "epoch_rows", "counts", NO_CLASS_COUNTS, title=title),
        *method(
            make,
            "epoch",
            "batch_size",
            [0, *NO_COUNTS],
            title=title,
            first=lambda made: made.bind(CODES, np.random.default_rng(0)),
        ),
        Case(
            f"{title}: epoch before bind",
            lambda: make().epoch(2),
            "bind(codes, rng)",
            error=AttributeError,
        ),
    ]


MORE_OF_SAMPLERS = [
    *[
        case
        for name, sampler in samplers.SAMPLERS.items()
        for case in of_sampler(sampler, name)
    ],
    *of_sampler(partial(samplers.TorchSampler, RandomSampler), "TorchSampler"),
    *cases(samplers.StratifiedBatchSampler, "power", [-1, NAN, INF, "a", True, None]),
    *cases(samplers.TorchSampler, "factory", [int, nn.Linear, RandomSampler([1, 2])]),
]

HALF, THIRD = torch.tensor([0.5, 0.5]), torch.full((3,), 1 / 3)
SHARES = {"seen": HALF, "delivered": HALF, "balanced": HALF}
NO_SHARES = [
    *(None, [0.5, 0.5], torch.tensor([NAN, 1]), torch.tensor([-1.0, 2]), HALF[None]),
    *(torch.zeros(2), torch.tensor([INF, 1]), torch.tensor(FLAGS)),
]
NO_LOGITS = [LOGITS[:, 0], LOGITS[:, None], LOGITS.long(), LOGITS.numpy(), None]
NO_TARGET = [
    *(TARGET.float(), TARGET.int(), TARGET.bool(), TARGET[:3], TARGET[:, None], None),
    *([0, 1, 0, 1], TARGET.numpy(), torch.eye(2)[TARGET]),
]


def bind(loss):
    loss.bind(losses.ClassShares(**SHARES))


def of_loss(make, title):
    """Return the cases of the methods of a loss that was bound to two classes."""
    of = partial(method, make, title=title, first=bind)
    batch = {"logits": LOGITS, "target": TARGET}
    return [
        *of("forward", "logits", NO_LOGITS, **batch),
        *of("forward", "target", NO_TARGET, **batch),
        *of("log_posterior", "logits", [*NO_LOGITS[2:], torch.tensor(1.0)]),
        *of("effective_prior", "prior", NO_SHARES),
    ]


OTHER_LOGITS = torch.zeros(4, 3)
MORE_OF_LOSSES = [
    *[case for name, loss in LOSSES.items() for case in of_loss(loss, name)],
    *[
        Case(f"{name}: {title} of other classes", call, "2 classes")
        for name in ("logit_adjusted", "balanced_softmax", "vector_scaling", "ldam")
        for title, call in {
            "batch": lambda name=name: bound(name)(OTHER_LOGITS, TARGET),
            "prior": lambda name=name: bound(name).effective_prior(THIRD),
            "logits": lambda name=name: bound(name).log_posterior(OTHER_LOGITS),
            "scale": lambda name=name: bound(name).logit_scale(3),
        }.items()
        if title == "batch"
        or (title == "prior" and name != "ldam")
        or name == "vector_scaling"
    ],
    Case("gamma", lambda: losses.Focal([1.0, 2])(OTHER_LOGITS, TARGET), "loss__gamma"),
    Case("gamma", lambda: losses.Focal([1, 2]).log_posterior(OTHER_LOGITS), "gamma"),
    *[
        case
        for name in SHARES
        for case in cases(losses.ClassShares, name, NO_SHARES, **SHARES)
    ],
    *cases(losses.ClassShares, "balanced", [THIRD], **SHARES),
    *[
        case
        for loss in ("Focal", "PolyFocal")
        for name in ("gamma", "alpha")
        for case in cases(
            getattr(losses, loss),
            name,
            [
                *(
                    [],
                    FLAGS,
                    ["1", "2"],
                    [[1.0, 2.0]],
                    torch.tensor(FLAGS),
                    [None, 1.0],
                ),
                *(False, "1", 1j, torch.tensor([NAN, 1.0])),
            ],
        )
    ],
    *[
        case
        for loss, name in [
            *(("PolyFocal", "epsilon"), ("Poly1", "epsilon"), ("VectorScaling", "tau")),
            *(("Asymmetric", "gamma_positive"), ("AveragePrecision", "warmup")),
        ]
        for case in cases(
            getattr(losses, loss), name, [None, "1", False, [1.0], NAN, INF, -2, 1j]
        )
    ],
    *method(
        losses.AveragePrecision,
        "begin_epoch",
        "progress",
        [-1, 2, NAN, "a", None, True],
        title="average_precision",
    ),
    *[
        case
        for name in ("asymmetric", "vector_scaling", "ldam", "logit_adjusted")
        for case in method(
            LOSSES[name], "bind", "shares", [None, HALF, (HALF, HALF, HALF)], title=name
        )
    ],
    *cases(losses.CriterionLoss, "criterion", [nn.CrossEntropyLoss(), "a", len]),
    *cases(
        losses.constant_minimiser, "loss", [None, "focal", losses.Focal], prior=HALF
    ),
    *cases(
        losses.constant_minimiser,
        "prior",
        [None, "a", FLAGS, DIGITS, torch.tensor(1.0), torch.tensor([INF, 1.0])],
        loss=losses.Focal(),
    ),
]


def bound(name):
    loss = LOSSES[name]()
    bind(loss)
    return loss


ONE_MEMBER = ("MLP", "ResNet", "LinearModel")
NO_SHARE = [1.5, 1, -0.1, NAN, "a", None, True, [0.1]]
NO_CLIP = [0, -1, NAN, INF, "a", False, [1]]
NO_SIZE = [-1, 2.5, "8", True, None, NAN]
NO_BATCH = [torch.zeros(4, 2), torch.zeros(4, 1), torch.zeros(4, 5), None]
NO_BATCH += [np.zeros((4, 3), np.float32)]
NO_TABLE = [X[:, :2], X[:, :1], np.c_[X, X], X[:, 0], X.tolist()]
TRAINED_ON = {"X": X, "y": CODES, "sample_weight": ONES}
WITH_LEVELS = {**SIZES, "n_categories": [0, 3, 0]}
MODULES = {
    **{
        name: partial(getattr(networks, name), **SIZES)
        for name in (*ONE_MEMBER, "TabularMLP", "TabM")
    },
    **{
        f"{name} with levels": partial(getattr(networks, name), **WITH_LEVELS)
        for name in (*ONE_MEMBER, "TabularMLP")
    },
    "Members": partial(networks.Members, module=networks.MLP, n_members=2, **SIZES),
    "Standardize": partial(networks.Standardize, 3),
    "RobustScale": partial(networks.RobustScale, 3),
}
WITHOUT_TABLE = {
    "FillMissing": partial(networks.FillMissing, 3),
    "CosineLinear": partial(networks.CosineLinear, **SIZES),
}
NO_EDGES = [
    *([torch.zeros(9)], [torch.tensor([2.0, 1.0])], [torch.tensor([0.0, NAN])]),
    *([torch.zeros(2, 2)], [[0, 1]], [torch.tensor([0.0, 1.0])] * 2),
    [torch.tensor([0, 1])],
]

NO_CONSTANT = [None, [0.0, 1.0], np.zeros(2), torch.zeros(3), torch.tensor(0.0)]
MORE_OF_NETWORKS = [
    *[
        case
        for name, values in [
            ("dropout", NO_SHARE),
            ("clip", NO_CLIP),
            ("n_categories", [3, [0, 0], [0, 0, -1], [0, 0, 2.5], "abc", [FLAGS] * 3]),
            ("normalize_output", ["a", None, 2, NAN]),
        ]
        for network in ("MLP", "TabularMLP", "TabM", "ResNet")
        for case in cases(getattr(networks, network), name, values, **SIZES)
    ],
    *[
        case
        for network, name, values in [
            ("MLP", "hidden_sizes", [None, "ab", (-1,), [NAN], {3, 4}, 8.0, [[8]]]),
            ("TabularMLP", "hidden_sizes", [None, "ab", (-1,), [NAN], 8, [None]]),
            ("TabularMLP", "activation", ["a", None, 3, ["relu"], nn.ReLU]),
            ("ResNet", "activation", ["a", None, 3, ["relu"], nn.ReLU]),
            ("ResNet", "residual_dropout", NO_SHARE),
            ("ResNet", "n_blocks", [0, *NO_SIZE]),
            ("ResNet", "d_hidden", [0, *NO_SIZE]),
            ("TabM", "d_block", [0, *NO_SIZE]),
            ("TabM", "d_embedding", [0, *NO_SIZE]),
            ("TabM", "n_waves", NO_SIZE),
            ("TabularMLP", "n_bins", [0, *NO_SIZE]),
            ("TabularMLP", "n_channels", NO_SIZE),
            ("TabularMLP", "n_waves", NO_SIZE),
            ("TabularMLP", "level_channels", NO_SIZE),
        ]
        for case in cases(getattr(networks, network), name, values, **SIZES)
    ],
    *cases(
        networks.Members,
        "module",
        [None, 3, "mlp", networks.MLP(3, 2)],
        n_members=2,
        **SIZES,
    ),
    *cases(networks.network_of, "module", [None, 3, "mlp", networks.MLP, len]),
    *cases(networks.is_split, "module", [None, 3, "mlp", networks.MLP, len]),
    *cases(networks.as_logits, "output", [None, np.zeros((2, 3)), torch.tensor(1.0)]),
    *[
        case._replace(named="module__dropout")  # whose value p is
        for case in cases(networks.ByteDropout, "p", NO_SHARE)
    ],
    *cases(networks.ByteDropout, "n_shared", NO_SIZE),
    *cases(networks.RobustScale, "in_features", NO_SIZE),
    *cases(networks.RobustScale, "clip", [*NO_CLIP, None, True], in_features=3),
    *cases(networks.Standardize, "clip", NO_CLIP, in_features=3),
    *cases(networks.PiecewiseLinearEncoding, "n_bins", NO_SIZE, in_features=3),
    *cases(networks.OneHot, "n_categories", [None, 3, "a", [[3]], [None], [NAN]]),
    *cases(networks.OneHot, "most_columns", NO_SIZE, n_categories=[3]),
    *method(
        partial(networks.PiecewiseLinearEncoding, 1, 2),
        "set_edges",
        "edges",
        NO_EDGES,
        title="PiecewiseLinearEncoding",
    ),
    *[
        case
        for name, make in {**MODULES, **WITHOUT_TABLE}.items()
        for case in method(make, "forward", "x", NO_BATCH, title=name)
    ],
    *[
        case
        for name, make in MODULES.items()
        for argument, values in {
            "X": NO_TABLE,
            "sample_weight": [*NO_WEIGHTS, None, 3],
        }.items()
        for case in method(
            make, "initialize_from", argument, values, title=name, **TRAINED_ON
        )
    ],
    *[
        case
        for argument, values in {
            "y": [None, 3, "a", CODES[:5], CODES + 1, CODES - 1, CODES.astype(str)],
            "folds": [3, "a", FOLDS[:5], FOLDS - 2, FOLDS * 1.5, FOLDS.astype(str)],
        }.items()
        for case in method(
            MODULES["TabularMLP"],
            "initialize_from",
            argument,
            values,
            title="TabularMLP",
            **TRAINED_ON,
        )
    ],
    *[
        case
        for name in (*ONE_MEMBER, "TabularMLP", "TabM")
        for hook in ("initialize_output", "shift_output")
        for case in method(MODULES[name], hook, "logits", NO_CONSTANT, title=name)
    ],
    *cases(
        networks.Members,
        "module",
        [lambda **_: None, lambda **_: "abc"],
        in_features=3,
        out_features=2,
        n_members=2,
    ),
    *method(
        partial(networks.OneHot, [3] * 3), "forward", "codes", NO_BATCH, title="OneHot"
    ),
]

NO_MATRIX = [X.tolist(), X.astype(str), X.astype(object), X[:, None], pd.DataFrame(X)]
MORE_OF_NEIGHBORS = [
    *cases(Neighbors, "X", [*NO_MATRIX, X * 1j, X[:, :0]], **OF_NEIGHBORS),
    *cases(
        Neighbors,
        "n_categories",
        [[0, 0], 3, "abc", [0, 0, -1], [0, 0, 2.5], ["a"] * 3],
        **OF_NEIGHBORS,
    ),
    *cases(
        Neighbors,
        "rng",
        ["a", -1, 2.5, [1.5], np.random.RandomState(0), True],
        **OF_NEIGHBORS,
    ),
    *cases(
        Neighbors,
        "folds",
        [[0, 1], 3, "a", FOLDS - 2, FOLDS * 1.5, FOLDS[:, None], FOLDS.astype(str)],
        **OF_NEIGHBORS,
    ),
    *cases(KNOWN.evidence, "X", [*NO_MATRIX, np.c_[X, X]]),
    *cases(KNOWN.evidence_within, "X", [*NO_MATRIX, X[:, :2], X[:, 0], "a", None]),
    *cases(
        KNOWN.evidence_within,
        "positions",
        [[0], 3, "a", CODES * 1.5, CODES - 1, CODES[:, None]],
        X=X,
    ),
    *cases(
        KNOWN.evidence_within,
        "folds",
        [[0], 3, "a", FOLDS * 1.5, FOLDS[:, None]],
        X=X,
    ),
    *cases(fit_weight, "log_posterior", [LOG > 0], **EVIDENCE),
    *cases(
        fit_weight,
        "evidence",
        ["a", LOG > 0, LOG.astype(str), LOG * INF, LOG[:, 0]],
        **EVIDENCE,
    ),
]

CASES = [
    *(OF_POSTERIORS + OF_WEIGHTS + OF_SAMPLERS + OF_LOSSES + OF_NETWORKS + NEIGHBORS),
    *(MORE_OF_POSTERIORS + MORE_OF_WEIGHTS + MORE_OF_SAMPLERS + MORE_OF_LOSSES),
    *(MORE_OF_NETWORKS + MORE_OF_NEIGHBORS),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_bad_input_is_named(case):
    error = fails_as_told(case)
    raised_in = traceback.extract_tb(error.__traceback__)[-1]
    assert "imbalnet" in raised_in.filename
    assert raised_in.line.startswith("raise ")  # and no error of Python's own


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


def test_rows_without_weight_may_be_of_a_class_of_their_own():
    log, codes = np.log(np.full((4, 3), 1 / 3)), [0, 1, 2, 0]
    offset = post.fit_offset(log, codes, [1.0, 1.0, 0.0, 1.0])
    expected = post.fit_offset(log[[0, 1, 3]], [0, 1, 0], np.ones(3))
    np.testing.assert_array_equal(offset, expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: class_weights(a([9, 1])),
        lambda a: class_weights(a([9, 0, 1])),
        lambda a: class_weights([9, 1], a([1, 2])),
        lambda a: explain_weights(a([0, 1, 1])).class_weight,
        lambda a: post.effective_prior(a([9, 1]), a([1, 9])),
        lambda a: post.prior_shift(a([0, 1]), a([0, 1])),
        lambda a: post.shift_probabilities(a([[0, 1]]), [0.5, 0.5], [0.9, 0.1]),
        lambda a: post.cheapest_class(a([[0, 1]]), a([[0, 1], [2, 0]])),
        lambda a: post.resolve_costs(a([[0, 1], [2, 0]]), a([0, 1])),
        lambda a: post.resolve_prior(a([0, 1]), a([0, 1]), [0.5, 0.5]),
        lambda a: post.rows_by_fold(a([0, 1, 1]), 2)[0],
        lambda a: samplers.WeightedSampler().rates(a([9, 1]), 2),
        lambda a: samplers.Undersampler().rates(a([9, 0, 1]), 2),
    ],
)
@pytest.mark.parametrize(
    "convert",
    [
        *(list, tuple, np.float32, pd.Series),
        lambda v: np.broadcast_to(np.array(v), np.shape(v)),  # read-only
    ],
    ids=["list", "tuple", "float32", "Series", "read-only"],
)
def test_good_values_come_in_any_container(call, convert):
    def array(values):
        is_flat = np.ndim(values) == 1 and all(v in (0, 1) for v in values)
        if convert is np.float32 and is_flat:
            return np.array(values)  # which may be codes
        if convert is pd.Series and np.ndim(values) > 1:
            return pd.DataFrame(values)
        return convert(values)

    np.testing.assert_allclose(call(array), call(np.array), rtol=1e-6)
