"""Calls of scikit-learn's callbacks, such as ``ProgressBar`` and ``ScoringMonitor``.

From scikit-learn 1.9 on, users can set them with ``set_callbacks``. They are called at
the beginning and end of a fit and of its subtasks, the epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An empty class in place of scikit-learn's, before 1.9."""


class FitTasks:
    """One fit and its epochs, as scikit-learn's callbacks see them.

    Parameters
    ----------
    owner : estimator instance
        The estimator that is fitted.
    attributes_of : callable
        Returns the fitted attributes of `owner`, from the result of training.
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
        """Return the tasks of a fit; None if scikit-learn has no callbacks."""
        if not hasattr(owner, "_init_callback_context"):
            return None
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        return cls(owner, attributes_of, {"X": X, "y": y, "metadata": weights})

    def begin_training(self, max_epochs: int) -> None:
        """Call the callbacks at the beginning of a fit of at most `max_epochs`."""
        self.fit.max_subtasks = max_epochs
        self.fit.call_on_fit_task_begin(estimator=self.owner, **self.data)

    def begin_epoch(self) -> None:
        """Call the callbacks at the beginning of an epoch."""
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.owner, **self.data)

    def end_epoch(self, fitted_now: Callable[[], Any]) -> bool:
        """Call the callbacks at the end of an epoch; return whether one asks to stop.

        Those that need a fitted estimator get one with the weights of this epoch.
        """
        return self.epoch.call_on_fit_task_end(
            estimator=self.owner,
            reconstruction_attributes=lambda: self.attributes_of(fitted_now()),
            **self.data,
        )

    def end_training(self) -> None:
        """Call the callbacks at the end of the fit."""
        self.fit.call_on_fit_task_end(
            estimator=self.owner, reconstruction_attributes={}, **self.data
        )
