"""The estimator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from imbalnet._constraints import PARAMETER_CONSTRAINTS
from imbalnet._fit.options import column_rules, feature_dtype
from imbalnet._fit.train import train
from imbalnet._fitted import FittedNetworkMixin
from imbalnet._nested import NestedParametersMixin
from imbalnet._optimizers import OptimizerFactory
from imbalnet._runtime import restored_on_failure
from imbalnet._tables.read import Rows, all_classes, read_rows, read_validation_rows
from imbalnet.posterior import cheapest_class, resolve_costs


class BalancedNeuralClassifier(
    NestedParametersMixin, FittedNetworkMixin, ClassifierMixin, BaseEstimator
):
    """Neural network classifier for imbalanced tabular data.

    A scikit-learn classifier that trains a torch network through skorch. Class
    weights, samplers and losses against imbalance see the training rows only, and what
    they do to the probabilities is known (``effective_prior_``) and can be undone
    (`target_prior`).

    Parameters
    ----------
    module : {"auto", "tabular", "tabm", "resnet", "mlp", "linear"} or callable, \
            default="auto"
        The network: a name, see :mod:`imbalnet.networks`, or a ``torch.nn.Module``
        class or factory that is called as
        ``module(in_features=, out_features=, **module__*)`` and gives logits. Where
        there are categories, ``n_categories=`` is given too. "auto" is what `preset`
        says.

    preset : {"quick", "best"} or None, default=None
        Chooses the network, and what "auto" means for the other parameters, in place of
        `module`. None is "tabular", "quick" the same with fewer members and epochs,
        "best" is "tabm", which takes longer (and ``pip install imbalnet[best]``).

    loss : {"cross_entropy", "focal", "poly1", "poly_focal", "asymmetric", \
            "logit_adjusted", "balanced_softmax", "vector_scaling", "ldam", \
            "average_precision"} or callable, default="cross_entropy"
        A name, see :mod:`imbalnet.losses`, or a ``torch.nn.Module`` class whose
        ``forward(logits, target)`` accepts ``reduction="none"``. ``loss__gamma``,
        ``loss__label_smoothing`` and so on go to it.

    class_weight : {"balanced", "effective"}, dict, array-like, callable or None, \
            default=None
        Weights of the classes in the loss, see
        :func:`imbalnet.class_weights.class_weights`. ``class_weight__power`` tempers
        them, ``class_weight__max_ratio`` caps them, ``class_weight__beta`` goes to
        "effective". ``class_weight__start_epoch`` lets them in after so many epochs, or
        that share of `max_epochs` (deferred re-weighting). With a `sampler` they are
        computed from the class counts that the sampler delivers.

    sampler : {"weighted", "oversample", "undersample", "balanced_batch", \
            "stratified_batch"}, imbalanced-learn sampler, type or None, default=None
        Which training rows an epoch sees. The names draw afresh each epoch, see
        :mod:`imbalnet.samplers`; an object with ``fit_resample``, or an
        imbalanced-learn pipeline of such, is applied once to the training rows (to a
        frame as a pandas frame, so that SMOTENC finds its categories). A subclass of
        ``torch.utils.data.Sampler`` or of :class:`imbalnet.samplers.IndexSampler`, not
        an instance, is built once the training rows are known, see
        :class:`imbalnet.samplers.TorchSampler`.

    target_prior : {"train", "uniform"}, dict, Series, array-like or None, default=None
        Class distribution that probabilities are given for. None is the one that the
        network was trained under (with weights or a sampler not the data's), "train"
        that of the training data, "uniform" makes the prediction minimise the balanced
        error, a dict or a pandas Series (label to probability) or an array in the order
        of ``classes_`` is the base rate of the place of use. Read at prediction time:
        changing it needs no refit.

    cost_matrix : array-like of shape (n_classes, n_classes), dict, data frame or \
            None, default=None
        Makes ``predict`` choose the class of the lowest expected cost.
        ``cost_matrix[i, j]`` is what predicting class j costs where i is true; a dict
        maps (true label, predicted label) to the cost, a data frame has true labels in
        its index and predicted ones in its columns. Costs are weighed with
        probabilities under `target_prior`, under the training data's where it is None.
        Read at prediction time.

    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Which columns hold categories. "from_dtype" takes those of a frame (pandas,
        polars, pyarrow.Table) whose dtype says so: category, enum, dictionary, string,
        or object with other values than numbers; bool and nullable numbers are numbers.
        Otherwise names of columns, positions, or a mask; None takes all for numbers.
        A missing category, and one that was not seen in ``fit``, is a category too.

    n_members : int or "auto", default="auto"
        Networks that are trained side by side as one, from starts of their own; their
        probabilities are averaged. Each holds out its own fold of the rows
        (not with ``early_stopping=False``, ``X_val`` or ``partial_fit``), so that the
        best epoch is chosen by out-of-fold predictions of all rows, which stay as
        ``oof_proba_``. Resamplers and samplers see each member's own training rows. A
        `module` that accepts ``n_members`` builds its members itself, see
        :class:`imbalnet.networks.Members`. "auto" is 8 for "tabular" (4 with
        ``preset="quick"``) and 1, a single network, for others.

    n_neighbors : int or "auto", default="auto"
        Training rows near a row, whose classes are heard beside the network; see
        :class:`imbalnet.neighbors.Neighbors`. They are kept only if they make the
        out-of-fold rows clearly more likely (``neighbor_weight_``). "auto" is 4 for
        "tabular" with folds, up to 65,536 rows and 512 columns (a frequent level is
        one), and a loss with honest probabilities; otherwise 0, none.

    optimizer : {"auto", "adamw", "adam", "sgd", "lbfgs"} or callable, default="auto"
        A name or a ``torch.optim.Optimizer`` class. "lbfgs" trains in full batches.
        "auto" is "lbfgs" for ``fit`` with ``module="linear"`` on dense data, otherwise
        "adamw".

    learning_rate : float or "auto", default="auto"
        "auto" is 0.003 for "tabular", 0.002 for "tabm", 0.05 for "sgd" and for
        "linear", 1 for "lbfgs", otherwise 0.0007, or 0.002 where an epoch is one
        batch.

    schedule : {"cosine", "constant"}, default="cosine"
        How the learning rate goes on: down to 0 along half a cosine over `max_epochs`,
        or not at all. "lbfgs" and ``partial_fit`` keep it constant.

    weight_decay : float or "auto", default="auto"
        Acts on weight matrices, not on biases: decoupled for "adamw", for "lbfgs" the
        penalty ``weight_decay / 2 * |W|**2`` beside the mean loss. "auto" is 0.1 for
        "adamw" (0.0003 with "tabm"), 0.0001 for the others, whose decay is part of the
        gradient, and for "lbfgs" 1 / sum of the sample weights,
        ``LogisticRegression(C=1)``'s penalty.

    batch_size : int or "auto", default="auto"
        Rows in a batch. "auto" is an eighth of the training rows, between 16 and 128,
        then 256 from 8,000 and 512 from 24,000 rows; up to 64 rows all of them.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" is 28 for "tabular" (4 to 27 from 32,000
        rows on), 40 for "tabm" (10 to 39 from 100,000 on), and 30 for other networks.

    early_stopping : bool or "auto", default="auto"
        Whether to hold out validation rows, stop when they get no better, and keep the
        weights of the best epoch. "auto" does with more than 10,000 rows (not for
        "lbfgs", which solves its problem), where ``X_val`` is given, and with
        `n_members` above 1, whose folds are the validation rows.

    validation_fraction : float, default=0.1
        Share of each class that is held out, by a single network.

    patience : int, default=10
        Epochs without a better one after which training stops.

    monitor : {"auto", "average_precision", "loss"}, default="auto"
        What decides which epoch is better: average precision (for several classes the
        mean of one-vs-rest), or the loss on the validation rows. Ties, and classes with
        fewer than 5 validation rows, are left to the loss. "auto" is average precision,
        and with the folds of `n_members` average precision minus the log loss under the
        best temperature, in units of the classes' entropy.

    calibrate : bool, default=True
        Whether ``offset_`` is fitted to the validation rows, or the out-of-fold ones,
        and to these also ``temperature_``.

    device : str, default="auto"
        "auto" takes a GPU if there is one; otherwise a torch device such as "cpu".

    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Of features and network. With "bfloat16" features, weights and loss are float32,
        and the network multiplies in bfloat16 (torch's autocast), where the device can.
        "lbfgs" works in float64 in any case: its line search compares losses that
        float32 cannot tell apart.

    n_threads : int or None, default=None
        Processor threads. In ``fit`` None is one, which is fastest for small networks
        and steady beside other processes; for large steps (batch size times parameters
        above 134 million) all cores but one, 4 at most. In prediction None is one for
        each core. In the workers of a pool, such as joblib's, None is one, or what
        ``OMP_NUM_THREADS`` leaves.

    compile : bool, default=False
        Whether to use ``torch.compile``, which needs seconds to compile first.

    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights that are there, with the validation
        rows of before. The network must stay the same; loss, optimiser, learning rate
        and callbacks may change. ``oof_proba_`` needs the rows of before too.

    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, split, resampling, batch order and dropout. Neither
        torch's nor NumPy's global generator is touched; None takes fresh entropy.

    verbose : int, default=0
        1 prints a line an epoch.

    callbacks : list of skorch callbacks or None, default=None
        Copied, then handed to skorch.

    **nested
        ``module__*``, ``loss__*``, ``class_weight__*``, ``sampler__*``,
        ``optimizer__*`` go to the component of that name, ``net__*`` to skorch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted labels; ``classes_[1]`` of two is the positive class.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X was a frame with string column names.

    class_weight_ : ndarray of shape (n_classes,)
        Weights of the classes in the loss.

    class_prior_ : ndarray of shape (n_classes,)
        Class frequencies in the training rows (weighted by `sample_weight`).

    effective_prior_ : ndarray of shape (n_classes,)
        Class distribution that the network was trained under, the mean of its members'.

    temperature_ : float
        What :func:`imbalnet.posterior.fit_temperature` divided the log posteriors by;
        1 without out-of-fold rows.

    offset_ : ndarray of shape (n_classes,)
        What :func:`imbalnet.posterior.fit_offset` added to the log posteriors; zeros
        without validation rows.

    neighbor_weight_ : float
        What the evidence of the nearest training rows is multiplied by; 0 where they
        are not heard.

    oof_proba_ : ndarray of shape (n_rows, n_classes)
        Out-of-fold probabilities of the rows given to ``fit``, under `target_prior`:
        each row's are those of the member that did not train on it. Rows of weight 0,
        on which none did, have the mean of all. With `n_members` above 1 only.

    net_ : skorch.NeuralNetClassifier
        The trained net.

    module_ : torch.nn.Module
        The trained network.

    history_ : skorch.history.History
        Loss and duration of each epoch, and the scores of the validation rows.

    n_iter_ : int
        Epochs trained.

    best_iteration_ : int
        The epoch, counted from 1, whose weights were kept.

    device_ : torch.device
        Where the network lies.

    coef_ : ndarray of shape (1, n_features_in_) or (n_classes, n_features_in_)
        Coefficients for the raw features (with categories: for the numbers, then for
        the levels of each category); ``module="linear"`` only. They give the log odds
        where the loss is linear in them (cross entropy, logit adjustment, vector
        scaling), otherwise the network's logits.

    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts under the effective prior; ``module="linear"`` only.

    See Also
    --------
    sklearn.linear_model.LogisticRegression : The linear model that this replaces.
    sklearn.neural_network.MLPClassifier : A network without levers against imbalance.
    imblearn.pipeline.Pipeline : Resampling in front of a classifier.

    Notes
    -----
    With ``sampler=SMOTE()`` the validation rows are split off before the resampling.
    An imbalanced-learn pipeline with SMOTE in front of this classifier resamples first:
    early stopping then sees synthetic neighbours of training rows.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from imbalnet import BalancedNeuralClassifier
    >>> X, y = make_classification(2000, weights=[0.95], random_state=0)
    >>> clf = BalancedNeuralClassifier(class_weight="balanced", random_state=0)
    >>> clf.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    >>> clf.effective_prior_.round(2).tolist()
    [0.5, 0.5]
    """

    _nested_prefixes = (
        "module",
        "loss",
        "class_weight",
        "sampler",
        "optimizer",
        "net",
    )

    _parameter_constraints = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        module: str | Callable[..., nn.Module] = "auto",
        *,
        preset: str | None = None,
        loss: str | Callable[..., nn.Module] = "cross_entropy",
        class_weight: Any = None,
        sampler: Any = None,
        target_prior: Any = None,
        cost_matrix: Any = None,
        categorical_features: Any = "from_dtype",
        n_members: int | str = "auto",
        n_neighbors: int | str = "auto",
        optimizer: str | OptimizerFactory = "auto",
        learning_rate: float | str = "auto",
        schedule: str = "cosine",
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        patience: int = 10,
        monitor: str = "auto",
        calibrate: bool = True,
        device: str | torch.device = "auto",
        dtype: str = "float32",
        n_threads: int | None = None,
        compile: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        **nested: Any,
    ) -> None:
        self.module = module
        self.preset = preset
        self.loss = loss
        self.class_weight = class_weight
        self.sampler = sampler
        self.target_prior = target_prior
        self.cost_matrix = cost_matrix
        self.categorical_features = categorical_features
        self.n_members = n_members
        self.n_neighbors = n_neighbors
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.monitor = monitor
        self.calibrate = calibrate
        self.device = device
        self.dtype = dtype
        self.n_threads = n_threads
        self.compile = compile
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.__dict__.update(nested)

    # -- training ----------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
    ) -> BalancedNeuralClassifier:
        """Train the network.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
            Numbers and categories, see `categorical_features`. Numbers may be missing
            if the network's class says ``accepts_missing = True`` (all of imbalnet's
            do), and infinite with ``module__clip=True``; not in a sparse matrix. Dates
            are an error.
        y : array-like of shape (n_rows,)
            Labels of any sortable kind.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in loss, counts and statistics; rows of weight 0 are
            left out. Several times a row and an integer weight are the same.
        X_val : {array-like, data frame, sparse matrix}, default=None
            Validation rows, instead of a split.
        y_val : array-like, default=None
            Their labels.

        Returns
        -------
        BalancedNeuralClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If data or parameters are not usable, with the cure.
        FloatingPointError
            If the loss becomes NaN or infinite. Whenever fitting fails, the estimator
            stays as it was.
        """
        with restored_on_failure(self):
            goes_on = self.warm_start and hasattr(self, "net_")
            classes = self.classes_ if goes_on else None
            rows = self._read(X, y, sample_weight, classes, goes_on=goes_on)
            given = read_validation_rows(
                self, X_val, y_val, self.classes_, rows.X.dtype.type, rows.columns
            )
            self._learn(train(self, rows, given, goes_on=goes_on, is_partial=False))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> BalancedNeuralClassifier:
        """Train for one epoch on some rows of a larger whole.

        Class counts, and with them "balanced" weights and priors, grow with each call;
        so do the columns' mean and scale, but not the median, scale and bins of the
        networks that embed columns, which are those of the first call. There are no
        validation rows.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
            As in ``fit``. The categories are those of the first call; others that come
            later count as unseen.
        y : array-like of shape (n_rows,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows.

        Returns
        -------
        BalancedNeuralClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or differs in a later one, or if
            the data are not usable.
        """
        with restored_on_failure(self):
            goes_on = hasattr(self, "net_")
            classes = all_classes(classes, getattr(self, "classes_", None))
            rows = self._read(X, y, sample_weight, classes, goes_on=goes_on)
            self._learn(train(self, rows, None, goes_on=goes_on, is_partial=True))
        return self

    def _read(
        self, X: Any, y: Any, sample_weight: Any, classes: Any, *, goes_on: bool
    ) -> Rows:
        """Validate training rows; those of a first call say what the columns hold."""
        rows, self.classes_ = read_rows(
            self,
            X,
            y,
            sample_weight,
            classes=classes,
            dtype=feature_dtype(self, goes_on=goes_on),
            reset=not goes_on,
            columns=self._columns if goes_on else column_rules(self),
        )
        self._columns = rows.columns
        return rows

    # -- prediction --------------------------------------------------------------

    def predict(self, X: Any) -> NDArray:
        """Predict the most likely class under the target prior, or the cheapest one.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels, in the dtype of ``classes_``. With `cost_matrix` those of the
            lowest expected cost.
        """
        check_is_fitted(self)
        if self.cost_matrix is None:
            return self.classes_[self._log_posterior(X).argmax(axis=1)]
        costs: Any = resolve_costs(self.cost_matrix, self.classes_)
        target = "train" if self.target_prior is None else self.target_prior
        probabilities = np.exp(self._log_posterior(X, target))
        return self.classes_[cheapest_class(probabilities, costs)]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict class probabilities under the target prior.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``; each row sums to 1, for every loss.
        """
        check_is_fitted(self)
        return np.exp(self._log_posterior(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Give the log odds of the positive class, or log probabilities.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
            Two classes: ``log(p_1 / p_0)``, positive where ``classes_[1]`` is
            predicted. Otherwise the log probability of each class.
        """
        check_is_fitted(self)
        log_posterior = self._log_posterior(X)
        if len(self.classes_) == 2:
            return log_posterior[:, 1] - log_posterior[:, 0]
        return log_posterior

    # -- what scikit-learn asks --------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn which tables are welcome: what the network takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        with suppress(KeyError, TypeError, ValueError):  # fit says what is wrong
            rules = column_rules(self)
            tags.input_tags.allow_nan = rules.missing
            tags.input_tags.categorical = rules.categories
        return tags
