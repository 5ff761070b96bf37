"""From the estimator's parameters to :class:`~imbalnet._fit.specs.Options`.

Every parameter is checked, and "auto" is resolved once, before anything is trained.
``resolve`` is the entrance; the other modules hold checks and decisions by subject.
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
