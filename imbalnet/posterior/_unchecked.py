"""The functions of this room without their checks.

They are for rooms whose arrays are known to be right, and which call them in each epoch
or each prediction.
"""

from imbalnet.posterior._effective import unchecked_effective_weight
from imbalnet.posterior.member_offsets import (
    unchecked_fit_member_offsets,
    unchecked_rows_by_fold,
)
from imbalnet.posterior.offset import unchecked_fit_offset
from imbalnet.posterior.prior import (
    unchecked_prior_shift,
    unchecked_resolve_prior,
    unchecked_shift_prior,
)
from imbalnet.posterior.temperature import (
    unchecked_fit_temperature,
    unchecked_least_log_loss,
)

__all__ = [
    "unchecked_effective_weight",
    "unchecked_fit_member_offsets",
    "unchecked_fit_offset",
    "unchecked_fit_temperature",
    "unchecked_least_log_loss",
    "unchecked_prior_shift",
    "unchecked_resolve_prior",
    "unchecked_rows_by_fold",
    "unchecked_shift_prior",
]
