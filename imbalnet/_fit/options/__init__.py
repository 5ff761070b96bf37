"""From the estimator's parameters to :class:`~imbalnet._fit.specs.Options`.

Before training, every parameter is checked, and "auto" is resolved. ``resolve`` calls
the other modules, which check and resolve the parameters of one subject each.
"""

from imbalnet._fit.options.choices import column_rules, feature_dtype
from imbalnet._fit.options.large import check_in_memory, check_large
from imbalnet._fit.options.resolve import resolve_options

__all__ = [
    "check_in_memory",
    "check_large",
    "column_rules",
    "feature_dtype",
    "resolve_options",
]
