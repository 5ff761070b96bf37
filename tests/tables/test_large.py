"""Tables that are not in memory, from sources of all kinds, through fit and scores."""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import average_precision_score
from skorch.callbacks import EpochScoring

from imbalnet import BalancedNeuralClassifier
from imbalnet._tables import Reading, read_large_rows, read_rows
from imbalnet._tables.large.shuffled import ShuffledMatrix, draw_buckets
from imbalnet._tables.rules import ColumnRules
from imbalnet.large_tables import LargeTable, score_parquet
from imbalnet.samplers._epochs import BlockShuffle

N_ROWS, WIDTH = 3_000, 4
SMALL = "1MB"


@pytest.fixture(scope="module")
def numbers():
    """A table of numbers, and labels of which a tenth are positive."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, WIDTH)).astype(np.float32)
    logit = 2 * X[:, 0] - X[:, 1] - 3
    y = (logit + rng.logistic(size=N_ROWS) > 0).astype(np.int64)
    return X, y


@pytest.fixture(scope="module")
def frame(numbers):
    """Numbers far from 0, gaps, words and an ordered dtype, with the labels."""
    X, y = numbers
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(X.astype(np.float64), columns=list("abcd"))
    frame["a"] += 1e9
    frame.loc[rng.random(N_ROWS) < 0.1, "b"] = np.nan
    words = np.array(["red", "green", "blue"])[rng.integers(3, size=N_ROWS)]
    frame["word"] = words
    frame.loc[17, "word"] = "only once"
    frame.loc[rng.random(N_ROWS) < 0.1, "word"] = None
    frame["label"] = np.where(y == 1, "bad", "good")
    return frame


@pytest.fixture(scope="module")
def folder(frame, tmp_path_factory):
    """The frame in two Parquet files of several row groups."""
    folder = tmp_path_factory.mktemp("parts")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table[:1000], folder / "a.parquet", row_group_size=300)
    pq.write_table(table[1000:], folder / "b.parquet")
    return folder


def quick(**params):
    params = {"max_epochs": 2, "batch_size": 128, "random_state": 0, **params}
    return BalancedNeuralClassifier("mlp", device="cpu", **params)


def rules(**params):
    return ColumnRules(missing=True, **params)


def read(X, y, sample_weight=None):
    reading = Reading(rules(), np.float32, "Test")
    return read_large_rows(X, y, sample_weight, reading, None)


# -- sources -------------------------------------------------------------------------


def sources_of_numbers(X, tmp_path):
    """The same numbers from sources of all kinds, each named the same."""
    np.save(tmp_path / "X.npy", X)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.to_parquet(tmp_path / "X.parquet")
    (tmp_path / "parts").mkdir()
    for i, start in enumerate(range(0, N_ROWS, 1100)):
        part = frame[start : start + 1100]
        part.to_parquet(tmp_path / "parts" / f"{i}.parquet", index=False)
    return {
        "memmap": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "file": tmp_path / "X.parquet",
        "folder": str(tmp_path / "parts"),
        "dataset": ds.dataset(tmp_path / "parts", format="parquet"),
        "table": pa.Table.from_pandas(frame),
        "lazy": pl.scan_parquet(tmp_path / "X.parquet"),
    }


def test_all_sources_give_the_same_bits(numbers, tmp_path):
    X, y = numbers
    found = {}
    for kind, source in sources_of_numbers(X, tmp_path).items():
        clf = quick().fit(LargeTable(source, max_memory=SMALL), y)
        has_names = kind != "memmap"
        found[kind] = clf.predict_proba(
            pd.DataFrame(X, columns=[*"abcd"]) if has_names else X
        )
    first, *others = found.values()
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_a_path_dataset_or_lazy_frame_is_a_short_form(folder, frame):
    fits = [
        quick().fit(source, "label")
        for source in (folder, ds.dataset(folder), pl.scan_parquet(folder / "*"))
    ]
    features = frame.drop(columns="label")
    first, *others = [clf.predict_proba(features) for clf in fits]
    for other in others:
        np.testing.assert_array_equal(other, first)
    assert fits[0].classes_.tolist() == ["bad", "good"]
    assert fits[0].feature_names_in_.tolist() == list(features)


def test_fit_is_close_to_that_of_the_table_in_memory(numbers):
    X, y = numbers
    params = {"max_epochs": 8, "early_stopping": True}
    large = quick(**params).fit(LargeTable(X, max_memory=SMALL), y)
    small = quick(**params).fit(X, y)
    precision = [
        average_precision_score(y, clf.predict_proba(X)[:, 1]) for clf in (large, small)
    ]
    assert precision[0] == pytest.approx(precision[1], abs=0.02)
    np.testing.assert_allclose(large.class_prior_, small.class_prior_)
    assert large.n_iter_ == len(large.history_)
    assert "valid_average_precision" in large.history_[-1]


def test_prediction_reads_blocks_and_leaves_out_other_columns(folder, frame):
    clf = quick().fit(folder, "label")
    large = LargeTable(folder, max_memory=SMALL)
    expected = clf.predict_proba(frame.drop(columns="label"))
    np.testing.assert_array_equal(clf.predict_proba(large), expected)
    np.testing.assert_array_equal(
        clf.predict(large), clf.predict(frame[[*"abcd", "word"]])
    )


def test_scores_in_a_file_are_those_of_predict_proba(folder, frame, tmp_path):
    clf = quick().fit(folder, "label")
    path = tmp_path / "scores.parquet"
    for source in (folder, pl.scan_parquet(folder / "*")):
        score_parquet(clf, source, path, keep=["label", "a"])
        scores = pd.read_parquet(path)
        assert list(scores) == ["label", "a", "proba_bad", "proba_good"]
        expected = clf.predict_proba(frame.drop(columns="label"))
        np.testing.assert_array_equal(scores.to_numpy()[:, 2:], expected)
        assert (scores["label"] == frame["label"]).all()
    assert [file.name for file in tmp_path.iterdir()] == ["scores.parquet"]


def test_a_file_of_scores_is_whole_or_not_there(folder, tmp_path):
    clf = quick().fit(folder, "label")
    table = pq.read_table(folder / "a.parquet").drop_columns(["b"])
    pq.write_table(table, tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"lacks the columns \['b'\]"):
        score_parquet(clf, tmp_path / "other.parquet", tmp_path / "scores.parquet")
    assert not (tmp_path / "scores.parquet").exists()


def test_columns_to_keep_are_not_replaced_by_scores(tmp_path):
    path = tmp_path / "scored.parquet"
    pq.write_table(pa.table({"a": [0.0, 1.0], "proba_1": [0.5, 0.5]}), path)
    clf = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(
        ValueError, match=r"keep has \['proba_1'\], which are the names"
    ):
        score_parquet(clf, path, tmp_path / "scores.parquet", keep=["proba_1", "a"])
    assert [file.name for file in tmp_path.iterdir()] == ["scored.parquet"]


# -- columns -------------------------------------------------------------------------


def test_columns_are_those_of_the_table_in_memory(frame, folder):
    """Levels from all rows, shifts of far columns, and gaps."""
    features = frame.drop(columns="label")
    large, _ = read(
        LargeTable(folder, max_memory=SMALL).select(list(features)), frame["label"]
    )
    small, _ = read_rows(
        features, frame["label"], None, Reading(rules(), np.float32, "Test"), None
    )
    assert large.columns.levels == small.columns.levels
    assert large.columns.n_categories == small.columns.n_categories
    assert large.columns.shifts[0].center == pytest.approx(1e9, abs=2)
    order = np.argsort(draw_buckets(N_ROWS, large.X.window_rows), kind="stable")
    assert not np.array_equal(order, np.arange(N_ROWS))
    back = np.argsort(order)
    np.testing.assert_array_equal(large.X[back][:, 1:], small.X[:, 1:])
    np.testing.assert_array_equal(large.codes[back], small.codes)


def test_rows_of_weight_0_make_no_class_and_no_level(frame, folder):
    weight = np.ones(N_ROWS)
    weight[17] = 0
    large, _ = read(
        LargeTable(folder, max_memory=SMALL).select(["a", "word"]),
        frame["label"],
        weight,
    )
    assert "only once" not in large.columns.levels[1].values
    assert len(large) == N_ROWS - 1
    assert large.weight_sum == N_ROWS - 1


def test_order_of_an_enum_is_kept():
    enum = pl.Enum(["low", "middle", "high"])
    values = pl.Series("size", ["high", "low", "middle"] * 500, dtype=enum)
    lazy = pl.LazyFrame({"size": values, "x": np.arange(1500.0)})
    large, _ = read(LargeTable(lazy, max_memory=SMALL), np.arange(1500) % 2)
    assert large.columns.levels[0].are_ordered
    assert large.columns.levels[0].values == ("low", "middle", "high")


def test_dictionaries_may_differ_between_files(tmp_path):
    for name, words in (("a", ["x", "y"]), ("b", ["y", "z"])):
        column = pa.array(words * 300).dictionary_encode()
        pq.write_table(pa.table({"word": column}), tmp_path / f"{name}.parquet")
    large, _ = read(LargeTable(tmp_path, max_memory=SMALL), np.arange(1200) % 2)
    assert large.columns.levels[0].values == ("x", "y", "z")


# -- rows in random order ------------------------------------------------------------


def shuffled_matrix(X, window_rows=256):
    buckets = draw_buckets(len(X), window_rows)
    matrix = ShuffledMatrix(buckets, X.shape[1], X.dtype, window_rows=window_rows)
    matrix.fill(iter(np.array_split(X, 7)), buckets)
    return matrix, X[np.argsort(buckets, kind="stable")]


def test_arrow_views_and_nulls_are_read_like_strings(tmp_path):
    """Arrow cannot take rows of views, nor unify the dictionaries of nulls."""
    words = ["a", "b", None, "b"] * 10
    empty = pa.chunked_array([pa.nulls(15), pa.nulls(25)])
    X, y = pa.table({"word": words, "empty": pa.nulls(40, pa.string())}), [0, 1] * 20
    views = pa.table({"word": pa.array(words, pa.string_view()), "empty": empty})
    pq.write_table(views.append_column("y", [y]), tmp_path / "views.parquet")
    clf = BalancedNeuralClassifier("mlp", max_epochs=1, n_members=1, random_state=0)
    with pytest.warns(UserWarning, match="no values"):
        expected = clf.fit(X, y).predict_proba(X)
    for table in views, tmp_path / "views.parquet":
        np.testing.assert_array_equal(clf.predict_proba(table), expected)
    with pytest.warns(UserWarning, match="no values"):
        in_memory = clone(clf).fit(views, y).predict_proba(X)
    np.testing.assert_array_equal(in_memory, expected)
    with pytest.warns(UserWarning, match="no values"):
        large = clone(clf).fit(tmp_path / "views.parquet", "y")
    assert large._columns == clf._columns


def test_shuffled_matrix_gives_rows_as_an_array_does(numbers):
    matrix, expected = shuffled_matrix(numbers[0])
    some = np.random.default_rng(0).integers(N_ROWS, size=500)
    for key in (slice(None), slice(10, 30, 3), slice(5, 2), 7, some, (slice(None), 2)):
        np.testing.assert_array_equal(matrix[key], expected[key])
    np.testing.assert_array_equal(np.concatenate(list(matrix.blocks())), expected)
    assert (matrix.shape, matrix.size) == (expected.shape, expected.size)


def test_epoch_of_blocks_has_each_row_once_and_windows_of_few_blocks():
    edges = np.array([0, 50, 90, 90, 160, 200])
    order = BlockShuffle(edges, np.random.default_rng(0), window_rows=64)
    first, second = order.epoch(10), order.epoch(10)
    for rows in (first, second):
        np.testing.assert_array_equal(np.sort(rows), np.arange(200))
        blocks = np.searchsorted(edges, rows[:60], "right")
        assert len(np.unique(blocks)) <= 3
    assert not np.array_equal(first, second)


def test_windows_of_a_sorted_table_have_its_share_of_positives():
    """The worst case: all positives at the end of the table."""
    y = np.zeros(60_000, dtype=int)
    y[-1200:] = 1
    large, _ = read(LargeTable(y[:, None].astype(float), max_memory="1MB"), y)
    order = BlockShuffle(large.X.edges, np.random.default_rng(0), large.X.window_rows)
    n_windows = len(y) // large.X.window_rows
    windows = np.array_split(large.codes[order.epoch(1)], n_windows)
    assert len(windows) > 2
    expected = np.mean([len(window) for window in windows]) * 0.02
    counts = np.array([window.sum() for window in windows])
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


# -- levers and validation -----------------------------------------------------------


@pytest.mark.parametrize(
    "sampler", ["weighted", "oversample", "undersample", "balanced_batch"]
)
def test_samplers_deliver_the_prior_that_they_tell(numbers, sampler):
    X, y = numbers
    clf = quick(sampler=sampler, early_stopping=True)
    large = LargeTable(X, max_memory=SMALL)
    clf.fit(large, y)
    in_memory = quick(sampler=sampler, early_stopping=True).fit(X, y)
    np.testing.assert_allclose(clf.effective_prior_, in_memory.effective_prior_)


def test_class_weights_and_weights_of_rows_count_as_in_memory(numbers):
    X, y = numbers
    weight = np.random.default_rng(0).integers(3, size=N_ROWS)
    large, small = (
        quick(class_weight="balanced").fit(table, y, weight)
        for table in (LargeTable(X, max_memory=SMALL), X)
    )
    np.testing.assert_allclose(large.class_weight_, small.class_weight_)
    np.testing.assert_allclose(large.class_prior_, small.class_prior_)


def test_members_share_batches_and_validation_rows(numbers):
    X, y = numbers
    clf = quick(n_members=3, early_stopping=True).fit(
        LargeTable(X, max_memory=SMALL), y
    )
    assert clf.resolved_["n_members"] == 3
    assert not hasattr(clf, "oof_proba_")
    assert np.isfinite(clf.predict_proba(X)).all()


def test_auto_is_one_member_of_the_default_network(numbers):
    X, y = numbers
    clf = BalancedNeuralClassifier(max_epochs=1, random_state=0)
    clf.fit(LargeTable(X, max_memory=SMALL), y)
    assert clf.resolved_["n_members"] == 1
    assert clf.predict_proba(X).shape == (N_ROWS, 2)


def test_given_validation_rows_are_used(numbers):
    X, y = numbers
    large = LargeTable(X[500:], max_memory=SMALL)
    clf = quick().fit(large, y[500:], X_val=X[:500], y_val=y[:500])
    assert clf.resolved_["early_stopping"]


def test_fitted_model_keeps_no_rows_and_can_be_pickled(numbers):
    X, y = numbers
    clf = quick(early_stopping=True).fit(LargeTable(X, max_memory=SMALL), y)
    stored = pickle.dumps(clf)
    assert len(stored) < X.nbytes + 600_000  # of weights, without their optimiser
    proba = pickle.loads(stored).predict_proba(X)
    np.testing.assert_array_equal(proba, clf.predict_proba(X))
    gc.collect()
    assert not any(type(item) is ShuffledMatrix for item in gc.get_objects())


def test_warm_start_goes_on(numbers):
    X, y = numbers
    clf = quick(warm_start=True).fit(LargeTable(X, max_memory=SMALL), y)
    before = clf.predict_proba(X)
    clf.fit(LargeTable(X, max_memory=SMALL), y)
    assert not np.array_equal(clf.predict_proba(X), before)


# -- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": 3}, "cv=3 holds out"),
        ({"optimizer": "lbfgs"}, "optimizer='lbfgs' takes all rows"),
        ({"n_neighbors": 4}, "n_neighbors=4 looks"),
        ({"threshold": "f1"}, "threshold='f1' is chosen"),
        ({"net__iterator_train": list}, "net__iterator_train takes rows"),
    ],
)
def test_what_needs_all_rows_at_once_is_named(numbers, params, message):
    X, y = numbers
    with pytest.raises(
        ValueError, match=f"{message}.*LargeTable, which is not in memory; "
    ):
        quick(**params).fit(LargeTable(X), y)


def test_resamplers_groups_and_parts_are_named(numbers):
    from imblearn.over_sampling import SMOTE

    X, y = numbers
    with pytest.raises(
        ValueError, match=r"sampler=SMOTE\(\) resamples all rows.*use a"
    ):
        quick(sampler=SMOTE()).fit(LargeTable(X), y)
    with pytest.raises(ValueError, match="groups keeps rows together"):
        quick().fit(LargeTable(X), y, groups=y)
    with pytest.raises(ValueError, match="LargeTable: give it to fit"):
        quick().partial_fit(LargeTable(X), y, classes=[0, 1])
    with pytest.raises(ValueError, match="X_val must be a table in memory, but is of"):
        quick().fit(LargeTable(X), y, X_val=LargeTable(X), y_val=y)


def test_callback_that_reads_all_training_rows_is_named(numbers):
    X, y = numbers
    scoring = EpochScoring("average_precision", on_train=True, name="train_ap")
    with pytest.raises(ValueError, match="callbacks: one reads all training rows"):
        quick(callbacks=[scoring]).fit(LargeTable(X), y)


def test_bad_labels_are_named(folder, frame, tmp_path, numbers):
    with pytest.raises(ValueError, match=r"column of labels \['target'\]"):
        quick().fit(folder, "target")
    with pytest.raises(ValueError, match="X has 3000 rows, but y has 5"):
        quick().fit(LargeTable(numbers[0]), numbers[1][:5])
    with pytest.raises(ValueError, match="columns have no names"):
        quick().fit(LargeTable(numbers[0]), "label")
    with_gap = frame.assign(label=frame["label"].mask(frame.index == 2900))
    with_gap.to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(ValueError, match=r"y='label'.* has 1 missing values"):
        quick().fit(LargeTable(tmp_path / "gap.parquet", max_memory=SMALL), "label")


def test_bad_sources_are_named(frame, folder, tmp_path):
    with pytest.raises(ValueError, match=r"X: source='nowhere' does not exist"):
        quick().fit("nowhere", "label")
    with pytest.raises(ValueError, match=r"folder without files that end in .parquet"):
        LargeTable(tmp_path)
    (tmp_path / "a.parquet").write_text("no Parquet")
    with pytest.raises(ValueError, match=r"cannot be read as Parquet.*read_csv\.$"):
        LargeTable(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"of type DataFrame.*in memory already"):
        LargeTable(frame)
    with pytest.raises(ValueError, match="two dimensions that holds numbers"):
        LargeTable(np.zeros(3))
    with pytest.raises(ValueError, match="max_memory='lots' must be"):
        LargeTable(folder, max_memory="lots")
    with pytest.raises(ValueError, match="is no folder"):
        LargeTable(folder, folder=tmp_path / "none")
    with pytest.raises(ValueError, match="has no rows"):
        quick().fit(LargeTable(np.zeros((0, 2))), [])


def test_files_with_other_columns_are_named(frame, tmp_path):
    frame.to_parquet(tmp_path / "a.parquet")
    frame.rename(columns={"b": "B"}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b.parquet' lacks \['b'\] and has \['B'\]"):
        LargeTable(tmp_path)


# -- memory --------------------------------------------------------------------------

_IN_A_PROCESS = """
import json, sys
from pathlib import Path
import numpy as np
from imbalnet import BalancedNeuralClassifier
from imbalnet.large_tables import LargeTable, score_parquet

