"""Scaling and encoding of columns, their information, and dropout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import expit, logit
from sklearn.metrics import mutual_info_score

from imbalnet.networks import ByteDropout, PiecewiseLinearEncoding, RobustScale
from imbalnet.networks._information import class_counts, mutual_information
from imbalnet.networks.layers.embeddings import bin_edges, quantiles

CONTAINERS = [np.asarray, sparse.csc_array]


def scaled(X, weight=None, *, clip=1e9, dtype=torch.float64):
    layer = RobustScale(X.shape[1], clip).to(dtype)
    layer.initialize_from(X, None, np.ones(X.shape[0]) if weight is None else weight)
    return layer


def inverted_cdf(X, q):
    return np.nanquantile(X, q, axis=0, method="inverted_cdf")


# -- RobustScale -----------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_rows", [2, 3, 4, 7, 100])
def test_robust_scale_takes_median_and_interquartile_range(container, n_rows, rng):
    X = rng.normal(loc=[0, 40, -3], scale=[1, 5, 1e-2], size=(n_rows, 3))
    layer = scaled(container(X))
    low, middle, high = inverted_cdf(X, [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(layer.center, middle)
    np.testing.assert_array_equal(layer.inverse_scale, 1 / (high - low))
    np.testing.assert_allclose(layer(torch.tensor(X)), (X - middle) / (high - low))


def test_robust_scale_counts_weights_as_repetitions(rng):
    """Bit for bit."""
    X, weight = rng.normal(size=(60, 4)), rng.integers(1, 5, 60)
    X[rng.random(X.shape) < 0.2] = np.nan
    weighted, repeated = scaled(X, weight.astype(float)), scaled(X.repeat(weight, 0))
    assert torch.equal(weighted.center, repeated.center)
    assert torch.equal(weighted.inverse_scale, repeated.inverse_scale)


@pytest.mark.parametrize("factor", [1e-6, 0.1, 3.0])
def test_robust_scale_ignores_the_unit_of_weights(factor, rng):
    X, weight = rng.normal(size=(60, 2)), rng.integers(1, 5, 60).astype(float)
    once, scaled_up = scaled(X, weight), scaled(X, weight * factor)
    assert torch.equal(once.center, scaled_up.center)
    assert torch.equal(once.inverse_scale, scaled_up.inverse_scale)


def test_robust_scale_takes_gaps_for_the_median(rng):
    X = rng.normal(loc=5, size=(200, 3))
    X[rng.random(X.shape) < 0.3] = np.nan
    layer = scaled(X)
    np.testing.assert_array_equal(layer.center, inverted_cdf(X, 0.5))
    x = torch.tensor(X)
    z = layer(x)
    assert (z[x.isnan()] == 0).all()
    assert torch.equal(x, torch.tensor(X)) or x.isnan().any()  # not changed in place
    assert torch.equal(x.isnan(), torch.tensor(np.isnan(X)))


@pytest.mark.parametrize("clip", [3.0, 1e9])
@pytest.mark.parametrize("value", [0.0, 3.7, 1e9, -0.1, np.nan])
def test_robust_scale_is_blind_to_a_column_without_spread(value, clip):
    """At prediction too, whatever stands there."""
    X = np.full((33, 2), value)
    X[:, 1] = np.arange(33)
    layer = scaled(X, clip=clip, dtype=torch.float32)
    assert layer.is_constant.tolist() == [True, False]
    later = [value, 0.0, -7.0, 1e30, -1e38, np.nan, np.inf, -np.inf]
    x = torch.tensor([[each, 1.0] for each in later])
    assert (layer(x)[:, 0] == 0).all()


def test_robust_scale_falls_back_on_half_the_range():
    """Where most values are one, as in counts of rare events."""
    X = np.array([[0.0]] * 90 + [[1.0]] * 5 + [[8.0]] * 5)
    layer = scaled(X)
    assert layer(torch.tensor([[0.0], [8.0]]).double()).tolist() == [[0.0], [2.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_robust_scale_bends_what_is_far_and_infinite(dtype, rng):
    X = rng.normal(size=(50, 1))
    X[0], X[1] = np.inf, -np.inf
    layer = scaled(X, clip=3.0, dtype=dtype)
    assert layer.center.item() == pytest.approx(np.sort(X[2:, 0])[23])
    far = [-np.inf, -1e38, -1e30, -1e4, -1.0, 0.0, 1.0, 1e4, 1e30, 1e38, np.inf]
    z = layer(torch.tensor(far, dtype=dtype)[:, None])[:, 0]
    assert z.dtype == dtype
    assert (z.diff() >= 0).all()
    assert (z[3:8].diff() > 0.1).all()
    bound = 3 * (1 + np.log(1e15 / 3))
    torch.testing.assert_close(z[[0, -1]], torch.tensor([-bound, bound], dtype=dtype))


@pytest.mark.parametrize("clip", [0.7, 3.0])
def test_robust_scale_follows_its_formula(clip, rng):
    X = rng.standard_t(1, size=(50, 3)) * [1, 5, 1e-2] + [0, 40, -3]
    x = torch.tensor(X, dtype=torch.float32)
    outputs = scaled(X, clip=clip, dtype=torch.float32)(x)
    low, middle, high = inverted_cdf(X, [0.25, 0.5, 0.75])
    z = (x.double().numpy() - middle) / (high - low)
    far = np.sign(z) * clip * (1 + np.log(np.abs(z) / clip))
    bent = np.where(np.abs(z) <= clip, z, far)
    np.testing.assert_allclose(outputs.numpy(), bent, rtol=0, atol=2e-4)
    assert (np.abs(z) > clip).any()
    assert (np.abs(z) < clip).any()


def test_robust_scale_keeps_float64():
    """Seconds of a clock: their spread is lost in float32."""
    X = 1.7e9 + np.arange(40.0)[:, None] / 64
    z = scaled(X)(torch.tensor(X))
    np.testing.assert_allclose(z.diff(dim=0), 1 / 20, rtol=1e-9)


@pytest.mark.parametrize("clip", [0.0, -1.0])
def test_robust_scale_rejects_clip(clip):
    with pytest.raises(ValueError, match="clip must be positive or True, however"):
        RobustScale(3, clip=clip)


# -- quantiles and bins ----------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 2, 5, 10, 999])
def test_quantiles_are_those_of_numpy(n_rows, rng):
    values, weight = rng.normal(size=n_rows).round(1), rng.integers(1, 4, n_rows)
    q = np.linspace(0.05, 1, 20)
    repeated = np.quantile(values.repeat(weight), q, method="inverted_cdf")
    np.testing.assert_array_equal(quantiles(values, weight.astype(float), q), repeated)


@pytest.mark.parametrize("n_bins", [1, 2, 8, 32])
def test_bin_edges_span_the_values(n_bins, rng):
    for values in (rng.normal(size=500), rng.integers(0, 5, 500).astype(float)):
        edges = bin_edges(values, np.ones(500), n_bins)
        assert 2 <= len(edges) <= n_bins + 1
        assert (np.diff(edges) > 0).all()
        assert edges[0] == values.min()
        assert edges[-1] == values.max()


def test_bin_edges_lie_between_few_values():
    edges = bin_edges(np.array([5.0, 1.0, 1.0, 2.0]), np.ones(4), 3)
    assert edges.tolist() == [1.0, 1.5, 3.5, 5.0]


def test_bin_edges_are_quantiles_of_many_values(rng):
    values = rng.exponential(size=400)
    edges = bin_edges(values, np.ones(400), 8)
    shares = expit(5 * np.linspace(-0.75, 0.75, 7))
    inner = np.quantile(values, shares, method="inverted_cdf")
    np.testing.assert_array_equal(edges[1:-1], inner)
    assert np.mean(values < edges[1]) == pytest.approx(0.023, abs=0.003)


def test_bin_edges_leave_heavy_values_their_own():
    """Zeros in nine of ten rows would take most quantiles."""
    values = np.concatenate([np.zeros(900), np.arange(1.0, 101)])
    edges = bin_edges(values, np.ones(1000), 16)
    np.testing.assert_array_equal(edges[:2], [0.0, 1.0])
    assert (np.diff(edges) > 0).all()
    assert len(edges) == 17
    inner = (edges[2:-1] - 1) / 99  # shares of the rest
    assert np.abs(np.diff(logit(inner[1:-1])) - 10 / 15).max() < 0.2


def test_bin_edges_stand_on_both_sides_of_a_heavy_value(rng):
    values = np.concatenate([np.full(500, 0.25), rng.normal(size=500)])
    edges = bin_edges(values, np.ones(1000), 8)
    at = np.flatnonzero(edges == 0.25)[0]
    others = np.sort(values[values != 0.25])
    place = np.searchsorted(others, 0.25)
    np.testing.assert_array_equal(edges[[at - 1, at + 1]], others[[place - 1, place]])
    assert len(edges) <= 9


@pytest.mark.parametrize("values", [[], [2.0], [2.0] * 9])
def test_bin_edges_need_two_values(values):
    assert len(bin_edges(np.array(values), np.ones(len(values)), 4)) == 0


# -- PiecewiseLinearEncoding -----------------------------------------------------------


def encoding_of(edges, n_bins=8):
    layer = PiecewiseLinearEncoding(len(edges), n_bins).double()
    layer.set_edges([torch.tensor(e, dtype=torch.float64) for e in edges])
    return layer


EDGES = [[0.0, 1.0, 3.0, 3.5], [-2.0, 5.0], [1.0, 1.25, 1.5, 2.0, 9.0, 10.0]]


def test_encoding_is_that_of_rtdl_num_embeddings(rng):
    """Between the edges; beyond them rtdl's goes on, ours leaves that to the number."""
    rtdl = pytest.importorskip("rtdl_num_embeddings")
    edges = [torch.tensor(e, dtype=torch.float64) for e in EDGES]
    place = torch.from_numpy(rng.random(50))
    z = torch.stack([e[0] + place * (e[-1] - e[0]) for e in edges], dim=1)
    theirs = rtdl.PiecewiseLinearEncoding(edges)(z)
    ours = encoding_of(EDGES)(z)
    assert torch.equal(ours[..., 0], z)
    sizes = [len(e) - 1 for e in EDGES]
    bins = [ours[:, j, 1 : 1 + size] for j, size in enumerate(sizes)]
    torch.testing.assert_close(torch.cat(bins, dim=1), theirs)
    assert all((ours[:, j, 1 + size :] == 0).all() for j, size in enumerate(sizes))


