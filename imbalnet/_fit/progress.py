"""Callbacks of a single fit: progress, scikit-learn's callbacks, and checkpoints.

``verbose=1`` shows the epoch, its score and the time left, and at the end one line that
says why training ended. ``verbose=2`` prints skorch's table instead of the progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

from skorch.callbacks import Callback, PrintLog

from imbalnet._fit.checkpoint.saver import Saver
from imbalnet._fit.fitted import Fitted
from imbalnet._fit.net import ImbalanceNet
from imbalnet._fit.specs import Options

_print = partial(print, flush=True)

# Format of tqdm's bar; the score follows after a comma.
_BAR = "epoch {n} of {total} |{bar}| {remaining} left{postfix}"


class Score(NamedTuple):
    """The score of an epoch that is shown."""

    key: str  # in the history
    name: str

    @classmethod
    def of(cls, monitor: str | None, kind: str) -> Score:
        """Return the score that chooses the epoch, or the loss if none does.

        "combined" is shown as its first part, average precision, which is easier to
        interpret.
        """
        rows = "out-of-fold" if kind == "folds" else "validation"
        if monitor is None:
            return cls("train_loss", "training loss")
        if monitor == "loss":
            return cls("valid_loss", f"{rows} loss")
        return cls("valid_average_precision", f"{rows} average precision")

    def text(self, record: dict[str, Any]) -> str:
        """Return name and value; an epoch that was interrupted may have none."""
        value = record.get(self.key)
        return f"no {self.name}" if value is None else f"{self.name} {value:#.3g}"


class Tasks(Protocol):
    """Methods that receive epochs, as of :class:`imbalnet._tasks.FitTasks`."""

    def begin_training(self, max_epochs: int) -> None:
        """Receive the largest number of epochs."""

    def begin_epoch(self) -> None:
        """Receive the beginning of an epoch."""

    def end_epoch(self, fitted_now: Callable[[], Fitted]) -> bool:
        """Receive the end of an epoch; return whether training is to stop."""


class TasksCallback(Callback):
    """Pass the beginning and end of epochs on to tasks.

    Parameters
    ----------
    tasks : Tasks
    fitted_now : callable
        Returns the result of training if it ended here, with a copy of the weights.
    """

    def __init__(self, tasks: Tasks, fitted_now: Callable[[], Fitted]) -> None:
        self.tasks = tasks
        self.fitted_now = fitted_now

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Pass the largest number of epochs on."""
        self.tasks.begin_training(net.max_epochs)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Pass the beginning on."""
        self.tasks.begin_epoch()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Pass the end on, and stop if asked to."""
        if self.tasks.end_epoch(self.fitted_now):
            net.stop_training = True


class Progress(Callback):
    """Show a bar (or lines, where there is no terminal), then a closing line.

    Parameters
    ----------
    score : Score
        The score that is shown.
    patience : int
        Epochs without improvement after which training stops.
    has_table : bool
        Whether a table shows the epochs, so that only the closing line is needed.
    """

    def __init__(self, score: Score, patience: int, has_table: bool) -> None:
        self.score = score
        self.patience = patience
        self.has_table = has_table
        self.bar_: Any = None

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start the clock, and open the bar."""
        self.start_, self.n_before_ = time.perf_counter(), len(net.history)
        self.n_shown_ = 0
        self.shows_epochs_ = not self.has_table and net.max_epochs > 1
        self.bar_ = _new_bar(net.max_epochs) if self.shows_epochs_ else None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Show the epoch, its score and the time left."""
        if not self.shows_epochs_:
            return
        text = self.score.text(net.history[-1])
        self.n_shown_ += 1
        n_done = len(net.history) - self.n_before_
        if self.bar_ is not None:
            self.bar_.set_postfix_str(text, refresh=False)
            self.bar_.update(n_done - self.bar_.n)  # resumed fits begin later
            return
        best, at_most = net.best_epoch(), ""
        if best is not None:
            text, at_most = f"{text} (best epoch {best})", "at most "
        seconds = (time.perf_counter() - self.start_) / self.n_shown_
        left = duration(seconds * (net.max_epochs - n_done))
        _print(f"{self._epoch_of(net)}: {text}, {at_most}{left} left")

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Print why training ended, and which epoch is kept."""
        self.close()
        seconds = duration(time.perf_counter() - self.start_)
        best = net.best_epoch()
        if best is None:
            kept = self.score.text(net.history[-1])
        else:
            kept = f"best epoch {best}, {self.score.text(net.history[best - 1])}"
        _print(f"{self._end(net)}; {kept}, {seconds}{self._advice(net)}")

    def close(self) -> None:
        """Close the bar, also if training failed."""
        if self.bar_ is not None:
            self.bar_.close()

    def _epoch_of(self, net: Any) -> str:
        n_all = self.n_before_ + net.max_epochs
        return f"epoch {len(net.history)} of {n_all}"

    def _end(self, net: Any) -> str:
        """Return why training ended."""
        if net.was_interrupted:
            return f"interrupted in {self._epoch_of(net)}"
        n_epochs, best = len(net.history), net.best_epoch()
        n_done = n_epochs - self.n_before_
        if n_done == net.max_epochs:
            return f"trained {'all ' if n_done > 1 else ''}{_epochs(n_done)}"
        stopped = f"stopped after {self._epoch_of(net)}"
        if best is not None and n_epochs - best >= self.patience:
            return f"{stopped}: no better one for {_epochs(n_epochs - best)}"
        return f"{stopped} by a callback"

    def _advice(self, net: Any) -> str:
        """Return advice if scores still improved when training ended."""
        n_epochs, best = len(net.history), net.best_epoch()
        is_whole = 1 < net.max_epochs == n_epochs - self.n_before_
        is_late = best is not None and best > n_epochs - max(2, net.max_epochs // 10)
        if not is_whole or not is_late or net.was_interrupted:
            return ""
        return "; the best epoch is among the last: more max_epochs may help"


def _epochs(n: int) -> str:
    return "1 epoch" if n == 1 else f"{n} epochs"


def _new_bar(n_epochs: int) -> Any:
    """Return a bar of tqdm; None if tqdm is missing, or would not draw it."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    bar = tqdm(total=n_epochs, bar_format=_BAR, leave=False, disable=None)
    return None if bar.disable else bar


def duration(seconds: float) -> str:
    """Return a duration as text, in seconds or minutes.

    Examples
    --------
    >>> from imbalnet._fit.progress import duration
    >>> duration(3.21), duration(75.0), duration(600.0)
    ('3.2 s', '75 s', '10 min')
    """
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


@contextmanager
def fit_callbacks(
    net: ImbalanceNet,
    options: Options,
    monitor: str | None,
    tasks: TasksCallback | None,
    saver: Saver | None = None,
) -> Iterator[None]:
    """Add the callbacks of a single fit to a net, in a block.

    They are removed afterwards, since neither a pickle nor later training needs them.
    """
    progress = Progress(
        Score.of(monitor, options.validation.kind),
        options.validation.patience,
        has_table=options.verbose > 1,
    )
    added: list[tuple[str, Callback]] = []
    if tasks is not None:
        added.append(("tasks", tasks))
    if options.verbose > 1:
        added.append(("table", PrintLog(sink=_print).initialize()))
    if options.verbose:
        added.append(("progress", progress))
    if saver is not None:
        added.append(("saver", saver))  # the last, so that it saves the others' changes
    own = net.callbacks_
    net.callbacks_ = [*own, *added]
    try:
        yield
    finally:
        progress.close()
        net.callbacks_ = own
