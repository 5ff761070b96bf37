"""Class posteriors: prior shifts, decisions and calibration (NumPy only).

A network that is trained with class weights or a sampler learns a posterior under the
*effective prior*, in which the class frequencies differ from those of the data. Under
label shift, p(x | class) is the same, so that a constant for each class, added to the
log posterior, converts it from one prior to another. This package computes these
shifts, makes decisions from posteriors and costs, and fits offsets and a temperature to
held-out rows. All functions take arrays, so that they also serve other classifiers.
"""

from imbalnet.posterior._effective import effective_weight
from imbalnet.posterior.decision import bayes_threshold, cheapest_class, resolve_costs
from imbalnet.posterior.estimation import estimate_prior
from imbalnet.posterior.member_offsets import fit_member_offsets, rows_by_fold
from imbalnet.posterior.offset import fit_offset
from imbalnet.posterior.prior import (
    effective_prior,
    prior_shift,
    resolve_prior,
    shift_prior,
    shift_probabilities,
)
from imbalnet.posterior.temperature import fit_temperature, least_log_loss

__all__ = [
    "bayes_threshold",
    "cheapest_class",
    "effective_prior",
    "effective_weight",
    "estimate_prior",
    "fit_member_offsets",
    "fit_offset",
    "fit_temperature",
    "least_log_loss",
    "prior_shift",
    "resolve_costs",
    "resolve_prior",
    "rows_by_fold",
    "shift_prior",
    "shift_probabilities",
]


def __dir__() -> list[str]:
    return sorted(__all__)
