"""Training by the skorch net.

skorch's loop calls `run_single_epoch`, which differs from skorch's own: batches include
loss weights, each member has its own loss, and the device is synchronised once for each
epoch.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping, PassthroughScoring
from torch import Tensor

from imbalnet._fit.callbacks import BestEpoch
from imbalnet._fit.checkpoint.saver import Saver
from imbalnet._fit.feeds.batches import Batch, FreshBatches, Place, Table, TensorBatches
from imbalnet._fit.feeds.feed import Feed
from imbalnet._fit.net.copies import CopiesMixin
from imbalnet._fit.net.epoch import train_in_a_loop, works_on_blocks
from imbalnet._fit.net.predict import PredictingNet
from imbalnet._fit.net.reduction import loss_per_row
from imbalnet._fit.net.validation import validate
from imbalnet._fit.sharing import Unshared
from imbalnet._fit.specs import Phases
from imbalnet._predict import output_of
from imbalnet._runtime import without_forks
from imbalnet._tables import Rows

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
# Training rows whose outputs are checked if there are no validation rows.
_N_CHECKED = 64


class _StopTraining(KeyboardInterrupt):
    """Ends skorch's loop before an epoch."""


class ImbalanceNet(CopiesMixin, PredictingNet):
    """A skorch classifier that weights and reduces the losses of rows itself.

    It is trained on a :class:`~imbalnet._fit.feeds.feed.Feed`, whose batches include
    loss weights, and minimises ``mean(weight * loss)``. Weights are normalised over the
    training set, not over the batch, so that a batch without positives keeps its
    weight.

    The gradient of a member does not depend on the other members, but L-BFGS has one
    line search for all of them.

    Attributes
    ----------
    sharing : Unshared
        How the processes of ``torchrun`` share the training.
    """

    sharing = Unshared()

    # -- the epochs --------------------------------------------------------------

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any
    ) -> ImbalanceNet:
        """Train as skorch does, but do not suppress a KeyboardInterrupt."""
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def fit_loop(
        self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any
    ) -> ImbalanceNet:
        """Run the epochs until ``stop_training`` is set, or an interrupt.

        `epochs_behind_` is the number of epochs that the present weights were trained
        for. It is increased after each epoch, and at the end it is that of the epoch
        whose weights are kept.
        """
        self.was_interrupted = self.stop_training = False
        self.epochs_behind_ = self.epochs_before
        n_earlier = len(self.history)
        self.batches_are_watched = self.has_batch_callback()
        try:
            epochs = (self.max_epochs if epochs is None else epochs) - self._resume(X)
            super().fit_loop(X, y, epochs=epochs, **kwargs)
        except _StopTraining:
            pass
        except KeyboardInterrupt:  # which skorch's EarlyStopping raises, too
            if len(self.history) == n_earlier:
                raise
            self.was_interrupted = not self._has_stopped_early()
            if self.was_interrupted and self.sharing.is_shared:
                raise  # the other processes are at another step
        if not self.was_interrupted:
            self._check_last_step(*X)
        # an interrupted epoch counts, because its steps have changed the weights
        kept = self.best_epoch() or len(self.history)
        self.epochs_behind_ = self.epochs_before + kept - n_earlier
        return self

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **_: Any
    ) -> None:
        """Stop training, or set loss and class weights to those of the phase."""
        if self.sharing.should_stop(self.stop_training):
            raise _StopTraining
        super().on_epoch_begin(net, dataset_train, dataset_valid)
        if not self.batches_are_watched:
            self.history.new_batch()  # skorch's Checkpoint reads one
        phases = self.phases or Phases(planned=self.max_epochs)
        done = self.epochs_behind_
        self.is_weighted_phase = done >= phases.unweighted
        self.criterion_.begin_epoch(phases.progress(done))
        for feed in (dataset_train, dataset_valid):
            if isinstance(feed, Feed):
                feed.use_class_weights(self.is_weighted_phase)
        if phases.changes_at(done) and isinstance(self.optimizer_, torch.optim.LBFGS):
            self.optimizer_.state.clear()  # curvature of the earlier objective

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **_: Any
    ) -> None:
        """Train or validate for one epoch, and record the scores."""
        if iterator is None:
            return
        if not training:
            self._set_training(False)
            validate(self, iterator)
            return
        self._check_trainable()
        is_plain = self.has_plain_steps and not self.batches_are_watched
        with self.sharing.part_of(self):
            self._set_training(True)
            if is_plain and type(iterator) is TensorBatches:
                total, n_rows = self._train_in_a_loop(iterator)
            else:
                total, n_rows = self._train_in_steps(iterator, step_fn)
        loss = self.sharing.synchronize(self, total, n_rows)
        if not np.isfinite(loss):
            raise self._divergence(f"The training loss became {loss}")
        self.record_loss("train_loss", loss)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Synchronise the scores of the processes, and count the epoch."""
        super().on_epoch_end(net, **kwargs)
        self.sharing.synchronize_scores(self.history)
        self.epochs_behind_ += 1

    def _resume(self, feeds: Any) -> int:
        """Restore a checkpoint, if there is one; return its number of epochs."""
        savers = [cb for _, cb in self.callbacks_ if isinstance(cb, Saver)]
        n_done = savers[0].resume(self, feeds[0]) if savers else 0
        self.epochs_behind_ += n_done
        return n_done

    def _has_stopped_early(self) -> bool:
        """Return whether an EarlyStopping of skorch has run out of patience."""
        return any(
            isinstance(callback, EarlyStopping)
            and callback.misses_ >= callback.patience
            for _, callback in self.callbacks_
        )

    def best_epoch(self) -> int | None:
        """Return the epoch, from 1, that BestEpoch kept; None if it kept none."""
        chosen = [cb for _, cb in self.callbacks_ if isinstance(cb, BestEpoch)]
        return (chosen[0].best_epoch_ or None) if chosen else None

    # -- the steps of an epoch ---------------------------------------------------

    def _train_in_a_loop(self, batches: TensorBatches) -> tuple[float, int]:
        """Train without skorch's closures and callbacks; see `train_in_a_loop`."""
        return train_in_a_loop(
            batches,
            self.module_,
            self.criterion_,
            self.optimizer_,
            mixed_dtype=self.mixed_dtype,
            sharing=self.sharing,
        )

    def _train_in_steps(self, batches: Any, step_fn: Any) -> tuple[float, int]:
        """Train by skorch's steps, with closures for the optimiser and callbacks.

        Return the mean loss, and 1 as the number of rows to divide it by.
        """
        losses, sizes = [], []
        for batch in batches:
            self.notify("on_batch_begin", batch=batch[:2], training=True)
            if not self.module_.training:  # a callback has predicted
                self._set_training(True)
            with without_forks():
                step = step_fn(batch)
            losses.append(step["loss"])
            sizes.append(len(batch[1]))
            if self.batches_are_watched:
                mean = step["loss"] / self.n_members
                self.record_batch("train", mean, sizes[-1])
            self.notify("on_batch_end", batch=batch[:2], training=True, **step)
        loss = torch.stack(losses).cpu().double().numpy() / self.n_members
        return float(np.average(loss, weights=sizes)), 1

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the weighted loss of a batch and its gradients.

        The losses of members are summed, so that the gradient of each is that of its
        own loss.
        """
        X, y, weight = (values.to(self.device) for values in batch)
        logits = self.infer(X)
        loss = (weight * loss_per_row(self.criterion_, logits, y)).mean(0).sum()
        for matrix in self.penalised_:
            loss = loss + 0.5 * self.weight_decay * matrix.square().sum()
        loss.backward()
        return {"loss": loss.detach(), "y_pred": logits.detach().squeeze(1)}

    def has_batch_callback(self) -> bool:
        """Return whether a callback is called for batches, or reads their records."""
        return any(
            getattr(type(callback), event) is not getattr(Callback, event)
            or isinstance(callback, PassthroughScoring)
            for _, callback in self.callbacks_
            for event in _BATCH_EVENTS
        )

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, for batches only if one of them uses these."""
        if method_name not in _BATCH_EVENTS or self.batches_are_watched:
            super().notify(method_name, **cb_kwargs)

    def record_batch(self, prefix: str, loss: Tensor, n_rows: int) -> None:
        """Record loss and size of a batch, which skorch's callbacks read."""
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", n_rows)

    def record_loss(self, name: str, loss: float) -> None:
        """Record a loss, and whether it is the lowest, for skorch's callbacks."""
        earlier = [record[name] for record in self.history[:-1] if name in record]
        self.history.record(name, loss)
        self.history.record(f"{name}_best", loss < min(earlier, default=np.inf))

    # -- the rows ----------------------------------------------------------------

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: the estimator has validated the data."""

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Convert features to a dataset of rows of weight 1; return datasets as is."""
        if isinstance(X, torch.utils.data.Dataset):
            return X
        codes = np.zeros(X.shape[0], dtype=np.int64) if y is None else y
        return Feed(Rows(X, codes), Place(self.dtype, torch.device(self.device)))

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Return ``X`` if it is a pair: training rows, and validation rows or None."""
        if isinstance(X, tuple):
            return X
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the batches of a dataset.

        In training, the network's fixed first layers (``prepare``) are applied to
        blocks of batches, if the result is the same.
        """
        new_iterator = partial(super().get_iterator, dataset, training=training)
        if not training:
            return FreshBatches(dataset, new_iterator)
        batches = new_iterator()
        if type(batches) is not TensorBatches:
            return batches
        batches.cut = self.sharing.cut
        with self.sharing.part_of(self):
            if not self.compile and works_on_blocks(self.module_, dataset):
                batches.prepare = partial(output_of, self.module_.prepare, dtype=None)
                batches.prepared_width = self.network_.prepared_width
        return batches

    # -- checks ------------------------------------------------------------------

    def _check_trainable(self) -> None:
        """Raise if a callback has frozen all parameters."""
        if any(p.requires_grad for _, p in self.get_all_learnable_params()):
            return
        names = ", ".join(name for name, _ in self.module_.named_parameters())
        raise ValueError(
            f"callbacks: all parameters are frozen in epoch {len(self.history)}, so "
            "that nothing is left to train; give Freezer patterns that leave some of "
            f"{names}."
        )

    @torch.no_grad()
    def _check_last_step(self, train_feed: Table, valid_feed: Table | None) -> None:
        """Raise if the last step has led to weights that are not finite.

        No loss was computed after it. Without validation rows, no outputs were
        computed either, so that some of them are checked, too.
        """
        weights = [p for _, p in self.get_all_learnable_params()]
        self.check_finite("The weights", *weights)
        if valid_feed is None:
            self._set_training(False)
            rows = train_feed.features(slice(0, _N_CHECKED))
            self.check_finite("The outputs", self.infer(rows))

    def check_finite(self, what: str, *tensors: Tensor) -> None:
        """Raise if tensors hold NaN or infinity; the message names them `what`."""
        if not all(torch.isfinite(tensor).all() for tensor in tensors):
            raise self._divergence(f"{what} became NaN or infinite")

    def _divergence(self, what: str) -> FloatingPointError:
        return FloatingPointError(
            f"{what} in epoch {len(self.history)}. Lower learning_rate (it is "
            f"{self.lr:g}); scale the features, and look for extreme values in them or "
            "in sample_weight; or set dtype='float64'."
        )