def held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    values = dict(line.split(":", maxsplit=1) for line in lines)
    return int(values[name].split()[0]) * 1024 / 1e6

rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 30)).astype(np.float32)
clf = BalancedNeuralClassifier(
    "linear", max_epochs=1, early_stopping=True, batch_size=4096
)
clf.fit(LargeTable(X, max_memory="1MB"), rng.integers(2, size=2000))
source = np.load(sys.argv[1], mmap_mode="r") if "npy" in sys.argv[1] else sys.argv[1]
y = np.load(sys.argv[2])
Path("/proc/self/clear_refs").write_text("5")
before = held("VmRSS")
clf.fit(LargeTable(source, max_memory="20MB"), y)
fitted = held("VmHWM") - before
score_parquet(clf, LargeTable(source, max_memory="20MB"), sys.argv[3])
print(json.dumps([fitted, held("VmHWM") - before]))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_memory_is_bounded_for_a_table_of_twelve_times_as_much(kind, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000_000, 30)).astype(np.float32)  # 240 MB
    np.save(tmp_path / "y.npy", (X[:, 0] > 1.5).astype(np.uint8))
    path = tmp_path / f"X.{kind}"
    if kind == "npy":
        np.save(path, X)
    else:
        pq.write_table(pa.table(dict(zip(map(str, range(30)), X.T, strict=True))), path)
    command = [sys.executable, "-c", _IN_A_PROCESS, path, tmp_path / "y.npy"]
    done = subprocess.run(
        [*command, tmp_path / "scores.parquet"], check=True, stdout=subprocess.PIPE
    )
    fitted, scored = json.loads(done.stdout)
    of_pages = 120 if kind == "parquet" else 0  # some MB for each column
    assert fitted < 20 + 30 * 2 + 40 + of_pages  # 30 bytes a row, and torch's own
    assert scored < fitted + 40
