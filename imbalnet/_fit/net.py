"""The skorch net: it weights and reduces the loss, and predicts.

skorch's loop calls `run_single_epoch`; what differs here is inside of it: batches come
with loss weights, members have losses of their own, and an epoch waits for the device
once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    PassthroughScoring,
)
from torch import Tensor, nn

from imbalnet._calibration import Formula
from imbalnet._fit.batches import Batch, Place, Table, TensorBatches
from imbalnet._fit.callbacks import BestEpoch
from imbalnet._fit.checkpoint.saver import Saver
from imbalnet._fit.feed import Feed, FoldFeed
from imbalnet._fit.net_copies import CopiesMixin
from imbalnet._fit.output import check_module, named_failure
from imbalnet._fit.sharing import Alone
from imbalnet._fit.specs import Phases
from imbalnet._nested import name_of
from imbalnet._optimizers import PLAIN
from imbalnet._predict import (
    Concatenation,
    Predictor,
    logits_of,
    loss_at,
    output_of,
    rows_at_once,
)
from imbalnet._runtime import (
    apart_from_forks,
)
from imbalnet._tables import Rows
from imbalnet.losses import Loss
from imbalnet.metrics.average_precision import mean_average_precision
from imbalnet.networks import is_split, network_of
from imbalnet.networks.base import with_all_columns
from imbalnet.posterior import least_log_loss

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
# What a module is given beside the parameters of its user.
_GIVEN_TO_MODULE = {
    *("in_features", "out_features", "n_categories", "module", "n_members"),
}
_ALL_AT_ONCE = 2**62
_SUMS_AT_ONCE = 64
# Training rows whose outputs are looked at where there is no validation.
_LOOKED_AT = 64


class _StopTraining(KeyboardInterrupt):
    """Ends skorch's loop between two epochs."""


