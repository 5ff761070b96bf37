"""Losses, weights, samplers and costs through the estimator."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.datasets import make_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from imbalnet import BalancedNeuralClassifier
from imbalnet.losses import LOSSES, Loss
from imbalnet.networks import MLP, CosineLinear

NO_INVERSE = {"ldam", "average_precision"}
INVERTIBLE = sorted(set(LOSSES) - NO_INVERSE)
MULTI = ["balanced_softmax", "asymmetric", "vector_scaling", "average_precision"]


def classifier(**params):
    params = {"module": "mlp", "max_epochs": 4, "random_state": 0, **params}
    return BalancedNeuralClassifier(**params)


class Watch(Callback):
    """Keep what happens in training; class attributes survive skorch's copies."""

    weights: list = []
    start: list = []

    @classmethod
    def cleared(cls):
        cls.weights, cls.start = [], []
        return cls()

    def on_train_begin(self, net, X=None, **kwargs):
        net.module_.eval()
        logits = net.infer(X[0].X)
        p = net.log_posterior(logits.double()).exp().squeeze(1)
        self.start.append(p.detach().numpy())

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        _, codes, weight = dataset_train.take(slice(None))
        self.weights.append([weight[codes == c].unique().tolist() for c in (0, 1)])


# -- losses --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns(loss, rare):
    """Far better than chance, with probabilities that sum to one."""
    X, y = rare
    clf = classifier(loss=loss, max_epochs=15).fit(X, y)
    probabilities = clf.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    scores = probabilities[:, 1]
    assert scores[y == 1].mean() > 2 * scores[y == 0].mean()


@pytest.mark.parametrize("loss", MULTI)
def test_losses_take_three_classes(loss, three_classes):
    X, y = three_classes
    clf = classifier(loss=loss, max_epochs=15).fit(X, y)
    assert clf.predict_proba(X).shape == (600, 3)
    assert (clf.predict(X) == y).mean() > 0.8


