"""The representation of the estimator in notebooks, which scikit-learn draws.

It links to the documentation. From scikit-learn 1.9 on, it shows the fitted attributes
in a table, which would cut the dict ``resolved_`` short: here each of its values gets a
row.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sklearn.base import BaseEstimator

DOCUMENTATION = "https://imbalnet.readthedocs.io/en/stable/"

# The table cuts a str after 9 characters, and other types after 30.
_Text = type("text", (str,), {"__slots__": ()})


class RepresentationMixin:
    """Link to the documentation, and show what "auto" became among the attributes."""

    resolved_: dict[str, Any]

    _doc_link_module = "imbalnet"
    _doc_link_template = f"{DOCUMENTATION}api/generated/{{page}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """Return the template's field: the class is documented as ``imbalnet.Name``."""
        return {"page": f"{self._doc_link_module}.{type(self).__name__}"}

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Return the table's rows; scikit-learn calls this."""
        table = super()._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        table.pop("resolved_", None)
        resolved = getattr(self, "resolved_", {})  # unfitted, as in a fitted search
        named = SimpleNamespace()
        for name, value in resolved.items():
            is_string = isinstance(value, str)
            setattr(named, f"{name}_", _Text(value) if is_string else value)
        rows = BaseEstimator._get_fitted_attr_html(named)  # works on any object
        table.update({f"resolved_[{name[:-1]!r}]": row for name, row in rows.items()})
        return table