def test_encoding_is_numpys_interpolation(rng):
    """A linear layer behind it gives any piecewise linear function of the column."""
    edges, heights = np.array(EDGES[2]), rng.normal(size=6)
    z = rng.uniform(-1, 12, size=(200, 1))
    encoded = encoding_of([edges])(torch.tensor(z))[:, 0, 1:6].numpy()
    np.testing.assert_allclose(
        heights[0] + encoded @ np.diff(heights), np.interp(z[:, 0], edges, heights)
    )


def test_encoding_drops_bins_without_width():
    """Edges that scaling brought together, as two large numbers in float32."""
    collapsed = encoding_of([[0.0, 1.0, 1.0, 1.0, 3.0, 3.0]])
    plain = encoding_of([[0.0, 1.0, 3.0]])
    z = torch.linspace(-1, 4, 30, dtype=torch.float64)[:, None]
    assert torch.equal(collapsed(z), plain(z))


@pytest.mark.parametrize("edges", [[], [2.0], [2.0, 2.0]])
def test_encoding_without_bins_is_the_number(edges):
    z = torch.tensor([[-3.0], [2.0], [1e30]], dtype=torch.float64)
    encoded = encoding_of([edges])(z)
    assert torch.equal(encoded[..., 0], z)
    assert (encoded[..., 1:] == 0).all()


