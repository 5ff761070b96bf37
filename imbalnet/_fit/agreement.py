"""Checks that data, parameters and plans of all processes of ``torchrun`` are equal.

:mod:`imbalnet._fit.train` calls them before training. They do nothing if there is one
process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from imbalnet._checks import and_more
from imbalnet._fit.checkpoint.identity import Identity, digest_of_plans
from imbalnet._fit.plan import TrainingPlan
from imbalnet._fit.specs import Options, Seeds
from imbalnet._ranks import Ranks, ranks_now
from imbalnet._tables import Rows

_MOST_DIFFERENCES = 3


def agree_on_fit(
    options: Options, rows: Rows, validation_rows: Rows | None, start: Any
) -> Options:
    """Raise a ValueError if data or parameters of ranks differ.

    Return the options with the seeds of the first rank. `start` are the weights that
    training continues from, or None.
    """
    ranks = ranks_now()
    if ranks is None:
        return options
    kind = torch.device(options.machine.device.type)  # indices of GPUs differ
    alike = replace(options, machine=replace(options.machine, device=kind))
    identity = Identity.of(alike, rows, validation_rows, start)
    found = ranks.exchange("fit", (dict(identity.entries), tuple(options.seeds)))
    first, seeds = found[0]
    for rank, (entries, _) in enumerate(found):
        differences = Identity(first).differences(Identity(entries), word="there")
        if differences:
            raise ValueError(
                f"Process {rank} of {ranks.size} does not fit what process 0 fits: "
                f"{and_more(differences, _MOST_DIFFERENCES)}. Give all processes the "
                "same table, labels, parameters and versions."
            )
    return replace(options, seeds=Seeds(*seeds))


def agree_on_plans(plans: Sequence[TrainingPlan], rows: Rows) -> None:
    """Raise a ValueError if a sampler has drawn different rows on different ranks."""
    ranks = ranks_now()
    if ranks is not None:
        check_draws(ranks, "plan", digest_of_plans(plans, rows))


def check_draws(ranks: Ranks, step: str, drawn: str) -> None:
    """Raise a ValueError if the digests of the rows drawn by ranks differ."""
    if len(set(ranks.exchange(step, drawn))) > 1:
        raise ValueError(
            "sampler or class_weight draws without the random_state, and so other rows "
            f"in each of the {ranks.size} processes: draw by the rng that bind is given"
        )