@pytest.mark.parametrize("data", ["rare", "three_classes"])
@pytest.mark.parametrize("sampler", [None, "weighted"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("loss", INVERTIBLE)
def test_training_starts_at_the_effective_prior(
    loss, class_weight, sampler, data, request
):
    """Of a linear model, which begins with all coefficients zero."""
    X, y = request.getfixturevalue(data)
    clf = classifier(
        module="linear",
        optimizer="adamw",
        loss=loss,
        class_weight=class_weight,
        sampler=sampler,
        callbacks=[Watch.cleared()],
        max_epochs=1,
    ).fit(X, y)
    expected = np.tile(clf.effective_prior_, (len(X), 1))
    np.testing.assert_allclose(Watch.start[0], expected, rtol=1e-3)


class TwinMLP(MLP):
    """An ensemble of two members that are the same network."""

    def forward(self, x):
        return super().forward(x).expand(-1, 2, -1)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("loss", [*INVERTIBLE, "ldam"])
def test_ensemble_is_corrected_as_its_members_are(loss, class_weight, rare):
    X, y = rare
    params = {"loss": loss, "class_weight": class_weight, "sampler": "stratified_batch"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*no calibrated inverse")
        alone = classifier(target_prior="train", **params).fit(X, y)
        twins = classifier(target_prior="train", module=TwinMLP, **params).fit(X, y)
    np.testing.assert_allclose(
        twins.predict_proba(X), alone.predict_proba(X), atol=1e-4
    )


@pytest.mark.parametrize(
    ("tau", "expected"), [(0.0, [0.92, 0.08]), (0.5, None), (1.0, [0.5, 0.5])]
)
def test_logit_adjustment_has_the_effective_prior_of_its_tau(tau, expected, rare):
    X, y = rare
    clf = classifier(loss="logit_adjusted", loss__tau=tau).fit(X, y)
    mass = clf.class_prior_ ** (1 - tau)
    np.testing.assert_allclose(clf.effective_prior_, mass / mass.sum())
    if expected is not None:
        np.testing.assert_allclose(clf.effective_prior_, expected, atol=0.01)


def test_logit_adjustment_and_weights_do_not_balance_twice(rare):
    """Behind balanced weights nothing is left to adjust: the same training."""
    X, y = rare
    adjusted = classifier(loss="logit_adjusted", class_weight="balanced").fit(X, y)
    plain = classifier(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(adjusted.effective_prior_, [0.5, 0.5])
    np.testing.assert_allclose(
        adjusted.predict_proba(X), plain.predict_proba(X), atol=1e-6
    )


def test_logit_adjustment_leaves_weights_that_the_user_gives(rare):
    """They are meant: the prior of ``tau=1`` times these weights."""
    clf = classifier(loss="logit_adjusted", class_weight={0: 1.0, 1: 3.0}).fit(*rare)
    np.testing.assert_allclose(clf.effective_prior_, [0.25, 0.75])


@pytest.mark.parametrize(
    "params", [{"target_prior": "train"}, {"cost_matrix": [[0, 1], [9, 0]]}]
)
def test_losses_without_an_inverse_warn_where_probabilities_are_needed(params, rare):
    with pytest.warns(UserWarning, match="has no calibrated inverse"):
        classifier(loss="ldam", **params).fit(*rare)


@pytest.mark.parametrize("data", ["rare", "three_classes"])
@pytest.mark.parametrize("loss", ["cross_entropy", "logit_adjusted", "vector_scaling"])
def test_coefficients_of_a_linear_model_give_its_log_odds(loss, data, request):
    X, y = request.getfixturevalue(data)
    clf = classifier(module="linear", loss=loss, max_epochs=30).fit(X, y)
    scores = X @ clf.coef_.T + clf.intercept_
    if len(clf.classes_) == 2:
        np.testing.assert_allclose(scores[:, 0], clf.decision_function(X), atol=1e-6)
    else:
        gap = clf.decision_function(X) - scores  # the same for every class of a row
        np.testing.assert_allclose(np.ptp(gap, axis=1), 0, atol=1e-6)


class OwnLoss(Loss):
    """Squared error of the target's probability, which has no closed inverse."""

    is_calibrated = False

    def forward(self, logits, target):
        p = logits.softmax(-1).gather(-1, target[:, None]).squeeze(-1)
        return (1 - p) ** 2


def test_own_loss_starts_at_its_minimiser_and_learns(rare):
    X, y = rare
    clf = classifier(
        module="linear",
        optimizer="adamw",
        loss=OwnLoss,
        callbacks=[Watch.cleared()],
        max_epochs=20,
    ).fit(X, y)
    prior = clf.class_prior_
    p = Watch.start[0][0, 1]  # where prior_1 (1 - p)^2 + prior_0 p^2 is smallest
    assert p == pytest.approx(prior[1], rel=1e-3)
    scores = clf.predict_proba(X)[:, 1]
    assert scores[y == 1].mean() > 2 * scores[y == 0].mean()


# -- LDAM ----------------------------------------------------------------------------


def test_ldam_has_a_network_of_cosines(rare):
    X, y = rare
    clf = classifier(loss="ldam").fit(X, y)
    assert isinstance(clf.module_.output, CosineLinear)
    outputs = clf.module_(torch.tensor(X, dtype=torch.float32))
    assert outputs.abs().max() <= 1 + 1e-6
    assert "module__normalize_output" not in clf.get_params()


def test_ldam_margins_do_not_know_the_class_weights(rare):
    X, y = rare
    plain = classifier(loss="ldam").fit(X, y)
    weighted = classifier(
        loss="ldam", class_weight="balanced", class_weight__start_epoch=0.5
    ).fit(X, y)
    margins = [clf.net_.criterion_.margins.tolist() for clf in (plain, weighted)]
    assert margins[0] == margins[1]
    n_neg, n_pos = np.bincount(y)
    assert margins[0] == pytest.approx([0.5 * (n_pos / n_neg) ** 0.25, 0.5])


class CosineNet(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, 16), nn.Tanh(), CosineLinear(16, out_features)
        )

    def forward(self, x):
        return self.layers(x)


def test_ldam_takes_own_networks_of_cosines_only(rare):
    classifier(loss="ldam", module=CosineNet).fit(*rare)
    with pytest.raises(ValueError, match=r"does not end in imbalnet\.networks\.Cosine"):
        classifier(loss="ldam", module="linear").fit(*rare)


def test_warm_start_to_cosines_is_an_error_that_names_the_loss(rare):
    clf = classifier(warm_start=True).fit(*rare)
    with pytest.raises(ValueError, match="loss='ldam' needs another last layer"):
        clf.set_params(loss="ldam").fit(*rare)


# -- the ranking loss ----------------------------------------------------------------


def test_ranking_loss_has_positives_in_every_batch(rare, recorder):
    X, y = rare
    clf = classifier(loss="average_precision", batch_size=20, callbacks=[recorder]).fit(
        X, y
    )
    assert len(recorder.batches) == 4 * 30
    assert all(batch.y.sum() >= 1 for batch in recorder.batches)
    assert clf.effective_prior_ == pytest.approx(clf.class_prior_, abs=0.03)


def test_ranking_loss_refuses_weights(rare):
    X, y = rare
    with pytest.raises(ValueError, match="ranks, and knows no weights, but class_weig"):
        classifier(loss="average_precision", class_weight="balanced").fit(X, y)
    with pytest.raises(ValueError, match="but sample_weight holds different ones"):
        classifier(loss="average_precision").fit(X, y, sample_weight=1.0 + y)


def test_ranking_loss_warms_up(rare):
    """The training loss is the cross entropy first, then one minus precision."""
    X, y = rare
    ranked = classifier(loss="average_precision", sampler="weighted", max_epochs=6)
    plain = classifier(sampler="weighted", max_epochs=6)
    losses = [clf.fit(X, y).history_[:, "train_loss"] for clf in (ranked, plain)]
    assert losses[0][:3] == losses[1][:3]
    assert losses[0][3] != losses[1][3]
    assert max(losses[0][3:]) < 1


def test_ranking_loss_trains_linear_models_in_batches(rare):
    """L-BFGS would compare all pairs of rows in every step."""
    clf = classifier(module="linear", loss="average_precision").fit(*rare)
    assert not isinstance(clf.net_.optimizer_, torch.optim.LBFGS)
    assert clf.net_.dtype == torch.float32


def test_ranking_loss_goes_past_its_warmup_in_partial_fit(rare):
    X, y = rare
    clf = classifier(loss="average_precision", max_epochs=4)
    for is_early in (True, True, False, False, False):
        clf.partial_fit(X, y, classes=[0, 1])
        assert clf.net_.criterion_.train().is_warming_up == is_early


def test_ranking_loss_of_full_warmup_is_cross_entropy_in_partial_fit(rare):
    X, y = rare
    params = {"sampler": "stratified_batch", "max_epochs": 2}
    plain = classifier(**params)
    ranked = classifier(loss="average_precision", loss__warmup=1.0, **params)
    for _ in range(4):
        for clf in (plain, ranked):
            clf.partial_fit(X, y, classes=[0, 1])
    np.testing.assert_array_equal(plain.predict_proba(X), ranked.predict_proba(X))


def test_ranking_loss_refuses_full_batches(rare):
    with pytest.raises(ValueError, match="with all rows at once; use optimizer='auto'"):
        classifier(loss="average_precision", optimizer="lbfgs").fit(*rare)


# -- deferred weights ----------------------------------------------------------------


@pytest.mark.parametrize("start", [2, 0.5])
def test_deferred_weights_come_in_at_their_epoch(start, rare):
    X, y = rare
    clf = classifier(
        class_weight="balanced",
        class_weight__start_epoch=start,
        callbacks=[Watch.cleared()],
    ).fit(X, y)
    early, late = [[1.0], [1.0]], [[w] for w in clf.class_weight_]
    expected = [early, early, late, late]
    for weights, wanted in zip(Watch.weights, expected, strict=True):
        np.testing.assert_allclose(weights, wanted, rtol=1e-6)
    np.testing.assert_allclose(clf.effective_prior_, [0.5, 0.5])


class Spoil(Callback):
    """Make every epoch but the first useless."""

    def on_epoch_end(self, net, **kwargs):
        with torch.no_grad():
            for parameter in net.module_.parameters():
                parameter.zero_()


def spoiled(**params):
    """Balance with early stopping, where the first epoch is the one that is kept."""
    return classifier(
        class_weight="balanced",
        early_stopping=True,
        validation_fraction=0.3,
        **{"callbacks": [Spoil()], "max_epochs": 8, **params},
    )


def test_deferred_weights_do_not_count_where_an_earlier_epoch_is_kept(rare):
    """The weights of epoch 1 were trained without: their prior is the data's."""
    X, y = rare
    clf = spoiled(class_weight__start_epoch=2, max_epochs=5).fit(X, y)
    assert clf.best_iteration_ == 1
    # that of the training part, in which a class is rounded to whole rows
    np.testing.assert_allclose(clf.effective_prior_, clf.class_prior_, atol=1e-3)


def test_patience_waits_for_deferred_weights(rare):
    clf = spoiled(class_weight__start_epoch=4, patience=1).fit(*rare)
    assert clf.n_iter_ >= 5


def test_deferred_weights_in_partial_fit_count_its_calls(rare):
    X, y = rare
    clf = classifier(class_weight="balanced", class_weight__start_epoch=2)
    priors = []
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1])
        priors.append(clf.effective_prior_[1])
    np.testing.assert_allclose(priors[:2], clf.class_prior_[1])
    assert priors[2] == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n_classes", [2, 3])
def test_deferred_weights_of_a_convex_problem_change_nothing(n_classes, seed):
    """L-BFGS must forget the curvature of the problem without weights."""
    X, y = make_classification(
        300,
        n_informative=5,
        n_classes=n_classes,
        weights=[0.8, 0.1][: n_classes - 1],
        random_state=seed,
    )
    params = {"module": "linear", "class_weight": "balanced", "max_epochs": 30}
    at_once = classifier(**params).fit(X, y)
    deferred = classifier(**params, class_weight__start_epoch=0.5).fit(X, y)
    np.testing.assert_allclose(
        deferred.predict_proba(X), at_once.predict_proba(X), atol=1e-4
    )


def test_partial_fit_follows_a_changed_start(rare):
    """Prior and training must agree on whether weights are in."""
    X, y = rare
    clf = classifier(class_weight="balanced", max_epochs=20).fit(X, y)
    clf.set_params(class_weight__start_epoch=50, target_prior="train")
    clf.partial_fit(X, y)
    np.testing.assert_allclose(clf.effective_prior_, clf.class_prior_)
    assert clf.net_.history[-1, "train_loss"] < clf.net_.history[-2, "train_loss"]
    later = classifier(max_epochs=20).partial_fit(X, y, classes=[0, 1])
    later.set_params(class_weight="balanced", class_weight__start_epoch=2)
    priors = [later.partial_fit(X, y).effective_prior_[1] for _ in range(2)]
    np.testing.assert_allclose(priors, [later.class_prior_[1], 0.5])


def test_partial_fit_counts_from_the_epoch_that_was_kept(rare):
    X, y = rare
    clf = spoiled(class_weight__start_epoch=4).fit(X, y)
    assert clf.best_iteration_ == 1
    clf.set_params(callbacks=None).partial_fit(X, y)  # the second epoch: unweighted
    np.testing.assert_allclose(clf.effective_prior_, clf.class_prior_, atol=1e-3)


@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping(monitor="train_loss", load_best=True),
        ("stop", EarlyStopping(monitor="train_loss", load_best=True)),
    ],
)
def test_deferred_weights_refuse_callbacks_that_restore_an_epoch(callback, rare):
    clf = classifier(
        class_weight="balanced", class_weight__start_epoch=2, callbacks=[callback]
    )
    with pytest.raises(ValueError, match=r"load_best=True\), but whether"):
        clf.fit(*rare)