def test_encoding_forgets_earlier_edges():
    layer = encoding_of(EDGES)
    layer.set_edges([torch.tensor([0.0, 1.0])] * 3)
    other = encoding_of([[0.0, 1.0]] * 3)
    z = torch.rand(5, 3, dtype=torch.float64)
    assert torch.equal(layer(z), other(z))


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 3), (0, 3)])
def test_encoding_works_on_the_last_axis(shape):
    layer = encoding_of(EDGES)
    z = torch.randn(shape, dtype=torch.float64)
    encoded = layer(z)
    assert encoded.shape == (*shape, 9)
    assert torch.equal(encoded.reshape(-1, 3, 9), layer(z.reshape(-1, 3)))


def test_encoding_rejects_bins():
    with pytest.raises(
        ValueError, match="module__n_bins must be an integer of at least 0, however"
    ):
        PiecewiseLinearEncoding(3, n_bins=-1)


# -- information -----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 5])
def test_mutual_information_is_that_of_sklearn_less_its_bias(n_classes, rng):
    y = rng.integers(0, n_classes, 500)
    bins = (y + rng.integers(0, 4, 500)) % 7
    counts = class_counts(bins, 7, y, n_classes, np.ones(500), None, 1)
    bias = (len(np.unique(bins)) - 1) * (n_classes - 1) / (2 * 500)
    expected = mutual_info_score(bins, y) - bias
    np.testing.assert_allclose(mutual_information(counts), [expected])


def test_mutual_information_of_what_is_independent_is_nearly_nothing(rng):
    """Without the bias it would be 0.018 in the mean."""
    y = rng.random(200) < 0.3
    bins = rng.integers(0, 8, (300, 200))
    counts = [class_counts(b, 8, y.astype(int), 2, np.ones(200), None, 1) for b in bins]
    information = mutual_information(np.concatenate(counts))
    assert (information >= 0).all()
    assert information.mean() < 0.006
    assert np.median(information) < 0.001


def test_mutual_information_has_an_axis_for_each_axis_before(rng):
    counts = rng.integers(1, 9, size=(2, 3, 4, 5)).astype(float)
    information = mutual_information(counts)
    assert information.shape == (2, 3)
    assert information[1, 2] == mutual_information(counts[1, 2])


@pytest.mark.parametrize("counts", [np.zeros((4, 2)), np.diag([0.0, 7.0])])
def test_mutual_information_of_one_class_or_no_row_is_zero(counts):
    assert mutual_information(counts) == 0