class ImbalanceNet(CopiesMixin, NeuralNetClassifier):
    """A skorch classifier that owns weighting, reduction and the softmax.

    It trains on a :class:`~imbalnet._fit.feed.Feed`, whose batches carry loss weights,
    and minimises ``mean(weight * loss)``: weights are normalised over the training set,
    not over the batch, so that a batch without positives keeps its weight.

    Of several members, each follows the gradient that it would have alone (L-BFGS has
    one line search for all). Weight decay acts on matrices only, not on biases;
    optimisers that have no such argument (L-BFGS) minimise ``0.5 * weight_decay *
    |W|**2`` beside the loss. With `is_mixed` the network computes in bfloat16 what
    torch's autocast allows; its outputs, and so the loss, are of `dtype`. `phases` says
    how training changes, `epochs_before` how many epochs are behind the weights.

    Attributes
    ----------
    formulas : pair of Formula or None
        What makes probabilities of log posteriors before deferred class weights, and
        with them, for the callbacks of a training; None outside.
    is_weighted_phase : bool
        Whether the present epoch has the class weights.
    levels_members : bool
        Whether the estimator brings members to one level (``calibrate``).
    sharing : Alone
        How processes share the training.
    """

    formulas: tuple[Formula, Formula] | None = None
    sharing = Alone()
    is_weighted_phase = True
    levels_members = True

    def __init__(
        self,
        module: Callable[..., nn.Module],
        *,
        criterion: Loss,
        n_members: int = 1,
        has_member_axis: bool = False,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        is_mixed: bool = False,
        phases: Phases | None = None,
        epochs_before: int = 0,
        iterator_train: Any = TensorBatches,
        iterator_valid: Any = TensorBatches,
        train_split: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            train_split=train_split,
            **kwargs,
        )
        self.n_members = n_members
        self.has_member_axis = has_member_axis
        self.weight_decay = weight_decay
        self.dtype = dtype
        self.is_mixed = is_mixed
        self.phases = phases
        self.epochs_before = epochs_before

    # -- building ----------------------------------------------------------------

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    def initialize_module(self) -> ImbalanceNet:
        """Build the module, in the net's dtype and on its device."""
        params = self.get_params_for("module")
        given = {name: params[name] for name in params.keys() - _GIVEN_TO_MODULE}
        of_member = params.get("module", self.module)
        with named_failure("module", of_member, given):
            super().initialize_module()
        check_module(name_of(of_member), self.module_)
        self.epochs_behind_ = 0
        self.module_.to(dtype=self.dtype, device=self.device)
        if "batch_size" not in self.get_params_for("iterator_valid"):
            rows = rows_at_once(self.module_, torch.device(self.device))
            self.iterator_valid__batch_size = rows
        return self

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        """Compile the network, but not the loss, which is a few operations."""
        return super().torch_compile(module, name) if name == "module" else module

    def initialize_criterion(self) -> ImbalanceNet:
        """Use the loss as it is, in the net's dtype."""
        super().initialize_criterion()
        self.criterion_.to(dtype=self.dtype)
        return self

    def initialize_callbacks(self) -> ImbalanceNet:
        """Make scores of training rows predict anew.

        What skorch caches comes in the order of the batches, which are shuffled.
        """
        super().initialize_callbacks()
        for _, callback in self.callbacks_:
            if isinstance(callback, EpochScoring) and callback.on_train:
                callback.use_caching = False  # the estimator's own copy
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Any:
        """Build the optimiser, in which weight decay acts on the matrices only.

        One without the argument (L-BFGS) takes no groups either: it has one learning
        rate, and the net adds the penalty of the matrices (`penalised_`) to the loss.
        The loss' own parameters do not decay.
        """
        decays = "weight_decay" in inspect.signature(self.optimizer).parameters
        groups = self.network_.parameter_groups()
        self.penalised_: list[nn.Parameter] = []
        if self.weight_decay and not decays:
            of_decay = [group["params"] for group in groups if group["decays"]]
            self.penalised_ = [p for params in of_decay for p in params]
        given = self.get_params_for("optimizer")
        factory = getattr(self.optimizer, "func", self.optimizer)
        with named_failure("optimizer", factory, given):
            if hasattr(self, "optimizer__param_groups"):
                return super().initialize_optimizer(triggered_directly)
            self._build_optimizer(groups, decays)
        return self

    def _build_optimizer(self, groups: list[dict[str, Any]], decays: bool) -> None:
        """Build the optimiser of the network's groups and the loss' parameters."""
        kwargs = {"lr": self.lr, **self.get_params_for("optimizer")}
        params: list[Any] = [p for _, p in self.get_all_learnable_params()]
        if decays:
            of_loss = list(self.criterion_.parameters())
            groups = [*groups, {"params": of_loss, "rate": 1.0, "decays": False}]
            params = [
                {
                    "params": group["params"],
                    "lr": kwargs["lr"] * group["rate"],
                    "weight_decay": self.weight_decay if group["decays"] else 0.0,
                }
                for group in groups
                if group["params"]
            ]
        self.optimizer_ = self.optimizer(params, **kwargs)

    @property
    def network_(self) -> Any:
        """What the network tells of itself, see :class:`~imbalnet.networks.Network`."""
        return network_of(self.module_, self.has_member_axis)

    # -- training ----------------------------------------------------------------

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: the estimator has validated the data."""

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Wrap features in rows of weight 1, unless they already are a dataset."""
        if isinstance(X, torch.utils.data.Dataset):
            return X
        codes = np.zeros(X.shape[0], dtype=np.int64) if y is None else y
        return Feed(Rows(X, codes), Place(self.dtype, torch.device(self.device)))

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Take ``X = (training rows, validation rows or None)``, split beforehand."""
        if isinstance(X, tuple):
            return X
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return batches; those of training are prepared in blocks where that is safe.

        The network's fixed first layers (``prepare``) then see whole blocks.
        """
        new_iterator = partial(super().get_iterator, dataset, training=training)
        if not training:
            return _FreshBatches(dataset, new_iterator)
        batches = new_iterator()
        if type(batches) is not TensorBatches:
            return batches
        batches.cut = self.sharing.cut
        with self.sharing.part_of(self):
            if not self.compile and works_on_blocks(self.module_, dataset):
                batches.prepare = partial(output_of, self.module_.prepare, dtype=None)
                batches.prepared_width = self.network_.prepared_width
        return batches

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any
    ) -> ImbalanceNet:
        """Train as skorch does, but do not swallow interrupts between the epochs."""
        self.notify("on_train_begin", X=X, y=y)
        self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def fit_loop(
        self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any
    ) -> ImbalanceNet:
        """Run the epochs until ``stop_training`` is set; remember an interrupt.

        `epochs_behind_` counts the epochs behind the present weights: those before,
        then each epoch that ends, and at last those up to the epoch that is kept.
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
        except KeyboardInterrupt:  # by which skorch's EarlyStopping ends training too
            if len(self.history) == n_earlier:
                raise
            self.was_interrupted = not any(
                isinstance(callback, EarlyStopping)
                and callback.misses_ >= callback.patience
                for _, callback in self.callbacks_
            )
            if self.was_interrupted and self.sharing.is_shared:
                raise  # the others are elsewhere
        if not self.was_interrupted:
            self._check_weights()
            train_feed, valid_feed = X
            if valid_feed is None:
                self._check_outputs(train_feed)
        # an epoch that was interrupted counts: its steps are in the weights
        kept = self.best_epoch() or len(self.history)
        self.epochs_behind_ = self.epochs_before + kept - n_earlier
        return self

    def _resume(self, feeds: Any) -> int:
        """Go on where a checkpoint was written; return the epochs behind it."""
        savers = [cb for _, cb in self.callbacks_ if isinstance(cb, Saver)]
        n_done = savers[0].resume(self, feeds[0]) if savers else 0
        self.epochs_behind_ += n_done
        return n_done

    def best_epoch(self) -> int | None:
        """Return the epoch, from 1, that BestEpoch kept; None if nothing chose one."""
        chosen = [cb for _, cb in self.callbacks_ if isinstance(cb, BestEpoch)]
        return (chosen[0].best_epoch_ or None) if chosen else None

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **_: Any
    ) -> None:
        """Stop, or bring loss and class weights into the phase of training."""
        if self.sharing.stops(self.stop_training):
            raise _StopTraining
        super().on_epoch_begin(net, dataset_train, dataset_valid)
        if not self.batches_are_watched:
            self.history.new_batch()  # skorch's Checkpoint looks for one
        phases = self.phases or Phases(planned=self.max_epochs)
        done = self.epochs_behind_
        self.is_weighted_phase = done >= phases.unweighted
        self.criterion_.begin_epoch(phases.progress(done))
        for feed in (dataset_train, dataset_valid):
            if isinstance(feed, Feed):
                feed.use_class_weights(self.is_weighted_phase)
        if phases.changes_at(done) and isinstance(self.optimizer_, torch.optim.LBFGS):
            self.optimizer_.state.clear()  # the curvature of another objective

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Count the epoch."""
        super().on_epoch_end(net, **kwargs)
        self.sharing.agree(self.history)
        self.epochs_behind_ += 1

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **_: Any
    ) -> None:
        """Train, or validate, for one epoch, and record what it gave."""
        if iterator is None:
            return
        if not training:
            self._set_training(False)
            self._validate(iterator)
            return
        self._check_trainable()
        is_plain = type(self.optimizer_) in PLAIN and not self.penalised_
        is_watched = self.batches_are_watched
        with self.sharing.part_of(self):
            self._set_training(True)
            if is_plain and not is_watched and type(iterator) is TensorBatches:
                total, n_rows = self._train_in_a_loop(iterator)
            else:
                total, n_rows = self._train_in_steps(iterator, step_fn)
        loss = self.sharing.joined(self, total, n_rows)
        if not np.isfinite(loss):
            raise self._divergence(f"The training loss became {loss}")
        self._record_loss("train_loss", loss)

    def _train_in_a_loop(self, batches: TensorBatches) -> tuple[float, int]:
        """Train as by hand: the steps of skorch, with nothing around them.

        Return the sum of the losses, and the number of rows.
        """
        module, optimizer, sharing = self.module_, self.optimizer_, self.sharing
        forward = module if batches.prepare is None else module.body
        mixed = self.dtype if self.is_mixed else None
        total = _LossSum()
        for X, y, weight, share in batches.prepared():
            optimizer.zero_grad()
            sharing.begin_batch()
            if len(y):  # this process has some of its rows
                with apart_from_forks():
                    # an axis of one member would cost autograd some per cent of a step
                    logits = with_all_columns(output_of(forward, X, mixed))
                    losses = self.loss_per_row(logits, y)
                    # backward(share) would do, but torch imports sympy for it (0.5 s)
                    share = share.to(losses.dtype).flatten()
                    losses.flatten().dot(share).backward()  # of the weighted mean
                total.add(losses.detach(), weight)
            sharing.add_up()
            optimizer.step()
        return total.result()

    def _train_in_steps(self, batches: Any, step_fn: Any) -> tuple[float, int]:
        """Train as skorch does: a closure for the optimiser, calls to callbacks.

        Return the mean loss, as that of a single row.
        """
        losses, sizes = [], []
        for batch in batches:
            self.notify("on_batch_begin", batch=batch[:2], training=True)
            if not self.module_.training:  # a callback has predicted
                self._set_training(True)
            with apart_from_forks():
                step = step_fn(batch)
            losses.append(step["loss"])
            sizes.append(len(batch[1]))
            if self.batches_are_watched:
                mean = step["loss"] / self.n_members
                self._record_batch("train", mean, sizes[-1])
            self.notify("on_batch_end", batch=batch[:2], training=True, **step)
        loss = torch.stack(losses).cpu().double().numpy() / self.n_members
        return float(np.average(loss, weights=sizes)), 1

    def _record_batch(self, prefix: str, loss: Tensor, n_rows: int) -> None:
        """Record what skorch's callbacks read of a batch."""
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", n_rows)

    def _record_loss(self, name: str, loss: float) -> None:
        """Record a loss, and whether it is the lowest, as skorch's callbacks ask."""
        earlier = [record[name] for record in self.history[:-1] if name in record]
        self.history.record(name, loss)
        self.history.record(f"{name}_best", loss < min(earlier, default=np.inf))

    def _check_trainable(self) -> None:
        """Raise if a callback has frozen all that could be trained."""
        if any(p.requires_grad for _, p in self.get_all_learnable_params()):
            return
        names = ", ".join(name for name, _ in self.module_.named_parameters())
        raise ValueError(
            f"callbacks: all parameters are frozen in epoch {len(self.history)}, so "
            "that nothing is left to train; give Freezer patterns that leave some of "
            f"{names}."
        )

    def _check_weights(self) -> None:
        """Raise if the last step, which no loss has seen, broke the weights."""
        weights = [p for _, p in self.get_all_learnable_params()]
        if not all(torch.isfinite(weight).all() for weight in weights):
            raise self._divergence("The weights became NaN or infinite")

    @torch.no_grad()
    def _check_outputs(self, feed: Table) -> None:
        """Raise if outputs, which no validation has seen, are not finite."""
        self._set_training(False)
        outputs = self.infer(feed.features(slice(0, _LOOKED_AT)))
        if not torch.isfinite(outputs).all():
            raise self._divergence("The outputs became NaN or infinite")

    def _divergence(self, what: str) -> FloatingPointError:
        return FloatingPointError(
            f"{what} in epoch {len(self.history)}. Lower learning_rate (it is "
            f"{self.lr:g}); scale the features, and look for extreme values in them or "
            "in sample_weight; or set dtype='float64'."
        )

    def has_batch_callback(self) -> bool:
        """Return whether a callback listens to batches, or reads what they record."""
        return any(
            getattr(type(callback), event) is not getattr(Callback, event)
            or isinstance(callback, PassthroughScoring)
            for _, callback in self.callbacks_
            for event in _BATCH_EVENTS
        )

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, but not for batches where none of them listens."""
        if method_name not in _BATCH_EVENTS or self.batches_are_watched:
            super().notify(method_name, **cb_kwargs)

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the weighted loss of a batch and its gradients.

        Of members it is the sum of their losses, so that each has its own gradient.
        """
        X, y, weight = (values.to(self.device) for values in batch)
        logits = self.infer(X)
        loss = (weight * self.loss_per_row(logits, y)).mean(0).sum()
        for matrix in self.penalised_:
            loss = loss + 0.5 * self.weight_decay * matrix.square().sum()
        loss.backward()
        return {"loss": loss.detach(), "y_pred": logits.detach().squeeze(1)}

    def loss_per_row(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row, in the shape of `y`.

        That is (batch, members), or (batch,) for rows that members share: their loss is
        the mean of the members'. Logits of one member may lack the axis.
        """
        shape = logits.shape[:2]
        if logits.ndim == 2:
            return self.criterion_(logits, y)
        if shape[1] == 1 and y.ndim == 1:
            return self.criterion_(logits.squeeze(1), y)
        if y.ndim == 1:
            return self.loss_per_row(logits, y[:, None].expand(shape)).mean(1)
        if self.criterion_.is_ranking:  # it compares a member's rows with each other
            pairs = zip(logits.unbind(1), y.unbind(1), strict=True)
            return torch.stack([self.criterion_(*pair) for pair in pairs], dim=1)
        # (B, M, C) -> (B * M, C) -> (B, M)
        return self.criterion_(logits.flatten(0, 1), y.flatten()).unflatten(0, shape)

    @torch.no_grad()
    def _validate(self, batches: Any) -> None:
        """Record loss and average precision of the validation rows."""
        feed = batches.dataset
        if isinstance(feed, FoldFeed):
            logits, y, weight = self._validation_of_folds(feed)
        else:
            together = Concatenation(len(feed))
            for batch in batches:
                together.add(*self._validation_of_batch(batch))
            logits, y, weight = together.columns
        if not torch.isfinite(logits).all():
            raise self._divergence("The validation outputs became NaN or infinite")
        self._record_loss("valid_loss", self._mean_loss(logits, y, weight).item())
        log_posterior = self.log_posterior(logits.cpu().double())
        codes = y.cpu().numpy()
        if isinstance(feed, FoldFeed):
            self._record_scores_of_folds(log_posterior[:, 0], codes, feed)
            return
        precision = mean_average_precision(
            codes, log_posterior.exp().mean(1).numpy(), feed.score_weight
        )
        self.history.record("valid_average_precision", precision)

    def _mean_loss(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted mean loss of validation rows."""
        in_mean = self.criterion_.factors_in_mean(logits.shape[-1]).to(weight)
        loss = (weight * self.loss_per_row(logits, y)).sum()
        return loss / (weight * in_mean[y]).sum()

    def _record_scores_of_folds(
        self, log_posterior: Tensor, codes: NDArray, feed: FoldFeed
    ) -> None:
        """Record the scores of the rows whose classes their members know."""
        aligned = feed.aligned(log_posterior)[feed.known]
        codes, weight = codes[feed.known], feed.score_weight[feed.known]
        if not len(codes):
            return
        precision = mean_average_precision(codes, aligned.exp().numpy(), weight)
        self.history.record("valid_average_precision", precision)
        log_loss = least_log_loss(aligned.numpy(), codes, weight)
        unit = feed.entropy or 1.0  # rows of one class have none
        self.history.record("valid_score", precision - log_loss / unit)

    def _validation_of_folds(self, feed: FoldFeed) -> Batch:
        """Return out-of-fold logits, codes and weights, and notify the callbacks."""
        batch = (feed.X, feed.y) if self.batches_are_watched else ()
        self.notify("on_batch_begin", batch=batch, training=False)
        logits = self.sharing.out_of_fold_logits(self, feed)
        y, weight = (of.to(logits.device) for of in (feed.y, feed.loss_weight))
        of_members = logits.unsqueeze(1)
        self._tell_of_validation(batch, logits, (of_members, y, weight))
        return of_members, y, weight

    def _validation_of_batch(self, batch: Batch) -> Batch:
        """Return logits, codes and weights of a batch, and notify the callbacks."""
        self.notify("on_batch_begin", batch=batch[:2], training=False)
        X, y, weight = (values.to(self.device) for values in batch)
        logits = self.infer(X)
        self._tell_of_validation(batch[:2], logits.squeeze(1), (logits, y, weight))
        return logits, y, weight

    def _tell_of_validation(self, batch: Any, shown: Tensor, rows: Batch) -> None:
        """Record a batch of validation rows, and notify the callbacks."""
        if self.batches_are_watched:
            self._record_batch("valid", self._mean_loss(*rows), len(rows[1]))
        self.notify("on_batch_end", batch=batch, training=False, y_pred=shown)

    # -- prediction --------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """Number of the network's parameters."""
        return sum(p.numel() for p in self.module_.parameters())

    @property
    def feature_dtype(self) -> type[np.floating]:
        """The precision of features."""
        return np.float64 if self.dtype is torch.float64 else np.float32

    @property
    def predictor(self) -> Predictor:
        """The network in evaluation mode, with its loss."""
        self.check_is_fitted()
        if self.module_.training or self.criterion_.training:
            self._set_training(False)
        block_rows = self.iterator_valid__batch_size
        device = torch.device(self.device)
        return Predictor(
            self.module_,
            self.criterion_,
            device,
            self.dtype,
            self.is_mixed,
            _ALL_AT_ONCE if block_rows == -1 else block_rows,  # as skorch has it
            in_threads=device.type == "cpu" and not self.compile,
        )

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Return logits of shape (batch, members, n_classes)."""
        return logits_of(self.module_, x, self.dtype if self.is_mixed else None)

    def evaluation_step(self, batch: Batch, training: bool = False) -> Tensor:
        """Return the logits of a batch, for skorch; a single network has no members."""
        predictor, X = self.predictor, batch[0].to(self.device)
        if not training:
            with torch.no_grad():
                return predictor.steady_logits(X).squeeze(1)
        self._set_training(True)
        return self.infer(X).squeeze(1)

    def log_posterior(self, logits: Tensor) -> Tensor:
        """Return the log posteriors that `logits` stand for under the trained prior."""
        return loss_at(self.criterion_, logits).log_posterior(logits)

    def out_of_fold_logits(self, feed: FoldFeed) -> Tensor:
        """Return each row's logits of the member that did not train on it."""
        return feed.in_order(self.member_logits(feed, slice(None)))

    def member_logits(self, feed: FoldFeed, members: slice) -> Tensor:
        """Return the logits of some members for the rows of their folds.

        They have the shape (rows of the longest fold, members, n_classes).
        """
        together = Concatenation(len(feed.matrix))
        for part in feed.parts(self.iterator_valid__batch_size, members):
            together.add(self.infer(part))
        return together.columns[0]

    @torch.inference_mode()
    def out_of_fold_log_posterior(self, feed: FoldFeed) -> NDArray[np.float64]:
        """Return out-of-fold log posteriors, each under its member's trained prior."""
        self.check_is_fitted()
        self._set_training(False)
        logits = self.out_of_fold_logits(feed)
        return self.log_posterior(logits.cpu().double()).numpy()

    def predict_log_posterior(
        self,
        X: Any,
        finish: Callable[[Tensor, slice], Tensor] | None = None,
        n_threads: int | None = 1,
    ) -> NDArray[np.float64]:
        """Return log posteriors under the trained prior, of a matrix or a `Table`.

        See :meth:`~imbalnet._predict.Predictor.predict`.
        """
        predictor = self.predictor
        if isinstance(X, Table):
            features, n_rows = X.features, len(X)
        else:
            features, n_rows = partial(predictor.features, X), X.shape[0]
        return predictor.predict(features, n_rows, finish=finish, n_threads=n_threads)

    def predict_proba(self, X: Any) -> NDArray:
        """Return class probabilities, for skorch's callbacks.

        In training they are those that the estimator would give, up to what is fitted
        behind it (temperature, neighbours). Out-of-fold rows have theirs from the
        member that did not train on them, with members on one level where the
        estimator brings them there. Outside of training they are under the trained
        prior, and out-of-fold ones under the data's.
        """
        formula = self.formulas and self.formulas[self.is_weighted_phase]
        feed = X if isinstance(X, FoldFeed) else getattr(X, "fold_feed", None)
        if feed is not None:
            log_posterior = torch.from_numpy(self.out_of_fold_log_posterior(feed))
            if formula and not self.levels_members:
                own = formula.apply(log_posterior[:, None], members=feed.folds)
                return own.exp().numpy()
            log_proba = feed.aligned(log_posterior)
            if formula:
                to_target = torch.from_numpy(formula.to_target)
                log_proba = (log_proba + to_target).log_softmax(-1)
            return log_proba.exp().numpy()
        of_members = self.predict_log_posterior(X)
        if formula:
            return formula.apply(torch.from_numpy(of_members)).exp().numpy()
        return np.exp(of_members).mean(axis=1)


@dataclass(frozen=True)
class _FreshBatches:
    """Batches of a dataset from a new iterator in each epoch, whatever makes it."""

    dataset: Any
    new_iterator: Callable[[], Any]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.new_iterator())