@pytest.mark.parametrize("stops_early", [False, True])
@pytest.mark.parametrize("where", ["batch", "epoch"])
@pytest.mark.parametrize(
    ("start", "epoch", "weighted"),
    [(0, 1, True), (0, 3, True), (2, 1, False), (2, 2, False), (2, 3, True)],
)
def test_interrupted_run_knows_what_it_trained_under(
    start, epoch, weighted, where, stops_early, rare, interrupt
):
    """The epoch that was begun counts, or the best one where there is one."""
    X, y = rare
    clf = classifier(
        class_weight="balanced",
        class_weight__start_epoch=start,
        early_stopping=stops_early,
        validation_fraction=0.3,
        callbacks=[interrupt[where](epoch)],
    )
    with pytest.raises(KeyboardInterrupt, match="keeps the best weights"):
        clf.fit(X, y)
    if stops_early:
        weighted = clf.best_iteration_ > start or start == 0
    expected = [0.5, 0.5] if weighted else clf.class_prior_
    np.testing.assert_allclose(clf.effective_prior_, expected, atol=1e-3)


def test_weights_without_deferral_are_known_behind_skorchs_early_stopping(rare):
    callbacks = [Spoil(), EarlyStopping(monitor="valid_loss", patience=2)]
    clf = spoiled(callbacks=callbacks).fit(*rare)
    assert clf.best_iteration_ == 1
    np.testing.assert_allclose(clf.effective_prior_, [0.5, 0.5])