def test_class_counts_leave_the_fold_out(rng):
    y, bins = rng.integers(0, 3, 90), rng.integers(-1, 4, 90)
    folds, weight = rng.integers(0, 5, 90), rng.random(90)
    counts = class_counts(bins, 4, y, 3, weight, folds, 5)
    for j in range(5):
        expected = np.zeros((4, 3))
        rows = (folds != j) & (bins >= 0)
        np.add.at(expected, (bins[rows], y[rows]), weight[rows])
        np.testing.assert_allclose(counts[j], expected)
        changed = np.where(folds == j, 2 - y, y)
        after = class_counts(bins, 4, changed, 3, weight, folds, 5)
        assert np.array_equal(after[j], counts[j])  # to the last bit


def test_class_counts_without_folds_are_of_all_rows(rng):
    y, bins = rng.integers(0, 3, 90), rng.integers(-1, 4, 90)
    counts = class_counts(bins, 4, y, 3, np.ones(90), None, 5)
    assert counts.shape == (5, 4, 3)
    assert (counts == counts[0]).all()
    assert counts[0].sum() == (bins >= 0).sum()


# -- dropout ---------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_byte_dropout_leaves_out_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    outputs = ByteDropout(p)(torch.ones(1000, 200))
    share = round(p * 256) / 256
    n_units = outputs.numel()
    tolerance = 4 * np.sqrt(share * (1 - share) / n_units)
    assert (outputs == 0).double().mean().item() == pytest.approx(share, abs=tolerance)
    kept = outputs[outputs != 0]
    assert (kept == kept[0]).all()
    assert kept[0].item() == pytest.approx(1 / (1 - share))
    assert outputs.mean().item() == pytest.approx(1, abs=tolerance / (1 - share))


def test_byte_dropout_treats_all_eight_units_of_a_word_alike():
    """The byte with the sign bit too; and no unit follows its neighbour."""
    torch.manual_seed(1)
    n_words = 40_000
    kept = (ByteDropout(0.3)(torch.ones(n_words, 8)) != 0).double()
    share = 1 - round(0.3 * 256) / 256
    tolerance = 4.5 * np.sqrt(share * (1 - share) / n_words)
    assert (kept.mean(0) - share).abs().max() < tolerance
    correlation = torch.corrcoef(kept.T) - torch.eye(8)
    assert correlation.abs().max() < 4.5 / np.sqrt(n_words)


def test_byte_dropout_draws_every_byte_equally():
    """One in 256 units is kept where the share is the largest there is."""
    torch.manual_seed(2)
    for n_left_out in (1, 128, 255):
        outputs = ByteDropout(n_left_out / 256)(torch.ones(500_000, 8))
        share = n_left_out / 256
        tolerance = 4.5 * np.sqrt(share * (1 - share) / len(outputs))
        left_out = (outputs == 0).double().mean(0)
        assert (left_out - share).abs().max() < tolerance


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5, 2), (0, 4)])
def test_byte_dropout_takes_any_shape(shape):
    outputs = ByteDropout(0.5)(torch.ones(shape, dtype=torch.float64))
    assert outputs.shape == shape
    assert outputs.dtype == torch.float64


def test_byte_dropout_does_nothing_in_evaluation():
    x = torch.randn(20, 3)
    assert ByteDropout(0.5).eval()(x) is x
    assert ByteDropout(0.0)(x) is x


def test_byte_dropout_follows_torchs_seed():
    layer, x = ByteDropout(0.5), torch.ones(100)
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outputs.append(layer(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("n_shared", [0, 1])
def test_byte_dropout_of_a_part_is_that_of_the_whole(n_shared):
    layer, x = ByteDropout(0.5, n_shared), torch.ones(*[2] * n_shared, 10, 3)

    def drop(within, rows):
        torch.manual_seed(0)
        layer.within = within
        return layer(x.narrow(n_shared, *rows))

    whole = drop(None, (0, 10))
    for start, length in [(0, 4), (4, 6), (3, 0)]:
        part = drop((start, 10), (start, length))
        assert torch.equal(part, whole.narrow(n_shared, start, length))


def test_byte_dropout_passes_the_gradient_of_what_it_keeps():
    x = torch.ones(1000, requires_grad=True)
    outputs = ByteDropout(0.4)(x)
    outputs.sum().backward()
    assert torch.equal(x.grad, outputs.detach())


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_byte_dropout_rejects(p):
    with pytest.raises(ValueError, match=r"module__dropout must lie in \[0, 1\)"):
        ByteDropout(p)


def test_a_scale_below_float32_is_no_overflow():
    layer = RobustScale(1)
    values = np.array([[0.0], [1e-42], [0.0], [1e-42]])
    layer.initialize_from(values, None, np.ones(4))
    scaled = layer(torch.tensor(values).float())
    assert torch.isfinite(scaled).all()
