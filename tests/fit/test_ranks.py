"""One fit over two processes gives what one process gives, or the error of either."""

from __future__ import annotations

import os
import pickle
import runpy
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("rank_cases.py")
SIZE = 2
DEFINED = runpy.run_path(str(SCRIPT))
TABLES = "MEMBERS", "ROUNDED", "REPEATED", "FAILURES"
MEMBERS, ROUNDED, REPEATED, FAILURES = (DEFINED[name] for name in TABLES)
CASES, QUICK, outcome = (DEFINED[name] for name in ("CASES", "QUICK", "outcome"))


def run(which, folder, timeout):
    """Run cases in processes that see what torchrun would tell them."""
    file = folder / "found"
    common = {**os.environ, "WORLD_SIZE": str(SIZE), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, which, file],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(SIZE)
    ]
    try:
        codes = [process.wait(timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0] * SIZE
    return [
        pickle.loads((folder / f"found.{rank}").read_bytes()) for rank in range(SIZE)
    ]


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return run("quick", tmp_path_factory.mktemp("ranks"), 60)


@pytest.fixture(scope="module")
def all_found(tmp_path_factory):
    return run("all", tmp_path_factory.mktemp("ranks"), 240)


def cases(*tables):
    """Names of cases: the quick ones, and all others, which are marked."""
    names = [name for table in tables for name in table]
    found = [pytest.param(name, "quick") for name in names if name in QUICK]
    rest = [name for name in names if name not in QUICK]
    marks = pytest.mark.long
    return found + [pytest.param(name, "all_found", marks=marks) for name in rest]


def found_by(ranks, name):
    """What all ranks have found alike."""
    (first, told), (second, told_of_second) = (found[name] for found in ranks)
    np.testing.assert_equal(second, first)
    assert not told_of_second or told_of_second == told
    return first, told


@pytest.mark.parametrize(("name", "fixture"), cases(MEMBERS, REPEATED))
def test_members_are_those_of_one_process(name, fixture, request):
    """To the bit; only the mean of the members' training losses is rounded."""
    found, told = found_by(request.getfixturevalue(fixture), name)
    expected, told_of_one = outcome(CASES[name])
    rounded = [loss_of(of) for of in (found, expected)]
    np.testing.assert_equal(found, expected)
    np.testing.assert_allclose(*rounded, rtol=1e-6)
    more = [text for text in told if text not in told_of_one]
    # tables of one batch, as L-BFGS has them, are small, or solved quickly
    assert len(more) == (name in REPEATED and name != "linear")
    assert all("does all the work" in text for text in more)


def loss_of(found):
    """Take the training losses, and which of them was the best, out of histories."""
    histories = [
        of.get("history", []) for of in (found, *found.values()) if isinstance(of, dict)
    ]
    losses = []
    for record in chain.from_iterable(histories):
        losses.append(record.pop("train_loss"))
        del record["train_loss_best"]
    return losses


@pytest.mark.parametrize(("name", "fixture"), cases(ROUNDED))
def test_parts_of_batches_are_rounded_only(name, fixture, request):
    found, told = found_by(request.getfixturevalue(fixture), name)
    expected, told_of_one = outcome(CASES[name])
    assert told == told_of_one
    np.testing.assert_array_equal(found["effective_prior"], expected["effective_prior"])
    assert found["best"] == expected["best"]
    np.testing.assert_allclose(found["proba"], expected["proba"], atol=2e-4)
    np.testing.assert_allclose(loss_of(found), loss_of(expected), rtol=1e-4)


ERRORS = {
    "callback": "ZeroDivisionError: in a callback",
    "callback, one": "ZeroDivisionError: in a callback",
    "interrupt": "KeyboardInterrupt: ",
    "step": "ZeroDivisionError: in a step",
    "table": "ValueError: BalancedNeuralClassifier needs rows of at least two classes",
    "parameter": "InvalidParameterError: The 'max_epochs' parameter",
}
BOTH = {
    "other table": "does not fit what process 0 fits: another X",
    "other parameter": "learning_rate=0.2, there learning_rate=0.1",
    "by chance": "draws without the random_state",
    "checkpoint": "keeps the fit of one process",
}


@pytest.mark.parametrize(("name", "fixture"), cases(FAILURES))
def test_all_fail_if_one_does(name, fixture, request):
    first, second = (found[name] for found in request.getfixturevalue(fixture))
    if name in BOTH:
        assert first == second
        assert BOTH[name] in first
        return
    assert second.startswith(ERRORS[name])
    assert first.startswith(
        "RuntimeError: fit failed in process 1 of 2, and so ends in"
    )
    assert ERRORS[name] in first


def test_a_failure_elsewhere_leaves_the_estimator_as_it_was(quick):
    assert [found["undone"] for found in quick] == [(True, [])] * SIZE


@pytest.mark.long
def test_one_rank_stops_all(all_found):
    assert len(found_by(all_found, "stop")[0]["history"]) == 2


@pytest.mark.long
def test_workers_fit_alone(all_found):
    assert found_by(all_found, "workers")[0] == [True] * 6


@pytest.mark.long
def test_each_fit_of_a_search_is_shared(all_found):
    assert found_by(all_found, "search")[0] == outcome(CASES["search"])[0]


def test_ranks_have_one_seed(quick):
    found_by(quick, "no seed")


@pytest.mark.long
def test_ranks_have_one_seed_for_parts_of_batches(all_found):
    found_by(all_found, "no seed, one")


@pytest.mark.long
def test_the_example_gives_the_same_by_torchrun():
    script = SCRIPT.parents[2] / "examples" / "several_processes.py"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    last = [
        subprocess.run(
            [sys.executable, *launcher, script],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            timeout=240,
            check=True,
        ).stdout.splitlines()[-1]
        for launcher in ([], torchrun)
    ]
    assert last[0].startswith("average precision 0.")
    assert last[0] == last[1]