def test_early_stopping_and_a_restoring_callback_exclude_each_other(rare):
    callback = EarlyStopping(monitor="valid_loss", load_best=True)
    clf = classifier(early_stopping=True, validation_fraction=0.3, callbacks=[callback])
    with pytest.raises(ValueError, match="early stopping keeps its own best epoch"):
        clf.fit(*rare)


def test_deferral_without_weights_is_nothing(rare):
    """A grid over class_weight may hold None."""
    X, y = rare
    clf = classifier(class_weight__start_epoch=50).fit(X, y)
    np.testing.assert_array_equal(
        clf.predict_proba(X), classifier().fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize("start", [-1, 1.0, "half", None])
def test_deferred_weights_reject_start(start, rare):
    with pytest.raises(ValueError, match="class_weight__start_epoch="):
        classifier(class_weight="balanced", class_weight__start_epoch=start).fit(*rare)


def test_deferred_weights_must_come_before_the_end(rare):
    with pytest.raises(ValueError, match="they would never be used"):
        classifier(class_weight="balanced", class_weight__start_epoch=4).fit(*rare)


# -- weights -------------------------------------------------------------------------


def test_class_weight_as_array_follows_the_classes(rare):
    clf = classifier(class_weight=[1.0, 7.0]).fit(*rare)
    assert clf.class_weight_.tolist() == [1.0, 7.0]


def test_class_weight_is_capped(rare):
    clf = classifier(class_weight="balanced", class_weight__max_ratio=3.0).fit(*rare)
    assert clf.class_weight_[1] / clf.class_weight_[0] == pytest.approx(3.0)
    assert clf.effective_prior_[1] == pytest.approx(
        3 * clf.class_prior_[1] / (3 * clf.class_prior_[1] + clf.class_prior_[0])
    )


# -- costs ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def costly(three_classes):
    X, y = three_classes
    return classifier(max_epochs=10, class_weight="balanced").fit(X, y), X


def test_predict_under_costs_takes_the_cheapest_class(costly):
    """Under the training data's prior, where no target prior is given."""
    clf, X = costly
    costs = np.array([[0.0, 1.0, 2.0], [5.0, 0.0, 1.0], [40.0, 3.0, 0.0]])
    p = clf.set_params(target_prior="train").predict_proba(X)
    expected = (p @ costs).argmin(1)
    for target in ("train", None):
        clf.set_params(cost_matrix=costs, target_prior=target)
        np.testing.assert_array_equal(clf.predict(X), expected)
    probabilities = clf.predict_proba(X)
    clf.set_params(cost_matrix=None)
    np.testing.assert_array_equal(clf.predict_proba(X), probabilities)


def test_predict_takes_costs_by_label(rare):
    X, y = rare
    labels = np.array(["fine", "fraud"])[y]
    clf = classifier(max_epochs=10).fit(X, labels)
    plain = (clf.predict(X) == "fraud").sum()
    clf.set_params(cost_matrix={("fraud", "fine"): 50.0, ("fine", "fraud"): 1.0})
    flagged = clf.predict(X) == "fraud"
    np.testing.assert_array_equal(flagged, clf.predict_proba(X)[:, 1] > 1 / 51)
    assert flagged.sum() > plain


@pytest.mark.parametrize(
    "costs",
    [
        [[0, 1]],
        {("a", "b"): 1},
        [[0, np.nan], [1, 0]],
        {(0, 1): 1, (1, 0): 9, (1, "1"): -3},
        {(0, 1): 1, (1, 0): np.ones(600)},
        np.ones((600, 2, 2)),
    ],
)
def test_wrong_costs_are_an_error_before_training(costs, rare):
    clf = classifier(cost_matrix=costs)
    with pytest.raises(ValueError, match="cost_matrix"):
        clf.fit(*rare)
    assert not hasattr(clf, "net_")


def amounts(n_rows):
    return np.random.default_rng(0).lognormal(1.0, 1.5, n_rows)


def test_predict_by_the_costs_of_each_row(rare):
    """Call where the expected loss of the row's amount is above that of a call."""
    X, y = rare
    labels, amount = np.array(["fine", "fraud"])[y], amounts(len(y))
    clf = classifier(max_epochs=10, class_weight="balanced").fit(X, labels)
    p = clf.set_params(target_prior="train").predict_proba(X)[:, 1]
    expected = p * amount > (1 - p) * 5
    by_pair = {("fraud", "fine"): amount, ("fine", "fraud"): 5}
    matrices = np.zeros((len(y), 2, 2))
    matrices[:, 0, 1], matrices[:, 1, 0] = 5, amount
    for target in ("train", None):
        clf.set_params(target_prior=target)
        for costs in (by_pair, matrices):
            called = clf.predict(X, cost_matrix=costs)
            np.testing.assert_array_equal(called == "fraud", expected)
    assert 0 < expected.sum() < len(y)


def test_costs_of_rows_outrank_the_parameters(rare):
    X, y = rare
    clf = classifier(max_epochs=10).fit(X, y)
    dear = {(0, 1): 1, (1, 0): 1e9}
    clf.set_params(cost_matrix=[[0, 1e9], [1, 0]])
    assert not clf.predict(X).any()
    assert clf.predict(X, cost_matrix=dear).all()
    clf.set_params(cost_matrix=None, threshold=1.0)
    assert clf.predict(X, cost_matrix=dear).all()


def test_costs_of_rows_for_three_classes(costly, rng):
    clf, X = costly
    costs = rng.uniform(0, 10, size=(len(X), 3, 3))
    p = clf.set_params(target_prior="train").predict_proba(X)
    expected = np.einsum("ri,rij->rj", p, costs).argmin(axis=1)
    np.testing.assert_array_equal(clf.predict(X, cost_matrix=costs), expected)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (np.ones((599, 2, 2)), r"or shape \(600, 2, 2\), .* has shape \(599, 2, 2\)"),
        (
            {(0, 1): 1, (1, 0): np.ones(5)},
            r"each of the 600 rows, but has shape \(5,\)",
        ),
        ({(0, 1): 1, (1, 0): 2, ("1", 0): 2}, r"has costs for \('1', 0\)"),
        ({(1, 0): np.ones(600)}, r"leaves out the pairs \(0, 1\)"),
        ({(0, 1): 1, (1, 0): np.full(600, np.inf)}, "holds inf at"),
    ],
)
def test_wrong_costs_of_rows_are_named(costs, message, rare):
    X, y = rare
    clf = classifier(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=message):
        clf.predict(X, cost_matrix=costs)