class _LossSum:
    """Sum of weight * loss over an epoch's rows, with one synchronisation."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.sums: list[Tensor] = []
        self.free: list[Tensor] = []

    def add(self, losses: Tensor, weight: Tensor) -> None:
        """Add the rows of one batch, or those of each member."""
        if not self.free:
            self.sums.append(losses.new_zeros(_SUMS_AT_ONCE))
            self.free = list(self.sums[-1].unbind())
        weight = weight.to(losses.dtype)
        torch.dot(losses.flatten(), weight.flatten(), out=self.free.pop())
        self.n_rows += losses.numel()

    def result(self) -> tuple[float, int]:
        """Wait for the device; return the sum, and the number of rows."""
        if not self.sums:
            return 0.0, 0
        return torch.cat(self.sums).cpu().double().sum().item(), self.n_rows


def works_on_blocks(module: nn.Module, feed: Table) -> bool:
    """Return whether a network's ``prepare`` may be applied to blocks of batches.

    Its ``forward`` must be ``body(prepare(x))``, no hook may listen to it, ``prepare``
    must not learn, and nothing may depend on the other rows of a batch.
    """
    if any(
        isinstance(part, nn.modules.batchnorm._NormBase) for part in module.modules()
    ):
        return False
    parts: list[Any] = [module, *getattr(module, "members", ())]
    hooks = [
        any((part._forward_hooks, part._forward_pre_hooks, part._backward_hooks))
        for part in parts
    ]
    if not is_split(module) or any(hooks):
        return False
    prepare: Any = module.eval().prepare
    row = feed.features(slice(0, 1))
    return not output_of(prepare, row, dtype=None).requires_grad
