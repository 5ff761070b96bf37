"""The engines that ``scale_clusters.py`` scores rows with: what a user writes for each.

An engine is a function that is given a fitted classifier, a number of rows and a number
of cores. It yields once when it is ready (workers run and have the classifier). It
returns the mean probability of all rows, and the largest difference to
``predict_proba`` on some of them. Rows are drawn in blocks where they are scored, so
that the whole table is nowhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

N_COLUMNS = 30
BLOCK = 100_000  # rows
N_CHECKED = 1_000

Engine = Generator[None, None, tuple[float, float]]


def block(number: int, n_rows: int) -> np.ndarray:
    """Draw a block of a table of `n_rows` rows."""
    size = min(BLOCK, n_rows - number * BLOCK)
    return 4 * np.random.default_rng(number).random((size, N_COLUMNS), np.float32) - 2


def n_blocks(n_rows: int) -> int:
    return -(-n_rows // BLOCK)


def positive(X: Any, clf: Any) -> np.ndarray:
    return clf.predict_proba(X)[:, 1]


def sum_of_block(clf: Any, number: int, n_rows: int) -> float:
    return positive(block(number, n_rows), clf).sum()


def difference(clf: Any, rows: np.ndarray, probabilities: Any) -> float:
    return float(np.abs(positive(rows, clf) - np.asarray(probabilities)).max())


# -- one process, and joblib ---------------------------------------------------------


def generate(clf: Any, n_rows: int, cores: int) -> Engine:
    """Draw the rows alone, which is a part of the time of all others."""
    del clf, cores
    yield
    total = sum(float(block(i, n_rows).sum()) for i in range(n_blocks(n_rows)))
    return total / n_rows, 0.0


def plain(clf: Any, n_rows: int, cores: int) -> Engine:
    clf.set_params(n_threads=cores)
    yield
    total = sum(sum_of_block(clf, i, n_rows) for i in range(n_blocks(n_rows)))
    return total / n_rows, 0.0


def joblib(clf: Any, n_rows: int, cores: int) -> Engine:
    from joblib import Parallel, delayed

    with Parallel(cores) as parallel:
        # a function of the script's module would be sent with each task
        parallel(delayed(positive)(block(0, n_rows)[:9], clf) for _ in range(cores))
        yield
        numbers = range(n_blocks(n_rows))
        sums = parallel(delayed(sum_of_block)(clf, i, n_rows) for i in numbers)
    return sum(sums) / n_rows, 0.0


# -- Dask ----------------------------------------------------------------------------


@contextmanager
def dask_workers(cores: int) -> Iterator[Any]:
    import dask
    from dask.distributed import Client, LocalCluster

    # Dask lets workers give memory back so often that training takes 1.5 times as long
    spawn = "distributed.nanny.pre-spawn-environ"
    dask.config.set({f"{spawn}.MALLOC_TRIM_THRESHOLD_": 2**28})
    dask.config.set({f"{spawn}.MALLOC_MMAP_THRESHOLD_": 2**25})
    with (
        LocalCluster(
            n_workers=cores, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.amm.stop()  # each worker keeps its copy, should another one die
        yield client


def dask_array(clf: Any, n_rows: int, cores: int) -> Engine:
    import dask.array as da

    with dask_workers(cores) as client:
        model = client.scatter(clf, broadcast=True)
        yield
        sizes = tuple(
            len(range(i, min(i + BLOCK, n_rows))) for i in range(0, n_rows, BLOCK)
        )
        X = da.map_blocks(
            lambda block_info=None: block(
                block_info[None]["chunk-location"][0], n_rows
            ),
            chunks=(sizes, (N_COLUMNS,)),
            meta=np.empty((0, N_COLUMNS), np.float32),
        )
        p = X.map_blocks(positive, model, drop_axis=1, meta=np.empty(0))
        mean, some = client.gather(client.compute([p.mean(), p[:N_CHECKED]]))
    return float(mean), difference(clf, block(0, n_rows)[:N_CHECKED], some)


def dask_frame(clf: Any, n_rows: int, cores: int) -> Engine:
    import dask.dataframe as dd
    import pandas as pd

    with dask_workers(cores) as client:
        model = client.scatter(clf, broadcast=True)
        yield
        table = dd.from_map(frame, range(n_blocks(n_rows)), n_rows=n_rows)
        p = table.map_partitions(positive_column, model, meta=pd.Series(dtype=float))
        mean, some = client.gather(client.compute([p.mean(), p.partitions[0]]))
    rows = frame(0, n_rows).iloc[:N_CHECKED]
    return float(mean), difference(clf, rows.to_numpy(), some[:N_CHECKED])


def frame(number: int, n_rows: int) -> Any:
    import pandas as pd

    return pd.DataFrame(
        block(number, n_rows), columns=[f"x{j}" for j in range(N_COLUMNS)]
    )


def positive_column(table: Any, clf: Any) -> Any:
    import pandas as pd

    return pd.Series(positive(table.to_numpy(), clf), index=table.index)


# -- Spark ---------------------------------------------------------------------------


def spark(clf: Any, n_rows: int, cores: int) -> Engine:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F
    from pyspark.sql.types import DoubleType

    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    model = session.sparkContext.broadcast(clf)

    def make_predict() -> Callable[[np.ndarray], np.ndarray]:
        return lambda rows: positive(rows, model.value)

    score = predict_batch_udf(
        make_predict,
        return_type=DoubleType(),
        batch_size=BLOCK,
        input_tensor_shapes=[[N_COLUMNS]],
    )
    columns = [(4 * F.rand(j) - 2).cast("float") for j in range(N_COLUMNS)]

    def scored(n_rows: int) -> Any:
        table = session.range(n_rows, numPartitions=max(cores, n_rows // 1_000_000))
        table = table.select(F.array(*columns).alias("x"))
        return table.withColumn("p", score("x"))

    some = scored(N_CHECKED).toPandas()  # starts the workers
    yield
    (mean,) = scored(n_rows).agg(F.mean("p")).first()
    session.stop()
    rows = np.stack(some["x"]).astype(np.float32)
    return mean, difference(clf, rows, some["p"])


# -- Ray -----------------------------------------------------------------------------


def ray(clf: Any, n_rows: int, cores: int) -> Engine:
    import ray
    import ray.data

    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    model = ray.put(clf)

    def scored(n_rows: int) -> Any:
        numbers = ray.data.range(n_blocks(n_rows), override_num_blocks=n_blocks(n_rows))

        def sums(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            clf = ray.get(model)
            found = [sum_of_block(clf, i, n_rows) for i in batch["id"]]
            return {"total": np.array(found)}

        return numbers.map_batches(sums, batch_size=1)

    scored(N_CHECKED).sum("total")  # starts a worker
    yield
    mean = scored(n_rows).sum("total") / n_rows
    ray.shutdown()
    return mean, 0.0


# -- ONNX ----------------------------------------------------------------------------


def onnx(clf: Any, n_rows: int, cores: int) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    graph = clf.to_onnx()
    content = graph if isinstance(graph, bytes) else graph.SerializeToString()
    session = onnxruntime.InferenceSession(content, options)

    def probability(rows: np.ndarray) -> np.ndarray:
        parts = np.array_split(rows, max(1, len(rows) // 1_000))  # fit into the cache
        found = [session.run(["probabilities"], {"X": part})[0] for part in parts]
        return np.concatenate(found)[:, 1]

    yield
    total = 0.0
    for i in range(n_blocks(n_rows)):
        total += probability(block(i, n_rows)).sum(dtype=np.float64)
    some = block(0, n_rows)[:N_CHECKED]
    return total / n_rows, difference(clf, some, probability(some))


ENGINES: dict[str, Callable[[Any, int, int], Engine]] = {
    "generate": generate,
    "plain": plain,
    "joblib": joblib,
    "dask_array": dask_array,
    "dask_frame": dask_frame,
    "spark": spark,
    "ray": ray,
    "onnx": onnx,
}