@pytest.mark.parametrize("is_routed", [False, True])
def test_costs_of_rows_pass_through_a_pipeline(is_routed, rare):
    X, y = rare
    costs = {(0, 1): 5, (1, 0): amounts(len(y))}
    with config_context(enable_metadata_routing=is_routed):
        clf = classifier(max_epochs=10)
        if is_routed:
            clf.set_predict_request(cost_matrix=True)
        pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
        called = pipeline.predict(X, cost_matrix=costs)
    scaled = pipeline[0].transform(X)
    expected = pipeline[-1].predict(scaled, cost_matrix=costs)
    np.testing.assert_array_equal(called, expected)
    assert (called != pipeline.predict(X)).any()


def test_routing_refuses_costs_that_nobody_asked_for(rare):
    X, y = rare
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), classifier(max_epochs=1)).fit(X, y)
        with pytest.raises(ValueError, match=r"\[cost_matrix\] are passed but"):
            pipeline.predict(X, cost_matrix={(0, 1): 5, (1, 0): 1})


# -- on a GPU ------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("loss", LOSSES)
def test_gpu_trains_every_loss_as_the_cpu_does(loss, three_classes):
    """With validation rows, whose posterior is computed beside the GPU."""
    X, y = three_classes
    params = {"loss": loss, "early_stopping": True, "validation_fraction": 0.3}
    on_gpu, on_cpu = (
        classifier(device=device, **params).fit(X, y).predict_proba(X)
        for device in ("cuda", "cpu")
    )
    assert abs(on_gpu - on_cpu).mean() < 0.05
