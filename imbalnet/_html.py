"""The representation of a fitted estimator in notebooks.

scikit-learn draws it, and from 1.9 on shows the fitted attributes in a table. Of a dict
it shows four items; here each value of ``resolved_`` gets a row.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sklearn.base import BaseEstimator

# The table shows 9 characters of a str, and 30 of what has a type of its own.
_Text = type("text", (str,), {"__slots__": ()})


class ResolvedRowsMixin:
    """Show what "auto" became in the table of fitted attributes."""

    resolved_: dict[str, Any]

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Return the table's rows, which scikit-learn asks for."""
        table = super()._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        table.pop("resolved_", None)
        resolved = getattr(self, "resolved_", {})  # inside of what is fitted, {}
        named = SimpleNamespace()
        for name, value in resolved.items():
            is_string = isinstance(value, str)
            setattr(named, f"{name}_", _Text(value) if is_string else value)
        rows = BaseEstimator._get_fitted_attr_html(named)  # of any object
        table.update({f"resolved_[{name[:-1]!r}]": row for name, row in rows.items()})
        return table
