"""Losses and validation scores of each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbalnet.metrics._fitted import check_fitted
from imbalnet.plots._base import Display, check_columns, drawing, faint, last_step


class HistoryDisplay(Display):
    """Losses and average precision of each epoch, and the epoch that was kept.

    Use ``from_estimator``. The axis of average precision is on the right.

    Parameters
    ----------
    epochs : ndarray of shape (n_epochs,)
        Numbers of the epochs, from 1.
    train_loss : ndarray of shape (n_epochs,)
        Mean loss of the training rows.
    valid_loss : ndarray of shape (n_epochs,), default=None
        Mean loss of the validation or out-of-fold rows.
    average_precision : ndarray of shape (n_epochs,), default=None
        Average precision of the same rows.
    best_epoch : int, default=None
        The epoch whose weights were kept.

    Attributes
    ----------
    lines_ : list of Line2D
        Training loss, and validation loss if there is one.
    precision_line_ : Line2D or None
        Average precision.
    best_line_ : Line2D or None
        The best epoch.
    right_ax_ : matplotlib Axes or None
        The axis of average precision.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from imbalnet.plots import HistoryDisplay
    >>> display = HistoryDisplay([1, 2], [0.7, 0.5], [0.6, 0.5], best_epoch=2).plot()
    >>> display.best_line_.get_label()
    'best epoch: 2'
    """

    def __init__(
        self,
        epochs: NDArray[np.integer],
        train_loss: NDArray[np.float64],
        valid_loss: NDArray[np.float64] | None = None,
        average_precision: NDArray[np.float64] | None = None,
        *,
        best_epoch: int | None = None,
    ) -> None:
        self.epochs = epochs
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.average_precision = average_precision
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> HistoryDisplay:
        """Draw the history of a fitted network.

        Parameters
        ----------
        estimator : BalancedNeuralClassifier or skorch.NeuralNet
            Fitted; or a pipeline that ends in one.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        HistoryDisplay
            After ``plot``.

        Raises
        ------
        ValueError
            If `estimator` has no history of epochs.
        """
        check_fitted(estimator)
        step = last_step(estimator)
        records = getattr(step, "history_", None)
        if not records or "train_loss" not in records[0]:
            raise ValueError(
                f"{type(step).__name__} has no history_ of epochs; give a fitted "
                "BalancedNeuralClassifier or a net of skorch."
            )
        figures = ("train_loss", "valid_loss", "valid_average_precision")
        found: list[Any] = [_figure(records, name) for name in figures]
        best = getattr(step, "best_iteration_", None)
        epochs = np.arange(1, len(records) + 1)
        if found[1] is None:  # without held-out rows the last epoch is kept
            best = None
        return cls(epochs, *found, best_epoch=best).plot(ax=ax)

    @drawing
    def plot(self, ax: Any = None) -> HistoryDisplay:
        """Draw the history.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        HistoryDisplay
            The display itself.
        """
        given = {
            "epochs": self.epochs,
            "train_loss": self.train_loss,
            "valid_loss": self.valid_loss,
            "average_precision": self.average_precision,
        }
        is_optional = "valid_loss", "average_precision"
        check_columns(
            **{n: v for n, v in given.items() if v is not None or n not in is_optional}
        )
        ax = self._set_axes(ax)
        losses = {"training loss": self.train_loss, "held-out loss": self.valid_loss}
        self.lines_ = [
            ax.plot(self.epochs, loss, ".-", color=f"C{i}", label=label)[0]
            for i, (label, loss) in enumerate(losses.items())
            if loss is not None
        ]
        self.best_line_ = self.precision_line_ = self.right_ax_ = None
        if self.best_epoch is not None:
            label = f"best epoch: {self.best_epoch}"
            options = {"linestyle": "--", "linewidth": 1, "label": label, **faint()}
            self.best_line_ = ax.axvline(self.best_epoch, **options)
        if self.average_precision is not None:
            self.right_ax_ = ax.twinx()
            style = {"color": "C2", "label": "held-out average precision"}
            (self.precision_line_,) = self.right_ax_.plot(
                self.epochs, self.average_precision, ".:", **style
            )
            self.right_ax_.set_ylabel("Average precision")
        ax.set(xlabel="Epoch", ylabel="Loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        handles = [*self.lines_, self.precision_line_, self.best_line_]
        handles = [handle for handle in handles if handle is not None]
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
        ax.legend(handles=handles, fontsize="small", ncols=2, frameon=False, **place)
        return self


def _figure(records: Any, name: str) -> NDArray[np.float64] | None:
    """Return a figure of all epochs, NaN if missing; None if all are missing."""
    values = np.array([record.get(name, np.nan) for record in records], np.float64)
    return None if np.isnan(values).all() else values
