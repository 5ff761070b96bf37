"""Class posteriors under another class distribution (NumPy only).

A network trained with class weights, a sampler or both learns the posterior of a
distribution in which the classes are not as frequent as in the data: the *effective
prior*. Under label shift, p(x | class) stays, so that a posterior moves from one
prior to another by one shift in log space. What to decide from a posterior, costs say.
"""

from imbalnet.posterior._effective import effective_weight
from imbalnet.posterior.alignment import fit_member_offsets, rows_by_fold
from imbalnet.posterior.decision import bayes_threshold, cheapest_class, resolve_costs
from imbalnet.posterior.estimation import estimate_prior
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
