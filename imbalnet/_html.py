"""The representation of the estimator in notebooks, which scikit-learn draws.

It has a link to the documentation. From scikit-learn 1.9 on it shows the fitted
attributes in a table: of a dict four items; here each value of ``resolved_`` gets a
row.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sklearn.base import BaseEstimator

DOCUMENTATION = "https://imbalnet.readthedocs.io/en/stable/"

# The table shows 9 characters of a str, and 30 of what has a type of its own.
_Text = type("text", (str,), {"__slots__": ()})


class RepresentationMixin:
    """Link to the documentation, and show what "auto" became among the attributes."""

    resolved_: dict[str, Any]

    _doc_link_module = "imbalnet"
    _doc_link_template = f"{DOCUMENTATION}api/generated/{{page}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """Return what the template's field is; the estimator is a name of the root."""
        return {"page": f"{self._doc_link_module}.{type(self).__name__}"}

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
