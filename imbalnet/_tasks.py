"""scikit-learn's callbacks, such as ``ProgressBar`` and ``ScoringMonitor``.

scikit-learn 1.9 lets users set them with ``set_callbacks``. They are told of a fit and
of its epochs, which are its subtasks. Before 1.9 there is nothing to set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand for scikit-learn's class where there is none."""


class FitTasks:
    """One fit and its epochs, as scikit-learn's callbacks see them.

    Parameters
    ----------
    owner : estimator instance
        What is fitted.
    attributes_of : callable
        Returns the attributes that `owner` has when training has left its argument.
    data : dict
        X, y and metadata of the fit.
    """

    def __init__(
        self, owner: Any, attributes_of: Callable[[Any], dict], data: dict[str, Any]
    ) -> None:
        self.owner, self.attributes_of = owner, attributes_of
        self.data = data
        self.fit = owner._init_callback_context(max_subtasks=None)

    @classmethod
    def of(
        cls,
        owner: Any,
        attributes_of: Callable[[Any], dict],
        X: Any,
        y: Any,
        sample_weight: Any,
    ) -> FitTasks | None:
        """Return the tasks of a fit; None where scikit-learn knows no callbacks."""
        if not hasattr(owner, "_init_callback_context"):
            return None
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        return cls(owner, attributes_of, {"X": X, "y": y, "metadata": weights})

    def begin_training(self, max_epochs: int) -> None:
        """Tell that the fit begins, and how many epochs it has at most."""
        self.fit.max_subtasks = max_epochs
        self.fit.call_on_fit_task_begin(estimator=self.owner, **self.data)

    def begin_epoch(self) -> None:
        """Tell that an epoch begins."""
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.owner, **self.data)

    def end_epoch(self, fitted_now: Callable[[], Any]) -> bool:
        """Tell that the epoch ended; return whether a callback wants training to stop.

        Those that ask for a fitted estimator get one with the weights of this epoch.
        """
        return self.epoch.call_on_fit_task_end(
            estimator=self.owner,
            reconstruction_attributes=lambda: self.attributes_of(fitted_now()),
            **self.data,
        )

    def end_training(self) -> None:
        """Tell that the fit ended."""
        self.fit.call_on_fit_task_end(
            estimator=self.owner, reconstruction_attributes={}, **self.data
        )
