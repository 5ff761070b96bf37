"""Class posteriors, and how to move, fit and use them (NumPy only).

A network that is trained with class weights or a sampler learns a posterior under the
*effective prior*, in which the classes are not as frequent as in the data. Under label
shift, p(x | class) is the same, so that one shift in log space moves a posterior from
one prior to another. This room has these shifts, the decision from a posterior and
costs, and what is fitted to held-out rows: offsets and temperature. The functions take
arrays; :mod:`imbalnet._fit` and the estimator use them, and so may other classifiers.
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
