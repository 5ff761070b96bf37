"""The skorch net: weighted loss, ensemble axis, one synchronisation an epoch."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    PrintLog,
)
from torch import Tensor, nn

from imbalnet._fit.batches import Batch, TableRows, TensorBatches
from imbalnet._fit.callbacks import BestEpoch, Phases
from imbalnet._fit.feed import FoldRows, NetRows
from imbalnet._optimizers import PLAIN
from imbalnet._predict import InferenceMixin, rows_at_once
from imbalnet._reduction import LossMean, RowsInOne, mean_over_members
from imbalnet.losses import Loss
from imbalnet.metrics import macro_average_precision
from imbalnet.networks import is_split
from imbalnet.posterior import least_log_loss

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class ImbalanceNet(InferenceMixin, NeuralNetClassifier):
    """A skorch classifier that owns weighting, reduction and the softmax.

    It trains on :class:`~imbalnet._fit.batches.TableRows`, whose batches carry loss
    weights, and learns from ``mean(weight * loss)``: weights are normalised over the
    training set, not over the batch, so that a batch without positives keeps its
    weight.

    Parameters
    ----------
    module : callable
        Called as ``module(in_features=, out_features=, **module__*)``.
    criterion : Loss
        The loss, already built.
    n_members : int, default=1
        Members that train side by side. Each follows the gradient that it would have
        alone (L-BFGS has one line search for all).
    has_member_axis : bool, default=False
        Whether the module's parameters have the members for their first axis.
    weight_decay : float, default=0.0
        Acts on matrices only, not on biases. Optimisers that have no such argument
        (L-BFGS) minimise ``0.5 * weight_decay * |W|**2`` beside the loss.
    dtype : torch.dtype, default=torch.float32
        Of parameters and features.
    is_mixed : bool, default=False
        Whether the network computes in bfloat16 what may be (torch's autocast); its
        outputs, and so the loss, are in `dtype`.
    first_look : callable or None, default=None
        Called once with the new module, before the optimiser sees its parameters.
    phases : Phases or None, default=None
        How training changes on its way; None is a run of ``max_epochs`` that does not.
    epochs_before : int, default=0
        Epochs behind the weights that training starts from.
    iterator_train, iterator_valid, train_split
        skorch's, with defaults that suit :class:`~imbalnet._fit.batches.TableRows`.
    **kwargs
        skorch's arguments.
    """

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
        first_look: Callable[[nn.Module], None] | None = None,
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
        self.first_look = first_look
        self.phases = phases
        self.epochs_before = epochs_before

    # -- building ----------------------------------------------------------------

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        timer: list[tuple[str, Callback]] = [("epoch_timer", EpochTimer())]
        return [*timer, ("print_log", PrintLog())] if self.verbose else timer

    def initialize_module(self) -> ImbalanceNet:
        """Build the module, move it to dtype and device, and let it look at rows."""
        super().initialize_module()
        self.epochs_behind_ = 0
        self.module_.to(dtype=self.dtype, device=self.device)
        if "batch_size" not in self.get_params_for("iterator_valid"):
            rows = rows_at_once(self.module_, torch.device(self.device))
            self.iterator_valid__batch_size = rows
        first_look, self.first_look = self.first_look, None  # it holds the data
        if first_look is not None:
            first_look(self.module_)
        return self

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        """Compile the network, but not the loss, which is a few operations."""
        return super().torch_compile(module, name) if name == "module" else module

    def initialize_criterion(self) -> ImbalanceNet:
        """Take the loss as it is, in the net's dtype."""
        super().initialize_criterion()
        self.criterion_.to(dtype=self.dtype)
        return self

    def initialize_callbacks(self) -> ImbalanceNet:
        """Let scores of training rows ask for predictions.

        What skorch caches comes in the order of the batches, which are shuffled.
        """
        super().initialize_callbacks()
        for _, callback in self.callbacks_:
            if isinstance(callback, EpochScoring) and callback.on_train:
                callback.use_caching = False  # the estimator's own copy
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Any:
        """Build the optimiser; weight decay goes to the matrices only."""
        self.penalised_ = self._penalised()
        if hasattr(self, "optimizer__param_groups"):
            return super().initialize_optimizer(triggered_directly)
        kwargs = {"lr": self.lr, **self.get_params_for("optimizer")}
        parameters = [p for _, p in self.get_all_learnable_params()]
        if self._optimizer_decays() and hasattr(self.module_, "parameter_groups"):
            self.optimizer_ = self.optimizer(self._own_groups(), **kwargs)
        elif self._optimizer_decays() and self.weight_decay:
            matrices = [p for p in parameters if self._is_matrix(p)]
            others = [p for p in parameters if not self._is_matrix(p)]
            groups = [
                {"params": matrices, "weight_decay": self.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ]
            self.optimizer_ = self.optimizer(groups, **kwargs)
        else:
            self.optimizer_ = self.optimizer(parameters, **kwargs)
        return self

    def _own_groups(self) -> list[dict[str, Any]]:
        """Give the groups that the network makes of its parameters, and the loss' own.

        See Also
        --------
        imbalnet.networks.TabularMLP.parameter_groups : What a network tells.
        """
        groups = [
            {
                "params": group["params"],
                "lr": self.lr * group["rate"],
                "weight_decay": self.weight_decay if group["decays"] else 0.0,
            }
            for group in self.module_.parameter_groups()
        ]
        of_loss = list(self.criterion_.parameters())
        if of_loss:
            groups.append({"params": of_loss, "weight_decay": 0.0})
        return groups

    def _optimizer_decays(self) -> bool:
        return "weight_decay" in inspect.signature(self.optimizer).parameters

    def _penalised(self) -> list[nn.Parameter]:
        if self._optimizer_decays() or not self.weight_decay:
            return []
        if hasattr(self.module_, "parameter_groups"):
            groups = self.module_.parameter_groups()
            return [p for group in groups if group["decays"] for p in group["params"]]
        parameters = [p for _, p in self.get_all_learnable_params()]
        return [p for p in parameters if self._is_matrix(p)]

    def _is_matrix(self, parameter: nn.Parameter) -> bool:
        return parameter.ndim > 1 + self.has_member_axis

    # -- training ----------------------------------------------------------------

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: the estimator has validated the data."""

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Wrap features in rows of weight 1, unless they already are a dataset."""
        if isinstance(X, torch.utils.data.Dataset):
            return X
        codes = np.zeros(X.shape[0], dtype=np.int64) if y is None else y
        weight = np.ones(X.shape[0])
        return NetRows(X, codes, weight, dtype=self.dtype, device=self.device)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Take ``X = (training rows, validation rows or None)``, split beforehand."""
        if isinstance(X, tuple):
            return X
        return super().get_split_datasets(X, y, **fit_params)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any
    ) -> ImbalanceNet:
        """Train on; an interrupt ends training and is remembered."""
        if not self.initialized_:
            self.initialize()
        self.was_interrupted = False
        self.epochs_behind_ = self.epochs_before
        n_earlier = len(self.history)
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, **fit_params)
        except KeyboardInterrupt:
            self.was_interrupted = not self._has_interrupting_callback()
        self.notify("on_train_end", X=X, y=y)
        # an epoch that was interrupted counts: its steps are in the weights
        kept = self.best_epoch() or len(self.history)
        self.epochs_behind_ = self.epochs_before + kept - n_earlier
        return self

    def best_epoch(self) -> int | None:
        """Give the epoch, from 1, that BestEpoch kept; None if nothing chose one."""
        chosen = [cb for _, cb in self.callbacks_ if isinstance(cb, BestEpoch)]
        return (chosen[0].best_epoch_ or None) if chosen else None

    def _has_interrupting_callback(self) -> bool:
        # skorch's EarlyStopping ends training by raising KeyboardInterrupt
        return any(isinstance(cb, EarlyStopping) for _, cb in self.callbacks_)

    def fit_loop(
        self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any
    ) -> ImbalanceNet:
        """Run the epochs until ``stop_training`` is set."""
        fit_params.pop("_routing_method", None)
        rows_train, rows_valid = self.get_split_datasets(X, y)
        datasets = {"dataset_train": rows_train, "dataset_valid": rows_valid}
        self.stop_training = False
        self.batches_are_watched = self._has_batch_callback()
        batches = self.get_iterator(rows_train, training=True)
        self.prepares_blocks = (
            type(batches) is TensorBatches
            and not self.compile
            and works_on_blocks(self.module_, rows_train)
        )
        if self.prepares_blocks:
            batches.prepared_width = getattr(self.module_, "prepared_width", 0)
        for _ in range(self.max_epochs if epochs is None else epochs):
            self._begin_epoch(rows_train, rows_valid)
            self.notify("on_epoch_begin", **datasets)
            if not self.batches_are_watched:
                self.history.new_batch()  # skorch's Checkpoint looks for one
            self._train_epoch(batches)
            if rows_valid is not None:
                self._validate(rows_valid)
            self.notify("on_epoch_end", **datasets)
            self.epochs_behind_ += 1
            if self.stop_training:
                break
        self._check_weights()
        return self

    def _begin_epoch(self, *rows: Any) -> None:
        """Let loss and class weights follow the phase of training."""
        phases = self.phases or Phases(planned=self.max_epochs)
        done = self.epochs_behind_
        self.criterion_.begin_epoch(phases.progress(done))
        for part in rows:
            if isinstance(part, NetRows):
                part.use_class_weights(done >= phases.unweighted)
        if phases.changes_at(done) and isinstance(self.optimizer_, torch.optim.LBFGS):
            self.optimizer_.state.clear()  # the curvature of another objective

    def _train_epoch(self, batches: Any) -> None:
        self._set_training(True)
        is_plain = type(self.optimizer_) in PLAIN and not self.penalised_
        is_watched = self.batches_are_watched
        if is_plain and not is_watched and type(batches) is TensorBatches:
            loss = self._train_in_a_loop(batches)
        else:
            loss = self._train_in_steps(batches)
        self._record_train_loss(loss)

    def _train_in_a_loop(self, batches: TensorBatches) -> float:
        """Train as by hand: the steps of skorch, with nothing around them.

        The network's fixed first layers (``prepare``) are left to whole blocks of
        batches, unless the network is compiled.
        """
        module, optimizer = self.module_, self.optimizer_
        prepare, forward = None, module
        if self.prepares_blocks:
            prepare, forward = module.prepare, module.body
        mean = LossMean()
        for X, y, weight, share in batches.prepared(prepare):
            optimizer.zero_grad()
            losses = self.loss_per_row(self._logits(forward, X), y)
            losses.backward(share.to(losses.dtype))  # of the weighted mean
            optimizer.step()
            mean.add(losses.detach(), weight)
        return mean.result()

    def _train_in_steps(self, batches: Any) -> float:
        """Train as skorch does: a closure for the optimiser, calls to callbacks."""
        losses, sizes = [], []
        for batch in batches:
            self.notify("on_batch_begin", batch=batch[:2], training=True)
            step = self.train_step(batch)
            losses.append(step["loss"])
            sizes.append(len(batch[1]))
            self.notify("on_batch_end", batch=batch[:2], training=True, **step)
        loss = torch.stack(losses).cpu().double().numpy() / self.n_members
        return float(np.average(loss, weights=sizes))

    def _record_train_loss(self, loss: float) -> None:
        if not np.isfinite(loss):
            raise self._divergence(f"The training loss became {loss}")
        self._record_loss("train_loss", loss)

    def _record_loss(self, name: str, loss: float) -> None:
        """Record a loss, and whether it is the lowest, as skorch's callbacks ask."""
        earlier = [record[name] for record in self.history[:-1] if name in record]
        self.history.record(name, loss)
        self.history.record(f"{name}_best", loss < min(earlier, default=np.inf))

    def _check_weights(self) -> None:
        """Raise for what the last step did: no loss has seen it."""
        weights = [p for _, p in self.get_all_learnable_params()]
        if not all(torch.isfinite(weight).all() for weight in weights):
            raise self._divergence("The weights became NaN or infinite")

    def _divergence(self, what: str) -> FloatingPointError:
        return FloatingPointError(
            f"{what} in epoch {len(self.history)}. Lower learning_rate (it is "
            f"{self.lr:g}); scale the features, and look for extreme values in them or "
            "in sample_weight; or set dtype='float64'."
        )

    def _has_batch_callback(self) -> bool:
        return any(
            getattr(type(callback), event) is not getattr(Callback, event)
            for _, callback in self.callbacks_
            for event in _BATCH_EVENTS
        )

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Tell the callbacks, but not of batches where none of them listens."""
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
        return {"loss": loss.detach(), "y_pred": logits.detach()}

    def loss_per_row(self, logits: Tensor, y: Tensor) -> Tensor:
        """Give the loss of each row; of each member's where members have their own.

        For rows that members share, an ensemble's loss is the mean of its members'.

        Parameters
        ----------
        logits : Tensor of shape (batch, n_classes) or (batch, members, n_classes)
        y : Tensor of shape (batch,) or (batch, members)

        Returns
        -------
        Tensor of the shape of `y`
        """
        if logits.ndim == 2:
            return self.criterion_(logits, y)
        shape = logits.shape[:2]
        if y.ndim == 1:
            return self.loss_per_row(logits, y[:, None].expand(shape)).mean(1)
        if self.criterion_.is_ranking:  # it compares a member's rows with each other
            pairs = zip(logits.unbind(1), y.unbind(1), strict=True)
            return torch.stack([self.criterion_(*pair) for pair in pairs], dim=1)
        # (B, M, C) -> (B * M, C) -> (B, M)
        return self.criterion_(logits.flatten(0, 1), y.flatten()).unflatten(0, shape)

    @torch.no_grad()
    def _validate(self, rows: NetRows) -> None:
        """Record loss and average precision of the validation rows."""
        self._set_training(False)
        if isinstance(rows, FoldRows):
            logits, y, weight = self._validation_of_folds(rows)
        else:
            together = RowsInOne(len(rows))
            for batch in self.get_iterator(rows):
                together.add(*self._validation_part(batch))
            logits, y, weight = together.columns
        if not torch.isfinite(logits).all():
            raise self._divergence("The validation outputs became NaN or infinite")
        loss = self._weighted_mean(logits, y, weight)
        log_posterior = self.log_posterior(logits.cpu().double())
        if isinstance(rows, FoldRows):
            log_posterior = rows.aligned(log_posterior)
        precision = macro_average_precision(
            y.cpu().numpy(),
            mean_over_members(log_posterior.exp()).numpy(),
            rows.score_weight,
        )
        self._record_loss("valid_loss", loss)
        self.history.record("valid_average_precision", precision)
        if isinstance(rows, FoldRows):
            loss = least_log_loss(
                log_posterior.numpy(), y.cpu().numpy(), rows.score_weight
            )
            unit = rows.entropy or 1.0  # rows of one class have none
            self.history.record("valid_score", precision - loss / unit)

    def _validation_of_folds(self, rows: FoldRows) -> Batch:
        """Give out-of-fold logits, codes and weights, and tell callbacks of them."""
        batch = (rows.X, rows.y) if self.batches_are_watched else ()
        self.notify("on_batch_begin", batch=batch, training=False)
        logits = self.out_of_fold_logits(rows)
        self.notify("on_batch_end", batch=batch, training=False, y_pred=logits)
        return logits, rows.y.to(logits.device), rows.loss_weight.to(logits.device)

    def _weighted_mean(self, logits: Tensor, y: Tensor, weight: Tensor) -> float:
        """Give the mean loss of validation rows."""
        loss = (weight * self.loss_per_row(logits, y)).sum() / weight.sum()
        return loss.item()

    def _validation_part(self, batch: Batch) -> Batch:
        """Give logits, codes and weights of a batch, and tell callbacks of it."""
        self.notify("on_batch_begin", batch=batch[:2], training=False)
        X, y, weight = (values.to(self.device) for values in batch)
        logits = self.infer(X)
        self.notify("on_batch_end", batch=batch[:2], training=False, y_pred=logits)
        return logits, y, weight


def skorch_parameters() -> set[str]:
    """Name what skorch's nets are told by users."""
    return set(inspect.signature(NeuralNet).parameters) - {"kwargs"}


def works_on_blocks(module: nn.Module, rows: TableRows) -> bool:
    """Tell whether a network's ``prepare`` may see whole blocks of batches.

    Its ``forward`` must be ``body(prepare(x))``, which holds for the class that defines
    all three, if nothing listens to it, ``prepare`` does not learn, and nothing depends
    on the rows around.
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
    return not prepare(rows.features(slice(0, 1))).requires_grad


# What further training may change in a net, beside weights and history.
_KEPT = (
    "batch_size",
    "epochs_before",
    "epochs_behind_",
    "callbacks",
    "callbacks_",
    "criterion",
    "criterion_",
    "lr",
    "max_epochs",
    "optimizer",
    "optimizer_",
    "phases",
    "weight_decay",
)


@contextlib.contextmanager
def unchanged_on_failure(net: ImbalanceNet) -> Iterator[None]:
    """Put weights, optimiser and history back if further training fails."""
    before = {name: getattr(net, name) for name in _KEPT}
    states = copy.deepcopy((net.module_.state_dict(), net.optimizer_.state_dict()))
    n_epochs = len(net.history)
    watchers = [cb for _, cb in net.callbacks_ if isinstance(cb, BestEpoch)]
    chosen = [(watcher, dict(vars(watcher))) for watcher in watchers]
    try:
        yield
    except BaseException:
        for watcher, attributes in chosen:
            watcher.__dict__.update(attributes)
        for name, value in before.items():
            setattr(net, name, value)
        net.module_.load_state_dict(states[0])
        net.optimizer_.load_state_dict(states[1])
        del net.history[n_epochs:]
        raise
